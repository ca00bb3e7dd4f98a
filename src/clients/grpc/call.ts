import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
} from 'node:http2';

import { notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import {
  judgeConnection,
  openConnection,
  type ConnectionContext,
  type ConnectionPlace,
} from '../connection/open.ts';
import { grpcStatusName } from './status.ts';

/** What a server answered to a call. */
export interface GrpcReply {
  readonly state: 'replied';
  /** `OK`, `UNAVAILABLE`. */
  readonly status: string;
  /** The server's own words. */
  readonly message: string;
  /** The answer's message; empty unless the status is OK. */
  readonly body: Buffer;
}

/** A connection over which calls are made. */
export interface GrpcConnection extends Disposable {
  readonly peer: string;
  /** Makes one unary call. `path` is `/package.Service/Method`. */
  call(path: string, message: Uint8Array): Promise<GrpcReply | NotYet>;
}

/** Where it is, and what is sent with each call. */
export interface GrpcPlace extends ConnectionPlace {
  /** HTTP/2's `:authority`: host and port. */
  readonly authority: string;
  /** gRPC's metadata. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes of an answer, and of its headers, that are read: what is asked for here has some hundred. */
const mostAnswer = 64 * 1024;

/** gRPC's frame around a message: whether it is compressed, and its length (PROTOCOL-HTTP2.md of gRPC). */
const frameHead = 5;

/**
 * Opens a connection. Node's own HTTP/2 carries it, which takes 30 to 40 ms of CPU to load; \@grpc/grpc-js loads that, too,
 * and takes twice as long. HTTP/2 of our own would need HPACK with its Huffman codes.
 */
export async function openGrpc(
  { authority, metadata, tls, endpoint }: GrpcPlace,
  context: ConnectionContext,
  probe: Probe,
): Promise<GrpcConnection | NotYet | Never> {
  const opened = await openConnection({ endpoint, tls, alpn: 'h2' }, context, probe);
  if ('state' in opened) return opened;
  const { stream, peer } = opened;
  const scheme = tls === undefined ? 'http' : 'https';
  const session = connectHttp2(`${scheme}://${authority}`, {
    createConnection: () => stream,
    settings: { enablePush: false, maxHeaderListSize: mostAnswer },
  });
  let failure: unknown;
  const failed = new Promise<void>((resolve) => {
    session.on('error', (error) => {
      failure ??= error;
      resolve();
    });
    session.once('close', () => resolve());
  });
  const onAbort = (): void => session.destroy();
  probe.signal.addEventListener('abort', onAbort, { once: true });
  return {
    peer,
    async call(path, message) {
      if (probe.signal.aborted) return notYet(`no answer (${peer})`);
      const headers = {
        ...metadata,
        ':method': 'POST',
        ':scheme': scheme,
        ':path': path,
        ':authority': authority,
        'content-type': 'application/grpc',
        'user-agent': 'initbox',
        te: 'trailers',
      };
      const reply = await callOnce(session, headers, message, failed);
      if ('heard' in reply) return replyOf(reply, peer);
      // What broke the connection says more than that the call has ended with it.
      return judgeFault(failure ?? reply.error, peer, probe.signal.aborted);
    },
    [Symbol.dispose]() {
      probe.signal.removeEventListener('abort', onAbort);
      session.destroy();
      stream.destroy();
    },
  };
}

/** The server has ended the call, or the connection. */
class CallEnded extends Error {
  readonly reason: string | undefined;

  constructor(reason?: string) {
    super('the call was ended');
    this.reason = reason;
  }
}

/** Error codes of HTTP/2 (RFC 9113, 7), by their numbers. */
const http2Errors = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

interface Heard {
  readonly heard: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  /** Undefined where it is too long. */
  readonly body: Buffer | undefined;
}

function callOnce(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
  message: Uint8Array,
  failed: Promise<void>,
): Promise<Heard | { readonly error: unknown }> {
  return new Promise((resolve) => {
    let heard: IncomingHttpHeaders | undefined;
    let trailers: IncomingHttpHeaders = {};
    const body: Buffer[] = [];
    let length = 0;
    let failure: unknown = new CallEnded();
    const finish = (): void =>
      resolve(heard === undefined ? { error: failure ?? new CallEnded() } : whole(heard));
    const whole = (found: IncomingHttpHeaders): Heard | { readonly error: unknown } => {
      if (length > mostAnswer) return { heard: found, trailers, body: undefined };
      // Cut off before its trailers, it says nothing for sure.
      if (grpcAnswers(found) && statusIn(found, trailers) === undefined && failure !== undefined)
        return { error: failure };
      return { heard: found, trailers, body: Buffer.concat(body) };
    };
    void failed.then(finish);
    try {
      const stream = session.request(headers, { endStream: false });
      stream.on('error', (error) => {
        failure = error;
      });
      stream.on('response', (found) => {
        heard = found;
      });
      stream.on('trailers', (found) => {
        trailers = found;
      });
      stream.on('data', (bytes: Buffer) => {
        length += bytes.length;
        if (length > mostAnswer) stream.close(constants.NGHTTP2_CANCEL);
        else body.push(bytes);
      });
      stream.on('close', () => {
        const { rstCode } = stream;
        if (rstCode === constants.NGHTTP2_NO_ERROR) failure = undefined;
        // What is not HTTP/2 ends calls with INTERNAL_ERROR, too; of CANCEL, Node tells no error.
        else if (!isNotHttp2(failure)) failure = new CallEnded(http2Errors[rstCode] ?? String(rstCode));
        finish();
      });
      const head = Buffer.alloc(frameHead);
      head.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([head, message]));
    } catch (error) {
      resolve({ error });
    }
  });
}

function grpcAnswers(headers: IncomingHttpHeaders): boolean {
  return /^application\/grpc(?:[+;]|$)/.test(headers['content-type'] ?? '');
}

/** The status stands in the trailers, or in the headers of an answer that has nothing else. */
function statusIn(headers: IncomingHttpHeaders, trailers: IncomingHttpHeaders): string | undefined {
  return [trailers['grpc-status'], headers['grpc-status']].flat().find((text) => text !== undefined);
}

function replyOf({ heard, trailers, body }: Heard, peer: string): GrpcReply | NotYet {
  const http = Number(heard[':status']);
  const isGrpc = grpcAnswers(heard);
  const said = isGrpc ? statusIn(heard, trailers) : undefined;
  if (said === undefined && http !== 200) {
    const busy = http === 429 || http === 503 ? {} : undefined;
    return notYet(`answered HTTP ${http}, and not gRPC (${peer})`, { hint: httpHints[http], busy });
  }
  if (!isGrpc || said === undefined || !/^\d{1,3}$/.test(said) || body === undefined) return notGrpc(peer);
  const message = decoded([trailers['grpc-message'], heard['grpc-message']].flat().find(Boolean) ?? '');
  const status = grpcStatusName(Number(said));
  if (status !== 'OK') return { state: 'replied', status, message, body: Buffer.alloc(0) };
  // No encoding was offered, so that no answer may have one.
  if (body.length < frameHead || body[0] !== 0 || body.readUInt32BE(1) !== body.length - frameHead)
    return notGrpc(peer);
  return { state: 'replied', status, message, body: body.subarray(frameHead) };
}

/** A gateway or a mesh answers in the server's place, or it is a server of HTTP. */
const httpHints: Readonly<Record<number, string>> = {
  401: 'it wants credentials: header-file, header-env, or cert-file and key-file',
  403: 'it refuses us: look at a mesh’s or gateway’s authorization policy',
  404: 'nothing is at that path: is it a server of gRPC? Behind an ingress or gateway, look at its routes',
  415: 'it takes no gRPC: is it the right port?',
  502: 'a gateway answers, and what is behind it does not speak: look at the Service that it sends to',
  503: 'a gateway answers, and nothing behind it is ready: look at the Service that it sends to',
  504: 'a gateway answers, and what is behind it is too slow or silent',
};

/** What answers does not speak gRPC. */
export function notGrpc(peer: string): NotYet {
  return notYet(`what answers there is not gRPC (${peer})`, {
    hint: 'is it the right port, with TLS or without it as the server has it? Behind a proxy, it must pass HTTP/2 on, with its trailers',
  });
}

/** gRPC percent-encodes what is not printable ASCII; what is not rightly encoded stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** nghttp2's own word for frames that are none, as against codes that a server sends. */
function isNotHttp2(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ERR_HTTP2_ERROR';
}

function judgeFault(error: unknown, peer: string, cut: boolean): NotYet {
  if (cut) return notYet(`no answer (${peer})`);
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (isNotHttp2(error)) return notGrpc(peer);
  const name = error instanceof CallEnded ? error.reason : /(?<=NGHTTP2_)[A-Z_]+/.exec(message)?.[0];
  // What is not HTTP/2 often ends the connection, and no error is told.
  if (code.startsWith('ERR_HTTP2_') || code === '')
    return notYet(
      `the server ended the call without an answer${name === undefined ? '' : ` (${name})`} (${peer})`,
      { hint: 'is it the right port, with TLS or without it as the server has it? Or it is about to stop' },
    );
  return judgeConnection(error, peer);
}
