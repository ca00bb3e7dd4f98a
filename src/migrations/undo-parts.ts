import { UsageError } from '../core/outcome.ts';
import { literalsOf } from './literals.ts';
import { lineAt } from './split.ts';
import { isLikelyUndoMark, isUndoHeading, isUndoMark, shapesOf } from './undo-marks.ts';

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
  /down|un-?do|roll|rever|back|un-?(?:apply|install|deploy|migrate)|de-?install|\bup|[^a-z]ups?\b|forward|apply|upgrade|migrate|\bdo\b|install|deploy|below/i;

/**
 * Refuses the mark of a part that undoes, whatever tool it is of: to run that part would be the worst of errors.
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
  for (const comment of comments) {
    const { at, end, text: said, alone } = comment;
    const found = alone
      ? isUndoMark(said) || endsPair(comment) || isLikelyAbove(comment)
      : takesAway(comment, isUndoMark(said));
    if (found || (alone && shapesOf('up', said).length > 0)) {
      inLiteral ??= literalsOf(text);
      if (inLiteral(at)) continue;
    }
    if (found) {
      throw new UsageError(
        `${where}:${lineAt(text, at)}: this line looks like the start of a part that undoes the migration, in a way that is not known here; ` +
          'mark the parts with "-- migrate:up" and "-- migrate:down", or take the second one out; where it is only a comment, reword it',
      );
    }
    if (alone) for (const shape of shapesOf('up', said)) if (!ups.has(shape)) ups.set(shape, end);
  }

  function endsPair({ at, end, text: said }: Comment): boolean {
    return shapesOf('undo', said).some((shape) => {
      const first = ups.get(shape);
      const next = codeAfter(end);
      if (first === undefined || next < 0) return false;
      return codeFrom(text, first, at) >= 0 || removedBy(text, next, to) !== undefined;
    });
  }

  function isLikelyAbove({ at, end, text: said }: Comment): boolean {
    return takesAway({ end, text: said }, false) && codeFrom(text, from, at) >= 0;
  }

  function takesAway({ end, text: said }: Pick<Comment, 'end' | 'text'>, sure: boolean): boolean {
    if (!begins.test(said)) return false;
    const removed = removedBy(text, codeAfter(end), to);
    return removed !== undefined && (sure || isLikelyUndoMark(said) || isUndoHeading(said, removed));
  }

  /** One search for all comments above the same statement. */
  function codeAfter(end: number): number {
    if (seen === undefined || end < seen.from || (end > seen.at && seen.at >= 0))
      seen = { from: end, at: codeFrom(text, end, to) };
    return seen.at;
  }
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

/** The statement that begins at `begin`, or the one past BEGIN and SET, where it takes something away. */
function removedBy(text: string, begin: number, to: number): string | undefined {
  for (let at = begin; at >= 0;) {
    const statement = /^[^;]*/.exec(text.slice(at, Math.min(to, at + 2000)))?.[0] ?? '';
    if (!/^(?:begin|start|set)\b/i.test(statement)) {
      return /^(?:drop|delete|truncate|revoke|alter\b[^]*\bdrop)\b/i.test(statement) ? statement : undefined;
    }
    const next = at + statement.length + 1;
    at = next < to ? codeFrom(text, next, to) : -1;
  }
  return undefined;
}

/** What a comment must hold to be a mark of a part that undoes. */
const begins = /down|un-?do|roll|rever|back|un-?(?:apply|install|deploy|migrate)|de-?install|below/i;

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
