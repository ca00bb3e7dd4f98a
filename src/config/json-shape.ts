/** Levels of objects and lists within each other; people write a dozen, and parsers go down into each by recursion. */
export const mostNested = 1000;

export interface JsonShape {
  /** A key may stand in its object twice; the last one counts. */
  readonly repeatedKeys?: boolean;
}

/**
 * What JSON.parse takes and nobody means: values nested so deeply that reading them takes seconds and a gigabyte, and a
 * key that is there twice. Found in one pass. Of a text that is not JSON it says nothing, or the same.
 */
export function jsonShapeFault(
  text: string,
  { repeatedKeys = false }: JsonShape = {},
): { readonly at: number; readonly words: string } | undefined {
  /** The keys of each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let keyComes = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charAt(at)) {
      case '{':
      case '[':
        if (open.length === mostNested)
          return { at, words: `it is nested deeper than ${mostNested.toLocaleString('en-US')} levels` };
        keyComes = text[at] === '{';
        open.push(keyComes && !repeatedKeys ? new Set() : undefined);
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        keyComes = true;
        break;
      case '"': {
        const end = endOfString(text, at);
        const keys = open.at(-1);
        if (keyComes && keys !== undefined) {
          const key = keyOf(text.slice(at, end));
          if (keys.has(key)) return { at, words: 'this key is there twice' };
          keys.add(key);
        }
        keyComes = false;
        at = end - 1;
        break;
      }
      default:
    }
  }
  return undefined;
}

/** Where the string that begins at `start` is over: behind its closing quote, or at the end of a text that has none. */
export function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let before = quote;
    while (text[before - 1] === '\\') before--;
    if ((quote - before) % 2 === 0) return quote + 1;
  }
  return text.length;
}

function keyOf(written: string): string {
  if (!written.includes('\\')) return written.slice(1, -1);
  try {
    return JSON.parse(written) as string;
  } catch {
    return written; // not a string of JSON, which the parser says
  }
}
