import { sleep, type Clock } from '../../../core/clock.ts';
import type { Log } from '../../../core/log.ts';
import { integerIn, numberIn, textIn, textOrNullIn, type AnswerRow } from '../answer-row.ts';
import type { LockKey } from '../lock-key.ts';
import { epochOf, isForbidden } from '../once-record.ts';
import type { Session } from '../session.ts';
import { patience } from './prepare.ts';
import { readTag, tagPrefix, type Tag } from './tag.ts';

/** Milliseconds between two looks at backends that were told to end. */
const pause = 50;
/** Milliseconds between two lines about what is waited for. */
const told = 10_000;

export interface FenceContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

type Ask = (text: string, values?: readonly unknown[]) => ReturnType<Session['query']>;

interface Backend {
  readonly pid: number;
  readonly name: string;
  readonly role: string;
}

/** @throws BrokenConnection where the row is not of a backend */
function backendIn(row: AnswerRow): Backend {
  return {
    pid: integerIn(row, 'pid'),
    name: textOrNullIn(row, 'name') ?? '',
    role: textOrNullIn(row, 'role') ?? 'a role that is gone',
  };
}

/** Runs `look` until it finds nothing, and says every ten seconds what it still finds. */
async function untilNone<B extends Backend>(
  look: () => Promise<readonly B[]>,
  act: (found: readonly B[]) => Promise<void>,
  words: (found: readonly B[]) => string,
  { clock, log, signal }: FenceContext,
): Promise<void> {
  let toldAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const found = await look();
    if (found.length === 0) return;
    if (clock.now() - toldAt >= told) {
      toldAt = clock.now();
      log.info(words(found));
    }
    await act(found);
    await sleep(clock, pause, signal);
  }
}

/** SQL that gives the names of the backends under this lock's tags, but for this one. */
export function namesWithTag(key: LockKey): string {
  return `SELECT a.application_name ${withTag(key)}`;
}

function withTag(key: LockKey): string {
  return `FROM pg_catalog.pg_stat_activity AS a
    WHERE pg_catalog.starts_with(a.application_name, '${tagPrefix(key)}')
      AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
      AND a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`;
}

/** Whether a backend of the command under that token runs a statement, or has a transaction open. */
export async function isAtWork(ask: Ask, key: LockKey, token: bigint): Promise<boolean> {
  const { rows } = await ask(
    `SELECT a.application_name AS name, coalesce(a.state, 'idle') AS state ${withTag(key)}`,
  );
  return rows.some(({ name, state }) => {
    const tag = readTag(key, String(name));
    return tag?.token === token && tag.role === 'job' && state !== 'idle';
  });
}

interface TaggedBackend extends Backend {
  readonly address: string | null;
  /** Another role's, whose address and state this one may not see. */
  readonly hidden: boolean;
  readonly active: boolean;
  readonly asked: string | null;
}

function taggedIn(row: AnswerRow): TaggedBackend {
  return {
    ...backendIn(row),
    address: textOrNullIn(row, 'address'),
    hidden: row?.['hidden'] === true,
    active: row?.['active'] === true,
    asked: textOrNullIn(row, 'asked'),
  };
}

/**
 * Ends the backends of earlier work under this lock: killing a program does not end its statement. Where the role may
 * not end them (they are another role's, without pg_signal_backend), it waits until they end by themselves. A tag that
 * came from another address than the holder's stands in a pooler's session, where it stays behind for other clients
 * (PgBouncer sets a name again only for a client that has one): such a one is not ended, but what runs in it is waited
 * for.
 * @param isTarget by the token and what the backend does
 * @param addressOf where the holder of that token connected from, as the server sees it; undefined where it is not known
 * @param whose who left them, for people
 */
export async function endTagged(
  ask: Ask,
  key: LockKey,
  isTarget: (tag: Tag) => boolean,
  addressOf: (tag: Tag) => string | null | undefined,
  whose: 'an earlier holder' | 'the command',
  context: FenceContext,
): Promise<void> {
  const refused = new Set<number>();
  /** What ran in a pooler's sessions at the first look. */
  let pooled: ReadonlySet<string> | undefined;
  const statementOf = ({ pid, asked }: TaggedBackend): string => `${pid} ${asked}`;
  await untilNone(
    async () => {
      const { rows } = await ask(
        `SELECT a.pid, a.application_name AS name, a.usename AS role, pg_catalog.host(a.client_addr) AS address,
           a.backend_type IS NULL AS hidden, coalesce(a.state OPERATOR(pg_catalog.=) 'active', false) AS active,
           a.query_start::pg_catalog.text AS asked ${withTag(key)}`,
      );
      const found = rows.map(taggedIn).flatMap((backend) => {
        const tag = readTag(key, backend.name);
        if (tag === undefined || !isTarget(tag)) return [];
        const address = addressOf(tag);
        const elsewhere =
          address !== undefined && !backend.hidden && withoutMask(address) !== withoutMask(backend.address);
        return [{ ...backend, elsewhere }];
      });
      pooled ??= new Set(found.filter(({ elsewhere, active }) => elsewhere && active).map(statementOf));
      return found.filter(
        (each) => !each.elsewhere || (each.active && pooled?.has(statementOf(each)) === true),
      );
    },
    async (found) => {
      for (const { pid, role, elsewhere } of found) {
        if (elsewhere || refused.has(pid)) continue;
        try {
          await terminate(ask, pid);
        } catch (error) {
          if (!isForbidden(error)) throw error;
          refused.add(pid);
          context.log.warn(
            `the backend ${pid} of ${whose} belongs to ${role}, and this role may not end it; waiting for it (GRANT pg_signal_backend lets it be ended)`,
          );
        }
      }
    },
    (found) =>
      found.every(({ elsewhere }) => elsewhere)
        ? `waiting for statements that ${whose} may have left in a pooler’s sessions: ${listed(found)}`
        : `ending what ${whose} left in the database: ${listed(found)}`,
    context,
  );
}

/**
 * Ends a backend. Where the role's settings say SET role, the rights that count are another's, who may not end what logged
 * in as this one: then as the role that logged in.
 * @throws the server's 42501
 */
async function terminate(ask: Ask, pid: number): Promise<void> {
  const statement = `SELECT pg_catalog.pg_terminate_backend(${pid})`;
  try {
    await ask(statement);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    // One transaction: the role is what it was afterwards.
    await ask(`SET LOCAL role TO none; ${statement}`);
  }
}

/** PostgreSQL writes an inet as text with its netmask. */
function withoutMask(address: string | null): string | undefined {
  return address?.replace(/\/\d+$/, '');
}

/**
 * Waits for statements of one client that do not carry our tag, since not every driver hands it on: those that began
 * before now, on connections that were made after `since`. They are not ended, as they may be anybody's.
 */
export async function awaitUntagged(
  ask: Ask,
  client: { readonly role: string; readonly address: string | null; readonly since: Date },
  context: FenceContext,
): Promise<void> {
  const { rows } = await ask(`SELECT ${epochOf('pg_catalog.clock_timestamp()')} AS now`);
  const cutoff = numberIn(rows[0], 'now');
  const words = (found: readonly Backend[]): string =>
    `waiting for statements that an earlier holder may have left in the database: ${listed(found)}`;
  await untilNone(
    async () => {
      const result = await ask(
        `SELECT a.pid, a.application_name AS name, a.usename AS role FROM pg_catalog.pg_stat_activity AS a
         WHERE a.backend_type OPERATOR(pg_catalog.=) 'client backend' AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
           AND a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND a.usename OPERATOR(pg_catalog.=) $1
           AND coalesce(pg_catalog.host(a.client_addr), '') OPERATOR(pg_catalog.=) coalesce(pg_catalog.host($2::pg_catalog.inet), '')
           AND a.backend_start OPERATOR(pg_catalog.>=) pg_catalog.to_timestamp($3)
           AND a.state OPERATOR(pg_catalog.=) ANY (ARRAY['active', 'fastpath function call'])
           AND a.query_start OPERATOR(pg_catalog.<=) pg_catalog.to_timestamp($4)
           AND NOT pg_catalog.starts_with(a.application_name, 'initbox:')`,
        [client.role, client.address, client.since.getTime() / 1000, cutoff],
      );
      return result.rows.map(backendIn);
    },
    async () => {},
    words,
    context,
  );
  // Of another role's backends a role without pg_read_all_stats sees neither state nor address; but every role sees
  // locks, and each transaction holds one on itself. Those that are open now are waited for.
  const hidden = await ask(`${openTransactions} AND a.usename OPERATOR(pg_catalog.=) $1`, [client.role]);
  const transactions = hidden.rows.map((row) => textIn(row, 'transaction'));
  await untilNone(
    async () => {
      if (transactions.length === 0) return [];
      const result = await ask(`${openTransactions} AND l.virtualxid OPERATOR(pg_catalog.=) ANY ($1)`, [
        transactions,
      ]);
      return result.rows.map(backendIn);
    },
    async () => {},
    words,
    context,
  );
}

const openTransactions = `SELECT a.pid, a.application_name AS name, a.usename AS role, l.virtualxid AS transaction
  FROM pg_catalog.pg_stat_activity AS a
  JOIN pg_catalog.pg_locks AS l ON l.pid OPERATOR(pg_catalog.=) a.pid AND l.locktype OPERATOR(pg_catalog.=) 'virtualxid' AND l.granted
  WHERE a.backend_type IS NULL AND a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
    AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
    AND NOT pg_catalog.starts_with(a.application_name, 'initbox:')`;

function listed(found: readonly Backend[]): string {
  const shown = found.slice(0, 5).map(({ pid, role, name }) => `${pid} (${role}${name ? `, ${name}` : ''})`);
  return [...shown, ...(found.length > 5 ? [`and ${found.length - 5} more`] : [])].join(', ');
}

/** A session's query as this file uses it. */
export function asking(session: Session, signal?: AbortSignal): Ask {
  return (text, values) =>
    session.query(text, values, { timeout: patience, ...(signal === undefined ? {} : { signal }) });
}
