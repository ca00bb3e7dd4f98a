import { KnownTexts } from './known-texts.ts';

/** Without its blanks, a value has at least so many bytes, or words of a sentence would be taken for it. */
const shortestFolded = 8;

/**
 * Values with blanks or line ends in them, found whatever blanks a text has in their place: servers, drivers and log
 * pipelines put the lines of a value on one line, with a blank between them or with nothing.
 */
export class FoldedTexts {
  #added: (string | Uint8Array)[] = [];
  readonly #known = new KnownTexts();
  /** The text that is looked into, without its blanks, and where each byte of it stood; used for each text again. */
  #bytes = new Uint8Array(0);
  #starts = new Uint32Array(0);

  add(value: string | Uint8Array): void {
    this.#added.push(value);
  }

  /** Reports each place of the bytes where a value stands, with blanks of any kind in it. */
  find(bytes: Uint8Array, length: number, found: (from: number, to: number) => void): void {
    if (length < shortestFolded) return;
    this.#prepare();
    if (this.#known.empty) return;
    if (this.#bytes.length < length) {
      this.#bytes = new Uint8Array(length * 2);
      this.#starts = new Uint32Array(length * 2);
    }
    const starts = this.#starts;
    const folded = withoutBlanks(bytes, 0, length, this.#bytes, 0, starts);
    this.#known.find(this.#bytes, folded, (from, to) => found(starts[from]!, starts[to - 1]! + 1));
  }

  #prepare(): void {
    if (this.#added.length === 0) return;
    const values = this.#added;
    this.#added = [];
    let most = 0;
    for (const value of values) most += typeof value === 'string' ? Buffer.byteLength(value) : value.length;
    // One piece of memory for all of them: megabytes may come as thousands of values, and no signal is heard meanwhile.
    const all = Buffer.allocUnsafe(most);
    let start = 0;
    for (const value of values) {
      let size = value.length;
      if (typeof value === 'string') size = all.write(value, start);
      else all.set(value, start);
      const [from, to] = inner(all, start, start + size);
      if (to - from >= worthALook && !mayHaveBlanks(all.subarray(from, to))) continue;
      const end = withoutBlanks(all, from, to, all, start);
      if (end - start === to - from || end - start < shortestFolded) continue;
      this.#known.add(all.subarray(start, end));
      start = end;
    }
  }
}

/** Bytes from which on it is quicker to have Node look for blanks before each byte is looked at here. */
const worthALook = 256;

/** The bytes of ASCII's blanks, and those with which all others begin. */
const blankBytes = [0x20, 0x0a, 0x0d, 0x09, 0x0b, 0x0c, 0xc2, 0xe2];

function mayHaveBlanks(bytes: Buffer): boolean {
  return blankBytes.some((byte) => bytes.includes(byte));
}

/** What stands between the blanks at both ends: they don't make a value one of several words. */
function inner(bytes: Uint8Array, start: number, end: number): readonly [from: number, to: number] {
  let [from, to] = [start, end];
  while (from < to && blankAt(bytes, from) > 0) from += blankAt(bytes, from);
  while (to > from && bytes[to - 1]! <= 0x20 && blankAt(bytes, to - 1) > 0) to--;
  return [from, to];
}

/** Writes what is no blank to a place in front of it, or into other memory. @returns where it ends */
function withoutBlanks(
  text: Uint8Array,
  from: number,
  to: number,
  bytes: Uint8Array,
  start: number,
  starts?: Uint32Array,
): number {
  let length = start;
  for (let at = from; at < to;) {
    const blank = text[at]! <= 0x20 || text[at]! >= 0xc2 ? blankAt(text, at) : 0;
    if (blank > 0) {
      at += blank;
      continue;
    }
    if (starts !== undefined) starts[length] = at;
    bytes[length++] = text[at++]!;
  }
  return length;
}

/** How many bytes a blank takes that stands at a place: ASCII's, U+0085, U+00A0, U+2000 to U+200B, U+2028, U+2029, U+202F. */
function blankAt(text: Uint8Array, at: number): number {
  const byte = text[at]!;
  if (byte <= 0x20) return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) ? 1 : 0;
  if (byte === 0xc2) return text[at + 1] === 0x85 || text[at + 1] === 0xa0 ? 2 : 0;
  if (byte !== 0xe2 || text[at + 1] !== 0x80) return 0;
  const last = text[at + 2]!;
  return (last >= 0x80 && last <= 0x8b) || last === 0xa8 || last === 0xa9 || last === 0xaf ? 3 : 0;
}
