import type { ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import type { LockKey } from '../../clients/postgres/lock-key.ts';
import { seeHolder } from '../../clients/postgres/lock/advisory.ts';
import { readFacts } from '../../clients/postgres/lock/identity.ts';
import { forgetOnce, listOnce } from '../../clients/postgres/lock/once.ts';
import { patience, writesRefused } from '../../clients/postgres/lock/prepare.ts';
import { readHolderRow } from '../../clients/postgres/lock/records.ts';
import type { ConnectContext } from '../../clients/postgres/login.ts';
import { isForbidden, isMissing, readOnce } from '../../clients/postgres/once-record.ts';
import { OddRecord, UntrustedRecords, UnusableRecords } from '../../clients/postgres/trusted-owner.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { done, failed, type Outcome } from '../../core/outcome.ts';
import { withSession, type Limit } from './with-session.ts';

/** Milliseconds that a look at the lock waits for the server: somebody sits before it. */
const patienceForPeople = 10_000;

const look = (option: string): Limit => ({ time: patienceForPeople, name: `the time of ${option}` });

/** Prints who holds the lock, who held it last, and the records of `--once`, as JSON. */
export async function showStatus(
  connection: ConnectionSettings,
  key: LockKey,
  context: Context,
  client: ConnectContext,
): Promise<Outcome> {
  return withSession(connection, context, client, look('--status'), async (session) => {
    const { identity } = await readFacts(session, patience);
    if (identity.standby)
      return failed(
        exitStatus.refused,
        `a standby does not know the locks of its primary (${session.peer})`,
        {
          hint: 'name the primary in the URL, or all servers in one URL: postgres://a,b/app',
        },
      );
    const seen = await seeHolder(session, key);
    const row = await readHolderRow(session, key).catch((error: unknown) => {
      if (error instanceof UnusableRecords) context.log.warn(`${error.message}; ${error.advice}`);
      if (isMissing(error) || isForbidden(error)) return undefined;
      throw error;
    });
    const records = await listOnce(session, key).catch((error: unknown) => {
      // Who owns the schema is told above.
      if (error instanceof UnusableRecords && !(error instanceof UntrustedRecords))
        context.log.warn(`${error.message}; ${error.advice}`);
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
  return withSession(connection, context, client, look('--forget'), async (session) => {
    const { readOnly } = await readFacts(session, patience);
    if (readOnly) {
      const { status, reason, hint } = writesRefused(session);
      return failed(status, reason, { hint });
    }
    const holder = await seeHolder(session, key);
    const hint = 'wait until it has ended, or stop it first';
    const record = await readOnce(session, key.id, onceKey, { timeout: patience }).catch((error: unknown) => {
      if (error instanceof OddRecord) return error;
      throw error;
    });
    // What holds nonsense is not known to be idle while somebody works under the lock.
    if (record instanceof OddRecord && holder !== undefined)
      return failed(exitStatus.refused, `the lock is held, and ${record.message}`, { hint });
    if (!(record instanceof OddRecord) && record?.state === 'running' && holder?.token === record.token)
      return failed(exitStatus.refused, `${JSON.stringify(onceKey)} is being worked on by ${record.host}`, {
        hint,
      });
    const state = await forgetOnce(session, key, onceKey);
    return state !== undefined
      ? done(`forgot ${JSON.stringify(onceKey)} (it was ${state})`)
      : done(`there is no record of ${JSON.stringify(onceKey)}`);
  });
}
