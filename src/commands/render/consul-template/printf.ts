import { JsonNumber } from '../../../config/source.ts';
import { floatText, innerText, kindOfValue, ValueFault, type Value } from './values.ts';

/** A directive of fmt (https://pkg.go.dev/fmt#hdr-Printing): `%-8.2f`. */
const directive = /%([-+# 0]*)(\d*)(?:\.(\d*))?([a-zA-Z%]|[\s\S]|$)/gu;

const verbs = 'vsdqtxXobcUfFeEgG%';

/** Characters of all widths and precisions of a format: far beyond any that is meant. */
const widest = 10_000;

/**
 * @param shown whether the format may be quoted: one that is no part of the template may be a secret
 * @throws ValueFault where it is wrong, or wants another number of values
 */
export function checkCount(format: string, given: number, shown: boolean): void {
  let count = 0;
  let widths = 0;
  for (const [whole, , width = '', precision = '', verb = ''] of format.matchAll(directive)) {
    if (verb === '') throw new ValueFault('the format ends after %; write %% for one');
    if (!verbs.includes(verb))
      throw new ValueFault(
        `${shown ? JSON.stringify(whole) : 'the format has what'} is not a directive of printf that is supported; these are %v %s %d %q %t %x %X %o %b %c %U %f %e %g and %%`,
      );
    widths += Number(width) + Number(precision);
    if (widths > widest)
      throw new ValueFault(`its widths are more than ${widest.toLocaleString('en-US')} characters together`);
    if (verb !== '%') count++;
  }
  if (count !== given)
    throw new ValueFault(`the format has ${count} directives, and there are ${given} values for them`);
}

/**
 * fmt.Sprintf, without the texts such as `%!d(string=…)` that it makes where an argument does not fit.
 * @throws ValueFault where one does not
 */
export function formatted(format: string, values: readonly Value[], shown: boolean): string {
  checkCount(format, values.length, shown);
  let index = 0;
  return format.replace(
    directive,
    (_, flags: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      const value = values[index++] ?? null;
      return padded(directed(value, { flags, precision, verb }), flags, Number(width), verb);
    },
  );
}

interface Directive {
  readonly flags: string;
  readonly precision: string | undefined;
  readonly verb: string;
}

function padded(text: string, flags: string, width: number, verb: string): string {
  const missing = width - Array.from(text).length;
  if (missing <= 0) return text;
  if (flags.includes('-')) return text + ' '.repeat(missing);
  if (!flags.includes('0') || 'sqvtcU'.includes(verb)) return ' '.repeat(missing) + text;
  const [, sign = '', digits = ''] = /^([+-]?(?:0[xX])?)(.*)$/s.exec(text) ?? [];
  return sign + '0'.repeat(missing) + digits;
}

function directed(value: Value, { flags, precision, verb }: Directive): string {
  const wants = (what: string): ValueFault =>
    new ValueFault(`%${verb} of printf takes ${what}, and this is ${kindOfValue(value)}`);
  const signed = (text: string): string =>
    text.startsWith('-') ? text : flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text;
  switch (verb) {
    case 'v':
      if (typeof value === 'bigint' || typeof value === 'number') return signed(innerText(value));
      return cut(innerText(value), precision);
    case 's':
      if (
        typeof value === 'bigint' ||
        typeof value === 'number' ||
        typeof value === 'boolean' ||
        value === null
      )
        throw wants('a text; %v takes anything');
      return cut(innerText(value), precision);
    case 't':
      if (typeof value !== 'boolean') throw wants('true or false');
      return String(value);
    case 'q':
      if (typeof value === 'string' || value instanceof JsonNumber)
        return goQuoted(cut(String(value), precision));
      throw wants('a text');
    case 'c':
    case 'U': {
      const code = wholeOf(value);
      if (code === undefined || code < 0n || code > 0x10ffffn) throw wants('the number of a character');
      return verb === 'c'
        ? String.fromCodePoint(Number(code))
        : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
    }
    case 'd':
    case 'o':
    case 'b': {
      const number = wholeOf(value);
      if (number === undefined) throw wants('a whole number');
      return signed(number.toString({ d: 10, o: 8, b: 2 }[verb]));
    }
    case 'x':
    case 'X': {
      const number = typeof value === 'bigint' ? value : undefined;
      const hex =
        number === undefined
          ? Buffer.from(
              typeof value === 'string' || value instanceof Uint8Array ? value : refuse(wants),
            ).toString('hex')
          : number.toString(16);
      const prefixed = flags.includes('#') ? hex.replace(/^(-?)/, '$10x') : hex;
      return signed(verb === 'X' ? prefixed.toUpperCase() : prefixed);
    }
    default: {
      if (typeof value !== 'number') throw wants('a number with a fraction (float64)');
      return signed(floatBy(value, verb, precision));
    }
  }
}

function refuse(wants: (what: string) => ValueFault): never {
  throw wants('a whole number or a text');
}

function wholeOf(value: Value): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return value instanceof JsonNumber && /^-?\d+$/.test(value.text) ? BigInt(value.text) : undefined;
}

function cut(text: string, precision: string | undefined): string {
  return precision === undefined ? text : Array.from(text).slice(0, Number(precision)).join('');
}

function floatBy(value: number, verb: string, precision: string | undefined): string {
  if (!Number.isFinite(value)) return floatText(value);
  const places = precision === undefined ? 6 : Math.min(Number(precision), 100);
  switch (verb) {
    case 'f':
    case 'F':
      return fixed(value, places);
    case 'e':
    case 'E': {
      const text = value.toExponential(places).replace(/e([+-])(\d)$/, 'e$10$2');
      return verb === 'E' ? text.toUpperCase() : text;
    }
    default:
      if (precision !== undefined)
        throw new ValueFault(`a precision of %${verb} is not supported by printf; write %.2f`);
      return verb === 'G' ? floatText(value).toUpperCase() : floatText(value);
  }
}

/** toFixed writes an exponent from 1e21 on. */
function fixed(value: number, places: number): string {
  if (Math.abs(value) < 1e21) return value.toFixed(places);
  return `${BigInt(value)}${places > 0 ? `.${'0'.repeat(places)}` : ''}`;
}

const named: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

/** strconv.Quote: printable characters as they are. */
export function goQuoted(text: string): string {
  return `"${text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (char) => {
    const code = char.codePointAt(0) ?? 0;
    if (named[char] !== undefined) return named[char];
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code > 0xffff
      ? `\\U${code.toString(16).padStart(8, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  })}"`;
}

/** Whether fmt.Sprint puts no blank beside it. */
export function isTextLike(value: Value): boolean {
  return typeof value === 'string' || value instanceof JsonNumber || value instanceof Uint8Array;
}
