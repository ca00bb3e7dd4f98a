import type { Duplex } from 'node:stream';

import Client from 'pg/lib/client.js';

import { reasonOf, type Clock } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { shownHostPort } from '../../core/host-port.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import type { ConnectionSettings, PostgresHost } from './connection-string.ts';
import { NotPostgres } from './other-protocol.ts';
import { isServerError, judgeLogin, judgeSocket, silent } from './server-errors.ts';
import { openSession, type Session } from './session.ts';
import { FinalRefusal, openSocket, secure, TlsFailure, type Transport } from './socket.ts';
import { Wire } from './wire.ts';

export interface Connected {
  readonly state: 'connected';
  readonly session: Session;
}

/** What one try to connect takes from outside. */
export interface ConnectContext {
  readonly resolve: ResolveAddresses;
  readonly clock: Clock;
  /** What a server says is redacted before it is cut. */
  readonly redactor: Pick<Redactor, 'redact'>;
}

/** What a caller wants of the server itself; a server that is not it counts as not yet. */
export type Requirement = (session: Session, signal: AbortSignal) => Promise<NotYet | Never | undefined>;

/**
 * One attempt: every host in order and every address of each, until one logs the role in and is what
 * target_session_attrs and `requirement` ask for. As in libpq, a refused login ends the attempt, a refused connection
 * does not. It sends nothing but the login unless target_session_attrs or the requirement do.
 */
export async function connectPostgres(
  settings: ConnectionSettings,
  context: ConnectContext,
  probe: Probe,
  requirement?: Requirement,
): Promise<Connected | NotYet | Never> {
  const failures: NotYet[] = [];
  /** libpq's prefer-standby: primaries, for when no standby fits. They are judged when they are taken. */
  const seconds: Session[] = [];
  const judge = async (session: Session): Promise<Connected | NotYet | Never> => {
    const misfit = await requirement?.(session, probe.signal).catch((error: unknown) =>
      asAnswer(error, session.peer),
    );
    if (misfit === undefined) return { state: 'connected', session };
    await session.end();
    return misfit;
  };
  const endAfter = async <T>(answer: T): Promise<T> => {
    await Promise.all(seconds.map((session) => session.end()));
    return answer;
  };
  for (const host of settings.hosts) {
    const addresses = await addressesOf(host, context, probe);
    if (addresses.state !== 'found') {
      failures.push(addresses);
      continue;
    }
    for (const address of addresses.addresses) {
      if (probe.signal.aborted) break;
      const answer = await connectOne(settings, host, address, context, probe);
      if (answer.state === 'never') return endAfter(answer);
      if (answer.state === 'not-yet') {
        failures.push(answer);
        continue;
      }
      const { session } = answer;
      const fit = await fitOf(session, settings, probe);
      if (fit === 'second') {
        seconds.push(session);
        continue;
      }
      if (fit !== 'fits') await session.end();
      const judged = fit === 'fits' ? await judge(session) : fit;
      if (judged.state !== 'not-yet') return endAfter(judged);
      failures.push(judged);
    }
  }
  for (let session = seconds.shift(); session !== undefined; session = seconds.shift()) {
    const judged = session.alive
      ? await judge(session)
      : asAnswer(Object.assign(new Error('connection closed'), { code: 'EPIPE' }), session.peer);
    if (judged.state !== 'not-yet') return endAfter(judged);
    failures.push(judged);
  }
  return merged(failures, probe);
}

function merged(failures: readonly NotYet[], probe: Probe): NotYet {
  if (probe.signal.aborted && failures.length === 0) return notYet('no answer');
  const hint = failures.find((failure) => failure.hint !== undefined)?.hint;
  return notYet([...new Set(failures.map(({ reason }) => reason))].join('; '), {
    hint,
    absent: failures.every(({ absent }) => absent),
  });
}

async function addressesOf(
  host: PostgresHost,
  context: ConnectContext,
  probe: Probe,
): Promise<{ readonly state: 'found'; readonly addresses: readonly string[] } | NotYet> {
  if (host.host.startsWith('/')) return { state: 'found', addresses: [host.host] };
  if (host.address) return { state: 'found', addresses: [host.address] };
  return context.resolve(host.host, probe);
}

/** `db:5432 (10.0.0.4)` */
function peerName(host: PostgresHost, address: string): string {
  if (host.host.startsWith('/')) return `${host.host}/.s.PGSQL.${host.port}`;
  const name = shownHostPort(host.host, host.port);
  return address === host.host ? name : `${name}, ${address}`;
}

/** libpq's rules for a try with and one without TLS. */
function tries(settings: ConnectionSettings, host: PostgresHost): readonly boolean[] {
  if (host.host.startsWith('/')) return [false];
  const { mode } = settings.tls;
  if (mode === 'disable') return [false];
  if (mode === 'allow') return [false, true];
  return mode === 'prefer' ? [true, false] : [true];
}

async function connectOne(
  settings: ConnectionSettings,
  host: PostgresHost,
  address: string,
  context: ConnectContext,
  probe: Probe,
): Promise<Connected | NotYet | Never> {
  const peer = peerName(host, address);
  probe.phase(`connecting to ${peer}`);
  const timeout = new AbortController();
  let late = 'ETIMEDOUT';
  const cancel = context.clock.after(settings.connectTimeout, () =>
    timeout.abort(Object.assign(new Error('no answer'), { code: late })),
  );
  const signal = AbortSignal.any([probe.signal, timeout.signal]);
  let first: NotYet | Never | undefined;
  try {
    for (const withTls of tries(settings, host)) {
      try {
        late = 'ETIMEDOUT';
        const target = host.host.startsWith('/')
          ? { path: `${host.host}/.s.PGSQL.${host.port}` }
          : { host: address, port: host.port };
        const socket = await openSocket(target, signal);
        late = silent;
        probe.phase(`connected to ${peer}`);
        const transport = await secure(socket, host.host, settings.tls, withTls, signal);
        probe.phase(`logging in to ${peer}`);
        return {
          state: 'connected',
          session: await logIn(transport, settings, host, peer, context, signal),
        };
      } catch (error) {
        const answer = asAnswer(error, peer);
        first ??= answer;
        if (!mayTryOtherwise(error, settings)) return answer;
      }
    }
    return first ?? notYet(`no answer (${peer})`);
  } finally {
    cancel();
  }
}

/** Only what TLS, or its lack, may have caused is tried the other way. */
function mayTryOtherwise(error: unknown, settings: ConnectionSettings): boolean {
  if (settings.tls.mode !== 'prefer' && settings.tls.mode !== 'allow') return false;
  return error instanceof TlsFailure || (isServerError(error) && error.code === '28000');
}

function asAnswer(error: unknown, peer: string): NotYet | Never {
  if (error instanceof FinalRefusal)
    return never(exitStatus.refused, `${error.answer.reason} (${peer})`, error.answer.hint);
  if (error instanceof NoPassword)
    return never(
      exitStatus.refused,
      `${error.message} (${peer})`,
      'put it into the URL, PGPASSWORD, or a password file (PGPASSFILE)',
    );
  if (error instanceof NotPostgres) {
    return notYet(`${error.message} (${peer})`, {
      hint: 'is it the right port? a new Service can lead elsewhere until this node’s kube-proxy knows it',
    });
  }
  if (isServerError(error)) return judgeLogin(error, peer);
  return judgeSocket(error, peer);
}

class NoPassword extends Error {}

/** Hands the open stream to the driver, which knows the protocol but not how to connect as libpq does. */
async function logIn(
  { socket, stream }: Transport,
  settings: ConnectionSettings,
  host: PostgresHost,
  peer: string,
  context: ConnectContext,
  signal: AbortSignal,
): Promise<Session> {
  const wire = new Wire(stream, (text) => context.redactor.redact(text));
  const client = new Client({
    host: host.host,
    port: host.port,
    user: settings.user,
    database: settings.database,
    // Asked for only where the server wants one; a string left out would send the driver to its own sources.
    password: () => {
      if (host.password === undefined)
        throw new NoPassword('the server asks for a password, and none was given');
      return host.password.reveal();
    },
    ssl: false,
    // It has what the driver uses of a stream.
    stream: () => wire as unknown as Duplex,
    application_name: settings.applicationName ?? 'initbox',
    ...(settings.options === undefined ? {} : { options: settings.options }),
  });
  const onAbort = (): void => wire.destroy(reasonOf(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    // Unheard, the error of a connection that is cut after its login would end the process. One that came with the
    // login's last message has no session yet to be told.
    let early: Error | undefined;
    client.on('error', (error) => {
      early ??= error;
    });
    await client.connect();
    if (signal.aborted) throw reasonOf(signal);
    if (early !== undefined) throw early;
    return openSession(client, socket, announced(client), peer, context.clock, wire);
  } catch (error) {
    wire.on('error', () => {}).destroy();
    socket.destroy();
    throw signal.aborted ? reasonOf(signal) : inOurWords(error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The driver's errors of SCRAM (RFC 5802) are about its own code. */
function inOurWords(error: unknown): unknown {
  const problem = /^SASL: (.*)/s.exec(error instanceof Error ? error.message : '')?.[1];
  if (problem === undefined) return error;
  if (problem.includes('signature does not match'))
    return new FinalRefusal(
      'the server could not prove that it knows the password',
      'is it the right server? something in between may answer instead: sslmode=verify-full checks that',
    );
  if (problem.includes('exceeds scramMaxIterations'))
    return new FinalRefusal(
      'the server asks for more iterations of SCRAM than the 100000 that are accepted',
      'lower scram_iterations in the server, and set the password again',
    );
  return new Error('the login failed: what the server sent for SCRAM is not valid');
}

function announced(client: object): number {
  return (client as { readonly processID: number | null }).processID ?? 0;
}

/** Asks only what target_session_attrs needs to know. */
async function fitOf(
  session: Session,
  { attributes }: ConnectionSettings,
  probe: Probe,
): Promise<NotYet | 'fits' | 'second'> {
  if (attributes === 'any') return 'fits';
  try {
    const { rows } = await session.query(
      'SELECT pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.current_setting($1) AS read_only',
      ['transaction_read_only'],
      { signal: probe.signal },
    );
    const [row] = rows;
    if (typeof row?.['standby'] !== 'boolean' || typeof row['read_only'] !== 'string')
      return notYet(`no answer to whether it is a primary (${session.peer})`);
    const standby = row['standby'];
    const readOnly = row['read_only'] === 'on';
    const fits = {
      'read-write': !readOnly,
      'read-only': readOnly,
      primary: !standby,
      standby,
      'prefer-standby': standby,
    }[attributes];
    if (fits) return 'fits';
    if (attributes === 'prefer-standby') return 'second';
    const what = standby ? 'a standby' : readOnly ? 'read-only' : 'a primary';
    const wanted =
      attributes === 'primary'
        ? 'where a primary is required'
        : `not what target_session_attrs=${attributes} asks for`;
    return notYet(`${what}, ${wanted} (${session.peer})`);
  } catch (error) {
    const answer = asAnswer(error, session.peer);
    return answer.state === 'not-yet' ? answer : notYet(answer.reason);
  }
}
