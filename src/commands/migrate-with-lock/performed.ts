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
}

export function lostOutcome(loss: Loss, end: string): Outcome {
  return failed(exitStatus.lockLost, `the lock was lost: ${loss.reason}; the command was stopped (${end})`, {
    hint: 'what the command had committed stays; the next start runs it again',
  });
}
