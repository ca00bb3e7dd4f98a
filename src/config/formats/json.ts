import { JsonNumber, type FieldValue } from '../source.ts';
import { type Entries, FormatError, quotedKey, textOfValue } from './entries.ts';

/** Deeper than any configuration, and far from the stack's end. */
const deepest = 200;

/** One object, two spaces a level, numbers as they were written, a line end. */
export function formatJson(entries: Entries): Uint8Array {
  const lines = [...entries].map(([key, value]) => `  ${quotedKey(key)}: ${indented(key, value, 1)}`);
  return Buffer.from(lines.length === 0 ? '{}\n' : `{\n${lines.join(',\n')}\n}\n`);
}

/** A value alone as JSON. */
export function formatJsonValue(value: FieldValue, key = 'the value'): Uint8Array {
  return Buffer.from(`${indented(key, value, 0)}\n`);
}

/** A value on one line. @throws FormatError */
export function jsonInline(key: string, value: FieldValue, level = 0): string {
  if (level > deepest) throw new FormatError(`${quotedKey(key)} is nested deeper than ${deepest} levels`);
  if (!isStructure(value)) return jsonScalar(key, value);
  if (isList(value)) return `[${value.map((item) => jsonInline(key, item, level + 1)).join(',')}]`;
  const pairs = Object.entries(value);
  return `{${pairs.map(([name, item]) => `${quotedKey(name)}:${jsonInline(name, item, level + 1)}`).join(',')}}`;
}

function indented(key: string, value: FieldValue, level: number): string {
  if (!isStructure(value)) return jsonScalar(key, value);
  if (level > deepest) throw new FormatError(`${quotedKey(key)} is nested deeper than ${deepest} levels`);
  const pad = '  '.repeat(level + 1);
  const list = isList(value);
  const parts = list
    ? value.map((item) => pad + indented(key, item, level + 1))
    : Object.entries(value).map(
        ([name, item]) => `${pad}${quotedKey(name)}: ${indented(key, item, level + 1)}`,
      );
  const [open, close] = list ? '[]' : '{}';
  return parts.length === 0
    ? `${open}${close}`
    : `${open}\n${parts.join(',\n')}\n${'  '.repeat(level)}${close}`;
}

/** A string, number, boolean or null as JSON; bytes as the text that they are. */
export function jsonScalar(key: string, value: Scalar): string {
  if (value instanceof JsonNumber) return value.text;
  const text = value instanceof Uint8Array ? textOfValue(key, value, 'json') : value;
  if (typeof text === 'string' && text.includes('\0')) {
    throw new FormatError(
      `${quotedKey(key)} holds a NUL character, at which most readers of text end; --format files or raw writes any bytes`,
    );
  }
  if (typeof text === 'number' && !Number.isFinite(text))
    throw new FormatError(`${quotedKey(key)} is not a number that JSON can write`);
  return JSON.stringify(text);
}

export type Structure = readonly FieldValue[] | { readonly [key: string]: FieldValue };

export type Scalar = Exclude<FieldValue, Structure> | JsonNumber | Uint8Array;

export function isStructure(value: FieldValue): value is Structure {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof JsonNumber) &&
    !(value instanceof Uint8Array)
  );
}

export function isList(value: Structure): value is readonly FieldValue[] {
  return Array.isArray(value);
}
