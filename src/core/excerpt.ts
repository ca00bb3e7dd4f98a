import { formatBytes } from './size.ts';

/**
 * Characters of a text that are looked through; nobody writes a message of more. A signal is not heard meanwhile: with a
 * megabyte of secrets, so many take some 20 ms.
 */
const longest = 1 << 14;

/** What stands in place of a text that is too long to be looked through; undefined where it isn't. */
export function withheld(length: number, most = longest): string | undefined {
  return length > most ? `(${formatBytes(length)} of text)` : undefined;
}

/**
 * The beginning of a text from outside. It is redacted before it is cut: the log's redactor would not know a secret by its
 * first half.
 */
export function excerpt(text: string, most: number, redact: (text: string) => string): string {
  const instead = withheld(text.length);
  if (instead !== undefined) return instead;
  const clean = redact(text);
  return clean.length > most ? `${clean.slice(0, most)}…` : clean;
}

/** A redacted text on one line, without the marks of a list. */
export function flattened(redacted: string): string {
  return redacted.replace(/\s*\n[\s*]*/g, ' ').trim();
}
