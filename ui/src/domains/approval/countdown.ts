// The countdown of a question, and the guard before its first answer.

/** What the ring shows. */
export interface Countdown {
  /** Whole seconds left, rounded up: `1` until the very end. */
  seconds: number;
  /** Part of the time that is left, 1 to 0. */
  part: number;
  over: boolean;
  /** So little is left that a person should be told. */
  urgent: boolean;
}

const URGENT_SECONDS = 10;

/** How much time is left. */
export function countdown(asked: number, deadline: number, now: number): Countdown {
  const left = Math.max(0, deadline - now);
  const whole = Math.max(1, deadline - asked);
  const seconds = Math.ceil(left / 1000);
  return { seconds, part: Math.min(1, left / whole), over: left === 0, urgent: seconds <= URGENT_SECONDS };
}

/** `0:42`, `2:05`. */
export function minutes(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Whether a key press refuses: Escape, and nothing else. No key approves. */
export function refuses(event: Pick<KeyboardEvent, 'key'>): boolean {
  return event.key === 'Escape';
}
