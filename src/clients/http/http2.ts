import { connect as connectHttp2, constants, type ClientHttp2Stream } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';

import { formatDuration } from '../../core/duration.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { GrowingBytes } from '../../core/growing-bytes.ts';
import { shownHostPort } from '../../core/host-port.ts';
import { formatBytes } from '../../core/size.ts';
import { connectHint } from '../../core/socket-errors.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { agentOptions, lookupThrough, serverNameOf } from './agents.ts';
import { mostHead } from './answer-head.ts';
import { bodyTooLong, takeBody } from './body.ts';
import { failureOf } from './failure.ts';
import { busyOf } from './retry-after.ts';
import { tlsOptions } from './tls.ts';
import type { HttpAnswer, HttpRequest, HttpSettings } from './transport.ts';

/** Headers of a connection, which HTTP/2 forbids (RFC 9113, 8.2.2), and the one that `:authority` stands for. */
const ofConnections: ReadonlySet<string> = new Set(['connection', 'host', 'transfer-encoding', 'keep-alive']);

/**
 * One request and its answer in HTTP/2, on a connection of its own: over TLS, or without it by prior knowledge (h2c,
 * RFC 9113, 3.3).
 */
export function exchangeHttp2(
  request: HttpRequest,
  probe: Probe,
  settings: HttpSettings,
): Promise<HttpAnswer> {
  const { url, maxBody } = request;
  const { patience, forgiving = false } = settings;
  return new Promise((resolve) => {
    if (probe.signal.aborted) return resolve(notYet('not asked yet'));
    using stack = new DisposableStack();
    let certificate: PeerCertificate | undefined;
    let cancel = (): void => {};
    let phase = '';
    let phaseHint: string | undefined;
    let status = 0;

    const finish = (answer: HttpAnswer): void => {
      cancel();
      probe.signal.removeEventListener('abort', onAbort);
      held.dispose();
      resolve(answer);
    };
    const onAbort = (): void => finish(notYet(`${phase}: no answer yet`, { hint: phaseHint }));
    const enter = (name: string, limit: number, hint?: string): void => {
      phase = name;
      phaseHint = hint;
      probe.phase(name);
      cancel();
      cancel = settings.clock.after(limit, () =>
        finish(notYet(`${name}: nothing for ${formatDuration(limit)}`, { hint })),
      );
    };
    const fail = (error: unknown): void => {
      const scene = { url, socket, certificate, proxy: undefined, now: settings.clock.date(), forgiving };
      finish(status > 0 ? cut() : (protocolFault(error, url, forgiving) ?? failureOf(error, scene)));
    };
    const kept = new GrowingBytes(0);
    let received = 0;
    const cut = (): NotYet => notYet(`the connection ended inside the body, after ${formatBytes(received)}`);

    const host = url.hostname.replace(/^\[|\]$/g, '');
    const secure = url.protocol === 'https:';
    const connecting = (addresses: readonly string[] = []): void => {
      const list = addresses.length === 0 ? '' : ` (${addresses.join(', ')})`;
      enter(`connecting to ${url.host}${list}`, patience.connecting, connectHint('silent'));
    };
    const where = {
      host,
      port: Number(url.port || (secure ? 443 : 80)),
      lookup: lookupThrough(settings.resolve, probe, connecting),
      autoSelectFamilyAttemptTimeout: agentOptions.autoSelectFamilyAttemptTimeout,
    };
    probe.signal.addEventListener('abort', onAbort, { once: true });
    if (/^[\d.]+$|:/.test(host)) connecting();
    else enter(`resolving ${host}`, patience.resolving);
    const socket: Socket = secure
      ? connectTls({
          servername: serverNameOf(host),
          ...tlsOptions(settings.tls),
          ...where,
          ALPNProtocols: ['h2'],
        })
      : connectTcp(where);
    stack.defer(() => void socket.destroy());
    socket.on('error', fail);
    socket.once('close', () => fail(new Error('the connection was closed')));
    // Emitted before the verification, after which Node drops the certificate that it refused.
    socket.prependOnceListener('secure', () => {
      certificate = (socket as TLSSocket).getPeerCertificate();
    });
    if (secure)
      socket.once('connect', () => {
        probe.reached?.('tcp');
        enter(
          `TLS handshake with ${shownHostPort(socket.remoteAddress, socket.remotePort)}`,
          patience.handshake,
        );
      });
    const held = stack.move();
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      const peer = shownHostPort(socket.remoteAddress, socket.remotePort);
      if (secure && (socket as TLSSocket).alpnProtocol !== 'h2')
        return finish(notYet('the server speaks no HTTP/2 there'));
      probe.reached?.(secure ? 'tls' : 'tcp');
      enter(`waiting for a response from ${peer}`, patience.headers);
      const session = connectHttp2(`${url.protocol}//${url.host}`, {
        createConnection: () => socket,
        settings: { enablePush: false, maxHeaderListSize: mostHead },
      });
      held.defer(() => session.destroy());
      session.on('error', fail);
      const stream = session.request(headersOf(request), { endStream: request.body === undefined });
      stream.on('error', fail);
      if (request.body !== undefined) stream.end(request.body);
      stream.once('response', (heard) => {
        status = Number(heard[':status']);
        const headers = Object.fromEntries(Object.entries(heard).filter(([name]) => !name.startsWith(':')));
        const head = { status, headers: headers as Record<string, string> };
        const answer = (body: Buffer): HttpAnswer => ({
          state: 'response',
          ...head,
          body,
          peer,
          busy: busyOf(head, settings.clock.date()),
        });
        if (request.ignoreBody) return finish(answer(Buffer.alloc(0)));
        return receive(stream, head.headers, answer);
      });
    });

    const receive = (
      stream: ClientHttp2Stream,
      headers: Record<string, string>,
      answer: (body: Buffer) => HttpAnswer,
    ): void => {
      const sink = status === 200 ? request.sink : undefined;
      const receiving = (): void => enter(`receiving the body (${formatBytes(received)})`, patience.body);
      receiving();
      const body = takeBody(stream, {
        sink,
        kept,
        begin: () => sink?.start(headers, url),
        received,
        most: maxBody,
        tooLong: () => finish(bodyTooLong(undefined, request, forgiving)),
        unstored: finish,
        waits(bytes) {
          received = bytes;
          cancel();
        },
        progress(bytes) {
          received = bytes;
          receiving();
        },
      });
      stream.on('data', body.data);
      // A stream that is reset ends as well.
      stream.once('end', () =>
        body.whenStored(() =>
          finish(stream.rstCode === constants.NGHTTP2_NO_ERROR ? answer(kept.taken()) : cut()),
        ),
      );
    };
  });
}

function headersOf({ method, url, headers, body }: HttpRequest): Record<string, string> {
  const host = Object.entries(headers).find(([name]) => name.toLowerCase() === 'host')?.[1];
  return {
    ':method': method,
    ':path': `${url.pathname}${url.search}`,
    ':scheme': url.protocol.slice(0, -1),
    ':authority': host ?? url.host,
    'user-agent': 'initbox',
    'accept-encoding': 'identity',
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...Object.fromEntries(
      Object.entries(headers)
        .map(([name, value]) => [name.toLowerCase(), value] as const)
        .filter(([name]) => !ofConnections.has(name)),
    ),
  };
}

/** What is wrong with the frames that came; undefined of a connection's own faults. */
function protocolFault(error: unknown, url: URL, forgiving: boolean): NotYet | Never | undefined {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_HTTP2_STREAM_ERROR' || code === 'ERR_HTTP2_SESSION_ERROR') {
    const name = /NGHTTP2_[A-Z_]+/.exec(message)?.[0] ?? code;
    return notYet(`the server ended the request without an answer (${name})`);
  }
  if (code !== 'ERR_HTTP2_ERROR') return undefined;
  const reason = 'what answers there does not speak HTTP/2';
  const hint = `is it ${url.protocol}//${url.host}, or another port?`;
  return forgiving ? notYet(reason, { hint }) : never(exitStatus.refused, reason, hint);
}
