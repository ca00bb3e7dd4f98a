import { JsonNumber, type FieldValue } from '../../../config/source.ts';

/**
 * What a template's values are. Whole numbers of Go are bigint and its floats number; a number of Vault's is a text with digits
 * (encoding/json's Number), as it is there. Texts that are not UTF-8 are bytes.
 */
export type Value =
  | string
  | Uint8Array
  | bigint
  | number
  | boolean
  | null
  | JsonNumber
  | readonly Value[]
  | ValueMap
  | GoStruct
  | Absence;

export type ValueMap = ReadonlyMap<string, Value>;

/** A map that a text was taken apart into: its keys may be as secret as the text, and no redactor knows them. */
export class TakenApart extends Map<string, Value> {}

/** What has some fields and no others, as Vault's whole answer has. */
export class GoStruct {
  /** For messages. */
  readonly kind: string;
  readonly fields: ValueMap;

  constructor(kind: string, fields: ValueMap) {
    this.kind = kind;
    this.fields = fields;
  }
}

/** What `loop` gives: a channel to Go, which range alone goes through. */
export class GoLoop extends GoStruct {
  readonly numbers: readonly bigint[];

  constructor(numbers: readonly bigint[]) {
    super('what loop gives, for range alone', new Map());
    this.numbers = numbers;
  }
}

/** What is not there: a condition may ask for it, and nothing else may use it. */
export class Absence {
  /** A sentence, with what to do. */
  readonly words: string;
  /** What a comparison takes it for: a variable that is not set is empty. */
  readonly compared: '' | null;

  constructor(words: string, compared: '' | null = null) {
    this.words = words;
    this.compared = compared;
  }
}

/** What is wrong with a value, without the place. The message holds no value. */
export class ValueFault extends Error {
  override readonly name = 'ValueFault';
}

export function isMap(value: Value): value is ValueMap {
  return value instanceof Map;
}

export function isGoList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** What a value is, for people. */
export function kindOfValue(value: Value): string {
  if (value === null) return 'null';
  if (value instanceof Absence) return 'not there';
  if (value instanceof GoStruct) return value.kind;
  if (value instanceof JsonNumber) return 'a number of JSON, which is a text here';
  if (value instanceof Uint8Array) return 'bytes that are not UTF-8 text';
  if (isMap(value)) return 'a map';
  if (isGoList(value)) return 'a list';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'bigint') return 'a whole number';
  return typeof value === 'number' ? 'a number with a fraction (float64)' : 'true or false';
}

/**
 * Data of a source as a value.
 * @param texts whether its numbers become texts with digits, as Vault's are, or numbers where JavaScript keeps their digits
 */
export function valueOf(data: FieldValue, texts: boolean): Value {
  if (Array.isArray(data)) return data.map((item: FieldValue) => valueOf(item, texts));
  if (data === null || data instanceof Uint8Array || data instanceof JsonNumber) return data;
  if (typeof data === 'number') {
    if (texts) return new JsonNumber(String(data));
    return Number.isInteger(data) ? BigInt(data) : data;
  }
  if (typeof data !== 'object') return data;
  return new Map(Object.entries(data).map(([key, inner]) => [key, valueOf(inner, texts)]));
}

/** A value of ours as encoding/json would read it: numbers are float64. */
export function floatsOf(data: FieldValue): Value {
  if (Array.isArray(data)) return data.map((item: FieldValue) => floatsOf(item));
  if (data === null || data instanceof Uint8Array || typeof data !== 'object') return data;
  if (data instanceof JsonNumber) return Number(data.text);
  return new TakenApart(Object.entries(data).map(([key, inner]) => [key, floatsOf(inner)]));
}

/** text/template's IsTrue: not zero, and not empty. */
export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Absence) return false;
  if (value instanceof JsonNumber) return value.text !== '';
  if (typeof value === 'string' || value instanceof Uint8Array || isGoList(value)) return value.length > 0;
  if (isMap(value)) return value.size > 0;
  if (typeof value === 'object') return true;
  return Boolean(value);
}

/** As Go compares texts: by their bytes in UTF-8, whose order is that of the code points. */
export function compareTexts(one: string, other: string): number {
  return one === other ? 0 : Buffer.compare(Buffer.from(one), Buffer.from(other));
}

/** A map's entries in the order in which Go goes through them. */
export function sortedEntries(map: ValueMap): (readonly [key: string, value: Value])[] {
  return [...map].toSorted(([one], [other]) => compareTexts(one, other));
}

/** strconv's shortest form of a float64 with %g and %v: with an exponent below 1e-4 and from 1e6 on. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const [, mantissa = '', exponent = '0'] = /^([^e]*)e(.*)$/.exec(value.toExponential()) ?? [];
  const power = Number(exponent);
  if (power >= -4 && power < 6) return plainDigits(mantissa, power);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** `-1.25` with the exponent 2 as `-125`. */
function plainDigits(mantissa: string, power: number): string {
  const [, sign = '', digits = ''] = /^(-?)(.*)$/.exec(mantissa.replace('.', '')) ?? [];
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${digits}`;
  const whole = digits.padEnd(power + 1, '0');
  const fraction = whole.slice(power + 1);
  return `${sign}${whole.slice(0, power + 1)}${fraction === '' ? '' : `.${fraction}`}`;
}

/**
 * A value as fmt's %v writes it.
 * @throws ValueFault where it has no text
 */
export function outputOf(value: Value): string | Uint8Array {
  if (value instanceof Absence) throw new ValueFault(value.words);
  if (value === null) throw new ValueFault('there is no value here (null)');
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  return innerText(value);
}

/** @throws ValueFault */
export function innerText(value: Value): string {
  if (value === null) return '<nil>';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return floatText(value);
  if (value instanceof JsonNumber) return value.text;
  if (isGoList(value)) return `[${value.map((item) => innerText(item)).join(' ')}]`;
  if (isMap(value))
    return `map[${sortedEntries(value)
      .map(([key, inner]) => `${key}:${innerText(inner)}`)
      .join(' ')}]`;
  if (value instanceof Absence) throw new ValueFault(value.words);
  if (typeof value === 'object')
    throw new ValueFault(`this is ${kindOfValue(value)}, not a text; name one of its fields`);
  return String(value);
}

/** The bytes of a text. @throws ValueFault where it is none */
export function bytesOf(value: Value): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof JsonNumber) return Buffer.from(value.text);
  throw new ValueFault(`it takes a text, and this is ${kindOfValue(value)}`);
}
