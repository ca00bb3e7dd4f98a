import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { SignalReceived, type Outcome } from '../../core/outcome.ts';
import type { Step } from './step.ts';

/** How a step's work ended, after how many tries. */
export interface StepEnd {
  readonly outcome: Outcome;
  readonly tries: number;
  /** Which condition left it out. */
  readonly leftOut?: string | undefined;
}

/**
 * What became of a step: `stopped` with the others when one failed, `left out` since its `when` did not hold, `not run`
 * since something that it needs was not done.
 */
export type StepState = 'done' | 'failed' | 'stopped' | 'left out' | 'not run';

export interface Ran {
  readonly step: Step;
  readonly state: StepState;
  /** Milliseconds since the plan began; undefined where it never started. */
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly outcome: Outcome | undefined;
  readonly tries: number;
  /** Which condition left it out. */
  readonly leftOut?: string | undefined;
}

/** Does the work of one step; whatever goes wrong is an outcome. It ends soon after its signal is aborted. */
export type Perform = (step: Step, signal: AbortSignal) => Promise<StepEnd>;

/**
 * Runs every step as soon as all that it needs is done. Without `keepGoing` the first failure stops the rest; with it,
 * only what needs the failed step is not run. It resolves when nothing runs any more.
 * @returns one entry for each step, in the order of the plan
 */
export async function runSteps(
  steps: readonly Step[],
  perform: Perform,
  keepGoing: boolean,
  { clock, signal }: Pick<Context, 'clock' | 'signal'>,
): Promise<readonly Ran[]> {
  const began = clock.now();
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(reasonOf(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const byName = new Map(steps.map((step) => [step.name, step]));
  const running = new Map<string, Promise<Ran>>();

  const ranOf = (step: Step): Promise<Ran> => {
    const known = running.get(step.name) ?? runOne(step);
    running.set(step.name, known);
    return known;
  };

  const runOne = async (step: Step): Promise<Ran> => {
    const idle = { step, start: undefined, end: undefined, outcome: undefined, tries: 0 };
    const needed = await Promise.all(step.needs.map(({ name }) => ranOf(byName.get(name) as Step)));
    const ready = needed.every(({ state }) => state === 'done' || state === 'left out');
    if (!ready || stop.signal.aborted) return { ...idle, state: 'not run' };
    const known = step.when?.leftOut;
    if (known !== undefined) return { ...idle, state: 'left out', leftOut: known };
    const start = clock.now() - began;
    const { outcome, tries, leftOut } = await perform(step, stop.signal);
    const end = clock.now() - began;
    if (leftOut !== undefined)
      return { step, state: 'left out', start, end, outcome: undefined, tries, leftOut };
    if (outcome.kind === 'done') return { step, state: 'done', start, end, outcome, tries };
    if (stop.signal.aborted) return { step, state: 'stopped', start, end, outcome, tries };
    // A command stops for this as it does for the kubelet's TERM.
    if (!keepGoing) stop.abort(new SignalReceived('SIGTERM'));
    return { step, state: 'failed', start, end, outcome, tries };
  };

  try {
    return await Promise.all(steps.map(ranOf));
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
