import { whyNotUtf8 } from '../core/byte-order-mark.ts';
import { exitStatus } from '../core/exit-status.ts';
import type { Redactor } from '../core/redaction/redactor.ts';
import { never, type Never } from '../wait/attempt.ts';
import { asObject, parseJson } from './json.ts';
import { JsonNumber, type Fetched, type FieldValue } from './source.ts';

type Content = Fetched['content'];

/** Field names shown where one is missing. */
const shown = 20;

/** Picks what `#FIELD` names; the whole content where there is no `#FIELD`. */
export function pickField(
  fields: ReadonlyMap<string, FieldValue>,
  field: string | undefined,
): Content | Never {
  if (field === undefined) return { kind: 'fields', fields };
  const value = fieldAt(fields, field);
  if (value !== undefined) return { kind: 'value', value };
  return never(exitStatus.refused, `has no field ${JSON.stringify(field)}`, whatIsThere(fields, field));
}

/** How far a path leads, and what could follow there. Names only; never a value. */
function whatIsThere(fields: ReadonlyMap<string, FieldValue>, path: string): string {
  for (let dot = path.lastIndexOf('.'); dot > 0; dot = path.lastIndexOf('.', dot - 1)) {
    const above = path.slice(0, dot);
    const value = fieldAt(fields, above);
    if (value === undefined) continue;
    const object = asObject(value);
    return `${JSON.stringify(above)} is there, and ${object === undefined ? kindOf(value) : listed(Object.keys(object))}`;
  }
  return `it ${listed([...fields.keys()])}`;
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'has no fields at all';
  const list = names
    .slice(0, shown)
    .map((name) => JSON.stringify(name))
    .join(', ');
  return `has the fields ${list}${names.length > shown ? ` and ${names.length - shown} more` : ''}`;
}

/** Of what has no fields. */
function kindOf(value: FieldValue): string {
  if (Array.isArray(value))
    return value.length === 0 ? 'is an empty list' : `is a list, whose items are 0 to ${value.length - 1}`;
  if (value === null) return 'is null';
  if (typeof value === 'string') return 'is a text, which has no fields; JSON in it is not looked into';
  return `is a ${typeof value === 'boolean' ? 'boolean' : 'number'}, which has no fields`;
}

/**
 * The field of that name, or what lies below one: `db.password`, `hosts.0`. A key that has dots of its own is found by its whole
 * name: of several readings the one with the longest keys counts.
 */
export function fieldAt(fields: ReadonlyMap<string, FieldValue>, path: string): FieldValue | undefined {
  return below((key) => fields.get(key), path);
}

function below(member: (key: string) => FieldValue | undefined, path: string): FieldValue | undefined {
  const whole = member(path);
  if (whole !== undefined) return whole;
  for (let dot = path.lastIndexOf('.'); dot > 0; dot = path.lastIndexOf('.', dot - 1)) {
    const members = membersIn(member(path.slice(0, dot)));
    const found = members && below(members, path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Looks into an object by key, or into a list by number from 0; undefined for what has no parts. */
function membersIn(value: FieldValue | undefined): ((key: string) => FieldValue | undefined) | undefined {
  if (Array.isArray(value)) {
    const items = value as readonly FieldValue[];
    return (key) => (/^(0|[1-9]\d*)$/.test(key) ? items[Number(key)] : undefined);
  }
  const object = asObject(value);
  return object && ((key) => (Object.hasOwn(object, key) ? object[key] : undefined));
}

/** Bytes as they are, or the field that `#FIELD` picks from the JSON object in them. */
export function pickFromBytes(bytes: Uint8Array, field: string | undefined): Content | Never {
  if (field === undefined) return { kind: 'value', value: bytes };
  try {
    return pickField(fieldsOfValue(bytes), field);
  } catch (error) {
    return never(
      exitStatus.refused,
      `has no field ${JSON.stringify(field)}: ${(error as Error).message}`,
      'only a JSON object has fields',
    );
  }
}

/**
 * The members of the JSON object that a text, or bytes, hold.
 * @throws Error that says why there are none, without any of the text
 */
export function fieldsOfValue(value: FieldValue): ReadonlyMap<string, FieldValue> {
  const parsed =
    typeof value === 'string'
      ? parseJson(value)
      : value instanceof Uint8Array
        ? parseJson(textOf(value))
        : value;
  const object = asObject(parsed);
  if (object === undefined) throw new Error('its JSON is not an object');
  return membersOf(object);
}

/** An object's members as a map; a list of pairs in between takes more time than the rest of it. */
export function membersOf(object: { readonly [key: string]: FieldValue }): Map<string, FieldValue> {
  const members = new Map<string, FieldValue>();
  for (const key of Object.keys(object)) members.set(key, object[key] as FieldValue);
  return members;
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error(whyNotUtf8(bytes));
  }
}

/** Shorter ones stand in the log's own words ("2 attempts"), and values are never printed by design. */
const shortest = 4;
/** Shorter numbers are ports, counts and years. */
const shortestNumber = 6;

/** Tells the redactor about every value that was read, however deep. */
export function registerValue(redactor: Redactor, value: FieldValue): void {
  if (typeof value === 'string') registerText(redactor, value);
  else if (typeof value === 'number' || value instanceof JsonNumber) {
    if (String(value).length >= shortestNumber) redactor.secret(String(value));
  } else if (value instanceof Uint8Array) {
    redactor.bytes(value);
  } else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) registerValue(redactor, inner);
  }
}

/** Tells the redactor about all of a source's content. */
export function registerContent(redactor: Redactor, content: Content): void {
  if (content.kind === 'value') return registerValue(redactor, content.value);
  for (const value of content.fields.values()) registerValue(redactor, value);
}

function registerText(redactor: Redactor, text: string): void {
  if (text.trim().length >= shortest) redactor.secret(text);
}

/** Bytes that are UTF-8 as a text, with all that is in it; other bytes as they are. */
export function textOrBytes(bytes: Uint8Array): FieldValue {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes;
  }
}
