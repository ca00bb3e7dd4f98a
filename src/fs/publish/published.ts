import { reasonOf } from '../../core/clock.ts';
import type { Failure } from '../../core/outcome.ts';

/** What became of a publication; counts are of files. */
export interface Published {
  readonly written: number;
  readonly unchanged: number;
  /** Files of an earlier run of the same publication that are gone now. */
  readonly removed: number;
  /** Of what was written. */
  readonly bytes: number;
  readonly warnings: readonly string[];
  /** What failed once all of it was shown: nobody knows whether it outlasts a loss of power. */
  readonly unsettled?: Failure;
}

/** Everything is on the volume, and no reader sees it yet. */
export interface Staged {
  /** Shows all of it at once, by one rename. Call it through commitAll. @throws Failure; nothing is visible then */
  commit(): Promise<Published>;
  /** Takes back what was staged; after commit it does nothing. Always call it. */
  discard(): Promise<void>;
}

/**
 * Shows what was staged, in one or several directories.
 * @throws the signal's reason where it was aborted before the first swap; from then on all of it is shown. A failure of
 *   what follows a swap comes after all swaps
 */
export async function commitAll(staged: readonly Staged[], signal: AbortSignal): Promise<Published> {
  if (signal.aborted) throw reasonOf(signal);
  const all: Published[] = [];
  for (const one of staged) all.push(await one.commit());
  const unsettled = all.find((one) => one.unsettled !== undefined)?.unsettled;
  if (unsettled !== undefined) throw unsettled;
  const sum = (count: (one: Published) => number): number =>
    all.reduce((total, one) => total + count(one), 0);
  return {
    written: sum(({ written }) => written),
    unchanged: sum(({ unchanged }) => unchanged),
    removed: sum(({ removed }) => removed),
    bytes: sum(({ bytes }) => bytes),
    warnings: all.flatMap(({ warnings }) => warnings),
  };
}
