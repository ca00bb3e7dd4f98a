import { createHash, createHmac } from 'node:crypto';

import { mostLines } from '../../../config/bounds.ts';
import { textOrBytes } from '../../../config/fields.ts';
import { parseJson } from '../../../config/json.ts';
import { JsonNumber } from '../../../config/source.ts';
import { matchesOf, matchesWithin, patternTime } from '../../../core/pattern.ts';
import { arithmeticFunctions } from './arithmetic.ts';
import { comparingFunctions } from './comparisons.ts';
import { goJson, yamlText } from './documents.ts';
import { asFetchedCertificate, asFetchedKey, asFetchedSecret, asFetchedText } from './fetched.ts';
import { Ask, type GoFunction, type TemplateScene } from './function.ts';
import { checkCount, formatted, isTextLike } from './printf.ts';
import { expanded, goPattern } from './regexp.ts';
import { fileAddress, keyAddress, secretAddress } from './sources.ts';
import { goTime } from './time.ts';
import {
  Absence,
  bytesOf,
  floatsOf,
  GoStruct,
  innerText,
  isGoList,
  isMap,
  kindOfValue,
  TakenApart,
  ValueFault,
  type Value,
  type ValueMap,
} from './values.ts';

/** A text, or a number of JSON, which is one to Go. */
export function textArgument(value: Value | undefined): string {
  if (typeof value === 'string') return value;
  if (value instanceof JsonNumber) return value.text;
  throw new ValueFault(`it takes a text, and this is ${kindOfValue(value ?? null)}`);
}

function texts(value: Value | undefined): string[] {
  if (value === undefined || !isGoList(value))
    throw new ValueFault(`it takes a list of texts, and this is ${kindOfValue(value ?? null)}`);
  return value.map((item) => textArgument(item));
}

function wholeArgument(value: Value | undefined): number {
  if (typeof value === 'bigint') return Number(value);
  throw new ValueFault(`it takes a whole number, and this is ${kindOfValue(value ?? null)}`);
}

/** A function of texts alone. */
function ofTexts(count: number, run: (...given: string[]) => Value): GoFunction {
  return { min: count, max: count, run: (given) => run(...given.map((value) => textArgument(value))) };
}

/** A function of bytes, which a text has as well. */
function ofBytes(run: (bytes: Uint8Array) => Value): GoFunction {
  return { min: 1, max: 1, run: ([given]) => run(bytesOf(given ?? null)) };
}

function decoded(text: string, alphabet: RegExp, encoding: 'base64' | 'base64url'): Value {
  // Go's decoder passes over line ends, and wants the padding.
  const plain = text.replace(/[\r\n]/g, '');
  if (!alphabet.test(plain) || plain.length % 4 !== 0) throw new ValueFault('the text is not valid base64');
  return textFrom(Buffer.from(plain, encoding));
}

/** Bytes as a text where they are one. */
function textFrom(bytes: Uint8Array): Value {
  return textOrBytes(bytes) as string | Uint8Array;
}

function variable(
  name: string,
  { environment, unreadable }: TemplateScene,
  shown: string,
): string | undefined {
  if (unreadable.has(name)) throw new ValueFault(`the variable${shown} is not UTF-8 text`);
  return Object.hasOwn(environment, name) ? environment[name] : undefined;
}

/** Go's case mappings are those of single characters: `ß` has no capital. */
function mapped(text: string, map: (char: string) => string): string {
  return Array.from(text, (char) => (Array.from(map(char)).length === 1 ? map(char) : char)).join('');
}

function splitText(separator: string, text: string): string[] {
  const inner = goTrimmed(text);
  if (inner === '') return [];
  checkCountOf(separator, inner, 1, mostLines);
  return separator === '' ? Array.from(inner) : inner.split(separator);
}

/** unicode.IsSpace, which a byte order mark is not. */
const goSpaces = '[\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
const leadingSpaces = new RegExp(`^${goSpaces}`);
const trailingSpaces = new RegExp(`(?<!${goSpaces.slice(0, -1)})${goSpaces}$`);

export function goTrimmed(text: string): string {
  return text.replace(leadingSpaces, '').replace(trailingSpaces, '');
}

/** @throws ValueFault where something is found so often in a text that what is made for each would be too much */
function checkCountOf(part: string, text: string, each: number, most: number): void {
  const step = Math.max(1, part.length);
  let made = 0;
  for (
    let found = text.indexOf(part);
    found >= 0 && found < text.length;
    found = text.indexOf(part, found + step)
  )
    if ((made += each) > most) throw new ValueFault(tooMuch);
}

const tooMuch = 'what it makes is too large';

function trimmedOf(cutset: string, text: string): string {
  const cut = new Set(cutset);
  const chars = Array.from(text);
  let [from, to] = [0, chars.length];
  while (from < to && cut.has(chars[from] ?? '')) from++;
  while (to > from && cut.has(chars[to - 1] ?? '')) to--;
  return chars.slice(from, to).join('');
}

function includes(container: Value, value: Value): boolean {
  if (isGoList(container)) {
    if (typeof value !== 'string' && typeof value !== 'bigint' && typeof value !== 'number') return false;
    return container.some((item) => item === value || (item instanceof JsonNumber && item.text === value));
  }
  return textArgument(container).includes(textArgument(value));
}

function pairsOf(given: readonly Value[]): (readonly [key: string, value: string])[] {
  const pairs = new Map<string, string>();
  for (const value of given) {
    const text = textArgument(value);
    if (text === '') continue;
    const equals = text.indexOf('=');
    // Not shown: it may be a secret.
    if (equals < 0) throw new ValueFault('what follows the path is written "KEY=VALUE"');
    pairs.set(goTrimmed(text.slice(0, equals)), goTrimmed(text.slice(equals + 1)));
  }
  return [...pairs].toSorted(([one], [other]) => (one < other ? -1 : 1));
}

const jsonFunctions: Readonly<Record<string, GoFunction>> = Object.fromEntries(
  (
    [
      ['toJSON', { pretty: false, escapes: true }],
      ['toJSONPretty', { pretty: true, escapes: true }],
      ['toUnescapedJSON', { pretty: false, escapes: false }],
      ['toUnescapedJSONPretty', { pretty: true, escapes: false }],
    ] as const
  ).map(([name, how]): [string, GoFunction] => [
    name,
    { min: 1, max: 1, null: true, run: ([value = null]) => goJson(value, how) },
  ]),
);

const entities: Readonly<Record<string, string>> = {
  '\0': '\uFFFD',
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
};

const scripted: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '<': '\\u003C',
  '>': '\\u003E',
  '&': '\\u0026',
  '=': '\\u003D',
};

/** fmt.Sprint: a blank between two values of which neither is a text. */
function sprint(given: readonly Value[]): string {
  return given
    .map((value, index) => {
      const before = given[index - 1];
      const blank = before !== undefined && !isTextLike(before) && !isTextLike(value) ? ' ' : '';
      return blank + innerText(value);
    })
    .join('');
}

/** All functions that a template may call, by name. */
export const goFunctions: Readonly<Record<string, GoFunction>> = {
  ...comparingFunctions,
  ...arithmeticFunctions,
  ...jsonFunctions,

  // text/template: https://pkg.go.dev/text/template#hdr-Functions
  len: {
    min: 1,
    max: 1,
    run([value = null]) {
      if (isGoList(value)) return BigInt(value.length);
      if (isMap(value)) return BigInt(value.size);
      return BigInt(bytesOf(value).length);
    },
  },
  index: {
    min: 1,
    max: Infinity,
    run: ([value = null, ...keys], _, written) =>
      keys.reduce((inner, key, index) => at(inner, key, written[index + 1] === true), value),
  },
  slice: {
    min: 1,
    max: 4,
    run([value = null, ...bounds]) {
      const [from = 0, to] = bounds.map((bound) => wholeArgument(bound));
      if (bounds.length > 2) throw new ValueFault('it takes a beginning and an end, and no capacity');
      const cut = <T extends { length: number; slice(from: number, to?: number): T }>(whole: T): T => {
        const end = to ?? whole.length;
        if (from < 0 || end > whole.length || from > end) throw new ValueFault('the bounds are out of range');
        return whole.slice(from, end);
      };
      return isGoList(value) ? cut(value as Value[]) : textFrom(cut(bytesOf(value)));
    },
  },
  print: { min: 0, max: Infinity, run: sprint },
  println: {
    min: 0,
    max: Infinity,
    run: (given) => `${given.map((value) => innerText(value)).join(' ')}\n`,
  },
  printf: {
    min: 1,
    max: Infinity,
    checkFirst: (format, others) => checkCount(format, others, true),
    run: ([format, ...values], _, [written]) => formatted(textArgument(format), values, written === true),
  },
  html: {
    min: 1,
    max: Infinity,
    run: (given) => sprint(given).replace(/[\0"'&<>]/g, (char) => entities[char] ?? ''),
  },
  js: {
    min: 1,
    max: Infinity,
    run: (given) =>
      sprint(given).replace(
        // oxlint-disable-next-line no-control-regex -- what JSEscape replaces
        /[\\'"<>&=\0-\x1f]/g,
        (char) => scripted[char] ?? `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
      ),
  },
  urlquery: {
    min: 1,
    max: Infinity,
    run: (given) =>
      encodeURIComponent(sprint(given))
        .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
        .replaceAll('%20', '+'),
  },

  // consul-template: https://github.com/hashicorp/consul-template/blob/main/docs/templating-language.md
  secret: {
    min: 1,
    max: Infinity,
    vault: true,
    run([path, ...given]) {
      const writes = given.length === 0 ? undefined : pairsOf(given);
      const address = secretAddress(textArgument(path), writes);
      return Ask.of(address, asFetchedSecret);
    },
  },
  pkiCert: {
    min: 1,
    max: Infinity,
    vault: true,
    run([path, ...given]) {
      const address = secretAddress(textArgument(path), pairsOf(given));
      return Ask.of(address, asFetchedCertificate);
    },
  },
  file: {
    min: 1,
    max: 1,
    files: true,
    run([path]) {
      const address = fileAddress(textArgument(path));
      return Ask.of(address, asFetchedText);
    },
  },
  key: {
    min: 1,
    max: 1,
    consul: true,
    run([path], scene) {
      const address = keyAddress(textArgument(path), scene, false);
      return Ask.of(address, asFetchedText);
    },
  },
  keyOrDefault: {
    min: 2,
    max: 2,
    consul: true,
    run([path, instead], scene) {
      const address = keyAddress(textArgument(path), scene, true);
      const other = textArgument(instead);
      return Ask.of(address, (fetched) => asFetchedKey(fetched) ?? other);
    },
  },
  keyExists: {
    min: 1,
    max: 1,
    consul: true,
    run([path], scene) {
      const address = keyAddress(textArgument(path), scene, true);
      return Ask.of(address, (fetched) => asFetchedKey(fetched) !== undefined);
    },
  },
  env: {
    min: 1,
    max: 1,
    run([given], scene, [written]) {
      const name = textArgument(given);
      const shown = written ? ` ${name}` : '';
      const found = variable(name, scene, shown);
      if (found !== undefined) return found;
      const advice = `write envOrDefault "${written ? name : 'NAME'}" "…" for a default`;
      return new Absence(`the variable${shown} is not set; ${advice}`, '');
    },
  },
  mustEnv: {
    min: 1,
    max: 1,
    run([given], scene, [written]) {
      const name = textArgument(given);
      const shown = written ? ` ${name}` : '';
      const found = variable(name, scene, shown);
      if (found === undefined || found === '')
        throw new ValueFault(`the variable${shown} is ${found === '' ? 'empty' : 'not set'}`);
      return found;
    },
  },
  envOrDefault: {
    min: 2,
    max: 2,
    run: ([given, instead], scene) => variable(textArgument(given), scene, '') ?? textArgument(instead),
  },
  base64Decode: ofTexts(1, (text) => decoded(text, /^[A-Za-z0-9+/]*={0,2}$/, 'base64')),
  base64URLDecode: ofTexts(1, (text) => decoded(text, /^[\w-]*={0,2}$/, 'base64url')),
  base64Encode: ofBytes((bytes) => Buffer.from(bytes).toString('base64')),
  base64URLEncode: ofBytes((bytes) =>
    Buffer.from(bytes).toString('base64').replaceAll('+', '-').replaceAll('/', '_'),
  ),
  sha256Hex: ofBytes((bytes) => createHash('sha256').update(bytes).digest('hex')),
  md5sum: ofBytes((bytes) => createHash('md5').update(bytes).digest('hex')),
  hmacSHA256Hex: ofTexts(2, (message, key) => createHmac('sha256', key).update(message).digest('hex')),
  contains: { min: 2, max: 2, run: ([value = null, container = null]) => includes(container, value) },
  in: { min: 2, max: 2, run: ([container = null, value = null]) => includes(container, value) },
  indent: {
    min: 2,
    max: 2,
    run([spaces, given], { largest }) {
      const width = wholeArgument(spaces);
      if (width < 0 || width > 1000) throw new ValueFault('it takes a number of spaces from 0 to 1000');
      const text = textArgument(given);
      checkCountOf('\n', text, width, largest);
      return text.replace(/^(?=[^\n])/gm, ' '.repeat(width));
    },
  },
  join: { min: 2, max: 2, run: ([separator, list]) => texts(list).join(textArgument(separator)) },
  split: ofTexts(2, (separator, text) => splitText(separator, text)),
  splitToMap: ofTexts(3, (outer, inner, text) => {
    const pairs = splitText(outer, text).flatMap((pair): [string, string][] => {
      const middle = pair.indexOf(inner);
      return middle < 0 ? [] : [[pair.slice(0, middle), pair.slice(middle + inner.length)]];
    });
    return new TakenApart(pairs);
  }),
  replaceAll: {
    min: 3,
    max: 3,
    run(given, { largest }) {
      const [from = '', to = '', text = ''] = given.map((value) => textArgument(value));
      checkCountOf(from, text, to.length, largest);
      return text.replaceAll(from, () => to);
    },
  },
  trim: ofTexts(2, trimmedOf),
  trimPrefix: ofTexts(2, (prefix, text) => (text.startsWith(prefix) ? text.slice(prefix.length) : text)),
  trimSuffix: ofTexts(2, (suffix, text) =>
    text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text,
  ),
  trimSpace: ofTexts(1, goTrimmed),
  toLower: ofTexts(1, (text) => mapped(text, (char) => char.toLowerCase())),
  toUpper: ofTexts(1, (text) => mapped(text, (char) => char.toUpperCase())),
  toTitle: ofTexts(1, (text) =>
    text.replace(/(?<![\p{L}\p{M}\p{N}_]|[\p{L}\p{M}][.'’])\p{L}/gu, (char) =>
      mapped(char, (one) => one.toUpperCase()),
    ),
  ),
  parseBool: ofTexts(1, (text) => {
    if (text === '' || /^(0|f|F|FALSE|false|False)$/.test(text)) return false;
    if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
    throw new ValueFault('the text is neither true nor false');
  }),
  parseInt: ofTexts(1, (text) => parseWhole(text, /^[+-]?\d+$/, 64)),
  parseUint: ofTexts(1, (text) => parseWhole(text, /^\d+$/, 64)),
  parseFloat: ofTexts(1, (text) => {
    if (text === '') return 0;
    if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) || !Number.isFinite(Number(text)))
      throw new ValueFault('the text is not a number');
    return Number(text);
  }),
  parseJSON: ofTexts(1, (text) => {
    try {
      return text === '' ? new TakenApart() : floatsOf(parseJson(text, { repeatedKeys: true }));
    } catch (error) {
      throw new ValueFault(`the text is not JSON: ${(error as Error).message}`, { cause: error });
    }
  }),
  toYAML: { min: 1, max: 1, null: true, run: ([value = null]) => yamlText(value) },
  regexMatch: {
    min: 2,
    max: 2,
    checkFirst: (pattern) => void goPattern(pattern, ''),
    run([given, text]) {
      const pattern = goPattern(textArgument(given), '');
      const subject = textArgument(text);
      return new Ask(async ({ signal }) => {
        const found = await matchesWithin(pattern, subject, patternTime, signal);
        if (found === undefined) throw new ValueFault(slowPattern);
        return found;
      });
    },
  },
  regexReplaceAll: {
    min: 3,
    max: 3,
    checkFirst: (pattern) => void goPattern(pattern, 'g'),
    run([given, by, text], { largest }) {
      const pattern = goPattern(textArgument(given), 'g');
      const replacement = textArgument(by);
      const subject = textArgument(text);
      return new Ask(async ({ signal }) => {
        const found = await matchesOf(pattern, subject, patternTime, signal);
        if (found === undefined) throw new ValueFault(slowPattern);
        let made = '';
        let last = 0;
        for (const match of found) {
          made += subject.slice(last, match.index) + expanded(replacement, groupsOf(match));
          if (made.length > largest) throw new ValueFault(tooMuch);
          last = match.index + match[0].length;
        }
        return made + subject.slice(last);
      });
    },
  },
  timestamp: {
    min: 0,
    max: 1,
    checkFirst: (layout) => void (layout === 'unix' || goTime(new Date(0), layout)),
    run([layout], { now }) {
      const given = layout === undefined ? undefined : textArgument(layout);
      if (given === 'unix') return String(Math.floor(now.getTime() / 1000));
      return goTime(now, given ?? '2006-01-02T15:04:05Z07:00');
    },
  },
};

const slowPattern = 'the pattern takes too long for this text: make it simpler, without nested repetitions';

function groupsOf(match: RegExpMatchArray): ReadonlyMap<string, string | undefined> {
  return new Map([
    ...match.map((text, index): [string, string | undefined] => [String(index), text]),
    ...Object.entries(match.groups ?? {}),
  ]);
}

function parseWhole(text: string, accepted: RegExp, bits: number): bigint {
  if (text === '') return 0n;
  const value = accepted.test(text) ? BigInt(text.replace('+', '')) : undefined;
  if (value === undefined || BigInt.asIntN(bits, value) !== value)
    throw new ValueFault('the text is not a whole number of 64 bits');
  return value;
}

/** text/template's index. A key that is not there is an absence; a number out of range an error. */
function at(value: Value, key: Value, shown: boolean): Value {
  if (isMap(value)) {
    const name = textArgument(key);
    return value.get(name) ?? (value.has(name) ? null : noKey(shown ? name : undefined, value));
  }
  if (isGoList(value)) {
    const item = value[wholeArgument(key)];
    if (item === undefined)
      throw new ValueFault(
        `the list has ${value.length} items, and there is none of that number; the first is 0`,
      );
    return item;
  }
  if (typeof value === 'string' || value instanceof Uint8Array) {
    const byte = bytesOf(value)[wholeArgument(key)];
    if (byte === undefined) throw new ValueFault('the text has no byte of that number; the first is 0');
    return BigInt(byte);
  }
  if (value instanceof GoStruct)
    throw new ValueFault(
      `index looks into maps and lists, and this is ${value.kind}; name its field, such as .Data`,
    );
  throw new ValueFault(`index looks into maps and lists, and this is ${kindOfValue(value)}`);
}

/** Keys that are named. */
const shownKeys = 20;

/** Names of keys are shown, as fetch-config does, but for those that a text was taken apart into. @param name undefined where it may be a value */
export function noKey(name: string | undefined, map: ValueMap): Absence {
  const what = name === undefined ? 'such key, whose name is a value' : JSON.stringify(name);
  if (map instanceof TakenApart)
    return new Absence(`there is no ${what} in what the text was taken apart into`);
  const keys = [...map.keys()].toSorted();
  const more = keys.length > shownKeys ? ` and ${keys.length - shownKeys} more` : '';
  if (keys.length === 0) return new Absence(`there is no ${what}, and nothing else either`);
  const there = keys.slice(0, shownKeys).map((key) => JSON.stringify(key));
  return new Absence(`there is no ${what}: there are ${there.join(', ')}${more}`);
}
