import type { ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import type { LockKey } from '../../clients/postgres/lock-key.ts';
import { seeHolder } from '../../clients/postgres/lock/advisory.ts';
import { readFacts } from '../../clients/postgres/lock/identity.ts';
import { patience as statementTime } from '../../clients/postgres/lock/prepare.ts';
import type { ConnectContext } from '../../clients/postgres/login.ts';
import type { Context } from '../../core/context.ts';
import type { Outcome } from '../../core/outcome.ts';
import { readDirectory } from '../../migrations/directory.ts';
import { runSql } from '../../migrations/run.ts';
import type { LockedWork } from './request.ts';
import { withSession } from './with-session.ts';

/**
 * Says what a directory of SQL would do. It takes no lock and keeps no record of itself, so that nothing is changed and
 * nobody is waited for.
 */
export async function dryRun(
  work: Extract<LockedWork, { kind: 'sql' }>,
  connection: ConnectionSettings,
  key: LockKey,
  patience: number,
  context: Context,
  client: ConnectContext,
): Promise<Outcome> {
  await readDirectory(work.directory, context.signal);
  const limit = { time: patience, name: '--lock-timeout' };
  return withSession(connection, context, client, limit, async (session) => {
    const { identity } = await readFacts(session, statementTime);
    if (identity.standby)
      context.log.warn(
        `a standby does not know the locks of its primary (${session.peer}), and may lag: what a holder does there may change this`,
      );
    const holder = await seeHolder(session, key);
    if (holder !== undefined)
      context.log.warn(`the lock is held (backend ${holder.pid}): what its holder does may change this`);
    const { directory, baseline, accept } = work;
    const connect = (): Promise<never> => Promise.reject(new Error('a dry run needs no second connection'));
    return runSql(
      {
        directory,
        baseline,
        accept,
        dryRun: true,
        session,
        connect,
        token: 0n,
        lockName: key.name,
        lookAfter: () => Promise.resolve(undefined),
      },
      context,
    );
  });
}
