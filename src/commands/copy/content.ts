import { constants, type Stats } from 'node:fs';

import { type Calls, given, type Soon, type Work } from '../../fs/calls.ts';

/** The most that is copied in one go, in bytes: some milliseconds, so that signals are heard. */
export const atOnce = 4 << 20;

export const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Buffers of one length, made when they are needed, and never more than so many: whoever needs one more waits. */
class Buffers {
  readonly length: number;
  readonly #free: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  #left: number;

  constructor(length: number, most: number) {
    this.length = length;
    this.#left = most;
  }

  take(): Soon<Buffer> {
    const buffer = this.#free.pop();
    if (buffer !== undefined) return buffer;
    if (this.#left === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#left--;
    return Buffer.allocUnsafeSlow(this.length);
  }

  giveBack(buffer: Buffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }
}

/** Most files of most trees fit into a small one, of which as many may be needed as files are under way: 3 MiB in all, with the large ones. */
const small = new Buffers(1 << 14, 64);
const large = new Buffers(1 << 18, 8);

/** Whether a file of that size is read in several steps, between which it may be written to. */
export function isReadInSteps(size: number): boolean {
  return size >= small.length;
}

/** Copies the content of one open file to another that is empty; returns its bytes. */
export function* copyContent(calls: Calls, from: number, to: number, size: number): Work<number> {
  // One byte more than the file has: a read that does not fill the buffer is the last.
  const buffers = size < small.length ? small : large;
  const buffer = yield* given(buffers.take());
  try {
    for (let at = 0; ;) {
      const length = yield* given(calls.read(from, buffer, 0, buffers.length, null));
      if (length === 0) return at;
      for (let done = 0; done < length;) done += yield* given(calls.write(to, buffer, done, length - done));
      at += length;
      // Files of /proc say that they are empty, and are not.
      if (at === size && length < buffers.length) return at;
    }
  } finally {
    buffers.giveBack(buffer);
  }
}

/** Whether two open files of about that size hold the same. */
export function* sameContent(calls: Calls, one: number, other: number, size: number): Work<boolean> {
  const buffers = size < small.length >> 1 ? small : large;
  const buffer = yield* given(buffers.take());
  try {
    const chunk = buffers.length >> 1;
    const [first, second] = [buffer.subarray(0, chunk), buffer.subarray(chunk)];
    for (let at = 0; ;) {
      const length = yield* readFully(calls, one, first, at);
      if (length !== (yield* readFully(calls, other, second, at))) return false;
      if (!first.subarray(0, length).equals(second.subarray(0, length))) return false;
      if (length < chunk) return true;
      at += length;
    }
  } finally {
    buffers.giveBack(buffer);
  }
}

/**
 * Whether an open file begins with what another one holds.
 * @param size how much of them that is, in bytes
 */
export function* beginsWith(calls: Calls, whole: number, part: number, size: number): Work<boolean> {
  const buffer = yield* given(large.take());
  try {
    const chunk = buffer.length >> 1;
    for (let at = 0; at < size;) {
      const wanted = Math.min(chunk, size - at);
      const [first, second] = [buffer.subarray(0, wanted), buffer.subarray(chunk, chunk + wanted)];
      const length = yield* readFully(calls, whole, first, at);
      if (length < wanted || (yield* readFully(calls, part, second, at)) < wanted) return false;
      if (!first.equals(second)) return false;
      at += length;
    }
    return true;
  } finally {
    large.giveBack(buffer);
  }
}

function* readFully(calls: Calls, descriptor: number, into: Buffer, position: number): Work<number> {
  let length = 0;
  while (length < into.length) {
    const read = yield* given(calls.read(descriptor, into, length, into.length - length, position + length));
    if (read === 0) break;
    length += read;
  }
  return length;
}

/**
 * Times are as coarse as the kernel's clock, 10 ms at most, or whole seconds, two of them on FAT: milliseconds within which
 * two changes may have one time.
 */
const coarse = 20;
const coarsest = 2000;

/**
 * Whether a change after a look may have left the time of change as it was: so it may, where that is about as late as the look.
 * @param time of the last change, in milliseconds since 1970
 * @param since when looks began, in milliseconds since 1970
 */
export function hidesChanges(time: number, since: number): boolean {
  return time > since - (time % 1000 === 0 ? coarsest : coarse);
}

/** 1981-01-01, in milliseconds. Reproducible builds give every file one time: 0, 1 s, or the first that zip can tell. */
const meaningful = 347_155_200_000;

/** Times are compared to 2 µs: a double holds no more of a time in seconds. */
const fine = 0.002;

/** What size and time say about whether two files hold the same. */
export function likeness(source: Stats, there: Stats, always: boolean): 'same' | 'different' | 'unknown' {
  if (source.size !== there.size) return 'different';
  return sameTime(source, there) && !always && source.mtimeMs >= meaningful ? 'same' : 'unknown';
}

export function sameTime(source: Stats, there: Stats): boolean {
  return Math.abs(source.mtimeMs - there.mtimeMs) <= fine;
}

/** The same for two open files; false where one of them cannot be read. */
export function* holdTheSame(calls: Calls, one: number, other: number, size: number): Work<boolean> {
  try {
    return yield* sameContent(calls, one, other, size);
  } catch {
    return false; // it is copied, or the copying says why not
  }
}
