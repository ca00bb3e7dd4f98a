import type { IncomingMessage } from 'node:http';
import { isIP, type LookupFunction } from 'node:net';
import type { PeerCertificate } from 'node:tls';

import { withoutFinalDot } from '../../core/host-port.ts';
import { basicAuthorization } from '../../core/userinfo.ts';
import type { NotYet, Probe } from '../../wait/attempt.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import type { AnswerHead } from './retry-after.ts';

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
  readonly head: AnswerHead;

  constructor({ statusCode = 0, headers }: IncomingMessage) {
    super(`the proxy answered ${statusCode} to CONNECT`);
    this.head = { status: statusCode, headers };
  }
}

/** A proxy that could not be reached, or that did not prove to be the one that was named. */
export class ProxyFailure extends Error {
  override readonly cause: unknown;
  /** What it showed, where it got as far as that. */
  readonly certificate: PeerCertificate | undefined;

  constructor(proxy: URL, cause: Error, certificate: PeerCertificate | undefined) {
    super(`the proxy ${proxy.host}: ${cause.message}`);
    this.cause = cause;
    this.certificate = certificate;
  }
}

/**
 * Our resolver in the shape that node:net takes: getaddrinfo cannot be cancelled, and exit waits for it.
 * @param found is told the addresses before they are connected to
 */
export function lookupThrough(
  resolve: ResolveAddresses,
  probe: Probe,
  found: (addresses: readonly string[]) => void = () => {},
): LookupFunction {
  return (host, options, callback) => {
    resolve(host, probe).then(
      (answer) => {
        if (answer.state !== 'found') return callback(new NameNotFound(answer), []);
        found(answer.addresses);
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

/** The name to ask a TLS server for, and to look for in its certificate; empty for an address. */
export function serverNameOf(host: string): string {
  return isIP(host) === 0 ? withoutFinalDot(host) : '';
}

/** Where a proxy listens. */
export function proxyAddress(proxy: URL): { readonly host: string; readonly port: number } {
  return {
    host: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: Number(proxy.port || (proxy.protocol === 'https:' ? 443 : 80)),
  };
}

export function proxyAuthorization(proxy: URL): { 'Proxy-Authorization'?: string } {
  if (proxy.username === '' && proxy.password === '') return {};
  return { 'Proxy-Authorization': basicAuthorization(`${proxy.username}:${proxy.password}`) };
}
