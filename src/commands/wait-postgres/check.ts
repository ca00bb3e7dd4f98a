import { letterIn } from '../../clients/postgres/answer-row.ts';
import type { Requirement } from '../../clients/postgres/connect.ts';
import type { LockKey } from '../../clients/postgres/lock-key.ts';
import { readOnce, isForbidden } from '../../clients/postgres/once-record.ts';
import { isServerError, sqlState } from '../../clients/postgres/server-errors.ts';
import type { QueryResult, Session } from '../../clients/postgres/session.ts';
import { OddRecord, recordsSchema, UnusableRecords } from '../../clients/postgres/trusted-owner.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { TableName } from './table.ts';

/** What must be true of a server that let us in. */
export interface Demands {
  readonly primary: boolean;
  readonly tables: readonly TableName[];
  readonly query: string | undefined;
  readonly migrated: { readonly lock: LockKey; readonly key: string } | undefined;
  /** Milliseconds that the server may work on the query; 0 disables it. */
  readonly statementTimeout: number;
}

/** Where an attempt asks its questions. */
interface Inquiry {
  readonly session: Session;
  readonly signal: AbortSignal;
  readonly probe: Probe;
  readonly demands: Demands;
}

/** Asks a server for all that is demanded, in order; the first thing that is missing is the answer. */
export function requirementOf(demands: Demands, probe: Probe): Requirement {
  return async (session, signal) => {
    const inquiry = { session, signal, probe, demands };
    try {
      return (
        (await alive(inquiry)) ??
        (await isPrimary(inquiry)) ??
        (await hasTables(inquiry)) ??
        (await isMigrated(inquiry)) ??
        (await holds(inquiry))
      );
    } catch (error) {
      // A connection's end and a server that goes down are the client's to put in words.
      if (!isServerError(error) || /^(57P|08|53)/.test(error.code)) throw error;
      return notYet(`${error.message} (${error.code}, ${session.peer})`, {
        hint: isForbidden(error) ? 'the role lacks a right to look at that: GRANT it' : undefined,
      });
    }
  };
}

function ask({ session, signal }: Inquiry, text: string, values?: readonly unknown[]): Promise<QueryResult> {
  return session.query(text, values, { signal });
}

/** A pooler lets us in while its server is down, and a server says hello while it cannot run anything yet. */
async function alive(inquiry: Inquiry): Promise<NotYet | undefined> {
  const { peer } = inquiry.session;
  inquiry.probe.phase(`asking ${peer} for select 1`);
  const { rows } = await ask(inquiry, 'SELECT 1');
  const values = Object.values(rows[0] ?? {});
  // Where an integer is an int8 by default, it comes as a string.
  if (rows.length === 1 && values.length === 1 && (values[0] === 1 || values[0] === '1')) return undefined;
  return notYet(`the answer to SELECT 1 was not one row with 1 (${peer})`, {
    hint: 'something else may answer in place of PostgreSQL: is it the right port?',
  });
}

async function isPrimary(inquiry: Inquiry): Promise<NotYet | undefined> {
  if (!inquiry.demands.primary) return undefined;
  const { rows } = await ask(
    inquiry,
    "SELECT pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.current_setting('transaction_read_only') AS read_only",
  );
  const { peer } = inquiry.session;
  if (rows[0]?.['standby'] === true) {
    return notYet(`a standby, not the primary (${peer})`, {
      absent: true,
      hint: 'is the failover still under way? does the Service or URL lead to the primary (several hosts may stand in the URL)?',
    });
  }
  if (rows[0]?.['standby'] !== false || typeof rows[0]['read_only'] !== 'string')
    return notYet(`no answer to whether it is a primary (${peer})`);
  if (rows[0]['read_only'] !== 'on') return undefined;
  return notYet(`a primary that takes no writes (${peer})`, {
    absent: true,
    hint: 'default_transaction_read_only is on, for the server, the database or the role: is its disk full?',
  });
}

/** pg_class.relkind of what can be read like a table (https://www.postgresql.org/docs/current/catalog-pg-class.html). */
const readable: ReadonlySet<string> = new Set(['r', 'p', 'v', 'm', 'f']);

async function hasTables(inquiry: Inquiry): Promise<NotYet | undefined> {
  const { session, demands } = inquiry;
  for (const table of demands.tables) {
    inquiry.probe.phase(`asking ${session.peer} for the table ${table.text}`);
    let found: QueryResult;
    try {
      found = await ask(
        inquiry,
        `SELECT c.relkind::pg_catalog.text AS kind,
           pg_catalog.has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')
             OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE') AS usable
         FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid`,
        [table.text],
      );
    } catch (error) {
      if (!isServerError(error) || error.code !== sqlState.insufficientPrivilege) throw error;
      return notYet(`no right to look for the table ${table.text}: ${error.message} (${session.peer})`, {
        hint: 'GRANT USAGE ON SCHEMA … TO the role; or is the grant part of a migration that has not run yet?',
      });
    }
    const row = found.rows[0];
    if (row === undefined) {
      return notYet(`the table ${table.text} does not exist (${session.peer})`, {
        absent: true,
        hint: table.folds
          ? `capital letters outside double quotes are read as small ones; for a table that was made with them write it as in 'public."User"'`
          : 'have the migrations run? is it this database and, without a schema in the name, this role’s search_path?',
      });
    }
    const kind = letterIn(row, 'kind');
    if (!readable.has(kind)) return notYet(`${table.text} is not a table (relkind ${kind}, ${session.peer})`);
    if (row['usable'] !== true) {
      return notYet(`the table ${table.text} is there, and this role has no right on it (${session.peer})`, {
        hint: 'GRANT SELECT ON it TO the role; or is the grant part of a migration that has not run yet?',
      });
    }
  }
  return undefined;
}

async function isMigrated({ session, signal, probe, demands }: Inquiry): Promise<NotYet | Never | undefined> {
  if (demands.migrated === undefined) return undefined;
  const { lock, key } = demands.migrated;
  const what = `the migration ${JSON.stringify(key)} of the lock ${lock.name}`;
  probe.phase(`asking ${session.peer} for ${what}`);
  let record: Awaited<ReturnType<typeof readOnce>>;
  try {
    record = await readOnce(session, lock.id, key, { signal });
  } catch (error) {
    if (!isForbidden(error)) throw error;
    if (error instanceof OddRecord)
      return never(exitStatus.refused, `${error.message} (${session.peer})`, error.advice);
    if (error instanceof UnusableRecords)
      return notYet(`${error.message} (${session.peer})`, { hint: error.advice });
    return notYet(`no right to read the records of migrate-with-lock (${session.peer})`, {
      hint: `run as their owner: GRANT USAGE ON SCHEMA ${recordsSchema} TO the role; GRANT SELECT ON ${recordsSchema}.once TO the role`,
    });
  }
  if (record?.state === 'done') return undefined;
  if (record?.state === 'running') {
    return notYet(
      `${what} is running on ${record.host} since ${record.started.toISOString()} (${session.peer})`,
      { absent: true },
    );
  }
  if (record?.state === 'failed') {
    return notYet(
      `${what} failed on ${record.host} with status ${record.exitStatus ?? 'unknown'} (${session.peer})`,
      {
        absent: true,
        hint: 'look at the log of the Job or pod that runs it; it is done once it runs again and succeeds',
      },
    );
  }
  return notYet(`${what} has not been run (${session.peer})`, {
    absent: true,
    hint: 'is migrate-with-lock --once started somewhere, with the same key, lock name and database?',
  });
}

/** In a transaction that writes nothing and that the server itself ends: nothing goes on there once we are gone. */
async function holds(inquiry: Inquiry): Promise<NotYet | undefined> {
  const { session, demands } = inquiry;
  if (demands.query === undefined) return undefined;
  inquiry.probe.phase(`asking ${session.peer} the query`);
  await ask(inquiry, 'BEGIN READ ONLY');
  let result: QueryResult;
  try {
    await ask(inquiry, `SET LOCAL statement_timeout = ${Math.ceil(demands.statementTimeout)}`);
    result = await session.query(demands.query, undefined, { signal: inquiry.signal, single: true });
    await ask(inquiry, 'ROLLBACK');
  } catch (error) {
    if (!isServerError(error)) throw error;
    const slow = error.code === '57014';
    return notYet(`the query failed: ${error.message} (${error.code}, ${session.peer})`, {
      hint: slow
        ? 'it takes longer than --attempt-timeout'
        : error.code === '25006'
          ? 'the query runs in a transaction that may only read'
          : error.message.includes('multiple commands')
            ? 'one statement is taken'
            : undefined,
    });
  }
  const row = result.rows[0];
  const values = row === undefined ? [] : Object.values(row);
  if (result.rows.length === 1 && values.length === 1 && values[0] === true) return undefined;
  return notYet(`the query gave ${described(result, values)}, not true (${session.peer})`, {
    absent: true,
    hint:
      values.length === 1 && (values[0] === false || values[0] === null)
        ? undefined
        : 'it must give one row with one value of type boolean: SELECT count(*) > 0 FROM …, or SELECT EXISTS (…)',
  });
}

/** The kind of what came back; never a value, which may be anything of the database. */
function described({ rows }: QueryResult, values: readonly unknown[]): string {
  if (rows.length === 0) return 'no row';
  if (rows.length > 1) return `${rows.length} rows`;
  if (values.length !== 1) return `a row of ${values.length} values`;
  const [value] = values;
  return value === false ? 'false' : value === null ? 'NULL' : `a value of another type (${typeof value})`;
}
