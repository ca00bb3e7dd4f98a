import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';
import type { Duplex } from 'node:stream';
import type { NotYet, Probe } from '../../kernel/loop/attempt.ts';
import type { ResolveAddresses } from '../../kernel/names.ts';
import { isIP, type LookupFunction } from 'node:net';

/** A name that was not found, carried through Node's callbacks with what was said of it. */
export class NameNotFound extends Error {
  readonly answer: NotYet;

  constructor(answer: NotYet) {
    super(answer.reason);
    this.answer = answer;
  }
}

/** A proxy that would not make a tunnel. */
export class ProxyRefused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the proxy answered ${status} to CONNECT`);
    this.status = status;
  }
}

/** Our resolver in the shape that node:net takes: getaddrinfo cannot be cancelled, and exit waits for it. */
export function lookupThrough(resolve: ResolveAddresses, probe: Probe): LookupFunction {
  return (host, options, callback) => {
    resolve(host, probe).then(
      (answer) => {
        if (answer.state !== 'found') return callback(new NameNotFound(answer), []);
        const all = answer.addresses.map((address) => ({ address, family: isIP(address) }));
        const wanted =
          options.family === 4 || options.family === 6
            ? all.filter(({ family }) => family === options.family)
            : all;
        if (options.all === false || options.all === undefined) {
          return callback(null, wanted[0]?.address ?? '', wanted[0]?.family);
        }
        return callback(null, wanted);
      },
      (error: unknown) => callback(error as Error, []),
    );
  };
}

/** Milliseconds for each address of a name before the next is tried; Node's 250 ms cuts distant servers off. */
const perAddress = 1000;

export const agentOptions = { keepAlive: true, autoSelectFamilyAttemptTimeout: perAddress } as const;

/** Node calls it without a stream where there is an error, whatever its type says. */
type Created = (error: Error | null, stream?: Duplex) => void;

/** Reaches https through a proxy's CONNECT; Node's own does not take a lookup of ours. */
export class TunnelAgent extends HttpsAgent {
  readonly #proxy: URL;

  constructor(proxy: URL, options: ConstructorParameters<typeof HttpsAgent>[0]) {
    super(options);
    this.#proxy = proxy;
  }

  override createConnection(
    options: ConnectionOptions & { lookup?: LookupFunction },
    created?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const callback = created as Created | undefined;
    const target = `${options.host?.includes(':') ? `[${options.host}]` : options.host}:${options.port}`;
    const start = this.#proxy.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = start({
      method: 'CONNECT',
      host: this.#proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxyPort(this.#proxy),
      path: target,
      headers: { Host: target, ...proxyAuthorization(this.#proxy) },
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

export function proxyPort(proxy: URL): number {
  return Number(proxy.port || (proxy.protocol === 'https:' ? 443 : 80));
}

export function proxyAuthorization(proxy: URL): { 'Proxy-Authorization'?: string } {
  if (proxy.username === '' && proxy.password === '') return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** Agents for other clients that bring their own HTTP (an SDK): our resolver and proxies under them. */
export function agentsFor(
  settings: { readonly resolve: ResolveAddresses; readonly proxy: (url: URL) => URL | undefined },
  url: URL,
): { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent } {
  const lookup = lookupThrough(settings.resolve, { signal: new AbortController().signal, phase: () => {} });
  const proxy = settings.proxy(url);
  const options = { ...agentOptions, lookup };
  return {
    httpAgent: new HttpAgent(options),
    httpsAgent: proxy === undefined ? new HttpsAgent(options) : new TunnelAgent(proxy, options),
  };
}
