import { Ajv, type ErrorObject } from 'ajv';

/** What is wrong with one value. */
export interface SchemaMistake {
  /** Keys and indices that lead to the value, or to the object of an unknown key. */
  readonly path: readonly string[];
  /** The key itself, where the object has one that is not known. */
  readonly unknown?: string;
  /** What would have been taken in its place: keys, or words. */
  readonly known: readonly string[];
  /** What is wrong: `must be a list`, `must have "name"`. */
  readonly what: string;
}

/**
 * What a value has that its JSON Schema does not allow, in the order of the schema.
 * @param schema one of our own making: it is not itself checked
 */
export function schemaMistakes(schema: object, value: unknown): SchemaMistake[] {
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: false, validateSchema: false, meta: false });
  const validate = ajv.compile(schema);
  if (validate(value)) return [];
  const mistakes = (validate.errors ?? [])
    // They only say that one of the others is there.
    .filter(({ keyword }) => keyword !== 'if' && keyword !== 'allOf')
    .map(describe);
  const unique = new Map(
    mistakes.map((mistake) => [JSON.stringify([mistake.path, mistake.unknown, mistake.what]), mistake]),
  );
  return [...unique.values()];
}

function describe(error: ErrorObject): SchemaMistake {
  // A JSON pointer (RFC 6901).
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const { params, parentSchema, keyword } = error;
  if (keyword === 'additionalProperties') {
    const unknown = String(params['additionalProperty']);
    return {
      path,
      unknown,
      known: Object.keys((parentSchema?.['properties'] as object | undefined) ?? {}),
      what: 'is unknown',
    };
  }
  const words = wordsOf(keyword, params, parentSchema?.['description']);
  const known = keyword === 'enum' ? (params['allowedValues'] as readonly unknown[]).map(String) : [];
  return { path, known, what: words ?? error.message ?? 'is not allowed' };
}

function wordsOf(keyword: string, params: Record<string, unknown>, description: unknown): string | undefined {
  if (keyword === 'required') return `must have ${JSON.stringify(params['missingProperty'])}`;
  if (keyword === 'type') return `must be ${typeWords(params['type'])}`;
  if (keyword === 'enum')
    return `must be one of ${(params['allowedValues'] as readonly unknown[]).join(', ')}`;
  if (keyword === 'minItems')
    return params['limit'] === 1
      ? 'must not be empty'
      : `must have at least ${String(params['limit'])} entries`;
  if (keyword === 'maxItems')
    return `must have at most ${String(params['limit'])} ${params['limit'] === 1 ? 'entry' : 'entries'}`;
  if (keyword === 'pattern' && typeof description === 'string') return `is not right: ${description}`;
  return undefined;
}

const typeNames: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
  null: 'nothing',
  number: 'a number',
  object: 'a map of keys',
  string: 'text',
};

function typeWords(type: unknown): string {
  const names = (Array.isArray(type) ? type : [type]).map((name) => typeNames[String(name)] ?? String(name));
  return names.length > 1
    ? `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
    : (names[0] ?? 'something else');
}
