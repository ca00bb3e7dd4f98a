import { integerIn, numberIn, textIn, textOrNullIn } from '../answer-row.ts';
import type { LockKey } from '../lock-key.ts';
import { epochOf } from '../once-record.ts';
import type { Session } from '../session.ts';
import { patience, silenceOf } from './prepare.ts';
import { readTag, tagOf } from './tag.ts';

/** How pg_locks shows an advisory lock of one int8 (https://www.postgresql.org/docs/current/view-pg-locks.html). */
function isOurs(key: LockKey): string {
  const high = BigInt.asUintN(32, key.id >> 32n);
  const low = BigInt.asUintN(32, key.id);
  return `l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.classid OPERATOR(pg_catalog.=) ${high}::pg_catalog.oid
    AND l.objid OPERATOR(pg_catalog.=) ${low}::pg_catalog.oid AND l.objsubid OPERATOR(pg_catalog.=) 1
    AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())`;
}

/**
 * True in a statement of the session that holds the lock, and in no other.
 * @param mark what must stand in the session, where a pooler could hand out another's
 */
export function ownership(key: LockKey, mark: string | undefined): string {
  const marked =
    mark === undefined
      ? ''
      : ` AND pg_catalog.current_setting('initbox.owner', true) OPERATOR(pg_catalog.=) '${mark}'`;
  return `(EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.granted AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND ${isOurs(key)})${marked})`;
}

/**
 * One try, which never blocks: a blocked one holds a snapshot, for which CREATE INDEX CONCURRENTLY waits.
 * @param lease milliseconds of silence after which the server lets a holder's session go; undefined without such a bound
 */
export async function tryLock(session: Session, key: LockKey, lease: number | undefined): Promise<boolean> {
  // In the statement that gives the lock: a silent holder is never without it, and who only waits sets nothing.
  const leased =
    lease === undefined
      ? ''
      : `, CASE WHEN granted THEN pg_catalog.set_config('idle_session_timeout', '${Math.round(lease)}', false) END`;
  const { rows } = await session.query(
    `SELECT granted${leased} FROM (SELECT pg_catalog.pg_try_advisory_lock(${key.id}) AS granted OFFSET 0) AS tried`,
    undefined,
    {
      timeout: patience,
    },
  );
  return rows[0]?.['granted'] === true;
}

export interface Checked {
  /** Whether the session holds the lock. */
  readonly owned: boolean;
  /** A backend that waits for the lock in the blocking way, which nobody of ours does; and what it calls itself. */
  readonly blocked: string | undefined;
}

export async function checkLock(
  session: Session,
  key: LockKey,
  mark: string | undefined,
  timeout: number,
): Promise<Checked> {
  const { rows } = await session.query(
    `SELECT ${ownership(key, mark)} AS owned, pg_catalog.pg_is_in_recovery() AS standby,
       (SELECT pg_catalog.format('%s (%s)', l.pid, a.application_name) FROM pg_catalog.pg_locks AS l
        LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) l.pid
        WHERE NOT l.granted AND ${isOurs(key)} LIMIT 1) AS blocked`,
    undefined,
    { timeout },
  );
  const row = rows[0];
  return {
    owned: row?.['owned'] === true && row['standby'] === false,
    blocked: typeof row?.['blocked'] === 'string' ? row['blocked'] : undefined,
  };
}

export async function owns(...given: Parameters<typeof checkLock>): Promise<boolean> {
  return (await checkLock(...given)).owned;
}

/** The channel on which a release is told. */
export function channelOf(key: LockKey): string {
  return `initbox_${key.hex}`;
}

/**
 * @param lease as for tryLock
 * @param word hexadecimal digits that those who wait are told (seal.ts)
 */
export async function unlock(
  session: Session,
  key: LockKey,
  lease: number | undefined,
  word = '',
): Promise<boolean> {
  // In one message: the next one may go to another session of a pooler's.
  const unset = lease === undefined ? '' : 'RESET idle_session_timeout; RESET application_name; ';
  const { rows } = await session.query(
    // A notification is sent when the statement commits, and the lock is free before that.
    `${unset}SELECT pg_catalog.pg_advisory_unlock(${key.id}) AS unlocked, pg_catalog.pg_notify('${channelOf(key)}', '${word}')`,
    undefined,
    { timeout: patience },
  );
  return rows[0]?.['unlocked'] === true;
}

/** Who has the lock, as far as every role may see. */
export interface HolderSeen {
  readonly pid: number;
  readonly role: string | null;
  readonly address: string | null;
  readonly applicationName: string;
  /** Undefined where another program holds the lock. */
  readonly token: bigint | undefined;
  /** Milliseconds after which its work is over once it has lost the lock; undefined where it does not say so. */
  readonly settle: number | undefined;
  /** When its session began; null where this role may not know. */
  readonly began: number | null;
  /** When it was seen, by the server's clock, in seconds since 1970. */
  readonly at: number;
  /** Its connection may end at a proxy. */
  readonly relayed: boolean;
  /** Milliseconds since its session said anything; null where this role may not know. */
  readonly silent: number | null;
}

export async function seeHolder(session: Session, key: LockKey): Promise<HolderSeen | undefined> {
  const { rows } = await session.query(
    `SELECT l.pid, a.usename AS role, pg_catalog.host(a.client_addr) AS address, coalesce(a.application_name, '') AS name,
       ${epochOf('a.backend_start')} AS began, ${epochOf('(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.state_change)')} AS silent,
       ${epochOf('pg_catalog.clock_timestamp()')} AS at
     FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) l.pid WHERE l.granted AND ${isOurs(key)}`,
    undefined,
    { timeout: patience },
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  const applicationName = textIn(row, 'name');
  const tag = readTag(key, applicationName);
  return {
    pid: integerIn(row, 'pid'),
    role: textOrNullIn(row, 'role'),
    address: textOrNullIn(row, 'address'),
    applicationName,
    token: tag?.token,
    settle: tag?.settle,
    began: row['began'] === null ? null : numberIn(row, 'began'),
    at: numberIn(row, 'at'),
    relayed: tag?.relayed === true,
    silent: row['silent'] === null ? null : Math.max(0, numberIn(row, 'silent') * 1000),
  };
}

/**
 * Whether a holder has been silent for longer than a living one is, behind what may be a proxy: without one the server
 * finds out by itself that the machine at the other end is gone.
 */
export function seemsGone({ relayed, settle, silent }: HolderSeen): boolean {
  return relayed && settle !== undefined && silent !== null && silent > silenceOf(settle);
}

/**
 * Ends the session of a holder that seems to be gone, if it still does, and if nothing that bears its command's tag is at
 * work or has said anything since. One statement, so that nothing is between the look and the act.
 * @returns true where it was ended
 * @throws the server's 42501 where this role may not end it
 */
export async function endGone(session: Session, key: LockKey, seen: HolderSeen): Promise<boolean> {
  const { pid, token, settle, applicationName } = seen;
  if (token === undefined || settle === undefined) return false;
  const silence = `pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) '${Math.ceil(silenceOf(settle))} ms'::pg_catalog.interval`;
  const { rows } = await session.query(
    `SELECT pg_catalog.pg_terminate_backend(a.pid) AS ended FROM pg_catalog.pg_stat_activity AS a
     WHERE a.pid OPERATOR(pg_catalog.=) ${pid} AND a.application_name OPERATOR(pg_catalog.=) $1
       AND a.state OPERATOR(pg_catalog.=) 'idle' AND a.state_change OPERATOR(pg_catalog.<) (${silence})
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS j
         WHERE j.application_name OPERATOR(pg_catalog.=) '${tagOf(key, token, 'job')}'
           AND j.pid OPERATOR(pg_catalog.<>) a.pid
           AND (j.state IS NULL OR j.state OPERATOR(pg_catalog.=) 'active' OR j.state_change OPERATOR(pg_catalog.>=) (${silence})))`,
    [applicationName],
    { timeout: patience },
  );
  return rows[0]?.['ended'] === true;
}
