/**
 * Values that a document from a server or a file may have: elements of lists and members of objects. Reading it, and
 * telling the redactor about each value, takes some microseconds for each, in which no timer and no signal is heard.
 */
export const mostValues = 50_000;

/** The words for a document with more values than that. */
export function tooManyValues(most = mostValues): string {
  return `it has more than ${most.toLocaleString('en-US')} values`;
}

/** Lines that such a document may have, whatever is in them: comments and empty lines are gone through, too. */
export const mostLines = 250_000;

/** @throws Error for a text with more lines than are read */
export function checkLines(text: string, most = mostLines): void {
  let lines = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code === lineFeed || code === carriageReturn) && ++lines > most) throw new Error(tooManyLines(most));
  }
}

/** The words for a document with more lines than that. */
export function tooManyLines(most = mostLines): string {
  return `it has more than ${most.toLocaleString('en-US')} lines`;
}

/** Whether a text has more of some characters than that, wherever they stand in it. */
export function hasMoreOf(text: string, characters: string, most: number): boolean {
  let left = most;
  for (const character of characters)
    for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1))
      if (--left < 0) return true;
  return false;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
