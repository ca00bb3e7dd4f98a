import { sleep } from '../../../core/clock.ts';
import { integerIn } from '../answer-row.ts';
import type { QueryResult, Session } from '../session.ts';
import type { FenceContext } from './fence.ts';
import { patience } from './prepare.ts';

/** Connections that clients may still open here, by the server's, the database's and the role's limit together. */
export interface Slots {
  readonly free: number;
  readonly limit: number;
}

// Rows of other roles show neither state nor type, but their role and database: a process with both is a client.
const query = `SELECT pg_catalog.current_setting('max_connections')::int
    OPERATOR(pg_catalog.-) pg_catalog.current_setting('superuser_reserved_connections')::int
    OPERATOR(pg_catalog.-) coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int AS server_limit,
  (SELECT r.rolconnlimit FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) session_user) AS role_limit,
  (SELECT d.datconnlimit FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) AS database_limit,
  pg_catalog.count(*)::int AS server_used,
  pg_catalog.count(*) FILTER (WHERE a.usename OPERATOR(pg_catalog.=) session_user)::int AS role_used,
  pg_catalog.count(*) FILTER (WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())::int AS database_used
  FROM pg_catalog.pg_stat_activity AS a WHERE a.datid IS NOT NULL AND a.usesysid IS NOT NULL`;

type Ask = (text: string, values?: readonly unknown[]) => Promise<QueryResult>;

/** What a server that names no limit has. */
const unlimited: Slots = { free: Number.MAX_SAFE_INTEGER, limit: 0 };

function slotsOf({ rows }: QueryResult): Slots {
  const [row] = rows;
  return ['server', 'role', 'database']
    .map((what) => ({ limit: integerIn(row, `${what}_limit`), used: integerIn(row, `${what}_used`) }))
    .filter(({ limit }) => limit >= 0)
    .map(({ limit, used }) => ({ free: limit - used, limit }))
    .reduce((tightest, next) => (next.free < tightest.free ? next : tightest), unlimited);
}

export async function readSlots(session: Session): Promise<Slots> {
  return slotsOf(await session.query(query, undefined, { timeout: patience }));
}

/** Waiters leave a fifth of the connections to the one that works. */
export function scarce({ free, limit }: Slots): boolean {
  return free < limit / 5;
}

/** Milliseconds that waiters have to leave before the work starts all the same. */
const roomTime = 10_000;

/** Waits until the waiters that took all connections at once have left some to the work. */
export async function makeRoom(
  ask: Ask,
  waiter: string,
  { clock, log, signal }: FenceContext,
): Promise<void> {
  const until = clock.now() + roomTime;
  while (scarce(slotsOf(await ask(query)))) {
    const { rows } = await ask(
      `SELECT pg_catalog.count(*)::int AS waiters FROM pg_catalog.pg_stat_activity AS a WHERE a.application_name OPERATOR(pg_catalog.=) '${waiter}'`,
    );
    if (rows[0]?.['waiters'] === 0) return;
    if (clock.now() >= until) {
      log.warn('few connections to the database are left for the command; look at max_connections');
      return;
    }
    await sleep(clock, 50, signal);
  }
}
