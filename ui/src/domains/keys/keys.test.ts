import { describe, expect, it } from 'vitest';
import type { ItemSummary } from '../../ipc/types';
import { DAY_MS } from '../../shared/time';
import { ageOf, byKeySet, classLabel, placeLabel, venueName } from './keys';

function item(name: string, over: Partial<ItemSummary> = {}): ItemSummary {
  return {
    id: name,
    name,
    kind: 'exchange-key',
    environment: 'prod',
    tags: [],
    trashed: null,
    plaintext_seen: null,
    venue: 'binance',
    key_set: 'main',
    class: 'trade',
    secret: 'stored',
    api_key_hint: 'abcd…wxyz',
    created: 0,
    due: null,
    expires: null,
    ...over,
  };
}

describe('keys', () => {
  it('are grouped by venue account, the least dangerous first', () => {
    const sets = byKeySet([
      item('w', { class: 'move-money' }),
      item('x', { class: 'something-new' }),
      item('r', { class: 'read' }),
      item('k', { venue: 'kraken' }),
      item('t'),
      item('s', { key_set: 'sub' }),
    ]);
    expect(sets.map((set) => [set.venue, set.name, set.items.map((i) => i.name).join('')])).toEqual([
      ['binance', 'main', 'rtwx'],
      ['binance', 'sub', 's'],
      ['kraken', 'main', 'k'],
    ]);
  });

  it('of other kinds stand by kind, after those of venues', () => {
    const other = (name: string, kind: string) => item(name, { kind, venue: '', key_set: '', class: '' });
    const sets = byKeySet([other('note', 'note'), other('ai', 'api-key'), other('rpc', 'api-key'), item('t')]);
    expect(sets.map((set) => [venueName(set.venue), set.name, set.items.length])).toEqual([
      ['Binance', 'main', 1],
      ['Other items', 'API keys', 2],
      ['Other items', 'Notes', 1],
    ]);
    for (const kind of ['api-key', 'oauth-client', 'otp-seed', 'ssh-key', 'note', 'login']) expect(classLabel(kind).tone).toBe('plain');
  });

  it('have words for every class and place, and for unknown ones', () => {
    for (const name of ['read', 'trade', 'move-money', 'key-admin', 'new']) expect(classLabel(name).meaning).toMatch(/\.$/);
    for (const name of ['stored', 'sealed', 'on-device', 'missing', 'new']) expect(placeLabel(name).meaning).toMatch(/\.$/);
    expect(venueName('binance')).toBe('Binance');
  });

  it('have an age against their rule', () => {
    const now = 100 * DAY_MS;
    expect(ageOf(now - 41 * DAY_MS, now + 49 * DAY_MS, null, now)).toEqual({
      age: '41 days old',
      due: 'due in 49 days',
      part: 41 / 90,
      tone: 'good',
    });
    expect(ageOf(now, null, null, now)).toEqual({ age: 'made today', due: 'no rule', part: null, tone: 'plain' });
    expect(ageOf(0, 90 * DAY_MS, null, now)).toMatchObject({ due: '10 days overdue', part: 1, tone: 'bad' });
    expect(ageOf(now, now, null, now)).toMatchObject({ part: 1, due: 'due today' });
    expect(ageOf(now - 28 * DAY_MS, now + 49 * DAY_MS, now + 12 * DAY_MS, now)).toMatchObject({ due: 'expires in 12 days', part: 0.7, tone: 'warn' });
    expect(ageOf(0, null, 97 * DAY_MS, now)).toMatchObject({ due: 'expired 3 days ago', part: 1, tone: 'bad' });
  });
});
