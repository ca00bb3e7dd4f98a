import { connectPostgres, type ConnectContext } from '../../clients/postgres/connect.ts';
import type { ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import type { Session } from '../../clients/postgres/session.ts';
import { errorWords } from '../../clients/postgres/words.ts';
import type { Context } from '../../kernel/context.ts';
import { startDeadline } from '../../kernel/deadline.ts';
import { exitStatus } from '../../kernel/exit-status.ts';
import { satisfied } from '../../kernel/loop/attempt.ts';
import { waitFor } from '../../kernel/loop/loop.ts';
import { proportional } from '../../kernel/loop/schedule.ts';
import { once } from '../../kernel/loop/watch.ts';
import { outcomeOf } from '../../kernel/loop/words.ts';
import { done, failed, type Outcome } from '../../kernel/outcome.ts';
import type { LockKey } from '../../clients/postgres/lock-key.ts';
import { seeHolder } from './lock/postgres/advisory.ts';
import { forgetOnce, listOnce } from './lock/postgres/once.ts';
import { isForbidden, isMissing } from '../../clients/postgres/once-record.ts';
import { readHolderRow } from './lock/postgres/records.ts';

/** Milliseconds that a look at the lock waits for the server: somebody sits before it. */
const patienceForPeople = 10_000;

/** Prints who holds the lock, who held it last, and the records of `--once`, as JSON. */
export async function showStatus(
  connection: ConnectionSettings,
  key: LockKey,
  context: Context,
  client: ConnectContext,
): Promise<Outcome> {
  return withSession(connection, context, client, '--status', async (session) => {
    const seen = await seeHolder(session, key);
    const row = await readHolderRow(session, key).catch((error: unknown) => {
      if (isMissing(error) || isForbidden(error)) return undefined;
      throw error;
    });
    const records = await listOnce(session, key).catch((error: unknown) => {
      if (isForbidden(error)) return [];
      throw error;
    });
    const report = {
      lock: { name: key.name, id: String(key.id) },
      holder: seen
        ? {
            backend: seen.pid,
            role: seen.role,
            address: seen.address,
            application: seen.applicationName,
            token: seen.token === undefined ? null : String(seen.token),
            host: row?.token === seen.token ? (row?.host ?? null) : null,
            since: row?.token === seen.token ? (row?.started.toISOString() ?? null) : null,
          }
        : null,
      last: row
        ? {
            token: String(row.token),
            host: row.host,
            role: row.role,
            started: row.started.toISOString(),
            released: row.released,
          }
        : null,
      once: records.map((record) => ({
        key: record.key,
        state: record.state,
        host: record.host,
        token: String(record.token),
        started: record.started.toISOString(),
        finished: record.finished?.toISOString() ?? null,
        exitStatus: record.exitStatus,
      })),
    };
    context.stdout(`${JSON.stringify(report, undefined, 2)}\n`);
    return done(seen ? 'the lock is held' : 'the lock is free');
  });
}

/** Removes a record of `--once`, so that the next start does the work again. */
export async function forget(
  connection: ConnectionSettings,
  key: LockKey,
  onceKey: string,
  context: Context,
  client: ConnectContext,
): Promise<Outcome> {
  return withSession(connection, context, client, '--forget', async (session) => {
    const holder = await seeHolder(session, key);
    const record = (await listOnce(session, key)).find((each) => each.key === onceKey);
    if (record?.state === 'running' && holder?.token === record.token) {
      return failed(exitStatus.refused, `${JSON.stringify(onceKey)} is being worked on by ${record.host}`, {
        hint: 'wait until it has ended, or stop it first',
      });
    }
    return (await forgetOnce(session, key, onceKey))
      ? done(`forgot ${JSON.stringify(onceKey)} (it was ${record?.state})`)
      : done(`there is no record of ${JSON.stringify(onceKey)}`);
  });
}

async function withSession(
  connection: ConnectionSettings,
  context: Context,
  client: ConnectContext,
  what: string,
  use: (session: Session) => Promise<Outcome>,
): Promise<Outcome> {
  using deadline = startDeadline(context.clock, context, patienceForPeople, `the time of ${what}`);
  let session: Session | undefined;
  const report = await waitFor(
    [
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
    ],
    { schedule: proportional(), policy: once },
    { ...context, signal: deadline.signal, deadline: deadline.at },
  );
  if (session === undefined) return outcomeOf(report);
  try {
    return await use(session);
  } catch (error) {
    return failed(isForbidden(error) ? exitStatus.refused : exitStatus.failed, errorWords(error));
  } finally {
    await session.end();
  }
}
