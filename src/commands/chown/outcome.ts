import { exitStatus, signalStatus } from '../../core/exit-status.ts';
import {
  DeadlinePassed,
  done,
  Failure,
  failed,
  type Outcome,
  SignalReceived,
  UsageError,
} from '../../core/outcome.ts';
import { rawOf } from '../../fs/directory/file-name.ts';
import { mountOf, readMounts } from '../../fs/directory/mounts.ts';
import type { ClosedPath } from '../../fs/directory/pinned-path.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import { problemLines } from '../../fs/tree/tally.ts';
import { HelperLost } from '../../fs/tree/worker-pool.ts';
import type { Capability } from '../../process/capabilities.ts';
import { explainChownError } from './explain.ts';
import { type NewOwner, ownerText } from './owner.ts';
import { chownSummary, problemHints } from './summary.ts';
import { type ChownTally } from './tally.ts';
import { NotMade, type ChownTarget } from './target.ts';
import { notKept, TopRefused } from './top.ts';

/** What became of one path. */
export interface Result {
  readonly path: string;
  readonly tally: ChownTally;
  /** Set where the top directory was trusted. */
  readonly trusted: boolean;
  readonly created: boolean;
  /** What is mounted below it and was not entered. */
  readonly mountsBelow: string | undefined;
}

/** What every sentence about a run is made with. */
export interface Told {
  readonly owner: NewOwner;
  readonly dryRun: boolean;
  readonly capability: ((capability: Capability) => boolean) | undefined;
  readonly elapsed: string;
}

/** All paths were gone through. */
export function chownOutcome(
  targets: readonly ChownTarget[],
  results: readonly Result[],
  told: Told,
): Outcome {
  const wrong = results.findIndex(({ tally }) => tally.errors > 0);
  const text = `${results.map((result) => summary(result, told)).join('; ')}, in ${told.elapsed}`;
  if (wrong < 0) return done(text);
  const problems = results.flatMap(({ tally }) => tally.problems);
  const errors = results.reduce((sum, { tally }) => sum + tally.errors, 0);
  return failed(exitStatus.failed, `${errors} of the entries could not be changed: ${text}`, {
    details: results.flatMap(({ tally }) => problemLines(tally)).slice(0, 11),
    hint: problemHints(problems, mount(targets[wrong] as ChownTarget), told.capability),
  });
}

/**
 * The work on a path came to an end before its time.
 * @throws what is an outcome of its own
 */
export function endedEarly(target: ChownTarget, tally: ChownTally, error: unknown, told: Told): Outcome {
  const soFar = `${target.shown}: stopped after ${chownSummary(tally, ownerText(told.owner), false)}, in ${told.elapsed}`;
  const hint = 'the top directory is set last: run it again to finish the rest';
  if (error instanceof SignalReceived)
    return failed(signalStatus(error.signal), `ended by ${error.signal}; ${soFar}`, { hint });
  if (error instanceof DeadlinePassed)
    return failed(exitStatus.deadline, `${error.message}; ${soFar}`, {
      details: problemLines(tally),
      hint,
    });
  if (error instanceof HelperLost && error.code === undefined)
    return failed(exitStatus.failed, `${error.message}; ${soFar}`, {
      hint: "was it the container's memory limit (OOMKilled)? Run it again to finish the rest",
    });
  if (error instanceof TopRefused || error instanceof HelperLost)
    return topRefused(target, error.code ?? '', told);
  if (error instanceof Failure || error instanceof UsageError) throw error;
  const { message } = error as NodeJS.ErrnoException;
  const code = systemErrorCode(error);
  const what = error instanceof NotMade ? message : `cannot change ${target.shown}: ${message}`;
  return failed(exitStatus.failed, what, {
    hint: code === undefined ? undefined : explainChownError(code, mount(target), told.capability),
  });
}

/** A path could not even be opened. */
export function outcomeOfClosed(
  { message, code, path }: ClosedPath,
  capability: Told['capability'],
): Outcome {
  return failed(exitStatus.failed, `${message}: nothing was changed`, {
    hint: explainChownError(code, mountOf(rawOf(path), readMounts()), capability),
  });
}

/** For --dry-run. */
export function jsonOf(results: readonly Result[], owner: NewOwner): string {
  const paths = results.map(({ path, tally, trusted, created }) => ({
    path,
    trusted,
    missing: created,
    entries: tally.entries,
    directories: tally.directories,
    toChange: tally.changed,
    right: tally.right,
    leftByFrom: tally.spared,
    excluded: tally.excluded,
    vanished: tally.vanished,
    mountsNotEntered: tally.crossed,
    errors: tally.errors,
  }));
  return `${JSON.stringify({ owner: owner.uid ?? null, group: owner.gid ?? null, paths })}\n`;
}

function topRefused(target: ChownTarget, code: string, told: Told): Outcome {
  if (code === notKept)
    return failed(
      exitStatus.failed,
      `the owner of ${target.shown} was set, and the file system did not keep it: nothing below was changed`,
      { hint: explainChownError('EPERM', mount(target), () => true) },
    );
  return failed(
    exitStatus.failed,
    `cannot change the owner of ${target.shown} to ${ownerText(told.owner)} (${code}): nothing below was changed`,
    { hint: explainChownError(code, mount(target), told.capability) },
  );
}

function summary({ path, tally, trusted, created, mountsBelow }: Result, { owner, dryRun }: Told): string {
  const whom = ownerText(owner);
  const left = mountsBelow === undefined ? '' : `, and left what is mounted below: ${mountsBelow}`;
  if (trusted)
    return `${path} belongs to ${whom}, so what is below it was not looked at (--policy root-mismatch)${left}`;
  if (created) return `${path} ${dryRun ? 'is to be made' : 'made'} for ${whom}`;
  return `${path}: ${chownSummary(tally, whom, dryRun)}${left}`;
}

function mount(target: ChownTarget) {
  return mountOf(target.place.path, readMounts());
}
