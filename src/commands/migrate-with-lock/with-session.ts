import { connectPostgres } from '../../clients/postgres/connect.ts';
import type { ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import type { ConnectContext } from '../../clients/postgres/login.ts';
import { isForbidden } from '../../clients/postgres/once-record.ts';
import { errorWords } from '../../clients/postgres/server-errors.ts';
import type { Session } from '../../clients/postgres/session.ts';
import { UnusableRecords } from '../../clients/postgres/trusted-owner.ts';
import { BrokenConnection } from '../../clients/postgres/wire.ts';
import { reasonOf, sleep } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { startDeadline } from '../../core/deadline.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed, firstFailure, UsageError, type Outcome } from '../../core/outcome.ts';
import { bounded } from '../../wait/attempt-timeout.ts';
import { satisfied } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { proportional } from '../../wait/schedule.ts';
import { once } from '../../wait/target-state.ts';

/** What bounds a look at the database, and how that is called. */
export interface Limit {
  /** Milliseconds; 0 is none. */
  readonly time: number;
  readonly name: string;
}

/** Milliseconds until a connection that broke is made anew. */
const pause = 500;

/**
 * Connects, waiting for the server as long as the limit lets it, and looks at the database.
 * @throws the signal's reason; UsageError and Failure as they come
 */
export async function withSession(
  connection: ConnectionSettings,
  context: Context,
  client: ConnectContext,
  limit: Limit,
  use: (session: Session) => Promise<Outcome>,
): Promise<Outcome> {
  using deadline = startDeadline(context.clock, context, limit.time, limit.name);
  let said: string | undefined;
  for (;;) {
    try {
      return await connectAndUse(
        connection,
        { ...context, signal: deadline.signal, deadline: deadline.at },
        client,
        use,
      );
    } catch (error) {
      if (!(error instanceof BrokenConnection)) throw error;
      const words = errorWords(error);
      if (words !== said) context.log.info(words);
      said = words;
      await sleep(context.clock, pause, deadline.signal);
    }
  }
}

/** @throws BrokenConnection where what the server sent cannot be read; else as withSession */
async function connectAndUse(
  connection: ConnectionSettings,
  context: Context,
  client: ConnectContext,
  use: (session: Session) => Promise<Outcome>,
): Promise<Outcome> {
  let session: Session | undefined;
  const report = await waitFor(
    [
      bounded(
        {
          name: 'the database',
          async attempt(probe) {
            const connected = await connectPostgres(connection, client, probe);
            if (connected.state !== 'connected') return connected;
            if (session !== undefined) await connected.session.end();
            session ??= connected.session;
            return satisfied('connected');
          },
        },
        0,
        context.clock,
      ),
    ],
    { schedule: proportional(), policy: once },
    context,
  );
  if (session === undefined) return waitOutcome(report);
  const { signal } = context;
  const opened = session;
  // A statement that hangs must not delay the end.
  const onAbort = (): void => opened.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await use(opened);
  } catch (thrown) {
    if (signal.aborted) throw reasonOf(signal);
    const error = firstFailure(thrown);
    if (error instanceof UsageError || error instanceof Failure || error instanceof BrokenConnection)
      throw error;
    if (error instanceof UnusableRecords)
      return failed(exitStatus.refused, error.message, { hint: error.advice });
    return failed(isForbidden(error) ? exitStatus.refused : exitStatus.failed, errorWords(error));
  } finally {
    signal.removeEventListener('abort', onAbort);
    await opened.end();
  }
}
