import { UsageError } from '../core/outcome.ts';
import { utf8Of } from './latin1.ts';
import { readLiquibase } from './liquibase.ts';
import { literalsOf } from './literals.ts';
import { lineAt } from './split.ts';
import { statementsIn } from './undo-evidence.ts';
import { codeFrom, refuseUndoParts } from './undo-parts.ts';

/** The ways in which a file marks its own parts; `none` where it is one part. */
export type Marking = 'none' | 'dbmate' | 'goose' | 'sql-migrate' | 'node-pg-migrate' | 'tern';

export interface Parts {
  readonly marking: Marking;
  /** The part that migrates up, as offsets into the text. */
  readonly from: number;
  readonly to: number;
  /** False where the file says that it must not run in a transaction; undefined where it says nothing. */
  readonly transaction: false | undefined;
}

interface Mark {
  readonly at: number;
  /** After the marking line's text, before its line end. */
  readonly end: number;
  readonly words: string;
}

/** How one tool writes its marks; the first group is what follows the tool's prefix. */
interface Grammar {
  readonly marking: Exclude<Marking, 'none'>;
  /** Matched against one comment line; the first group is what the mark says. */
  readonly line: RegExp;
  readonly read: (marks: readonly Mark[], text: string, where: string) => Parts;
}

const grammars: readonly Grammar[] = [
  {
    // https://github.com/amacneil/dbmate#creating-migrations
    marking: 'dbmate',
    line: /^--[ \t\f\v]*migrate:(.*)/,
    read: readDbmate,
  },
  {
    // https://pressly.github.io/goose/documentation/annotations/
    marking: 'goose',
    line: /^[ \t\f\v]*--[ \t\f\v]*\+goose[ \t\f\v]+(.*)/i,
    read: (marks, text, where) => readGoose(marks, text, where, 'goose'),
  },
  {
    // https://github.com/rubenv/sql-migrate#writing-migrations
    marking: 'sql-migrate',
    line: /^[ \t\f\v]*--[ \t\f\v]*\+migrate[ \t\f\v]+(.*)/i,
    read: (marks, text, where) => readGoose(marks, text, where, 'sql-migrate'),
  },
  {
    // https://salsita.github.io/node-pg-migrate/migrations/ It takes any line that begins so, prose as well: alone on
    // its line it is surely meant.
    marking: 'node-pg-migrate',
    line: /^[ \t\f\v]*--[ \t\f\v-]*((?:up|down)[ \t\f\v]+migration)[^\p{L}\p{N}]*$/iu,
    read: readNodePgMigrate,
  },
  {
    // https://github.com/jackc/tern#migrations
    marking: 'tern',
    line: /^----[ \t]*(create above \/ drop below|tern:[ \t]*disable-tx)[ \t]*----/,
    read: readTern,
  },
];

/** What is meant as a directive, however it is spelled. */
const nearDirective =
  /^[ \t\f\v]*--[^A-Za-z0-9]*(initbox(?:[ \t\f\v]*[:=].*|[^A-Za-z0-9]+no[-_ ]?(?:transaction|undo).*))/i;
const directive = /^[ \t\f\v]*--[ \t\f\v]*initbox:(no-transaction|no-undo-part)[ \t\f\v]*$/;
const directiveNames: readonly [string, RegExp][] = [
  ['no-transaction', /no[-_ ]?transaction/i],
  ['no-undo-part', /no[-_ ]?undo[-_ ]?part/i],
];

/** https://atlasgo.io/versioned/checks: a file that holds several. */
const txtar = /^[ \t]*--[ \t]*atlas:txtar\b/;

/**
 * Finds the part of a file that migrates up, and what the file says of its transaction.
 * @param text as Latin-1
 * @throws UsageError with the line, where marks are missing, out of order or unknown
 */
export function partsOf(text: string, where: string): Parts {
  const lines = [...markedLines(text)];
  refuseTxtar(lines, text, where);
  const found = grammars
    .map((grammar) => ({ grammar, marks: marksOf(grammar.line, lines) }))
    .filter(({ marks }) => marks.length > 0);
  const [first, second] = found;
  if (first && second) {
    refuseMarkInLiteral(found, text, where);
    throw new UsageError(
      `${where} is marked for both ${first.grammar.marking} (line ${lineAt(text, first.marks[0]?.at ?? 0)}) and ${second.grammar.marking} (line ${lineAt(text, second.marks[0]?.at ?? 0)}); keep one`,
    );
  }
  const parts = first
    ? first.grammar.read(first.marks, text, where)
    : { marking: 'none' as const, from: 0, to: text.length, transaction: undefined };
  const directives = ownDirectives(lines, text, where, parts);
  if (!directives.has('no-undo-part')) refuseUndoParts(text, where, parts.from, parts.to);
  const isLiquibase = lines.some((line) => /liquibase|changeset/i.test(line.text));
  const transaction = isLiquibase ? readLiquibase(text, where) : undefined;
  return directives.has('no-transaction') || transaction === false ? { ...parts, transaction: false } : parts;
}

function refuseTxtar(lines: readonly Line[], text: string, where: string): void {
  const declared = lines.filter((line) => txtar.test(line.text));
  const inLiteral = declared.length > 0 ? literalsOf(text) : undefined;
  const line = declared.find(({ at }) => inLiteral?.(at) === false);
  if (line === undefined) return;
  throw new UsageError(
    `${where}:${lineAt(text, line.at)}: Atlas reads this file as several (checks, migration, down), which is not done here; ` +
      'run Atlas itself (migrate-with-lock -- atlas migrate apply), or write only the migration into the file, without this line',
  );
}

/** Of two tools, the one whose marks all stand in literals is not the one that the file is written for. */
function refuseMarkInLiteral(
  found: readonly { readonly grammar: Grammar; readonly marks: readonly Mark[] }[],
  text: string,
  where: string,
): void {
  const inLiteral = literalsOf(text);
  const isOnlyText = (marks: readonly Mark[]): boolean => marks.every((mark) => inLiteral(mark.at));
  const only = found.find(({ marks }) => isOnlyText(marks));
  const real = found.find(({ marks }) => !isOnlyText(marks));
  const [mark] = only?.marks ?? [];
  if (only === undefined || real === undefined || mark === undefined) return;
  throw problem(
    text,
    where,
    mark,
    `this line of a literal is a mark of ${only.grammar.marking}, and the file is marked for ${real.grammar.marking}; begin the line with another character, or put the text together from two ('--' || '…')`,
  );
}

interface Line {
  readonly at: number;
  readonly text: string;
}

/** What a line must hold to be looked at closely: a load of data may have a million comments. */
const telling = /migrat|goose|create above|tern|initbox|liquibase|changeset|atlas/i;
const lineBreak = /[\r\n]|$/g;

/** The comment lines that may be marks, whatever text they stand in: the tools go by lines too. */
function* markedLines(text: string): Generator<Line> {
  for (let dashes = text.indexOf('--'); dashes >= 0;) {
    let at = dashes;
    while (at > 0 && text.charAt(at - 1) !== '\n' && text.charAt(at - 1) !== '\r') at--;
    lineBreak.lastIndex = dashes;
    const end = lineBreak.exec(text)?.index ?? text.length;
    if (/^[ \t\f\v#]*$/.test(text.slice(at, Math.min(dashes, at + 200)))) {
      const line = text.slice(at, end);
      if (telling.test(line)) yield { at, text: line };
    }
    dashes = text.indexOf('--', end);
  }
}

function marksOf(pattern: RegExp, lines: readonly Line[]): Mark[] {
  const marks: Mark[] = [];
  for (const { at, text } of lines) {
    const match = pattern.exec(text);
    if (match === null) continue;
    marks.push({ at, end: at + text.length, words: (match[1] ?? '').trim().replace(/[ \t\f\v]+/g, ' ') });
  }
  return marks;
}

function problem(text: string, where: string, mark: Mark, what: string): UsageError {
  return new UsageError(`${where}:${lineAt(text, mark.at)}: ${what}`);
}

/** A line that stands in a literal, in another comment, in a body, or below the part that runs, is text. */
function ownDirectives(
  lines: readonly Line[],
  text: string,
  where: string,
  { from, to }: Parts,
): ReadonlySet<string> {
  const written = new Map(marksOf(nearDirective, lines).map((mark) => [text.indexOf('--', mark.at), mark]));
  const last = [...written.keys()].at(-1);
  if (last === undefined) return new Set();
  const marks: Mark[] = [];
  const comment = (at: number): void => {
    const mark = written.get(at);
    if (mark !== undefined) marks.push(mark);
  };
  // The head is not sent, so that nothing which it leaves open reaches into the part.
  for (const [start, end] of [
    [0, from],
    [from, to],
  ] as const)
    for (const statement of statementsIn(text, where, start, end, comment)) if (statement.end > last) break;
  const names = new Set<string>();
  for (const mark of marks) {
    const line = text.slice(mark.at, mark.end);
    const name = directive.exec(line)?.[1];
    if (name === undefined) throw problem(text, where, mark, notDirective(line.trim()));
    names.add(name);
  }
  return names;
}

function notDirective(line: string): string {
  const meant = directiveNames.find(([, near]) => near.test(line))?.[0];
  const said = `"${utf8Of(line)}"`;
  return meant === undefined
    ? `${said} is not known; the directives are "-- initbox:no-transaction" and "-- initbox:no-undo-part"`
    : `${said} is not spelled as a directive; write "-- initbox:${meant}" alone on the line`;
}

function readDbmate(marks: readonly Mark[], text: string, where: string): Parts {
  for (const mark of marks) {
    if (!/^(?:up|down)(?: |$)/.test(mark.words)) {
      throw problem(text, where, mark, `"-- migrate:${mark.words}" is neither migrate:up nor migrate:down`);
    }
  }
  const ups = marks.filter((mark) => mark.words.startsWith('up'));
  const downs = marks.filter((mark) => mark.words.startsWith('down'));
  const [from, to] = upRange(ups, downs, text, where, '-- migrate:up', '-- migrate:down');
  let transaction: false | undefined;
  for (const option of ups[0]?.words.split(' ').slice(1) ?? []) {
    if (option === 'transaction:false') transaction = false;
    else if (option !== 'transaction:true') {
      throw problem(
        text,
        where,
        ups[0] as Mark,
        `"${utf8Of(option)}" is not an option of migrate:up; transaction:false is`,
      );
    }
  }
  return { marking: 'dbmate', from, to, transaction };
}

function readGoose(
  marks: readonly Mark[],
  text: string,
  where: string,
  marking: 'goose' | 'sql-migrate',
): Parts {
  const prefix = marking === 'goose' ? '-- +goose' : '-- +migrate';
  let transaction: false | undefined;
  const ups: Mark[] = [];
  const downs: Mark[] = [];
  for (const mark of marks) {
    const words = mark.words.toLowerCase();
    if (words === 'up') ups.push(mark);
    else if (words === 'down' || (words === 'down notransaction' && marking === 'sql-migrate'))
      downs.push(mark);
    else if (words === 'up notransaction' && marking === 'sql-migrate') {
      ups.push(mark);
      transaction = false;
    } else if (words === 'no transaction' && marking === 'goose') transaction = false;
    // Statements are told apart by Postgres' own rules here, so that these marks change nothing.
    else if (words !== 'statementbegin' && words !== 'statementend' && words !== 'envsub off') {
      throw problem(text, where, mark, `"${prefix} ${utf8Of(mark.words)}" is not supported`);
    }
  }
  const [from, to] = upRange(ups, downs, text, where, `${prefix} Up`, `${prefix} Down`);
  return { marking, from, to, transaction };
}

/** Between the one mark that begins the up part and the mark, if any, that begins the down part after it. */
function upRange(
  ups: readonly Mark[],
  downs: readonly Mark[],
  text: string,
  where: string,
  upText: string,
  downText: string,
): [from: number, to: number] {
  const [up, secondUp] = ups;
  const [down, secondDown] = downs;
  if (up === undefined) throw new UsageError(`${where} has marks, but no "${upText}"`);
  if (secondUp) throw problem(text, where, secondUp, `a second "${upText}"; one file is one migration`);
  if (secondDown) throw problem(text, where, secondDown, `a second "${downText}"; one file is one migration`);
  if (down !== undefined && down.at < up.at) {
    throw problem(text, where, down, `"${downText}" stands before "${upText}"`);
  }
  refuseCodeBefore(up, text, where, upText);
  return [up.end, down?.at ?? text.length];
}

function refuseCodeBefore(up: Mark, text: string, where: string, upText: string): void {
  const before = codeFrom(text, 0, up.at);
  if (before < 0) return;
  throw new UsageError(`${where}:${lineAt(text, before)}: SQL before "${upText}" belongs to no part`);
}

/** node-pg-migrate takes the first of each mark, and all of the file where there is no up mark before the down mark. */
function readNodePgMigrate(marks: readonly Mark[], text: string, where: string): Parts {
  const up = marks.find((mark) => /^up/i.test(mark.words));
  const down = marks.find((mark) => /^down/i.test(mark.words));
  if (up && down && down.at < up.at) {
    throw problem(text, where, down, '"-- Down Migration" stands before "-- Up Migration"');
  }
  if (up) refuseCodeBefore(up, text, where, '-- Up Migration');
  else if (down) refuseSentence(text, where, down);
  return {
    marking: 'node-pg-migrate',
    from: up?.end ?? 0,
    to: down?.at ?? text.length,
    transaction: undefined,
  };
}

/** With a mark for the second part, a line that only begins as the first mark may be meant as it: not if it changes nothing. */
function refuseSentence(text: string, where: string, down: Mark): void {
  const line = /^[ \t\f\v]*--[ \t\f\v-]*up[ \t\f\v]+migration/im.exec(text.slice(0, down.at));
  if (line === null || codeFrom(text, 0, line.index) < 0) return;
  throw new UsageError(
    `${where}:${lineAt(text, line.index)}: node-pg-migrate would leave out what stands above this line, which is not quite its mark; ` +
      'write "-- Up Migration" alone on the line, or reword it',
  );
}

function readTern(marks: readonly Mark[], text: string): Parts {
  const separator = marks.find((mark) => mark.words.startsWith('create above'));
  const disabled = marks.some((mark) => mark.words.startsWith('tern:'));
  return {
    marking: 'tern',
    from: 0,
    to: separator?.at ?? text.length,
    transaction: disabled ? false : undefined,
  };
}
