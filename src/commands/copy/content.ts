import { constants, readSync, type Stats, writeSync } from 'node:fs';

/** The most that is copied in one go, in bytes: some milliseconds, so that signals are heard. */
export const atOnce = 4 << 20;

const chunk = 1 << 18;
const buffer = Buffer.allocUnsafeSlow(chunk);
let second: Buffer | undefined;

export const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Copies the content of one open file to another that is empty; returns its bytes. */
export function copyContent(from: number, to: number, size: number): number {
  let at = 0;
  for (;;) {
    const length = readSync(from, buffer, 0, chunk, null);
    if (length === 0) return at;
    for (let done = 0; done < length;) done += writeSync(to, buffer, done, length - done);
    at += length;
    // Files of /proc say that they are empty, and are not.
    if (at === size && length < chunk) return at;
  }
}

/** Whether two open files hold the same. */
export function sameContent(one: number, other: number): boolean {
  second ??= Buffer.allocUnsafeSlow(chunk);
  for (let at = 0; ;) {
    const length = readFully(one, buffer, at);
    if (length !== readFully(other, second, at)) return false;
    if (!buffer.subarray(0, length).equals(second.subarray(0, length))) return false;
    if (length < chunk) return true;
    at += length;
  }
}

function readFully(descriptor: number, into: Buffer, position: number): number {
  let length = 0;
  while (length < chunk) {
    const read = readSync(descriptor, into, length, chunk - length, position + length);
    if (read === 0) break;
    length += read;
  }
  return length;
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
export function holdTheSame(one: number, other: number): boolean {
  try {
    return sameContent(one, other);
  } catch {
    return false; // it is copied, or the copying says why not
  }
}
