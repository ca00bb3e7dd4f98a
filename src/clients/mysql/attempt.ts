import { excerpt } from '../../core/excerpt.ts';
import { notYet, satisfied, type Answer, type Probe } from '../../wait/attempt.ts';
import type { ServerConversation } from '../connection/conversation.ts';
import { talkTo, type TalkContext } from '../connection/talk.ts';
import { NotMysql, type MysqlError } from './packet.ts';
import { mysqlText } from './quoted.ts';
import { judgeMysqlError } from './server-errors.ts';
import { askMysql, enterMysql, judgeMysqlFault, type MysqlServer } from './session.ts';

export interface MysqlDemands extends MysqlServer {
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
  return talkTo(
    { endpoint: demands.endpoint, tls: undefined },
    context,
    probe,
    (conversation) => greet(conversation, demands, context, probe),
    judgeMysqlFault,
  );
}

async function greet(
  conversation: ServerConversation,
  demands: MysqlDemands,
  context: TalkContext,
  probe: Probe,
): Promise<Answer> {
  const entered = await enterMysql(conversation, demands, context, probe);
  if ('state' in entered) return entered;
  using over = entered.conversation;
  return await check({ conversation: over, probe, redact: context.redact }, demands, entered.version);
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
    `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ${mysqlText(where)} AND table_name = ${mysqlText(table)}`,
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

/** The first value of the first row; undefined where there is none. @throws NotMysql, and what a conversation throws */
async function ask(
  { conversation }: Talk,
  query: string,
): Promise<{ readonly value: string | undefined } | { readonly error: MysqlError }> {
  const result = await askMysql(conversation, query);
  return 'error' in result ? result : { value: result.rows[0]?.[0] };
}
