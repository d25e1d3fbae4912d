// Days until something is due: in words, with the colour and the icon that go with them.

import type { IconName } from './icons';
import { DAY_MS, days } from './time';
import type { Tone } from './tone';

/** Days before the due day from which something wants attention: the first reminder. */
export const SOON_DAYS = 14;

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

/** Colour and icon of the days that are left; plain where there is no rule. */
export function dueLabel(daysLeft: number | null): { tone: Tone; icon: IconName } {
  if (daysLeft === null) return { tone: 'plain', icon: 'minus' };
  if (daysLeft < 0) return { tone: 'bad', icon: 'warn' };
  return daysLeft <= SOON_DAYS ? { tone: 'warn', icon: 'clock' } : { tone: 'good', icon: 'check' };
}
