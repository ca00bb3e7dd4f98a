import { quotedKey } from '../../config/formats/entries.ts';
import type { Content, Format } from '../../config/formats/format.ts';
import type { FieldValue } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed } from '../../core/outcome.ts';

/** What to do where two sources have one key. */
export const mergeRules = ['error', 'last'] as const;
export type MergeRule = (typeof mergeRules)[number];

/** What one source contributes to a file. */
export interface Part {
  /** Its address, safe to print. */
  readonly source: string;
  /** The name of a value that stands alone: what `#FIELD` picked. */
  readonly name: string | undefined;
  readonly content: Content;
}

/** Formats that can hold a value without a name. */
const nameless: ReadonlySet<Format> = new Set(['raw', 'json', 'yaml']);

/**
 * One file's content from its sources, in their order.
 * @throws Failure naming both sources where two have one key and the rule is `error`
 */
export function mergeParts(parts: readonly Part[], rule: MergeRule, format: Format): Content {
  const [only, second] = parts;
  if (only !== undefined && second === undefined) {
    const named = only.content.kind === 'value' && only.name !== undefined && !nameless.has(format);
    return named ? { kind: 'fields', fields: fieldsOf(only) } : only.content;
  }
  const merged = new Map<string, FieldValue>();
  const from = new Map<string, string>();
  for (const part of parts) {
    for (const [key, value] of fieldsOf(part)) {
      const other = from.get(key);
      if (other !== undefined && rule === 'error') throw twice(key, other, part.source);
      merged.set(key, value);
      from.set(key, part.source);
    }
  }
  return { kind: 'fields', fields: merged };
}

function twice(key: string, first: string, second: string): Failure {
  const both = first === second ? `${first} gives it twice` : `both ${first} and ${second} have it`;
  return new Failure(
    failed(exitStatus.refused, `two values for the key ${quotedKey(key)}: ${both}`, {
      hint: 'with --merge last the later source wins; a spec can pick and rename keys',
    }),
  );
}

function fieldsOf({ source, name, content }: Part): ReadonlyMap<string, FieldValue> {
  if (content.kind === 'fields') return content.fields;
  if (name !== undefined) return new Map([[name, content.value]]);
  throw new Failure(
    failed(
      exitStatus.refused,
      `${source} gives one value without a name, which cannot be merged with others`,
      {
        hint: 'merge sources that have named fields, or write this one to a file of its own',
      },
    ),
  );
}
