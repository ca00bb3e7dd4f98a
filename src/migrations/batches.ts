import { shortText } from './classify.ts';
import type { Piece } from './failure.ts';
import type { Statement } from './split.ts';

/** Statements sent one by one; beyond it a script is a load of data, and round trips would be most of its time. */
const singly = 1000;
/** Bytes of a message that holds several statements: small enough for the server's parser to hold at once. */
const largestMessage = 256 * 1024;

/**
 * Puts a script's statements in messages: each by itself, and from the thousandth on as many as fit.
 * @param text the script as Latin-1
 */
export function* piecesOf(text: string, statements: Iterable<Statement>): Generator<Piece> {
  const lines = lineCounter(text);
  let count = 0;
  let first: Statement | undefined;
  let last: Statement | undefined;
  let together = 0;
  const close = (): Piece | undefined => {
    if (first === undefined || last === undefined) return undefined;
    const piece = {
      text: Buffer.from(text.slice(first.start, last.end), 'latin1').toString(),
      firstLine: lines(first.start),
      lastLine: lines(last.end),
      statements: together,
      short: shortText(text, first),
      start: first.start,
      standardStrings: first.backslashes !== true,
    };
    first = last = undefined;
    together = 0;
    return piece;
  };
  for (const statement of statements) {
    count++;
    // The server reads a whole message by the settings of before it, and SET may change how the next one is to be read.
    const alone = count <= singly || statement.words[0] === 'SET';
    // Where its strings end hangs on standard_conforming_strings, which any statement may change: it is looked at before each
    // message.
    const looked = alone || text.slice(statement.start, statement.end).includes('\\');
    if (first !== undefined && (looked || statement.end - first.start > largestMessage)) {
      const piece = close();
      if (piece) yield piece;
    }
    first ??= statement;
    last = statement;
    together++;
    if (alone) {
      const piece = close();
      if (piece) yield piece;
    }
  }
  const piece = close();
  if (piece) yield piece;
}

/** Lines of ever larger offsets, each newline counted once. */
function lineCounter(text: string): (offset: number) => number {
  let line = 1;
  let next = text.indexOf('\n');
  return (offset) => {
    while (next >= 0 && next < offset) {
      line++;
      next = text.indexOf('\n', next + 1);
    }
    return line;
  };
}
