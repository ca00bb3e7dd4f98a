import { checkLines, mostValues, tooManyValues } from '../../../config/bounds.ts';

/**
 * Reads Java's properties
 * (https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html#load(java.io.Reader)).
 * @throws Error with the line, without the text
 */
export function readProperties(text: string): ReadonlyMap<string, string> {
  checkLines(text);
  const found = new Map<string, string>();
  const lines = text.split(/\r\n|\r|\n/);
  for (let index = 0; index < lines.length; index++) {
    const first = index + 1;
    let piece = (lines[index] ?? '').replace(/^[ \t\f]+/, '');
    if (piece === '' || piece.startsWith('#') || piece.startsWith('!')) continue;
    const pieces: string[] = [];
    while (goesOn(piece) && index + 1 < lines.length) {
      pieces.push(piece.slice(0, -1));
      index++;
      // Less the blanks that it begins with.
      piece = (lines[index] ?? '').replace(/^[ \t\f]+/, '');
    }
    const line = pieces.join('') + piece;
    const key = line.slice(0, endOfKey(line));
    const rest = line.slice(key.length).replace(/^[ \t\f]*[:=]?[ \t\f]*/, '');
    const name = unescaped(key, first);
    if (found.has(name)) throw new Error(`line ${first}: the key of this line is there twice`);
    if (found.size === mostValues) throw new Error(tooManyValues());
    found.set(name, unescaped(rest, first));
  }
  return found;
}

/** A line whose last backslash is not escaped by another goes on in the next one. */
function goesOn(line: string): boolean {
  let at = line.length;
  while (line[at - 1] === '\\') at--;
  return (line.length - at) % 2 === 1;
}

/** By characters: a repeated group of a regular expression takes a place on a stack for each of them. */
function endOfKey(line: string): number {
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '\\') at++;
    else if (':= \t\f'.includes(line.charAt(at))) return at;
  }
  return line.length;
}

const named: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function unescaped(text: string, line: number): string {
  return text.replace(/\\(u[0-9A-Fa-f]{4}|[^]|$)/g, (_, escape: string) => {
    if (escape.length === 5) return String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    if (escape === 'u') throw new Error(`line ${line}: four hexadecimal digits must follow \\u`);
    return named[escape] ?? escape;
  });
}
