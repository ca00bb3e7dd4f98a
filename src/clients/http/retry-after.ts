import type { Busy } from '../../wait/attempt.ts';

/** The head of an answer. Names of headers are in small letters, as node:http gives them. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
}

/**
 * What an answer says about the next request: a status 429 (RFC 6585, 4), or a time with any status
 * (RFC 9110, 10.2.3). A value that cannot be read is ignored.
 */
export function busyOf({ status, headers }: AnswerHead, now: Date): Busy | undefined {
  const pause =
    milliseconds(textOf(headers['x-amz-retry-after'])) ??
    pauseIn(textOf(headers['retry-after']), textOf(headers['date']), now);
  if (pause !== undefined) return { pause };
  return status === 429 ? {} : undefined;
}

function textOf(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : (value?.[0] ?? '')).trim();
}

/** AWS's own header, which its SDK reads too: https://github.com/smithy-lang/smithy-typescript (parseRetryAfterHeader). */
function milliseconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? positive(Number(text)) : undefined;
}

/** RFC 9110 knows whole seconds and dates; some servers send fractions. */
function pauseIn(text: string, writtenAt: string, now: Date): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return positive(Number(text) * 1000);
  const until = dateIn(text);
  // By the clock of whoever wrote it: the two clocks may differ.
  return until === undefined ? undefined : positive(until - (dateIn(writtenAt) ?? now.getTime()));
}

function positive(value: number): number | undefined {
  return value > 0 && Number.isFinite(value) ? value : undefined;
}

/** The three forms of RFC 9110, 5.6.7; Date.parse alone takes almost anything for a date. */
const httpDate =
  /^(?:[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT|[A-Z][a-z]+day, \d{2}-[A-Z][a-z]{2}-\d{2} [\d:]{8} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4})$/;

function dateIn(text: string): number | undefined {
  if (!httpDate.test(text)) return undefined;
  const time = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return Number.isNaN(time) ? undefined : time;
}
