import { createHash, randomBytes } from 'node:crypto';

import { excerpt } from '../../core/excerpt.ts';
import { notYet, satisfied, type Answer, type NotYet, type Probe } from '../../wait/attempt.ts';
import { AnswerTooLong, type ServerConversation, type TakeAnswer } from '../connection/conversation.ts';
import {
  judgeConnection,
  openConversation,
  type ConnectionContext,
  type ConnectionPlace,
} from '../connection/open.ts';
import {
  mostWebSocketBytes,
  NotWebSocket,
  takeWebSocketFrame,
  webSocketFrame,
  webSocketOperation,
} from './frame.ts';

export interface WebSocketDemands {
  readonly place: ConnectionPlace;
  /** The `Host` header. */
  readonly host: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of which the server must choose one; empty where none is asked for. */
  readonly subprotocols: readonly string[];
  /** A message to send first. */
  readonly send: string | undefined;
  /** What a message must be; undefined where none is waited for. */
  readonly expect: MessageDemand | undefined;
}

export interface MessageDemand {
  /** For people: `"ready"`, `/^ready/`. */
  readonly words: string;
  /** Why this attempt cannot find it out, where it cannot. */
  holds(text: string): Promise<boolean | { readonly reason: string; readonly hint: string }>;
}

/** Milliseconds in which a server may answer the end of the conversation, so that it logs no broken connection. */
const parting = 250;

/** Characters of a message that are shown. */
const mostShown = 80;

/** One attempt: the handshake of RFC 6455, and a message where one is waited for. */
export async function attemptWebSocket(
  demands: WebSocketDemands,
  context: ConnectionContext & { readonly redact: (text: string) => string },
  probe: Probe,
): Promise<Answer> {
  const opened = await openConversation(demands.place, context, probe);
  if ('state' in opened) return opened;
  using conversation = opened;
  const { peer } = conversation;
  try {
    const refused = await upgrade(conversation, demands, probe);
    if (refused !== undefined) return refused;
    const missing =
      demands.expect === undefined
        ? undefined
        : await awaitMessage(conversation, demands.expect, demands.send, context.redact, probe);
    if (missing !== undefined) return missing;
    await part(conversation, context);
    return satisfied(
      demands.expect === undefined ? `accepts WebSocket (${peer})` : `said ${demands.expect.words} (${peer})`,
    );
  } catch (error) {
    if (error instanceof NotWebSocket || error instanceof AnswerTooLong)
      return notYet(`what answers there is not WebSocket (${peer})`, {
        hint: 'is it the right port and path, and ws:// or wss:// as the server has TLS?',
      });
    return judgeConnection(error, peer);
  }
}

/** @returns undefined where the server agrees */
async function upgrade(
  conversation: ServerConversation,
  { host, path, headers, subprotocols }: WebSocketDemands,
  probe: Probe,
): Promise<NotYet | undefined> {
  const { peer } = conversation;
  probe.phase(`waiting for ${peer} to upgrade to WebSocket`);
  const key = randomBytes(16).toString('base64');
  const usual = {
    Host: host,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Version': '13',
    'User-Agent': 'initbox',
    ...(subprotocols.length === 0 ? {} : { 'Sec-WebSocket-Protocol': subprotocols.join(', ') }),
  };
  const own = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const lines = [
    ...Object.entries(usual).filter(([name]) => !own.has(name.toLowerCase())),
    ...Object.entries(headers),
  ];
  const text = lines.map(([name, value]) => `${name}: ${value}\r\n`);
  conversation.write(Buffer.from(`GET ${path} HTTP/1.1\r\n${text.join('')}\r\n`, 'latin1'));
  const head = await conversation.read(takeHead, mostWebSocketBytes);
  if (head.status !== 101) {
    probe.reached?.('protocol');
    return notYet(`answered ${head.status} instead of an upgrade (${peer})`, {
      hint: hints[head.status] ?? 'is it the right path, and does whatever is in between pass Upgrade on?',
      absent: true,
      busy: head.status === 429 || head.status === 503 ? {} : undefined,
    });
  }
  // RFC 6455, 4.1: each of them makes the client fail the connection.
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const has = (name: string, word: string): boolean =>
    (head.headers.get(name) ?? '')
      .toLowerCase()
      .split(',')
      .some((element) => element.trim() === word);
  if (!has('upgrade', 'websocket') || !has('connection', 'upgrade')) throw new NotWebSocket();
  if (head.headers.get('sec-websocket-accept') !== accept)
    return notYet(`answered 101 with a Sec-WebSocket-Accept that is not for this request (${peer})`, {
      hint: 'a cache or proxy answers, or a server that is not one of WebSocket',
    });
  if (head.headers.has('sec-websocket-extensions')) throw new NotWebSocket();
  probe.reached?.('protocol');
  const chosen = head.headers.get('sec-websocket-protocol');
  if (
    subprotocols.length === 0 ? chosen === undefined : chosen !== undefined && subprotocols.includes(chosen)
  )
    return undefined;
  if (subprotocols.length === 0) throw new NotWebSocket();
  return notYet(`agrees on no subprotocol of ${subprotocols.join(', ')} (${peer})`, {
    hint: 'does the server have that subprotocol at this path?',
    absent: true,
  });
}

const hints: Readonly<Record<number, string>> = {
  200: 'it answers as an ordinary page: look at the path, and at proxies that must pass Upgrade on',
  400: 'it does not understand the request: look at the path, and at proxies that must pass Upgrade on',
  401: 'it wants credentials: user-file, header-file or header-env',
  403: 'it refuses us: look at the credentials, at an Origin that it wants (header-file), and at a mesh’s or gateway’s policy',
  404: 'nothing is at that path: look at the URL; behind an ingress or gateway, at its routes',
  426: 'it wants another version of WebSocket, or a proxy in between has taken the Upgrade away',
  429: 'it is asked too often, by this or by others',
  502: 'a gateway answers, and what is behind it does not speak: look at the Service that it sends to',
  503: 'it is up, but not ready: look at its readiness probe and at what it waits for itself',
};

interface Head {
  readonly status: number;
  /** By their names in small letters; several of a name are one, with commas. */
  readonly headers: ReadonlyMap<string, string>;
}

const takeHead: TakeAnswer<Head> = (heard) => {
  const begin = heard.toString('latin1', 0, 9);
  if (!'HTTP/1.1 '.startsWith(begin.slice(0, heard.length)) && !/^HTTP\/1\.[01] /.test(begin))
    throw new NotWebSocket();
  const end = heard.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = heard.toString('latin1', 0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(first)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new NotWebSocket();
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === '') throw new NotWebSocket();
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return { value: { status, headers }, length: end + 4 };
};

/** @returns undefined where a message has come that is as it should be */
async function awaitMessage(
  conversation: ServerConversation,
  { words, holds }: MessageDemand,
  send: string | undefined,
  redact: (text: string) => string,
  probe: Probe,
): Promise<NotYet | undefined> {
  const { peer } = conversation;
  probe.phase(`waiting for ${peer} to say ${words}`);
  if (send !== undefined) conversation.write(webSocketFrame(webSocketOperation.text, Buffer.from(send)));
  let said = 'nothing';
  for (let count = 0; count < mostMessages; count += 1) {
    const message = await nextMessage(conversation);
    if (typeof message === 'number')
      return notYet(`said ${said}, without ${words}, and ended with ${message} (${peer})`, {
        hint: closeHints[message],
      });
    const found = await holds(message);
    if (found === true) return undefined;
    if (found !== false) return notYet(`${found.reason} (${peer})`, { hint: found.hint });
    said = JSON.stringify(excerpt(message, mostShown, redact));
    probe.phase(`${peer} said ${said}, without ${words}`);
  }
  return notYet(`said ${mostMessages} messages, without ${words} (${peer})`);
}

/** More than one attempt looks at. */
const mostMessages = 1000;

/** RFC 6455, 7.4.1. */
const closeHints: Readonly<Record<number, string>> = {
  1001: 'the server is about to stop',
  1008: 'it refuses us by a policy of its own: look at the credentials that are sent',
  1011: 'it fails by itself: its own log tells why',
  1012: 'the server restarts',
  1013: 'it is overloaded, or not ready',
};

/** A message as text, or the code with which the server ends the conversation. */
async function nextMessage(conversation: ServerConversation): Promise<string | number> {
  let pieces: Buffer[] | undefined;
  let length = 0;
  for (let count = 0; count < mostMessages; count += 1) {
    const { operation, last, payload } = await conversation.read(takeWebSocketFrame, 2 * mostWebSocketBytes);
    if (operation === webSocketOperation.close) return payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    if (operation === webSocketOperation.ping) {
      conversation.write(webSocketFrame(webSocketOperation.pong, payload));
      continue;
    }
    if (operation === webSocketOperation.pong) continue;
    // A message goes on, or begins: neither may stand in the other's place.
    if ((operation === webSocketOperation.more) !== (pieces !== undefined)) throw new NotWebSocket();
    length += payload.length;
    if (length > mostWebSocketBytes) throw new NotWebSocket();
    pieces = [...(pieces ?? []), payload];
    if (last) return Buffer.concat(pieces).toString();
  }
  throw new NotWebSocket();
}

/** Ends the conversation, and waits a moment for the server to do so too. */
async function part(conversation: ServerConversation, { clock }: ConnectionContext): Promise<void> {
  conversation.write(webSocketFrame(webSocketOperation.close, Buffer.from([1000 >> 8, 1000 & 0xff])));
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const cancel = clock.after(parting, () => resolve(undefined));
  const ended = (async (): Promise<undefined> => {
    // Whatever it says, or how it ends: it has accepted.
    try {
      while (typeof (await nextMessage(conversation)) === 'string');
    } catch {}
    return undefined;
  })();
  await Promise.race([promise, ended]);
  cancel();
}
