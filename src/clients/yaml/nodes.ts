import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Alias,
  type Document,
  type Node,
} from 'yaml';

import { boundsProblem } from './bounds.ts';
import { examine } from './examine.ts';
import { halfCharacter, tooDeep, unfilledTemplate, yamlWords } from './yaml-errors.ts';

/** A place in a text, both counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A value of a YAML (or JSON) text that knows where it stands. */
export type YamlNode = YamlScalar | YamlList | YamlMap;

export interface YamlScalar {
  readonly kind: 'scalar';
  readonly at: Position;
  readonly value: string | number | boolean | null;
  /** As it was written, without quotes: `1.10` and `0x1F` stay that. */
  readonly text: string;
}

export interface YamlList {
  readonly kind: 'list';
  readonly at: Position;
  readonly items: readonly YamlNode[];
}

export interface YamlMap {
  readonly kind: 'map';
  readonly at: Position;
  readonly entries: readonly YamlEntry[];
}

export interface YamlEntry {
  readonly key: string;
  readonly at: Position;
  readonly value: YamlNode;
}

/** Text that is no YAML, or more than is taken. */
export class YamlError extends Error {
  override readonly name = 'YamlError';
  readonly at: Position;
  /** What is wrong at other places, where the reader could go on. */
  readonly others: readonly YamlError[];

  constructor(at: Position, message: string, others: readonly YamlError[] = []) {
    super(message);
    this.at = at;
    this.others = others;
  }
}

/**
 * Reads one document of YAML 1.2, of which JSON is a part. An alias stands for its anchor's node and is not copied.
 * @throws YamlError with the first mistake, and every other key that is there twice
 */
export function parseYamlNodes(text: string): YamlNode {
  try {
    return withinStack(() => parse(text));
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    const line = text.split('\n', error.at.line).at(-1) ?? '';
    throw /\{\{|<no value>/.test(line) ? new YamlError(error.at, unfilledTemplate) : error;
  }
}

function parse(text: string): YamlNode {
  const lines = new LineCounter();
  const place = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const bounds = boundsProblem(text);
  if (bounds !== undefined) throw new YamlError(bounds, bounds.words);
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
    uniqueKeys: false,
  });
  const [mistake] = [...document.errors, ...document.warnings];
  if (mistake !== undefined) throw new YamlError(place(mistake.pos[0]), yamlWords(mistake.code));
  const examined = examine(document);
  if ('mistakes' in examined) {
    const [first, ...others] = examined.mistakes.map(
      ({ offset, words }) => new YamlError(place(offset), words),
    );
    if (first !== undefined) throw new YamlError(first.at, first.message, others);
    throw new Error('a document that is refused without a mistake');
  }
  return convert(document, examined.targets, place);
}

/** A document can be nested so deeply that no stack holds it. */
function withinStack<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof RangeError) throw new YamlError({ line: 1, column: 1 }, tooDeep);
    throw error;
  }
}

function convert(
  document: Document.Parsed,
  targets: ReadonlyMap<Alias, Node>,
  place: (offset: number) => Position,
): YamlNode {
  const made = new Map<Node, YamlNode>();

  const read = (given: Node | null, otherwise: Position): YamlNode => {
    const node = isAlias(given) ? targets.get(given) : given;
    if (!node) return { kind: 'scalar', at: otherwise, value: null, text: '' };
    const known = made.get(node);
    if (known !== undefined) return known;
    const result = readNew(node, node.range ? place(node.range[0]) : otherwise);
    made.set(node, result);
    return result;
  };

  const readNew = (node: Node, at: Position): YamlNode => {
    if (isScalar(node)) {
      const value = scalarValue(node.value);
      if (value === undefined) throw new YamlError(at, 'this value is of a type that is not taken here');
      if (typeof value === 'string' && !value.isWellFormed()) throw new YamlError(at, halfCharacter);
      const written = node.type === 'PLAIN' ? node.source : undefined;
      return { kind: 'scalar', at, value, text: written ?? String(value ?? '') };
    }
    if (isSeq(node))
      return { kind: 'list', at, items: node.items.map((item) => read(item as Node | null, at)) };
    if (!isMap(node)) throw new YamlError(at, 'this is neither a value, a list nor a map');
    const keys = new Set<string>();
    const entries = node.items.map(({ key, value }) => {
      const name = read(key as Node | null, at);
      if (name.kind !== 'scalar' || name.value === null)
        throw new YamlError(name.at, 'a key must be a plain word');
      // `1` and `"1"` differ in YAML, and are one key here.
      if (keys.has(name.text)) throw new YamlError(name.at, yamlWords('DUPLICATE_KEY'));
      keys.add(name.text);
      return { key: name.text, at: name.at, value: read(value as Node | null, name.at) };
    });
    return { kind: 'map', at, entries };
  };

  return read(document.contents, { line: 1, column: 1 });
}

function scalarValue(value: unknown): YamlScalar['value'] | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return value;
  return typeof value === 'bigint' ? Number(value) : undefined;
}

/** The value alone, as JSON would hold it: `.inf` and `.nan` are texts there. */
export function plainValue(node: YamlNode): unknown {
  if (node.kind === 'scalar')
    return typeof node.value === 'number' && !Number.isFinite(node.value) ? node.text : node.value;
  if (node.kind === 'list') return node.items.map(plainValue);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plainValue(value)]));
}
