import { endOfString } from '../../config/json-shape.ts';

/**
 * Bytes of --max-size for each value of a JSON body. A parsed value takes up to 700 bytes of memory, so a body of `{},`
 * would take two hundred times its length.
 */
const bytesPerValue = 8;

/** How many values a JSON body may have, where its length is limited to so many bytes. */
export function mostValues(maxSize: number): number {
  return Math.ceil(maxSize / bytesPerValue);
}

/** Whether a JSON text has more values than that, found without parsing it, which is what takes the memory. */
export function hasMoreValues(text: string, most: number): boolean {
  let count = 1;
  let opened = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string;
    if (character <= ' ') continue;
    // A list or object that is not empty begins a value, and so does each comma.
    if ((opened && character !== ']' && character !== '}') || character === ',') count++;
    if (count > most) return true;
    opened = character === '[' || character === '{';
    if (character === '"') at = endOfString(text, at) - 1;
  }
  return false;
}
