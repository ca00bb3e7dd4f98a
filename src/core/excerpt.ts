import { formatBytes } from './size.ts';

/** Characters of a text that are looked through; nobody writes a message of more. */
const longest = 1 << 18;

/**
 * The beginning of a text from outside. It is redacted before it is cut: the log's redactor would not know a secret by its
 * first half.
 */
export function excerpt(text: string, most: number, redact: (text: string) => string): string {
  if (text.length > longest) return `(${formatBytes(text.length)} of text)`;
  const clean = redact(text);
  return clean.length > most ? `${clean.slice(0, most)}…` : clean;
}
