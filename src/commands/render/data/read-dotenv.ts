import { checkLines, mostValues, tooManyValues } from '../../../config/bounds.ts';

const emptyLine = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
const keyAndEquals = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/y;
const singleQuoted = /'([^']*)'/y;
const doubleQuoted = /"((?:\\[^]|[^"\\])*)"/y;
const restOfLine = /[^\r\n]*/y;

/**
 * Reads `KEY=VALUE` lines as dotenv readers agree: `#` begins a comment, `export` may stand first, single quotes keep
 * everything, double quotes know `\n`, `\r`, `\t`, `\\`, `\"` and `\$`, both may span lines. Nothing is expanded.
 * @throws Error with the line, without the text
 */
export function readDotenv(text: string): ReadonlyMap<string, string> {
  checkLines(text);
  const found = new Map<string, string>();
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  let line = 1;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text) ?? undefined;
    if (match === undefined) return undefined;
    at += match[0].length;
    for (let end = match[0].indexOf('\n'); end >= 0; end = match[0].indexOf('\n', end + 1)) line++;
    return match;
  };
  while (at < text.length) {
    if (take(emptyLine)) continue;
    const began = line;
    const [, key] = take(keyAndEquals) ?? [];
    if (key === undefined) throw new Error(`line ${line}: it is not KEY=VALUE`);
    const single = take(singleQuoted)?.[1];
    const double = single === undefined ? take(doubleQuoted)?.[1] : undefined;
    if (single === undefined && double === undefined && /['"]/.test(text[at] ?? ''))
      throw new Error(`line ${began}: the quote is not closed`);
    const bare = single === undefined && double === undefined ? (take(restOfLine)?.[0] ?? '') : undefined;
    if (bare === undefined && !take(emptyLine))
      throw new Error(`line ${line}: something follows the closing quote`);
    if (found.has(key)) throw new Error(`line ${began}: the key of this line is there twice`);
    if (found.size === mostValues) throw new Error(tooManyValues());
    found.set(key, single ?? (double === undefined ? plain(bare ?? '') : unescaped(double)));
  }
  return found;
}

/** Less a comment, which a blank must precede. */
function plain(text: string): string {
  return text.replace(/(^|[ \t])#.*$/, '').trim();
}

const named: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function unescaped(text: string): string {
  return text.replace(/\\([nrt\\"$])/g, (_, escape: string) => named[escape] ?? escape);
}
