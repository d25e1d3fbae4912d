import { describe, expect, it } from 'vitest';
import { CODES } from '../ipc/types';
import { words } from './codes';

describe('error codes', () => {
  it.each(CODES)('%s has words of its own', (code) => {
    const said = words({ agent: true, failure: { code, what: '', fix: '' } });
    expect(said.what).toMatch(/^[A-Z].*\.$/);
    expect(said.what).not.toContain(code + ')');
  });

  it('lets the agent say it better', () => {
    const said = words({ agent: true, failure: { code: 'wrong-pin', what: 'Two tries are left.', fix: 'Think.' } });
    expect(said).toEqual({ what: 'Two tries are left.', todo: 'Think.' });
  });
});
