import { unlessAborted } from '../core/clock.ts';
import { widenThreadPool } from '../process/thread-pool.ts';
import { sideBySide } from './calls.ts';
import { below } from './directory/file-name.ts';
import { isLocal, mountId, readMounts } from './directory/mounts.ts';

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

  /** Takes the volume for slow before any entry was worked on. */
  expectSlow(): void {
    for (let i = 0; i < decisive; i++) this.note(Infinity);
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

/** Names that are asked for to know a volume; none is there, so that no answer is remembered. */
const asked = 5;

/** Milliseconds that such a call may take: more than `quick`, for its way to a thread and back. */
const quickByThread = 0.5;

/**
 * Whether calls in one of these directories take so long, or may hang, that they should be made by threads from the first
 * one on. Where a mount has no server, none is made.
 * @throws the signal's reason
 */
export async function isSlowThere(descriptors: readonly number[], signal: AbortSignal): Promise<boolean> {
  for (const descriptor of remoteOf(descriptors)) {
    widenThreadPool();
    let slow = 0;
    for (let i = 0; i < asked; i++) {
      const began = performance.now();
      try {
        await unlessAborted(
          Promise.resolve(sideBySide.lstat(below(descriptor, `..initbox-none-${i}`))),
          signal,
        );
      } catch (error) {
        if (signal.aborted) throw error;
      }
      if (performance.now() - began > quickByThread) slow++;
    }
    if (slow > asked / 2) return true;
  }
  return false;
}

/** Those on mounts that have a server, one of each mount. */
function remoteOf(descriptors: readonly number[]): Iterable<number> {
  const mounts = readMounts();
  if (mounts.every(isLocal)) return [];
  const found = new Map<number, number>();
  for (const descriptor of descriptors) {
    const id = mountId(descriptor);
    const mount = mounts.find((one) => one.id === id);
    if (mount !== undefined && !isLocal(mount)) found.set(mount.id, descriptor);
  }
  return found.values();
}
