// The timeline's order: pages joined, rows filtered and put under their days, and the line up to which rows are signed.

import type { AuditPage, AuditRow } from '../../ipc/types';
import { dayHeading } from '../../shared/time';
import { kindWords } from './words';

/** Rows of one day, newest first. */
export interface Day {
  heading: string;
  rows: AuditRow[];
}

/** Joins a page to the rows that are there. A row that came twice is kept once; newest first. */
export function join(rows: AuditRow[], page: AuditRow[]): AuditRow[] {
  const joined = new Map(rows.map((row) => [row.seq, row]));
  for (const row of page) joined.set(row.seq, row);
  return [...joined.values()].sort((a, b) => b.seq - a.seq);
}

/** Puts rows under the days on which they happened. */
export function byDay(rows: AuditRow[], now: number): Day[] {
  const days: Day[] = [];
  for (const row of rows) {
    const heading = dayHeading(row.time, now);
    const last = days.at(-1);
    if (last?.heading === heading) last.rows.push(row);
    else days.push({ heading, rows: [row] });
  }
  return days;
}

/** The rows by their numbers. */
export function bySeq(rows: AuditRow[]): ReadonlyMap<number, AuditRow> {
  return new Map(rows.map((row) => [row.seq, row]));
}

/** What these rows say how it went of: numbers of rows. */
export function ended(rows: Iterable<AuditRow>): ReadonlySet<number> {
  return new Set([...rows].flatMap((row) => (row.of === null ? [] : [row.of])));
}

/** Whether a row only says that a change was begun, and how it went stands in another. Alone it says that nobody knows. */
export function isOver(row: AuditRow, ends: ReadonlySet<number>): boolean {
  return row.kind === 'begun' && ends.has(row.seq);
}

/** Only the rows with one of these decisions; all where none is chosen. */
export function filtered(rows: AuditRow[], decisions: ReadonlySet<string>): AuditRow[] {
  return decisions.size === 0 ? rows : rows.filter((row) => decisions.has(row.decision));
}

/** The first of these rows, newest first, that is under a signed checkpoint; the line is drawn above it. */
export function firstSigned(rows: AuditRow[], signed: number): number | null {
  return rows.find((row) => row.seq <= signed)?.seq ?? null;
}

/** Whether the agent has rows below the last one. A short page is the end. */
export function hasOlder(page: AuditPage, limit: number): boolean {
  const last = page.rows.at(-1);
  return last !== undefined && last.seq > 1 && page.rows.length >= limit;
}

// What their rows say is only why.
const REASONED: ReadonlySet<string> = new Set(['locked', 'disarmed']);

/**
 * What a row says. While the vault is locked only its kind can be read. An outcome without words of its own says those of
 * its intent, where that is among the rows at hand.
 */
export function sentence(row: AuditRow, intent?: AuditRow): string {
  const kind = kindWords(row.kind);
  if (row.what === null) return `${kind} (encrypted)`;
  if (row.what === '') return intent?.what || kind;
  return REASONED.has(row.kind) ? `${kind}. ${row.what}` : row.what;
}
