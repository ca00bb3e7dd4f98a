import { integerIn, jsonIn } from '../clients/postgres/answer-row.ts';
import type { QueryResult, Session, SessionReport } from '../clients/postgres/session.ts';
import { reasonOf } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import type { Querying } from './history.ts';
import { columnText } from './rows.ts';

/**
 * The connection on which migrations run. It is not the lock's own: what a migration sets, and the DISCARD ALL that
 * undoes it, must not reach the lock. It ends when the command must end.
 */
export interface WorkSession extends Querying, AsyncDisposable {
  readonly pid: number;
  readonly told: SessionReport;
  /** Makes the session as it was when it was opened, for the next file. */
  reset(): Promise<void>;
}

/** When a backend began, in the same words on both connections, whatever DateStyle and TimeZone each has. */
const born = `pg_catalog.to_char(pg_catalog.timezone('UTC', a.backend_start), 'YYYY-MM-DD HH24:MI:SS.US')`;

/** A backend by its process id and its start: the number alone may be another's by now. */
const itself = `FROM pg_catalog.pg_stat_activity AS a WHERE a.pid OPERATOR(pg_catalog.=) $1 AND ${born} OPERATOR(pg_catalog.=) $2`;

/** Milliseconds that the server gets to end a backend before its socket is closed. */
const patience = 2000;
/** Milliseconds for which the end of a backend is waited for. */
const lastWait = 10_000;

/**
 * Opens it.
 * @param lock the session that holds the lock: from there the other one's backend is ended, wherever it hangs
 */
export async function openWork(
  connect: () => Promise<Session>,
  lock: Session,
  context: Context,
): Promise<WorkSession> {
  const { clock, signal, log } = context;
  const session = await connect();
  const stopListening = session.onNotice((severity, message) => {
    if (severity === 'WARNING') log.warn(`Postgres warns: ${message}`);
    else log.debug(`${severity}: ${message}`);
  });
  // Where the lock's session dies too, this is what ends a statement whose client is gone (Postgres 14 on Linux).
  await session.query("SET client_connection_check_interval = '1s'").catch(() => undefined);
  const { rows } = await session.query(
    `SELECT a.pid, ${born} AS born,
        (SELECT pg_catalog.json_object_agg(s.name, s.setting)::pg_catalog.text FROM pg_catalog.pg_settings AS s
          WHERE s.source OPERATOR(pg_catalog.=) 'session') AS settings
      FROM pg_catalog.pg_stat_activity AS a WHERE a.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()`,
  );
  const pid = integerIn(rows[0], 'pid');
  const bornAt = columnText(rows[0], 'born');
  const settings = jsonIn(rows[0], 'settings') as Record<string, string>;

  /** Ends the backend, which rolls back what it had begun, and waits until it is gone: before that no lock may go. */
  const stop = async (): Promise<void> => {
    const end = clock.now() + lastWait;
    const asked = lock.alive
      ? await bounded(
          context,
          lock.query(`SELECT pg_catalog.pg_terminate_backend(a.pid) ${itself}`, [pid, bornAt]),
          patience,
        )
      : undefined;
    if (asked === undefined || asked === 'late') session.destroy();
    // Whom the lock's session has not answered, it does not tell of the end either.
    while (asked !== 'late' && lock.alive && clock.now() < end) {
      const left = await bounded(context, lock.query(`SELECT 1 ${itself}`, [pid, bornAt]), patience);
      if (left === undefined || left === 'late' || left.rows.length === 0) break;
      await pause(context, 50);
    }
    session.destroy();
  };
  let stopping: Promise<void> | undefined;
  const onAbort = (): void => void (stopping ??= stop());
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();

  const query: Querying['query'] = async (text, values, options) => {
    if (signal.aborted) throw reasonOf(signal);
    return session.query(text, values, options);
  };
  return {
    pid,
    query,
    told: session.told,
    async reset() {
      await query('DISCARD ALL');
      if (Object.keys(settings).length > 0) {
        await query(
          'SELECT pg_catalog.set_config(key, value, false) FROM pg_catalog.json_each_text($1::pg_catalog.json)',
          [JSON.stringify(settings)],
        );
      }
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener('abort', onAbort);
      stopListening();
      if (stopping === undefined) await session.end();
      await stopping;
    },
  };
}

/** The result, undefined where it failed, `late` where it took too long. */
function bounded(
  context: Context,
  query: Promise<QueryResult>,
  milliseconds: number,
): Promise<QueryResult | 'late' | undefined> {
  return new Promise((resolve) => {
    const cancel = context.clock.after(milliseconds, () => resolve('late'));
    const settle = (result: QueryResult | undefined): void => {
      cancel();
      resolve(result);
    };
    query.then(settle, () => settle(undefined));
  });
}

function pause(context: Context, milliseconds: number): Promise<void> {
  return new Promise((resolve) => void context.clock.after(milliseconds, resolve));
}
