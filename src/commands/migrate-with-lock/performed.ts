import type { Loss } from '../../clients/lock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { failed, type Outcome } from '../../core/outcome.ts';

/** How the work ended, before anything is said of the lock. */
export interface Performed {
  readonly outcome: Outcome;
  /** False where something of it may go on in the database. */
  readonly clean: boolean;
  /** What a record keeps: 0 for done. */
  readonly status: number;
  /** What was done is written down by the work itself, with the proof that the lock was held. */
  readonly recorded?: boolean;
  /** The lock's session did not answer when the work was to end: nothing more can be written there, nor can the lock be given back. */
  readonly unanswered?: boolean;
}

/**
 * @param end how the work ended
 * @param again what the next start does
 */
export function lostOutcome(
  loss: Loss,
  end: string,
  again = 'what the command had committed stays; the next start runs it again',
): Outcome {
  return failed(exitStatus.lockLost, `the lock was lost: ${loss.reason}; ${end}`, { hint: again });
}
