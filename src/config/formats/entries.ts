import { isUtf8 } from 'node:buffer';

import { JsonNumber, type FieldValue } from '../source.ts';

/** What a format writes: named values in the order in which they were given. */
export type Entries = ReadonlyMap<string, FieldValue>;

/**
 * Why a format cannot hold what it was given. The message names the key and what to do; never the value.
 */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/** The most bytes of one variable with its name, `=` and final NUL: MAX_ARG_STRLEN of execve(2), 32 pages. */
export const longestVariable = 131_072;

/** Where a structure can go, for messages. */
const structured = 'json and yaml hold it, or pick one part of it, as in #FIELD.PART';

/**
 * A value as the text that a format of plain texts holds: numbers as they were written, `true` and `false`.
 * @throws FormatError for objects, arrays, null, bytes that are not UTF-8, and NUL, which C strings end at
 */
export function plainText(key: string, value: FieldValue, format: string): string {
  const text = scalarText(key, value, format);
  if (text.includes('\0')) {
    throw new FormatError(
      `${quotedKey(key)} holds a NUL byte, which ${format} cannot; --format files or raw writes any bytes`,
    );
  }
  return text;
}

function scalarText(key: string, value: FieldValue, format: string): string {
  if (typeof value === 'string') return wellFormed(key, value, format);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof JsonNumber) return value.text;
  if (value instanceof Uint8Array) return textOfValue(key, value, format);
  if (value === null) {
    throw new FormatError(
      `${quotedKey(key)} is null, which ${format} cannot express; leave it out, or let a spec give it a default`,
    );
  }
  const what = Array.isArray(value) ? 'a list' : 'an object';
  throw new FormatError(`${quotedKey(key)} is ${what}, which ${format} cannot hold; ${structured}`);
}

/**
 * A value as the bytes of a file of its own.
 * @throws FormatError for objects, arrays and null
 */
export function plainBytes(key: string, value: FieldValue, format: string): Uint8Array {
  return value instanceof Uint8Array ? value : Buffer.from(scalarText(key, value, format));
}

/** Bytes as text. @throws FormatError where they are not UTF-8 */
export function textOfValue(key: string, bytes: Uint8Array, format: string): string {
  if (!isUtf8(bytes)) {
    throw new FormatError(
      `${quotedKey(key)} holds bytes that are not UTF-8 text, which ${format} cannot; --format files or raw writes any bytes`,
    );
  }
  return Buffer.from(bytes).toString();
}

/** @throws FormatError for half of a surrogate pair, which UTF-8 has no bytes for */
export function wellFormed(key: string, text: string, format: string): string {
  if (text.isWellFormed()) return text;
  throw new FormatError(
    `${quotedKey(key)} holds half of a surrogate pair, which is not valid text for ${format}`,
  );
}

/** What POSIX takes for a variable's name (XBD 8.1), beyond which shells and dotenv readers differ. */
const variable = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @throws FormatError where a key cannot be a variable's name, with what it could be called */
export function checkVariableName(key: string, format: string): void {
  if (variable.test(key)) return;
  const could = key.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');
  throw new FormatError(
    `${quotedKey(key)} is not a valid variable name for ${format}: letters, digits and _, no digit first; a spec can rename it${
      variable.test(could) ? `, to ${could} say` : ''
    }`,
  );
}

export function quotedKey(key: string): string {
  return JSON.stringify(key);
}
