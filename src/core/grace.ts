import type { Clock } from './clock.ts';

/** Time to clean up once the work was ended by a signal or its deadline. What is not done by then is left. */
export class Grace implements Disposable {
  #over = false;
  #cancel = (): void => {};
  readonly #signal: AbortSignal;
  readonly #begin: () => void;

  /** @param milliseconds from the moment in which the signal is aborted; without that there is no end */
  constructor(signal: AbortSignal, clock: Clock, milliseconds: number) {
    this.#signal = signal;
    this.#begin = () => {
      this.#cancel = clock.after(milliseconds, () => {
        this.#over = true;
      });
    };
    if (signal.aborted) this.#begin();
    else signal.addEventListener('abort', this.#begin, { once: true });
  }

  get over(): boolean {
    return this.#over;
  }

  [Symbol.dispose](): void {
    this.#cancel();
    this.#signal.removeEventListener('abort', this.#begin);
  }
}
