import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import type { Clock } from '../../core/clock.ts';
import { shownHostPort, withoutFinalDot } from '../../core/host-port.ts';
import { connectHint, connectWords } from '../../core/socket-errors.ts';
import { notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import { tlsFailureOf, wantsOtherProtocol } from '../http/failure.ts';
import { tlsOptions, type TlsSettings } from '../http/tls.ts';
import { converse, type ServerConversation } from './conversation.ts';
import type { Endpoint } from './endpoint.ts';

/** Where to connect to, and how. */
export interface ConnectionPlace {
  readonly endpoint: Endpoint;
  /** Undefined without TLS. */
  readonly tls: TlsSettings | undefined;
  /** The protocol that the server must agree on within TLS (ALPN, RFC 7301), where there is only one. */
  readonly alpn?: 'h2';
}

/** A connection that is open, with TLS where that was asked for. */
export interface OpenConnection {
  readonly stream: Socket;
  /** For people: `cache:6379, 10.0.0.4`. */
  readonly peer: string;
}

export interface ConnectionContext {
  readonly resolve: ResolveAddresses;
  readonly clock: Clock;
}

/** Nothing is there: proof, as against silence. */
const proofs: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'itself']);

/** Opens one connection, as openConnection does, to exchange a few bytes over it. */
export async function openConversation(
  place: ConnectionPlace,
  context: ConnectionContext,
  probe: Probe,
): Promise<ServerConversation | NotYet | Never> {
  const opened = await openConnection(place, context, probe);
  return 'state' in opened ? opened : converse(opened.stream, opened.peer, probe.signal);
}

/**
 * Opens one connection, with TLS where that is asked for: every address of the name at once, of which the first that is
 * open is taken. Says where it stands by the probe's phases, and passes the stages dns, tcp and tls.
 */
export async function openConnection(
  { endpoint, tls, alpn }: ConnectionPlace,
  { resolve, clock }: ConnectionContext,
  probe: Probe,
): Promise<OpenConnection | NotYet | Never> {
  let socket: Socket | NotYet;
  let host = '';
  let peer: string;
  if (endpoint.kind === 'unix') {
    peer = `unix:${endpoint.path}`;
    probe.phase(`connecting to ${peer}`);
    socket = await firstOpen([{ path: endpoint.path }], probe.signal);
  } else {
    ({ host } = endpoint);
    const found = await resolve(host, probe);
    if (found.state !== 'found') return found;
    peer = shownHostPort(host, endpoint.port);
    probe.phase(`connecting to ${peer} (${found.addresses.join(', ')})`);
    socket = await firstOpen(
      found.addresses.map((address) => ({ host: address, port: endpoint.port })),
      probe.signal,
    );
  }
  if ('state' in socket) return socket;
  const { remoteAddress } = socket;
  if (remoteAddress !== undefined && remoteAddress !== host) peer = `${peer}, ${remoteAddress}`;
  probe.reached?.('tcp');
  if (tls === undefined) {
    probe.phase(`connected to ${peer}`);
    return { stream: socket, peer };
  }
  probe.phase(`TLS handshake with ${peer}`);
  const secured = await handshake(socket, host, endpoint, { ...tls, alpn }, peer, clock, probe.signal);
  if ('state' in secured) return secured;
  probe.reached?.('tls');
  probe.phase(`connected to ${peer}`);
  return { stream: secured, peer };
}

/**
 * Begins TLS on an open conversation, of protocols that ask for it in words of their own. Passes the stage tls.
 * @throws UnaskedBytes, ConnectionEnded
 */
export async function startTls(
  conversation: ServerConversation,
  endpoint: ConnectionPlace['endpoint'],
  tls: TlsSettings,
  { clock }: Pick<ConnectionContext, 'clock'>,
  probe: Probe,
): Promise<ServerConversation | NotYet | Never> {
  const { peer } = conversation;
  probe.phase(`TLS handshake with ${peer}`);
  const host = endpoint.kind === 'tcp' ? endpoint.host : '';
  const socket = conversation.release() as Socket;
  const secured = await handshake(socket, host, endpoint, tls, peer, clock, probe.signal);
  if ('state' in secured) return secured;
  probe.reached?.('tls');
  probe.phase(`connected to ${peer}`);
  return converse(secured, peer, probe.signal);
}

type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** Every address at once; the others are cut once one is open. */
async function firstOpen(addresses: readonly Address[], signal: AbortSignal): Promise<Socket | NotYet> {
  const others = new AbortController();
  const either = AbortSignal.any([signal, others.signal]);
  let open: Socket | undefined;
  const endings = await Promise.all(
    addresses.map(async (address): Promise<readonly [Address, string]> => {
      const ending = await openOne(address, either);
      if (typeof ending === 'string') return [address, ending];
      if (open === undefined) open = ending;
      else ending.destroy();
      others.abort();
      return [address, 'open'];
    }),
  );
  if (open !== undefined) return open;
  const said = Map.groupBy(endings, ([, ending]) => connectWords(ending));
  const words = [...said].map(
    ([word, list]) =>
      `${word} (${list.map(([address]) => ('path' in address ? address.path : address.host)).join(', ')})`,
  );
  return notYet(words.join('; '), {
    hint: signal.aborted ? undefined : connectHint(endings[0]?.[1] ?? ''),
    absent: endings.every(([, ending]) => proofs.has(ending)),
  });
}

function openOne(address: Address, signal: AbortSignal): Promise<Socket | string> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve('silent');
    const socket = connect(address);
    const finish = (ending: Socket | string): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners('connect').removeAllListeners('error');
      // Until it is used, nobody else listens.
      socket.on('error', () => {});
      if (typeof ending === 'string') socket.destroy();
      resolve(ending);
    };
    const onAbort = (): void => finish('silent');
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.once('connect', () => {
      // A closed loopback port in the ephemeral range can be given to the connecting end itself (RFC 9293, 3.5).
      const itself = socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
      socket.setNoDelay(true);
      finish('host' in address && itself ? 'itself' : socket);
    });
    return undefined;
  });
}

/** What to look at where nothing answers the first message of TLS. */
const silentHandshake =
  'it accepts connections and does not answer the TLS handshake: does it have TLS turned on at that port?';

async function handshake(
  socket: Socket,
  host: string,
  endpoint: ConnectionPlace['endpoint'],
  { alpn, ...tls }: TlsSettings & { readonly alpn?: ConnectionPlace['alpn'] | undefined },
  peer: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<TLSSocket | NotYet | Never> {
  // Loading it takes as long as an answer, and most servers inside a cluster have none.
  const [{ connect: connectTls }, { isIP }] = await Promise.all([import('node:tls'), import('node:net')]);
  return new Promise((resolve) => {
    if (signal.aborted) {
      socket.destroy();
      return resolve(notYet(`no answer (${peer})`));
    }
    const name = host.replace(/\.$/, '');
    const fail = (error: unknown): void => {
      if (alpn !== undefined && wantsOtherProtocol(error)) return finish(otherProtocol(peer));
      finish(
        (error as NodeJS.ErrnoException).syscall === undefined
          ? tlsFailureOf(
              error,
              { host: name || peer, certificate: stream?.getPeerCertificate(), now: clock.date() },
              peer,
            )
          : judgeConnection(error, peer),
      );
    };
    let stream: TLSSocket | undefined;
    const onAbort = (): void => finish(notYet(`no answer (${peer})`, { hint: silentHandshake }));
    const finish = (answer: TLSSocket | NotYet | Never): void => {
      signal.removeEventListener('abort', onAbort);
      stream?.removeAllListeners('error').on('error', () => {});
      stream?.removeAllListeners('close');
      if ('state' in answer) {
        stream?.destroy();
        socket.destroy();
      }
      resolve(answer);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      stream = connectTls({
        socket,
        host: name,
        // RFC 6066, 3: no address may stand there.
        ...(isIP(name) || endpoint.kind === 'unix' ? {} : { servername: withoutFinalDot(name) }),
        ...tlsOptions(tls),
        ...(alpn === undefined ? {} : { ALPNProtocols: [alpn] }),
      });
    } catch (error) {
      return fail(error);
    }
    const secured = stream;
    secured.once('secureConnect', () =>
      finish(alpn === undefined || secured.alpnProtocol === alpn ? secured : otherProtocol(peer)),
    );
    secured.once('error', fail);
    secured.once('close', () => fail(Object.assign(new Error('closed'), { code: 'EPIPE', syscall: 'read' })));
    return undefined;
  });
}

function otherProtocol(peer: string): NotYet {
  return notYet(`it has TLS, and does not agree on HTTP/2 (ALPN h2) (${peer})`, {
    hint: 'is it the right port? Where a proxy ends TLS in front of the server, it must offer h2',
  });
}

/** Why a connection broke, as an answer; all of it may change. */
export function judgeConnection(error: unknown, peer: string): NotYet {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const words = code === '' ? (error as Error).message : connectWords(code);
  return notYet(`${words} (${peer})`, { hint: connectHint(code) });
}
