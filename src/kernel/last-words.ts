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
