import { excerpt } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type Never,
  type NotYet,
  type Probe,
} from '../../wait/attempt.ts';
import { AnswerTooLong, type ServerConversation } from '../connection/conversation.ts';
import { startTls, type ConnectionContext, type ConnectionPlace } from '../connection/open.ts';
import { talkTo, type TalkContext } from '../connection/talk.ts';
import { CannotLogIn, logInToMysql, mysqlClientHead, type MysqlLogin } from './login.ts';
import {
  mysqlCapability,
  mysqlErrorIn,
  MysqlFields,
  mysqlPacket,
  NotMysql,
  readMysqlGreeting,
  takeMysqlPacket,
  type MysqlError,
} from './packet.ts';
import { judgeMysqlError } from './server-errors.ts';

export interface MysqlDemands extends MysqlLogin {
  readonly endpoint: ConnectionPlace['endpoint'];
  /** Undefined without TLS. */
  readonly tls: ConnectionPlace['tls'];
  /** A server without TLS is taken, too. */
  readonly tlsOptional: boolean;
  /** It must take writes. */
  readonly primary: boolean;
  readonly tables: readonly MysqlTable[];
  /** Must give 1. */
  readonly query: string | undefined;
}

export interface MysqlTable {
  /** That of the login, unless given. */
  readonly database: string | undefined;
  readonly table: string;
}

interface Talk {
  readonly conversation: ServerConversation;
  readonly probe: Probe;
  readonly redact: (text: string) => string;
}

/**
 * One attempt: the greeting, TLS, a login, a query. A few bytes of our own: mysql2 is a megabyte as a bundle, and takes
 * 96 ms of CPU to load, twice what all of initbox takes.
 */
export async function attemptMysql(
  demands: MysqlDemands,
  context: TalkContext,
  probe: Probe,
): Promise<Answer> {
  const { redact } = context;
  return talkTo(
    { endpoint: demands.endpoint, tls: undefined },
    context,
    probe,
    (conversation) => greet({ conversation, probe, redact }, demands, context),
    judgeFault,
  );
}

function judgeFault(error: unknown, peer: string): NotYet | Never | undefined {
  if (error instanceof CannotLogIn)
    return never(exitStatus.refused, `${error.message} (${peer})`, error.hint);
  if (error instanceof NotMysql || error instanceof AnswerTooLong)
    return notYet(`what answers there is not MySQL or MariaDB (${peer})`, {
      hint: 'is it the right port? a new Service can lead elsewhere until this node’s kube-proxy knows it',
    });
  return undefined;
}

async function greet(talk: Talk, demands: MysqlDemands, context: ConnectionContext): Promise<Answer> {
  const { conversation, probe } = talk;
  const { peer } = conversation;
  probe.phase(`waiting for the greeting of ${peer}`);
  const { sequence, payload } = await conversation.read(takeMysqlPacket);
  const refusal = mysqlErrorIn(payload);
  if (refusal !== undefined) {
    probe.reached?.('protocol');
    return judgeMysqlError(refusal, peer, talk.redact);
  }
  const greeting = readMysqlGreeting(payload);
  const offered = (greeting.capabilities & mysqlCapability.tls) !== 0;
  const { tls } = demands;
  if (tls !== undefined && !offered && !demands.tlsOptional)
    return never(
      exitStatus.refused,
      `the server has TLS turned off (${peer})`,
      'turn it on in the server (ssl_cert, ssl_key), or set ssl-mode=preferred where the network may be trusted',
    );
  let secured: ServerConversation | undefined;
  if (tls !== undefined && offered) {
    conversation.write(
      mysqlPacket(sequence + 1, mysqlClientHead(greeting, true, demands.database !== undefined)),
    );
    const started = await startTls(conversation, demands.endpoint, tls, context, probe);
    if ('state' in started) return started;
    secured = started;
  }
  using over = secured ?? conversation;
  probe.reached?.('protocol');
  probe.phase(`logging in to ${peer}`);
  const refused = await logInToMysql(
    over,
    greeting,
    demands,
    secured === undefined ? 'none' : tls?.verify === true ? 'verified' : 'unverified',
    sequence + (secured === undefined ? 1 : 2),
  );
  if (refused !== undefined) return judgeMysqlError(refused, peer, talk.redact);
  return await check({ ...talk, conversation: over }, demands, greeting.version);
}

/** Asks whether it serves, and whether what was asked for holds. */
async function check(talk: Talk, demands: MysqlDemands, version: string): Promise<Answer> {
  const { conversation, probe, redact } = talk;
  const { peer } = conversation;
  // A node of a Galera cluster takes logins before it serves anything.
  const served = await ask(talk, 'SELECT 1');
  if ('error' in served) return judgeMysqlError(served.error, peer, redact);
  if (served.value !== '1') throw new NotMysql();
  probe.reached?.('login');
  // MariaDB 10 puts 5.5.5 before it, for replicas that know no two digits.
  const shown = redact(version)
    .replace(/^5\.5\.5-(?=\d)/, '')
    .replaceAll(/[^\w.+~-]/g, '')
    .slice(0, 40);
  const answers: (Answer | undefined)[] = [];
  if (demands.primary) answers.push(await findPrimary(talk));
  for (const table of demands.tables) answers.push(await findTable(talk, table, demands.database));
  if (demands.query !== undefined) answers.push(await findTrue(talk, demands.query));
  return (
    answers.find((answer) => answer?.state === 'never') ??
    answers.find((answer) => answer !== undefined) ??
    satisfied(`answers a query (${shown}, ${peer})`)
  );
}

async function findPrimary(talk: Talk): Promise<Answer | undefined> {
  const found = await ask(talk, 'SELECT @@GLOBAL.read_only');
  if ('error' in found) return judgeMysqlError(found.error, talk.conversation.peer, talk.redact);
  // MariaDB 12 says OFF, ON, NO_LOCK …
  if (found.value === '0' || found.value === 'OFF') return undefined;
  return notYet(`takes no writes, where a primary is required (${talk.conversation.peer})`, {
    hint: 'read_only is on: it is a replica, or a failover is under way',
  });
}

async function findTable(
  talk: Talk,
  { database, table }: MysqlTable,
  usual: string | undefined,
): Promise<Answer | undefined> {
  const where = database ?? usual ?? '';
  const name = `${where}.${table}`;
  const { peer } = talk.conversation;
  talk.probe.phase(`looking for the table ${JSON.stringify(name)} in ${peer}`);
  const found = await ask(
    talk,
    `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ${literal(where)} AND table_name = ${literal(table)}`,
  );
  if ('error' in found) return judgeMysqlError(found.error, peer, talk.redact);
  // Only a number says that it is there: a proxy may answer any query with a mere OK.
  if (!/^\d+$/.test(found.value ?? '')) throw new NotMysql();
  if (found.value !== '0') return undefined;
  return notYet(`has no table ${JSON.stringify(name)} that the user may see (${peer})`, {
    hint: 'whoever makes it, a migration or a restore, has not done so yet, or the user has no right on it',
    absent: true,
  });
}

async function findTrue(talk: Talk, query: string): Promise<Answer | undefined> {
  const { peer } = talk.conversation;
  talk.probe.phase(`running the query on ${peer}`);
  // Of the session, not of a transaction: a statement such as DROP TABLE ends a transaction before it runs.
  const begun = await ask(talk, 'SET SESSION TRANSACTION READ ONLY');
  if ('error' in begun) return judgeMysqlError(begun.error, peer, talk.redact);
  const found = await ask(talk, query);
  if ('error' in found) return judgeMysqlError(found.error, peer, talk.redact);
  if (found.value === '1') return undefined;
  const shown = found.value === undefined ? 'nothing' : JSON.stringify(excerpt(found.value, 60, talk.redact));
  return notYet(`the query gives ${shown}, not 1 (${peer})`, { absent: true });
}

/** Whatever sql_mode says of backslashes, and whatever is in it. */
function literal(text: string): string {
  return `_utf8mb4 X'${Buffer.from(text).toString('hex')}'`;
}

/** More than a query that gives one value has. */
const mostPackets = 1000;

/** The first value of the first row; undefined where there is none. @throws NotMysql, and what a conversation throws */
async function ask(
  { conversation }: Talk,
  query: string,
): Promise<{ readonly value: string | undefined } | { readonly error: MysqlError }> {
  conversation.write(mysqlPacket(0, Buffer.from(`\u0003${query}`)));
  let value: string | undefined;
  let rows = 0;
  let ends = 0;
  for (let count = 0; count < mostPackets; count += 1) {
    const { payload } = await conversation.read(takeMysqlPacket);
    const error = mysqlErrorIn(payload);
    if (error !== undefined) return { error };
    // A statement without a result; a request for a local file, which is not granted (0xfb).
    if (count === 0 && payload[0] === 0) return { value: undefined };
    if (count === 0 && payload[0] === 0xfb) throw new NotMysql();
    if (payload[0] === 0xfe && payload.length < 9) {
      ends += 1;
      if (ends === 2) return { value };
    } else if (ends === 1) {
      if (rows === 0) value = new MysqlFields(payload).measured();
      rows += 1;
    }
  }
  throw new NotMysql();
}
