import type { Work } from './calls.ts';

/**
 * Lets one piece of work at a time deal with what a key stands for. Work whose calls are made at once never waits here:
 * it ends before the next begins.
 */
export class Turns {
  /** By key, who waits for it. */
  readonly #taken = new Map<unknown, (() => void)[]>();

  /** Waits until nobody else has the key, and has it then, until `end`. */
  *take(key: unknown): Work<void> {
    for (;;) {
      const waiting = this.#taken.get(key);
      if (waiting === undefined) break;
      yield new Promise<void>((resolve) => waiting.push(resolve));
    }
    this.#taken.set(key, []);
  }

  end(key: unknown): void {
    const waiting = this.#taken.get(key) ?? [];
    this.#taken.delete(key);
    for (const wake of waiting) wake();
  }
}
