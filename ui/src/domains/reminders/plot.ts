// The reminders' plot: every key's time from making to due on one common axis, with today across it.

import type { KeyAge } from '../../ipc/types';
import { nextOf, type Next } from '../../shared/due';
import { DAY_MS, month } from '../../shared/time';

/** A key's bar: places from 0 to 100 along the axis. */
export interface Bar {
  key: KeyAge;
  from: number;
  /** Where it is due or ends, whichever comes first; the axis' end where it has no date. */
  to: number;
}

/** The plot. */
export interface Plot {
  bars: Bar[];
  today: number;
  /** Months' beginnings, with their names. */
  ticks: { at: number; name: string }[];
}

/** What comes first for a key: its rotation, or its end. */
export function nextFor(key: KeyAge): Next | null {
  return nextOf(key.due, key.days_left, key.expires, key.expires_in_days);
}

/** What comes first is first; what has no date last, the oldest first. */
export function byDue(keys: KeyAge[]): KeyAge[] {
  const at = (key: KeyAge) => nextFor(key)?.at ?? Infinity;
  return [...keys].sort((a, b) => at(a) - at(b) || a.created - b.created || a.name.localeCompare(b.name));
}

/** Lays the bars out. The axis goes from the oldest key to the last due day, with some air at its ends. */
export function plot(keys: KeyAge[], now: number): Plot {
  const starts = keys.map((key) => key.created);
  const ends = keys.flatMap((key) => nextFor(key)?.at ?? []);
  const first = Math.min(now - DAY_MS, ...starts);
  const last = Math.max(now + 7 * DAY_MS, ...ends);
  const air = (last - first) * 0.04;
  const place = (at: number) => round(((at - first + air) / (last - first + 2 * air)) * 100);
  return {
    bars: byDue(keys).map((key) => {
      const next = nextFor(key);
      return { key, from: place(key.created), to: next === null ? 100 : place(next.at) };
    }),
    today: place(now),
    ticks: months(first, last).map((at) => ({ at: place(at), name: monthName(at) })),
  };
}

function months(first: number, last: number): number[] {
  const from = new Date(first);
  const starts: number[] = [];
  for (let n = 1; ; n++) {
    const at = new Date(from.getFullYear(), from.getMonth() + n, 1).getTime();
    if (at > last) break;
    starts.push(at);
  }
  // At most eight names have room.
  const every = Math.ceil(starts.length / 8);
  return starts.filter((_, index) => index % every === 0);
}

function monthName(at: number): string {
  const local = new Date(at);
  return local.getMonth() === 0 ? `${month(at)} ${local.getFullYear()}` : month(at);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** `1 overdue, 2 due within 14 days`, `1 expired, 1 expires within 14 days`, or that all is well. */
export function summary(keys: KeyAge[], soonDays: number): string {
  const count = (left: (number | null)[], from: number, to: number) => left.filter((days) => days !== null && days >= from && days <= to).length;
  const rotation = keys.map((key) => key.days_left);
  const end = keys.map((key) => key.expires_in_days);
  const overdue = count(rotation, -Infinity, -1);
  const soon = count(rotation, 0, soonDays);
  const expired = count(end, -Infinity, 0);
  const ending = count(end, 1, soonDays);
  const parts = [];
  if (expired > 0) parts.push(`${expired} expired`);
  if (overdue > 0) parts.push(`${overdue} overdue`);
  if (soon > 0) parts.push(`${soon} due within ${soonDays} days`);
  if (ending > 0) parts.push(`${ending} ${ending === 1 ? 'expires' : 'expire'} within ${soonDays} days`);
  return parts.length > 0 ? parts.join(', ') : `Nothing is due within ${soonDays} days`;
}
