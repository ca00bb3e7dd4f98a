import type { Clock } from '../../core/clock.ts';
import { notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { ConnectionSettings } from './connection-string.ts';
import { Contacts } from './contacts.ts';
import { asAnswer, logInTo, type ConnectContext, type Connected } from './login.ts';
import type { Session } from './session.ts';

/** What a caller wants of the server itself; a server that is not it counts as not yet. */
export type Requirement = (session: Session, signal: AbortSignal) => Promise<NotYet | Never | undefined>;

/**
 * One attempt: every host in order and every address of each, the next one beside one that is silent, until one logs
 * the role in and is what target_session_attrs and `requirement` ask for. As in libpq, a refused login ends the attempt, a refused connection
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
  const shares = new Shares(context);
  using contacts = new Contacts(settings, context, probe);
  for (let contact = await contacts.next(); contact !== undefined; contact = await contacts.next()) {
    if (contact.state === 'not-yet') {
      failures.push(contact);
      continue;
    }
    const answer = await logInTo(contact, shares.next(contacts), settings, context, probe);
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
  for (let session = seconds.shift(); session !== undefined; session = seconds.shift()) {
    const judged = session.alive
      ? await judge(session)
      : asAnswer(Object.assign(new Error('connection closed'), { code: 'EPIPE' }), session.peer);
    if (judged.state !== 'not-yet') return endAfter(judged);
    failures.push(judged);
  }
  return merged(failures, probe);
}

/** How long each address of an attempt may take: one that accepts and says nothing leaves time for the others. */
export class Shares {
  readonly #clock: Clock;
  readonly #endsAt: number | undefined;

  constructor({ clock, limit }: Pick<ConnectContext, 'clock' | 'limit'>) {
    this.#clock = clock;
    this.#endsAt = limit ? clock.now() + limit : undefined;
  }

  /** Milliseconds; infinite where nothing else is left to try. */
  next({ more }: Pick<Contacts, 'more'>): number {
    if (this.#endsAt === undefined || !more) return Number.POSITIVE_INFINITY;
    return (this.#endsAt - this.#clock.now()) / 2;
  }
}

/** What all of the failures of an attempt say together. */
export function merged(failures: readonly NotYet[], probe: Probe): NotYet {
  if (probe.signal.aborted && failures.length === 0) return notYet('no answer');
  const hint = failures.find((failure) => failure.hint !== undefined)?.hint;
  return notYet([...new Set(failures.map(({ reason }) => reason))].join('; '), {
    hint,
    absent: failures.every(({ absent }) => absent),
  });
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
