// Moving through a list, or a text, with the keyboard.

/** The row to go to, or none where the key means nothing here. `at` is -1 while no row has the focus. */
export function step(key: string, at: number, count: number): number | null {
  if (count === 0) return null;
  switch (key) {
    case 'ArrowDown':
    case 'j':
      return Math.min(at + 1, count - 1);
    case 'ArrowUp':
    case 'k':
      return at < 0 ? count - 1 : Math.max(at - 1, 0);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}

/** Moves the focus among the elements with `data-row` below `root`, for a key pressed anywhere in the window. */
export function stepFocus(event: KeyboardEvent, root: HTMLElement): void {
  if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
  const rows = [...root.querySelectorAll<HTMLElement>('[data-row]')];
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = step(event.key, at, rows.length);
  if (next === null) return;
  event.preventDefault();
  rows[next]?.focus();
  rows[next]?.scrollIntoView?.({ block: 'nearest' });
}

/** Whether a key press is text for a field. */
export function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && ['INPUT', 'SELECT', 'TEXTAREA'].includes(target.tagName);
}

const LINE_PX = 48;

/** How far a key moves a text of which `visible` pixels of `whole` are seen, down or up; none where it means nothing here. */
export function scrollStep(key: string, visible: number, whole: number): number | null {
  const page = Math.max(LINE_PX, visible - LINE_PX);
  switch (key) {
    case 'ArrowDown':
      return LINE_PX;
    case 'ArrowUp':
      return -LINE_PX;
    case 'PageDown':
      return page;
    case 'PageUp':
      return -page;
    case 'Home':
      return -whole;
    case 'End':
      return whole;
    default:
      return null;
  }
}

/** Scrolls an element for a key pressed anywhere in the window, so that nothing has to have the focus to be read. */
export function scrollWith(event: KeyboardEvent, element: HTMLElement): void {
  if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
  const by = scrollStep(event.key, element.clientHeight, element.scrollHeight);
  if (by === null) return;
  event.preventDefault();
  element.scrollTop += by;
}
