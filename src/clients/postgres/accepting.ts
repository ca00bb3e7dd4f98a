import { reasonOf } from '../../core/clock.ts';
import { satisfied, type Never, type NotYet, type Probe, type Satisfied } from '../../wait/attempt.ts';
import { merged, Shares } from './connect.ts';
import type { ConnectionSettings } from './connection-string.ts';
import { Contacts } from './contacts.ts';
import { secured, type ConnectContext } from './login.ts';
import { errorOfVersion2, NotPostgres } from './other-protocol.ts';
import { sqlState } from './server-errors.ts';
import type { Redact } from './server-text.ts';
import type { Transport } from './socket.ts';

/** Characters of a server's words that are shown. */
const mostShown = 300;

/** A server that would not take a login now, in its own words. */
class NotAccepting extends Error {
  readonly code: string;
  readonly severity = 'FATAL';

  constructor(message: string) {
    super(message);
    this.code = sqlState.cannotConnectNow;
  }
}

/** The version of the protocol, 3.0 (https://www.postgresql.org/docs/current/protocol-message-formats.html). */
const version = 196_608;

/** The kinds of requests for authentication that there are, with some to come: 12 is the end of SASL. */
const lastRequest = 20;

/** No error of a login is longer (MAX_ERRLEN in fe-connect.c). */
const longestError = 30_000;

/**
 * One attempt: whether a server takes logins, as pg_isready has it (PQping). Nothing secret is sent: the server is
 * asked for a login, and whatever it answers but 57P03, "the database system is starting up", is a yes.
 */
export async function findAccepting(
  settings: ConnectionSettings,
  context: ConnectContext,
  probe: Probe,
): Promise<Satisfied | NotYet | Never> {
  const failures: NotYet[] = [];
  const shares = new Shares(context);
  using contacts = new Contacts(settings, context, probe);
  for (let contact = await contacts.next(); contact !== undefined; contact = await contacts.next()) {
    const found = contact;
    const answer =
      found.state === 'not-yet'
        ? found
        : await secured(
            found,
            shares.next(contacts),
            settings,
            context,
            probe,
            async (transport, signal): Promise<Satisfied> => {
              await ask(transport, settings, (text) => context.redactor.redact(text), signal);
              probe.reached?.('protocol');
              return satisfied(`accepts connections (${found.at.peer})`);
            },
          );
    if (answer.state !== 'not-yet') return answer;
    failures.push(answer);
  }
  return merged(failures, probe);
}

/**
 * Sends the beginning of a login and reads how the server answers.
 * @throws NotAccepting, NotPostgres, the system's error, the signal's reason
 */
function ask(
  { stream }: Transport,
  settings: ConnectionSettings,
  redact: Redact,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let heard = Buffer.alloc(0);
    const end = (error?: Error): void => {
      signal.removeEventListener('abort', onAbort);
      stream.removeAllListeners('data').on('error', () => {});
      stream.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const onAbort = (): void => end(reasonOf(signal));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    stream.on('error', (error) => end(error));
    stream.on('close', () => end(Object.assign(new Error('connection closed'), { code: 'EPIPE' })));
    stream.on('data', (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes]);
      try {
        if (accepts(heard, redact)) end();
      } catch (error) {
        end(error as Error);
      }
    });
    stream.resume();
    stream.write(startup(settings));
    return undefined;
  });
}

function startup({ user, database }: Pick<ConnectionSettings, 'user' | 'database'>): Buffer {
  const text = Buffer.from(`user\0${user}\0database\0${database}\0application_name\0initbox\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(head.length + text.length, 0);
  head.writeUInt32BE(version, 4);
  return Buffer.concat([head, text]);
}

/**
 * @returns false where more is to come
 * @throws NotAccepting, NotPostgres
 */
function accepts(heard: Buffer, redact: Redact): boolean {
  if (heard.length < 5) return false;
  const type = heard.toString('latin1', 0, 1);
  const length = heard.readUInt32BE(1);
  // A request for a password comes from a server that takes logins.
  if (type === 'R' && length >= 8 && length <= 2000) {
    if (heard.length < length + 1) return false;
    if (heard.readUInt32BE(5) > lastRequest) throw new NotPostgres(heard);
    return true;
  }
  // A word on the protocol's version says nothing of that: what follows it does.
  if (type === 'v' && length >= 12 && length <= longestError)
    return heard.length > length + 1 && accepts(heard.subarray(length + 1), redact);
  if (type !== 'E') throw new NotPostgres(heard);
  const early = errorOfVersion2(heard);
  if (early !== undefined) throw new Error(redact(early));
  if (length < 5 || length > longestError) throw new NotPostgres(heard);
  if (heard.length < length + 1) return false;
  const fields = heard.toString('utf8', 5, length + 1).split('\0');
  const of = (field: string): string | undefined => fields.find((text) => text.startsWith(field))?.slice(1);
  // libpq, too, takes an error without a SQLSTATE for no answer (internal_ping in fe-connect.c).
  if (!/^[0-9A-Z]{5}$/.test(of('C') ?? '')) throw new NotPostgres(heard);
  if (of('C') === sqlState.cannotConnectNow)
    throw new NotAccepting(redact(of('M') ?? 'it takes no logins now').slice(0, mostShown));
  return true;
}
