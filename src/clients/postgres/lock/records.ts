import { bigintIn, dateIn, numberIn, textIn, textOrNullIn } from '../answer-row.ts';
import { durably, hasTriggers } from '../durable.ts';
import type { LockKey } from '../lock-key.ts';
import { epochOf } from '../once-record.ts';
import { createRecords } from '../records-schema.ts';
import { oddValue } from '../records-shape.ts';
import { sqlState } from '../server-errors.ts';
import type { Session } from '../session.ts';
import { OddRecord, recordsSchema, requireKey, requireRecords } from '../trusted-owner.ts';
import { spoilt } from './once.ts';
import { patience } from './prepare.ts';

const statements = [
  `CREATE TABLE IF NOT EXISTS ${recordsSchema}.locks (
    lock_id bigint PRIMARY KEY, lock_name pg_catalog.text NOT NULL, token bigint NOT NULL, host pg_catalog.text NOT NULL,
    role pg_catalog.text NOT NULL, address pg_catalog.inet, started pg_catalog.timestamptz NOT NULL,
    settle_ms bigint NOT NULL, released pg_catalog.timestamptz)`,
  `CREATE TABLE IF NOT EXISTS ${recordsSchema}.once (
    lock_id bigint NOT NULL, once_key pg_catalog.text NOT NULL, lock_name pg_catalog.text NOT NULL,
    state pg_catalog.text NOT NULL CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'done', 'failed'])),
    token bigint NOT NULL, command_hash pg_catalog.text NOT NULL, host pg_catalog.text NOT NULL,
    started pg_catalog.timestamptz NOT NULL, finished pg_catalog.timestamptz, exit_status int,
    PRIMARY KEY (lock_id, once_key))`,
];

/** Makes the lock's tables. Call it under the lock. @throws as createRecords */
export function createTables(session: Session): Promise<void> {
  return createRecords(session, 'locks', statements, { timeout: patience });
}

/** What the role lacks, as statements to run by whoever owns the database. */
export function grantsFor(role: string, database: string): string {
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  return `run as the database’s owner: GRANT CREATE ON DATABASE ${quoted(database)} TO ${quoted(role)}; or, to let several roles share the records: CREATE SCHEMA IF NOT EXISTS ${recordsSchema}; GRANT USAGE, CREATE ON SCHEMA ${recordsSchema} TO ${quoted(role)}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${recordsSchema} TO ${quoted(role)}`;
}

/** @throws the server's 42501 where this role may read the tables but not write them; UnusableRecords */
export async function requireWritable(session: Session): Promise<void> {
  await requireRecords(session, 'once', { timeout: patience });
  const { rows } = await session.query(
    `SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(t, p)) AS writable
     FROM pg_catalog.unnest(ARRAY['${recordsSchema}.locks', '${recordsSchema}.once']) AS t,
       pg_catalog.unnest(ARRAY['INSERT', 'UPDATE', 'SELECT']) AS p`,
    undefined,
    { timeout: patience },
  );
  if (rows[0]?.['writable'] === true) {
    for (const table of ['locks', 'once'] as const) await requireKey(session, table, { timeout: patience });
    return;
  }
  throw Object.assign(new Error(`no right to write the tables of the schema ${recordsSchema}`), {
    code: sqlState.insufficientPrivilege,
    severity: 'ERROR',
  });
}

/** The last holder, as it wrote itself down. */
export interface HolderRow {
  readonly token: bigint;
  readonly host: string;
  readonly role: string;
  readonly address: string | null;
  readonly started: Date;
  /** Milliseconds after which its work is over once it has lost the lock. */
  readonly settle: number;
  readonly released: boolean;
}

/** @throws UnusableRecords, the server's errors */
export async function readHolderRow(session: Session, key: LockKey): Promise<HolderRow | undefined> {
  await requireRecords(session, 'locks', { timeout: patience });
  const { rows } = await session.query(
    `SELECT token::pg_catalog.text, host, role, address::pg_catalog.text, ${epochOf('started')} AS started,
       settle_ms::pg_catalog.text AS settle, released IS NOT NULL AS released,
       ${oddValue('locks', 'r')} AS odd
     FROM ONLY ${recordsSchema}.locks AS r WHERE lock_id OPERATOR(pg_catalog.=) ${key.id} ORDER BY r.token DESC`,
    undefined,
    { timeout: patience },
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  for (const each of rows) {
    const odd = textOrNullIn(each, 'odd');
    if (odd !== null) throw new OddRecord('locks', `lock_id = ${key.id}`, odd);
  }
  // Without its primary key, as a restore may leave it, the table can hold several; none of them is proof then.
  const single = rows.length === 1;
  return {
    token: bigintIn(row, 'token'),
    host: textIn(row, 'host'),
    role: textIn(row, 'role'),
    address: textOrNullIn(row, 'address'),
    started: dateIn(row, 'started'),
    settle: Math.max(...rows.map((each) => numberIn(each, 'settle'))),
    released: single && row['released'] === true,
  };
}

/** @throws MisshapenRecords where a trigger does not let it stand, the server's errors */
export async function writeHolderRow(
  session: Session,
  key: LockKey,
  row: Omit<HolderRow, 'released' | 'started'>,
): Promise<void> {
  await requireRecords(session, 'locks', { timeout: patience });
  const { rows } = await session.query(
    `INSERT INTO ${recordsSchema}.locks (lock_id, lock_name, token, host, role, address, started, settle_ms, released)
     VALUES (${key.id}, $1, $2, $3, $4, $5::pg_catalog.inet, pg_catalog.clock_timestamp(), $6, NULL)
     ON CONFLICT (lock_id) DO UPDATE SET lock_name = excluded.lock_name, token = excluded.token, host = excluded.host,
       role = excluded.role, address = excluded.address, started = excluded.started, settle_ms = excluded.settle_ms,
       released = NULL
     RETURNING token::pg_catalog.text AS token, settle_ms::pg_catalog.text AS settle, released IS NOT NULL AS released, ${hasTriggers('locks')}, ${durably}`,
    [key.name, row.token, row.host, row.role, row.address, Math.ceil(row.settle)],
    { timeout: patience },
  );
  const [written] = rows;
  const told =
    written?.['triggers'] === true
      ? await readHolderRow(session, key)
      : written && {
          token: bigintIn(written, 'token'),
          settle: numberIn(written, 'settle'),
          released: written['released'] === true,
        };
  if (told?.token !== row.token || told.settle < row.settle || told.released) throw spoilt('locks');
}

/** @returns false where the row is another holder's by now */
export async function markReleased(session: Session, key: LockKey, token: bigint): Promise<boolean> {
  await requireRecords(session, 'locks', { timeout: patience });
  const { rowCount } = await session.query(
    `UPDATE ONLY ${recordsSchema}.locks SET released = pg_catalog.clock_timestamp() WHERE lock_id OPERATOR(pg_catalog.=) ${key.id} AND token OPERATOR(pg_catalog.=) ${token} RETURNING ${durably}`,
    undefined,
    { timeout: patience },
  );
  return rowCount === 1;
}
