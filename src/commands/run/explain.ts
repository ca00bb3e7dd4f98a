import { checkSchema, type SchemaProblem } from '../../clients/json-schema.ts';
import { nearest } from '../../clients/nearest.ts';
import type { Position, YamlNode } from '../../clients/yaml/nodes.ts';
import type { CommandList } from '../../core/command.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import type { Mistake } from './graph.ts';
import { mostOfName } from './keys.ts';
import { planSchema } from './schema.ts';

interface ShapeMistake extends Mistake {
  /** Whether the value is of the right kind, and only what it says is not taken. */
  readonly ofValue: boolean;
}

/** What the plan's JSON Schema has against it, each mistake with its place and, for a mistyped word, the nearest one. */
export async function explainShape(
  root: YamlNode,
  plain: unknown,
  commands: CommandList,
): Promise<ShapeMistake[]> {
  // Bounds are the option's own reader's to tell, which knows more words.
  const problems = checkSchema(await planSchema(commands), plain, nearest).filter(
    ({ path, message }) =>
      !/^must be (>=|<=|multiple of) /.test(message) &&
      // Conditions have a reader of their own, which tells what is wrong with them.
      !(path[0] === 'steps' && path[2] === 'when'),
  );
  const found = problems.map((problem) => ({
    at: placeOf(root, problem),
    text: `${subjectOf(problem, root)}${problem.message}${meantCommand(problem, root, commands)}`,
    ofValue: /is not what is accepted here|^must be one of /.test(problem.message),
  }));
  const unique = new Map(found.map((mistake) => [JSON.stringify(mistake), mistake]));
  return [...unique.values()].toSorted((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
}

/** Of a value; of its key where the key is what is wrong. */
function placeOf(root: YamlNode, { path, message }: SchemaProblem): Position {
  const parent = nodeAt(root, path.slice(0, -1));
  const entry = parent.kind === 'map' ? parent.entries.find(({ key }) => key === path.at(-1)) : undefined;
  return entry !== undefined && message.startsWith('unknown key') ? entry.at : nodeAt(root, path).at;
}

function nodeAt(root: YamlNode, path: readonly (string | number)[]): YamlNode {
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

/** A command's name is mistyped more often than it is another word. */
function meantCommand({ path, message }: SchemaProblem, root: YamlNode, commands: CommandList): string {
  const node = nodeAt(root, path);
  if (path.at(-1) !== 'uses' || node.kind !== 'scalar' || !message.startsWith('must be one of')) return '';
  const near = nearest(node.text, Object.keys(commands));
  return near === undefined || near === node.text ? '' : `; did you mean ${near}?`;
}

/** `step "database": timeout: `. */
function subjectOf({ path, message }: SchemaProblem, root: YamlNode): string {
  // An unknown key is named by the message.
  const [first, index, ...rest] = message.startsWith('unknown key') ? path.slice(0, -1) : path;
  if (first === undefined) return 'the plan: ';
  if (index === undefined) return `${first}: `;
  const name = nodeAt(root, [first, index, 'name']);
  const isNamed = nodeAt(root, [first, index]).kind === 'map' && name.kind === 'scalar';
  const step = isNamed ? `step ${quotedValue(name.text, mostOfName)}` : `step ${Number(index) + 1}`;
  const inside = rest.map((part) => (typeof part === 'number' ? `entry ${part + 1}` : part));
  return `${[step, ...inside].join(': ')}: `;
}
