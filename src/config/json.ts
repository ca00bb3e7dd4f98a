import { mostValues, tooManyValues } from './bounds.ts';
import { JsonNumber, type FieldValue } from './source.ts';

/** Levels of objects and lists within each other; people write a dozen, and a reader goes down into each by recursion. */
export const mostNested = 1000;

export interface JsonShape {
  /** A key may stand in its object twice; the last one counts. */
  readonly repeatedKeys?: boolean;
  /** Values that it may have. */
  readonly most?: number;
}

/**
 * Why a text is not JSON that is accepted: `values`, it has too many; `shape`, nobody means it so. It quotes nothing of the
 * text, which may be a secret.
 */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
  readonly kind: 'values' | 'shape' | 'cut' | 'syntax';
  /** Where in the text, both from 1; columns in UTF-16 units, as editors count them. */
  readonly line: number;
  readonly column: number;
  /** What is wrong there, without the place. */
  readonly words: string;

  constructor(kind: JsonFault['kind'], words: string, line: number, column: number) {
    super(
      {
        values: words,
        shape: `${words} (line ${line}, column ${column})`,
        cut: `${words} (line ${line}, column ${column})`,
        syntax: `it is not JSON from line ${line}, column ${column} on`,
      }[kind],
    );
    this.kind = kind;
    this.words = words;
    this.line = line;
    this.column = column;
  }
}

const blanks = /[ \t\n\r]*/y;
// oxlint-disable-next-line no-control-regex -- strings may not hold them (RFC 8259, 7)
const plainCharacters = /[^"\\\u0000-\u001f]*/y;
const word = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])/y;

/**
 * Reads JSON (RFC 8259) in one pass, and keeps the text of numbers that JavaScript would change. It stops at the first thing
 * that is not accepted: what is not JSON, more values than are read, and what nobody means (a key that is there twice, values
 * nested so deeply that no stack holds them). JSON.parse would have to be asked after a pass of ours for the last three, and
 * would call a function for each value to keep its text, which takes three times as long.
 * @param shape what is taken: a server that is only waited for may repeat a key
 * @throws JsonFault
 */
export function parseJson(
  text: string,
  { repeatedKeys = false, most = mostValues }: JsonShape = {},
): FieldValue {
  // A byte order mark is no part of the text (RFC 8259, 8.1).
  const begin = text.charCodeAt(0) === byteOrderMark ? 1 : 0;
  let at = begin;
  // The document itself is none.
  let values = -1;
  let levels = 0;

  const fault = (kind: JsonFault['kind'], words: string): JsonFault => {
    const lineStart = Math.max(begin, at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1);
    let line = 1;
    for (let end = text.indexOf('\n'); end >= 0 && end < lineStart; end = text.indexOf('\n', end + 1)) line++;
    return new JsonFault(kind, words, line, at - lineStart + 1);
  };
  /** What stands here is not what must stand here. */
  const unexpected = (): JsonFault =>
    at >= text.length
      ? fault('cut', 'it ends in the middle of the JSON')
      : fault('syntax', 'it is not JSON from here on');

  const skipBlanks = (): number => {
    const code = text.charCodeAt(at);
    if (code > 0x20) return code;
    blanks.lastIndex = at;
    blanks.test(text);
    at = blanks.lastIndex;
    return text.charCodeAt(at);
  };

  const readText = (): string => {
    const start = at;
    plainCharacters.lastIndex = start + 1;
    plainCharacters.test(text);
    at = plainCharacters.lastIndex;
    if (text.charCodeAt(at) === quote) return text.slice(start + 1, at++);
    at = endOfText(text, at);
    if (text.charCodeAt(at) === quote) return JSON.parse(text.slice(start, ++at)) as string;
    throw unexpected();
  };

  const readValue = (): FieldValue => {
    const code = skipBlanks();
    if (++values > most) throw fault('values', tooManyValues(most));
    if (code === quote) return readText();
    if (code === openBrace || code === openBracket) {
      if (++levels > mostNested)
        throw fault('shape', `it is nested deeper than ${mostNested.toLocaleString('en-US')} levels`);
      at++;
      const made = code === openBrace ? readMembers() : readItems();
      levels--;
      return made;
    }
    word.lastIndex = at;
    if (!word.test(text)) throw unexpected();
    const written = text.slice(at, word.lastIndex);
    at = word.lastIndex;
    if (code === letterT) return true;
    if (code === letterF) return false;
    if (code === letterN) return null;
    const number = Number(written);
    return String(number) === written ? number : new JsonNumber(written);
  };

  const readItems = (): FieldValue[] => {
    const items: FieldValue[] = [];
    if (skipBlanks() === closeBracket) {
      at++;
      return items;
    }
    for (;;) {
      items.push(readValue());
      const code = skipBlanks();
      if (code !== comma && code !== closeBracket) throw unexpected();
      at++;
      if (code === closeBracket) return items;
    }
  };

  const readMembers = (): FieldValue => {
    const members: Record<string, FieldValue> = {};
    let code = skipBlanks();
    if (code === closeBrace) {
      at++;
      return members;
    }
    for (;;) {
      if (code !== quote) throw unexpected();
      const began = at;
      const key = readText();
      if (!repeatedKeys && Object.hasOwn(members, key)) {
        at = began;
        throw fault('shape', 'this key is there twice');
      }
      if (skipBlanks() !== colon) throw unexpected();
      at++;
      const value = readValue();
      if (key === '__proto__')
        Object.defineProperty(members, key, { value, enumerable: true, configurable: true, writable: true });
      else members[key] = value;
      code = skipBlanks();
      if (code !== comma && code !== closeBrace) throw unexpected();
      at++;
      if (code === closeBrace) return members;
      code = skipBlanks();
    }
  };

  const made = readValue();
  skipBlanks();
  if (at < text.length) throw unexpected();
  return made;
}

/**
 * Where a string's closing quote stands, or the first thing in it that is not valid, or where the text ends. Character by
 * character: a repeated group of a regular expression takes a place on a stack each time, which megabytes of escapes fill.
 */
function endOfText(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote || code < 0x20) return at;
    if (code !== backslash) continue;
    const next = text.charAt(at + 1);
    if (next === '' || (next === 'u' && at + 6 > text.length)) return text.length;
    if (next === 'u' ? !fourDigits.test(text.slice(at + 2, at + 6)) : !'"\\/bfnrt'.includes(next)) return at;
    at += next === 'u' ? 5 : 1;
  }
  return text.length;
}

const byteOrderMark = 0xfeff;
const fourDigits = /^[\dA-Fa-f]{4}$/;
const backslash = 0x5c;
const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const letterF = 0x66;
const letterN = 0x6e;
const letterT = 0x74;

/** A JSON object's members; undefined for anything else. */
export function asObject(value: FieldValue | undefined): { readonly [key: string]: FieldValue } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value) || value instanceof JsonNumber || value instanceof Uint8Array) return undefined;
  return value as { readonly [key: string]: FieldValue };
}

/** A string, or undefined for anything else. */
export function asString(value: FieldValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A scalar as text, its number as it was written; undefined for anything else. */
export function asText(value: FieldValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || value instanceof JsonNumber ? String(value) : undefined;
}
