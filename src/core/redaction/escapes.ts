import { absent, nibbles, sextets } from './alphabets.ts';

/** How many bytes an escape takes, and which bytes it stands for. */
type Escape = readonly [taken: number, bytes: readonly number[]];

/** A way of writing single characters by others. */
export interface Escaping {
  /** Bytes that an escape begins with. */
  readonly marks: readonly number[];
  /** Bytes of which a text with escapes has one, where that says more than the marks do. */
  readonly signs?: readonly number[];
  /** The escape that begins at a place, where there is one. */
  readonly read: (text: Uint8Array, at: number) => Escape | undefined;
  /** True where escapes stand for nothing, and are no part of what is before them. */
  readonly drops?: true;
}

const byteOf = (character: string): number => character.charCodeAt(0);
const ampersand = byteOf('&');
const apostrophe = byteOf("'");
const backslash = byteOf('\\');
const blank = byteOf(' ');
const colon = byteOf(':');
const equals = byteOf('=');
const hyphen = byteOf('-');
const letterN = byteOf('n');
const letterR = byteOf('r');
const percent = byteOf('%');
const plus = byteOf('+');
const quote = byteOf('"');

/** RFC 3986, 2.1. */
export const percentEncoding: Escaping = { marks: [percent], read: readPercent };

/** The same of a text in ISO 8859-1, as old servers and forms have it: `%E9` is é. */
export const percentEncodedLatin1: Escaping = {
  marks: [percent],
  read(text, at) {
    const value = digitsAt(text, at + 1, 2, 16);
    return value === undefined ? undefined : codePoint(3, value);
  },
};

/** `application/x-www-form-urlencoded`: https://url.spec.whatwg.org/#urlencoded-parsing. */
export const formEncoding: Escaping = {
  marks: [plus, percent],
  read: (text, at) => (text[at] === plus ? [1, [blank]] : readPercent(text, at)),
};

/** Those of JSON (RFC 8259, 7), of C, and of a shell, where a backslash stands before any character but a letter. */
export const backslashes: Escaping = { marks: [backslash], read: readBackslash };

/** Character references of HTML and XML. */
export const entities: Escaping = { marks: [ampersand], read: readEntity };

/** `''` as YAML and SQL write it, `'\''` as for a shell, and `'"'"'` as Python's shlex.quote does. */
export const singleQuotes: Escaping = {
  marks: [apostrophe],
  read(text, at) {
    const taken = [`'\\''`, `'"'"'`, `''`].find((form) => startsWith(text, at, form))?.length;
    return taken === undefined ? undefined : [taken, [apostrophe]];
  },
};

/** `""` as CSV writes it (RFC 4180). */
export const doubleQuotes: Escaping = {
  marks: [quote],
  read: (text, at) => (text[at + 1] === quote ? [2, [quote]] : undefined),
};

/** Characters of base64 or hex in a row behind which a line is taken for wrapped; words have fewer. */
const wrapped = 16;

/**
 * Line ends within base64 or hex: MIME wraps at 76 characters (RFC 2045, 6.8), PEM at 64 (RFC 7468, 2), and what carries
 * the text on may write a line end as `\\n` or as a blank, put `> ` before each line, or make texts of the lines (`" +`).
 */
export const lineWraps: Escaping = {
  marks: [...Buffer.from('\n\r\t \\"\'>|#*,')],
  read: readWrap,
  drops: true,
};

/** Bytes in a row that are taken for hex with something between them; times and addresses have fewer. */
const leastPairs = 4;

/** `73:33:63` as OpenSSL writes bytes, `73 33 63` as od and hexdump do, also over several lines, and `73-33-63`. */
export const hexPairs: Escaping = {
  marks: [...Buffer.from('0123456789abcdefABCDEF')],
  signs: [...Buffer.from(':- \t\n\r')],
  read: readHexPair,
};

/** Quoted-printable (RFC 2045, 6.7): `=3D`, and line ends that are none. */
export const quotedPrintable: Escaping = {
  marks: [equals],
  read(text, at) {
    const value = digitsAt(text, at + 1, 2, 16);
    if (value !== undefined) return [3, [value]];
    const wrap = ['=\r\n', '=\n'].find((form) => startsWith(text, at, form))?.length;
    return wrap === undefined ? undefined : [wrap, []];
  },
};

/** ASCII in UTF-16 or UTF-32 of either order, read as bytes: a NUL beside each character. */
export const nulBytes: Escaping = {
  marks: [0],
  read: (text, at) => (text[at] === 0 ? [1, []] : undefined),
  drops: true,
};

/** A text without its escapes, and where each byte of it began; nothing where the text has none. */
export interface Unescaped {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly starts: Uint32Array;
}

/** For each kind of escapes, the bytes that one begins with: a line is gone through many times. */
const markTables = new WeakMap<Escaping, Uint8Array>();

function markTable(escaping: Escaping): Uint8Array {
  let table = markTables.get(escaping);
  if (table !== undefined) return table;
  table = new Uint8Array(256);
  for (const mark of escaping.marks) table[mark] = 1;
  markTables.set(escaping, table);
  return table;
}

export function unescape(text: Uint8Array, escaping: Escaping): Unescaped | undefined {
  const { read } = escaping;
  const isMark = markTable(escaping);
  let at = 0;
  let escape: Escape | undefined;
  for (; at < text.length; at++) {
    if (isMark[text[at]!] === 0) continue;
    escape = read(text, at);
    if (escape !== undefined) break;
  }
  if (escape === undefined) return undefined;
  // No escape stands for more bytes than it takes.
  const bytes = new Uint8Array(text.length);
  const starts = new Uint32Array(text.length + 1);
  for (let index = 0; index < at; index++) {
    bytes[index] = text[index]!;
    starts[index] = index;
  }
  let length = at;
  while (at < text.length) {
    escape = isMark[text[at]!] === 1 ? read(text, at) : undefined;
    if (escape === undefined) {
      starts[length] = at;
      bytes[length++] = text[at++]!;
      continue;
    }
    for (const byte of escape[1]) {
      starts[length] = at;
      bytes[length++] = byte;
    }
    at += escape[0];
  }
  starts[length] = at;
  return { bytes, length, starts };
}

function readPercent(text: Uint8Array, at: number): Escape | undefined {
  const value = digitsAt(text, at + 1, 2, 16);
  return value === undefined ? undefined : [3, [value]];
}

function readWrap(text: Uint8Array, at: number): Escape | undefined {
  if (at < wrapped) return undefined;
  for (let back = at - wrapped; back < at; back++) if (sextets[text[back]!] === absent) return undefined;
  let end = at;
  while (end < text.length) {
    let next = end;
    while (text[next] === backslash) next++;
    const isEscaped = next > end && (text[next] === letterN || text[next] === letterR);
    if (!isEscaped && !isBlankByte(text[end]!) && !isAroundLines(text, end)) break;
    end = isEscaped ? next + 1 : end + 1;
  }
  return end > at && end < text.length && sextets[text[end]!] !== absent ? [end - at, []] : undefined;
}

const aroundLines: ReadonlySet<number> = new Set(Buffer.from('"\'>|#*,'));

/** What stands around the lines of a text that is quoted; a `+` and a backslash only before a blank or a quote. */
function isAroundLines(text: Uint8Array, at: number): boolean {
  if (aroundLines.has(text[at]!)) return true;
  const next = text[at + 1];
  return (
    (text[at] === plus || text[at] === backslash) &&
    next !== undefined &&
    (isBlankByte(next) || next === quote || next === apostrophe)
  );
}

/** A word of a dump: the bytes of `68`, `6876` and `6876732e`, and of `0x68`. */
const dumpWord = /(?:0x)?((?:[0-9a-f]{2}){1,2}|[0-9a-f]{8}|[0-9a-f]{16})(?![0-9a-z])/iy;
/** What stands between two of them. */
const dumpGap = /(?:[,;]?[ \t]{1,4}|[,;])(?=(?:0x)?[0-9a-f]{2})/iy;
/** The same over a line's end, where no number begins the next line. */
const dumpLine = /[,;]?[ \t]*\r?\n[ \t]{0,20}(?=(?:0x)?[0-9a-f]{2})/iy;
/** The text beside them, the end of the line, and the number that begins the next one: of xxd, `hexdump -C` and od. */
const dumpBreak = /(?:[ \t]{1,4}[^\r\n]{0,70})?\r?\n[0-9a-f]{6,16}:?[ \t]+/iy;
/** The text beside the last line. */
const dumpText = /[ \t]{2,80}[^\r\n]{1,24}(?=\r?\n)/y;
const dumpStart = /[0-9a-f]{6,16}(?::[ \t]+|[ \t]{1,4})(?=[0-9a-f]{2,4}[ \t])/iy;
/** Bytes of a text that are looked at for one dump; a value that is longer is found by its lines. */
const longestDump = 1 << 16;

/**
 * Dumps of bytes in words of several bytes, with the numbers of lines and the text beside them, and lists such as `0x68, 0x76`. A
 * secret that is found in one hides all of it.
 */
function hexDump(order: (bytes: Buffer) => Buffer): Escaping {
  return {
    // Numbers of lines, `0x` and the codes of ASCII begin with a digit.
    marks: [...Buffer.from('0123456789')],
    signs: [...Buffer.from(', ')],
    read(text, at) {
      if (!mayBeDump(text, at)) return undefined;
      return readDump(Buffer.from(text.buffer, text.byteOffset, text.length), at, order);
    },
  };
}

/** As they stand in the dump, and as words of a little-endian machine, which `hexdump` and `od -x` print. */
export const hexDumps = hexDump((bytes) => bytes);
export const swappedHexDumps = hexDump((bytes) => Buffer.from(bytes.toReversed()));

function isLetter(byte: number): boolean {
  const small = byte | 0x20;
  return small >= 0x61 && small <= 0x7a;
}

/** Whether two words of a dump, or a number and a word, begin at a place: most texts are refused here. */
function mayBeDump(text: Uint8Array, at: number): boolean {
  if (at > 0 && (nibbles[text[at - 1]!] !== absent || isLetter(text[at - 1]!))) return false;
  let end = at;
  while (end < text.length && nibbles[text[end]!] !== absent) end++;
  const digits = end - at;
  if (digits === 1) return text[at] === byteOf('0') && text[end] === byteOf('x');
  if (digits !== 4 && digits < 6) return false;
  const first = text[end];
  if (first === undefined || (first !== colon && first !== byteOf(',') && !isBlankByte(first))) return false;
  let next = end + 1;
  while (next < text.length && next < end + 6 && isBlankByte(text[next]!)) next++;
  return next < text.length && nibbles[text[next]!] !== absent;
}

function readDump(text: Buffer, at: number, order: (bytes: Buffer) => Buffer): Escape | undefined {
  const whole = text.toString('latin1', at, at + longestDump);
  let end = matchAt(dumpStart, whole, 0)?.length ?? 0;
  const bytes: number[] = [];
  let words = 0;
  let wide = end > 0;
  let taken = 0;
  for (let word = matchAt(dumpWord, whole, end); word !== undefined; word = matchAt(dumpWord, whole, end)) {
    words++;
    wide ||= word.length > 2;
    bytes.push(...order(Buffer.from(word.replace(/^0x/i, ''), 'hex')));
    taken = end + word.length;
    const gap =
      matchAt(dumpGap, whole, taken) ?? matchAt(dumpBreak, whole, taken) ?? matchAt(dumpLine, whole, taken);
    if (gap === undefined) break;
    end = taken + gap.length;
  }
  taken += matchAt(dumpText, whole, taken)?.length ?? 0;
  // Single bytes with blanks between them are read elsewhere.
  return words >= leastPairs && wide ? [taken, bytes] : undefined;
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Blanks between two bytes at most: OpenSSL indents its lines by up to 20. */
const longestGap = 24;

function readHexPair(text: Uint8Array, at: number): Escape | undefined {
  const value = digitsAt(text, at, 2, 16);
  if (value === undefined || (at > 0 && nibbles[text[at - 1]!] !== absent)) return undefined;
  const next = pairBehind(text, at + 2);
  let pairs = 1;
  for (let ahead = next; ahead !== undefined && pairs < leastPairs; ahead = pairBehind(text, ahead + 2))
    pairs++;
  for (
    let back = pairBefore(text, at);
    back !== undefined && pairs < leastPairs;
    back = pairBefore(text, back)
  )
    pairs++;
  return pairs < leastPairs ? undefined : [(next ?? at + 2) - at, [value]];
}

/** Where the pair of digits begins that follows behind a colon, a hyphen or blanks. */
function pairBehind(text: Uint8Array, from: number): number | undefined {
  let at = from;
  if (text[at] === colon || text[at] === hyphen) at++;
  while (at < text.length && at - from < longestGap && isBlankByte(text[at]!)) at++;
  return at > from && isPair(text, at) ? at : undefined;
}

function pairBefore(text: Uint8Array, from: number): number | undefined {
  let at = from;
  while (at > 0 && from - at < longestGap && isBlankByte(text[at - 1]!)) at--;
  if (at > 0 && (text[at - 1] === colon || text[at - 1] === hyphen)) at--;
  return at < from && at >= 2 && isPair(text, at - 2) ? at - 2 : undefined;
}

function isPair(text: Uint8Array, at: number): boolean {
  return (
    at + 2 <= text.length &&
    nibbles[text[at]!] !== absent &&
    nibbles[text[at + 1]!] !== absent &&
    (at + 2 === text.length || nibbles[text[at + 2]!] === absent) &&
    (at === 0 || nibbles[text[at - 1]!] === absent)
  );
}

function isBlankByte(byte: number): boolean {
  return byte === blank || (byte >= 0x09 && byte <= 0x0d);
}

/** Letters of JSON and C, with what they stand for. */
const letters: Readonly<Record<string, number>> = {
  a: 0x07,
  b: 0x08,
  e: 0x1b,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  v: 0x0b,
};

function readBackslash(text: Uint8Array, at: number): Escape | undefined {
  const next = text[at + 1];
  if (next === undefined) return undefined;
  const letter = String.fromCharCode(next);
  const plain = letters[letter];
  if (plain !== undefined) return [2, [plain]];
  switch (letter) {
    case 'u':
      return readUnicode(text, at);
    case 'U':
      return codePoint(10, digitsAt(text, at + 2, 8, 16));
    case 'x': {
      const byte = digitsAt(text, at + 2, 2, 16);
      return byte === undefined ? readBraces(text, at) : [4, [byte]];
    }
    default: {
      const octal = digitsAt(text, at + 1, 3, 8);
      if (octal !== undefined && octal < 256) return [4, [octal]];
      return next >= blank && next !== 0x7f && !/\w/.test(letter) ? [2, [next]] : undefined;
    }
  }
}

function readUnicode(text: Uint8Array, at: number): Escape | undefined {
  const first = digitsAt(text, at + 2, 4, 16);
  if (first === undefined) return readBraces(text, at);
  const second =
    first >= 0xd800 && first <= 0xdbff && startsWith(text, at + 6, '\\u')
      ? digitsAt(text, at + 8, 4, 16)
      : undefined;
  if (second !== undefined && second >= 0xdc00 && second <= 0xdfff)
    return [12, [...Buffer.from(String.fromCharCode(first, second))]];
  return codePoint(6, first);
}

/** `\u{73}` of JavaScript, Rust and Swift, and `\x{73}` of Perl and PCRE: one to six digits. */
function readBraces(text: Uint8Array, at: number): Escape | undefined {
  if (text[at + 2] !== byteOf('{')) return undefined;
  let end = at + 3;
  while (end < at + 9 && end < text.length && nibbles[text[end]!] !== absent) end++;
  return end > at + 3 && text[end] === byteOf('}')
    ? codePoint(end + 1 - at, digitsAt(text, at + 3, end - at - 3, 16))
    : undefined;
}

/** https://html.spec.whatwg.org/multipage/named-characters.html: those that programs write for what HTML cannot hold. */
const named: Readonly<Record<string, number>> = {
  quot: quote,
  amp: ampersand,
  apos: apostrophe,
  lt: byteOf('<'),
  gt: byteOf('>'),
  nbsp: 0xa0,
};
const longestEntity = 12;

function readEntity(text: Uint8Array, at: number): Escape | undefined {
  const end = text.subarray(at, at + longestEntity).indexOf(byteOf(';'));
  if (end < 0) return undefined;
  const name = Buffer.from(text.subarray(at + 1, at + end)).toString('latin1');
  if (/^#\d+$/.test(name)) return codePoint(end + 1, Number.parseInt(name.slice(1), 10));
  if (/^#x[0-9a-f]+$/i.test(name)) return codePoint(end + 1, Number.parseInt(name.slice(2), 16));
  return Object.hasOwn(named, name) ? codePoint(end + 1, named[name]) : undefined;
}

function codePoint(taken: number, value: number | undefined): Escape | undefined {
  if (value === undefined || value > 0x10_ffff) return undefined;
  return [taken, value < 0x80 ? [value] : [...Buffer.from(String.fromCodePoint(value))]];
}

function startsWith(text: Uint8Array, at: number, form: string): boolean {
  for (let index = 0; index < form.length; index++)
    if (text[at + index] !== form.charCodeAt(index)) return false;
  return true;
}

function digitsAt(text: Uint8Array, at: number, count: number, base: number): number | undefined {
  let value = 0;
  for (let index = at; index < at + count; index++) {
    const digit = index < text.length ? nibbles[text[index]!]! : absent;
    if (digit >= base) return undefined;
    value = value * base + digit;
  }
  return value;
}
