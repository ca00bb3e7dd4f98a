import type { Context } from '../core/context.ts';
import { formatDuration } from '../core/duration.ts';
import type { BlockLine } from '../core/terminal.ts';
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
  /** One of several targets is ready, as the line says. */
  ready(line: string): void;
  stop(): void;
}

type ProgressContext = Pick<Context, 'clock' | 'log' | 'terminal'>;

/**
 * Says how a wait stands: in lines of the log, or, where the plan wants it and standard error is a terminal, in a block with a
 * line for each target.
 */
export function createProgress(
  watches: readonly TargetState[],
  { startedAt, block }: { readonly startedAt: number; readonly block: boolean },
  context: ProgressContext,
): Progress {
  return (block ? inBlock(watches, startedAt, context) : undefined) ?? inLines(watches, context);
}

/** A line when what is wrong changes, and every five seconds. */
function inLines(watches: readonly TargetState[], { clock, log }: ProgressContext): Progress {
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
    ready: (line) => log.info(line),
    stop() {
      soon?.();
      cancelHeartbeat();
    },
  };
}

/** Undefined where there is no terminal, or no room on it. */
function inBlock(
  watches: readonly TargetState[],
  startedAt: number,
  context: ProgressContext,
): Progress | undefined {
  const { clock, terminal } = context;
  const took = new Map<TargetState, number>();
  let instead: Progress | undefined;
  /** A target's time ends when it is ready, not when that is drawn. */
  const noteTimes = (): void => {
    for (const watch of watches)
      if (watch.state !== 'waiting' && !took.has(watch)) took.set(watch, clock.now() - startedAt);
  };
  const lineOf = (watch: TargetState): BlockLine => {
    const now = clock.now();
    const { state, name, words, attempts, stages } = reportOf(watch, now);
    const time = took.get(watch);
    const facts = [
      time === undefined ? wholeSeconds(now - startedAt) : formatDuration(time),
      `${attempts} attempt${attempts === 1 ? '' : 's'}`,
      ...(stages?.at === undefined ? [] : [`stage ${stages.at}`]),
    ];
    return { state, name, words: `${facts.join(', ')}: ${words}` };
  };
  const block = terminal?.begin(
    () => {
      noteTimes();
      return watches.map(lineOf);
    },
    () => {
      instead = inLines(watches, context);
      instead.changed();
    },
  );
  if (block === undefined) return undefined;
  const changed = (): void => {
    noteTimes();
    (instead ?? block).changed();
  };
  return {
    changed,
    ready: (line) => (instead === undefined ? changed() : instead.ready(line)),
    stop: () => (instead ?? block).stop(),
  };
}

function wholeSeconds(milliseconds: number): string {
  return milliseconds < 1000 ? '0s' : formatDuration(Math.floor(milliseconds / 1000) * 1000);
}
