import { isUtf8 } from 'node:buffer';

import { createPrefixTable, LineHashes, shortestText, type PrefixTable } from './prefix-table.ts';

/** Lines of a value that are looked for by themselves have at least so many bytes. */
const shortestLine = 8;

/**
 * Lines that are looked for by themselves, of all values of one time together; each value has the same share of them. No
 * signal is heard while they are taken into a table, and a value of more lines is data that nobody's message has a line of.
 */
const mostLines = 100_000;
/** Lines that each value has at least. */
const leastShare = 4;

/** Values of up to so many bytes, and of letters alone, are words that paths and sentences have too. */
const longestWord = 7;

/** Bits of the filter in front of the tables, for the first four bytes of a text. */
const filterBits = 20;

/** Bytes that are no text are looked for as a program would print them, too, up to this size. */
const largestMisread = 65_536;

/** Values of one time, with the table made of them. */
interface Generation {
  readonly values: readonly (string | Uint8Array)[];
  readonly table: PrefixTable;
}

/**
 * The values that a line must not show. Adding one costs nothing before the next line is looked at; then tables are made
 * of the new ones, and merged with others of their size, so that a value is taken into a table a few times at most.
 */
export class KnownTexts {
  #added: (string | Uint8Array)[] = [];
  readonly #generations: Generation[] = [];
  #filter: Uint8Array | undefined;
  readonly #hashes = new LineHashes();

  /** @param value that has at least four characters besides blanks around it */
  add(value: string | Uint8Array): void {
    this.#added.push(value);
    if (typeof value !== 'string' && value.length <= largestMisread && !isUtf8(value))
      this.#added.push(Buffer.from(value).toString());
  }

  get empty(): boolean {
    return this.#added.length === 0 && this.#generations.length === 0;
  }

  /** Reports each place of the bytes where a value or a line of one stands; where two overlap, both as one. */
  find(bytes: Uint8Array, length: number, found: (from: number, to: number) => void): void {
    const filter = this.#prepared();
    this.#hashes.take(bytes, length);
    let window = 0;
    let from = 0;
    let to = 0;
    for (let end = 1; end <= length; end++) {
      window = (window << 8) | bytes[end - 1]!;
      if (end < shortestText || !passes(filter, window)) continue;
      const at = end - shortestText;
      const longest = this.#longestAt(bytes, length, at);
      if (longest === 0) continue;
      if (at >= to) {
        if (to > from) found(from, to);
        from = at;
      }
      to = Math.max(to, at + longest);
    }
    if (to > from) found(from, to);
  }

  #longestAt(bytes: Uint8Array, length: number, at: number): number {
    let longest = 0;
    for (const { table } of this.#generations) longest = Math.max(longest, table.longestAt(this.#hashes, at));
    const word = longest <= longestWord && areLetters(bytes, at, at + longest);
    return word && !standsAlone(bytes, length, at, at + longest) ? 0 : longest;
  }

  #prepared(): Uint8Array {
    this.#filter ??= new Uint8Array(1 << (filterBits - 3));
    if (this.#added.length === 0) return this.#filter;
    let values: readonly (string | Uint8Array)[] = this.#added;
    this.#added = [];
    let size = sizeOf(values);
    for (
      let last = this.#generations.at(-1);
      last !== undefined && last.table.size <= size * 2;
      last = this.#generations.at(-1)
    ) {
      this.#generations.pop();
      values = [...last.values, ...values];
      size += last.table.size;
    }
    this.#generations.push({ values, table: tableOf(values, size, this.#filter) });
    return this.#filter;
  }
}

function sizeOf(values: readonly (string | Uint8Array)[]): number {
  return values.reduce(
    (sum, value) => sum + (typeof value === 'string' ? Buffer.byteLength(value) : value.length),
    0,
  );
}

function tableOf(values: readonly (string | Uint8Array)[], size: number, filter: Uint8Array): PrefixTable {
  const bytes = Buffer.allocUnsafe(size);
  const ends: number[] = [];
  let written = 0;
  for (const value of values) {
    if (typeof value === 'string') written += bytes.write(value, written);
    else {
      bytes.set(value, written);
      written += value.length;
    }
    ends.push(written);
  }
  const share = shareOf(bytes, ends);
  const most = values.length + Math.min(values.length + size, mostLines + values.length * leastShare);
  const starts = new Uint32Array(most);
  const lengths = new Uint32Array(most);
  let count = 0;
  const take = (start: number, end: number, least: number): void => {
    // A file's byte order mark is no part of what is in it.
    let from =
      bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf ? start + 3 : start;
    let to = end;
    while (from < to && isBlank(bytes[from]!)) from++;
    while (to > from && isBlank(bytes[to - 1]!)) to--;
    if (to - from < least) return;
    const window = bytes.readInt32BE(from);
    filter[placeOf(window) >>> 3]! |= 1 << (placeOf(window) & 7);
    starts[count] = from;
    lengths[count++] = to - from;
  };
  let start = 0;
  // Kept from value to value: each would look through all that are behind it, which is the square of them.
  let next = -1;
  for (const end of ends) {
    take(start, end, shortestText);
    for (let line = start, left = share; left > 0; left--) {
      if (next < line) {
        const found = bytes.indexOf(lineEnd, line);
        next = found < 0 ? size : found;
      }
      const stop = Math.min(next, end);
      if (line > start || stop < end) take(line, stop, shortestLine);
      if (stop === end) break;
      line = stop + 1;
    }
    start = end;
  }
  return createPrefixTable({ bytes, starts, lengths, count }, size);
}

/** Lines that may be taken of each value: all that there are, where they are few. */
function shareOf(bytes: Uint8Array, ends: readonly number[]): number {
  let ofLines = 0;
  let start = 0;
  let next = -1;
  for (const end of ends) {
    if (next < start) {
      const found = bytes.indexOf(lineEnd, start);
      next = found < 0 ? bytes.length : found;
    }
    if (next < end) ofLines++;
    start = end;
  }
  return Math.max(leastShare, Math.floor(mostLines / Math.max(1, ofLines)));
}

const lineEnd = 0x0a;

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function placeOf(window: number): number {
  return Math.imul(window, 0x9e3779b1) >>> (32 - filterBits);
}

function passes(filter: Uint8Array, window: number): boolean {
  const place = placeOf(window);
  return (filter[place >>> 3]! & (1 << (place & 7))) !== 0;
}

function areLetters(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (!isLetter(bytes[at]!)) return false;
  return true;
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function isWordByte(byte: number | undefined): boolean {
  return byte !== undefined && (isLetter(byte) || (byte >= 0x30 && byte <= 0x39) || byte === 0x5f);
}

/** Not a part of a longer word, nor of a path or a file's name: `extra` in `/etc/extra.cnf` is no secret. */
function standsAlone(bytes: Uint8Array, length: number, from: number, to: number): boolean {
  const before = from === 0 ? undefined : bytes[from - 1];
  const after = to >= length ? undefined : bytes[to];
  if (isWordByte(before) || isWordByte(after) || before === slash || after === slash) return false;
  if (isJoint(before) && from > 1 && isWordByte(bytes[from - 2])) return false;
  return !(isJoint(after) && to + 1 < length && isWordByte(bytes[to + 1]));
}

const slash = 0x2f;

function isJoint(byte: number | undefined): boolean {
  return byte === 0x2e || byte === 0x2d;
}
