import { Lexer } from 'yaml';

import { tooDeep, tooManyTokens } from './yaml-errors.ts';

/** Tokens of a text: words, marks, blanks and line ends. The parser takes some 10 µs and 1 kB for each, and cannot be cut. */
export const mostTokens = 100_000;

/** Levels of lists and maps within each other; the parser goes down into each by recursion. */
const mostLevels = 500;

/** Tokens that stand for nothing in the text: https://eemeli.org/yaml/#lexer */
const lexersOwn: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f']);

/** What a text has more of than is parsed. The lexer alone is fast, and the count ends where it is too much. */
export function boundsProblem(
  text: string,
): { readonly line: number; readonly column: number; readonly words: string } | undefined {
  let offset = 0;
  let tokens = 0;
  let inBrackets = 0;
  let onLine = 0;
  for (const token of new Lexer().lex(text)) {
    if (lexersOwn.has(token)) continue;
    tokens++;
    if (token === '[' || token === '{') inBrackets++;
    else if (token === ']' || token === '}') inBrackets--;
    else if (token.endsWith('\n')) onLine = 0;
    // `- - - x` and `? ? x` are nested too.
    else if (inBrackets === 0 && /^[-?:]$/.test(token)) onLine++;
    if (inBrackets > mostLevels || onLine > mostLevels) return { ...placeIn(text, offset), words: tooDeep };
    if (tokens > mostTokens) return { ...placeIn(text, offset), words: tooManyTokens };
    offset += token.length;
  }
  return undefined;
}

function placeIn(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}
