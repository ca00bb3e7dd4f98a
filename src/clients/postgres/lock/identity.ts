import { integerIn, textIn, textOrNullIn, type AnswerRow } from '../answer-row.ts';
import { sqlStateOf } from '../server-errors.ts';
import type { Session } from '../session.ts';
import { BrokenConnection } from '../wire.ts';

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
  /** Settings that are off and without which a crash of the machine loses what was committed. */
  readonly crashUnsafe: readonly string[];
  /** Who logged in: what others see of the session. */
  readonly role: string;
  /** Whose rights count: another where the role's settings say `SET role`. */
  readonly actingRole: string;
  /** This end of the connection as the server sees it; null over a Unix socket. */
  readonly address: string | null;
  /** The port of that end, as the server sees it. */
  readonly port: number | null;
}

/** SQLSTATEs of a server that lacks these functions, or keeps them from us. */
const unavailable: ReadonlySet<string> = new Set(['42501', '42883', '0A000', '42P01']);

const common = `pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' AS read_only,
  pg_catalog.current_setting('fsync', true) AS fsync, pg_catalog.current_setting('full_page_writes', true) AS full_page_writes,
  pg_catalog.current_setting('server_version_num')::int AS version, session_user AS role, current_user AS acting_role,
  pg_catalog.inet_client_addr()::pg_catalog.text AS address, pg_catalog.inet_client_port() AS port,
  extract(epoch FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.text AS started`;

// On a standby pg_current_wal_lsn() is an error; pg_control_checkpoint() tells an older timeline until a checkpoint.
const full = `SELECT ${common}, (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS system,
  CASE WHEN NOT pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END AS timeline`;

/**
 * @param before a statement for the same round trip; what fails takes it back
 */
export async function readFacts(session: Session, timeout: number, before?: string): Promise<ServerFacts> {
  const ask = (text: string) =>
    session.query(before === undefined ? text : `${before}; ${text}`, undefined, { timeout });
  const row = await ask(full)
    .catch((error: unknown) => {
      if (!unavailable.has(sqlStateOf(error) ?? '')) throw error;
      return ask(`SELECT ${common}, NULL AS system, NULL AS timeline`);
    })
    .then(({ rows }) => rows[0] ?? {});
  return {
    identity: {
      started: textIn(row, 'started'),
      system: textOrNullIn(row, 'system'),
      timeline: timelineIn(row),
      standby: row['standby'] === true,
    },
    readOnly: row['read_only'] === true,
    version: integerIn(row, 'version'),
    crashUnsafe: ['fsync', 'full_page_writes'].filter((name) => row[name] === 'off'),
    role: textIn(row, 'role'),
    actingRole: textIn(row, 'acting_role'),
    address: textOrNullIn(row, 'address'),
    port: row['port'] === null ? null : integerIn(row, 'port'),
  };
}

/** Eight hexadecimal digits; null on a standby, and where the server keeps it from us. */
function timelineIn(row: AnswerRow): string | null {
  const timeline = textOrNullIn(row, 'timeline');
  if (timeline !== null && !/^[0-9A-Fa-f]{8}$/.test(timeline))
    throw new BrokenConnection(
      'the connection broke: what the server sent is not valid: "timeline" of its answer is not one',
    );
  return timeline;
}

/** What differs, in words; undefined where both are the same running server. */
export function difference(then: ServerIdentity, now: ServerIdentity): string | undefined {
  if (now.system !== then.system) return 'another database system answers there now';
  if (now.standby !== then.standby) return 'the server that answers there now is a standby';
  if (now.timeline !== then.timeline) return 'the server that answers there now was promoted since';
  if (now.started !== then.started) return 'the server that answers there now was started since';
  return undefined;
}
