/**
 * A text without the byte order mark (U+FEFF) that editors of Windows put in front. It is no part of the text: a key, a token
 * or a header's name never begins with it.
 */
export function withoutByteOrderMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** Why bytes are not UTF-8, with what to do where that is known: PowerShell's `>` writes UTF-16. */
export function whyNotUtf8(bytes: Uint8Array): string {
  const [first, second] = bytes;
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)
    ? 'it is UTF-16 text; save it as UTF-8'
    : 'it is not UTF-8 text';
}
