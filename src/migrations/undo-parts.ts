import { UsageError } from '../core/outcome.ts';
import { literalsOf } from './literals.ts';
import { lineAt } from './split.ts';
import { evidenceIn, type Evidence } from './undo-evidence.ts';
import { isUndoMark, prefixOf, speaksOfUndoing } from './undo-marks.ts';

/** A comment without its signs. */
interface Comment {
  readonly at: number;
  readonly end: number;
  readonly text: string;
  /** False where a statement's end stands before it on its line. */
  readonly alone: boolean;
}

/** What a comment must hold to be looked at: a load of data may have a million of them. */
const telling =
  /down|un-?do|roll|rever|back|t(?:ear|ore)|un-?(?:apply|install|deploy|migrate)|de-?install|\bup|[^a-z]ups?\b|forward|apply|upgrade|migrate|\bdo\b|install|deploy|below/i;

/**
 * Refuses the start of a part that undoes: to run that part would be the worst of errors. A comment is one if it is a
 * tool's mark, or if it speaks of undoing and something that was made above it is taken away below it.
 * @param text as Latin-1
 * @throws UsageError with the line
 */
export function refuseUndoParts(text: string, where: string, from: number, to: number): void {
  const comments = [...lineComments(text), ...blockComments(text)]
    .filter(({ at, text: said }) => at >= from && at < to && telling.test(said))
    .toSorted((a, b) => a.at - b.at);
  const ups = new Map<string, number>();
  let seen: { readonly from: number; readonly at: number } | undefined;
  let inLiteral: ((at: number) => boolean) | undefined;
  let evidence: Evidence | undefined;
  for (const comment of comments) {
    const { at, end, text: said, alone } = comment;
    const up = alone ? prefixOf('up', said) : undefined;
    if (up !== undefined) {
      inLiteral ??= literalsOf(text);
      if (!inLiteral(at) && !ups.has(up)) ups.set(up, end);
    }
    const way = speaksOfUndoing(said);
    const isMark = alone && ((isUndoMark(said) && !isListed(text, at)) || endsPair(comment));
    if (way === undefined && !isMark) continue;
    evidence ??= evidenceIn(text, where, from, to);
    if (evidence.inBody(at) || !(isMark || evidence.takenBack(at, way === 'prose'))) continue;
    inLiteral ??= literalsOf(text);
    if (inLiteral(at)) continue;
    throw new UsageError(
      `${where}:${lineAt(text, at)}: this line looks like the start of a part that undoes the migration, in a way that is not known here; ` +
        'mark the parts with "-- migrate:up" and "-- migrate:down", or take the second one out; where it is only a comment, reword it',
    );
  }

  function endsPair({ at, end, text: said }: Comment): boolean {
    const prefix = prefixOf('undo', said);
    const first = prefix === undefined ? undefined : ups.get(prefix);
    if (first === undefined) return false;
    const next = codeAfter(end);
    return next >= 0 && (codeFrom(text, first, at) >= 0 || takesAway.test(text.slice(next, next + 2000)));
  }

  /** One search for all comments above the same statement. */
  function codeAfter(end: number): number {
    if (seen === undefined || end < seen.from || (end > seen.at && seen.at >= 0))
      seen = { from: end, at: codeFrom(text, end, to) };
    return seen.at;
  }
}

const takesAway = /^(?:drop|delete|truncate|revoke|alter\b[^;]*\bdrop)\b/i;

/** True where the line before is a comment that begins a list ("Status values:"), or its entry for the other word. */
function isListed(text: string, at: number): boolean {
  return /(?:^|[\r\n])[ \t]*--(?:[^\r\n]*:|[^A-Za-z\r\n]*(?:ups?|forwards?|apply|upgrade|migrate|do)[^A-Za-z\r\n]*)(?:\r\n|\r|\n)[ \t]*$/i.test(
    text.slice(Math.max(0, at - 300), at),
  );
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

const lineBreak = /[\r\n]|$/g;

function* lineComments(text: string): Generator<Comment> {
  for (let dashes = text.indexOf('--'); dashes >= 0;) {
    lineBreak.lastIndex = dashes;
    const end = lineBreak.exec(text)?.index ?? text.length;
    const before = /(?:^|[\r\n;])[ \t\f\v#]*$/.exec(text.slice(Math.max(0, dashes - 200), dashes))?.[0];
    if (before !== undefined) {
      yield { at: dashes, end, text: text.slice(dashes + 2, end), alone: !before.startsWith(';') };
    }
    dashes = text.indexOf('--', end);
  }
}

/** Comments that nothing follows on their line, and that are no longer than a mark is. */
function* blockComments(text: string): Generator<Comment> {
  for (let at = text.indexOf('/*'); at >= 0; at = text.indexOf('/*', at + 2)) {
    const length = text.slice(at + 2, at + 400).indexOf('*/');
    if (length < 0) continue;
    const end = at + 4 + length;
    const before = /(?:^|[\r\n;])[ \t\f\v]*$/.exec(text.slice(Math.max(0, at - 100), at))?.[0];
    if (before !== undefined && /^[ \t\f\v]*(?:[\r\n]|$)/.test(text.slice(end, end + 500))) {
      yield { at, end, text: text.slice(at + 2, end - 2), alone: !before.startsWith(';') };
    }
  }
}
