import { LineCounter, parseAllDocuments } from 'yaml';

/** Uses of one anchor, each within others counted by multiplication: a bomb has billions. */
const mostAliases = 100;

/**
 * Why a text is no stream of YAML documents, with line and column and no more of it than names; undefined where it is.
 * Tags are not looked at: what they mean is the reader's.
 */
export function yamlProblem(text: string): string | undefined {
  const lines = new LineCounter();
  try {
    for (const document of parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })) {
      const [error] = document.errors;
      if (error) {
        const { line, col } = lines.linePos(error.pos[0]);
        const words = error.code === 'DUPLICATE_KEY' ? 'this key is there twice' : error.message;
        return `${line}:${col}: ${words.split('\n', 1)[0]}`;
      }
      // Finds aliases of nothing, and bombs.
      document.toJS({ maxAliasCount: mostAliases });
    }
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return '1:1: it is nested too deeply';
    if (!(error instanceof ReferenceError)) throw error;
    return error.message.startsWith('Excessive')
      ? '1:1: its aliases (*name) multiply beyond all bounds'
      : `1:1: ${error.message.split('\n', 1)[0]}`;
  }
}
