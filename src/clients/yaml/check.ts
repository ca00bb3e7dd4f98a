import { isAlias, isNode, LineCounter, parseAllDocuments, visit, type Document } from 'yaml';
import { strayAlias, tooDeep, tooManyAliases, yamlWords } from './yaml-errors.ts';

/** Uses of one anchor, each within others counted by multiplication: a bomb has billions. */
const mostAliases = 100;

/**
 * Why a text is not a stream of YAML documents, with line and column and nothing of the text; undefined where it is.
 * Tags are not looked at: what they mean is the reader's.
 */
export function yamlProblem(text: string): string | undefined {
  const lines = new LineCounter();
  const at = (offset: number, words: string): string => {
    const { line, col } = lines.linePos(offset);
    return `${line}:${col}: ${words}`;
  };
  let begin = 0;
  try {
    // At the level of warnings, toJS tells of keys by the process's own warnings.
    const options = { lineCounter: lines, prettyErrors: false, logLevel: 'error' } as const;
    for (const document of parseAllDocuments(text, options)) {
      const [error] = document.errors;
      if (error) return at(error.pos[0], yamlWords(error.code));
      begin = document.range[0];
      const stray = strayAliasIn(document);
      if (stray !== undefined) return at(stray, strayAlias);
      // Finds bombs.
      document.toJS({ maxAliasCount: mostAliases });
    }
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return `1:1: ${tooDeep}`;
    const bomb = error instanceof ReferenceError && error.message.startsWith('Excessive');
    return at(begin, bomb ? tooManyAliases : yamlWords('IMPOSSIBLE'));
  }
}

/** Where an alias stands without its anchor above it. */
function strayAliasIn(document: Document): number | undefined {
  const anchors = new Set<string>();
  let found: number | undefined;
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        if (anchors.has(node.source)) return undefined;
        found = node.range?.[0] ?? 0;
        return visit.BREAK;
      }
      if (isNode(node) && 'anchor' in node && node.anchor) anchors.add(node.anchor);
      return undefined;
    },
  });
  return found;
}
