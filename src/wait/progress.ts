import type { Context } from '../core/context.ts';
import { describeProgress, reportOf, targetFields } from './outcome.ts';
import type { TargetState } from './target-state.ts';

/** A line at least so often, in milliseconds, while nothing changes. */
const heartbeat = 5000;
/** No two lines closer than this, however much changes. */
const closest = 1000;
/** The first answers of several targets are told in one line. */
const gather = 100;

export interface Progress {
  /** What is wrong has changed. */
  changed(): void;
  stop(): void;
}

/** Says how a wait stands: when what is wrong changes, and every five seconds. */
export function createProgress(
  watches: readonly TargetState[],
  context: Pick<Context, 'clock' | 'log'>,
): Progress {
  const { clock, log } = context;
  let lastAt = clock.now() - closest;
  let soon: (() => void) | undefined;
  let cancelHeartbeat = clock.after(heartbeat, say);

  function say(): void {
    soon?.();
    soon = undefined;
    cancelHeartbeat();
    lastAt = clock.now();
    const withStages = log.format === 'json' && watches.some(({ target }) => target.stages !== undefined);
    log.info(
      describeProgress(watches, lastAt),
      withStages ? { targets: watches.map((watch) => targetFields(reportOf(watch, lastAt))) } : {},
    );
    cancelHeartbeat = clock.after(heartbeat, say);
  }

  return {
    changed() {
      soon ??= clock.after(Math.max(gather, lastAt + closest - clock.now()), say);
    },
    stop() {
      soon?.();
      cancelHeartbeat();
    },
  };
}
