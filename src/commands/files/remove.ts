import { closeSync, lstatSync, rmdirSync, type Stats, unlinkSync } from 'node:fs';

import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Work } from '../../fs/calls.ts';
import { letWrite } from '../../fs/directory/access.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { below, rawOf, type RawName } from '../../fs/directory/file-name.ts';
import { refusedDirectory } from '../../fs/directory/forbidden-places.ts';
import { openPinned } from '../../fs/directory/open-directory.ts';
import { explained, systemErrorCode } from '../../fs/error-message.ts';
import { isNameOf } from '../../fs/publish/remove.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { libcForGuard } from '../../fs/tree/refused-paths.ts';
import { TreeRemoval } from '../../fs/tree/removal.ts';
import { listedProblems, type WalkProblem } from '../../fs/tree/tally.ts';
import type { Visitor, Where } from '../../fs/tree/visitor.ts';
import { Walk } from '../../fs/tree/walk.ts';
import { walkAlone } from '../../fs/tree/worker-pool.ts';
import type { NamedEntries } from './action.ts';
import { asUsage, checkMissing, DoesNotFit, isMountIn, refuseImage } from './place.ts';

/** What a removal has done so far. */
export interface RemovalTally {
  /** Entries that are gone, or would be. */
  removed: number;
  errors: number;
  readonly problems: WalkProblem[];
}

export function emptyRemovalTally(): RemovalTally {
  return { removed: 0, errors: 0, problems: [] };
}

/** What is to be done of a removal: only its place looked at, its entries counted, or all. */
export type RemovalDepth = 'look' | 'count' | 'remove';

/**
 * Removes a path, or what a pattern stands for, with all that is below. Links are removed, and not followed; what is
 * mounted below stays. Nothing is there: nothing is done.
 * @throws UsageError where it is not below a volume
 */
export async function remove(
  { folder, names }: NamedEntries,
  path: string,
  extent: RemovalDepth,
  tally: RemovalTally,
  context: Pick<Context, 'signal' | 'clock' | 'host' | 'log'>,
): Promise<void> {
  let opened: Directory;
  try {
    opened = Directory.reach(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return checkMissing(folder, 'remove', context.host.script);
    throw asUsage(explained(error, path, { doing: 'remove' }));
  }
  using parent = opened;
  const why = refusedDirectory(parent.fd, folder, context.host.script, 'names');
  // A volume that is mounted in the root directory has a better reason: it is said below.
  if (why !== undefined && !(folder === '/' && typeof names === 'string'))
    throw new UsageError(`cannot remove ${path}: ${why}`);
  if (typeof names === 'string') return await one(parent, names, path, extent, tally, context);
  refuseImage(parent, path, 'remove');
  if (extent === 'look') return;
  const exclude: Exclude = (relative) =>
    !relative.includes('/') && (relative.startsWith('..') || !names.matchesAsInShell(relative));
  await walkTree(parent, folder, exclude, extent, tally, context);
}

async function one(
  parent: Directory,
  name: string,
  path: string,
  extent: RemovalDepth,
  tally: RemovalTally,
  context: Pick<Context, 'signal' | 'clock' | 'host' | 'log'>,
): Promise<void> {
  let directory: Directory | undefined;
  try {
    const isThere = refuseMount(parent, name, path) === 'there';
    refuseImage(parent, path, 'remove');
    if (!isThere) return;
    directory = parent.child(name);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'ENOTDIR' && code !== 'ELOOP') throw explained(error, path, { doing: 'remove' });
  }
  if (directory === undefined) return removeFileHere(parent, name, path, extent, tally);
  using opened = directory;
  // It may be another one than was looked at.
  if (isMountIn(parent, opened.fd)) throw mounted(path);
  const why = refusedDirectory(opened.fd, path, context.host.script, 'tree');
  if (why !== undefined) throw new UsageError(`cannot remove ${path}: ${why}`);
  if (extent === 'look') return;
  const before = tally.errors;
  await walkTree(opened, path, undefined, extent, tally, context);
  if (tally.errors > before) return;
  if (extent === 'remove') removeEmptied(parent, name, opened, path);
  tally.removed++;
}

/** @throws UsageError where it is a mount itself */
function refuseMount(parent: Directory, name: string, path: string): 'absent' | 'there' {
  let pinned: number;
  try {
    pinned = openPinned(below(parent.fd, rawOf(name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw error;
  }
  try {
    if (isMountIn(parent, pinned)) throw mounted(path);
    return 'there';
  } finally {
    closeSync(pinned);
  }
}

function mounted(path: string): UsageError {
  return new UsageError(
    `cannot remove ${path}: a volume is mounted there, and only what is below one is removed; remove:${path}/* removes what is in it`,
  );
}

function removeFileHere(
  parent: Directory,
  name: string,
  path: string,
  extent: RemovalDepth,
  tally: RemovalTally,
): void {
  if (extent === 'look') return;
  if (extent === 'remove') {
    try {
      withWriting(parent, () => unlinkSync(parent.at(name)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw explained(error, path, { doing: 'remove' });
    }
  }
  tally.removed++;
}

/** @throws DoesNotFit where it is not empty any more, or another one */
function removeEmptied(parent: Directory, name: string, opened: Directory, path: string): void {
  if (!isNameOf(parent, name, opened)) {
    // Another run was faster.
    if (lstatSync(parent.at(name), { throwIfNoEntry: false }) === undefined) return;
    throw new DoesNotFit(
      `cannot remove ${path}: it was emptied, and then somebody else exchanged it for something else`,
      'run it again; somebody else renames what is in that folder',
    );
  }
  try {
    withWriting(parent, () => rmdirSync(parent.at(name)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR')
      throw new DoesNotFit(
        `cannot remove ${path}: somebody else put something there while it was removed`,
        'run it again once nobody else writes there',
      );
    throw explained(error, path, { doing: 'remove' });
  }
}

/** Makes a call in a folder, also where its own user may only read that. */
function withWriting(parent: Directory, call: () => void): void {
  try {
    call();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    const back = letWrite(parent.fd);
    try {
      call();
    } finally {
      back();
    }
  }
}

/** All that is below an open folder. */
async function walkTree(
  top: Directory,
  path: string,
  exclude: Exclude | undefined,
  extent: RemovalDepth,
  tally: RemovalTally,
  context: Pick<Context, 'signal' | 'clock' | 'host' | 'log'>,
): Promise<void> {
  const visitor = new Remover(top.fd, path, extent === 'remove', tally);
  const walk = new Walk(
    { top: top.fd, path, exclude, crossMounts: false, libc: await libcForGuard(top.fd) },
    visitor,
    context.host,
  );
  try {
    walk.begin();
    await walkAlone(walk, [top.fd], context);
  } finally {
    walk.close();
  }
}

class Remover implements Visitor {
  readonly #removal: TreeRemoval;
  readonly #path: string;
  readonly #apply: boolean;
  readonly #tally: RemovalTally;

  constructor(top: number, path: string, apply: boolean, tally: RemovalTally) {
    this.#removal = new TreeRemoval(top);
    this.#path = path;
    this.#apply = apply;
    this.#tally = tally;
  }

  *entry(name: string | Buffer, _stat: Stats, where: Where): Work<void> {
    if (this.#apply) yield* this.#removal.entry(name, where);
    this.#tally.removed++;
  }

  *leave(_stat: Stats, where: Where): Work<void> {
    const path: RawName = where.relative();
    if (this.#apply && !(yield* this.#removal.directory(where.calls, path))) {
      // What is left in it was told already, or is new.
      if (this.#tally.errors === 0) this.#count(path, 'somebody else put something into it meanwhile');
      return;
    }
    this.#tally.removed++;
  }

  failed(path: string, _action: string, error: NodeJS.ErrnoException): void {
    this.#count(path, systemErrorCode(error) ?? error.message);
  }

  vanished(): void {}

  excluded(): void {}

  crossed(path: string): void {
    this.#count(path, 'a volume is mounted there');
  }

  #count(path: string, code: string): void {
    this.#tally.errors++;
    if (this.#tally.problems.length < listedProblems)
      this.#tally.problems.push({
        path: path.startsWith('/') ? path : `${this.#path}/${path}`,
        action: 'remove',
        code,
      });
  }
}
