// The reminders' plot: every key's time from making to due on one common axis, with today across it.

import type { KeyAge } from '../../ipc/types';
import { DAY_MS, month } from '../../shared/time';

/** A key's bar: places from 0 to 100 along the axis. */
export interface Bar {
  key: KeyAge;
  from: number;
  /** Where it is due; the axis' end where it has no rule. */
  to: number;
}

/** The plot. */
export interface Plot {
  bars: Bar[];
  today: number;
  /** Months' beginnings, with their names. */
  ticks: { at: number; name: string }[];
}

/** Due first; what has no rule last, the oldest first. */
export function byDue(keys: KeyAge[]): KeyAge[] {
  return [...keys].sort((a, b) => (a.due ?? Infinity) - (b.due ?? Infinity) || a.created - b.created || a.name.localeCompare(b.name));
}

/** Lays the bars out. The axis goes from the oldest key to the last due day, with some air at its ends. */
export function plot(keys: KeyAge[], now: number): Plot {
  const starts = keys.map((key) => key.created);
  const ends = keys.flatMap((key) => (key.due === null ? [] : [key.due]));
  const first = Math.min(now - DAY_MS, ...starts);
  const last = Math.max(now + 7 * DAY_MS, ...ends);
  const air = (last - first) * 0.04;
  const place = (at: number) => round(((at - first + air) / (last - first + 2 * air)) * 100);
  return {
    bars: byDue(keys).map((key) => ({ key, from: place(key.created), to: key.due === null ? 100 : place(key.due) })),
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

/** `1 overdue, 2 due within 14 days`, or that all is well. */
export function summary(keys: KeyAge[], soonDays: number): string {
  const left = keys.flatMap((key) => (key.days_left === null ? [] : [key.days_left]));
  const overdue = left.filter((days) => days < 0).length;
  const soon = left.filter((days) => days >= 0 && days <= soonDays).length;
  const parts = [];
  if (overdue > 0) parts.push(`${overdue} overdue`);
  if (soon > 0) parts.push(`${soon} due within ${soonDays} days`);
  return parts.length > 0 ? parts.join(', ') : `Nothing is due within ${soonDays} days`;
}
