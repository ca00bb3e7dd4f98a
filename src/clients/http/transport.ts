import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';

import type { Clock } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { GrowingBytes } from '../../core/growing-bytes.ts';
import { shownHostPort } from '../../core/host-port.ts';
import { formatBytes, formatLess } from '../../core/size.ts';
import { connectHint } from '../../core/socket-errors.ts';
import { never, notYet, type Busy, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import { agentOptions, lookupThrough, proxyAddress, proxyAuthorization } from './agents.ts';
import { AnswerFault, headLimits, takeAllHeaders } from './answer-head.ts';
import { readAsCurl, readInPlace, takeFromConnection } from './answers.ts';
import { bodyTooLong, takeBody } from './body.ts';
import { failureOf, wantsHttp2 } from './failure.ts';
import type { FindProxy } from './proxy.ts';
import { busyOf } from './retry-after.ts';
import type { SecureClient } from './secure.ts';
import type { TlsSettings } from './tls.ts';

/** Where the rest of a body begins, what tells the version whose rest it is, and the bytes of the whole, where they are known. */
export interface ResumePlace {
  readonly at: number;
  readonly of: string;
  /** The header that tells it, in small letters: an ETag's. */
  readonly by: string;
  readonly size: number | undefined;
}

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The Unix socket to connect to instead of the URL's host. */
  readonly socketPath?: string;
  /** HTTP/2 without TLS, by prior knowledge; no proxy is used. */
  readonly h2c?: boolean;
  /** The connection is not kept for the next request. */
  readonly closing?: boolean;
  /** The answer is taken from its head alone; its body is not waited for. */
  readonly ignoreBody?: boolean;
  /** The most bytes of a body that are taken. */
  readonly maxBody: number;
  /** Names the setting behind maxBody, for people. */
  readonly maxBodyOrigin: string;
  /** What a longer body means, where the limit is none of the user's. */
  readonly tooLong?: Never;
  /** Takes the body of an answer with status 200, which is not kept in memory then. */
  readonly sink?: BodySink | undefined;
  /** What a request with `Range: bytes=N-` goes on from: an answer with status 206 from there is added to the sink. */
  readonly resume?: ResumePlace | undefined;
}

/**
 * Where a body goes that is too large for memory. What its calls throw, or reject with, ends the attempt for good; where
 * one returns a promise, nothing more is received until that is fulfilled.
 */
export interface BodySink {
  /** A body begins, from this address; what came before was cut off. */
  start(headers: IncomingHttpHeaders, from: URL): void;
  /**
   * The bytes are others once this returns: it copies what it keeps. It may be called again, with what had been received,
   * before its promise is fulfilled.
   */
  write(chunk: Uint8Array): Promise<void> | undefined;
}

export interface HttpResponse {
  readonly state: 'response';
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** It is the rest of a body, from the place that was asked for. */
  readonly resumed?: boolean;
  /** The address that answered: the server's, or the proxy's. */
  readonly peer: string;
  /** It wants fewer requests. */
  readonly busy: Busy | undefined;
}

export type HttpAnswer = HttpResponse | NotYet | Never;

/** Milliseconds without progress after which an attempt is given up. */
export interface HttpLimits {
  readonly resolving: number;
  readonly connecting: number;
  readonly handshake: number;
  readonly headers: number;
  readonly body: number;
}

/** A lost SYN is sent again after 1 s (RFC 6298); a new attempt after 3 s finds a server that came up meanwhile. */
export const usualHttpLimits: HttpLimits = {
  resolving: 15_000,
  connecting: 3_000,
  handshake: 10_000,
  headers: 60_000,
  body: 30_000,
};

export interface HttpSettings {
  readonly resolve: ResolveAddresses;
  readonly clock: Clock;
  readonly proxy: FindProxy;
  readonly tls: TlsSettings;
  readonly patience: HttpLimits;
  /** Requests under way at once; the rest queue up. */
  readonly parallel: number;
  /** A connection of its own for each request: one that is kept always leads to the same pod of a Service. */
  readonly fresh?: boolean;
  /** What a server does wrong is "not yet": while we wait, its certificate or the server itself may be replaced. */
  readonly forgiving?: boolean;
}

/**
 * Sends requests, one attempt each: no retries, no redirects, no opinion on a status. Bodies are never logged. Disposing
 * closes its connections; a later request opens one anew.
 */
export interface HttpClient extends Disposable {
  send(request: HttpRequest, probe: Probe): Promise<HttpAnswer>;
}

export function createHttpClient(settings: HttpSettings): HttpClient {
  const connections = { ...agentOptions, keepAlive: settings.fresh !== true };
  const plain = new HttpAgent(connections);
  let secure: SecureClient | undefined;
  const turns = createTurns(settings.parallel);

  const start = (
    request: HttpRequest,
    probe: Probe,
    proxy: URL | undefined,
    found: (addresses: readonly string[]) => void,
  ): ClientRequest => {
    const { url, method } = request;
    const length =
      request.body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(request.body)) };
    const common = {
      method,
      ...headLimits,
      headers: { 'User-Agent': 'initbox', 'Accept-Encoding': 'identity', ...length, ...request.headers },
      lookup: lookupThrough(settings.resolve, probe, found),
      host: url.hostname.replace(/^\[|\]$/g, ''),
      path: `${url.pathname}${url.search}`,
      ...(request.sink === undefined ? {} : readInPlace()),
    };
    if (secure !== undefined && url.protocol === 'https:') {
      return secure.request({ ...common, port: Number(url.port || 443) }, proxy);
    }
    if (request.socketPath !== undefined)
      return httpRequest({ ...common, socketPath: request.socketPath, agent: plain });
    if (proxy === undefined) return httpRequest({ ...common, port: Number(url.port || 80), agent: plain });
    const whole = {
      ...common,
      path: `${url.origin}${common.path}`,
      headers: { Host: url.host, ...common.headers, ...proxyAuthorization(proxy) },
    };
    if (secure !== undefined && proxy.protocol === 'https:') return secure.requestOfProxy(whole, proxy);
    return httpRequest({ ...whole, ...proxyAddress(proxy), agent: plain });
  };

  return {
    async send(request, probe) {
      using turn = await turns.take(probe.signal);
      if (!turn.taken) return notYet('not asked yet');
      if (request.h2c) return (await import('./http2.ts')).exchangeHttp2(request, probe, settings);
      const proxy = request.socketPath === undefined ? settings.proxy(request.url) : undefined;
      if (request.url.protocol === 'https:' || proxy?.protocol === 'https:') {
        secure ??= (await import('./secure.ts')).createSecureClient(settings.tls, connections);
      }
      return exchange(request, probe, settings, proxy, (found) => start(request, probe, proxy, found));
    },
    [Symbol.dispose]() {
      plain.destroy();
      secure?.[Symbol.dispose]();
    },
  };
}

/** One request and its response, watched phase by phase. */
function exchange(
  request: HttpRequest,
  probe: Probe,
  settings: HttpSettings,
  proxy: URL | undefined,
  start: (found: (addresses: readonly string[]) => void) => ClientRequest,
): Promise<HttpAnswer> {
  const { url, maxBody } = request;
  return new Promise((resolve) => {
    if (probe.signal.aborted) return resolve(notYet('not asked yet'));
    let outgoing: ClientRequest | undefined;
    let socket: Socket | undefined;
    let cancel = (): void => {};
    let certificate: PeerCertificate | undefined;
    let phase = '';
    let phaseHint: string | undefined;
    let received = 0;
    let announced = Number.NaN;

    const finish = (answer: HttpAnswer): void => {
      cancel();
      probe.signal.removeEventListener('abort', onAbort);
      if (answer.state !== 'response') outgoing?.destroy();
      if (answer.state !== 'response' || !mayWantHttp2(answer)) return resolve(answer);
      return void byHttp2().then((other) => resolve(other.state === 'response' ? other : answer));
    };
    const direct = url.protocol === 'https:' && proxy === undefined;
    const byHttp2 = async (): Promise<HttpAnswer> =>
      (await import('./http2.ts')).exchangeHttp2(request, probe, settings);
    /** Node's servers of HTTP/2 alone agree on no protocol (RFC 7301), and refuse whatever is asked in HTTP/1.1. */
    const mayWantHttp2 = ({ status }: HttpResponse): boolean =>
      direct &&
      request.method === 'GET' &&
      [403, 426, 505].includes(status) &&
      (socket as TLSSocket | undefined)?.alpnProtocol === false;
    const onAbort = (): void => finish(notYet(`${phase}: no answer yet`, { hint: phaseHint }));
    /** A phase that makes no progress for so long ends the attempt. */
    const enter = (name: string, limit: number, hint?: string): void => {
      phase = name;
      phaseHint = hint;
      probe.phase(name);
      cancel();
      cancel = settings.clock.after(limit, () =>
        finish(notYet(`${phase}: nothing for ${formatDuration(limit)}`, { hint })),
      );
    };
    const fail = (error: unknown): void => {
      const { forgiving = false } = settings;
      // curl offers both protocols; here only a server that wants the other one gets it.
      if (direct && bodyOf === undefined && wantsHttp2(error)) {
        cancel();
        probe.signal.removeEventListener('abort', onAbort);
        outgoing?.destroy();
        return void byHttp2().then(resolve);
      }
      if (bodyOf !== undefined) return finish(brokenBody(bodyOf, { received, announced }, error, forgiving));
      finish(failureOf(error, { url, socket, certificate, proxy, now: settings.clock.date(), forgiving }));
    };
    let bodyOf: IncomingMessage | undefined;

    const via = request.socketPath ?? (proxy === undefined ? url.host : `the proxy ${proxy.host}`);
    const tunnel = proxy !== undefined && url.protocol === 'https:';
    const connecting = (addresses: readonly string[] = []): void => {
      const list = addresses.length === 0 ? '' : ` (${addresses.join(', ')})`;
      // A proxy that makes a tunnel connects to the target in this time too.
      if (tunnel) enter(`connecting through ${via}${list}`, settings.patience.resolving);
      else enter(`connecting to ${via}${list}`, settings.patience.connecting, connectHint('silent'));
    };
    const shaking = (): void => {
      probe.reached?.('tcp');
      enter(`TLS handshake with ${peerOf(socket) || url.host}`, settings.patience.handshake, handshakeHint);
    };
    const waiting = (): void => {
      probe.reached?.(url.protocol === 'https:' ? 'tls' : 'tcp');
      enter(
        `waiting for a response from ${peerOf(socket) || (request.socketPath ?? url.host)}`,
        settings.patience.headers,
      );
    };

    const receive = (response: IncomingMessage): undefined => {
      probe.reached?.('protocol');
      bodyOf = response;
      const whole = request.resume && sizeByRest(response, request.resume);
      const resumed = whole !== undefined;
      if (request.resume !== undefined && resumed) received = request.resume.at;
      const length = whole ?? received + Number(response.headers['content-length'] ?? Number.NaN);
      announced = length;
      const total = Number.isNaN(length) ? '' : ` of ${formatBytes(length)}`;
      const tooLong = (size?: number): Never | NotYet => bodyTooLong(size, request, settings.forgiving);
      if (request.ignoreBody) {
        finish({ ...headOf(response, settings.clock), body: Buffer.alloc(0), peer: peerOf(socket) });
        response.on('error', () => {}).destroy();
        return undefined;
      }
      if (length > maxBody && request.method !== 'HEAD') {
        finish(tooLong(length));
        return undefined;
      }
      const sink = response.statusCode === 200 || resumed ? request.sink : undefined;
      const kept = new GrowingBytes(sink === undefined ? length || 0 : 0);
      let entered = settings.clock.now();
      enter(`receiving the body (0 B${total})`, settings.patience.body);
      const ended = (): void => {
        const head = headOf(response, settings.clock);
        body.whenStored(() => {
          // What is not framed by its length ends wherever the connection, or a proxy's chunks, end.
          if (whole !== undefined && received < whole) return finish(cutBody(received, whole));
          const right = resumed && received === whole;
          finish({ ...head, body: kept.taken(), peer: peerOf(socket), resumed: right });
        });
      };
      const flow =
        sink &&
        takeFromConnection(socket, {
          data: (bytes) => body.data(bytes),
          end() {
            // Node goes on waiting for it.
            response.off('error', fail).on('error', () => {});
            outgoing?.off('error', fail).on('error', () => {});
            ended();
          },
        });
      const body = takeBody(flow ?? response, {
        sink,
        kept,
        begin() {
          if (!resumed) sink?.start(response.headers, url);
        },
        received,
        most: maxBody,
        tooLong: () => finish(tooLong()),
        unstored: finish,
        waits(bytes) {
          received = bytes;
          cancel();
        },
        progress(bytes, waited) {
          received = bytes;
          phase = `receiving the body (${formatBytes(received)}${total})`;
          probe.phase(phase);
          const now = settings.clock.now();
          // A body may come byte by byte: a timer for each would take longer than the bytes.
          if (!waited && now - entered < settings.patience.body / fine) return;
          entered = now;
          enter(phase, settings.patience.body);
        },
      });
      response.once('error', fail);
      if (flow !== undefined) return undefined;
      response.on('data', body.data);
      response.once('end', () => {
        if (!response.complete) return finish(cutBody(received, length));
        return ended();
      });
      return undefined;
    };

    probe.signal.addEventListener('abort', onAbort, { once: true });
    const named = (proxy ?? url).hostname.replace(/^\[|\]$/g, '');
    // By our lookup's word: a name of the hosts file is found before the socket could tell.
    if (request.socketPath !== undefined || isIP(named) !== 0) connecting();
    else
      enter(
        `resolving ${named}${proxy === undefined ? '' : ` (the proxy ${proxy.host})`}`,
        settings.patience.resolving,
      );
    try {
      outgoing = start(connecting);
    } catch (error) {
      return finish(never(exitStatus.refused, `the request cannot be sent: ${(error as Error).message}`));
    }
    takeAllHeaders(outgoing);
    readAsCurl(outgoing, settings.forgiving ? 'dropped' : 'refused');
    if (request.closing) outgoing.shouldKeepAlive = false;
    outgoing.on('error', fail);
    outgoing.once('socket', (assigned) => {
      socket = assigned;
      const encrypted = 'encrypted' in assigned;
      if (outgoing?.reusedSocket) return waiting();
      if (assigned.connecting) {
        assigned.once('connect', () => (encrypted ? shaking() : waiting()));
      } else if (encrypted) shaking();
      else waiting();
      if (encrypted) {
        // Emitted before the verification, after which Node drops the certificate that it refused.
        assigned.prependOnceListener('secure', () => {
          certificate = (assigned as TLSSocket).getPeerCertificate();
        });
        assigned.once('secureConnect', waiting);
      }
    });
    outgoing.once('response', receive);
    outgoing.end(request.body);
  });
}

/** Parts of its limit to which the patience with a body is exact. */
const fine = 300;

const handshakeHint =
  'it accepts connections but does not answer TLS: is it overloaded, or is something in between?';

/**
 * The size of the whole whose rest an answer is; undefined where it is not the rest of what was asked for (RFC 9110, 14.4 and
 * 15.3.7).
 */
function sizeByRest(
  { statusCode, headers, headersDistinct }: IncomingMessage,
  { at: place, of: version, by, size: known }: ResumePlace,
): number | undefined {
  if (statusCode !== 206) return undefined;
  // Several parts with lines between them.
  if (/^multipart\//i.test(headers['content-type'] ?? '')) return undefined;
  // Not everybody heeds If-Range: a cache, or another server behind the same name, may have another version.
  const tags = headersDistinct[by] ?? [];
  if (tags.length !== 1 || tags[0] !== version) return undefined;
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(String(headers['content-range'])) ?? [];
  const size = Number(total);
  if (Number(first) !== place || Number(last) + 1 !== size || (known ?? size) !== size) return undefined;
  const length = headers['content-length'];
  return length === undefined || Number(length) === size - place ? size : undefined;
}

function headOf(response: IncomingMessage, clock: Clock): Omit<HttpResponse, 'body' | 'peer'> {
  const { statusCode: status = 0, headers } = response;
  return { state: 'response', status, headers, busy: busyOf({ status, headers }, clock.date()) };
}

/** A body that breaks the rules of HTTP was not cut off: the server counts wrong, and will do so again. */
function brokenBody(
  response: IncomingMessage,
  { received, announced }: { readonly received: number; readonly announced: number },
  error: unknown,
  forgiving: boolean,
): NotYet | Never {
  const { code = '' } = error as NodeJS.ErrnoException;
  const fault = error instanceof AnswerFault ? error.message : code.startsWith('HPE_') ? code : undefined;
  if (fault === undefined) return cutBody(received, announced);
  const reason =
    response.headers['content-length'] === undefined
      ? `the body is not framed as HTTP requires (${fault})`
      : `the server sent more than the ${formatBytes(announced)} that it announced (${fault})`;
  const hint = 'initbox cannot tell which bytes are right: look at the server, and at any proxy in between';
  return forgiving ? notYet(reason, { hint }) : never(exitStatus.refused, reason, hint);
}

/** @param announced bytes of the whole; NaN where they are not known */
function cutBody(received: number, announced: number): NotYet {
  const [size, of] = Number.isNaN(announced)
    ? [formatBytes(received), '']
    : [formatLess(received, announced), ` of the ${formatBytes(announced)} announced`];
  return notYet(`the connection ended inside the body, after ${size}${of}`);
}

function peerOf(socket: Socket | undefined): string {
  if (socket?.remoteAddress === undefined) return '';
  return shownHostPort(socket.remoteAddress, socket.remotePort);
}

interface Turn extends Disposable {
  readonly taken: boolean;
}

/** Lets so many through at once, in order. A turn that is not taken was cut by the signal. */
function createTurns(parallel: number): { take(signal: AbortSignal): Promise<Turn> } {
  let free = parallel;
  const queue: (() => void)[] = [];
  const release = (): void => {
    const next = queue.shift();
    if (next === undefined) free++;
    else next();
  };
  const taken: Turn = { taken: true, [Symbol.dispose]: release };
  const missed: Turn = { taken: false, [Symbol.dispose]() {} };
  return {
    take(signal) {
      if (signal.aborted) return Promise.resolve(missed);
      if (free > 0) {
        free--;
        return Promise.resolve(taken);
      }
      return new Promise((resolve) => {
        const go = (): void => {
          signal.removeEventListener('abort', onAbort);
          resolve(taken);
        };
        const onAbort = (): void => {
          queue.splice(queue.indexOf(go), 1);
          resolve(missed);
        };
        signal.addEventListener('abort', onAbort, { once: true });
        queue.push(go);
      });
    },
  };
}
