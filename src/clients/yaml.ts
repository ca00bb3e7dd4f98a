import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLError,
} from 'yaml';
import { JsonNumber } from '../kernel/source.ts';

/** A YAML text as values, and where each of them stands. */
export interface YamlText {
  /** Objects, arrays, strings, booleans, null, and numbers; a JsonNumber where JavaScript would change the digits. */
  readonly value: unknown;
  /** `3:5`, the line and column of what is under a path; of its nearest parent where it is not there. */
  at(path: readonly (string | number)[]): string;
}

/** Why a text is no YAML that is accepted: `3:5: …`. It quotes no more of the text than names. */
export class YamlProblem extends Error {
  override readonly name = 'YamlProblem';
}

/** Uses of one anchor, each within others counted by multiplication: a bomb has billions. */
const mostAliases = 100;

/**
 * Reads one YAML 1.2 document.
 * @throws YamlProblem with line and column
 */
export function parseYaml(text: string): YamlText {
  const lines = new LineCounter();
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${line}:${col}`;
  };
  let document: Document.Parsed;
  let value: unknown;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const [first] = [...document.errors, ...document.warnings];
    if (first) throw new YamlProblem(`${place(first.pos[0])}: ${wordsOf(first)}`);
    keepDigits(document);
    value = document.toJS({ maxAliasCount: mostAliases });
  } catch (error) {
    throw error instanceof YamlProblem ? error : asProblem(error);
  }
  return { value, at: (path) => place(offsetOf(document, path)) };
}

/**
 * Checks a stream of YAML documents, as Kubernetes reads them.
 * @throws YamlProblem with line and column
 */
export function checkYaml(text: string): void {
  const lines = new LineCounter();
  try {
    const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
    for (const document of documents) {
      const [error] = document.errors;
      if (error) {
        const { line, col } = lines.linePos(error.pos[0]);
        throw new YamlProblem(`${line}:${col}: ${wordsOf(error)}`);
      }
      // Finds aliases of nothing, and bombs.
      document.toJS({ maxAliasCount: mostAliases });
    }
  } catch (error) {
    throw error instanceof YamlProblem ? error : asProblem(error);
  }
}

/** @throws what is not about the text */
function asProblem(error: unknown): YamlProblem {
  if (error instanceof RangeError) return new YamlProblem('1:1: it is nested too deeply', { cause: error });
  if (error instanceof ReferenceError) {
    const why = error.message.startsWith('Excessive')
      ? 'its aliases (*name) multiply beyond all bounds'
      : error.message.split('\n', 1)[0];
    return new YamlProblem(`1:1: ${why}`, { cause: error });
  }
  throw error;
}

function wordsOf({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document (---) begins here; one is taken';
  if (code === 'DUPLICATE_KEY') return 'this key is there twice';
  return message.split('\n', 1)[0] ?? message;
}

/** JSON's grammar of numbers (RFC 8259, 6): what a JsonNumber may hold. */
const jsonNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function keepDigits(document: Document.Parsed): void {
  visit(document, {
    Scalar(_key, node) {
      const { source, value } = node;
      if (typeof value !== 'number' || source === undefined || String(value) === source) return;
      if (jsonNumber.test(source)) (node as { value: unknown }).value = new JsonNumber(source);
    },
  });
}

function offsetOf(document: Document.Parsed, path: readonly (string | number)[]): number {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const step of path) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) : key) === String(step));
      if (!pair) return offset;
      offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      next = pair.value;
    } else if (isSeq(node)) {
      next = node.items[Number(step)];
      if (isNode(next)) offset = next.range?.[0] ?? offset;
    }
    if (!isNode(next)) return offset;
    node = next;
  }
  return offset;
}
