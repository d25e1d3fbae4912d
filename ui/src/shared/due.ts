// Days until something is due or ends: in words, with the colour and the icon that go with them.

import type { IconName } from './icons';
import { DAY_MS, days } from './time';
import type { Tone } from './tone';

/** Days before the due day from which something wants attention: the first reminder. */
export const SOON_DAYS = 14;

/** A colour and an icon. */
export interface Label {
  tone: Tone;
  icon: IconName;
}

/** Days until then, a begun one counted; 0 or less once it is due. The agent counts the same way. */
export function daysLeft(due: number, now: number): number {
  // `|| 0`: there is a negative zero.
  return Math.ceil((due - now) / DAY_MS) || 0;
}

/** `due in 3 days`, `due today`, `2 days overdue`; of the days left. */
export function dueWords(daysLeft: number): string {
  if (daysLeft < 0) return `${days(-daysLeft)} overdue`;
  if (daysLeft === 0) return 'due today';
  return `due in ${days(daysLeft)}`;
}

/** `expires in 12 days`, `expired today`, `expired 3 days ago`; of the days left. */
export function expiryWords(daysLeft: number): string {
  if (daysLeft < 0) return `expired ${days(-daysLeft)} ago`;
  if (daysLeft === 0) return 'expired today';
  return `expires in ${days(daysLeft)}`;
}

/** What comes first of a key's two dates: the day on which it is to be rotated, and its end at the venue. */
export interface Next {
  at: number;
  words: string;
  label: Label;
}

/** The first of the two; none where it has neither. */
export function nextOf(due: number | null, dueLeft: number | null, expires: number | null, expiresLeft: number | null): Next | null {
  const rotation = due === null || dueLeft === null ? null : { at: due, words: dueWords(dueLeft), label: dueLabel(dueLeft) };
  // What has ended today is over, not due.
  const label = (left: number) => dueLabel(left > 0 ? left : -1);
  const expiry = expires === null || expiresLeft === null ? null : { at: expires, words: expiryWords(expiresLeft), label: label(expiresLeft) };
  if (rotation === null || expiry === null) return rotation ?? expiry;
  return expiry.at <= rotation.at ? expiry : rotation;
}

/** Colour and icon of the days that are left; plain where there is no rule. */
export function dueLabel(daysLeft: number | null): Label {
  if (daysLeft === null) return { tone: 'plain', icon: 'minus' };
  if (daysLeft < 0) return { tone: 'bad', icon: 'warn' };
  return daysLeft <= SOON_DAYS ? { tone: 'warn', icon: 'clock' } : { tone: 'good', icon: 'check' };
}
