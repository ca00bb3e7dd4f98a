import { Ajv, type ErrorObject, type SchemaObject, type ValidateFunction } from 'ajv';

import { quotedValue } from '../core/misplaced-secret.ts';

/** What is wrong with a value, in words, and where. */
export interface SchemaProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/**
 * Checks a value against a JSON Schema (draft-07).
 * @param nearest finds the known name that a mistyped one most likely meant
 * @returns what is wrong, in the order of the schema; nothing where it fits
 */
export function checkSchema(
  schema: SchemaObject,
  value: unknown,
  nearest: (name: string, known: readonly string[]) => string | undefined,
): readonly SchemaProblem[] {
  const validate = compiled.get(schema) ?? compile(schema);
  compiled.set(schema, validate);
  if (validate(value)) return [];
  // That a condition holds is no mistake of its own: the others say what is.
  const errors = (validate.errors ?? []).filter(({ keyword }) => keyword !== 'if');
  return errors.map((error) => {
    const path = pathOf(error.instancePath, value);
    return error.keyword === 'additionalProperties'
      ? unknownKey(error, path, nearest)
      : { path, message: wordsOf(error) };
  });
}

const compiled = new WeakMap<SchemaObject, ValidateFunction>();

function compile(schema: SchemaObject): ValidateFunction {
  // The schemas are our own and checked by a test: checking them here too would take 50 ms of each start.
  const ours = { validateSchema: false, meta: false };
  return new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true, ...ours }).compile(schema);
}

/** A JSON Pointer (RFC 6901) as keys, and as numbers where it goes through lists. */
function pathOf(pointer: string, value: unknown): (string | number)[] {
  let inner = value;
  return pointer
    .split('/')
    .slice(1)
    .map((step) => {
      const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
      const index = Array.isArray(inner) ? Number(key) : key;
      inner = (inner as Record<string | number, unknown>)[index];
      return index;
    });
}

function unknownKey(
  { params, parentSchema }: ErrorObject,
  path: (string | number)[],
  nearest: (name: string, known: readonly string[]) => string | undefined,
): SchemaProblem {
  const key = (params as { additionalProperty: string }).additionalProperty;
  const known = Object.keys((parentSchema as { properties?: object }).properties ?? {});
  if (known.includes(`${key}-file`)) {
    const message = `unknown key ${quotedValue(key)}: a secret cannot be written here; give the path of its file with ${key}-file`;
    return { path: [...path, key], message };
  }
  const near = nearest(key, known);
  const advice = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`;
  return { path: [...path, key], message: `unknown key ${quotedValue(key, 80)}; ${advice}` };
}

/** A value is shown, unless it is an address with a password. */
function shownValue(data: unknown): string {
  return typeof data === 'string' ? quotedValue(data, 80) : JSON.stringify(data);
}

function wordsOf({ keyword, params, data, parentSchema, message }: ErrorObject): string {
  const given = params as Record<string, unknown>;
  const meant = (parentSchema as { description?: string } | undefined)?.description;
  const accepted = meant === undefined ? '' : `: ${meant}`;
  switch (keyword) {
    case 'required':
      return `${JSON.stringify(given['missingProperty'])} is missing`;
    case 'type':
      return `expected ${kinds(given['type'])}, got ${kindOf(data)}${accepted}`;
    case 'enum':
      return `must be one of ${(given['allowedValues'] as unknown[]).join(', ')}`;
    case 'maxItems':
      return `has ${(data as unknown[]).length} entries; at most ${String(given['limit'])} are allowed`;
    case 'pattern':
      return `${shownValue(data)} is not what is accepted here${accepted}`;
    case 'minItems':
    case 'minProperties':
    case 'minLength':
      return `must not be empty${accepted}`;
    default:
      return `${message ?? keyword}${accepted}`;
  }
}

const words: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'a mapping',
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  null: 'nothing',
};

function kinds(types: unknown): string {
  return (Array.isArray(types) ? types : [types])
    .map((type) => words[String(type)] ?? String(type))
    .join(' or ');
}

function kindOf(data: unknown): string {
  if (data === null) return 'nothing';
  if (typeof data === 'boolean') return 'a boolean';
  if (Array.isArray(data)) return 'a list';
  return words[typeof data] ?? typeof data;
}
