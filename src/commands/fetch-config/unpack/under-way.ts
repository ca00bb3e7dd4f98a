import type { RawName } from '../../../fs/directory/file-name.ts';
import { Lanes } from '../../../fs/lanes.ts';

/** Work that is begun and not done: as many entries as a dozen folders may hold, and so many bytes of content. */
const mostEntries = 2048;
const mostBytes = 8 << 20;

/** What is not begun any more, at the end. */
class Stopped extends Error {}

/** The entries of an archive that are being made, several at once, within bounds. */
export class UnderWay {
  readonly #lanes = new Lanes();
  /** By their path, the last work on it. */
  readonly #last = new Map<RawName, Promise<void>>();
  #entries = 0;
  #bytes = 0;
  #calls = 0;
  #failure: { readonly error: unknown } | undefined;
  #stopped = false;
  #waiting: (() => void)[] = [];

  /**
   * Begins some work on a path, once what was begun on it earlier is done.
   * @param bytes of memory that it holds until then
   * @throws what work that was begun earlier failed with
   */
  begin(path: RawName, bytes: number, work: () => Promise<void>): void {
    this.check();
    if (this.#stopped) throw new Stopped('it is not begun any more');
    this.#entries++;
    this.#bytes += bytes;
    const running = this.#run(this.#last.get(path), bytes, work);
    this.#last.set(path, running);
    void running.then(() => {
      if (this.#last.get(path) === running) this.#last.delete(path);
    });
  }

  /** @throws what work that was begun failed with, the first of it */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Done when the work on a path is; undefined where there is none. It never rejects. */
  on(path: RawName): Promise<void> | undefined {
    return this.#last.get(path);
  }

  /** Makes calls within the work, when it is their turn. @throws what other work failed with, or Stopped */
  call<T>(work: () => Promise<T>): Promise<T> {
    return this.#lanes.run(async () => {
      this.check();
      if (this.#stopped) throw new Stopped('it is not begun any more');
      this.#calls++;
      try {
        return await work();
      } finally {
        this.#calls--;
        if (this.#stopped) this.#wake();
      }
    });
  }

  /** Whether no more should be begun for now; `ended` tells when to look again. */
  get isFull(): boolean {
    return this.#entries >= mostEntries || this.#bytes >= mostBytes;
  }

  /** Done when one more entry is. */
  ended(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  /** Done when everything is. @throws what any of it failed with */
  async all(): Promise<void> {
    while (this.#entries > 0) await this.ended();
    this.check();
  }

  /** Lets no call begin any more; done when none is being made. */
  async stop(): Promise<void> {
    this.#stopped = true;
    while (this.#entries > 0 || this.#calls > 0) await this.ended();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #run(before: Promise<void> | undefined, bytes: number, work: () => Promise<void>): Promise<void> {
    try {
      await before;
      await work();
    } catch (error) {
      if (!(error instanceof Stopped)) this.#failure ??= { error };
    }
    this.#entries--;
    this.#bytes -= bytes;
    this.#wake();
  }
}
