import { UsageError } from '../core/outcome.ts';
import { literalSpans } from './literals.ts';
import { lineAt } from './split.ts';
import { evidenceIn, type Evidence } from './undo-evidence.ts';
import { isUndoMark, pairMarks, speaksOfUndoing, type PairMark } from './undo-marks.ts';
import { foreignMark } from './undo-tools.ts';

/** A comment without its signs. */
interface Comment {
  readonly at: number;
  readonly end: number;
  readonly text: string;
  /** False where something stands before it on its line. */
  readonly alone: boolean;
  /** True where nothing but the end of a statement does. */
  readonly behindEnd: boolean;
}

/** What a comment must hold to be looked at: a load of data may have a million of them. */
const telling =
  /[\x80-\xff]|\b[a-z] [a-z] |down|un-?d[io]|roll|rever|back|\bup|[^a-z]ups?\b|forward|appl[iy]|upgrade|migrat|\bdo\b|install|deploy|below/i;

/**
 * Refuses the start of a part that undoes: to run that part would be the worst of errors. A comment is one if it is a
 * tool's mark, or if it speaks of undoing and something that was made above it is taken away below it.
 * @param text as Latin-1
 * @throws UsageError with the line
 */
export function refuseUndoParts(text: string, where: string, from: number, to: number): void {
  if (!telling.test(text) && !/\+goose/i.test(text)) return;
  const problem = (at: number, tool = ''): UsageError =>
    new UsageError(
      `${where}:${lineAt(text, at)}: this line looks like the start of a part that undoes the migration${tool}, in a way that is not known here; ` +
        'mark the parts with "-- migrate:up" and "-- migrate:down", or take the second one out; ' +
        'if all of the file migrates up, reword the comment, or add the line "-- initbox:no-undo-part"',
    );
  const foreign = foreignMark(text, from, to);
  if (foreign !== undefined) throw problem(foreign.at, ` (${foreign.tool} would end the first part here)`);
  const bare = withoutLiterals(text);
  const comments = [...lineComments(bare), ...blockComments(bare)]
    .filter(({ at, text: said }) => at >= from && at < to && telling.test(said))
    .toSorted((a, b) => a.at - b.at);
  /** Each form's first mark of the first part, by the code below it. */
  const ups = new Map<string, number>();
  let seen: { readonly from: number; readonly at: number } | undefined;
  let evidence: Evidence | undefined;
  for (const comment of comments) {
    const { at, end, text: said, alone, behindEnd } = comment;
    const pairs = alone ? pairMarks(said) : [];
    for (const { direction, form } of pairs)
      if (direction === 'up' && !ups.has(form)) ups.set(form, codeAfter(end));
    const way = speaksOfUndoing(said);
    const isMark =
      alone &&
      ((isUndoMark(said) && !isListed(text, at, end)) || (way !== undefined && endsPair(comment, pairs)));
    if (way === undefined && !isMark) continue;
    evidence ??= evidenceIn(text, where, from, to);
    // What stands behind a statement speaks of it as well.
    const places = behindEnd ? [at, text.lastIndexOf(';', at) - 1] : [at];
    const takenBack = places.some((place) => evidence?.takenBack(place, way === 'undo'));
    if (evidence.inBody(at) || !(takenBack || (isMark && (!evidence.whole || codeAfter(end) >= 0)))) continue;
    throw problem(at);
  }

  function endsPair({ at, end }: Comment, pairs: readonly PairMark[]): boolean {
    return pairs.some(({ direction, form, by }) => {
      const first = direction === 'undo' ? ups.get(form) : undefined;
      if (first === undefined) return false;
      const next = codeAfter(end);
      if (next < 0) return false;
      const below = text.slice(next, next + 2000);
      // Before the comment's own sign.
      const until = text.startsWith('/*', at - 2) ? at - 2 : at;
      if (first < 0 || first >= until) return by === 'colon' && takesAway.test(below);
      if (by === 'words' && makes.test(below)) return false;
      evidence ??= evidenceIn(text, where, from, to);
      // A mark stands between statements: inside one, the server takes none of the text.
      return !evidence.inStatement(at);
    });
  }

  /** One search for all comments above the same statement. */
  function codeAfter(end: number): number {
    if (seen === undefined || end < seen.from || (end > seen.at && seen.at >= 0))
      seen = { from: end, at: codeFrom(text, end, to) };
    return seen.at;
  }
}

const takesAway = /^(?:drop|delete|truncate|revoke|alter\b[^;]*\bdrop)\b/i;

const makes = /^(?:create|insert|grant|comment|alter\b[^;]*\badd)\b/i;

/** The line before is an entry for the other word, in a list of such words. */
const otherEntry =
  /(?:^|[\r\n])[ \t]*--[^A-Za-z\r\n]*(?:ups?|forwards?|apply|upgrade|migrate|do)[^A-Za-z\r\n]*(?:\r\n|\r|\n)[ \t]*$/i;
/** The line before is a comment that begins a list: "Status values:". */
const caption = /(?:^|[\r\n])[ \t]*--[^\r\n]*:(?:\r\n|\r|\n)[ \t]*$/;
/** The line behind is an entry of such a list: one word or two. */
const entry = /^(?:\r\n|\r|\n)[ \t]*--[ \t]*[^\s:]+(?:[ \t]+[^\s:]+)?[ \t]*(?:[\r\n]|$)/;

/** True for one word of a list, where it is only spoken of. */
function isListed(text: string, at: number, end: number): boolean {
  const above = text.slice(Math.max(0, at - 300), at);
  return otherEntry.test(above) || (caption.test(above) && entry.test(text.slice(end, end + 300)));
}

/** The first offset from `from` on that is neither blank nor in a comment; -1 where `to` is reached. */
export function codeFrom(text: string, from: number, to: number): number {
  const blank = /[ \t\r\n\f\v]+|--[^\r\n]*|\/\*[^]*?\*\//y;
  // A comment that is open where the part ends counts.
  const part = to === text.length ? text : text.slice(0, to);
  for (blank.lastIndex = from; ;) {
    const at = blank.lastIndex;
    if (!blank.test(part)) return at < to ? at : -1;
  }
}

/** The text with blanks in the place of what surely stands in a literal. */
function withoutLiterals(text: string): string {
  let bare = '';
  for (const { from, to } of literalSpans(text)) {
    bare += `${text.slice(bare.length, from + 1)}${' '.repeat(to - from - 1)}`;
  }
  return bare + text.slice(bare.length);
}

const lineBreak = /[\r\n]|$/g;
const endOfStatement = /;[ \t\f\v]*$/;

/** Each `--` up to its line's end. */
function* lineComments(text: string): Generator<Comment> {
  for (let dashes = text.indexOf('--'); dashes >= 0;) {
    lineBreak.lastIndex = dashes;
    const end = lineBreak.exec(text)?.index ?? text.length;
    const before = text.slice(Math.max(0, dashes - 200), dashes);
    yield {
      at: dashes,
      end,
      text: text.slice(dashes + 2, end),
      alone: /(?:^|[\r\n])[ \t\f\v#]*$/.test(before),
      behindEnd: endOfStatement.test(before),
    };
    dashes = text.indexOf('--', end);
  }
}

/** What stands behind a comment's opening sign or before its closing one, up to the next such sign. */
function* blockComments(text: string): Generator<Comment> {
  let opened = false;
  let from = 0;
  for (const { 0: sign, index } of text.matchAll(/\/\*|\*\//g)) {
    const closes = sign === '*/';
    if (opened || closes) {
      const before = text.slice(Math.max(0, from - 102), Math.max(0, from - 2));
      const after = text.slice(index + 2, index + 502);
      const last = opened && closes && /^[ \t\f\v]*(?:[\r\n]|$)/.test(after);
      const alone = last && /(?:^|[\r\n])[ \t\f\v]*$/.test(before);
      const behindEnd = last && endOfStatement.test(before);
      yield { at: from, end: index + 2, text: text.slice(from, index), alone, behindEnd };
    }
    opened = !closes;
    from = index + 2;
  }
}
