import { formatDuration } from '../core/duration.ts';
import type { Busy } from './attempt.ts';

/** The longest pause that is kept to, in milliseconds: a wrong value must not stop a run without a deadline for good. */
const longest = 3_600_000;

/** Milliseconds that are added: a timer may be a millisecond early, and some servers prolong a block for that. */
const margin = 10;

/** Of many pods that were told the same, not all come back at once: up to a tenth later, and at most so late. */
const spread = 1000;

/** Pauses after the first and after many refusals without a time, in milliseconds, and how much longer each is. */
const first = 1000;
const last = 30_000;
const growth = 1.5;

/** A year in milliseconds: more than that is not worth a number. */
const year = 365 * 24 * 3_600_000;

/**
 * Milliseconds until the next attempt.
 * @param refusals how often in a row the other end was too busy
 * @param random uniform in [0, 1)
 */
export function pauseOf({ pause }: Busy, refusals: number, random: number): number {
  if (pause === undefined)
    return Math.min(last, first * growth ** Math.min(refusals - 1, 10)) * (1 - 0.12 * random);
  const kept = Math.min(pause, longest);
  return kept + margin + Math.min(kept / 10, spread) * random;
}

/** `, asked to wait 30s (Retry-After)`, after the reason; empty where no time was named. */
export function pauseWords({ pause, ours }: Busy): string {
  if (pause === undefined || ours) return '';
  const whole = pause > year ? 'more than a year' : formatDuration(pause);
  const cut = pause > longest ? `, of which ${formatDuration(longest)} is waited` : '';
  return `, asked to wait ${whole}${cut} (Retry-After)`;
}
