import { describe, expect, it } from 'vitest';
import { step } from './list';

describe('moving through a list', () => {
  it('goes down and up with arrows and with j and k', () => {
    expect(step('ArrowDown', -1, 3)).toBe(0);
    expect(step('j', 0, 3)).toBe(1);
    expect(step('k', 1, 3)).toBe(0);
    expect(step('ArrowUp', 2, 3)).toBe(1);
  });

  it('stops at both ends', () => {
    expect(step('ArrowDown', 2, 3)).toBe(2);
    expect(step('ArrowUp', 0, 3)).toBe(0);
    expect(step('ArrowUp', -1, 3)).toBe(2);
    expect([step('Home', 2, 3), step('End', 0, 3)]).toEqual([0, 2]);
  });

  it('leaves other keys and empty lists alone', () => {
    expect(step('a', 0, 3)).toBeNull();
    expect(step('j', -1, 0)).toBeNull();
  });
});
