import { statfsSync } from 'node:fs';

import { widenThreadPool } from '../process/thread-pool.ts';

/** Calls that are judged together: a few that were held up by something else do not count. */
const together = 16;

/** Of these, so many must have taken long. */
const most = 12;

/** Milliseconds from which a call took long. On a disk of this machine it takes a tenth, on a volume across a network several times that. */
const long = 0.3;

/** Tells whether calls on a volume take long, so that they are worth making side by side. */
export class Tempo {
  #calls = 0;
  #long = 0;
  #slow = false;

  /** Once true, it stays so. */
  get isSlow(): boolean {
    return this.#slow;
  }

  /** Makes a call at once, and takes its time. What it throws is thrown. */
  time<T>(call: () => T): T {
    const begun = performance.now();
    try {
      return call();
    } finally {
      if (performance.now() - begun > long) this.#long++;
      if (++this.#calls === together) {
        this.#slow ||= this.#long >= most;
        this.#calls = 0;
        this.#long = 0;
      }
    }
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
