import { LineCounter, parseAllDocuments } from 'yaml';

import { boundsProblem } from './bounds.ts';
import { examine } from './examine.ts';
import { tooDeep, yamlWords } from './yaml-errors.ts';

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
  const bounds = boundsProblem(text);
  if (bounds !== undefined) return `${bounds.line}:${bounds.column}: ${bounds.words}`;
  try {
    const options = {
      lineCounter: lines,
      prettyErrors: false,
      logLevel: 'error',
      uniqueKeys: false,
    } as const;
    for (const document of parseAllDocuments(text, options)) {
      const [error] = document.errors;
      if (error) return at(error.pos[0], yamlWords(error.code));
      const examined = examine(document);
      const [mistake] = 'mistakes' in examined ? examined.mistakes : [];
      if (mistake) return at(mistake.offset, mistake.words);
    }
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return `1:1: ${tooDeep}`;
    throw error;
  }
}
