import { statfsSync } from 'node:fs';

import { widenThreadPool } from '../process/thread-pool.ts';

/** Milliseconds that an entry may take before its volume is a slow one: in memory it takes 0.01, on a disk not much more. */
const quick = 0.2;

/** Entries that are remembered, and how many of them make a volume slow: a container that has used up its share of the processors stands still now and then. */
const remembered = 24;
const decisive = 16;

/** Whether calls on a volume take so long that many of them should be under way at a time. */
export class Pace {
  readonly #slow: boolean[] = [];
  #count = 0;
  #slowCount = 0;
  #last = false;

  /** @param milliseconds that one entry took */
  note(milliseconds: number): void {
    const at = this.#count++ % remembered;
    if (this.#slow[at] === true) this.#slowCount--;
    this.#slow[at] = this.#last = milliseconds > quick;
    if (this.#last) this.#slowCount++;
  }

  /** Makes a call at once, and takes its time. What it throws is thrown. */
  time<T>(call: () => T): T {
    const begun = performance.now();
    try {
      return call();
    } finally {
      this.note(performance.now() - begun);
    }
  }

  get isSlow(): boolean {
    return this.#slowCount >= decisive;
  }

  /** Whether enough has been seen to say that it is not slow. */
  get isKnown(): boolean {
    return this.#count >= remembered;
  }

  /** Whether every entry counts now; otherwise one now and then is enough, since a volume may become slow. */
  get isOpen(): boolean {
    return this.#last || this.#count < remembered;
  }
}

/** f_type of statfs(2) for file systems of this machine, on which a call takes microseconds. */
const local: ReadonlySet<number> = new Set([
  0x01021994 /* tmpfs */, 0x858458f6 /* ramfs */, 0xef53 /* ext4 */, 0x58465342 /* xfs */,
  0x9123683e /* btrfs */, 0x794c7630 /* overlay */,
]);

/** Has many threads make calls, where a folder may well be on a slow volume: once any were used, it is too late for that. */
export function prepareForSlow(folder: string): void {
  try {
    if (!local.has(statfsSync(folder).type)) widenThreadPool();
  } catch {
    // What is wrong with it is said by those who write to it.
  }
}
