import type { Never, NotYet, Probe } from '../wait/attempt.ts';

/** Where locks are kept. Every implementation passes the conformance suite. */
export interface LockBackend extends AsyncDisposable {
  /** One attempt: it does not loop, and a wait for what others do belongs to the loop. */
  tryAcquire(probe: Probe): Promise<Acquired | Unneeded | NotYet | Never>;
  /** Calls back when the lock may have become free; returns what stops it. */
  readonly wakeUps: (wake: () => void) => () => void;
}

export interface Acquired {
  readonly state: 'acquired';
  readonly held: Held;
}

/** What the lock was wanted for has been done by somebody else. */
export interface Unneeded {
  readonly state: 'unneeded';
  readonly why: string;
}

/** Why a lock is no longer ours. */
export interface Loss {
  readonly reason: string;
  /** True where somebody else may have it already. */
  readonly certain: boolean;
}

/** A lock that is ours. */
export interface Held {
  /** Larger than that of every earlier holder: for storage that refuses what is older. */
  readonly token: bigint;
  /** Resolves once the lock is known to be lost; never for one that was released. */
  readonly lost: Promise<Loss>;
  /**
   * Waits until nothing that the last holder left behind can still be at work. To be called once, before the work.
   * @throws the signal's reason
   */
  takeOver(signal: AbortSignal): Promise<void>;
  /** Asks whether the lock is still ours. */
  verify(): Promise<boolean>;
  /**
   * Gives the lock up.
   * @param clean false where work under the lock may still go on in the server, which is then ended first
   * @param signal ends the wait for the server's answers
   * @returns `unanswered` where the signal came first: the lock goes with the connection, and its record stays unreleased
   */
  release(clean: boolean, signal?: AbortSignal): Promise<'released' | 'was-lost' | 'unanswered'>;
  /** Gives up a lock that was lost: ends what still works under it, as far as that can be done. Never throws. */
  abandon(): Promise<void>;
  /** Descriptors that the work must keep open, so that the lock outlives this process if it is killed. */
  readonly keepOpen: readonly number[];
  /** What the work's environment gets: the token, and tags by which its connections can be told. */
  environment(given: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>>;
}

/** The shortest that `--heartbeat` takes, in milliseconds. */
export const leastHeartbeat = 100;

/** Times that decide who waits how long for whom; in milliseconds. */
export interface LockTiming {
  /** Between two checks of the lock, and how long one may take. */
  readonly heartbeat: number;
  /** Between TERM and KILL. */
  readonly grace: number;
}

/** After so long, in milliseconds, the work of a holder that lost its lock is over. */
export function settleTime({ heartbeat, grace }: LockTiming): number {
  return heartbeat * 2 + grace;
}

/** No holder writes down a shorter one, in milliseconds. */
export const leastSettleTime = settleTime({ heartbeat: leastHeartbeat, grace: 0 });
