import { describe, expect, it } from 'vitest';
import { daysLeft, dueLabel, dueWords } from './due';

describe('due', () => {
  it('is said in words', () => {
    expect([14, 1, 0, -1, -30].map(dueWords)).toEqual([
      'due in 14 days',
      'due in 1 day',
      'due today',
      '1 day overdue',
      '30 days overdue',
    ]);
  });

  it('counts a begun day', () => {
    const day = 86_400_000;
    expect([daysLeft(day, 0), daysLeft(day + 1, 0), daysLeft(1, 0), daysLeft(0, 1), daysLeft(0, day)]).toEqual([1, 2, 1, 0, -1]);
  });

  it('wants attention from the first reminder on', () => {
    expect([15, 14, 0, -1, null].map((left) => dueLabel(left).tone)).toEqual(['good', 'warn', 'warn', 'bad', 'plain']);
  });
});
