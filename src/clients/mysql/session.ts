import { reasonOf } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { AnswerTooLong, type ServerConversation } from '../connection/conversation.ts';
import { startTls, type ConnectionPlace } from '../connection/open.ts';
import { startTalk, type TalkContext } from '../connection/talk.ts';
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

/** A server, and who logs in to it. */
export interface MysqlServer extends MysqlLogin {
  readonly endpoint: ConnectionPlace['endpoint'];
  /** Undefined without TLS. */
  readonly tls: ConnectionPlace['tls'];
  /** A server without TLS is taken, too. */
  readonly tlsOptional: boolean;
}

/** A conversation in which somebody is logged in. */
interface LoggedIn {
  /** Over TLS, where there is some; not the one that was handed in. */
  readonly conversation: ServerConversation;
  /** As the server writes it: `5.5.5-10.11.19-MariaDB`. */
  readonly version: string;
}

/** Values of a row, in their order; undefined for NULL. */
export type MysqlRow = readonly (string | undefined)[];

/** What a statement came to. */
type MysqlResult = { readonly rows: readonly MysqlRow[] } | { readonly error: MysqlError };

/** What a server's faults mean for whoever waits for it; undefined for those of the connection. */
export function judgeMysqlFault(error: unknown, peer: string): NotYet | Never | undefined {
  if (error instanceof CannotLogIn)
    return never(exitStatus.refused, `${error.message} (${peer})`, error.hint);
  if (error instanceof NotMysql || error instanceof AnswerTooLong)
    return notYet(`what answers there is not MySQL or MariaDB (${peer})`, {
      hint: 'is it the right port? a new Service can lead elsewhere until this node’s kube-proxy knows it',
    });
  return undefined;
}

/**
 * The greeting, TLS, a login.
 * @throws NotMysql, CannotLogIn, and what a conversation throws
 */
export async function enterMysql(
  conversation: ServerConversation,
  server: MysqlServer,
  context: TalkContext,
  probe: Probe,
): Promise<LoggedIn | NotYet | Never> {
  const { peer } = conversation;
  probe.phase(`waiting for the greeting of ${peer}`);
  const { sequence, payload } = await conversation.read(takeMysqlPacket);
  const refusal = mysqlErrorIn(payload);
  if (refusal !== undefined) {
    probe.reached?.('protocol');
    return judgeMysqlError(refusal, peer, context.redact);
  }
  const greeting = readMysqlGreeting(payload);
  const offered = (greeting.capabilities & mysqlCapability.tls) !== 0;
  const { tls } = server;
  if (tls !== undefined && !offered && !server.tlsOptional)
    return never(
      exitStatus.refused,
      `the server has TLS turned off (${peer})`,
      'turn it on in the server (ssl_cert, ssl_key), or set ssl-mode=preferred where the network may be trusted',
    );
  let secured: ServerConversation | undefined;
  if (tls !== undefined && offered) {
    conversation.write(
      mysqlPacket(sequence + 1, mysqlClientHead(greeting, true, server.database !== undefined)),
    );
    const started = await startTls(conversation, server.endpoint, tls, context, probe);
    if ('state' in started) return started;
    secured = started;
  }
  const over = secured ?? conversation;
  try {
    probe.reached?.('protocol');
    probe.phase(`logging in to ${peer}`);
    const refused = await logInToMysql(
      over,
      greeting,
      server,
      secured === undefined ? 'none' : tls?.verify === true ? 'verified' : 'unverified',
      sequence + (secured === undefined ? 1 : 2),
    );
    if (refused === undefined) return { conversation: over, version: greeting.version };
    over[Symbol.dispose]();
    return judgeMysqlError(refused, peer, context.redact);
  } catch (error) {
    over[Symbol.dispose]();
    throw error;
  }
}

/** Packets, and bytes in them, that an answer has at most: a user may have thousands of rights. */
const mostPackets = 50_000;
const mostBytes = 4 * 1024 * 1024;

/** Runs one statement. @throws NotMysql, and what a conversation throws */
export async function askMysql(conversation: ServerConversation, statement: string): Promise<MysqlResult> {
  conversation.write(mysqlPacket(0, Buffer.from(`\u0003${statement}`)));
  const rows: MysqlRow[] = [];
  let ends = 0;
  let bytes = 0;
  for (let count = 0; count < mostPackets && bytes < mostBytes; count += 1) {
    const { payload } = await conversation.read(takeMysqlPacket);
    bytes += payload.length;
    const error = mysqlErrorIn(payload);
    if (error !== undefined) return { error };
    // A statement without a result; a request for a local file, which is not granted (0xfb).
    if (count === 0 && payload[0] === 0) return { rows };
    if (count === 0 && payload[0] === 0xfb) throw new NotMysql();
    if (payload[0] === 0xfe && payload.length < 9) {
      ends += 1;
      if (ends === 2) return { rows };
    } else if (ends === 1) rows.push(rowIn(payload));
  }
  throw new NotMysql();
}

function rowIn(payload: Buffer): MysqlRow {
  const fields = new MysqlFields(payload);
  const values: (string | undefined)[] = [];
  while (fields.left > 0) values.push(fields.measured());
  return values;
}

/** A server's refusal of a statement. Its message is the server's own, not redacted yet. */
export class MysqlRefusal extends Error {
  readonly code: number;

  constructor({ code, message }: MysqlError) {
    super(message);
    this.code = code;
  }
}

/** A connection that stays open, logged in. */
export interface MysqlSession extends Disposable {
  /** For people: `db:3306, 10.0.0.4`. */
  readonly peer: string;
  /** `5.5.5-10.11.19-MariaDB`, `8.4.6`. */
  readonly version: string;
  /** False once the connection is known to be over. */
  readonly alive: boolean;
  /** @throws MysqlRefusal, NotMysql, what a conversation throws, or the run's reason to end */
  query(statement: string): Promise<readonly MysqlRow[]>;
}

/** Logs in, and stays. @param context whose signal ends the connection at once */
export async function connectMysql(
  server: MysqlServer,
  context: TalkContext & { readonly signal: AbortSignal },
  probe: Probe,
): Promise<{ readonly state: 'connected'; readonly session: MysqlSession } | NotYet | Never> {
  // The attempt's end cuts the login, and not the connection that it leaves.
  const life = new AbortController();
  const cut = (): void => life.abort(reasonOf(probe.signal));
  const end = (): void => life.abort(reasonOf(context.signal));
  if (probe.signal.aborted) cut();
  probe.signal.addEventListener('abort', cut, { once: true });
  context.signal.addEventListener('abort', end, { once: true });
  const through: Probe = { ...probe, signal: life.signal };
  const entered = await startTalk(
    { endpoint: server.endpoint, tls: undefined },
    context,
    through,
    (conversation) => enterMysql(conversation, server, context, through),
    judgeMysqlFault,
  );
  probe.signal.removeEventListener('abort', cut);
  if ('state' in entered) {
    context.signal.removeEventListener('abort', end);
    return entered;
  }
  const { conversation, version } = entered;
  let alive = true;
  const close = (): void => {
    alive = false;
    context.signal.removeEventListener('abort', end);
    conversation[Symbol.dispose]();
  };
  const session: MysqlSession = {
    peer: conversation.peer,
    version,
    get alive() {
      return alive;
    },
    async query(statement) {
      let result: MysqlResult;
      try {
        result = await askMysql(conversation, statement);
      } catch (error) {
        close();
        throw error;
      }
      if ('error' in result) throw new MysqlRefusal(result.error);
      return result.rows;
    },
    [Symbol.dispose]() {
      // COM_QUIT: a server counts and logs connections that only break off.
      if (alive) conversation.write(mysqlPacket(0, Buffer.from([1])));
      close();
    },
  };
  return { state: 'connected', session };
}
