import { closeSync, fstatSync } from 'node:fs';

import { exitStatus, signalStatus } from '../../core/exit-status.ts';
import type { Log } from '../../core/log.ts';
import {
  DeadlinePassed,
  done,
  Failure,
  failed,
  firstFailure,
  type Outcome,
  SignalReceived,
  UsageError,
} from '../../core/outcome.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { itself, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { exchanged, explained } from '../../fs/error-message.ts';
import { problemLines } from '../../fs/tree/tally.ts';
import { HelperLost } from '../../fs/tree/worker-pool.ts';
import { systemHost } from '../../process/host.ts';
import type { CopyRequest } from './copy.ts';
import type { Destination } from './destination.ts';
import { InTheWay, Outdated, stageLost, WriteFailed } from './failures.ts';
import { openBelow } from './merge.ts';
import { copySummary, leftOutText } from './summary.ts';
import type { CopyTally } from './tally.ts';

/** How often a copy begins anew: another run took its stage away, or a ConfigMap was updated meanwhile. */
export const mostTries = 5;

/** How often it is tried in all where entries of a source go while it is copied. */
export const changedTries = 3;

/** Milliseconds before the next try, for what changes the sources to come to its end. @param attempt the last try, from 1 */
export function pauseAfter(attempt: number): number {
  return 100 * 3 ** (attempt - 1);
}

/** Where a copy stands when it ends. */
export interface Standing {
  readonly request: CopyRequest;
  readonly destination: Destination;
  readonly tally: CopyTally;
  /** Entries; undefined where nothing was to be removed, or it did not come to that. */
  readonly removed: number | undefined;
  /** In words. */
  readonly elapsed: string;
}

/** The copy came to its end. */
export function finished(
  { request, destination: { path }, tally, removed, elapsed }: Standing,
  log: Log,
): Outcome {
  const leftOut = leftOutText(tally);
  if (leftOut !== undefined) log.warn(leftOut);
  if (tally.ownerless > 0)
    log.warn(`${tally.ownerless} entries belong to this user, since their owner could not be kept`);
  // Where it did not come to the end, nothing of what was prepared is shown.
  const shown = tally.errors === 0 || removed !== undefined;
  const text = `${path}: ${copySummary(tally, removed, request.dryRun || !shown)}, in ${elapsed}`;
  if (tally.errors === 0) return done(text);
  return failed(
    exitStatus.failed,
    `${tally.errors} of the entries could not be copied${removed === undefined ? `, so ${path} was left as it was` : ''}: ${text}`,
    {
      details: problemLines(tally),
      hint: hintOf(request, tally),
    },
  );
}

function hintOf(request: CopyRequest, tally: CopyTally): string | undefined {
  const has = (wanted: string): boolean => tally.problems.some(({ code }) => code === wanted);
  if (has('EPERM') && request.owner !== undefined)
    return '--owner needs the capability CHOWN, except for a group that this user is in; a file with set-ID bits needs FOWNER too';
  if (tally.problems.some(({ code, action }) => code === 'EACCES' && action === 'remove'))
    return 'this user may not remove them: look at runAsUser; where another run writes to the same folders, run it again when that has ended';
  return has('EACCES')
    ? 'this user may not read them: look at runAsUser, or leave them out with --exclude'
    : undefined;
}

/**
 * The folder of an entry of DEST, where its own user may not write to it: the copy lets him, unless others change that.
 * @param descriptor DEST, open
 */
function closedAbove(descriptor: number | undefined, entry: RawName | undefined): RawName | undefined {
  const slash = entry?.lastIndexOf('/') ?? -1;
  if (descriptor === undefined || entry === undefined || slash < 0) return undefined;
  const path = entry.slice(0, slash);
  try {
    const folder = openBelow(descriptor, path);
    try {
      const stat = fstatSync(folder);
      return stat.uid === systemHost.uid && (stat.mode & 0o200) === 0 ? path : undefined;
    } finally {
      closeSync(folder);
    }
  } catch {
    return undefined; // it is gone, or not to be read: there is nothing to be said of it
  }
}

/**
 * The copy came to an end before its time.
 * @throws Failure, UsageError, or what was not foreseen
 */
export function ended({ request, destination, tally, removed, elapsed }: Standing, thrown: unknown): Outcome {
  const error = firstFailure(thrown);
  const { path, descriptor } = destination;
  const soFar = `${path}: stopped after ${copySummary(tally, removed, false)}, in ${elapsed}`;
  const hint =
    'run it again to copy what is missing; prepared files that could not be removed in time are removed then';
  if (error instanceof SignalReceived)
    return failed(signalStatus(error.signal), `ended by ${error.signal}; ${soFar}`, { hint });
  if (error instanceof DeadlinePassed)
    return failed(exitStatus.deadline, `${error.message}; ${soFar}`, { hint });
  if (error instanceof HelperLost && error.code === undefined)
    return failed(exitStatus.failed, `${error.message}; ${soFar}`, {
      hint: "was it the container's memory limit (OOMKilled)? Run it again to copy what is missing",
    });
  if (error instanceof Failure || error instanceof UsageError) throw error;
  if (error instanceof Outdated)
    return failed(
      exitStatus.failed,
      `a ConfigMap or Secret was updated ${mostTries} times while it was copied`,
    );
  if (error instanceof InTheWay)
    return failed(exitStatus.failed, error.message, { hint: 'remove it, or choose another DEST' });
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw thrown;
  if (code === stageLost) throw exchanged(path);
  if (code === 'EACCES' && request.owner !== undefined)
    return failed(exitStatus.failed, `cannot write ${path}: permission denied (EACCES); ${soFar}`, {
      hint: 'with --owner, folders need the capability DAC_OVERRIDE beside CHOWN: what belongs to another user is written to',
    });
  const closed =
    code === 'EACCES' && error instanceof WriteFailed ? closedAbove(descriptor, error.entry) : undefined;
  if (closed !== undefined)
    return failed(
      exitStatus.failed,
      `${path}/${shownName(closed)}, which was opened to its user for the copy, has been closed by others meanwhile (EACCES); ${soFar}`,
      {
        hint: 'another run that writes to it has given it its mode back: run it again when nothing else does',
      },
    );
  const cause = error instanceof WriteFailed ? error.cause : error;
  const entry = error instanceof WriteFailed ? error.entry : undefined;
  const shown = entry === undefined ? path : `${path}/${shownName(entry)}`;
  if (descriptor === undefined) throw explained(cause, shown);
  using directory = Directory.open(itself(descriptor));
  throw explained(
    error instanceof HelperLost ? Object.assign(new Error(error.message), { code }) : cause,
    shown,
    {
      directory,
    },
  );
}
