import type { WaitStage } from './stage.ts';
import type { TargetPlan } from './target-plan.ts';

/** What one attempt found. "Not yet" and "never" are different things: waiting helps the first alone. */
export type Answer = Satisfied | NotYet | Never;

export interface Satisfied {
  readonly state: 'satisfied';
  /** What was seen, after the target's name: `open (10.0.0.4)`. */
  readonly seen: string;
}

export interface NotYet {
  readonly state: 'not-yet';
  /** Why, after the target's name: `connection refused (10.0.0.4)`. */
  readonly reason: string;
  /** What to look at, as a sentence. */
  readonly hint?: string;
  /** Proof that the thing is not there, as against no answer: what an inverted wait waits for. */
  readonly absent?: boolean;
  /** A source answered for certain that it does not exist: `optional` covers that, and never a refusal. */
  readonly missing?: true;
  /** The other end wants fewer attempts. */
  readonly busy?: Busy;
}

/** What the other end says about the next attempt. */
export interface Busy {
  /** Milliseconds from its answer on in which it wants none; unset, it named no time. */
  readonly pause?: number;
  /** The pause is our own choice: the other end asked for none. */
  readonly ours?: true;
}

export interface Never {
  readonly state: 'never';
  readonly reason: string;
  readonly status: number;
  readonly hint?: string;
  /** As of NotYet. */
  readonly missing?: true;
  /** The thing itself is there, as it should not be: an inverted wait waits for its end. */
  readonly there?: true;
}

export function satisfied(seen: string): Satisfied {
  return { state: 'satisfied', seen };
}

export function notYet(
  reason: string,
  more: {
    readonly hint?: string | undefined;
    readonly absent?: boolean;
    readonly busy?: Busy | undefined;
  } = {},
): NotYet {
  return {
    state: 'not-yet',
    reason,
    ...(more.hint === undefined ? {} : { hint: more.hint }),
    ...(more.absent ? { absent: true } : {}),
    ...(more.busy === undefined ? {} : { busy: more.busy }),
  };
}

export function never(status: number, reason: string, hint?: string): Never {
  return { state: 'never', reason, status, ...(hint === undefined ? {} : { hint }) };
}

/** As never, of a source that does not exist. */
export function nonexistent(status: number, reason: string, hint?: string): Never {
  return { ...never(status, reason, hint), missing: true };
}

/** What an attempt is given: a signal on which it must settle at once, and a way to say where it stands. */
export interface Probe {
  readonly signal: AbortSignal;
  /** Where the attempt stands, after the target's name: `connecting to 10.0.0.4`. Shown while nothing answers. */
  phase(text: string): void;
  /**
   * Whether the other end is at work on what this attempt began, so that giving it up would leave something behind there:
   * while it is, neither a newer attempt nor the limit of one attempt cuts it.
   */
  atWork?(yes: boolean): void;
  /** A stage was passed, and with it those before: shown where the target names its stages. */
  reached?(stage: WaitStage): void;
  /** What to look at should nothing be there: it takes the place of the hint of a "not yet" that is `absent`. */
  suspect?(hint: string): void;
}

/** Something to wait for. The attempt is made once per call: it does not loop, sleep, log or exit. */
export interface Target {
  readonly name: string;
  readonly attempt: (probe: Probe) => Promise<Answer>;
  /** What an attempt goes through, in order; unset, nothing is said of stages. */
  readonly stages?: readonly WaitStage[];
  /** Calls back whenever an attempt should be made at once; returns what stops it. */
  readonly wakeUps?: (wake: () => void) => () => void;
  /** How it is tried, where that differs from the plan of the whole wait. */
  readonly plan?: TargetPlan;
}

/** Waits for the opposite. No answer is no proof that a thing is gone, so that it stays "not yet". */
export function inverted(target: Target): Target {
  return {
    ...target,
    async attempt(probe) {
      const answer = await target.attempt(probe);
      if (answer.state === 'satisfied') return notYet(`still there: ${answer.seen}`);
      if (answer.state === 'never' && answer.there) return notYet(`still there: ${answer.reason}`);
      if (answer.state === 'not-yet' && answer.absent) return satisfied(`gone: ${answer.reason}`);
      return answer;
    },
  };
}
