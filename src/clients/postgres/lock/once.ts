import { textIn, textOrNullIn } from '../answer-row.ts';
import { durably, hasTriggers } from '../durable.ts';
import type { LockKey } from '../lock-key.ts';
import {
  isForbidden,
  isMissing,
  onceColumns as columns,
  onceRecordOf as recordOf,
  selectOnce,
  type OnceRecord,
} from '../once-record.ts';
import type { Session } from '../session.ts';
import { findRecords, MisshapenRecords, OddRecord, recordsSchema, requireRecords } from '../trusted-owner.ts';
import { patience } from './prepare.ts';

/** Work that is to be done once, and what the work is: one key must not stand for two commands. */
export interface OnceWork {
  readonly key: string;
  /** SHA-256 of the command, in hexadecimal. */
  readonly commandHash: string;
}

/**
 * The backend's process id, which the first statement asks for, and the record, which is not asked for behind a pooler.
 * @returns undefined where another role's table stands there
 * @throws OddRecord, the server's other errors
 */
export async function readOnceFirst(
  session: Session,
  key: LockKey,
  work: OnceWork,
): Promise<{ readonly pid: number; readonly record: OnceRecord | undefined } | undefined> {
  let pid: number | undefined;
  try {
    const records = await findRecords(session, 'once', { timeout: patience });
    pid = records.pid;
    if (!records.found || pid !== session.announcedPid) return { pid, record: undefined };
    return { pid, record: await selectOnce(session, key.id, work.key, { timeout: patience }) };
  } catch (error) {
    if (isMissing(error) || (isForbidden(error) && !(error instanceof OddRecord)))
      return pid === undefined ? undefined : { pid, record: undefined };
    throw error;
  }
}

/**
 * @param seal of the word that the release tells once the work is done (seal.ts)
 * @throws MisshapenRecords where a trigger does not let it stand
 */
export async function beginOnce(
  session: Session,
  key: LockKey,
  work: OnceWork,
  token: bigint,
  host: string,
  seal: string,
): Promise<void> {
  await requireRecords(session, 'once', { timeout: patience });
  const { rows } = await session.query(
    `INSERT INTO ${recordsSchema}.once (lock_id, once_key, lock_name, state, token, command_hash, host, started)
     VALUES (${key.id}, $1, $2, 'running', $3, $4, $5, pg_catalog.clock_timestamp())
     ON CONFLICT (lock_id, once_key) DO UPDATE SET state = 'running', token = excluded.token,
       command_hash = excluded.command_hash, host = excluded.host, started = excluded.started, finished = NULL,
       exit_status = NULL
     RETURNING state, token::pg_catalog.text AS token, ${hasTriggers('once')}, ${durably}`,
    [work.key, key.name, token, `${work.commandHash}.${seal}`, host],
    { timeout: patience },
  );
  if (!(await isWritten(session, key, work, token, 'running', rows))) throw spoilt('once');
}

/** The error of a table whose triggers do not let stand what is written. */
export function spoilt(table: 'locks' | 'once'): MisshapenRecords {
  return new MisshapenRecords(
    table,
    'a trigger of it changes what is written, or takes it back',
    `ALTER TABLE ${recordsSchema}.${table} DISABLE TRIGGER USER`,
  );
}

/**
 * Whether a record is as it was written, whatever triggers the table has.
 * @param rows what the statement returned
 */
async function isWritten(
  session: Session,
  key: LockKey,
  work: OnceWork,
  token: bigint,
  state: OnceRecord['state'],
  rows: readonly Readonly<Record<string, unknown>>[],
): Promise<boolean> {
  const [row] = rows;
  if (row?.['state'] !== state || row['token'] !== String(token)) return false;
  if (row['triggers'] !== true) return true;
  const record = await selectOnce(session, key.id, work.key, { timeout: patience });
  return record?.state === state && record.token === token;
}

/**
 * Writes how it ended, in one statement with the proof that the lock is still this session's.
 * @returns false where it is not, and nothing was written; or where a trigger changed or removed what was
 */
export async function finishOnce(
  session: Session,
  key: LockKey,
  work: OnceWork,
  token: bigint,
  exitStatus: number,
  ownership: string,
): Promise<boolean> {
  await requireRecords(session, 'once', { timeout: patience });
  const state = exitStatus === 0 ? 'done' : 'failed';
  const { rows } = await session.query(
    `UPDATE ONLY ${recordsSchema}.once SET state = $2, finished = pg_catalog.clock_timestamp(), exit_status = $3, command_hash = $4
     WHERE lock_id OPERATOR(pg_catalog.=) ${key.id} AND once_key OPERATOR(pg_catalog.=) $1 AND token OPERATOR(pg_catalog.=) ${token}
       AND state OPERATOR(pg_catalog.=) 'running' AND ${ownership}
     RETURNING state, token::pg_catalog.text AS token, ${hasTriggers('once')}, ${durably}`,
    [work.key, state, exitStatus, work.commandHash],
    { timeout: patience },
  );
  return isWritten(session, key, work, token, state, rows);
}

/**
 * Writes that the work is done where its record is gone or is another's: the work may have replaced the schema, as
 * `pg_restore --clean` does, with what stood in it long ago. While the lock is this session's nobody else can have written
 * it. The tables must be there.
 * @returns false where the lock is not this session's, or a trigger changed or removed what was written
 */
export async function rewriteOnce(
  session: Session,
  key: LockKey,
  work: OnceWork,
  token: bigint,
  host: string,
  ownership: string,
): Promise<boolean> {
  await requireRecords(session, 'once', { timeout: patience });
  const { rows } = await session.query(
    `INSERT INTO ${recordsSchema}.once (lock_id, once_key, lock_name, state, token, command_hash, host, started, finished, exit_status)
     SELECT ${key.id}, $1, $2, 'done', $3, $4, $5, pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp(), 0 WHERE ${ownership}
     ON CONFLICT (lock_id, once_key) DO UPDATE SET state = excluded.state, token = excluded.token,
       command_hash = excluded.command_hash, host = excluded.host, started = excluded.started, finished = excluded.finished,
       exit_status = excluded.exit_status
     RETURNING state, token::pg_catalog.text AS token, ${hasTriggers('once')}, ${durably}`,
    [work.key, key.name, token, work.commandHash, host],
    { timeout: patience },
  );
  return isWritten(session, key, work, token, 'done', rows);
}

/** @returns the state that the record was in; undefined where there was none */
export async function forgetOnce(
  session: Session,
  key: LockKey,
  onceKey: string,
): Promise<string | undefined> {
  try {
    await requireRecords(session, 'once', { timeout: patience });
    const { rows } = await session.query(
      `DELETE FROM ONLY ${recordsSchema}.once WHERE lock_id OPERATOR(pg_catalog.=) ${key.id} AND once_key OPERATOR(pg_catalog.=) $1 RETURNING state, ${durably}`,
      [onceKey],
      { timeout: patience },
    );
    // Whatever stands there: this is how what cannot be is taken away.
    return rows[0] === undefined ? undefined : (textOrNullIn(rows[0], 'state') ?? 'NULL');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Newest first. */
export async function listOnce(
  session: Session,
  key: LockKey,
): Promise<readonly (OnceRecord & { readonly key: string })[]> {
  try {
    await requireRecords(session, 'once', { timeout: patience });
    const { rows } = await session.query(
      `SELECT ${columns} FROM ONLY ${recordsSchema}.once AS r WHERE r.lock_id OPERATOR(pg_catalog.=) ${key.id} ORDER BY r.started DESC`,
      undefined,
      { timeout: patience },
    );
    return rows.map((row) => ({ ...recordOf(row), key: textIn(row, 'once_key') }));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
