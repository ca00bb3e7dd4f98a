/** A line of a text by its place, so that of a large one nothing is copied. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly start: number;
  /** Behind its end, if it has one. */
  readonly next: number;
}

/** Goes through the lines. Only a line feed ends one; a carriage return before it belongs to its end. */
export function* linesOf(text: string): Generator<Line, undefined> {
  for (let start = 0, number = 1; start < text.length; number++) {
    const next = text.indexOf('\n', start) + 1 || text.length;
    yield { number, start, next };
    start = next;
  }
  return undefined;
}

/** What is in a line, without its end. */
export function lineContent(text: string, { start, next }: Line): string {
  return text.slice(start, next).replace(/\r?\n$/, '');
}

/** What ends the lines of a text, by the first of them. */
export function lineEndOf(text: string): '\n' | '\r\n' {
  const first = text.indexOf('\n');
  return first > 0 && text[first - 1] === '\r' ? '\r\n' : '\n';
}

/** Every line with that end, the last one too. */
export function endedBy(end: string, text: string): string {
  let made = '';
  for (const line of linesOf(text)) made += lineContent(text, line) + end;
  return made;
}

/** A text to which lines can be added. */
export function closed(text: string, end: string): string {
  return text === '' || text.endsWith('\n') ? text : text + end;
}
