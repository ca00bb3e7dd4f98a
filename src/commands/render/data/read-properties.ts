import { checkLines, mostValues, tooManyValues } from '../../../config/bounds.ts';
import { TextUnits } from '../../../core/text-units.ts';

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

const backslash = 0x5c;
const letterU = 0x75;
/** What stands for another character behind a backslash, by its code. */
const named: ReadonlyMap<number, number> = new Map(
  Object.entries({ t: '\t', n: '\n', r: '\r', f: '\f' }).map(([letter, meant]) => [
    letter.charCodeAt(0),
    meant.charCodeAt(0),
  ]),
);

function unescaped(text: string, line: number): string {
  if (!text.includes('\\')) return text;
  const made = new TextUnits(text.length);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit !== backslash) {
      made.add(unit);
      continue;
    }
    // The last one escapes nothing.
    if (++at === text.length) break;
    const escape = text.charCodeAt(at);
    if (escape !== letterU) {
      made.add(named.get(escape) ?? escape);
      continue;
    }
    let code = 0;
    for (const end = at + 4; at < end;) code = code * 16 + hexadecimal(text.charCodeAt(++at));
    if (Number.isNaN(code)) throw new Error(`line ${line}: four hexadecimal digits must follow \\u`);
    made.add(code);
  }
  return made.toString();
}

/** The value of a digit; NaN of anything else. */
function hexadecimal(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const letter = (unit | 0x20) - 0x61;
  return letter >= 0 && letter < 6 && unit < 0x80 ? letter + 10 : Number.NaN;
}
