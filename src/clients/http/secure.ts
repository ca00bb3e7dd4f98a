import {
  Agent as HttpAgent,
  request as httpRequest,
  type AgentOptions as HttpAgentOptions,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';
import type { FindProxy } from './proxy.ts';
import type { ResolveAddresses } from '../../kernel/names.ts';
import { agentOptions, lookupThrough, proxyAuthorization, proxyPort, ProxyRefused } from './agents.ts';
import { tlsOptions, type TlsSettings } from './tls.ts';

/** Sends https requests, directly or through a proxy. */
export interface SecureClient extends Disposable {
  request(options: RequestOptions, proxy: URL | undefined): ClientRequest;
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
        (proxy === undefined ? new HttpsAgent(options) : new TunnelAgent(() => proxy, options));
      agents.set(key, agent);
      return httpsRequest({ ...request, agent });
    },
    [Symbol.dispose]() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

/** Node calls it without a stream where there is an error, whatever its type says. */
type Created = (error: Error | null, stream?: Duplex) => void;

/** Reaches https through a proxy's CONNECT, where there is one; Node's own does not take a lookup of ours. */
class TunnelAgent extends HttpsAgent {
  readonly #proxyFor: FindProxy;

  constructor(proxyFor: FindProxy, options: ConstructorParameters<typeof HttpsAgent>[0]) {
    super(options);
    this.#proxyFor = proxyFor;
  }

  override createConnection(
    options: ConnectionOptions & { lookup?: LookupFunction },
    created?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const callback = created as Created | undefined;
    const target = `${options.host?.includes(':') ? `[${options.host}]` : options.host}:${options.port}`;
    const proxy = this.#proxyFor(new URL(`https://${target}`));
    if (proxy === undefined) return super.createConnection(options, created);
    const start = proxy.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = start({
      method: 'CONNECT',
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxyPort(proxy),
      path: target,
      headers: { Host: target, ...proxyAuthorization(proxy) },
      agent: false,
      ...(options.lookup ? { lookup: options.lookup } : {}),
    });
    request.once('connect', (reply: IncomingMessage, socket) => {
      if (reply.statusCode !== 200) {
        socket.destroy();
        return callback?.(new ProxyRefused(reply.statusCode ?? 0));
      }
      const host = options.servername ?? options.host ?? '';
      return callback?.(
        null,
        tlsConnect({ ...options, socket, ...(isIP(host) ? {} : { servername: host }) }),
      );
    });
    request.once('response', (reply) => {
      reply.destroy();
      callback?.(new ProxyRefused(reply.statusCode ?? 0));
    });
    request.once('error', (error) => callback?.(error));
    request.end();
    return undefined;
  }
}

/** Agents for other clients that bring their own HTTP (an SDK): our resolver and proxies under them. */
export function agentsFor(settings: {
  readonly resolve: ResolveAddresses;
  readonly proxy: FindProxy;
  readonly tls: TlsSettings;
}): { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent } {
  const lookup = lookupThrough(settings.resolve, { signal: new AbortController().signal, phase: () => {} });
  const options = { ...agentOptions, lookup, ...tlsOptions(settings.tls) };
  // An SDK asks several hosts, and each may have a proxy or not: an endpoint in the VPC stands in NO_PROXY by its name.
  return { httpAgent: new HttpAgent(options), httpsAgent: new TunnelAgent(settings.proxy, options) };
}
