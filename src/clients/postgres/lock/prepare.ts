import { randomUUID } from 'node:crypto';

import { exitStatus } from '../../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet } from '../../../wait/attempt.ts';
import { settleTime, type LockTiming } from '../../lock.ts';
import { integerIn } from '../answer-row.ts';
import { pinSearchPath } from '../search-path.ts';
import { sqlStateOf } from '../server-errors.ts';
import type { Session } from '../session.ts';
import { readFacts, type ServerFacts } from './identity.ts';

export interface Prepared {
  readonly state: 'prepared';
  readonly session: Session;
  /** The backend's own process id. */
  readonly pid: number;
  /** True where a pooler stands between, by the user's leave. */
  readonly pooled: boolean;
  readonly facts: ServerFacts;
  /** A mark left in the server's session where a pooler stands between: another's there means no session is ours. */
  readonly mark: string | undefined;
  /**
   * True where something between may end the TCP connection and begin another: then the server's keepalive tells of that
   * alone, and not of this process.
   */
  readonly relayed: boolean;
  /** Milliseconds of silence after which the server lets the lock go, where a pooler keeps its keepalive from us. */
  readonly lease: number | undefined;
}

/** Milliseconds for a statement that touches nothing but memory, under load. */
export const patience = 15_000;

/**
 * Milliseconds after which the server gives up a statement that waits, for a table that somebody locked, say: well before
 * this side does, who could not tell that from a server that is gone.
 */
const serverPatience = patience - 3000;

/**
 * Makes a fresh connection fit for holding a lock. Its first statement asks for nothing but the backend's process id:
 * a SET sent through a transaction pooler would stay behind in somebody else's session.
 */
export async function prepareSession(
  session: Session,
  timing: LockTiming,
  sessionPooling: boolean,
  tag: string,
  known?: { readonly pid: number },
): Promise<Prepared | NotYet | Never> {
  const pid = known?.pid ?? (await backendPid(session));
  const pooled = pid !== session.announcedPid;
  if (pooled && !sessionPooling) return poolerRefusal(session);
  const ask = (text: string) => session.query(text, undefined, { timeout: patience });
  const facts = await readFacts(session, patience, pooled ? undefined : pinSearchPath);
  if (facts.identity.standby) return notYet(`a standby, which grants locks of its own (${session.peer})`);
  if (facts.readOnly) return writesRefused(session);
  if (pooled && facts.version < 140_000) {
    return never(
      exitStatus.refused,
      `a session pooler can be used only with PostgreSQL 14 or newer, not ${facts.version}`,
      'older servers lack idle_session_timeout, which frees the lock of a holder that went silent',
    );
  }
  if (pooled) {
    // Nothing of ours is set here: in a pool that is not in session mode all of it would stay for others.
    const mark = await leaveMark(session);
    if (mark === undefined) return sharedSession(session);
    const lease = windowOf(timing);
    return { state: 'prepared', session, pid, pooled, facts, mark, lease, relayed: false };
  }
  for (const statement of settings(timing, tag)) {
    try {
      // One by one: a name that the server does not know would roll back its neighbours.
      await ask(statement);
    } catch (error) {
      if (sqlStateOf(error) === undefined) throw error;
    }
  }
  const [mark, lease] = [undefined, undefined];
  return { state: 'prepared', session, pid, pooled, facts, mark, lease, relayed: isRelayed(session, facts) };
}

/**
 * A proxy that works on TCP (HAProxy, the Cloud SQL Auth Proxy, `kubectl port-forward`) makes a connection of its own,
 * from a port of its own. Translation of addresses mostly keeps the port; where it does not, it is taken for a proxy.
 */
function isRelayed({ local }: Session, { port }: ServerFacts): boolean {
  return (local?.port ?? null) !== port;
}

/**
 * In session mode nobody else's settings can be found here, since the pooler resets what it hands out. The mark means
 * nothing to the server; in a pool that shares its sessions it stays, and tells the next one.
 */
async function leaveMark(session: Session): Promise<string | undefined> {
  const mark = randomUUID();
  const { rows } = await session.query(
    `SELECT pg_catalog.current_setting('initbox.owner', true) AS found, pg_catalog.set_config('initbox.owner', '${mark}', false)`,
    undefined,
    { timeout: patience },
  );
  return rows[0]?.['found'] ? undefined : mark;
}

export function sharedSession(session: Session): Never {
  return never(
    exitStatus.refused,
    `the pooler gives one server session to several clients (${session.peer})`,
    'it must be in session mode, with its default server_reset_query (DISCARD ALL)',
  );
}

export async function backendPid(session: Session): Promise<number> {
  const { rows } = await session.query('SELECT pg_catalog.pg_backend_pid() AS pid', undefined, {
    timeout: patience,
  });
  return integerIn(rows[0], 'pid');
}

export function writesRefused(session: Session): Never {
  return never(
    exitStatus.refused,
    `the server takes no writes (${session.peer})`,
    'default_transaction_read_only is on, for the server, the database or the role: is its disk full, or is this a replica?',
  );
}

export function poolerRefusal(session: Session): Never {
  return never(
    exitStatus.refused,
    `a connection pooler is in front of the database (${session.peer})`,
    'an advisory lock does not hold through a transaction pooler: name the server itself by --direct-database-url-file or DIRECT_DATABASE_URL; --allow-session-pooling accepts a pooler in session mode, with less protection',
  );
}

/** Milliseconds for which a holder may be silent: longer than its work goes on once it has lost the lock. */
function windowOf(timing: LockTiming): number {
  return silenceOf(settleTime(timing));
}

/** The same, for a holder whose work is over so many milliseconds after a loss. */
export function silenceOf(settle: number): number {
  return Math.max(settle * 1.5, 3000);
}

/** In milliseconds where a unit is not said. */
function settings(timing: LockTiming, tag: string): string[] {
  const window = windowOf(timing);
  const beat = Math.max(1, Math.ceil(timing.heartbeat / 1000));
  const probes = 3;
  const idle = Math.max(1, Math.round(window / 1000) - probes * beat);
  return [
    // A quiet holder must not be thrown out.
    'SET idle_session_timeout = 0',
    `SET statement_timeout = ${serverPatience}`,
    'SET idle_in_transaction_session_timeout = 0',
    // A dead node: the server lets go after idle + count × interval seconds of silence, or when data that it sent
    // stay unacknowledged.
    `SET tcp_keepalives_idle = ${idle}`,
    `SET tcp_keepalives_interval = ${beat}`,
    `SET tcp_keepalives_count = ${probes}`,
    `SET tcp_user_timeout = ${Math.round(window)}`,
    'SET client_connection_check_interval = 1000',
    `SET application_name = '${tag}'`,
  ];
}
