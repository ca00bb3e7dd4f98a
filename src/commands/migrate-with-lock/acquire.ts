import type { Unneeded } from '../../clients/lock.ts';
import type { LockKey } from '../../clients/postgres/lock-key.ts';
import type { AcquiredPostgres, PostgresLock } from '../../clients/postgres/lock/backend.ts';
import { within } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { failed, type Failed } from '../../core/outcome.ts';
import { prepareToEnd } from '../../process/host.ts';
import { closeInheritedOnExec } from '../../process/inherited-descriptors.ts';
import { adoptOrphans } from '../../process/strays.ts';
import { satisfied } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { growing } from '../../wait/schedule.ts';
import { once } from '../../wait/target-state.ts';

/** Milliseconds between two tries: each costs the server a little, and a release is told. */
const first = 250;
const last = 3000;

/** Milliseconds that giving back a lock that came too late may take. */
const leaveTime = 100;

/**
 * Waits for the lock.
 * @param prepare what there is to be done while another one holds it
 * @throws the signal's reason where it is not the deadline; a lock that came just then is given back
 */
export async function acquire(
  lock: PostgresLock,
  key: LockKey,
  context: Context,
  prepare?: () => Promise<unknown>,
): Promise<AcquiredPostgres | Unneeded | Failed> {
  let got: AcquiredPostgres | Unneeded | undefined;
  const target = {
    name: `the lock ${JSON.stringify(key.name)}`,
    async attempt(probe: Parameters<PostgresLock['tryAcquire']>[0]) {
      const answer = await lock.tryAcquire(probe);
      if (answer.state === 'never') return answer;
      if (answer.state === 'not-yet') {
        // What the command's start or this process's end needs anyway, and takes milliseconds: not between two holders.
        closeInheritedOnExec();
        adoptOrphans();
        prepareToEnd();
        await prepare?.();
        return answer;
      }
      got = answer;
      return satisfied(answer.state === 'acquired' ? 'acquired' : 'not needed');
    },
  };
  try {
    const report = await waitFor(
      [target],
      { schedule: growing(first, last), policy: once, overlap: 2, wakeUps: lock.wakeUps },
      context,
    );
    if (got !== undefined) return got;
    const [only] = report.targets;
    // Its words stand by themselves: it is the server or the record that says no, not the lock.
    if (report.result === 'never' && only?.status !== undefined)
      return failed(only.status, only.words, { hint: only.hint });
    return waitOutcome(report) as Failed;
  } catch (error) {
    if (got?.state === 'acquired') await within(got.held.release(true), leaveTime, context.clock);
    throw error;
  }
}
