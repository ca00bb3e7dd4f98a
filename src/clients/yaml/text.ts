import { JsonNumber } from '../../config/source.ts';
import { parseYamlNodes, YamlError, type Position, type YamlNode } from './nodes.ts';

/** A YAML text as values, and where each of them stands. */
export interface YamlText {
  /**
   * Objects, arrays, strings, booleans, null, and numbers; a JsonNumber where JavaScript would change the digits, and the text
   * as it was written where JSON has no such number: `0644`, `+49…`, `0x1F`, `.inf`.
   */
  readonly value: unknown;
  /** `3:5`, the line and column of what is under a path; of its nearest parent where it is not there. */
  at(path: readonly (string | number)[]): string;
}

/** Why a text is not YAML that is accepted: `3:5: …`. It quotes nothing of the text. */
export class YamlProblem extends Error {
  override readonly name = 'YamlProblem';
}

/**
 * Reads one YAML 1.2 document.
 * @throws YamlProblem with line and column
 */
export function parseYaml(text: string): YamlText {
  let root: YamlNode;
  try {
    root = parseYamlNodes(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new YamlProblem(`${placeText(error.at)}: ${error.message}`, { cause: error });
  }
  return { value: valueOf(root), at: (path) => placeText(placeOf(root, path)) };
}

function placeText({ line, column }: Position): string {
  return `${line}:${column}`;
}

/** JSON's grammar of numbers (RFC 8259, 6): what a JsonNumber may hold. */
const jsonNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function valueOf(node: YamlNode): unknown {
  if (node.kind === 'list') return node.items.map(valueOf);
  if (node.kind === 'map')
    return Object.fromEntries(node.entries.map(({ key, value }) => [key, valueOf(value)]));
  const { value, text } = node;
  if (typeof value !== 'number' || String(value) === text) return value;
  // Readers of YAML 1.1 and 1.2 take `0644` for two different numbers; a phone number is none.
  return jsonNumber.test(text) ? new JsonNumber(text) : text;
}

/** The place of a key, or of a list's entry. */
function placeOf(root: YamlNode, path: readonly (string | number)[]): Position {
  let node = root;
  let { at } = root;
  for (const step of path) {
    if (node.kind === 'map') {
      const entry = node.entries.find(({ key }) => key === String(step));
      if (entry === undefined) return at;
      ({ at, value: node } = entry);
    } else if (node.kind === 'list') {
      const item = node.items[Number(step)];
      if (item === undefined) return at;
      ({ at } = item);
      node = item;
    } else return at;
  }
  return at;
}
