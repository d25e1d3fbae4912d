import { describe, expect, it } from 'vitest';
import type { KeyAge } from '../../ipc/types';
import { DAY_MS } from '../../shared/time';
import { byDue, nextFor, plot, summary } from './plot';

const now = new Date('2026-11-22T12:00:00').getTime();

function key(name: string, created: number, due: number | null, expires: number | null = null): KeyAge {
  return {
    item: name,
    name,
    venue: 'binance',
    created: now + created * DAY_MS,
    due: due === null ? null : now + due * DAY_MS,
    days_left: due,
    expires: expires === null ? null : now + expires * DAY_MS,
    expires_in_days: expires,
  };
}

describe('reminders', () => {
  it('come in the order in which they are due; without a rule last', () => {
    const keys = [key('none', -300, null), key('later', -10, 80), key('overdue', -93, -3), key('older', -400, null)];
    expect(byDue(keys).map((k) => k.name)).toEqual(['overdue', 'later', 'older', 'none']);
  });

  it('come by their end where that is before their rotation', () => {
    const keys = [key('rotate', -80, 10), key('ends', -80, 40, 3), key('only-ends', -80, null, 20), key('ended', -80, 40, -2)];
    expect(byDue(keys).map((k) => k.name)).toEqual(['ended', 'ends', 'rotate', 'only-ends']);
    expect(keys.map((k) => nextFor(k)?.words)).toEqual(['due in 10 days', 'expires in 3 days', 'expires in 20 days', 'expired 2 days ago']);
    expect(summary(keys, 14)).toBe('1 expired, 1 due within 14 days, 1 expires within 14 days');
  });

  it('are laid out on one axis', () => {
    const { bars, today, ticks } = plot([key('a', -90, 10), key('b', -20, 70), key('c', -5, null)], now);
    for (const bar of bars) {
      expect(bar.from).toBeGreaterThanOrEqual(0);
      expect(bar.to).toBeLessThanOrEqual(100);
      expect(bar.from).toBeLessThan(today);
    }
    expect(bars.map((bar) => bar.to > today)).toEqual([true, true, true]);
    expect(bars.at(-1)?.to).toBe(100);
    expect(ticks.map((tick) => tick.name)).toEqual(['Sep', 'Oct', 'Nov', 'Dec', 'Jan 2027']);
  });

  it('never name more months than there is room for', () => {
    expect(plot([key('old', -2000, 400)], now).ticks.length).toBeLessThanOrEqual(8);
    expect(plot([], now).bars).toEqual([]);
  });

  it('are summed up in a sentence', () => {
    expect(summary([key('a', -90, -1), key('b', -90, 3), key('c', -1, 60)], 14)).toBe('1 overdue, 1 due within 14 days');
    expect(summary([key('c', -1, 60), key('d', -1, null)], 14)).toBe('Nothing is due within 14 days');
  });
});
