import { isUtf8 } from 'node:buffer';
import { closeSync, readdirSync } from 'node:fs';

import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed, UsageError } from '../../core/outcome.ts';
import type { Directory } from '../../fs/directory/directory.ts';
import { type Built, type Building, stageTree } from '../../fs/publish/atomic-directory.ts';
import { checkRelativePath, manifestName } from '../../fs/publish/file-names.ts';
import { topNames } from '../../fs/publish/manifest.ts';
import { commitAll } from '../../fs/publish/published.ts';
import { removeTree } from '../../fs/publish/remove.ts';
import { makeOrOpenDirectory } from './copy-directories.ts';
import { Outdated, SourceChanged } from './failures.ts';
import type { Side } from './fill.ts';
import { type CopyTally } from './tally.ts';

const linksName = '..initbox-links';

/** One of the entries could not be copied, which the tally tells. */
class Incomplete extends Error {}

/** With --if-empty: something stands in DEST. */
class Occupied extends Error {}

/** What the sources are by now. Both throw where what they have not is no proof that it goes. */
export interface SourcesNow {
  /** Asked right before a tree is shown. */
  lastLook(): void;
  /**
   * @param shown the tree that readers see, open
   * @param next the one that they are to see
   * @param names those at the top of the first that are the copy's
   */
  checkGaps(shown: number, next: number, names: ReadonlySet<string>): Promise<void>;
}

/**
 * Publishes what `refill` copies as one tree: readers see the old or the new one, through `..data`, since a mount cannot
 * be renamed.
 * @param refill copies everything into a side: compared with `live`, into `stage` where there is one
 * @param sources is asked whether what they have not is a proof that it goes
 * @param mayShow whether something may be shown, for what stands in DEST now; undefined where that does not matter
 * @returns warnings, 'failed' where entries could not be copied, or 'occupied' where nothing may be shown
 */
export async function copyAtomically(
  path: string,
  refill: (side: Side, right: 'leave' | 'link') => Promise<CopyTally>,
  sources: SourcesNow,
  mayShow: ((directory: Directory) => boolean) | undefined,
  context: Context,
): Promise<readonly string[] | 'failed' | 'occupied'> {
  let [incomplete, occupied] = [false, false];
  let thrown: Error | undefined;
  const check = (directory: Directory): void => {
    occupied = mayShow?.(directory) === false;
    if (occupied) throw new Occupied();
  };
  const filled = async (building: Building): Promise<Built | 'unchanged'> => {
    try {
      return await build(building, refill, sources);
    } catch (error) {
      incomplete = error instanceof Incomplete;
      throw ofSources(error);
    }
  };
  /** What is about a source, and not about where it goes, is thrown as it is. */
  const ofSources = (error: unknown): unknown => {
    if ([SourceChanged, Outdated, UsageError, Failure].some((kind) => error instanceof kind))
      thrown = error as Error;
    return error;
  };
  const look = (): void => {
    try {
      sources.lastLook();
    } catch (error) {
      throw ofSources(error);
    }
  };
  try {
    const staged = await stageTree(
      { path, set: 'copy', build: filled, lastLook: look, ...(mayShow && { check }) },
      context,
    );
    try {
      return (await commitAll([staged], context.signal)).warnings;
    } finally {
      await staged.discard();
    }
  } catch (error) {
    if (thrown !== undefined) throw thrown;
    if (incomplete) return 'failed';
    if (occupied) return 'occupied';
    throw error;
  }
}

async function build(
  { current, intact, stage, shown, previous }: Building,
  refill: (side: Side, right: 'leave' | 'link') => Promise<CopyTally>,
  sources: SourcesNow,
): Promise<Built | 'unchanged'> {
  if (current !== undefined && intact) {
    const found = await refill({ live: current.fd, stage: undefined, links: undefined }, 'link');
    if (found.errors > 0) throw new Incomplete();
    // Followed links make entries of their own; then what is there is compared by building anew.
    if (found.copied === 0 && (await countEntries(current)) === found.right) return 'unchanged';
  }
  const staged = stage();
  const links = makeOrOpenDirectory(staged.fd, linksName);
  let tally: CopyTally;
  try {
    tally = await refill({ live: current?.fd, stage: staged.fd, links }, 'link');
  } finally {
    closeSync(links);
  }
  if (tally.errors > 0) throw new Incomplete();
  await removeTree(staged, linksName);
  if (shown !== undefined) await sources.checkGaps(shown.fd, staged.fd, topNames(previous));
  const names = staged.names();
  for (const name of names) checkName(name);
  return {
    paths: names.map((name) => name.toString()),
    written: tally.copied,
    unchanged: tally.right,
    bytes: tally.bytes,
  };
}

function checkName(name: Buffer): void {
  const refuse = (why: string): never => {
    throw new Failure(failed(exitStatus.refused, `cannot publish it at once: ${why}`));
  };
  if (!isUtf8(name))
    refuse(`the name ${JSON.stringify(name.toString('latin1'))} (shown as Latin-1) is not UTF-8`);
  try {
    checkRelativePath(name.toString());
  } catch (error) {
    refuse((error as Error).message);
  }
}

/** Entries of a published tree, without the publisher's own note. */
async function countEntries(top: Directory): Promise<number> {
  let count = 0;
  let since = 0;
  const visit = async (directory: Directory, isTop: boolean): Promise<void> => {
    for (const entry of readdirSync(directory.itself, { encoding: 'buffer', withFileTypes: true })) {
      if (isTop && entry.name.toString() === manifestName) continue;
      count++;
      if (++since > 1000) {
        since = 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (entry.isDirectory()) {
        using child = directory.child(entry.name);
        await visit(child, false);
      }
    }
  };
  await visit(top, true);
  return count;
}
