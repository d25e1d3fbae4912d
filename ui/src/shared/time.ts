// Times and durations in words. Pure: the present is an argument.

/** Milliseconds of a day. */
export const DAY_MS = 86_400_000;

// Written here and not asked of the browser, so that a date reads the same with every version of its tables.
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** `14:03:22`, local time. */
export function clock(at: number): string {
  const local = new Date(at);
  return [local.getHours(), local.getMinutes(), local.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** `22 Nov 2026`, local time. */
export function date(at: number): string {
  const local = new Date(at);
  return `${local.getDate()} ${month(at)} ${local.getFullYear()}`;
}

/** `Nov`, local time. */
export function month(at: number): string {
  return monthName(at).slice(0, 3);
}

function monthName(at: number): string {
  return MONTHS[new Date(at).getMonth()] ?? '';
}

/** `22 Nov 2026, 14:03:22`, local time. */
export function dateTime(at: number): string {
  return `${date(at)}, ${clock(at)}`;
}

/** `Today`, `Yesterday`, or `Friday, 20 November 2026`. */
export function dayHeading(at: number, now: number): string {
  const days = calendarDays(at, now);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  const local = new Date(at);
  return `${WEEKDAYS[local.getDay()] ?? ''}, ${local.getDate()} ${monthName(at)} ${local.getFullYear()}`;
}

/** Midnights between two times; 0 on the same day. Counted on the calendar, so that a change of the clocks adds no day. */
export function calendarDays(from: number, to: number): number {
  const day = (at: number) => {
    const local = new Date(at);
    return Date.UTC(local.getFullYear(), local.getMonth(), local.getDate()) / DAY_MS;
  };
  return day(to) - day(from);
}

/** Whole days from one time to another. */
export function wholeDays(from: number, to: number): number {
  return Math.floor((to - from) / DAY_MS);
}

/** `1 day`, `41 days`. */
export function days(count: number): string {
  return plural(count, 'day');
}

/** `1 row`, `2 rows`. */
export function plural(count: number, word: string): string {
  return `${String(count).replace(/\B(?=(\d{3})+$)/g, ',')} ${word}${count === 1 ? '' : 's'}`;
}

/** `just now`, `5 min ago`, `3 h ago`, then the date. */
export function ago(at: number, now: number): string {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return date(at);
}
