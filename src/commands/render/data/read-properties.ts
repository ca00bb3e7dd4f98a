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
    let line = (lines[index] ?? '').replace(/^[ \t\f]+/, '');
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    // An odd number of backslashes last goes on in the next line, less the blanks that it begins with.
    while (/(?<!\\)(?:\\\\)*\\$/.test(line) && index + 1 < lines.length) {
      index++;
      line = line.slice(0, -1) + (lines[index] ?? '').replace(/^[ \t\f]+/, '');
    }
    const key = /^(?:\\.|[^\\:= \t\f])*/s.exec(line)?.[0] ?? '';
    const rest = line.slice(key.length).replace(/^[ \t\f]*[:=]?[ \t\f]*/, '');
    const name = unescaped(key, first);
    if (found.has(name)) throw new Error(`line ${first}: the key of this line is there twice`);
    if (found.size === mostValues) throw new Error(tooManyValues());
    found.set(name, unescaped(rest, first));
  }
  return found;
}

const named: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function unescaped(text: string, line: number): string {
  return text.replace(/\\(u[0-9A-Fa-f]{4}|[^]|$)/g, (_, escape: string) => {
    if (escape.length === 5) return String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    if (escape === 'u') throw new Error(`line ${line}: four hexadecimal digits must follow \\u`);
    return named[escape] ?? escape;
  });
}
