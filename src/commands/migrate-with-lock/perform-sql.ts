import type { Loss } from '../../clients/lock.ts';
import { connectPostgres } from '../../clients/postgres/connect.ts';
import { forStatements, type ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import type { PostgresHeld } from '../../clients/postgres/lock/held.ts';
import type { ConnectContext } from '../../clients/postgres/login.ts';
import type { Session } from '../../clients/postgres/session.ts';
import { reasonOf, shortlyAfterAbort, sleep } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { startDeadline } from '../../core/deadline.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed } from '../../core/outcome.ts';
import { outcomeOfError } from '../../core/unexpected-error.ts';
import { leastTime } from './conclusion.ts';
import { lostOutcome, type Performed } from './performed.ts';
import type { LockedWork } from './request.ts';

/** Milliseconds for which a second connection is tried for: others may have taken the last slots for a moment. */
const connectTime = 30_000;

/** Runs the directory's migrations under the lock, on connections beside the lock's own. */
export async function performSql(
  work: Extract<LockedWork, { kind: 'sql' }>,
  held: PostgresHeld,
  settings: {
    readonly connection: ConnectionSettings;
    readonly lockName: string;
    readonly commandTimeout: number;
  },
  context: Context,
  client: ConnectContext,
): Promise<Performed> {
  using deadline = startDeadline(context.clock, context, settings.commandTimeout, '--command-timeout');
  const lost = new AbortController();
  let loss: Loss | undefined;
  const sessions = new Set<Session>();
  void held.lost.then((why) => {
    loss = why;
    lost.abort(new Failure(failed(exitStatus.lockLost, `the lock was lost: ${why.reason}`)));
  });
  const signal = AbortSignal.any([deadline.signal, lost.signal]);
  const tag = held.environment({})['PGAPPNAME'];
  const connect = async (): Promise<Session> => {
    const end = context.clock.now() + connectTime;
    for (;;) {
      if (signal.aborted) throw reasonOf(signal);
      const connected = await connectPostgres(
        { ...forStatements(settings.connection), applicationName: tag },
        client,
        {
          signal,
          phase() {},
        },
      );
      if (connected.state === 'connected') {
        sessions.add(connected.session);
        return connected.session;
      }
      if (signal.aborted) throw reasonOf(signal);
      const status = connected.state === 'never' ? connected.status : exitStatus.failed;
      if (connected.state === 'never' || context.clock.now() >= end)
        throw new Failure(failed(status, connected.reason, { hint: connected.hint }));
      await sleep(context.clock, 250, signal);
    }
  };
  let unanswered = false;
  const session = Object.create(held.session, {
    query: {
      value: async (...given: Parameters<Session['query']>) => {
        try {
          return await shortlyAfterAbort(held.session.query(...given), signal, leastTime, context.clock);
        } catch (error) {
          if (signal.aborted && error === reasonOf(signal)) unanswered = true;
          throw error;
        }
      },
    },
  }) as Session;
  try {
    const { runSql } = await import('../../migrations/run.ts');
    const outcome = await runSql(
      {
        directory: work.directory,
        session,
        connect,
        token: held.token,
        ...(work.baseline === undefined ? {} : { baseline: work.baseline }),
        dryRun: false,
        accept: work.accept,
        lockName: settings.lockName,
        // What still waits in the server may end either way.
        lookAfter: async (pid, look) => (unanswered ? undefined : held.lookAfter(look, pid)),
      },
      { ...context, signal, deadline: deadline.at },
    );
    // Each file is recorded with the proof that the lock was held: where all are, its end changes nothing.
    if (outcome.kind === 'done') return { outcome, clean: true, status: 0, recorded: true };
    if (loss !== undefined) return lostWork(loss, outcome.details);
    return { outcome, clean: false, status: outcome.status, unanswered };
  } catch (error) {
    if (loss !== undefined) return lostWork(loss, undefined);
    if (!unanswered) throw error;
    const outcome = outcomeOfError(reasonOf(signal), context.log);
    return { outcome, clean: false, status: outcome.status, unanswered };
  } finally {
    await Promise.all([...sessions].map((one) => one.end()));
  }
}

/** @param details how far it got */
function lostWork(loss: Loss, details: readonly string[] | undefined): Performed {
  const outcome = lostOutcome(
    loss,
    'the migrations were stopped',
    'what is recorded as done is not run again; the next start goes on from there',
  );
  return {
    outcome: outcome.kind === 'failed' && details !== undefined ? { ...outcome, details } : outcome,
    clean: false,
    status: exitStatus.lockLost,
  };
}
