import { absent, nibbles, quintets, sextets } from './alphabets.ts';
import {
  backslashes,
  doubleQuotes,
  entities,
  formEncoding,
  hexPairs,
  lineWraps,
  hexDumps,
  nulBytes,
  percentEncodedLatin1,
  percentEncoding,
  quotedPrintable,
  singleQuotes,
  swappedHexDumps,
  unescape,
  type Escaping,
} from './escapes.ts';

/**
 * A text with up to three encodings taken off: what a value would look like in it. The encodings are taken off the log's
 * line, which is short, and not put on the values, which may have megabytes.
 */
export interface View {
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Where a piece of the view stands in the line. */
  readonly place: (from: number, to: number) => readonly [from: number, to: number];
}

/** A body that a server repeats in its own JSON, in a header or a URL that a proxy logs: that makes three. */
const deepest = 3;

/**
 * The work of one line: the bytes that all of its views have together are at most so many for each byte of the line, and so
 * many for any line. Views with few encodings come first.
 */
const bytesPerByte = 16;
const bytesPerLine = 16_384;

/** Bytes of a value that are looked for at least (base64 makes six characters of them, base32 seven, hex eight). */
const shortest = 4;
const shortestBase64 = 6;
const shortestBase32 = 7;
const shortestHex = 8;

const escapings: readonly Escaping[] = [
  percentEncoding,
  backslashes,
  entities,
  formEncoding,
  singleQuotes,
  doubleQuotes,
  lineWraps,
  hexPairs,
  percentEncodedLatin1,
  quotedPrintable,
  nulBytes,
  hexDumps,
  swappedHexDumps,
];

/** Alphabets that are parts of that of base64; a value may begin with any character of a group. */
const within = [
  { values: nibbles, bits: 4, least: shortestHex, shifts: 2 },
  { values: quintets, bits: 5, least: shortestBase32, shifts: 8 },
];

/** A view that others may be made from. */
interface Layer extends View {
  readonly depth: number;
  /** True where a piece is written in the layer below as it is here, so that it was looked into there. */
  readonly known: (from: number, to: number) => boolean;
}

interface Work {
  left: number;
  /** Views that were made in another order of the same encodings: two that touch different characters commute. */
  readonly seen: Set<string>;
}

/** The line as it is, and with its encodings taken off, one, then two, then three of them in any order. */
export function* viewsOf(line: Uint8Array): Generator<View> {
  const work: Work = { left: line.length * bytesPerByte + bytesPerLine, seen: new Set() };
  const layers: Layer[] = [
    { bytes: line, length: line.length, place: (from, to) => [from, to], depth: 0, known: () => false },
  ];
  yield layers[0]!;
  // The list grows while it is gone through.
  for (const layer of layers) {
    for (const view of layersOn(layer, work)) {
      yield view;
      if (view.depth < deepest && view.length >= shortestBase64 && signsIn(view) !== 0) layers.push(view);
    }
  }
}

function* layersOn(layer: Layer, work: Work): Generator<Layer> {
  const text = layer.bytes.subarray(0, layer.length);
  const found = signsIn(layer);
  for (let index = 0; index < escapings.length; index++) {
    if ((found & (1 << index)) === 0) continue;
    const view = unescaped(layer, text, escapings[index]!, work);
    if (view !== undefined) yield view;
  }
  if ((found & inBase64) === 0) return;
  for (let from = 0; from < text.length; from++) {
    const start = from;
    while (from < text.length && sextets[text[from]!] !== absent) from++;
    if (from - start < shortestBase64 || layer.known(start, from)) continue;
    // A value may begin with any of the characters of a group where it is a part of something encoded.
    for (let shift = 0; shift < 4; shift++) {
      const view = packed(layer, start + shift, from, sextets, 6, work);
      if (view !== undefined) yield view;
    }
    // All characters of hex and of base32 are some of base64, too.
    for (const { values, bits, least, shifts } of within) {
      for (let digit = start; digit + least <= from; digit++) {
        const first = digit;
        while (digit < from && values[text[digit]!] !== absent) digit++;
        if (digit - first < least) continue;
        for (let shift = 0; shift < shifts; shift++) {
          const view = packed(layer, first + shift, digit, values, bits, work);
          if (view !== undefined) yield view;
        }
      }
    }
  }
}

function unescaped(layer: Layer, text: Uint8Array, escaping: Escaping, work: Work): Layer | undefined {
  if (text.length > work.left) return undefined;
  const made = unescape(text, escaping);
  if (made === undefined) return undefined;
  const { bytes, length, starts } = made;
  work.left -= length;
  const key = `${layer.place(0, text.length).join(' ')} ${Buffer.from(bytes.buffer, 0, length).toString('latin1')}`;
  if (work.seen.has(key)) return undefined;
  work.seen.add(key);
  const endOf = (end: number): number => (escaping.drops ? starts[end - 1]! + 1 : starts[end]!);
  return {
    bytes,
    length,
    place(from, to) {
      let end = to;
      // The rest of what the last escape stands for.
      while (end < length && starts[end] === starts[to - 1]) end++;
      return layer.place(starts[from]!, endOf(end));
    },
    // Lines are a part of how base64 and hex are written.
    depth: layer.depth + (escaping === lineWraps ? 0 : 1),
    known(from, to) {
      let end = to;
      while (end < length && bytes[end] === equals) end++;
      return end - from === endOf(end) - starts[from]!;
    },
  };
}

const equals = 0x3d;
const blank = 0x20;

/** Characters of a few bits each, as the bytes that they make; the padding behind the last goes with it. */
function packed(
  layer: Layer,
  from: number,
  to: number,
  values: Uint8Array,
  bits: number,
  work: Work,
): Layer | undefined {
  const length = Math.floor(((to - from) * bits) / 8);
  if (length < shortest || length > work.left) return undefined;
  work.left -= length;
  const text = layer.bytes;
  const bytes = new Uint8Array(length);
  let [pending, held, made] = [0, 0, 0];
  for (let at = from; made < length; at++) {
    held = ((held << bits) | values[text[at]!]!) & 0xffff;
    pending += bits;
    if (pending < 8) continue;
    pending -= 8;
    bytes[made++] = (held >> pending) & 0xff;
  }
  return {
    bytes,
    length,
    place(start, stop) {
      let end = stop;
      const first = from + Math.floor((start * 8) / bits);
      // A line end that is encoded with the value.
      while (end < length && bytes[end]! <= blank) end++;
      let last = from + Math.ceil((end * 8) / bits);
      if (last === to) while (last < layer.length && text[last] === equals) last++;
      return layer.place(first, last);
    },
    depth: layer.depth + 1,
    known: notKnown,
  };
}

function notKnown(): boolean {
  return false;
}

/** For each byte, the encodings whose escapes begin with it, a bit each, and a bit where base64 has it. */
const signs = new Uint16Array(256);
const inBase64 = 1 << 15;
for (let byte = 0; byte < signs.length; byte++) if (sextets[byte] !== absent) signs[byte] = inBase64;
escapings.forEach(({ marks, signs: own = marks }, index) => {
  for (const sign of own) signs[sign]! |= 1 << index;
});

/**
 * What may be in a text, a bit each; nothing where no few characters of it are ASCII. Most texts are a word read as if it
 * were base64, and go no further.
 */
function signsIn({ bytes, length }: View): number {
  let found = 0;
  let run = 0;
  let longest = 0;
  let readable = 0;
  let mostReadable = 0;
  for (let at = 0; at < length; at++) {
    const byte = bytes[at]!;
    const sign = signs[byte]!;
    found |= sign;
    run = (sign & inBase64) === 0 ? 0 : run + 1;
    if (run > longest) longest = run;
    // UTF-16 has a NUL beside each character.
    if (byte !== 0) readable = byte >= blank && byte < 0x7f ? readable + 1 : 0;
    if (readable > mostReadable) mostReadable = readable;
  }
  if (mostReadable < shortest) return 0;
  return longest < shortestBase64 ? found & ~inBase64 : found;
}
