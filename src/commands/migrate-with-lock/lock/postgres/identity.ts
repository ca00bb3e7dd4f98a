import type { Session } from '../../../../clients/postgres/session.ts';
import { sqlStateOf } from '../../../../clients/postgres/words.ts';

/** What tells one running server from another that took over its name or address. */
export interface ServerIdentity {
  readonly started: string;
  readonly system: string | null;
  readonly timeline: string | null;
  readonly standby: boolean;
}

export interface ServerFacts {
  readonly identity: ServerIdentity;
  readonly readOnly: boolean;
  /** As in server_version_num: 180004. */
  readonly version: number;
  readonly role: string;
  /** This end of the connection as the server sees it; null over a Unix socket. */
  readonly address: string | null;
}

/** SQLSTATEs of a server that lacks these functions, or keeps them from us. */
const unavailable: ReadonlySet<string> = new Set(['42501', '42883', '0A000', '42P01']);

const common = `pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only,
  current_setting('server_version_num')::int AS version, session_user AS role, inet_client_addr()::text AS address,
  extract(epoch FROM pg_postmaster_start_time())::text AS started`;

// On a standby pg_current_wal_lsn() is an error; pg_control_checkpoint() tells an older timeline until a checkpoint.
const full = `SELECT ${common}, (SELECT system_identifier::text FROM pg_control_system()) AS system,
  CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline`;

export async function readFacts(session: Session, timeout: number): Promise<ServerFacts> {
  const row = await session
    .query(full, undefined, { timeout })
    .catch((error: unknown) => {
      if (!unavailable.has(sqlStateOf(error) ?? '')) throw error;
      return session.query(`SELECT ${common}, NULL AS system, NULL AS timeline`, undefined, { timeout });
    })
    .then(({ rows }) => rows[0] ?? {});
  return {
    identity: {
      started: String(row['started']),
      system: row['system'] as string | null,
      timeline: row['timeline'] as string | null,
      standby: row['standby'] === true,
    },
    readOnly: row['read_only'] === true,
    version: Number(row['version']),
    role: String(row['role']),
    address: row['address'] as string | null,
  };
}

/** What differs, in words; undefined where both are the same running server. */
export function difference(then: ServerIdentity, now: ServerIdentity): string | undefined {
  if (now.system !== then.system) return 'another database system answers there now';
  if (now.standby !== then.standby) return 'the server that answers there now is a standby';
  if (now.timeline !== then.timeline) return 'the server that answers there now was promoted since';
  if (now.started !== then.started) return 'the server that answers there now was started since';
  return undefined;
}
