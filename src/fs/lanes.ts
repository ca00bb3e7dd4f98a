/** Calls that are under way at once on a slow volume: more threads than these gain little, and each takes memory. */
export const usualLanes = 32;

/** Lets so many pieces of work be under way at once, in the order in which they came. */
export class Lanes {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  #first = 0;

  constructor(most: number = usualLanes) {
    this.#free = most;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  /** The lane goes from one to the next without being free in between. */
  #next(): void {
    const next = this.#waiting[this.#first];
    if (next === undefined) {
      this.#waiting.length = 0;
      this.#first = 0;
      this.#free++;
      return;
    }
    this.#first++;
    if (this.#first > 1024) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    next();
  }

  /**
   * Does some work for each item: side by side as far as lanes are free, else one after the other. Never waits for a lane,
   * so that what has one may call this for what is below it.
   * @returns the results in the order of the items
   * @throws what the first of them threw, once none is under way any more
   */
  async branch<I, R>(items: readonly I[], work: (item: I) => Promise<R>): Promise<R[]> {
    const results: R[] = [];
    const failures: unknown[] = [];
    const running: Promise<void>[] = [];
    for (const [index, item] of items.entries()) {
      if (failures.length > 0) break;
      const one = async (): Promise<void> => {
        try {
          results[index] = await work(item);
        } catch (error) {
          failures.push(error);
        }
      };
      if (this.#free === 0) await one();
      else {
        this.#free--;
        running.push(one().finally(() => this.#next()));
      }
    }
    await Promise.all(running);
    if (failures.length > 0) throw failures[0];
    return results;
  }
}
