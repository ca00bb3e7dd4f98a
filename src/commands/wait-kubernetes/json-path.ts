import type { Json } from '../../clients/kubernetes/api-object.ts';
import { isObject } from '../../clients/kubernetes/api-object.ts';
import { quoted } from '../../core/misplaced-secret.ts';

/** One step of a path into an object. */
type Step =
  | { readonly by: 'key'; readonly key: string }
  | { readonly by: 'index'; readonly index: number }
  | { readonly by: 'all' }
  | {
      readonly by: 'filter';
      readonly path: readonly Step[];
      readonly equal: boolean;
      readonly value: string | undefined;
    };

export type JsonPath = readonly Step[];

const accepted =
  "write for example {.status.phase}, {.status.conditions[?(@.type=='Ready')].status} or {.spec.ports[0].port}";

/** `.key`, `['key']`, `["key"]`, `[0]`, `[-1]`, `[*]`, `.*`, `[?(@.key=='value')]`, at the beginning of a text. */
const step =
  /^(?:\.(?<key>(?:[^.[\]{}\\\s]|\\.)+)|\[(?:'(?<single>(?:[^'\\]|\\.)*)'|"(?<double>(?:[^"\\]|\\.)*)"|(?<index>-?\d+)|(?<all>\*)|\?\(\s*@(?<path>(?:\.(?:[^.[\]{}\\\s=!<>()]|\\.)+)+)\s*(?:(?<op>[=!]=)\s*(?:'(?<text>[^']*)'|"(?<inQuotes>[^"]*)"|(?<bare>[\w.-]+))\s*)?\))\])/;

/**
 * Reads the part of kubectl's JSONPath that leads to values: keys, indexes, `*` and filters by equality; no ranges, no
 * functions, no `..`.
 * @throws Error that says what is accepted
 */
export function parseJsonPath(text: string): JsonPath {
  const [, braced = text] = /^\{(.*)\}$/s.exec(text.trim()) ?? [];
  const inner = braced.trim().replace(/^\$/, '');
  const steps = stepsOf(inner.startsWith('.') || inner.startsWith('[') ? inner : `.${inner}`);
  if (steps === undefined || steps.length === 0)
    throw new Error(`${quoted(text)} is not a JSON path that is known here; ${accepted}`);
  return steps;
}

function stepsOf(text: string): Step[] | undefined {
  const steps: Step[] = [];
  for (let rest = text; rest !== '';) {
    const found = step.exec(rest);
    if (found === null) return undefined;
    const { key, single, double, index, all, path, op, text: value, inQuotes, bare } = found.groups ?? {};
    const name = key ?? single ?? double;
    if (all !== undefined || key === '*') steps.push({ by: 'all' });
    else if (name !== undefined) steps.push({ by: 'key', key: name.replace(/\\(.)/g, '$1') });
    else if (index !== undefined) steps.push({ by: 'index', index: Number(index) });
    else
      steps.push({
        by: 'filter',
        path: stepsOf(path ?? '') ?? [],
        equal: op !== '!=',
        value: value ?? inQuotes ?? bare,
      });
    rest = rest.slice(found[0].length);
  }
  return steps;
}

/** What a path leads to; nothing where there is nothing. */
export function valuesAt(value: Json, path: JsonPath): readonly Json[] {
  let found: readonly Json[] = [value];
  for (const one of path) found = found.flatMap((from) => next(from, one));
  return found;
}

function next(from: Json, one: Step): readonly Json[] {
  if (one.by === 'key') {
    if (!isObject(from) || !Object.hasOwn(from, one.key)) return [];
    return [from[one.key] as Json];
  }
  const members: readonly Json[] = Array.isArray(from) ? from : isObject(from) ? Object.values(from) : [];
  if (one.by === 'all') return members;
  if (!Array.isArray(from)) return [];
  if (one.by === 'index') return from.slice(one.index).slice(0, 1) as Json[];
  return members.filter((member) => {
    const values = valuesAt(member, one.path).map(jsonText);
    if (one.value === undefined) return values.length > 0;
    return values.includes(one.value) === one.equal;
  });
}

/** A value as kubectl compares it: a text without quotes, all else as JSON. */
export function jsonText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
