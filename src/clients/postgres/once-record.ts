import { bigintIn, dateIn, integerIn, oneOfIn, textIn, textOrNullIn } from './answer-row.ts';
import { quotedText } from './quoted.ts';
import { oddValue, onceStates } from './records-shape.ts';
import { sqlState, sqlStateOf } from './server-errors.ts';
import type { QueryOptions } from './session.ts';
import { OddRecord, recordsSchema, requireRecords, type Asking } from './trusted-owner.ts';

export function isMissing(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === sqlState.undefinedTable || state === sqlState.undefinedSchema;
}

export function isForbidden(error: unknown): boolean {
  return sqlStateOf(error) === sqlState.insufficientPrivilege;
}

/** What is written down of work that is to be done once. */
export interface OnceRecord {
  readonly state: (typeof onceStates)[number];
  readonly token: bigint;
  readonly commandHash: string;
  /** What the holder's word is known by (lock/seal.ts): while it runs, behind a dot after the command's hash. */
  readonly seal: string | undefined;
  readonly host: string;
  readonly started: Date;
  readonly finished: Date | null;
  readonly exitStatus: number | null;
}

/** The columns of a record, of a table named r. */
export const onceColumns = `r.state, r.token::pg_catalog.text AS token, r.command_hash, r.host, ${epochOf('r.started')} AS started, ${epochOf('r.finished')} AS finished, r.exit_status,
  r.lock_id::pg_catalog.text AS lock_id, r.once_key, ${oddValue('once', 'r')} AS odd`;

/** A time in SQL as seconds since 1970: the role's DateStyle may write times as the driver does not read them. */
export function epochOf(expression: string): string {
  return `extract(epoch FROM ${expression})::pg_catalog.float8`;
}

/** @throws OddRecord */
export function onceRecordOf(row: Readonly<Record<string, unknown>>): OnceRecord {
  const odd = textOrNullIn(row, 'odd');
  if (odd !== null) {
    const id = `lock_id = ${textIn(row, 'lock_id')} AND once_key = ${quotedText(textIn(row, 'once_key'))}`;
    throw new OddRecord('once', id, odd);
  }
  const [commandHash = '', seal] = textIn(row, 'command_hash').split('.');
  return {
    state: oneOfIn(row, 'state', onceStates),
    token: bigintIn(row, 'token'),
    commandHash,
    seal,
    host: textIn(row, 'host'),
    started: dateIn(row, 'started'),
    finished: row['finished'] === null ? null : dateIn(row, 'finished'),
    exitStatus: row['exit_status'] === null ? null : integerIn(row, 'exit_status'),
  };
}

/**
 * Reads the record from a table that was found to be trusted (trusted-owner.ts).
 * @returns undefined where there is no record
 * @throws OddRecord, the server's errors
 */
export async function selectOnce(
  session: Asking,
  lockId: bigint,
  onceKey: string,
  options: QueryOptions,
): Promise<OnceRecord | undefined> {
  const { rows } = await session.query(
    `SELECT ${onceColumns} FROM ONLY ${recordsSchema}.once AS r WHERE r.lock_id OPERATOR(pg_catalog.=) ${lockId} AND r.once_key OPERATOR(pg_catalog.=) $1`,
    [onceKey],
    options,
  );
  return rows[0] === undefined ? undefined : onceRecordOf(rows[0]);
}

/**
 * @returns undefined where there is no record, nor perhaps a table
 * @throws UnusableRecords, the server's errors
 */
export async function readOnce(
  session: Asking,
  lockId: bigint,
  onceKey: string,
  options: QueryOptions,
): Promise<OnceRecord | undefined> {
  try {
    await requireRecords(session, 'once', options);
    return await selectOnce(session, lockId, onceKey, options);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Reads what work is known by; what nobody filled in was refused with the option (core/options/meaning.ts).
 * @throws Error that says what is accepted
 */
export function parseOnceKey(text: string): string {
  if (text.trim() === '') throw new Error('the key is empty; give the image’s tag or digest, say');
  if (Buffer.byteLength(text) > 1000) throw new Error('the key is longer than 1000 bytes');
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new Error('the key holds a control character');
  return text;
}
