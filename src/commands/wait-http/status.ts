import { quotedPart } from '../../core/misplaced-secret.ts';
/** Status codes from one to another, both included. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

export const success: readonly StatusRange[] = [{ from: 200, to: 299 }];

const accepted = 'write codes (204), ranges (200-299) or classes (2xx), separated by commas';

/**
 * Reads `200,204`, `200-299`, `2xx`. RFC 9110, 15 has codes from 100 to 599; those below 200 are never an answer.
 * @throws Error that says what is accepted
 */
export function parseStatuses(text: string): readonly StatusRange[] {
  return text.split(',').map((part) => {
    const [, first, last, family] = /^(?:(\d{3})(?:-(\d{3}))?|([1-9])xx)$/i.exec(part.trim()) ?? [];
    if (first === undefined && family === undefined)
      throw new Error(`${quotedPart(part.trim(), text)} is not a status; ${accepted}`);
    const from = family === undefined ? Number(first) : Number(family) * 100;
    const to = family === undefined ? Number(last ?? first) : from + 99;
    if (from > to) throw new Error(`the range ${part.trim()} is empty: it ends before it begins`);
    if (from < 200)
      throw new Error(`${part.trim()}: statuses below 200 are interim, and never the final answer`);
    if (to > 599) throw new Error(`${part.trim()}: there are statuses from 200 to 599`);
    return { from, to };
  });
}

export function includes(ranges: readonly StatusRange[], status: number): boolean {
  return ranges.some(({ from, to }) => status >= from && status <= to);
}

/** `200-299, 404` */
export function statusWords(ranges: readonly StatusRange[]): string {
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

/** True where no answer with such a status has a body (RFC 9110, 6.4.1). */
export function neverHasBody(ranges: readonly StatusRange[]): boolean {
  return ranges.every(({ from, to }) => from === to && (from === 204 || from === 304));
}
