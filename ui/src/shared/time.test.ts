import { describe, expect, it } from 'vitest';
import { ago, calendarDays, clock, DAY_MS, date, dayHeading, plural, wholeDays } from './time';

const at = (text: string) => new Date(text).getTime();

describe('time', () => {
  it('is written the same way everywhere', () => {
    expect(clock(at('2026-11-22T04:03:02'))).toBe('04:03:02');
    expect(clock(at('2026-11-22T00:00:00'))).toBe('00:00:00');
    expect(date(at('2026-11-22T04:03:02'))).toBe('22 Nov 2026');
  });

  it('names today and yesterday by the calendar, not by 24 hours', () => {
    const now = at('2026-11-22T00:10:00');
    expect(dayHeading(at('2026-11-22T00:01:00'), now)).toBe('Today');
    expect(dayHeading(at('2026-11-21T23:59:00'), now)).toBe('Yesterday');
    expect(dayHeading(at('2026-11-20T23:59:00'), now)).toBe('Friday, 20 November 2026');
    expect(calendarDays(at('2026-02-28T23:00:00'), at('2026-03-01T01:00:00'))).toBe(1);
  });

  it('counts whole days', () => {
    expect(wholeDays(0, DAY_MS - 1)).toBe(0);
    expect(wholeDays(0, 41 * DAY_MS)).toBe(41);
  });

  it('says how long ago', () => {
    const now = at('2026-11-22T12:00:00');
    expect(ago(now - 10_000, now)).toBe('just now');
    expect(ago(now - 5 * 60_000, now)).toBe('5 min ago');
    expect(ago(now - 3 * 3_600_000, now)).toBe('3 h ago');
    expect(ago(now - 2 * DAY_MS, now)).toBe('20 Nov 2026');
  });

  it('counts things', () => {
    expect([plural(1, 'row'), plural(0, 'row'), plural(1234567, 'row')]).toEqual(['1 row', '0 rows', '1,234,567 rows']);
  });
});
