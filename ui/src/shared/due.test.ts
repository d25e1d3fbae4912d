import { describe, expect, it } from 'vitest';
import { daysLeft, dueLabel, dueWords, expiryWords, nextOf } from './due';

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

  it('says an end as one', () => {
    expect([12, 1, 0, -1, -3].map(expiryWords)).toEqual([
      'expires in 12 days',
      'expires in 1 day',
      'expired today',
      'expired 1 day ago',
      'expired 3 days ago',
    ]);
  });

  it('is the first of rotation and end', () => {
    expect(nextOf(null, null, null, null)).toBeNull();
    expect(nextOf(50, 5, null, null)?.words).toBe('due in 5 days');
    expect(nextOf(null, null, 70, 7)?.words).toBe('expires in 7 days');
    expect(nextOf(50, 5, 70, 7)).toMatchObject({ at: 50, words: 'due in 5 days', label: { tone: 'warn' } });
    expect(nextOf(50, 5, 30, 3)).toMatchObject({ at: 30, words: 'expires in 3 days', label: { tone: 'warn' } });
    expect(nextOf(50, 5, 0, 0)?.label.tone).toBe('bad');
  });

  it('counts a begun day', () => {
    const day = 86_400_000;
    expect([daysLeft(day, 0), daysLeft(day + 1, 0), daysLeft(1, 0), daysLeft(0, 1), daysLeft(0, day)]).toEqual([1, 2, 1, 0, -1]);
  });

  it('wants attention from the first reminder on', () => {
    expect([15, 14, 0, -1, null].map((left) => dueLabel(left).tone)).toEqual(['good', 'warn', 'warn', 'bad', 'plain']);
  });
});
