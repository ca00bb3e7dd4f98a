import { checkLines, mostValues, tooManyValues } from '../../../config/bounds.ts';
import { TextUnits } from '../../../core/text-units.ts';

const emptyLine = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
const keyAndEquals = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/y;
const singleQuoted = /'([^']*)'/y;
const restOfLine = /[^\r\n]*/y;

/**
 * Reads `KEY=VALUE` lines as dotenv readers agree: `#` begins a comment, `export` may stand first, single quotes keep
 * everything, double quotes know `\n`, `\r`, `\t`, `\\`, `\"`, `\$` and a
 * backtick, both may span lines. Nothing is expanded.
 * @throws Error with the line, without the text
 */
export function readDotenv(text: string): ReadonlyMap<string, string> {
  checkLines(text);
  const found = new Map<string, string>();
  let at = 0;
  let line = 1;
  const pass = (passed: string): void => {
    at += passed.length;
    for (let end = passed.indexOf('\n'); end >= 0; end = passed.indexOf('\n', end + 1)) line++;
  };
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text) ?? undefined;
    if (match !== undefined) pass(match[0]);
    return match;
  };
  const takeDoubleQuoted = (): string | undefined => {
    const closing = text[at] === '"' ? closingQuote(text, at + 1) : -1;
    if (closing < 0) return undefined;
    const quoted = text.slice(at, closing + 1);
    pass(quoted);
    return quoted.slice(1, -1);
  };
  while (at < text.length) {
    if (take(emptyLine)) continue;
    const began = line;
    const [, key] = take(keyAndEquals) ?? [];
    if (key === undefined) throw new Error(`line ${line}: it is not KEY=VALUE`);
    const single = take(singleQuoted)?.[1];
    const double = single === undefined ? takeDoubleQuoted() : undefined;
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

const backslash = 0x5c;

const named: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  '"': '"',
  $: '$',
  '`': '`',
};

/**
 * The first double quote that no backslash escapes, or -1. By searches: a repeated group of a regular expression takes a
 * place on a stack for each character.
 */
function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = at;
    while (backslashes > from && text[backslashes - 1] === '\\') backslashes--;
    if ((at - backslashes) % 2 === 0) return at;
  }
  return -1;
}

function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  const made = new TextUnits(text.length);
  for (let at = 0; at < text.length; at++) {
    const meant = text.charCodeAt(at) === backslash ? named[text.charAt(at + 1)] : undefined;
    if (meant === undefined) {
      made.add(text.charCodeAt(at));
      // A backslash in front of any other character stays, with it.
      if (text.charCodeAt(at) === backslash && at + 1 < text.length) made.add(text.charCodeAt(++at));
    } else {
      made.add(meant.charCodeAt(0));
      at++;
    }
  }
  return made.toString();
}
