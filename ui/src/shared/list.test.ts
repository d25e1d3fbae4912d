import { describe, expect, it } from 'vitest';
import { scrollStep, step } from './list';

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

describe('scrolling a text', () => {
  it('goes by lines, by pages with a line kept, and to both ends', () => {
    expect(['ArrowDown', 'ArrowUp', 'PageDown', 'PageUp', 'Home', 'End'].map((key) => scrollStep(key, 480, 2000))).toEqual([48, -48, 432, -432, -2000, 2000]);
  });

  it('leaves to others what answers or approves', () => {
    for (const key of ['Enter', ' ', 'Escape', 'Tab', 'a']) expect(scrollStep(key, 480, 2000)).toBeNull();
  });
});
