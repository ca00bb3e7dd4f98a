/** What stands in a script that is held as Latin-1, a character for each byte of its UTF-8, for people and for the server. */
export function utf8Of(latin1: string): string {
  // A character that was cut through at the end is left out.
  return Buffer.from(latin1, 'latin1')
    .toString()
    .replace(/\uFFFD+$/, '');
}
