// Waiting in tests: for a condition, never for a time.
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** Milliseconds; 60,000 unless given: a guard against hanging, not a measure. */
  timeout?: number;
  /** Milliseconds between two looks; 20 unless given. */
  interval?: number;
  /** What is waited for, for the error. May be computed when it fails. */
  what?: string | (() => string);
}

/** Calls `look` until it gives something truthy and returns that; throws after the timeout. */
export async function waitUntil<T>(
  look: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const { timeout = 60_000, interval = 20, what = 'the condition' } = options;
  const end = performance.now() + timeout;
  for (;;) {
    const seen = await look();
    if (seen) return seen as Exclude<T, undefined | null | false | 0 | ''>;
    if (performance.now() >= end) {
      throw new Error(`waited ${timeout} ms in vain for ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(interval);
  }
}
