import { schemaMistakes, type SchemaMistake } from '../../clients/json-schema.ts';
import { nearest } from '../../clients/nearest.ts';
import type { Position, YamlNode } from '../../clients/yaml.ts';
import type { CommandList } from '../../kernel/command.ts';
import type { Mistake } from './graph.ts';
import { planSchema } from './schema.ts';

/** What the plan's JSON Schema has against it, each mistake with its place and, for a mistyped word, the nearest one. */
export async function explainShape(
  root: YamlNode,
  plain: unknown,
  commands: CommandList,
): Promise<Mistake[]> {
  const steps = (plain as { steps?: unknown } | null)?.steps;
  const count = Array.isArray(steps) ? steps.length : 0;
  const found = schemaMistakes(await planSchema(commands), plain).map((mistake) => ({
    at: placeOf(root, mistake),
    text: wordsFor(mistake, root, count),
  }));
  return found.toSorted((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
}

function placeOf(root: YamlNode, { path, unknown }: SchemaMistake): Position {
  const node = nodeAt(root, path);
  if (unknown !== undefined && node.kind === 'map')
    return node.entries.find(({ key }) => key === unknown)?.at ?? node.at;
  return node.at;
}

function nodeAt(root: YamlNode, path: readonly string[]): YamlNode {
  let node = root;
  for (const part of path) {
    const inner: YamlNode | undefined =
      node.kind === 'list'
        ? node.items[Number(part)]
        : node.kind === 'map'
          ? node.entries.find(({ key }) => key === part)?.value
          : undefined;
    if (inner === undefined) return node;
    node = inner;
  }
  return node;
}

function wordsFor(mistake: SchemaMistake, root: YamlNode, steps: number): string {
  const { path, unknown, known, what } = mistake;
  const subject = subjectOf(path, root);
  if (unknown !== undefined) {
    if (known.includes(`${unknown}-file`))
      return `unknown key ${JSON.stringify(unknown)} in ${subject}: a secret stands in no plan; give the path of a file by ${unknown}-file`;
    return `unknown key ${JSON.stringify(unknown)} in ${subject}${meant(unknown, known)}`;
  }
  if (path.length === 1 && path[0] === 'steps' && steps > 1) return `${subject} ${what}; it has ${steps}`;
  const node = nodeAt(root, path);
  return `${subject} ${what}${known.length > 0 && node.kind === 'scalar' ? meant(node.text, known) : ''}`;
}

function meant(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** `the plan`, `step "database"`, `timeout of step "database"`. */
function subjectOf(path: readonly string[], root: YamlNode): string {
  const [first, index, ...rest] = path;
  if (first === undefined) return 'the plan';
  if (index === undefined) return JSON.stringify(first);
  const name = nodeAt(root, [first, index, 'name']);
  const words = nodeAt(root, [first, index]);
  const step =
    words.kind === 'map' && name.kind === 'scalar'
      ? `step ${JSON.stringify(name.text)}`
      : `step ${Number(index) + 1}`;
  const [key, entry] = rest;
  if (key === undefined) return step;
  return `${entry === undefined ? '' : `entry ${Number(entry) + 1} of `}${key} of ${step}`;
}
