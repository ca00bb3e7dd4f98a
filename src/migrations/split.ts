import { UsageError } from '../core/outcome.ts';

/** One statement of a script, by its place in the text. */
export interface Statement {
  /** Of the first token, after blanks and comments. */
  readonly start: number;
  /** After the last token; the semicolon is not part of it. */
  readonly end: number;
  /**
   * The first words and signs outside parentheses, keywords in capitals, quoted names with their quotes, literals as
   * `'`: enough to tell what kind of statement it is, without any of its values.
   */
  readonly words: readonly string[];
  /** The text of REINDEX (…) …, whose options in parentheses say how it runs. */
  readonly options?: string;
  /** True where it was read with standard_conforming_strings off. */
  readonly backslashes?: true;
}

/** Words kept of one statement: the longest that is looked at is ALTER TABLE … DETACH PARTITION … CONCURRENTLY. */
const keptWords = 24;

// Scanned as Latin-1, one character per byte: every byte from 0x80 counts as a letter, as in Postgres' own scanner.
const letters = 'A-Za-z_\\x80-\\xff';
export const identifier = new RegExp(`[${letters}][${letters}0-9$]*`, 'y');
export const dollarTag = new RegExp(`\\$(?:[${letters}][${letters}0-9]*)?\\$`, 'y');
const digits = /[0-9]+/y;
/** What can be a keyword. Bytes of other letters must stay as they are. */
const plainWord = /^[A-Za-z_0-9$]{1,64}$/;
const someBlanks = /[ \t\r\n\f\v]*/y;
const lineComment = /--[^\r\n]*/y;

/**
 * Cuts a script into its statements as psql does: quotes, dollar quotes, nested comments, escape strings, parentheses
 * (CREATE RULE … DO (…; …)) and BEGIN ATOMIC bodies are seen through; in those, END may be a name, which psql takes for
 * the body's end
 * (https://github.com/postgres/postgres/blob/master/src/fe_utils/psqlscan.l).
 * @param text the script as Latin-1, so that each index is a byte's offset
 * @param where names the file in errors
 * @param standardStrings the server's standard_conforming_strings; a SET in the script changes it from there on
 * @param offset where to begin at
 * @param comment is told where each `--` comment begins that stands in no literal, other comment or body
 * @throws UsageError with the line: a quote never closed, a psql command, COPY from or to the client
 */
export function* split(
  text: string,
  where: string,
  standardStrings = true,
  offset = 0,
  comment?: (at: number) => void,
): Generator<Statement> {
  const end = text.length;
  let at = offset;
  let start = -1;
  let last = 0;
  let depth = 0;
  /** In BEGIN ATOMIC … END, with so many CASE open. */
  let body = false;
  let cases = 0;
  /** The token before. */
  let previous = '';
  let words: string[] = [];
  let creates = '';
  let counting = true;
  let routine = false;
  let backslashes = !standardStrings;

  const problem = (place: number, what: string): UsageError =>
    new UsageError(`${where}:${lineAt(text, place)}: ${what}`);
  const token = (from: number, to: number, word: string): void => {
    if (start < 0) start = from;
    last = to;
    previous = word;
    if (depth === 0 && words.length < keptWords) words.push(word);
  };
  const close = (): Statement | undefined => {
    if (start < 0) return undefined;
    refuse(words, (what) => problem(start, what));
    const statement = {
      start,
      end: last,
      words,
      ...(words[0] === 'REINDEX' && words[1] === '(' ? { options: text.slice(start, last) } : {}),
      ...(backslashes ? { backslashes } : {}),
    };
    backslashes = afterSet(words, text.slice(start, last), backslashes);
    start = -1;
    words = [];
    depth = 0;
    body = false;
    previous = '';
    creates = '';
    counting = true;
    routine = false;
    return statement;
  };

  while (at < end) {
    const code = text.charCodeAt(at);
    const begin = at;
    switch (code) {
      case 0x20: // blanks
      case 0x09:
      case 0x0a:
      case 0x0b:
      case 0x0c:
      case 0x0d:
        at++;
        continue;
      case 0x27: // '
        at = afterString(text, at, backslashes);
        if (at < 0) throw problem(begin, 'the string that begins here is never closed');
        token(begin, at, "'");
        continue;
      case 0x22: // "
        at = afterQuoted(text, at, '"');
        if (at < 0) throw problem(begin, 'the quoted name that begins here is never closed');
        token(begin, at, depth === 0 ? text.slice(begin, at) : '');
        continue;
      case 0x24: {
        // $
        dollarTag.lastIndex = at;
        const tag = dollarTag.exec(text)?.[0];
        if (tag !== undefined) {
          const closing = text.indexOf(tag, at + tag.length);
          if (closing < 0) throw problem(begin, `the text quoted by ${tag} that begins here is never closed`);
          at = closing + tag.length;
          token(begin, at, "'");
        } else token(begin, ++at, '$');
        continue;
      }
      case 0x2d: // -
        if (text.charCodeAt(at + 1) === 0x2d) {
          if (!body) comment?.(at);
          at = lineEnd(text, at + 2);
        } else token(begin, ++at, '-');
        continue;
      case 0x2f: // /
        if (text.charCodeAt(at + 1) === 0x2a) {
          at = afterComment(text, at);
          if (at < 0) throw problem(begin, 'the comment that begins here is never closed');
        } else token(begin, ++at, '/');
        continue;
      case 0x28: // (
        token(begin, ++at, '(');
        depth++;
        continue;
      case 0x29: // )
        if (depth > 0) depth--;
        token(begin, ++at, ')');
        continue;
      case 0x5c: // \
        throw problem(
          begin,
          `${psqlCommand(text, at)} is a command of psql, not SQL; take it out, or run the file with psql: migrate-with-lock -- psql -f FILE`,
        );
      case 0x3b: // ;
        at++;
        if (depth === 0) cases = 0;
        if (depth === 0 && !body) {
          const statement = close();
          if (statement) yield statement;
        } else token(begin, at, ';');
        continue;
      default:
    }
    identifier.lastIndex = at;
    if (!identifier.test(text)) {
      digits.lastIndex = at;
      const number = digits.test(text);
      at = number ? digits.lastIndex : at + 1;
      token(begin, at, number ? '0' : text.charAt(begin));
      continue;
    }
    at = identifier.lastIndex;
    if (at === begin + 1 && literalLetters.has(code | 0x20)) {
      const literal = afterPrefixed(text, at, code | 0x20, backslashes);
      if (literal < 0) throw problem(begin, 'the string that begins here is never closed');
      if (literal > 0) {
        at = literal;
        token(begin, at, "'");
        continue;
      }
    }
    // Most words of a load of data are looked at by nobody.
    if (!counting && !routine && (depth > 0 || words.length === keptWords)) {
      last = at;
      continue;
    }
    const name = text.slice(begin, at);
    const word = plainWord.test(name) ? name.toUpperCase() : name;
    const before = previous;
    token(begin, at, word);
    // psql's own rule: only what begins with CREATE [OR REPLACE] FUNCTION or PROCEDURE can have a body of statements.
    if (counting) {
      creates += bodyWords.get(word) ?? '-';
      counting = creates.length < 4 && !creates.includes('-');
      routine = /^c(?:or)?[fp]/.test(creates);
    }
    if (routine && depth === 0) {
      if (!body) body = word === 'ATOMIC' && before === 'BEGIN';
      // What a column, or a function, is called: "AS end", "t.end".
      else if (before === 'AS' || before === '.') continue;
      else if (word === 'CASE') cases++;
      else if (word === 'END' && cases > 0) cases--;
      // The body's own END stands where a statement could begin; any other is a column's name, too ("SELECT 2 end").
      else if (word === 'END') body = before !== ';' && before !== 'ATOMIC';
    }
  }
  if (start >= 0 && (depth > 0 || body)) {
    throw problem(
      start,
      `the statement that begins here ends inside ${depth > 0 ? 'parentheses' : 'its body'}`,
    );
  }
  const statement = close();
  if (statement) yield statement;
}

const bodyWords: ReadonlyMap<string, string> = new Map([
  ['CREATE', 'c'],
  ['OR', 'o'],
  ['REPLACE', 'r'],
  ['FUNCTION', 'f'],
  ['PROCEDURE', 'p'],
]);

/** The line, from 1, of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

/** Letters that, right before a quote, are part of the literal: B'' E'' N'' U&'' X''. */
const literalLetters: ReadonlySet<number> = new Set([0x62, 0x65, 0x6e, 0x75, 0x78]);

/** After the literal whose letter ends at `at`; 0 where it is a name, -1 where the literal never closes. */
function afterPrefixed(text: string, at: number, letter: number, backslashes: boolean): number {
  const next = text.charAt(at);
  if (letter === 0x75) {
    const quote = text.charAt(at + 1);
    return next === '&' && (quote === "'" || quote === '"') ? afterQuoted(text, at + 1, quote) : 0;
  }
  if (next !== "'") return 0;
  return afterString(text, at, letter === 0x65 || (letter === 0x6e && backslashes));
}

/** After the literal whose quote opens at `open`; -1 where it never closes. */
function afterString(text: string, open: number, backslashes: boolean): number {
  if (!backslashes) return afterQuoted(text, open, "'");
  for (let at = open; ;) {
    const after = afterEscaped(text, at);
    // Only in escape strings does it matter that the next part belongs to the same literal.
    const next = after < 0 ? undefined : continuation(text, after);
    if (next === undefined) return after;
    at = next;
  }
}

/** The quote of a literal's next part: blanks and comments with at least one line end are between them (SQL's continuation). */
function continuation(text: string, from: number): number | undefined {
  for (let at = from; ;) {
    someBlanks.lastIndex = lineComment.lastIndex = at;
    someBlanks.test(text);
    if (someBlanks.lastIndex > at) at = someBlanks.lastIndex;
    else if (lineComment.test(text)) at = lineComment.lastIndex;
    else return text[at] === "'" && /[\r\n]/.test(text.slice(from, at)) ? at : undefined;
  }
}

export function afterQuoted(text: string, at: number, quote: string): number {
  for (let from = at + 1; ;) {
    const closing = text.indexOf(quote, from);
    if (closing < 0) return -1;
    if (text.charAt(closing + 1) !== quote) return closing + 1;
    from = closing + 2;
  }
}

export function afterEscaped(text: string, at: number): number {
  for (let from = at + 1; from < text.length; from++) {
    const code = text.charCodeAt(from);
    if (code === 0x5c) from++;
    else if (code === 0x27) {
      if (text.charCodeAt(from + 1) !== 0x27) return from + 1;
      from++;
    }
  }
  return -1;
}

function lineEnd(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x0a || code === 0x0d) return at;
  }
  return at;
}

const commentMark = /\/\*|\*\//g;

export function afterComment(text: string, at: number): number {
  commentMark.lastIndex = at + 2;
  for (let depth = 1; ;) {
    const mark = commentMark.exec(text);
    if (mark === null) return -1;
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return commentMark.lastIndex;
  }
}

function psqlCommand(text: string, at: number): string {
  return /^\\[A-Za-z!?]*/.exec(text.slice(at, at + 40))?.[0] ?? '\\';
}

/** What cannot be sent as it stands, since psql would do something else with it. */
function refuse(words: readonly string[], problem: (what: string) => UsageError): void {
  if (words[0] === 'COPY') {
    const direction = words.findIndex((word) => word === 'FROM' || word === 'TO');
    const peer = words[direction + 1];
    if (direction > 0 && (peer === 'STDIN' || peer === 'STDOUT')) {
      throw problem(
        `COPY … ${words[direction]} ${peer.toLowerCase()} needs a client that holds the data; write INSERT statements (pg_dump --inserts), or run the file with psql: migrate-with-lock -- psql -f FILE`,
      );
    }
  }
}

/** The value of "backslashes escape in plain strings" after a statement. */
function afterSet(words: readonly string[], text: string, before: boolean): boolean {
  if (words[0] !== 'SET' || !words.includes('STANDARD_CONFORMING_STRINGS')) return before;
  const off = /(?:=|\bto)\s*'?\s*(off|of|false|fals|fal|fa|f|no|n|0)\s*'?\s*$/i.test(text);
  return off;
}
