import {
  Agent as HttpAgent,
  request as httpRequest,
  type AgentOptions as HttpAgentOptions,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { type LookupFunction, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  connect as tlsConnect,
  type ConnectionOptions,
  type PeerCertificate,
  type TLSSocket,
} from 'node:tls';

import { shownHostPort, withoutFinalDot } from '../../core/host-port.ts';
import type { Never, NotYet } from '../../wait/attempt.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import {
  agentOptions,
  lookupThrough,
  NameNotFound,
  proxyAddress,
  proxyAuthorization,
  ProxyFailure,
  ProxyRefused,
  serverNameOf,
} from './agents.ts';
import { headLimits } from './answer-head.ts';
import { expectAnswer, readAsCurl } from './answers.ts';
import { failureOf } from './failure.ts';
import type { FindProxy } from './proxy.ts';
import { tlsOptions, type TlsSettings } from './tls.ts';

/** Sends https requests, directly or through a proxy. */
export interface SecureClient extends Disposable {
  request(options: RequestOptions, proxy: URL | undefined): ClientRequest;
  /** Sends a request for an http URL to a proxy that is reached by https. */
  requestOfProxy(options: RequestOptions, proxy: URL): ClientRequest;
}

/** In a module of its own: node:https and node:tls cost 10 ms of CPU to load, and many a Vault is asked by http. */
export function createSecureClient(tls: TlsSettings, connections: HttpAgentOptions): SecureClient {
  const options = { ...connections, ...tlsOptions(tls) };
  const agents = new Map<string, HttpsAgent>();
  return {
    request(request, proxy) {
      const key = proxy?.href ?? '';
      const agent =
        agents.get(key) ??
        (proxy === undefined ? new HttpsAgent(options) : new TunnelAgent(() => proxy, tls, options));
      agents.set(key, agent);
      // Node would take that of a Host header, and verify the certificate by it.
      return httpsRequest({ servername: serverNameOf(request.host ?? ''), ...request, agent });
    },
    requestOfProxy(request, proxy) {
      // Apart from those of targets: its certificate is looked at by other rules.
      const key = `proxy ${proxy.origin}`;
      const agent = agents.get(key) ?? new HttpsAgent({ ...connections, ...proxyTlsOptions(tls, proxy) });
      agents.set(key, agent);
      return httpsRequest({ ...request, ...proxyTlsOptions(tls, proxy), ...proxyAddress(proxy), agent });
    },
    [Symbol.dispose]() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

/**
 * A proxy is verified by its own name and the authorities that servers are verified by, before it gets a password.
 * Without a name of ours, Node takes that of the Host header, which is the target's. It is shown no client certificate:
 * that is for the target.
 */
function proxyTlsOptions({ verify, authorities }: TlsSettings, proxy: URL): ConnectionOptions {
  const { host } = proxyAddress(proxy);
  return {
    ...tlsOptions({ verify, ...(authorities === undefined ? {} : { authorities }) }),
    servername: serverNameOf(host),
  };
}

/** Node calls it without a stream where there is an error, whatever its type says. */
type Created = (error: Error | null, stream?: Duplex) => void;

/** Reaches https through a proxy's CONNECT, where there is one; Node's own does not take a lookup of ours. */
class TunnelAgent extends HttpsAgent {
  readonly #proxyFor: FindProxy;
  readonly #tls: TlsSettings;

  constructor(proxyFor: FindProxy, tls: TlsSettings, options: ConstructorParameters<typeof HttpsAgent>[0]) {
    super(options);
    this.#proxyFor = proxyFor;
    this.#tls = tls;
  }

  override createConnection(
    given: ConnectionOptions & { lookup?: LookupFunction },
    created?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const name = given.servername ? withoutFinalDot(given.servername) : serverNameOf(given.host ?? '');
    const options = { ...given, servername: name };
    const callback = created as Created | undefined;
    const target = shownHostPort(options.host ?? undefined, options.port);
    const proxy = this.#proxyFor(new URL(`https://${target}`));
    if (proxy === undefined) return super.createConnection(options, created);
    const connecting: RequestOptions = {
      method: 'CONNECT',
      ...headLimits,
      ...proxyAddress(proxy),
      path: target,
      headers: { Host: target, ...proxyAuthorization(proxy) },
      agent: false,
      ...(options.lookup ? { lookup: options.lookup } : {}),
    };
    const request =
      proxy.protocol === 'https:'
        ? httpsRequest({ ...connecting, ...proxyTlsOptions(this.#tls, proxy) })
        : httpRequest(connecting);
    readAsCurl(request);
    let certificate: PeerCertificate | undefined;
    request.once('socket', (socket) => {
      // Emitted before the verification, after which Node drops the certificate that it refused.
      socket.prependOnceListener('secure', () => {
        certificate = (socket as TLSSocket).getPeerCertificate();
      });
    });
    request.once('connect', (reply: IncomingMessage, socket) => {
      const { statusCode: status = 0 } = reply;
      // RFC 9110, 9.3.6: any 2xx opens the tunnel.
      if (status < 200 || status > 299) {
        socket.destroy();
        return callback?.(new ProxyRefused(reply));
      }
      return callback?.(null, tlsConnect({ ...options, socket }));
    });
    request.once('response', (reply) => {
      reply.destroy();
      callback?.(new ProxyRefused(reply));
    });
    request.once('error', (error) =>
      callback?.(error instanceof NameNotFound ? error : new ProxyFailure(proxy, error, certificate)),
    );
    request.end();
    return undefined;
  }
}

/** A connection that failed, by its error: a client that brings its own HTTP shows us nothing else of it. */
interface Failed {
  readonly url: URL;
  readonly proxy: URL | undefined;
  readonly certificate: PeerCertificate | undefined;
}

/** Remembers what is known of each connection that fails. */
class NotingAgent extends TunnelAgent {
  readonly failed = new WeakMap<object, Failed>();
  readonly #proxyFor: FindProxy;

  constructor(...given: ConstructorParameters<typeof TunnelAgent>) {
    super(...given);
    [this.#proxyFor] = given;
  }

  override createConnection(
    options: ConnectionOptions & { lookup?: LookupFunction },
    created?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const url = new URL(`https://${shownHostPort(options.host ?? undefined, options.port)}`);
    const proxy = this.#proxyFor(url);
    let certificate: PeerCertificate | undefined;
    const watch = (stream: Duplex): void => {
      expectAnswer(stream as TLSSocket, anyMethod);
      // Emitted before the verification, after which Node drops the certificate that it refused.
      stream.prependOnceListener('secure', () => {
        certificate = (stream as TLSSocket).getPeerCertificate();
      });
      stream.prependOnceListener('error', (error) => this.failed.set(error, { url, proxy, certificate }));
    };
    const stream = super.createConnection(options, (error, late) => {
      if (error) this.failed.set(error, { url, proxy, certificate });
      else if (late && late !== stream) watch(late);
      created?.(error, late);
    });
    if (stream) watch(stream);
    return stream;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    super.reuseSocket(socket, request);
    expectAnswer(socket as TLSSocket, anyMethod);
  }
}

/** An SDK sends no HEAD and no CONNECT, whose answers alone depend on the method. */
const anyMethod = 'GET';

/** Has answers read as curl reads them, for a client that brings its own HTTP. */
class PlainAgent extends HttpAgent {
  override createConnection(...given: Parameters<HttpAgent['createConnection']>): Duplex | null | undefined {
    const stream = super.createConnection(...given);
    if (stream) expectAnswer(stream as Socket, anyMethod);
    return stream;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    super.reuseSocket(socket, request);
    expectAnswer(socket as Socket, anyMethod);
  }
}

/** Agents for other clients that bring their own HTTP (an SDK): our resolver and proxies under them. */
export function agentsFor(settings: {
  readonly resolve: ResolveAddresses;
  readonly proxy: FindProxy;
  readonly tls: TlsSettings;
}): {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
  /** What a connection of theirs failed with; undefined of any other error. */
  readonly connectionFault: (error: unknown, now: Date) => NotYet | Never | undefined;
} {
  const lookup = lookupThrough(settings.resolve, { signal: new AbortController().signal, phase: () => {} });
  const options = { ...agentOptions, lookup, ...tlsOptions(settings.tls) };
  // An SDK asks several hosts, and each may have a proxy or not: an endpoint in the VPC stands in NO_PROXY by its name.
  const httpsAgent = new NotingAgent(settings.proxy, settings.tls, options);
  return {
    httpAgent: new PlainAgent(options),
    httpsAgent,
    connectionFault(given, now) {
      for (let error = given; error instanceof Error; error = error.cause) {
        const failed = httpsAgent.failed.get(error);
        if (failed !== undefined)
          return failureOf(error, { ...failed, socket: undefined, now, forgiving: false });
      }
      return undefined;
    },
  };
}
