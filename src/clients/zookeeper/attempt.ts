import { exitStatus } from '../../core/exit-status.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type NotYet,
  type Probe,
  type Satisfied,
} from '../../wait/attempt.ts';
import {
  AnswerTooLong,
  ConnectionEnded,
  type ServerConversation,
  type TakeAnswer,
} from '../connection/conversation.ts';
import type { ConnectionContext, ConnectionPlace } from '../connection/open.ts';
import { talkTo } from '../connection/talk.ts';

export interface ZookeeperDemands {
  readonly endpoints: readonly ConnectionPlace['endpoint'][];
  /** Undefined without TLS. */
  readonly tls: ConnectionPlace['tls'];
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  /** How many of the servers must serve. */
  readonly quorum: number;
  /** Paths that must be there. */
  readonly nodes: readonly string[];
}

/** What answers does not speak ZooKeeper's protocol. */
class NotZookeeper extends Error {}

interface Talk {
  readonly conversation: ServerConversation;
  readonly probe: Probe;
}

/**
 * One attempt: a session at each server, which it grants once it is part of a quorum, and what must be there. The few
 * bytes are our own. The words ruok and mntr are turned off unless a server lists them (4lw.commands.whitelist), and say
 * nothing of what a client can do.
 */
export async function attemptZookeeper(
  demands: ZookeeperDemands,
  context: ConnectionContext,
  probe: Probe,
): Promise<Answer> {
  const answers = await Promise.all(
    demands.endpoints.map((endpoint) => attemptOne(endpoint, demands, context, probe)),
  );
  const final = answers.find((answer) => answer.state === 'never');
  if (final !== undefined) return final;
  const serving = answers.filter((answer): answer is Satisfied => answer.state === 'satisfied');
  const [first] = serving;
  if (first !== undefined && serving.length >= demands.quorum)
    return demands.endpoints.length === 1
      ? first
      : satisfied(`${serving.length} of ${demands.endpoints.length} servers serve; ${first.seen}`);
  const missing = answers.filter((answer): answer is NotYet => answer.state === 'not-yet');
  const reason = [...new Set(missing.map((answer) => answer.reason))].join('; ');
  const hint = missing.find((answer) => answer.hint !== undefined)?.hint;
  const absent = serving.length === 0 && missing.every((answer) => answer.absent === true);
  return notYet(
    demands.endpoints.length === 1
      ? reason
      : `${serving.length} of ${demands.quorum} servers serve: ${reason}`,
    { hint, absent },
  );
}

async function attemptOne(
  endpoint: ConnectionPlace['endpoint'],
  demands: ZookeeperDemands,
  context: ConnectionContext,
  probe: Probe,
): Promise<Answer> {
  let granted = false;
  return talkTo(
    { endpoint, tls: demands.tls },
    context,
    probe,
    async (conversation) => {
      const talk: Talk = { conversation, probe };
      await beginSession(talk);
      granted = true;
      probe.reached?.('protocol');
      return (
        (await logIn(talk, demands)) ?? (await findNodes(talk, demands.nodes)) ?? (await endSession(talk))
      );
    },
    (error, peer) => {
      if (error instanceof NotZookeeper || error instanceof AnswerTooLong)
        return notYet(`what answers there is not ZooKeeper (${peer})`, {
          hint: 'is it the right port? clients have 2181, and 2281 or so with TLS (zookeepers://)',
        });
      // It closes the connection instead of granting a session (ZooKeeperServer.processConnectRequest, NIOServerCnxn).
      if (error instanceof ConnectionEnded && !granted)
        return notYet(`grants no session (${peer})`, {
          hint: 'it is not part of a quorum yet: look at its log, at the other servers, and whether it wants TLS (zookeepers://)',
        });
      return undefined;
    },
  );
}

/** A frame is a length of four bytes and as many bytes (https://zookeeper.apache.org, zookeeper.jute). */
const takeFrame: TakeAnswer<Buffer> = (heard) => {
  if (heard.length < 4) return undefined;
  const length = heard.readInt32BE(0);
  if (length < 0 || length > longest) throw new NotZookeeper();
  if (heard.length < 4 + length) return undefined;
  return { value: heard.subarray(4, 4 + length), length: 4 + length };
};

/** More than any answer to what is asked here has. */
const longest = 8192;

/** Milliseconds that the session asks to live; it is ended before. */
const sessionTime = 10_000;

/** ConnectRequest: version 0, no transaction seen, the time, no session to resume, a password of 16 zeros, not read-only. */
async function beginSession({ conversation, probe }: Talk): Promise<void> {
  probe.phase(`asking ${conversation.peer} for a session`);
  const request = Buffer.alloc(45);
  request.writeInt32BE(sessionTime, 12);
  request.writeInt32BE(16, 24);
  conversation.write(framed(request));
  const answer = await conversation.read(takeFrame);
  if (answer.length < 36 || answer.readInt32BE(0) !== 0 || answer.readInt32BE(16) !== 16)
    throw new NotZookeeper();
  // A session that has ended already.
  if (answer.readInt32BE(4) <= 0) throw new NotZookeeper();
}

/** Operations (ZooDefs.OpCode). */
const operation = { exists: 3, auth: 100, close: -11 } as const;

/** Errors (KeeperException.Code). */
const code = { noNode: -101, noAuth: -102, authFailed: -115 } as const;

/** Their names, and what is behind some (org.apache.zookeeper.KeeperException.Code). */
const errors: Readonly<Record<number, readonly [name: string, hint?: string]>> = {
  [-1]: ['SystemError'],
  [-2]: ['RuntimeInconsistency', 'its data contradict each other: look at its log'],
  [-3]: ['DataInconsistency', 'its data contradict each other: look at its log'],
  [-4]: ['ConnectionLoss', 'the server has lost its quorum: look at the other servers'],
  [-5]: ['MarshallingError'],
  [-6]: ['Unimplemented', 'the server is too old, or something else than ZooKeeper answers'],
  [-7]: ['OperationTimeout', 'the server is overloaded, or has lost its quorum'],
  [-8]: ['BadArguments'],
  [-13]: ['NewConfigNoQuorum'],
  [-14]: ['ReconfigInProgress', 'the servers change who belongs to the quorum: it is waited for'],
  [-15]: ['UnknownSession'],
  [-100]: ['APIError'],
  [-101]: ['NoNode'],
  [-102]: ['NoAuth'],
  [-103]: ['BadVersion'],
  [-108]: ['NoChildrenForEphemerals'],
  [-110]: ['NodeExists'],
  [-111]: ['NotEmpty'],
  [-112]: ['SessionExpired', 'the server was too busy to keep the session'],
  [-113]: ['InvalidCallback'],
  [-114]: ['InvalidACL'],
  [-115]: ['AuthFailed'],
  [-118]: ['SessionMoved', 'something between has moved the connection to another server'],
  [-119]: ['NotReadOnly', 'the server is read-only, without a quorum'],
  [-120]: ['EphemeralOnLocalSession'],
  [-121]: ['NoWatcher'],
  [-122]: ['RequestTimeout', 'the server is overloaded, or has lost its quorum'],
  [-123]: ['ReconfigDisabled'],
  [-124]: ['SessionClosedRequireSaslAuth', 'the server takes only logins by SASL (requireClientAuthScheme)'],
  [-125]: ['QuotaExceeded'],
  [-127]: ['Throttled', 'the server has too many requests, and throws some away'],
};

function errorOf(error: number, what: string, peer: string): NotYet {
  const [name, hint] = errors[error] ?? [];
  return notYet(`error ${error}${name === undefined ? '' : ` (${name})`} ${what} (${peer})`, { hint });
}

async function logIn(talk: Talk, { user, password }: ZookeeperDemands): Promise<Answer | undefined> {
  if (user === undefined) return undefined;
  const { peer } = talk.conversation;
  talk.probe.phase(`logging in to ${peer}`);
  const error = await ask(
    talk,
    -4,
    operation.auth,
    Buffer.concat([number(0), text('digest'), text(`${user}:${password?.reveal() ?? ''}`)]),
  );
  if (error === code.authFailed)
    return never(
      exitStatus.refused,
      `refuses the login of this user (${peer})`,
      'it has no digest logins, or refuses this one: look at its log',
    );
  if (error !== 0) return errorOf(error, 'at the login', peer);
  talk.probe.reached?.('login');
  return undefined;
}

async function findNodes(talk: Talk, nodes: readonly string[]): Promise<Answer | undefined> {
  const { peer } = talk.conversation;
  let transaction = 0;
  for (const path of nodes) {
    talk.probe.phase(`asking ${peer} for ${JSON.stringify(path)}`);
    const error = await ask(
      talk,
      (transaction += 1),
      operation.exists,
      Buffer.concat([text(path), Buffer.alloc(1)]),
    );
    if (error === code.noNode)
      return notYet(`has no node ${JSON.stringify(path)} (${peer})`, {
        hint: 'whoever makes it has not done so yet; or has the URL or the client a chroot?',
        absent: true,
      });
    if (error === code.noAuth)
      return never(
        exitStatus.refused,
        `no right to see ${JSON.stringify(path)} (${peer})`,
        'give user and password-file, or read to this user (setAcl)',
      );
    if (error !== 0) return errorOf(error, `for ${JSON.stringify(path)}`, peer);
  }
  return undefined;
}

/** So that the server need not keep the session until its time is over. */
async function endSession(talk: Talk): Promise<Answer> {
  await ask(talk, 1_000_000, operation.close, Buffer.alloc(0));
  return satisfied(`grants a session (${talk.conversation.peer})`);
}

/** @returns the error in the answer's head; 0 where there is none */
async function ask(
  { conversation }: Talk,
  transaction: number,
  type: number,
  request: Buffer,
): Promise<number> {
  conversation.write(framed(Buffer.concat([number(transaction), number(type), request])));
  const answer = await conversation.read(takeFrame);
  if (answer.length < 16 || answer.readInt32BE(0) !== transaction) throw new NotZookeeper();
  return answer.readInt32BE(12);
}

function framed(bytes: Buffer): Buffer {
  return Buffer.concat([number(bytes.length), bytes]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([number(bytes.length), bytes]);
}
