import { isAlias, isMap, isScalar, isSeq, type Alias, type Document, type Node } from 'yaml';

import { selfAlias, strayAlias, tooManyAliases, yamlWords } from './yaml-errors.ts';

/** Values that the aliases of a text may add to it; the bombs that go around make millions of them. */
const mostAdded = 100_000;

/** What is wrong with a document that was parsed, or what each of its aliases stands for. */
export type Examined =
  | { readonly mistakes: readonly { readonly offset: number; readonly words: string }[] }
  | { readonly targets: ReadonlyMap<Alias, Node> };

class Mistake extends Error {
  readonly offset: number;
  readonly words: string;

  constructor(node: Node, words: string) {
    super(words);
    this.words = words;
    this.offset = node.range?.[0] ?? 0;
  }
}

/**
 * Looks for keys that are there twice, aliases without an anchor above them, and aliases that multiply. The parser's own
 * checks compare each key with each, and look for each anchor from the beginning.
 */
export function examine(document: Document): Examined {
  const anchors = new Map<string, { readonly node: Node; size: number | undefined }>();
  const targets = new Map<Alias, Node>();
  const mistakes: Mistake[] = [];
  let own = 0;

  /** How many values a node stands for. */
  const sizeOf = (node: unknown): number => {
    own++;
    if (isAlias(node)) {
      const anchor = anchors.get(node.source);
      if (anchor === undefined) throw new Mistake(node, strayAlias);
      if (anchor.size === undefined) throw new Mistake(node, selfAlias);
      targets.set(node, anchor.node);
      return anchor.size;
    }
    if (!isScalar(node) && !isSeq(node) && !isMap(node)) return 1;
    const anchor = { node, size: undefined as number | undefined };
    if (node.anchor) anchors.set(node.anchor, anchor);
    anchor.size = isScalar(node) ? 1 : membersOf(node);
    if (anchor.size > own + mostAdded) throw new Mistake(node, tooManyAliases);
    return anchor.size;
  };

  const membersOf = (node: Node): number => {
    let size = 1;
    if (isSeq(node)) for (const item of node.items) size += sizeOf(item);
    if (!isMap(node)) return size;
    const keys = new Set<unknown>();
    for (const { key, value } of node.items) {
      if (isScalar(key)) {
        if (keys.has(key.value)) mistakes.push(new Mistake(key, yamlWords('DUPLICATE_KEY')));
        keys.add(key.value);
      }
      size += sizeOf(key) + sizeOf(value);
    }
    return size;
  };

  try {
    sizeOf(document.contents);
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    mistakes.push(error);
  }
  return mistakes.length > 0 ? { mistakes } : { targets };
}
