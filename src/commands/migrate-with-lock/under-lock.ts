import type { LockTiming, Loss } from '../../clients/lock.ts';
import type { ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import type { LockKey } from '../../clients/postgres/lock-key.ts';
import { createPostgresLock } from '../../clients/postgres/lock/backend.ts';
import type { PostgresHeld } from '../../clients/postgres/lock/held.ts';
import { beginOnce, finishOnce, rewriteOnce, type OnceWork } from '../../clients/postgres/lock/once.ts';
import { createTables } from '../../clients/postgres/lock/records.ts';
import { newSeal } from '../../clients/postgres/lock/seal.ts';
import type { ConnectContext } from '../../clients/postgres/login.ts';
import { isMissing, readOnce } from '../../clients/postgres/once-record.ts';
import { errorWords, isServerError } from '../../clients/postgres/server-errors.ts';
import { isConnectionError } from '../../clients/postgres/session.ts';
import { UnusableRecords } from '../../clients/postgres/trusted-owner.ts';
import { unlessAborted, within } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { startDeadline } from '../../core/deadline.ts';
import { exitStatus, signalStatus } from '../../core/exit-status.ts';
import { DeadlinePassed, done, Failure, failed, SignalReceived, type Outcome } from '../../core/outcome.ts';
import { outcomeOfError } from '../../core/unexpected-error.ts';
import { startableCommand } from '../../process/replace-process.ts';
import { acquire } from './acquire.ts';
import { startConclusion } from './conclusion.ts';
import { lostOutcome, type Performed } from './performed.ts';
import type { LockedWork } from './request.ts';

export interface UnderLockSettings {
  readonly connection: ConnectionSettings;
  readonly key: LockKey;
  readonly timing: LockTiming;
  /** Milliseconds for waiting for the lock; 0 disables it. */
  readonly lockTimeout: number;
  /** Milliseconds for the work. */
  readonly commandTimeout: number;
  readonly sessionPooling: boolean;
}

/** Milliseconds that ending what a dead holder left behind has at least, whatever --lock-timeout says. */
const fenceTime = 5000;

/** Milliseconds that giving a lock back may take where nothing has run. */
const leaveTime = 100;

const unreleased = 'the lock could not be released; it goes with its connection, and the next holder waits';

/** Milliseconds after a failed statement within which the end of its connection is known. */
const lossTime = 500;

/** It loads node:child_process, which work that is done already needs not. */
const commandPerformer = () => import('./perform-command.ts');

/** Does the work under the lock: waits, takes over, works, writes down what was done, releases. */
export async function runUnderLock(
  work: LockedWork,
  once: OnceWork | undefined,
  settings: UnderLockSettings,
  context: Context,
  client: ConnectContext,
): Promise<Outcome> {
  const { key, connection, timing } = settings;
  // What cannot be run is known now: no reason to let others wait for it.
  if (work.kind === 'command') startableCommand(work.command, context.environment['PATH']);
  else await (await import('../../migrations/directory.ts')).readDirectory(work.directory, context.signal);
  context.log.info(`the lock ${JSON.stringify(key.name)} is the advisory lock ${key.id}`);
  const host = context.environment['HOSTNAME'] || (await import('node:os')).hostname();
  const recordFor = once ? '--once' : work.kind === 'sql' ? '--sql' : undefined;
  await using lock = createPostgresLock(
    { ...settings, host, once, recordFor },
    { ...context, resolve: client.resolve },
  );
  let held: PostgresHeld;
  {
    using deadline = startDeadline(context.clock, context, settings.lockTimeout, '--lock-timeout');
    const bounded = { ...context, signal: deadline.signal, deadline: deadline.at };
    const acquired = await acquire(
      lock,
      key,
      bounded,
      work.kind === 'command' ? commandPerformer : undefined,
    );
    if ('kind' in acquired) return acquired;
    if (acquired.state === 'unneeded') return done(`nothing to do: ${acquired.why}`);
    ({ held } = acquired);
    // A limit that is shorter than the wait for a dead holder's work would never let anybody through.
    const needed = held.settle === 0 ? 0 : held.settle + fenceTime;
    const tooShort = deadline.at !== undefined && deadline.at - context.clock.now() < needed;
    using longer = startDeadline(context.clock, context, needed, 'the wait for the last holder’s work');
    const early = await takeOver(held, tooShort ? { ...context, signal: longer.signal } : bounded);
    if (early !== undefined) return early;
  }
  context.log.info(`holding the lock with token ${held.token}`);
  let performed: Performed;
  let begun = false;
  const seal = newSeal();
  try {
    if (once) {
      const noted = held.exclusively((session) => beginOnce(session, key, once, held.token, host, seal.seal));
      await unlessAborted(noted, context.signal);
    }
    begun = true;
    performed =
      work.kind === 'command'
        ? await (
            await commandPerformer()
          ).performCommand(
            work.command,
            held,
            { commandTimeout: settings.commandTimeout, grace: timing.grace },
            context,
          )
        : await (
            await import('./perform-sql.ts')
          ).performSql(
            work,
            held,
            { connection, lockName: key.name, commandTimeout: settings.commandTimeout },
            context,
            client,
          );
  } catch (error) {
    const lost = await lostBeforeStart(held, context);
    if (lost !== undefined) return lost;
    // Nothing was started, or it has been seen to its end.
    using conclusion = startConclusion(context, timing);
    const { status } = outcomeOfError(error, context.log);
    const leave = async (): Promise<void> => {
      // Also where it was the writing of the start that failed: it may have been written all the same.
      if (once)
        await recordEnd(
          status,
          held,
          once,
          key,
          begun ? context.log.error : context.log.debug,
          conclusion.signal,
        );
      await held.release(!begun, conclusion.signal);
    };
    if (!begun && context.signal.aborted) await within(leave(), leaveTime, context.clock);
    else await leave();
    throw inOurWords(error, begun ? 'the work was cut off' : 'the start of the work could not be recorded');
  }
  if (performed.outcome.kind === 'failed' && performed.outcome.status === exitStatus.lockLost) {
    await held.abandon();
    return performed.outcome;
  }
  if (performed.unanswered === true) {
    context.log.warn(`${unreleased}${once === undefined ? '' : '; the record of --once still says running'}`);
    await held.abandon();
    return performed.outcome;
  }
  using conclusion = startConclusion(context, timing);
  return await conclude(performed, held, once, key, seal.word, context, conclusion.signal);
}

/** @returns an outcome where the lock was lost meanwhile */
async function takeOver(held: PostgresHeld, context: Context): Promise<Outcome | undefined> {
  try {
    await held.takeOver(context.signal);
    return undefined;
  } catch (error) {
    const lost = await lostBeforeStart(held, context);
    if (lost !== undefined) return lost;
    // Nothing has run: the end of this process gives the lock back, if the server takes its time.
    await within(held.release(true), leaveTime, context.clock);
    throw inOurWords(error, 'the lock could not be taken over');
  }
}

/** What the server refused, or how the connection to it ended, by what it was for. */
function inOurWords(error: unknown, what: string): unknown {
  if (error instanceof UnusableRecords)
    return new Failure(failed(exitStatus.refused, `${what}: ${error.message}`, { hint: error.advice }));
  if (isServerError(error))
    return new Failure(failed(exitStatus.failed, `${what}: the server says ${errorWords(error)}`));
  if (isConnectionError(error))
    return new Failure(failed(exitStatus.failed, `${what}: ${errorWords(error)}`));
  return error;
}

/** Whether a statement failed since the lock was lost with its connection, which may be known a moment later only. */
async function lostBeforeStart(held: PostgresHeld, context: Context): Promise<Outcome | undefined> {
  let why: Loss | undefined;
  const known = held.lost.then((loss) => {
    why = loss;
  });
  await within(known, context.signal.aborted ? 0 : lossTime, context.clock);
  if (why === undefined) return undefined;
  await held.abandon();
  return failed(exitStatus.lockLost, `the lock was lost before the command started: ${why.reason}`);
}

/** Tells whether the lock has been lost so far. */
function lossOf(held: PostgresHeld): () => Promise<Loss | undefined> {
  return () => Promise.race([held.lost, Promise.resolve(undefined)]);
}

/** Whether the record says how the work ended; undefined where that is not known. */
type Recorded = boolean | undefined;

/**
 * @param say is told why it could not be written
 * @returns false where it could not be written, or is not this holder's
 */
async function recordEnd(
  status: number,
  held: PostgresHeld,
  once: OnceWork,
  key: LockKey,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Recorded> {
  try {
    const written = held.exclusively(async (session) => {
      const finish = () => finishOnce(session, key, once, held.token, status, held.ownership);
      const found = await finish().catch((error: unknown) => {
        if (status !== 0 || !isMissing(error)) throw error;
        return false;
      });
      if (found || status !== 0) return found;
      await createTables(session);
      return rewriteOnce(session, key, once, held.token, held.host, held.ownership);
    });
    return await unlessAborted(written, signal);
  } catch (error) {
    const known = isServerError(error)
      ? false
      : status !== 0 || signal.aborted
        ? undefined
        : await wasRecorded(held, once, key);
    if (known === true) return true;
    const what =
      known === false
        ? 'the record could not be written'
        : 'the record could not be written, as far as is known';
    say(`${what}: ${errorWords(error)}`);
    return known;
  }
}

/** Whether the record says that the work is done, where the answer to writing that never came. */
async function wasRecorded(held: PostgresHeld, once: OnceWork, key: LockKey): Promise<Recorded> {
  const became = await held.lookAfter(async (session) => {
    const record = await readOnce(session, key.id, once.key, {});
    return record?.state === 'done' && record.token === held.token ? 'done' : undefined;
  });
  return became === undefined ? undefined : became === 'done';
}

/**
 * Writes the record, gives the lock up, and says how it all went.
 * @param word tells those who wait that the record says done
 * @param signal ends the wait for the server: then the connection is closed, and the lock goes with it
 */
async function conclude(
  { outcome, clean, status, recorded: byItself = false }: Performed,
  held: PostgresHeld,
  once: OnceWork | undefined,
  key: LockKey,
  word: string,
  context: Context,
  signal: AbortSignal,
): Promise<Outcome> {
  const recorded: Recorded =
    once === undefined ||
    (await recordEnd(clean ? 0 : status || exitStatus.failed, held, once, key, context.log.error, signal));
  const released = await held.release(
    clean,
    signal,
    once !== undefined && clean && recorded === true ? word : undefined,
  );
  if (released === 'unanswered') context.log.warn(unreleased);
  if (released !== 'was-lost' && recorded === true) return outcome;
  // Its record was written in one statement with the proof that the lock was held, and all work was over by then.
  if (recorded === true && (once !== undefined || byItself)) {
    context.log.warn('the lock’s connection broke as it was released; what was done is recorded');
    return outcome;
  }
  // A failure of the command itself tells more than the lock does.
  if (outcome.kind === 'failed') return outcome;
  const again = byItself
    ? 'its files are recorded, and the next start does not run them again'
    : recorded === undefined
      ? 'where the record does not say that it is done, the next start runs the command again'
      : 'the next start runs the command again';
  const unwritten = byItself
    ? 'the migrations are done, but the record of --once was not written'
    : 'the command is done, but its record was not written';
  const unknown = byItself
    ? 'the migrations are done, but whether the record of --once was written is not known'
    : 'the command is done, but whether its record was written is not known';
  const what = recorded === undefined ? unknown : unwritten;
  if (released === 'released')
    return failed(exitStatus.lockLost, what, { hint: `the lock was held to the end; ${again}` });
  const { reason } = context.signal;
  if (released === 'unanswered' && reason instanceof DeadlinePassed)
    return failed(exitStatus.deadline, `${reason.message}: ${what}`, { hint: again });
  if (released === 'unanswered' && reason instanceof SignalReceived)
    return failed(signalStatus(reason.signal), `ended by ${reason.signal}: ${what}`, { hint: again });
  if (released === 'unanswered')
    return failed(exitStatus.lockLost, `the server did not answer in time: ${what}`, { hint: again });
  const loss = (await lossOf(held)()) ?? {
    reason:
      recorded === true ? 'the server did not hold it any more' : 'the record was no longer this holder’s',
    certain: true,
  };
  if (once !== undefined) return lostOutcome(loss, what, again);
  return lostOutcome(loss, 'the command had ended already');
}
