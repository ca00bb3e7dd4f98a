import { createHash } from 'node:crypto';

import { AnswerTooLong, ConnectionEnded } from '../../../clients/connection/conversation.ts';
import { judgeConnection } from '../../../clients/connection/open.ts';
import type { TalkContext } from '../../../clients/connection/talk.ts';
import { remembered } from '../../../clients/dns/remembered.ts';
import { createResolver } from '../../../clients/dns/resolver.ts';
import { NotMysql } from '../../../clients/mysql/packet.ts';
import { isMysqlHashOf, mysqlPasswordHash } from '../../../clients/mysql/password-hash.ts';
import { judgeMysqlError, mysqlErrorWords } from '../../../clients/mysql/server-errors.ts';
import {
  connectMysql,
  judgeMysqlFault,
  MysqlRefusal,
  type MysqlServer,
  type MysqlSession,
} from '../../../clients/mysql/session.ts';
import { reasonOf, sleep } from '../../../core/clock.ts';
import type { Context } from '../../../core/context.ts';
import { formatDuration } from '../../../core/duration.ts';
import { exitStatus } from '../../../core/exit-status.ts';
import { done, type Failed, Failure, failed, type Outcome, printed } from '../../../core/outcome.ts';
import type { Secret } from '../../../core/redaction/redactor.ts';
import { bounded } from '../../../wait/attempt-timeout.ts';
import {
  notYet,
  satisfied,
  type Answer,
  type NotYet,
  type Never,
  type Probe,
} from '../../../wait/attempt.ts';
import { waitFor } from '../../../wait/loop.ts';
import { waitOutcome } from '../../../wait/outcome.ts';
import { proportional } from '../../../wait/schedule.ts';
import { once } from '../../../wait/target-state.ts';
import { readMysqlFacts, type MysqlFacts } from './facts.ts';
import {
  mysqlBarriers,
  mysqlDifferences,
  mysqlSteps,
  ownerPlugin,
  type MysqlStep,
  type NewPassword,
} from './steps.ts';
import type { WantedMysql } from './wanted.ts';

export interface MysqlPerforming {
  readonly server: MysqlServer;
  /** The owner's. */
  readonly password: Secret | undefined;
  readonly dryRun: boolean;
}

/** Milliseconds for one attempt to connect, log in and ask for the turn. */
const attemptTime = 5000;

/** Milliseconds until what broke, or what others were at, is tried again. */
const pause = 500;

/** ER_CANNOT_USER: CREATE USER where somebody else has just made that one, and others that last. */
const cannotUser = 1396;

/**
 * What others do at the same moment, or a server that goes: lock wait timeout, deadlock, WSREP not ready, shutdown, a query
 * or connection that was killed, read-only mode.
 */
const passing = [1205, 1213, 1047, 1053, 1077, 1078, 1079, 1317, 1836, 1927, 3101, 3169, 4031];

/** Rights that are missing: on a database, a table or column, of an administrator, to make users by GRANT. */
const missingRights = [1044, 1045, 1142, 1143, 1227, 1370, 1410];

/** Waits for the server and for its turn, and makes what is missing; anew where the connection breaks. */
export async function performMysql(
  wanted: WantedMysql,
  how: MysqlPerforming,
  context: Context,
): Promise<Outcome> {
  const { clock, signal, log } = context;
  const startedAt = clock.now();
  const tools = {
    resolve: remembered(createResolver(context), clock),
    clock,
    redact: context.redactor.redact,
    signal,
  };
  const did: string[] = [];
  let raced = false;
  for (let said: string | undefined; ;) {
    const turn = await takeMysqlTurn(wanted, how.server, tools, context);
    if ('kind' in turn) return turn;
    try {
      const shown = await make(wanted, how, turn, did, context);
      if (how.dryRun) {
        context.stdout(`${JSON.stringify({ statements: shown })}\n`);
        return printed('printed what would be run');
      }
      const elapsed = formatDuration(clock.now() - startedAt);
      return done(
        did.length === 0
          ? `${wanted.database}: nothing was changed, in ${elapsed}`
          : `${did.join(', ')}, in ${elapsed}`,
      );
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      const refused = error instanceof StatementRefused ? error : undefined;
      const cause: unknown = refused?.cause ?? error;
      // Somebody has made that user since; where it is still missing the next time, it is something else.
      const isRace: boolean = cause instanceof MysqlRefusal && cause.code === cannotUser && !raced;
      raced ||= isRace;
      const words = passingWords(cause, isRace, turn.peer, tools.redact);
      if (words === undefined) throw refused ? new Failure(refused.outcome(turn, tools.redact)) : error;
      if (words !== said) log.info(`${words}; trying again`);
      said = words;
      await sleep(clock, pause, signal);
    } finally {
      turn[Symbol.dispose]();
    }
  }
}

/** Undefined where trying again changes nothing. @param isRace somebody else was at it */
function passingWords(
  error: unknown,
  isRace: boolean,
  peer: string,
  redact: (text: string) => string,
): string | undefined {
  if (!(error instanceof MysqlRefusal))
    return isConnectionFault(error) ? brokenAnswer(error, peer).reason : undefined;
  // A server in read-only mode says which of its options forbids it.
  const passes =
    isRace || passing.includes(error.code) || (error.code === 1290 && /read-only/.test(error.message));
  return passes ? mysqlErrorWords(error, peer, redact) : undefined;
}

function isConnectionFault(error: unknown): boolean {
  return (
    error instanceof ConnectionEnded ||
    error instanceof NotMysql ||
    error instanceof AnswerTooLong ||
    /^(?:E[A-Z]+|ERR_SSL_\w+)$/.test((error as NodeJS.ErrnoException).code ?? '')
  );
}

function brokenAnswer(error: unknown, peer: string): NotYet | Never {
  return judgeMysqlFault(error, peer) ?? judgeConnection(error, peer);
}

/** A lock's name has up to 64 characters, and is the whole server's. */
function lockName({ database }: WantedMysql): string {
  return `initbox create-database ${createHash('sha256').update(database).digest('hex').slice(0, 32)}`;
}

/** A session whose turn it is. */
async function takeMysqlTurn(
  wanted: WantedMysql,
  server: MysqlServer,
  tools: TalkContext & { readonly signal: AbortSignal },
  context: Context,
): Promise<MysqlSession | Failed> {
  let session: MysqlSession | undefined;
  const attempt = async (probe: Probe): Promise<Answer> => {
    if (session?.alive !== true) {
      const connected = await connectMysql(server, tools, probe);
      if (connected.state !== 'connected') return connected;
      ({ session } = connected);
    }
    const { peer } = session;
    const cut = (): void => session?.[Symbol.dispose]();
    probe.signal.addEventListener('abort', cut, { once: true });
    try {
      probe.phase(`asking ${peer} for its turn`);
      return await askForTurn(session, wanted, context);
    } catch (error) {
      if (error instanceof MysqlRefusal) return judgeMysqlError(error, peer, tools.redact);
      if (probe.signal.aborted) return notYet(`no answer (${peer})`);
      if (isConnectionFault(error)) return brokenAnswer(error, peer);
      throw error;
    } finally {
      probe.signal.removeEventListener('abort', cut);
    }
  };
  try {
    const report = await waitFor(
      [bounded({ name: 'the server', attempt }, attemptTime, context.clock)],
      { schedule: proportional(), policy: once, overlap: 1 },
      context,
    );
    if (report.result === 'satisfied' && session?.alive === true) return session;
    session?.[Symbol.dispose]();
    const [only] = report.targets;
    if (report.result === 'never' && only?.status !== undefined)
      return failed(only.status, only.words, { hint: only.hint });
    return waitOutcome(report) as Failed;
  } catch (error) {
    session?.[Symbol.dispose]();
    throw error;
  }
}

async function askForTurn(
  session: MysqlSession,
  wanted: WantedMysql,
  { log }: Pick<Context, 'log'>,
): Promise<Answer> {
  const { peer } = session;
  const [[readOnly, engine] = []] = await session.query(
    'SELECT @@GLOBAL.read_only, @@GLOBAL.innodb_read_only',
  );
  // MariaDB 12 says OFF, ON, NO_LOCK …; a reader of Aurora has the second on alone.
  if (![readOnly, engine].every((value) => value === '0' || value === 'OFF'))
    return notYet(`takes no writes, where a primary is required (${peer})`, {
      hint: 'read_only is on: it is a replica, or a failover is under way',
    });
  let got: string | undefined;
  try {
    got = (await session.query(`SELECT GET_LOCK('${lockName(wanted)}', 0)`))[0]?.[0];
  } catch (error) {
    if (!(error instanceof MysqlRefusal)) throw error;
    // Clusters of Galera may forbid it. Each statement is right without it, too: then those that meet try again.
    log.debug(`the server grants no locks (${error.code}): going on without one`);
    got = '1';
  }
  if (got === '1') return satisfied('it is its turn');
  return notYet(`another run makes ${wanted.database} (${peer})`);
}

/** @returns the statements, as they may be shown */
async function make(
  wanted: WantedMysql,
  { password, dryRun }: MysqlPerforming,
  session: MysqlSession,
  did: string[],
  context: Context,
): Promise<readonly string[]> {
  const { log, signal } = context;
  const facts = await factsOf(session, wanted, context.redactor.redact);
  const name = wanted.database;
  for (const difference of mysqlDifferences(wanted, facts))
    log.warn(
      `the database ${name} ${difference}: it is left so; ALTER DATABASE changes it for tables that are made after that`,
    );
  checkUsers(wanted, facts, password !== undefined);
  const newPassword = password && (await passwordToSet(wanted, facts, password, signal));
  if (newPassword !== undefined) context.redactor.secret(newPassword.hash);
  for (const barrier of mysqlBarriers(wanted, facts, newPassword !== undefined))
    log.warn(`the user ${wanted.owner}@${wanted.userHost} cannot log in: ${barrier}`);
  const steps = mysqlSteps(wanted, facts, newPassword);
  if (dryRun) return steps.map(({ shown }) => shown);
  for (const step of steps) {
    try {
      await session.query(step.sql);
      did.push(step.done);
    } catch (error) {
      if (!(error instanceof MysqlRefusal)) throw error;
      if (error.code !== step.doneAlready)
        throw new StatementRefused(step, facts.me, await firstRefusal(error, session));
    }
  }
  return [];
}

/** Of a user that cannot be made or changed, MariaDB says why in an error before that one. */
async function firstRefusal(refusal: MysqlRefusal, session: MysqlSession): Promise<MysqlRefusal> {
  if (refusal.code !== cannotUser) return refusal;
  const [[level, code = '', message = ''] = []] = await session.query('SHOW WARNINGS');
  return level === 'Error' ? new MysqlRefusal({ code: Number(code), message }) : refusal;
}

/** @throws StatementRefused where the user may not look */
async function factsOf(
  session: MysqlSession,
  wanted: WantedMysql,
  redact: (text: string) => string,
): Promise<MysqlFacts> {
  try {
    return await readMysqlFacts(session, wanted, redact);
  } catch (error) {
    if (!(error instanceof MysqlRefusal)) throw error;
    const step = { shown: 'SELECT … FROM mysql.user, SHOW GRANTS', needs: 'SELECT on mysql.*' };
    throw new StatementRefused(step, undefined, error);
  }
}

/** @throws Failure where a user is missing that is not made, or whose way to log in is not known here */
function checkUsers(wanted: WantedMysql, facts: MysqlFacts, hasPassword: boolean): void {
  const { owner, userHost } = wanted;
  const refuse = (what: string, hint: string): never => {
    throw new Failure(failed(exitStatus.refused, what, { hint }));
  };
  if (owner !== undefined && !facts.accounts.has(owner) && !hasPassword)
    refuse(
      `there is no user ${owner}@${userHost}, and without a password anybody could log in as a new one`,
      'give --owner-password-file or --owner-password-env; --user-host, where the user is there with another host',
    );
  if (owner !== undefined && hasPassword && ownerPlugin(wanted, facts) === undefined) {
    const plugin = facts.accounts.get(owner)?.plugin ?? '';
    const shown = /^\w{1,40}$/.test(plugin) ? plugin : plugin === '' ? 'several plugins' : 'a plugin';
    refuse(
      `the user ${owner}@${userHost} logs in by ${shown}, whose passwords are not known here`,
      'leave the password out to keep that, or name the plugin that takes its place by --auth-plugin',
    );
  }
  for (const { user } of wanted.grants)
    if (user !== owner && !facts.accounts.has(user))
      refuse(
        `there is no user ${user}@${userHost} for --grant`,
        'only the owner is made; --user-host, where the user is there with another host',
      );
}

/** Undefined where the owner has this password already. */
async function passwordToSet(
  wanted: WantedMysql,
  facts: MysqlFacts,
  password: Secret,
  signal: AbortSignal,
): Promise<NewPassword | undefined> {
  const plugin = ownerPlugin(wanted, facts);
  if (wanted.owner === undefined || plugin === undefined) return undefined;
  const account = facts.accounts.get(wanted.owner);
  if (account?.plugin === plugin && (await isMysqlHashOf(plugin, account.stored, password.reveal(), signal)))
    return undefined;
  return { plugin, hash: await mysqlPasswordHash(plugin, password.reveal(), signal) };
}

/** A refusal with the statement that was refused. */
class StatementRefused extends Error {
  readonly #step: Pick<MysqlStep, 'shown' | 'needs'>;
  readonly #me: string | undefined;
  override readonly cause: MysqlRefusal;

  constructor(step: Pick<MysqlStep, 'shown' | 'needs'>, me: string | undefined, cause: MysqlRefusal) {
    super('a statement was refused');
    this.#step = step;
    this.#me = me;
    this.cause = cause;
  }

  outcome({ peer }: MysqlSession, redact: (text: string) => string): Failed {
    const { code } = this.cause;
    const words = mysqlErrorWords(this.cause, peer, redact);
    const details = [`the statement: ${this.#step.shown}`];
    if (missingRights.includes(code))
      return failed(
        exitStatus.refused,
        `the user ${this.#me ?? 'that is logged in'} may not do it: ${words}`,
        {
          details,
          hint: `it lacks ${this.#step.needs}: grant that, or let somebody who may run the statement`,
        },
      );
    // Other options of a server forbid statements by the same number.
    const checks = code !== 1290 || this.cause.message.includes('strict-password-validation');
    return failed(exitStatus.refused, words, { details, hint: checks ? statementHints[code] : undefined });
  }
}

/** What to look at, by the number of the error. */
const statementHints: Readonly<Record<number, string>> = {
  1115: 'SHOW CHARACTER SET lists those that the server has',
  1253: 'a collation is of one character set: utf8mb4_bin of utf8mb4',
  1273: 'SHOW COLLATION lists those that the server has',
  1290: 'a plugin of the server that checks passwords takes no hashes (strict_password_validation of MariaDB): make the user by hand, and leave the password out here',
  1524: 'the server has not loaded that plugin: another --auth-plugin, or load it (mysql_native_password is off since MySQL 8.4, ed25519 is a plugin of MariaDB)',
};
