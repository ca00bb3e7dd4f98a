import type { Context } from '../../kernel/context.ts';
import { satisfied } from '../../kernel/loop/attempt.ts';
import { waitFor } from '../../kernel/loop/loop.ts';
import { growing } from '../../kernel/loop/schedule.ts';
import { once } from '../../kernel/loop/watch.ts';
import { outcomeOf } from '../../kernel/loop/words.ts';
import type { Failed } from '../../kernel/outcome.ts';
import type { LockKey } from '../../clients/postgres/lock-key.ts';
import type { AcquiredPostgres, PostgresLock } from './lock/postgres/backend.ts';
import type { Unneeded } from './lock/backend.ts';

/** Milliseconds between two tries: each costs the server a little, and a release is told. */
const first = 250;
const last = 3000;

/**
 * Waits for the lock.
 * @throws the signal's reason where it is not the deadline; a lock that came just then is given back
 */
export async function acquire(
  lock: PostgresLock,
  key: LockKey,
  context: Context,
): Promise<AcquiredPostgres | Unneeded | Failed> {
  let got: AcquiredPostgres | Unneeded | undefined;
  const target = {
    name: `the lock ${JSON.stringify(key.name)}`,
    async attempt(probe: Parameters<PostgresLock['tryAcquire']>[0]) {
      const answer = await lock.tryAcquire(probe);
      if (answer.state === 'not-yet' || answer.state === 'never') return answer;
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
    return outcomeOf(report) as Failed;
  } catch (error) {
    if (got?.state === 'acquired') await got.held.release(true);
    throw error;
  }
}
