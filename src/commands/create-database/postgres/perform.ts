import { connectPostgres } from '../../../clients/postgres/connect.ts';
import type { ConnectionSettings } from '../../../clients/postgres/connection-string.ts';
import { keyOfName } from '../../../clients/postgres/lock-key.ts';
import { tryLock, unlock } from '../../../clients/postgres/lock/advisory.ts';
import { backendPid, writesRefused } from '../../../clients/postgres/lock/prepare.ts';
import type { ConnectContext } from '../../../clients/postgres/login.ts';
import { scramVerifier } from '../../../clients/postgres/scram-verifier.ts';
import { pinSearchPath } from '../../../clients/postgres/search-path.ts';
import { errorWords, isServerError } from '../../../clients/postgres/server-errors.ts';
import { isConnectionError, type Session } from '../../../clients/postgres/session.ts';
import { reasonOf, sleep } from '../../../core/clock.ts';
import type { Context } from '../../../core/context.ts';
import { formatDuration } from '../../../core/duration.ts';
import { exitStatus } from '../../../core/exit-status.ts';
import { done, type Failed, Failure, failed, type Outcome, printed } from '../../../core/outcome.ts';
import type { Secret } from '../../../core/redaction/redactor.ts';
import { bounded } from '../../../wait/attempt-timeout.ts';
import { never, notYet, satisfied, type Probe } from '../../../wait/attempt.ts';
import { waitFor } from '../../../wait/loop.ts';
import { waitOutcome } from '../../../wait/outcome.ts';
import { proportional } from '../../../wait/schedule.ts';
import { once } from '../../../wait/target-state.ts';
import { readDatabaseFacts } from './facts.ts';
import { hasPassword } from './has-password.ts';
import {
  barriersOf,
  differencesOf,
  extensionSteps,
  type DatabaseStep,
  stepsFor,
  type WantedDatabase,
} from './steps.ts';

export interface Performing {
  /** To the server, by a role that may make databases. */
  readonly connection: ConnectionSettings;
  /** The owner's. */
  readonly password: Secret | undefined;
  readonly dryRun: boolean;
}

type PerformContext = Context & Pick<ConnectContext, 'resolve'>;

/** Milliseconds until what broke, or what others were at, is tried again. */
const pause = 500;

/**
 * SQLSTATEs of what others do at the same moment: object_in_use (a template that somebody is connected to),
 * serialization_failure, deadlock_detected, lock_not_available.
 */
const passing = ['55006', '40001', '40P01', '55P03'];

/** Waits for the server and for its turn, and makes what is missing; anew where the connection breaks. */
export async function perform(
  wanted: WantedDatabase,
  how: Performing,
  context: PerformContext,
): Promise<Outcome> {
  const startedAt = context.clock.now();
  const did: string[] = [];
  for (let said: string | undefined; ;) {
    const turn = await takeTurn(wanted, how, context);
    if ('kind' in turn) return turn;
    try {
      const shown = await make(wanted, how, turn, did, context);
      if (how.dryRun) {
        context.stdout(`${JSON.stringify({ statements: shown })}\n`);
        return printed('printed what would be run');
      }
      const elapsed = formatDuration(context.clock.now() - startedAt);
      return done(
        did.length === 0
          ? `${wanted.database}: nothing was changed, in ${elapsed}`
          : `${did.join(', ')}, in ${elapsed}`,
      );
    } catch (error) {
      if (context.signal.aborted) throw reasonOf(context.signal);
      const words = passingWords(error);
      if (words === undefined) throw error;
      if (words !== said) context.log.info(`${words}; trying again`);
      said = words;
      await sleep(context.clock, pause, context.signal);
    } finally {
      await leave(turn, wanted, context);
    }
  }
}

/** Undefined where trying again changes nothing. */
function passingWords(error: unknown): string | undefined {
  if (isConnectionError(error)) return errorWords(error);
  if (!isServerError(error)) return undefined;
  // Two that change one row of a catalog: elog, without a code of its own.
  const together = error.code === 'XX000' && /concurrently/.test(error.message);
  return together || passing.includes(error.code) || /^(57P|08|53[23])/.test(error.code)
    ? errorWords(error)
    : undefined;
}

function keyFor({ database }: WantedDatabase) {
  return keyOfName(`create-database ${database}`);
}

/** A session whose turn it is. */
async function takeTurn(
  wanted: WantedDatabase,
  { connection }: Performing,
  context: PerformContext,
): Promise<Session | Failed> {
  let session: Session | undefined;
  const key = keyFor(wanted);
  const attempt = async (probe: Probe) => {
    if (session?.alive !== true) {
      const connected = await connectPostgres(connection, context, probe);
      if (connected.state !== 'connected') return connected;
      ({ session } = connected);
      const misfit = await whyUnfit(session);
      if (misfit !== undefined) {
        await session.end();
        session = undefined;
        return misfit;
      }
    }
    probe.phase(`asking ${session.peer} for its turn`);
    if (await tryLock(session, key, undefined)) return satisfied('it is its turn');
    return notYet(`another run makes ${wanted.database} (${session.peer})`);
  };
  try {
    const report = await waitFor(
      [bounded({ name: 'the server', attempt }, 0, context.clock)],
      { schedule: proportional(), policy: once, overlap: 1 },
      context,
    );
    if (report.result === 'satisfied' && session !== undefined) return session;
    session?.destroy();
    const [only] = report.targets;
    if (report.result === 'never' && only?.status !== undefined)
      return failed(only.status, only.words, { hint: only.hint });
    return waitOutcome(report) as Failed;
  } catch (error) {
    session?.destroy();
    throw error;
  }
}

async function whyUnfit(session: Session) {
  if ((await backendPid(session)) !== session.announcedPid)
    return never(
      exitStatus.refused,
      `a connection pooler is in front of the server (${session.peer})`,
      'a pooler hands its sessions to others in between: give the URL of the server itself',
    );
  await session.query(pinSearchPath);
  const { rows } = await session.query(
    "SELECT pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.current_setting('transaction_read_only') AS read_only",
  );
  if (rows[0]?.['standby'] === true) return notYet(`a standby, not the primary (${session.peer})`);
  return rows[0]?.['read_only'] === 'on' ? writesRefused(session) : undefined;
}

/** Milliseconds that giving the turn back may take: it goes with the connection anyway. */
async function leave(
  session: Session,
  wanted: WantedDatabase,
  { log, signal }: PerformContext,
): Promise<void> {
  if (!session.alive) return;
  if (signal.aborted) return session.destroy();
  try {
    await unlock(session, keyFor(wanted), undefined);
  } catch (error) {
    log.debug(`the release failed: ${errorWords(error)}`);
  }
  await session.end();
}

/** @returns the statements, as they may be shown */
async function make(
  wanted: WantedDatabase,
  { connection, password, dryRun }: Performing,
  session: Session,
  did: string[],
  context: PerformContext,
): Promise<readonly string[]> {
  const { signal, log } = context;
  const facts = await readDatabaseFacts(session, wanted, signal);
  if (facts.database?.broken === true)
    throw new Failure(
      failed(
        exitStatus.refused,
        `the database ${wanted.database} is left over from a DROP DATABASE that was cut off`,
        {
          hint: `drop it once more: DROP DATABASE ${wanted.database}`,
        },
      ),
    );
  for (const difference of differencesOf(wanted, facts))
    log.warn(`the database ${wanted.database} ${difference}: of one that is there it cannot be changed`);
  const { owner } = wanted;
  // A role that is not to log in, such as a group of others, is left at that.
  if (password !== undefined || facts.role?.mayLogin === true)
    for (const barrier of barriersOf(wanted, facts))
      log.warn(`the role ${owner} cannot log in to ${wanted.database}: ${barrier}`);
  let verifier: string | undefined;
  if (owner !== undefined && password !== undefined) {
    const right =
      facts.role?.mayLogin === true &&
      (await hasPassword(
        {
          owner,
          password,
          session,
          connection,
          wanted: wanted.database,
          exists: facts.database !== undefined,
        },
        context,
      ));
    if (!right) {
      verifier = await scramVerifier(password.reveal());
      context.redactor.secret(verifier);
    }
  }
  const steps = stepsFor(wanted, facts, verifier);
  if (dryRun) {
    const present = facts.database === undefined ? [] : await extensionsIn(wanted, connection, context);
    return [...steps, ...extensionSteps(wanted.extensions, present)].map(({ shown }) => shown);
  }
  for (const step of steps) await carryOut(step, session, facts.me, did, signal);
  if (wanted.extensions.length > 0) await makeExtensions(wanted, connection, facts.me, did, context);
  return [];
}

async function carryOut(
  step: DatabaseStep,
  session: Session,
  me: string,
  did: string[],
  signal: AbortSignal,
): Promise<void> {
  try {
    // Alone in its text: CREATE DATABASE runs in no transaction.
    await session.query(step.sql, undefined, { signal });
    did.push(step.done);
  } catch (error) {
    if (!isServerError(error) || passingWords(error) !== undefined) throw error;
    if (step.doneAlready.includes(error.code)) return;
    throw new Failure(refusal(step, me, error.code, errorWords(error), error.hint));
  }
}

function refusal(
  step: DatabaseStep,
  me: string,
  code: string,
  words: string,
  hint: string | undefined,
): Failed {
  const statement = `the statement: ${step.shown}`;
  if (code === '42501')
    return failed(exitStatus.refused, `the role ${me} may not do it: ${words}`, {
      details: [statement],
      hint: `it lacks ${step.needs.replace(/,$/, '')}: grant that, or let somebody who may run the statement`,
    });
  // Out of room, or an error within the server, may pass; what it says of the statement does not.
  const status =
    /^(5[348]|XX)/.test(code) && !notInstalled(code, words) ? exitStatus.failed : exitStatus.refused;
  return failed(status, words, {
    details: [statement],
    hint: notInstalled(code, words)
      ? 'the extension’s files are not on the server: install its package there, or choose an image that has it'
      : hint,
  });
}

/** undefined_file for the control file (58P01), feature_not_supported since PostgreSQL 13. */
function notInstalled(code: string, words: string): boolean {
  return (code === '58P01' || code === '0A000') && /extension|control file/i.test(words);
}

/** A session in the new database. */
async function inDatabase<T>(
  wanted: WantedDatabase,
  connection: ConnectionSettings,
  context: PerformContext,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  let session: Session | undefined;
  const report = await waitFor(
    [
      bounded(
        {
          name: `the database ${wanted.database}`,
          async attempt(probe: Probe) {
            const connected = await connectPostgres(
              { ...connection, database: wanted.database },
              context,
              probe,
            );
            if (connected.state !== 'connected') return connected;
            ({ session } = connected);
            return satisfied('connected');
          },
        },
        0,
        context.clock,
      ),
    ],
    { schedule: proportional(), policy: once, overlap: 1 },
    context,
  );
  if (session === undefined) throw new Failure(waitOutcome(report) as Failed);
  await using opened = session;
  // Extensions go where the role's own search path would begin, and never into pg_catalog.
  await opened.query("SELECT pg_catalog.set_config('search_path', 'public, pg_temp', false)");
  return await work(opened);
}

async function presentIn(session: Session, signal: AbortSignal): Promise<readonly string[]> {
  const { rows } = await session.query(
    'SELECT e.extname::pg_catalog.text AS name FROM pg_catalog.pg_extension AS e',
    undefined,
    {
      signal,
    },
  );
  return rows.map((row) => String(row['name']));
}

async function extensionsIn(
  wanted: WantedDatabase,
  connection: ConnectionSettings,
  context: PerformContext,
): Promise<readonly string[]> {
  if (wanted.extensions.length === 0) return [];
  return inDatabase(wanted, connection, context, (session) => presentIn(session, context.signal));
}

async function makeExtensions(
  wanted: WantedDatabase,
  connection: ConnectionSettings,
  me: string,
  did: string[],
  context: PerformContext,
): Promise<void> {
  await inDatabase(wanted, connection, context, async (session) => {
    const steps = extensionSteps(wanted.extensions, await presentIn(session, context.signal));
    for (const step of steps) await carryOut(step, session, me, did, context.signal);
  });
}
