import { excerpt } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type Never,
  type NotYet,
  type Probe,
} from '../../wait/attempt.ts';
import { AnswerTooLong, type ServerConversation, type TakeAnswer } from '../connection/conversation.ts';
import { startTls, type ConnectionContext, type ConnectionPlace } from '../connection/open.ts';
import { talkTo, type TalkContext } from '../connection/talk.ts';

export interface NatsDemands {
  readonly endpoint: ConnectionPlace['endpoint'];
  /** How the server is verified where it has TLS. */
  readonly tls: NonNullable<ConnectionPlace['tls']>;
  /** A server without TLS is not taken. */
  readonly secure: boolean;
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  readonly token: Secret | undefined;
  /** Streams of JetStream that must be there. */
  readonly streams: readonly string[];
}

/** What answers does not speak NATS. */
class NotNats extends Error {}

/** What the server says instead of going on. */
class NatsRefusal extends Error {}

/** Characters of a server's words that are shown. */
const mostShown = 300;

interface Talk {
  readonly conversation: ServerConversation;
  readonly demands: NatsDemands;
  readonly probe: Probe;
  readonly redact: (text: string) => string;
}

/** What a server says of itself (https://docs.nats.io/reference/reference-protocols/nats-protocol#info). */
interface NatsInfo {
  readonly version: string;
  readonly tlsRequired: boolean;
  readonly tlsAvailable: boolean;
  readonly authRequired: boolean;
  /** Lame duck mode: it asks its clients to go elsewhere. */
  readonly leaving: boolean;
}

/**
 * One attempt: INFO, TLS where the server asks for it, CONNECT, PING, its streams. A few lines of our own: NATS' client
 * takes 52 ms of CPU to load, as much as all of initbox.
 */
export async function attemptNats(demands: NatsDemands, context: TalkContext, probe: Probe): Promise<Answer> {
  const { redact } = context;
  return talkTo(
    { endpoint: demands.endpoint, tls: undefined },
    context,
    probe,
    (conversation) => greet({ conversation, demands, probe, redact }, context),
    (error, peer) => judgeFault(error, peer, redact),
  );
}

function judgeFault(
  error: unknown,
  peer: string,
  redact: (text: string) => string,
): NotYet | Never | undefined {
  if (error instanceof NatsRefusal) return judgeRefusal(error.message, peer, redact);
  if (error instanceof NotNats || error instanceof AnswerTooLong)
    return notYet(`what answers there is not NATS (${peer})`, {
      hint: 'is it the right port? clients have 4222, the monitor 8222, routes 6222',
    });
  return undefined;
}

async function greet(talk: Talk, context: ConnectionContext): Promise<Answer> {
  const { conversation, demands, probe } = talk;
  const { peer } = conversation;
  probe.phase(`waiting for the greeting of ${peer}`);
  const info = readInfo(await conversation.read(takeLine));
  if (demands.secure && !info.tlsRequired && !info.tlsAvailable)
    return never(
      exitStatus.refused,
      `the server has TLS turned off (${peer})`,
      'turn it on in the server, or write nats:// where the network may be trusted',
    );
  let secured: ServerConversation | undefined;
  if (info.tlsRequired || demands.secure) {
    const started = await startTls(conversation, demands.endpoint, demands.tls, context, probe);
    if ('state' in started) return started;
    secured = started;
  }
  using over = secured ?? conversation;
  probe.reached?.('protocol');
  if (info.leaving)
    return notYet(`is about to stop, and asks its clients to leave (lame duck mode; ${peer})`, {
      hint: 'wait for the server that takes its place',
    });
  return await logIn({ ...talk, conversation: over }, info);
}

async function logIn(talk: Talk, info: NatsInfo): Promise<Answer> {
  const { conversation, demands, probe, redact } = talk;
  const { peer } = conversation;
  const { user, password, token } = demands;
  if (info.authRequired && user === undefined && token === undefined)
    return never(
      exitStatus.refused,
      `the server wants a login (${peer})`,
      'give user and password-file (or password-env), or token-file',
    );
  probe.phase(`logging in to ${peer}`);
  const options = {
    verbose: false,
    pedantic: false,
    lang: 'initbox',
    version: '1',
    protocol: 1,
    headers: true,
    no_responders: true,
    ...(token === undefined
      ? user !== undefined && { user, pass: password?.reveal() ?? '' }
      : { auth_token: token.reveal() }),
  };
  conversation.write(`CONNECT ${JSON.stringify(options)}\r\nPING\r\n`);
  await nextLine(conversation, 'PONG');
  probe.reached?.('login');
  for (const stream of demands.streams) {
    const answer = await findStream(talk, stream);
    if (answer !== undefined) return answer;
  }
  const shown = redact(info.version)
    .replaceAll(/[^\w.+-]/g, '')
    .slice(0, 40);
  return satisfied(`answers PING (${shown}, ${peer})`);
}

/**
 * Asks JetStream for a stream (https://docs.nats.io/reference/reference-protocols/nats_api_reference).
 * @returns undefined where it is there
 */
async function findStream(talk: Talk, stream: string): Promise<Answer | undefined> {
  const { conversation, probe, redact } = talk;
  const { peer } = conversation;
  const shown = JSON.stringify(stream);
  probe.phase(`asking ${peer} for the stream ${shown}`);
  const inbox = `_INBOX.initbox${Math.random().toString(36).slice(2)}`;
  conversation.write(
    `SUB ${inbox} 1\r\nPUB $JS.API.STREAM.INFO.${stream} ${inbox} 0\r\n\r\nUNSUB 1 1\r\nPING\r\n`,
  );
  const line = await nextLine(conversation, 'MSG', 'HMSG', 'PONG');
  // Nobody has answered when the PONG comes: JetStream is another thread of the server.
  const found = line.startsWith('PONG') ? await nextLine(conversation, 'MSG', 'HMSG') : line;
  const length = Number(/ (\d{1,9})$/.exec(found)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(length)) throw new NotNats();
  const body = await conversation.read(
    (heard) =>
      heard.length < length + 2
        ? undefined
        : { value: heard.toString('utf8', 0, length), length: length + 2 },
    mostBody,
  );
  if (!line.startsWith('PONG')) await nextLine(conversation, 'PONG');
  if (found.startsWith('HMSG'))
    return notYet(`JetStream does not answer (${peer})`, {
      hint: 'it is still starting or has no leader yet, or the server has JetStream turned off (jetstream: enabled)',
    });
  const error = errorIn(body);
  if (error === undefined) return judgeStream(parsed(body), stream, peer);
  const said = excerpt(error.description, mostShown, redact);
  // JSStreamNotFoundErr, JSNotEnabledForAccountErr (https://github.com/nats-io/nats-server/blob/main/server/errors.json).
  if (error.number === 10_059)
    return notYet(`has no stream ${shown} (${peer})`, {
      hint: 'whoever makes it has not done so yet; or is it in another account?',
      absent: true,
    });
  if (error.number === 10_039)
    return never(
      exitStatus.refused,
      `${said} (${peer})`,
      'the account of this user has no JetStream: is it the right user?',
    );
  return notYet(`${said} (${error.number}, ${peer})`);
}

/** @returns undefined where the answer is of this stream, which can take messages */
function judgeStream(
  answer: Readonly<Record<string, unknown>>,
  stream: string,
  peer: string,
): NotYet | undefined {
  const [config, cluster] = [recordAt(answer, 'config'), recordAt(answer, 'cluster')];
  if (answer['type'] !== 'io.nats.jetstream.api.v1.stream_info_response' || config?.['name'] !== stream)
    return notYet(`what answers for the stream ${JSON.stringify(stream)} is not JetStream (${peer})`, {
      hint: 'does another client subscribe to $JS.API.>?',
    });
  // Of a server alone there is none, or it names that server.
  if (cluster === undefined || (typeof cluster['leader'] === 'string' && cluster['leader'] !== ''))
    return undefined;
  return notYet(`the stream ${JSON.stringify(stream)} has no leader (${peer})`, {
    hint: 'an election needs most of the servers that hold it: are their pods up?',
  });
}

function recordAt(
  record: Readonly<Record<string, unknown>>,
  name: string,
): Readonly<Record<string, unknown>> | undefined {
  const value = record[name];
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

/** More than what is said of a stream has. */
const mostBody = 1 << 20;

function errorIn(body: string): { readonly number: number; readonly description: string } | undefined {
  const { error } = parsed(body);
  if (typeof error !== 'object' || error === null) return undefined;
  const { err_code: number, description } = error as Record<string, unknown>;
  return { number: Number(number), description: String(description) };
}

/** The next line that begins with one of these words; what the server asks in between is answered. */
async function nextLine(conversation: ServerConversation, ...words: readonly string[]): Promise<string> {
  for (let count = 0; count < 100; count += 1) {
    const line = await conversation.read(takeLine);
    const [word = ''] = line.split(' ');
    if (words.includes(word)) return line;
    if (word === '-ERR') throw new NatsRefusal(line.slice('-ERR '.length));
    if (word === 'PING') conversation.write('PONG\r\n');
    else if (word !== 'INFO' && word !== '+OK') throw new NotNats();
  }
  throw new NotNats();
}

const takeLine: TakeAnswer<string> = (heard) => {
  const end = heard.indexOf('\r\n');
  return end < 0 ? undefined : { value: heard.toString('utf8', 0, end), length: end + 2 };
};

function readInfo(line: string): NatsInfo {
  if (line.startsWith('-ERR ')) throw new NatsRefusal(line.slice('-ERR '.length));
  if (!line.startsWith('INFO ')) throw new NotNats();
  const info = parsed(line.slice('INFO '.length));
  return {
    version: typeof info['version'] === 'string' ? info['version'] : '',
    tlsRequired: info['tls_required'] === true,
    tlsAvailable: info['tls_available'] === true,
    authRequired: info['auth_required'] === true,
    leaving: info['ldm'] === true,
  };
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new NotNats();
  }
  if (typeof value !== 'object' || value === null) throw new NotNats();
  return value as Readonly<Record<string, unknown>>;
}

/** What waiting does not change, and what to look at. */
const final: readonly (readonly [words: RegExp, hint: string])[] = [
  [
    /authorization violation/i,
    'is the Secret that holds the password or token the one of this server’s user? Accounts of operators (nkeys, JWT) are not supported',
  ],
  [
    /authentication expired|account authentication/i,
    'the user or account is no longer valid: make it a new one',
  ],
  [
    /permissions violation/i,
    'the user lacks the right to publish to $JS.API.STREAM.INFO.> or to subscribe to _INBOX.>',
  ],
  [/tls required/i, 'the server takes only connections with TLS: natss://'],
];

function judgeRefusal(text: string, peer: string, redact: (text: string) => string): NotYet | Never {
  const said = `${excerpt(text, mostShown, redact)} (${peer})`;
  const found = final.find(([words]) => words.test(text));
  if (found !== undefined) return never(exitStatus.refused, said, found[1]);
  return notYet(said, {
    hint: /maximum|exceeded/i.test(text)
      ? 'other clients hold all of its connections: look at max_connections and at the account’s limits'
      : undefined,
  });
}
