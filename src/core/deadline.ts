import type { Clock } from './clock.ts';
import { formatDuration } from './duration.ts';
import { DeadlinePassed } from './outcome.ts';

export interface Deadline extends Disposable {
  /** Aborted when time is up (reason: DeadlinePassed) or when the parent is (its reason). */
  readonly signal: AbortSignal;
  /** The clock's reading at which time is up; undefined where there is no bound. */
  readonly at: number | undefined;
}

/**
 * Bounds a piece of work within what bounds it already.
 * @param limit milliseconds; 0 means no bound of its own
 * @param what names the limit for people, as in `--timeout` or `INITBOX_TIMEOUT`
 */
export function startDeadline(
  clock: Clock,
  parent: { readonly signal: AbortSignal; readonly deadline?: number | undefined },
  limit: number,
  what: string,
): Deadline {
  const controller = new AbortController();
  const onParent = (): void => controller.abort(parent.signal.reason);
  if (parent.signal.aborted) onParent();
  parent.signal.addEventListener('abort', onParent, { once: true });
  const own = limit > 0 ? clock.now() + limit : undefined;
  const cancel =
    own === undefined
      ? () => {}
      : clock.after(limit, () =>
          controller.abort(new DeadlinePassed(limit, `gave up after ${formatDuration(limit)} (${what})`)),
        );
  return {
    signal: controller.signal,
    at: earliest(own, parent.deadline),
    [Symbol.dispose]() {
      cancel();
      parent.signal.removeEventListener('abort', onParent);
    },
  };
}

/** A deadline that begins anew whenever something has come. */
export interface Patience extends Deadline {
  renew(): void;
}

/** Parts of its limit to which a patience is exact. */
const fine = 300;

/** As startDeadline, for work of which nobody knows how long it takes, but only how long it may be silent. */
export function startPatience(
  clock: Clock,
  parent: { readonly signal: AbortSignal; readonly deadline?: number | undefined },
  limit: number,
  what: string,
): Patience {
  let current = startDeadline(clock, parent, limit, what);
  let begun = clock.now();
  const controller = new AbortController();
  const follow = ({ signal }: Deadline): void => {
    const onAbort = (): void => controller.abort(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  };
  follow(current);
  return {
    signal: controller.signal,
    get at() {
      return current.at;
    },
    renew() {
      const now = clock.now();
      // Something may come a thousand times a second.
      if (limit === 0 || now - begun < limit / fine || controller.signal.aborted) return;
      begun = now;
      current[Symbol.dispose]();
      current = startDeadline(clock, parent, limit, what);
      follow(current);
    },
    [Symbol.dispose]: () => current[Symbol.dispose](),
  };
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
