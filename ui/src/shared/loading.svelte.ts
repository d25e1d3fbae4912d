// A value that the backend gives: what was said last, whether it is being asked again, and what went wrong.

import { asTrouble, type Trouble } from '../ipc/backend';

/** Loads a value and keeps the newest answer. An older answer that comes late is dropped. */
export class Loading<T> {
  value = $state.raw<T | null>(null);
  trouble = $state.raw<Trouble | null>(null);
  busy = $state(false);
  #turn = 0;
  readonly #load: () => Promise<T>;

  constructor(load: () => Promise<T>) {
    this.#load = load;
  }

  async load(): Promise<void> {
    const turn = ++this.#turn;
    this.busy = true;
    try {
      const value = await this.#load();
      if (turn !== this.#turn) return;
      this.value = value;
      this.trouble = null;
    } catch (thrown) {
      if (turn !== this.#turn) return;
      this.value = null;
      this.trouble = asTrouble(thrown);
    } finally {
      if (turn === this.#turn) this.busy = false;
    }
  }
}
