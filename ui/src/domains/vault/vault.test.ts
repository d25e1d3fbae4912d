import { describe, expect, it } from 'vitest';
import { deviceWords, splitPath } from './vault';

describe('vault', () => {
  it('says which devices are software only', () => {
    const device = (kind: string) => ({ id: 'd', kind, label: 'l', serial: null });
    expect(['piv', 'pkcs11', 'software', 'new'].map((kind) => deviceWords(device(kind)).software)).toEqual([false, false, true, false]);
  });

  it('splits a path', () => {
    expect(splitPath('/a/b/vault.touchkeep')).toEqual({ folder: '/a/b/', file: 'vault.touchkeep' });
    expect(splitPath('vault')).toEqual({ folder: '', file: 'vault' });
  });
});
