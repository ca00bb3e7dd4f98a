import { closed, lineContent, lineEndOf, linesOf } from './text-lines.ts';

/**
 * Adds those lines of a text that a file does not have, at its end and in their order; empty ones are not counted.
 * @param file and text as Latin-1, one character for each byte
 */
export function withLines(file: string, text: string): string {
  const end = lineEndOf(file);
  const missing = new Set<string>();
  for (const line of linesOf(text)) missing.add(lineContent(text, line));
  missing.delete('');
  for (const line of linesOf(file)) {
    missing.delete(lineContent(file, line));
    if (missing.size === 0) return file;
  }
  if (missing.size === 0) return file;
  return closed(file, end) + [...missing].map((line) => line + end).join('');
}
