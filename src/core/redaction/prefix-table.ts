/**
 * Texts to look for, found by the hashes of their beginnings. Building takes time linear in their bytes, and a look at
 * one place of a line takes one probe for each halving of the number of distinct lengths, whatever the texts and the
 * line are: many texts with one beginning, or a line of near matches, cost no more than others.
 *
 * It is the binary search on prefix lengths of Waldvogel, Varghese, Turner and Plattner, "Scalable High Speed IP Routing
 * Lookups" (SIGCOMM 1997), over bytes. A hit is not compared with the text itself: two polynomial hashes of 32 bits with
 * bases that differ in each run must agree, and an accident would only hide a piece of a log line too many.
 */
export interface PrefixTable {
  /** Bytes of the texts in it. */
  readonly size: number;
  /** The length of the longest text that begins at a place of the line; 0 where none does. */
  longestAt(line: LineHashes, from: number): number;
}

/** Polynomials modulo 2^32 need an odd base, or old bytes would be shifted out. */
const baseA = oddBase();
const baseB = oddBase();

function oddBase(): number {
  return Math.floor(Math.random() * 2 ** 31) * 2 + 1;
}

/** Bytes that a text has at least: the filter in front of the table looks at so many. */
export const shortestText = 4;

/** The hashes of all beginnings of a line, made when they are first asked for. */
export class LineHashes {
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;
  #made = false;
  #a = new Int32Array(0);
  #b = new Int32Array(0);

  /** Takes another line, in the same memory. */
  take(bytes: Uint8Array, length: number): void {
    this.#bytes = bytes;
    this.#length = length;
    this.#made = false;
  }

  get length(): number {
    return this.#length;
  }

  hashA(from: number, to: number, power: number): number {
    if (!this.#made) this.#make();
    return (this.#a[to]! - Math.imul(this.#a[from]!, power)) | 0;
  }

  hashB(from: number, to: number, power: number): number {
    return (this.#b[to]! - Math.imul(this.#b[from]!, power)) | 0;
  }

  #make(): void {
    if (this.#a.length <= this.#length) {
      this.#a = new Int32Array(this.#length * 2 + 64);
      this.#b = new Int32Array(this.#length * 2 + 64);
    }
    let a = 0;
    let b = 0;
    for (let at = 0; at < this.#length; at++) {
      const byte = this.#bytes[at]! + 1;
      this.#a[at + 1] = a = (Math.imul(a, baseA) + byte) | 0;
      this.#b[at + 1] = b = (Math.imul(b, baseB) + byte) | 0;
    }
    this.#made = true;
  }
}

/** Where texts lie: `length * 2^26 + index` sorts them by length; `starts` says where each begins. */
export interface Texts {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
  readonly count: number;
}

const indexes = 2 ** 26;

/** Makes the table; the bytes may go afterwards. */
export function createPrefixTable({ bytes, starts, lengths, count }: Texts, size: number): PrefixTable {
  const order = new Float64Array(count);
  for (let index = 0; index < count; index++) order[index] = lengths[index]! * indexes + index;
  order.sort();
  const distinct = distinctLengths(order);
  const powersA = distinct.map((length) => powerOf(baseA, length));
  const powersB = distinct.map((length) => powerOf(baseB, length));
  const entries = new HashEntries(count * 2);
  // The hashes of one text's beginnings, of each distinct length.
  const hashesA = new Int32Array(distinct.length);
  const hashesB = new Int32Array(distinct.length);
  const sums = new Int32Array(2);
  let own = 0;
  // Plain loops: this is where megabytes of secrets are paid for, and no signal is heard meanwhile.
  for (let place = 0; place < count; place++) {
    const entry = order[place]!;
    const index = entry % indexes;
    const length = (entry - index) / indexes;
    while (distinct[own] !== length) own++;
    let at = starts[index]!;
    const start = at;
    let a = 0;
    let b = 0;
    sums.fill(0);
    for (let level = 0; level <= own; level++) {
      const end = start + distinct[level]!;
      while (at < end) {
        const stop = Math.min(end, at + hashedAtOnce);
        hashOn(sums, bytes, at, stop);
        at = stop;
      }
      hashesA[level] = a = sums[0]!;
      hashesB[level] = b = sums[1]!;
    }
    if (entries.get(a, b, own) === own) continue;
    // Shorter texts are all in: marks on the way to this one's length know the longest of them that fits.
    let best = none;
    let seen = 0;
    let low = 0;
    let high = distinct.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (middle >= own) {
        high = middle - 1;
        continue;
      }
      for (; seen <= middle; seen++)
        if (entries.get(hashesA[seen]!, hashesB[seen]!, seen) === seen) best = seen;
      entries.add(hashesA[middle]!, hashesB[middle]!, middle, best);
      low = middle + 1;
    }
    entries.put(a, b, own, own);
  }
  return {
    size,
    longestAt(line, from) {
      const rest = line.length - from;
      let best = none;
      let low = 0;
      let high = distinct.length - 1;
      while (low <= high) {
        const middle = (low + high) >> 1;
        const length = distinct[middle]!;
        const known =
          length > rest
            ? undefined
            : entries.get(
                line.hashA(from, from + length, powersA[middle]!),
                line.hashB(from, from + length, powersB[middle]!),
                middle,
              );
        if (known === undefined) high = middle - 1;
        else {
          if (known !== none) best = known;
          low = middle + 1;
        }
      }
      return best === none ? 0 : distinct[best]!;
    },
  };
}

const none = -1;

/** V8 compiles a function that is called often, and much later a loop that is inside of one. */
const hashedAtOnce = 2048;

function hashOn(sums: Int32Array, bytes: Uint8Array, from: number, to: number): void {
  let a = sums[0]!;
  let b = sums[1]!;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]! + 1;
    a = (Math.imul(a, baseA) + byte) | 0;
    b = (Math.imul(b, baseB) + byte) | 0;
  }
  sums[0] = a;
  sums[1] = b;
}

function distinctLengths(order: Float64Array): Int32Array {
  const found: number[] = [];
  let last = 0;
  for (let place = 0; place < order.length; place++) {
    const length = Math.floor(order[place]! / indexes);
    if (length !== last) found.push(length);
    last = length;
  }
  return Int32Array.from(found);
}

function powerOf(base: number, exponent: number): number {
  let [result, square, rest] = [1, base, exponent];
  for (; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}

/**
 * A hash table in one typed array: the objects of a Map would take five times the memory, and an array for each field four
 * looks into memory that no cache holds.
 */
class HashEntries {
  /**
   * Of each place: both hashes; which of the lengths the beginning has, and 0 in a free place; the longest text in it, as
   * the place of its length.
   */
  #cells: Int32Array;
  #mask: number;
  #used = 0;

  constructor(expected: number) {
    let places = 64;
    while (places < expected) places *= 2;
    this.#mask = places - 1;
    this.#cells = new Int32Array(places * fieldsOfCell);
  }

  get(a: number, b: number, level: number): number | undefined {
    const cell = this.#cellOf(a, b, level);
    return this.#cells[cell + 2] === 0 ? undefined : this.#cells[cell + 3];
  }

  /** Adds a beginning unless it is there. */
  add(a: number, b: number, level: number, best: number): void {
    const cell = this.#cellOf(a, b, level);
    if (this.#cells[cell + 2] === 0) this.#write(cell, a, b, level, best);
  }

  put(a: number, b: number, level: number, best: number): void {
    this.#write(this.#cellOf(a, b, level), a, b, level, best);
  }

  #write(cell: number, a: number, b: number, level: number, best: number): void {
    const cells = this.#cells;
    const free = cells[cell + 2] === 0;
    cells[cell] = a;
    cells[cell + 1] = b;
    cells[cell + 2] = level + 1;
    cells[cell + 3] = best;
    if (free && ++this.#used * 2 > this.#mask) this.#grow();
  }

  #cellOf(a: number, b: number, level: number): number {
    const cells = this.#cells;
    const mask = this.#mask;
    let place = (Math.imul(a ^ Math.imul(b, 0x85ebca6b), 0x9e3779b1) >>> 7) & mask;
    for (;;) {
      const cell = place * fieldsOfCell;
      if (cells[cell + 2] === 0) return cell;
      if (cells[cell] === a && cells[cell + 1] === b && cells[cell + 2] === level + 1) return cell;
      place = (place + 1) & mask;
    }
  }

  #grow(): void {
    const old = this.#cells;
    const places = (this.#mask + 1) * 2;
    this.#mask = places - 1;
    this.#used = 0;
    this.#cells = new Int32Array(places * fieldsOfCell);
    for (let cell = 0; cell < old.length; cell += fieldsOfCell)
      if (old[cell + 2] !== 0) this.put(old[cell]!, old[cell + 1]!, old[cell + 2]! - 1, old[cell + 3]!);
  }
}

const fieldsOfCell = 4;
