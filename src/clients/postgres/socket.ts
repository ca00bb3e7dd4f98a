import { connect, isIP, type Socket } from 'node:net';
import type { ConnectionOptions, PeerCertificate, TLSSocket } from 'node:tls';

import { reasonOf } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { withoutFinalDot } from '../../core/host-port.ts';
import { never, type Never } from '../../wait/attempt.ts';
import type { PostgresTls } from './connection-string.ts';
import { errorOfVersion2, isForeignGreeting, NotPostgres } from './other-protocol.ts';
import { handshakeProblem } from './tls-failure.ts';

/** A connection that the protocol can start on. */
export interface Transport {
  /** The socket itself. */
  readonly socket: Socket;
  /** What bytes go through: the socket, or TLS over it. */
  readonly stream: Socket | TLSSocket;
  readonly encrypted: boolean;
}

/** Waiting does not change why there is no connection. */
export class FinalRefusal extends Error {
  override readonly name = 'FinalRefusal';
  readonly answer: Never;

  constructor(reason: string, hint?: string) {
    super(reason);
    this.answer = never(exitStatus.refused, reason, hint);
  }
}

/** There is no connection for a reason that time alone can mend. */
export class PassingRefusal extends Error {
  override readonly name = 'PassingRefusal';
  readonly hint: string | undefined;

  constructor(reason: string, hint?: string) {
    super(reason);
    this.hint = hint;
  }
}

/** A TLS handshake that failed: under sslmode=prefer a reason to go on without. */
export class TlsFailure extends FinalRefusal {}

/** Int32 length 8 and code 80877103 (https://www.postgresql.org/docs/current/protocol-message-formats.html). */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/**
 * Opens a TCP or Unix socket.
 * @throws the system's error, or the signal's reason
 */
export function openSocket(
  target: { readonly path: string } | { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(reasonOf(signal));
    const socket = connect(target);
    const settle = (action: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners('error').removeAllListeners('connect');
      action();
    };
    const fail = (error: Error): void =>
      settle(() => {
        socket.on('error', () => {});
        socket.destroy();
        reject(error);
      });
    const onAbort = (): void => fail(reasonOf(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      // A closed loopback port in the ephemeral range can be given to the connecting end itself.
      if (
        !('path' in target) &&
        socket.localPort === socket.remotePort &&
        socket.localAddress === socket.remoteAddress
      )
        return fail(Object.assign(new Error('connected to itself'), { code: 'ECONNREFUSED' }));
      return settle(() => {
        socket.setNoDelay(true);
        resolve(socket);
      });
    });
  });
}

/**
 * Asks for TLS as sslmode says and does its handshake.
 * @param wanted whether this try is with TLS at all: `allow` and `prefer` take two tries
 * @throws FinalRefusal, TlsFailure, the system's error, or the signal's reason
 */
export async function secure(
  socket: Socket,
  host: string,
  tls: PostgresTls,
  wanted: boolean,
  signal: AbortSignal,
): Promise<Transport> {
  if (!wanted) return { socket, stream: socket, encrypted: false };
  if (!tls.direct) {
    const answer = await askForTls(socket, signal);
    if (answer === 'N') {
      if (tls.mode === 'prefer' || tls.mode === 'allow') return { socket, stream: socket, encrypted: false };
      throw new FinalRefusal(
        `the server has TLS turned off, and sslmode=${tls.mode} demands it`,
        'turn ssl on in the server, or set sslmode=prefer where the network may be trusted',
      );
    }
    if (answer !== 'S') throw new Error('the server answered the request for TLS with an error');
  }
  return { socket, stream: await handshake(socket, host, tls, signal), encrypted: true };
}

function askForTls(socket: Socket, signal: AbortSignal): Promise<string> {
  return listening(socket, signal, (resolve, reject) => {
    socket.once('data', (bytes: Buffer) => {
      const answer = bytes.toString('latin1', 0, 1);
      // What comes next must find a reader: without one it would be thrown away.
      if (answer !== 'S') socket.pause();
      if (answer === 'E' || !'SN'.includes(answer) || isForeignGreeting(bytes)) {
        if (answer === 'E' && beginsError(bytes)) resolve('E');
        else reject(new NotPostgres(bytes));
      } else if (answer === 'N') {
        // An error may follow at once: a server whose postmaster ends says so to whoever is about to log in.
        if (bytes.length > 1) socket.unshift(bytes.subarray(1));
        resolve(answer);
      } else if (bytes.length === 1) resolve(answer);
      // More than the one byte would be taken for encrypted data (CVE-2021-23222).
      else
        reject(new FinalRefusal('the server sent unencrypted bytes after its answer to the request for TLS'));
    });
    socket.write(sslRequest);
  });
}

/** Its beginning, which may be all that has come: a length that an error can have and a field, or only text. */
function beginsError(bytes: Buffer): boolean {
  if (bytes.length < 6) return true;
  if (errorOfVersion2(bytes) !== undefined) return true;
  return bytes.readUInt32BE(1) <= 30_000 && /[SVCM]/.test(bytes.toString('latin1', 5, 6));
}

async function handshake(
  socket: Socket,
  host: string,
  tls: PostgresTls,
  signal: AbortSignal,
): Promise<TLSSocket> {
  // Most servers inside a cluster have none, and loading it takes as long as a query.
  const { checkServerIdentity, connect: connectTls, getCACertificates } = await import('node:tls');
  const verifies = tls.authorities !== undefined && tls.mode !== 'prefer' && tls.mode !== 'allow';
  const options: ConnectionOptions = {
    socket,
    host,
    // RFC 6066, 3: no address may stand there.
    ...(isIP(host) || host.startsWith('/') ? {} : { servername: withoutFinalDot(host) }),
    rejectUnauthorized: verifies,
    ...(tls.authorities === undefined ? {} : { ca: trusted(tls.authorities, getCACertificates) }),
    ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls.key === undefined ? {} : { key: tls.key.reveal() }),
    checkServerIdentity: (name, certificate) =>
      tls.mode !== 'verify-full' || holdsAddressAsName(host, certificate)
        ? undefined
        : checkServerIdentity(name, certificate),
    ...(tls.direct ? { ALPNProtocols: ['postgresql'] } : {}),
  };
  return listening(socket, signal, (resolve, reject) => {
    let stream: TLSSocket;
    try {
      stream = connectTls(options);
    } catch (error) {
      return reject(
        new TlsFailure(`the client’s certificate or key cannot be used: ${(error as Error).message}`),
      );
    }
    stream.once('secureConnect', () => {
      stream.removeAllListeners('error');
      resolve(stream);
    });
    stream.once('error', (error: NodeJS.ErrnoException) => {
      stream.on('error', () => {});
      reject(error.syscall === undefined ? tlsFailure(error, host, tls) : error);
    });
  });
}

/**
 * libpq takes an address that stands where a name belongs: in a DNS entry, or, where no entry is an address, in the
 * subject (pq_verify_peer_name_matches_certificate in fe-secure-common.c, pgtls_verify_peer_name_matches_certificate_guts
 * in fe-secure-openssl.c).
 */
function holdsAddressAsName(host: string, certificate: PeerCertificate): boolean {
  if (isIP(host) === 0) return false;
  const names = certificate.subjectaltname ?? '';
  // An entry in quotes may hold what looks like others.
  if (names.includes('"')) return false;
  const entries = names.split(', ');
  if (entries.includes(`DNS:${host}`)) return true;
  return !entries.some((entry) => entry.startsWith('IP Address:')) && certificate.subject?.CN === host;
}

function trusted(
  authorities: string,
  certificatesOf: (which: 'system' | 'bundled') => string[],
): string | string[] {
  if (authorities !== 'system') return authorities;
  const system = certificatesOf('system');
  return system.length > 0 ? system : certificatesOf('bundled');
}

function tlsFailure(error: NodeJS.ErrnoException, host: string, tls: PostgresTls): Error {
  // A server that is going down cuts the handshake off.
  if (error.code === 'ECONNRESET') return error;
  const problem = handshakeProblem(error, host, tls.mode, tls.certificate !== undefined);
  return problem.passes === true
    ? new PassingRefusal(problem.reason, problem.hint)
    : new TlsFailure(problem.reason, problem.hint);
}

/** Runs one exchange on the socket, which ends with the socket, an error or the signal. */
function listening<T>(
  socket: Socket,
  signal: AbortSignal,
  exchange: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      socket.destroy();
      return reject(reasonOf(signal));
    }
    const stop = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', fail);
      socket.off('close', onClose);
    };
    const fail = (error: Error): void => {
      stop();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(reasonOf(signal));
    const onClose = (): void => fail(Object.assign(new Error('connection closed'), { code: 'EPIPE' }));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail);
    socket.once('close', onClose);
    exchange((value) => {
      stop();
      resolve(value);
    }, fail);
    return undefined;
  });
}
