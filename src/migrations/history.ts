import { integerIn, oneOfIn, textOrNullIn } from '../clients/postgres/answer-row.ts';
import { durably, hasTriggers } from '../clients/postgres/durable.ts';
import { isForbidden, isMissing } from '../clients/postgres/once-record.ts';
import { quotedText } from '../clients/postgres/quoted.ts';
import { createRecords } from '../clients/postgres/records-schema.ts';
import { migrationStates, oddValue } from '../clients/postgres/records-shape.ts';
import { sqlStateOf } from '../clients/postgres/server-errors.ts';
import type { QueryOptions, QueryResult, Session } from '../clients/postgres/session.ts';
import { OddRecord, requireKey, requireRecords, UnusableRecords } from '../clients/postgres/trusted-owner.ts';
import { exitStatus } from '../core/exit-status.ts';
import { Failure, failed } from '../core/outcome.ts';
import { columnText } from './rows.ts';

/** What is known of a migration's run. */
export type State = (typeof migrationStates)[number];

/** One row of the record. */
export interface Row {
  /** A version's key or `R__description`. */
  readonly version: string;
  readonly file: string;
  readonly sha256: string;
  readonly state: State;
  readonly statements: number;
  /** How many statements are known to have ended, where they ran outside a transaction. */
  readonly finished: number;
  readonly startedAt: string;
}

/** In a fixed schema, whatever the search path: two roles with paths of their own must not keep two records. */
const table = 'initbox.sql_migrations';

const createStatement = `CREATE TABLE IF NOT EXISTS ${table} (
  lock_name pg_catalog.text NOT NULL,
  version pg_catalog.text NOT NULL,
  file pg_catalog.text NOT NULL,
  sha256 pg_catalog.text NOT NULL,
  state pg_catalog.text NOT NULL CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'done', 'baseline', 'retired'])),
  statements integer NOT NULL,
  finished integer NOT NULL,
  token bigint NOT NULL,
  started_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  applied_at pg_catalog.timestamptz,
  duration_ms bigint,
  PRIMARY KEY (lock_name, version)
)`;

/**
 * Reads the record of one lock name.
 * @returns undefined where there is no table yet
 * @throws Failure (69) where the role may not read it
 */
export async function readHistory(session: Session, lockName: string): Promise<readonly Row[] | undefined> {
  try {
    await requireRecords(session, 'sql_migrations');
    await requireKey(session, 'sql_migrations');
    const { rows } = await session.query(
      `SELECT version, file, sha256, state, statements, finished, started_at::pg_catalog.text AS started, ${oddValue('sql_migrations', 'h')} AS odd FROM ONLY ${table} AS h WHERE lock_name OPERATOR(pg_catalog.=) $1`,
      [lockName],
    );
    return rows.map((row) => toRow(row, lockName));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw await explained(session, error);
  }
}

/** The name under which another record holds any of these files, unchanged: the lock was renamed since. */
export async function sameUnderOtherName(
  session: Session,
  lockName: string,
  files: readonly { readonly key: string; readonly sha256: string }[],
): Promise<string | undefined> {
  await requireRecords(session, 'sql_migrations');
  const { rows } = await session.query(
    `SELECT h.lock_name FROM ONLY ${table} AS h
      JOIN ROWS FROM (pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.text[])) AS f(version, sha256)
        ON h.version OPERATOR(pg_catalog.=) f.version AND h.sha256 OPERATOR(pg_catalog.=) f.sha256
      WHERE h.lock_name OPERATOR(pg_catalog.<>) $1 GROUP BY h.lock_name ORDER BY pg_catalog.count(*) DESC LIMIT 1`,
    [lockName, files.map((file) => file.key), files.map((file) => file.sha256)],
  );
  return rows[0] === undefined ? undefined : columnText(rows[0], 'lock_name');
}

/**
 * Makes the table. Call it under the lock.
 * @throws Failure (69) with the GRANT to run, where the role may not
 */
export async function createHistory(session: Session): Promise<void> {
  try {
    await createRecords(session, 'sql_migrations', [createStatement]);
    await requireRecords(session, 'sql_migrations');
  } catch (error) {
    throw await explained(session, error);
  }
}

/** A migration that this holder runs, as it is written down. */
export interface ToRecord {
  readonly lockName: string;
  readonly key: string;
  readonly file: string;
  readonly sha256: string;
  readonly statements: number;
  readonly token: bigint;
}

const transactionId = 'pg_catalog.txid_current()::pg_catalog.text AS transaction';

/**
 * Writes that a migration runs. In the transaction of its statements this is what makes two runners take turns: the
 * second one waits for the first one's row.
 * @param before the row as it was read, where there was one
 * @returns the id of the transaction in which it is written; undefined where the row is not as it was read: somebody else
 *   was here
 */
export async function claim(
  session: Querying,
  entry: ToRecord,
  before: Row | undefined,
): Promise<string | undefined> {
  await requireRecords(session, 'sql_migrations');
  const values = [
    entry.lockName,
    entry.key,
    entry.file,
    entry.sha256,
    entry.statements,
    entry.token.toString(),
  ];
  if (before === undefined) {
    try {
      const { rows } = await session.query(
        `INSERT INTO ${table} (lock_name, version, file, sha256, state, statements, finished, token, started_at)
          VALUES ($1, $2, $3, $4, 'running', $5, 0, $6, pg_catalog.clock_timestamp()) RETURNING ${transactionId}`,
        values,
      );
      return columnText(rows[0], 'transaction');
    } catch (error) {
      if (sqlStateOf(error) === '23505') return undefined;
      throw error;
    }
  }
  const { rows } = await session.query(
    `UPDATE ONLY ${table} SET file = $3, sha256 = $4, state = 'running', statements = $5, finished = 0, token = $6,
        started_at = pg_catalog.clock_timestamp(), applied_at = NULL, duration_ms = NULL
      WHERE lock_name OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 AND sha256 OPERATOR(pg_catalog.=) $7 AND state OPERATOR(pg_catalog.=) $8
      RETURNING ${transactionId}`,
    [...values, before.sha256, before.state],
  );
  return rows.length === 1 ? columnText(rows[0], 'transaction') : undefined;
}

/** Notes how far a migration outside a transaction has come. */
export async function noteFinished(session: Querying, entry: ToRecord, finished: number): Promise<void> {
  await requireRecords(session, 'sql_migrations');
  await session.query(
    `UPDATE ONLY ${table} SET finished = $3
      WHERE lock_name OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 AND token OPERATOR(pg_catalog.=) $4 AND state OPERATOR(pg_catalog.=) 'running'`,
    [entry.lockName, entry.key, finished, entry.token.toString()],
  );
}

/** The lock as the session holds it, seen from another session. */
export interface Proof {
  /** The backend that holds it. */
  readonly pid: number;
  readonly classId: string;
  readonly objectId: string;
  readonly objectSubId: number;
}

/** What lock the session holds; undefined where it holds none. */
export async function proofOf(session: Session): Promise<Proof | undefined> {
  const { rows } = await session.query(
    `SELECT l.pid, l.classid::pg_catalog.text AS class, l.objid::pg_catalog.text AS object, l.objsubid AS sub
      FROM pg_catalog.pg_locks AS l
      WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()`,
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    pid: integerIn(row, 'pid'),
    classId: columnText(row, 'class'),
    objectId: columnText(row, 'object'),
    objectSubId: integerIn(row, 'sub'),
  };
}

/**
 * Writes that a migration is done, provided that the lock is still held, in one statement.
 * @param transaction the transaction's id, where the row was claimed in it: a script that ended it on its way fails here
 * @returns false where the lock is gone, the row is another's, the transaction is another one, or a trigger of the table
 *   changed what was written
 */
export async function markDone(
  session: Querying,
  entry: ToRecord,
  proof: Proof,
  milliseconds: number,
  transaction?: string,
): Promise<boolean> {
  await requireRecords(session, 'sql_migrations');
  const { rows } = await session.query(
    `UPDATE ONLY ${table} AS h SET state = 'done', finished = statements, applied_at = pg_catalog.clock_timestamp(), duration_ms = $3
      WHERE lock_name OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 AND token OPERATOR(pg_catalog.=) $4 AND state OPERATOR(pg_catalog.=) 'running'
        AND ($5::pg_catalog.text IS NULL OR pg_catalog.txid_current()::pg_catalog.text OPERATOR(pg_catalog.=) $5)
        AND ${isHeld(6)}
      RETURNING ${written}, ${hasTriggers('h')}, ${durably}`,
    [
      entry.lockName,
      entry.key,
      Math.round(milliseconds),
      entry.token.toString(),
      transaction ?? null,
      ...proofValues(proof),
    ],
  );
  const [row] = rows;
  if (rows.length !== 1 || row === undefined || !isComplete(row, entry)) return false;
  return row['triggers'] !== true || (await standingOf(session, [entry]))[0] === 'done';
}

/** Whether the lock is still held, as any session sees it. */
export async function isLockHeld(session: Querying, proof: Proof): Promise<boolean> {
  const { rows } = await session.query(`SELECT ${isHeld(1)} AS held`, proofValues(proof));
  return rows[0]?.['held'] === true;
}

/** What is compared of a row with what was written. */
const written = `h.version, h.file, h.sha256, h.state, h.statements, h.finished, h.token::pg_catalog.text AS token, ${oddValue('sql_migrations', 'h')} AS odd`;

/** Whether a row says that the migration is done, in all that this program has written. */
function isComplete(row: Readonly<Record<string, unknown>>, entry: ToRecord): boolean {
  return (
    row['odd'] === null &&
    row['version'] === entry.key &&
    row['state'] === 'done' &&
    row['file'] === entry.file &&
    row['sha256'] === entry.sha256 &&
    row['token'] === entry.token.toString() &&
    Number(row['statements']) === entry.statements &&
    Number(row['finished']) === entry.statements
  );
}

/** What the record says of a migration: that it is done, as it was written; that it still runs; something else; nothing. */
export type RecordStanding = 'done' | 'running' | 'changed' | 'gone';

/** How each of these migrations stands in the record, in their order. @throws as requireRecords */
export async function standingOf(
  session: Querying,
  entries: readonly ToRecord[],
): Promise<readonly RecordStanding[]> {
  await requireRecords(session, 'sql_migrations');
  const { rows } = await session.query(
    `SELECT ${written} FROM ONLY ${table} AS h WHERE h.lock_name OPERATOR(pg_catalog.=) $1 AND h.version OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.text[])`,
    [entries[0]?.lockName ?? '', entries.map(({ key }) => key)],
  );
  return entries.map((entry) => {
    const row = rows.find(({ version }) => version === entry.key);
    if (row === undefined) return 'gone';
    if (isComplete(row, entry)) return 'done';
    return row['state'] === 'running' ? 'running' : 'changed';
  });
}

/** @param first the number of the first of the proof's values */
function isHeld(first: number): string {
  const [pid, classId, objectId, sub] = [first, first + 1, first + 2, first + 3];
  return `EXISTS (SELECT 1 FROM pg_catalog.pg_locks AS l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted AND l.pid OPERATOR(pg_catalog.=) $${pid}
          AND l.classid OPERATOR(pg_catalog.=) $${classId}::pg_catalog.oid AND l.objid OPERATOR(pg_catalog.=) $${objectId}::pg_catalog.oid AND l.objsubid OPERATOR(pg_catalog.=) $${sub}
          AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()))`;
}

function proofValues(proof: Proof): readonly unknown[] {
  return [proof.pid, proof.classId, proof.objectId, proof.objectSubId];
}

/** Takes the claim back: nothing of the migration is left. */
export async function unclaim(session: Querying, entry: ToRecord): Promise<void> {
  await requireRecords(session, 'sql_migrations');
  await session.query(
    `DELETE FROM ONLY ${table} WHERE lock_name OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 AND token OPERATOR(pg_catalog.=) $3 AND state OPERATOR(pg_catalog.=) 'running'`,
    [entry.lockName, entry.key, entry.token.toString()],
  );
}

/** A change of the record alone. */
export interface RecordChange {
  readonly key: string;
  readonly file: string;
  readonly sha256: string;
  /** `undone`: nothing of it is left, and its row goes. */
  readonly state: State | 'undone';
}

/** Writes changes of the record, all or none. */
export async function applyChanges(
  session: Session,
  lockName: string,
  token: bigint,
  changes: readonly RecordChange[],
): Promise<void> {
  await requireRecords(session, 'sql_migrations');
  await session.query(
    `WITH c AS (SELECT * FROM ROWS FROM (pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::pg_catalog.text[]),
          pg_catalog.unnest($5::pg_catalog.text[]), pg_catalog.unnest($6::pg_catalog.text[])) AS c(version, file, sha256, state)),
        undone AS (DELETE FROM ONLY ${table} AS h USING c WHERE c.state OPERATOR(pg_catalog.=) 'undone'
          AND h.lock_name OPERATOR(pg_catalog.=) $1 AND h.version OPERATOR(pg_catalog.=) c.version AND h.state OPERATOR(pg_catalog.=) 'running')
      INSERT INTO ${table} AS h (lock_name, version, file, sha256, state, statements, finished, token, started_at, applied_at)
      SELECT $1, c.version, c.file, c.sha256, c.state, 0, 0, $2, pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp()
      FROM c WHERE c.state OPERATOR(pg_catalog.<>) 'undone'
      ON CONFLICT (lock_name, version) DO UPDATE SET file = excluded.file, sha256 = excluded.sha256, state = excluded.state,
        finished = h.statements, token = excluded.token, applied_at = coalesce(h.applied_at, excluded.applied_at)`,
    [
      lockName,
      token.toString(),
      changes.map((change) => change.key),
      changes.map((change) => change.file),
      changes.map((change) => change.sha256),
      changes.map((change) => change.state),
    ],
  );
}

/** What can run a statement. */
export interface Querying {
  query(
    text: string,
    values?: readonly unknown[],
    /** discard: nobody reads the rows; timeout: as in QueryOptions. */
    options?: Pick<QueryOptions, 'discard' | 'timeout'>,
  ): Promise<QueryResult>;
}

/** A refusal in words, with the GRANT to run. */
async function explained(session: Session, error: unknown): Promise<unknown> {
  if (!isForbidden(error)) return error;
  if (error instanceof UnusableRecords)
    return new Failure(
      failed(exitStatus.refused, `the record of migrations cannot be kept: ${error.message}`, {
        hint: error.advice,
      }),
    );
  const { rows } = await session.query(
    "SELECT pg_catalog.quote_ident(current_user) AS role, pg_catalog.quote_ident(pg_catalog.current_database()) AS database, pg_catalog.to_regnamespace('initbox') IS NOT NULL AS made",
  );
  const role = columnText(rows[0], 'role');
  const grants = rows[0]?.['made']
    ? `GRANT USAGE, CREATE ON SCHEMA initbox TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA initbox TO ${role}`
    : `GRANT CREATE ON DATABASE ${columnText(rows[0], 'database')} TO ${role}`;
  return new Failure(
    failed(
      exitStatus.refused,
      `the record of migrations in ${table} cannot be kept: ${(error as Error).message}`,
      {
        hint: `a superuser or the owner runs: ${grants}`,
      },
    ),
  );
}

/** @throws OddRecord */
function toRow(row: Record<string, unknown>, lockName: string): Row {
  const odd = textOrNullIn(row, 'odd');
  if (odd !== null) {
    const id = `lock_name = ${quotedText(lockName)} AND version = ${quotedText(columnText(row, 'version'))}`;
    throw new OddRecord('sql_migrations', id, odd);
  }
  return {
    version: columnText(row, 'version'),
    file: columnText(row, 'file'),
    sha256: columnText(row, 'sha256'),
    state: oneOfIn(row, 'state', migrationStates),
    statements: integerIn(row, 'statements'),
    finished: integerIn(row, 'finished'),
    startedAt: columnText(row, 'started'),
  };
}
