import { quotedSigns, quotedValue } from '../../../core/misplaced-secret.ts';
/** Reads a block's name. @throws Error that says what is accepted */
export function parseBlockName(given: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(given))
    throw new Error(
      `${quotedValue(given, 80)} is not a block's name: 1 to 64 letters, digits, dots, hyphens and underscores`,
    );
  return given;
}

/** Characters of both words: no language has more. */
const longestComment = 32;

/** Reads what makes a comment, one word or two. @throws Error that says what is accepted */
export function parseComment(given: string): readonly [string, string?] {
  const words = given.trim().split(/\s+/);
  const [open = '', close] = words;
  // oxlint-disable-next-line no-control-regex -- they would end the line
  if (open === '' || words.length > 2 || given.length > longestComment || /[\0-\x1f\x7f]/.test(given))
    throw new Error(
      `${quotedSigns(given, longestComment)} is not one word, such as # or //, or two, such as "<!-- -->"`,
    );
  return close === undefined ? [open] : [open, close];
}

/** Reads the line that a block goes beside. @throws Error that says what is accepted */
export function parseLineBeside(given: string): string {
  // oxlint-disable-next-line no-control-regex -- they would end the line
  if (given.trim() === '' || /[\0-\x08\x0a-\x1f\x7f]/.test(given))
    throw new Error('name one line of the file, as it is there, such as "[server]"');
  return given;
}
