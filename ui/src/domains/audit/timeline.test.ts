import { describe, expect, it } from 'vitest';
import type { AuditRow } from '../../ipc/types';
import { byDay, bySeq, ended, filtered, firstSigned, hasOlder, isOver, join, sentence } from './timeline';
import { decisionWords, DECISION_NAMES, KIND_NAMES, kindWords } from './words';

const now = new Date('2026-11-22T12:00:00').getTime();

function row(seq: number, over: Partial<AuditRow> = {}): AuditRow {
  return {
    seq,
    time: now - (10 - seq) * 8 * 3_600_000,
    kind: 'request',
    decision: 'allowed',
    what: `row ${seq}`,
    client: null,
    item: null,
    of: null,
    details: [],
    leaf: '00',
    ...over,
  };
}

describe('timeline', () => {
  it('joins pages without doubling a row, newest first', () => {
    const joined = join([row(9), row(8)], [row(8, { what: 'newer' }), row(7)]);
    expect(joined.map((r) => [r.seq, r.what])).toEqual([
      [9, 'row 9'],
      [8, 'newer'],
      [7, 'row 7'],
    ]);
  });

  it('puts rows under their days', () => {
    const days = byDay([row(10), row(9), row(8), row(7)], now);
    expect(days.map((day) => [day.heading, day.rows.length])).toEqual([
      ['Today', 2],
      ['Yesterday', 2],
    ]);
  });

  it('filters by decision, and by none shows all', () => {
    const rows = [row(3, { decision: 'refused' }), row(2), row(1, { decision: 'touched' })];
    expect(filtered(rows, new Set())).toHaveLength(3);
    expect(filtered(rows, new Set(['refused', 'touched'])).map((r) => r.seq)).toEqual([3, 1]);
  });

  it('draws the signed line above the first row under a checkpoint', () => {
    const rows = [row(9), row(8), row(7)];
    expect(firstSigned(rows, 8)).toBe(8);
    expect(firstSigned(rows, 100)).toBe(9);
    expect(firstSigned(rows, 0)).toBeNull();
  });

  it('knows when there is nothing older', () => {
    const page = (rows: AuditRow[]) => ({ rows, size: 9, signed: 0 });
    expect(hasOlder(page([row(9), row(8)]), 2)).toBe(true);
    expect(hasOlder(page([row(2), row(1)]), 2)).toBe(false);
    expect(hasOlder(page([row(9)]), 2)).toBe(false);
    expect(hasOlder(page([]), 2)).toBe(false);
  });

  it('says what a row is about', () => {
    expect(sentence(row(1, { what: 'Buy 1 BTC', kind: 'intent' }))).toBe('Buy 1 BTC');
    expect(sentence(row(1, { what: '', kind: 'locked' }))).toBe('Vault locked');
    expect(sentence(row(1, { what: 'It was asked for.', kind: 'locked' }))).toBe('Vault locked. It was asked for.');
    const outcome = row(2, { what: '', kind: 'outcome', of: 1 });
    expect(sentence(outcome)).toBe('How a request went');
    expect(sentence(outcome, bySeq([outcome, row(1, { what: 'Buy 1 BTC' })]).get(1))).toBe('Buy 1 BTC');
  });

  it('lets the row that a change was begun step back only where another says how it went', () => {
    const begun = row(1, { kind: 'begun', decision: 'info', what: 'Begun: Stored the key trade.' });
    const done = row(2, { kind: 'item-added', decision: 'done', what: 'Stored the key trade.', of: 1 });
    const request = row(3, { kind: 'intent' });
    const ends = ended([row(4, { kind: 'outcome', of: 3 }), request, done, begun]);
    expect([begun, done, request].map((one) => isOver(one, ends))).toEqual([true, false, false]);
    expect(isOver(begun, ended([begun]))).toBe(false);
  });

  it('says that a row is encrypted while the vault is locked', () => {
    expect(sentence(row(1, { what: null, kind: 'unlocked' }))).toBe('Vault unlocked (encrypted)');
  });

  it('has a word and an icon for every decision, and for one of a later version', () => {
    for (const decision of [...DECISION_NAMES, 'postponed']) {
      expect(decisionWords(decision).word).toMatch(/^[A-Z]/);
      expect(decisionWords(decision).icon).toBeTruthy();
    }
    expect(kindWords('vault.frozen-again')).toBe('Vault frozen again');
    for (const kind of KIND_NAMES) expect(kindWords(kind)).toMatch(/^[A-Z]/);
  });
});
