import { jsonShapeFault, type JsonShape } from './json-shape.ts';
import { JsonNumber, type FieldValue } from './source.ts';

/** What JSON.parse hands to a reviver beside key and value (https://github.com/tc39/proposal-json-parse-with-source). */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * Reads JSON and keeps the text of numbers that JavaScript would change.
 * @param shape what is taken: a server that is only waited for may repeat a key
 * @throws Error that says where it is wrong, without any of the text: it may be a secret
 */
export function parseJson(text: string, shape: JsonShape = {}): FieldValue {
  const keep: Reviver = (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source
      ? new JsonNumber(source)
      : value;
  const fault = jsonShapeFault(text, shape);
  if (fault !== undefined) throw new Error(`${fault.words} (character ${fault.at + 1})`);
  try {
    return JSON.parse(text, keep as (key: string, value: unknown) => unknown) as FieldValue;
  } catch (error) {
    const message = (error as Error).message;
    const position = / at position (\d+)/.exec(message)?.[1];
    const cut = /end of JSON input|Unterminated/.test(message) || Number(position) >= text.length;
    // oxlint-disable-next-line preserve-caught-error -- V8's message quotes the text
    throw new Error(
      cut
        ? `it ends in the middle of the JSON, after ${text.length} characters`
        : `it is not JSON${position === undefined ? '' : ` from character ${Number(position) + 1} on`}`,
    );
  }
}

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
