import { BrokenConnection } from './wire.ts';

/** A row of an answer; undefined where the answer has none. */
export type AnswerRow = Readonly<Record<string, unknown>> | undefined;

/** A server, or what stands before it, gave a well-formed answer that is not one to the statement. */
function wrongAnswer(column: string, what: string): BrokenConnection {
  return new BrokenConnection(
    `the connection broke: what the server sent is not valid: "${column}" of its answer is not ${what}`,
  );
}

/** @throws BrokenConnection where it is not a whole number, as a number or as text */
export function bigintIn(row: AnswerRow, column: string): bigint {
  const value = row?.[column];
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'string' && /^-?\d{1,40}$/.test(value)) return BigInt(value);
  throw wrongAnswer(column, 'a whole number');
}

/** @throws BrokenConnection where it is not a whole number that JavaScript holds exactly */
export function integerIn(row: AnswerRow, column: string): number {
  const value = bigintIn(row, column);
  if (value < Number.MIN_SAFE_INTEGER || value > Number.MAX_SAFE_INTEGER)
    throw wrongAnswer(column, 'a whole number');
  return Number(value);
}

/** @throws BrokenConnection where it is not a finite number */
export function numberIn(row: AnswerRow, column: string): number {
  const value = row?.[column];
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) throw wrongAnswer(column, 'a number');
  return number;
}

/** @throws BrokenConnection where it is not text */
export function textIn(row: AnswerRow, column: string): string {
  const value = row?.[column];
  if (typeof value !== 'string') throw wrongAnswer(column, 'text');
  return value;
}

/** @throws BrokenConnection where it is none of the texts */
export function oneOfIn<const C extends readonly string[]>(
  row: AnswerRow,
  column: string,
  choices: C,
): C[number] {
  const text = textIn(row, column);
  if (!choices.includes(text)) throw wrongAnswer(column, `one of ${choices.join(', ')}`);
  return text;
}

/** @throws BrokenConnection where it is not one letter, as PostgreSQL's "char" is */
export function letterIn(row: AnswerRow, column: string): string {
  const text = textIn(row, column);
  if (!/^[A-Za-z]$/.test(text)) throw wrongAnswer(column, 'a letter');
  return text;
}

/** @returns none for NULL @throws BrokenConnection where it is not an array of texts */
export function textsIn(row: AnswerRow, column: string): readonly string[] {
  const value: unknown = row?.[column] ?? [];
  if (!Array.isArray(value) || !value.every((each): each is string => typeof each === 'string'))
    throw wrongAnswer(column, 'an array of texts');
  return value;
}

/** @throws BrokenConnection where it is neither text nor NULL, or is not there */
export function textOrNullIn(row: AnswerRow, column: string): string | null {
  return row?.[column] === null ? null : textIn(row, column);
}

/** @throws BrokenConnection where it is not a number of seconds since 1970 that a Date can hold */
export function dateIn(row: AnswerRow, column: string): Date {
  const date = new Date(numberIn(row, column) * 1000);
  if (Number.isNaN(date.getTime())) throw wrongAnswer(column, 'a time');
  return date;
}

/** @returns an empty object for NULL @throws BrokenConnection where it is not the text of a JSON object */
export function jsonIn(row: AnswerRow, column: string): object {
  const text = textOrNullIn(row, column) ?? '{}';
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // not JSON
  }
  throw wrongAnswer(column, 'a JSON object');
}
