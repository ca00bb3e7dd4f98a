import type { LockTiming } from '../../clients/lock.ts';
import type { Context } from '../../core/context.ts';

/** Milliseconds for writing down what was done and giving the lock back, whatever the deadline or a signal say. */
export const leastTime = 2000;

/** Milliseconds that all of it may take beside the end of failed work, whose bound is the grace. */
const mostTime = 15_000;

export interface Conclusion extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * Bounds what follows the work. What was done is to be written down even where the time is up; but a server that hangs
 * must not hold the process up: it has a small time of its own, and beyond that as much as the context still has.
 */
export function startConclusion({ clock, signal }: Context, { grace }: LockTiming): Conclusion {
  const over = new AbortController();
  const late = (): void => over.abort(new Error('no answer in time'));
  const cancelMost = clock.after(grace + mostTime, late);
  const cancelLeast = clock.after(leastTime, () => {
    if (signal.aborted) late();
    else signal.addEventListener('abort', late, { once: true });
  });
  return {
    signal: over.signal,
    [Symbol.dispose]() {
      cancelMost();
      cancelLeast();
      signal.removeEventListener('abort', late);
    },
  };
}
