import { oneLine, redacted } from './log.ts';
import type { Failed } from './outcome.ts';

/** What the kubelet keeps of a termination message (https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/). */
export const lastWordsLimit = 4096;

/**
 * A failure as people read it in `kubectl describe pod`: the sentence, what is known, what to look at. Each is one line,
 * or a server's words could pass for ours.
 * @param redact is asked before lines are joined, or a secret of several lines might stay
 */
export function failureLines(
  command: string,
  failure: Failed,
  redact: (text: string) => string,
): readonly string[] {
  return [
    `initbox ${command}: ${failure.what}`.replace(' : ', ': '),
    ...(failure.details ?? []).map((detail) => `  ${detail}`),
    ...[failure.hint ?? []].flat().map((hint) => `hint: ${hint}`),
  ].map((line) => oneLine(redacted(line, redact)));
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
  return cutLines(failureLines(command, failure, redact), failure, limit);
}

/** The same, of lines that are made already. */
export function cutLines(lines: readonly string[], failure: Failed, limit = lastWordsLimit): string {
  const whole = lines.join('\n');
  const hints = [failure.hint ?? []].flat().length;
  if (Buffer.byteLength(whole) <= limit || hints === 0) return cutToLimit(whole, limit);
  const advice = `\n${cutToLimit(lines.slice(-hints).join('\n'), Math.floor(limit / 2))}`;
  return cutToLimit(lines.slice(0, -hints).join('\n'), limit - Buffer.byteLength(advice)) + advice;
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
