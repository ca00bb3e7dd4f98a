import { parseJson } from '../../config/json.ts';
import { JsonNumber, type FieldValue } from '../../config/source.ts';

/** `/status=UP`: what must be in a JSON body, and where. */
export interface JsonExpectation {
  /** As it was written, for people. */
  readonly pointer: string;
  readonly tokens: readonly string[];
  /** What must be there; undefined where anything will do. */
  readonly wanted: string | undefined;
}

/**
 * Reads `POINTER=VALUE`, or `POINTER` where anything may be there (RFC 6901, also in its form for URLs: `#/a%3Db`).
 * The first = ends the pointer.
 * @throws Error that says what is accepted
 */
export function parseJsonExpectation(text: string): JsonExpectation {
  const end = text.indexOf('=');
  const pointer = end < 0 ? text : text.slice(0, end);
  return {
    pointer,
    tokens: tokensOf(pointer),
    wanted: end < 0 ? undefined : text.slice(end + 1),
  };
}

function tokensOf(pointer: string): readonly string[] {
  let path = pointer;
  if (pointer.startsWith('#')) {
    try {
      path = decodeURIComponent(pointer.slice(1));
    } catch {
      throw new Error(`${JSON.stringify(pointer)} has a % that starts no escape`);
    }
  }
  if (path !== '' && !path.startsWith('/')) {
    throw new Error(
      `${JSON.stringify(pointer)} is not a JSON pointer; write /status=UP, or /checks/0/ok=true for something deeper`,
    );
  }
  if (/~(?![01])/.test(path))
    throw new Error(`${JSON.stringify(pointer)}: in a JSON pointer ~ is written ~0, and / in a name ~1`);
  return path
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What stands at the pointer; undefined where nothing does. */
export function resolvePointer(document: FieldValue, tokens: readonly string[]): FieldValue | undefined {
  let value: FieldValue | undefined = document;
  for (const token of tokens) {
    if (typeof value !== 'object' || value === null || value instanceof JsonNumber) return undefined;
    if (value instanceof Uint8Array) return undefined;
    if (Array.isArray(value))
      value = /^(0|[1-9]\d*)$/.test(token) ? (value[Number(token)] as FieldValue) : undefined;
    else value = Object.hasOwn(value, token) ? (value as Record<string, FieldValue>)[token] : undefined;
  }
  return value;
}

/** A text equals a string as it is; else it is read as JSON: true, 3, null, "3", {"a":1}. */
export function equals(value: FieldValue, wanted: string): boolean {
  if (value === wanted) return true;
  try {
    return same(value, parseJson(wanted));
  } catch {
    return false;
  }
}

function same(a: FieldValue, b: FieldValue): boolean {
  if (isNumber(a) && isNumber(b)) return sameNumber(a, b);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), new Map(Object.entries(b))];
  return (
    left.length === right.size &&
    left.every(([key, value]) => right.has(key) && same(value as FieldValue, right.get(key) as FieldValue))
  );
}

function isNumber(value: FieldValue): value is number | JsonNumber {
  return typeof value === 'number' || value instanceof JsonNumber;
}

/** By value, as far as a double holds it: 1.0 is 1, but 9007199254740993 is not 9007199254740992. */
function sameNumber(a: number | JsonNumber, b: number | JsonNumber): boolean {
  if (String(a) === String(b)) return true;
  const value = Number(String(a));
  return value === Number(String(b)) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}
