import { oneLine } from './log.ts';
import type { Failed } from './outcome.ts';

/** What the kubelet keeps of a termination message (https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/). */
export const lastWordsLimit = 4096;

/** A failure as people read it in `kubectl describe pod`: the sentence, what is known, what to look at. */
export function failureText(command: string, failure: Failed): string {
  const lines = [`initbox ${command}: ${failure.what}`.replace(' : ', ': ')];
  for (const detail of failure.details ?? []) lines.push(`  ${detail}`);
  if (failure.hint !== undefined) lines.push(`hint: ${failure.hint}`);
  return lines.join('\n');
}

/**
 * A failure for the termination log, where it must fit: the details make room for what to look at, which comes last.
 * @param redact is asked before anything is cut, or half a secret might stay
 */
export function lastWords(
  command: string,
  failure: Failed,
  redact: (text: string) => string,
  limit = lastWordsLimit,
): string {
  const clean = (text: string): string => redact(text).split('\n').map(oneLine).join('\n');
  const whole = clean(failureText(command, failure));
  if (Buffer.byteLength(whole) <= limit || failure.hint === undefined) return cutToLimit(whole, limit);
  const { hint, ...rest } = failure;
  const advice = `\n${cutToLimit(clean(`hint: ${hint}`), Math.floor(limit / 2))}`;
  return cutToLimit(clean(failureText(command, rest)), limit - Buffer.byteLength(advice)) + advice;
}

/** Cuts to the limit in bytes, between characters, and says that it did. */
export function cutToLimit(text: string, limit = lastWordsLimit): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  const tail = '\n[…]';
  let end = limit - Buffer.byteLength(tail);
  // 10xxxxxx bytes continue a character (RFC 3629).
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end).toString() + tail;
}
