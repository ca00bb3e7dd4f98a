/**
 * A text with one of its encodings taken off: what a value would look like in it. The encodings are taken off the log's
 * line, which is short, and not put on the values, which may have megabytes.
 */
export interface View {
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Where a piece of the view stands in the line. */
  readonly place: (from: number, to: number) => readonly [from: number, to: number];
}

/** Bytes of a value that are looked for at least (base64 makes six characters of them, hex eight). */
const shortest = 4;

/**
 * The line as it is, and with percent encoding (RFC 3986) or JSON's escapes taken off; and what is in each of these by
 * base64, in both alphabets, or hex.
 */
export function* viewsOf(line: Uint8Array): Generator<View> {
  for (const outer of unescapedViews(line)) {
    yield outer;
    for (const { bytes, length, place } of packedViews(outer.bytes.subarray(0, outer.length)))
      yield { bytes, length, place: (from, to) => outer.place(...place(from, to)) };
  }
}

function* unescapedViews(line: Uint8Array): Generator<View> {
  yield { bytes: line, length: line.length, place: (from, to) => [from, to] };
  if (line.includes(percent)) yield unescaped(line, percent, readPercent);
  if (line.includes(backslash)) yield unescaped(line, backslash, readJsonEscape);
}

/** A value may begin with any of the characters of a group where it is a part of something encoded. */
function* packedViews(line: Uint8Array): Generator<View> {
  for (const [from, to] of runsOf(line, sextets, 6))
    for (let shift = 0; shift < 4; shift++) yield packed(line, from + shift, to, sextets, 6);
  for (const [from, to] of runsOf(line, nibbles, 8))
    for (let shift = 0; shift < 2; shift++) yield packed(line, from + shift, to, nibbles, 4);
}

const percent = 0x25;
const backslash = 0x5c;

/** How many bytes an escape takes, and what it stands for. */
type Escape = readonly [taken: number, bytes: readonly number[]];

function unescaped(
  line: Uint8Array,
  mark: number,
  read: (line: Uint8Array, at: number) => Escape | undefined,
): View {
  const bytes = new Uint8Array(line.length);
  const starts = new Uint32Array(line.length + 1);
  let length = 0;
  for (let at = 0; at < line.length;) {
    const escape = line[at] === mark ? read(line, at) : undefined;
    const [taken, made] = escape ?? [1, undefined];
    if (made === undefined) {
      starts[length] = at;
      bytes[length++] = line[at]!;
    } else
      for (const byte of made) {
        starts[length] = at;
        bytes[length++] = byte;
      }
    at += taken;
    starts[length] = at;
  }
  return { bytes, length, place: (from, to) => [starts[from]!, starts[to]!] };
}

function readPercent(line: Uint8Array, at: number): Escape | undefined {
  const value = hexAt(line, at + 1, 2);
  return value === undefined ? undefined : [3, [value]];
}

const escapes: Readonly<Record<string, number>> = {
  '"': 0x22,
  '\\': 0x5c,
  '/': 0x2f,
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
};

function readJsonEscape(line: Uint8Array, at: number): Escape | undefined {
  const letter = String.fromCharCode(line[at + 1] ?? 0);
  const plain = escapes[letter];
  if (plain !== undefined) return [2, [plain]];
  if (letter !== 'u') return undefined;
  const first = hexAt(line, at + 2, 4);
  if (first === undefined) return undefined;
  const second =
    first >= 0xd800 && first <= 0xdbff && line[at + 6] === backslash && line[at + 7] === 0x75
      ? hexAt(line, at + 8, 4)
      : undefined;
  if (second !== undefined && second >= 0xdc00 && second <= 0xdfff)
    return [12, [...Buffer.from(String.fromCharCode(first, second))]];
  return [6, [...Buffer.from(String.fromCharCode(first))]];
}

function hexAt(line: Uint8Array, at: number, digits: number): number | undefined {
  let value = 0;
  for (let index = at; index < at + digits; index++) {
    const digit = index < line.length ? nibbles[line[index]!]! : absent;
    if (digit === absent) return undefined;
    value = value * 16 + digit;
  }
  return value;
}

const absent = 255;

/** What each character stands for in base64 (RFC 4648, 4 and 5) and in hex. */
const sextets = alphabet('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', '-_', 62);
const nibbles = alphabet('0123456789abcdef', 'ABCDEF', 10);

function alphabet(characters: string, others: string, first: number): Uint8Array {
  const values = new Uint8Array(256).fill(absent);
  for (const [index, character] of characters.split('').entries()) values[character.charCodeAt(0)] = index;
  for (const [index, character] of others.split('').entries())
    values[character.charCodeAt(0)] = first + index;
  return values;
}

function* runsOf(line: Uint8Array, values: Uint8Array, least: number): Generator<[from: number, to: number]> {
  for (let from = 0; from < line.length; from++) {
    let to = from;
    while (to < line.length && values[line[to]!] !== absent) to++;
    if (to - from >= least) yield [from, to];
    from = to;
  }
}

/** Characters of a few bits each, as the bytes that they make; the padding behind the last goes with it. */
function packed(line: Uint8Array, from: number, to: number, values: Uint8Array, bits: number): View {
  const length = Math.max(0, Math.floor(((to - from) * bits) / 8));
  const bytes = new Uint8Array(length < shortest ? 0 : length);
  let [pending, held, made] = [0, 0, 0];
  for (let at = from; made < bytes.length; at++) {
    held = ((held << bits) | values[line[at]!]!) & 0xffff;
    pending += bits;
    if (pending < 8) continue;
    pending -= 8;
    bytes[made++] = (held >> pending) & 0xff;
  }
  return {
    bytes,
    length: bytes.length,
    place(start, stop) {
      let end = stop;
      const first = from + Math.floor((start * 8) / bits);
      // A line end that is encoded with the value.
      while (end < bytes.length && bytes[end]! <= blank) end++;
      let last = from + Math.ceil((end * 8) / bits);
      if (last === to) while (line[last] === equals) last++;
      return [first, last];
    },
  };
}

const blank = 0x20;
const equals = 0x3d;
