import { describe, expect, it } from 'vitest';
import { countdown, minutes, refuses } from './countdown';
import { isDangerous, operationWords, outcomeWords } from './words';

describe('countdown', () => {
  it('goes from the asking to the deadline', () => {
    expect(countdown(0, 60_000, 0)).toEqual({ seconds: 60, part: 1, over: false, urgent: false });
    expect(countdown(0, 60_000, 30_000)).toMatchObject({ seconds: 30, part: 0.5 });
    expect(countdown(0, 60_000, 59_999)).toMatchObject({ seconds: 1, over: false, urgent: true });
    expect(countdown(0, 60_000, 60_000)).toEqual({ seconds: 0, part: 0, over: true, urgent: true });
  });

  it('stays within its bounds when clocks disagree', () => {
    expect(countdown(1000, 61_000, 0)).toMatchObject({ part: 1 });
    expect(countdown(5, 5, 9)).toMatchObject({ part: 0, over: true });
  });

  it('is written as a clock', () => {
    expect([0, 9, 60, 125].map(minutes)).toEqual(['0:00', '0:09', '1:00', '2:05']);
  });
});

describe('keys', () => {
  it('refuse with Escape; none approves', () => {
    expect(refuses({ key: 'Escape' })).toBe(true);
    for (const key of ['Enter', ' ', 'y', 'a']) expect(refuses({ key })).toBe(false);
  });
});

describe('words', () => {
  it('treat what is not known as dangerous', () => {
    expect(['withdraw', 'transfer', 'key-admin', 'unknown', 'brand-new'].every(isDangerous)).toBe(true);
    expect(['read', 'trade', 'cancel', 'leverage'].some(isDangerous)).toBe(false);
    expect(operationWords('unknown')).toBe('Not understood');
  });

  it('say how every question ended', () => {
    for (const outcome of ['approved', 'allowed', 'refused', 'answered', 'timed-out', 'locked', 'done', 'failed', 'new']) {
      expect(outcomeWords(outcome).title).toBeTruthy();
    }
  });
});
