import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import Client from 'pg/lib/client.js';

import { reasonOf, type Clock } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import { mostScramIterations } from '../connection/scram.ts';
import { withoutSent } from '../connection/sent-proofs.ts';
import { bindingOf } from './channel-binding.ts';
import type { ConnectionSettings, PostgresHost } from './connection-string.ts';
import { type Contact, socketOf } from './contacts.ts';
import { judgeLogin } from './login-refusals.ts';
import { NotPostgres } from './other-protocol.ts';
import { isServerError, judgeSocket, silent } from './server-errors.ts';
import { openSession, type Session, type SessionReport } from './session.ts';
import { FinalRefusal, openSocket, PassingRefusal, secure, TlsFailure, type Transport } from './socket.ts';
import { alertAfterHandshake } from './tls-failure.ts';
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
  /** Milliseconds that one try may take; unset or 0, there is no bound but its signal. */
  readonly limit?: number;
}

/** Milliseconds for a login that the server has begun to answer: longer than PgBouncer's query_wait_timeout, 120 s. */
const patience = 130_000;

/** libpq's rules for a try with and one without TLS. */
function tries(settings: ConnectionSettings, host: PostgresHost): readonly boolean[] {
  if (host.host.startsWith('/')) return [false];
  const { mode } = settings.tls;
  if (mode === 'disable') return [false];
  // Without TLS there is nothing to bind to.
  if (settings.channelBinding === 'require') return [true];
  if (mode === 'allow') return [false, true];
  return mode === 'prefer' ? [true, false] : [true];
}

/**
 * Logs in over an open connection, and over a second one where the first try was to be with TLS, or without.
 * @param share milliseconds that it may take, beside connect_timeout
 */
export function logInTo(
  contact: Contact,
  share: number,
  settings: ConnectionSettings,
  context: ConnectContext,
  probe: Probe,
): Promise<Connected | NotYet | Never> {
  const { host, peer } = contact.at;
  return secured(contact, share, settings, context, probe, async (transport, signal, bePatient) => ({
    state: 'connected',
    session: await logIn(transport, settings, host, peer, context, signal, bePatient).then((session) => {
      probe.reached?.('login');
      return session;
    }),
  }));
}

/**
 * Does something over a connection that sslmode is content with.
 * @param share milliseconds that it may take, beside connect_timeout
 * @param use gets what to call once the server has begun to answer: from then on it may take its time
 */
export async function secured<T>(
  { at, socket: opened, took }: Contact,
  share: number,
  settings: ConnectionSettings,
  context: Pick<ConnectContext, 'clock'>,
  probe: Probe,
  use: (transport: Transport, signal: AbortSignal, bePatient: () => void) => Promise<T>,
): Promise<T | NotYet | Never> {
  const { host, peer } = at;
  const timeout = new AbortController();
  let late = silent;
  const stop = (): void => timeout.abort(Object.assign(new Error('no answer'), { code: late }));
  let cancel = context.clock.after(Math.max(1, Math.min(settings.connectTimeout - took, share)), stop);
  // A pooler lets a client in and keeps it until there is a server; it does not notice that one is gone.
  const bePatient = (): void => {
    probe.reached?.('protocol');
    if (settings.connectTimeoutGiven) return;
    cancel();
    cancel = context.clock.after(patience, stop);
    probe.atWork?.(true);
  };
  const signal = AbortSignal.any([probe.signal, timeout.signal]);
  let first: NotYet | Never | undefined;
  let socket: Socket | undefined = opened;
  try {
    for (const withTls of tries(settings, host)) {
      try {
        if (socket === undefined) {
          late = 'ETIMEDOUT';
          probe.phase(`connecting to ${peer}`);
          socket = await openSocket(socketOf(at), signal);
        }
        late = silent;
        probe.phase(`connected to ${peer}`);
        probe.reached?.('tcp');
        const transport = await secure(socket, host.host, settings.tls, withTls, signal);
        if (withTls) probe.reached?.('tls');
        probe.phase(`logging in to ${peer}`);
        return await use(transport, signal, bePatient).catch((error: unknown) => {
          throw transport.encrypted ? refusedByAlert(error, settings) : error;
        });
      } catch (error) {
        socket = undefined;
        const answer = asAnswer(error, peer);
        first ??= answer;
        if (!mayTryOtherwise(error, settings)) return answer;
      }
    }
    return first ?? notYet(`no answer (${peer})`);
  } finally {
    cancel();
    probe.atWork?.(false);
  }
}

/** With TLS 1.3 a server says only after the handshake that it refuses our certificate; libpq goes on without TLS for none of it. */
function refusedByAlert(error: unknown, { tls }: ConnectionSettings): unknown {
  const problem = alertAfterHandshake(error, tls.certificate !== undefined);
  return problem === undefined ? error : new FinalRefusal(problem.reason, problem.hint);
}

/** Only what TLS, or its lack, may have caused is tried the other way. */
function mayTryOtherwise(error: unknown, settings: ConnectionSettings): boolean {
  if (settings.tls.mode !== 'prefer' && settings.tls.mode !== 'allow') return false;
  return error instanceof TlsFailure || (isServerError(error) && error.code === '28000');
}

/** What an error of a connection means for a wait. */
export function asAnswer(error: unknown, peer: string): NotYet | Never {
  if (error instanceof FinalRefusal)
    return never(exitStatus.refused, `${error.answer.reason} (${peer})`, error.answer.hint);
  if (error instanceof PassingRefusal) return notYet(`${error.message} (${peer})`, { hint: error.hint });
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

/** The driver's own bound is 100,000; its types do not have it (lib/crypto/sasl.js). */
const driverBounds: object = { scramMaxIterations: mostScramIterations };

class NoPassword extends Error {}

/**
 * Hands the open stream to the driver, which knows the protocol but not how to connect as libpq does.
 * @param onHeard called when the server has begun to answer the login
 */
async function logIn(
  transport: Transport,
  settings: ConnectionSettings,
  host: PostgresHost,
  peer: string,
  context: ConnectContext,
  signal: AbortSignal,
  onHeard: () => void,
): Promise<Session> {
  const { socket, stream } = transport;
  const binding = bindingOf(transport, settings.channelBinding);
  const wire = new Wire(stream, (text) => context.redactor.redact(text), binding);
  wire.once('heard', onHeard);
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
    ...driverBounds,
    enableChannelBinding: binding.certificate !== undefined,
  });
  // What the driver would send takes an empty value for none, and then reads variables of its own.
  Object.assign(client, { getStartupConf: () => startupOf(settings) });
  const told = listen(client);
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
    return openSession(client, socket, announced(client), peer, context.clock, wire, told);
  } catch (error) {
    wire.on('error', () => {}).destroy();
    socket.destroy();
    throw signal.aborted ? reasonOf(signal) : inOurWords(withoutProofs(error, wire));
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Takes out of the server's words what the login has sent. */
function withoutProofs(error: unknown, { sent }: Wire): unknown {
  if (error instanceof Error)
    for (const field of ['message', 'detail', 'hint', 'where'] as const) {
      const said = error as { [name in typeof field]?: string };
      const text = said[field];
      if (typeof text === 'string') said[field] = withoutSent(sent, text);
    }
  return error;
}

/** The driver's errors of SCRAM (RFC 5802) are about its own code. */
function inOurWords(error: unknown): unknown {
  const problem = /^SASL(?: channel binding)?: (.*)/s.exec(error instanceof Error ? error.message : '')?.[1];
  if (problem === undefined) return error;
  if (problem.includes('signature does not match'))
    return new FinalRefusal(
      'the server could not prove that it knows the password',
      'is it the right server? something in between may answer instead: sslmode=verify-full checks that',
    );
  if (problem.includes('exceeds scramMaxIterations'))
    return new FinalRefusal(
      `the server asks for more iterations of SCRAM than the ${mostScramIterations} that are accepted`,
      'lower scram_iterations in the server, and set the password again',
    );
  return new Error('the login failed: what the server sent for SCRAM is not valid');
}

/** Notes what the server reports; the driver keeps the state of the transaction, and no parameter. */
function listen(client: object): SessionReport {
  const driver = client as {
    readonly connection: EventEmitter;
    getTransactionStatus(): SessionReport['transaction'] | null;
  };
  let standardStrings: boolean | undefined;
  driver.connection.on('parameterStatus', (said: { parameterName: string; parameterValue: string }) => {
    if (said.parameterName === 'standard_conforming_strings') standardStrings = said.parameterValue !== 'off';
  });
  return {
    get transaction() {
      return driver.getTransactionStatus() ?? undefined;
    },
    get standardStrings() {
      return standardStrings;
    },
  };
}

/** What a login begins with, as libpq builds it: what is empty is not sent. */
function startupOf({ user, database, applicationName, options, startup }: ConnectionSettings): object {
  return {
    user,
    database,
    ...(applicationName === '' ? {} : { application_name: applicationName ?? 'initbox' }),
    ...(options ? { options } : {}),
    ...startup,
  };
}

function announced(client: object): number {
  return (client as { readonly processID: number | null }).processID ?? 0;
}
