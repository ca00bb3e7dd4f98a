import { closeSync, fstatSync } from 'node:fs';

import type { Context } from '../../core/context.ts';
import type { Grace } from '../../core/grace.ts';
import { codeAmong, Directory } from '../../fs/directory/directory.ts';
import { itself, rawOf, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { isWithin, readMounts } from '../../fs/directory/mounts.ts';
import { exchanged } from '../../fs/error-message.ts';
import { transitOf, treeName } from '../../fs/publish/copy-places.ts';
import type { Namer } from '../../fs/publish/file-names.ts';
import { removeLeftovers } from '../../fs/publish/leftovers.ts';
import { takeTurn } from '../../fs/publish/publish-lock.ts';
import { isNameOf, removeGeneration, removeOpened } from '../../fs/publish/remove.ts';
import { type MountBelow, openStageOnMount } from './copy-directories.ts';
import { type Manner, merge, openBelow } from './merge.ts';
import type { MountStage } from './tally.ts';

/** The stage of one mount, known to be the one into which every process wrote. */
interface Prepared {
  readonly shown: string;
  /** The mount's path, relative to DEST. */
  readonly path: RawName;
  readonly name: RawName;
  /** The mount's own root. */
  readonly root: Directory;
  readonly stage: Directory;
}

/**
 * The stages of the mounts below DEST. Whoever owns such a mount can rename what is in it, so that each is known by device
 * and inode, as it was when it was filled.
 */
export class MountStages implements Disposable {
  readonly #all: Prepared[] = [];

  /**
   * @param filled the stages that were written to, as the processes saw them
   * @param live DEST, open
   * @param shown DEST, as people know it
   * @throws Failure where one of them is not there any more, or another one is
   */
  constructor(filled: readonly MountStage[], mounts: readonly MountBelow[], live: number, shown: string) {
    try {
      for (const { path, stage } of mounts) {
        const seen = filled.filter((one) => one.path === path);
        if (seen.length === 0) continue;
        const place = `${shown}/${shownName(path)}`;
        const prepared = open(live, path, stage, place);
        this.#all.push(prepared);
        if (!seen.every((one) => isSame(one, prepared))) throw exchanged(place);
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Shows what is in them; returns how many entries made way. @throws as merge, and Failure as the constructor */
  async merge(way: Omit<Manner, 'transit'>, context: Pick<Context, 'signal' | 'clock'>): Promise<number> {
    let replaced = 0;
    for (const prepared of this.#all) {
      check(prepared);
      const tree = openBelow(prepared.stage.fd, treeName);
      try {
        const manner = { ...way, transit: transitOf(prepared.name) };
        replaced += await merge(tree, prepared.root.fd, prepared.path, manner, context);
      } finally {
        closeSync(tree);
      }
      check(prepared);
    }
    return replaced;
  }

  /** Removes them by their handles, whatever has their names by now. */
  async remove(grace: Grace): Promise<void> {
    for (const { root, name, stage } of this.#all) await removeOpened(root, name, stage, grace);
  }

  [Symbol.dispose](): void {
    for (const { root, stage } of this.#all.splice(0)) {
      stage[Symbol.dispose]();
      root[Symbol.dispose]();
    }
  }
}

function open(live: number, path: RawName, name: RawName, shown: string): Prepared {
  let root: number | undefined;
  let stage: number | undefined;
  try {
    root = openBelow(live, path);
    stage = openStageOnMount(root, name);
    if (stage === undefined) throw exchanged(shown);
    using stack = new DisposableStack();
    const prepared = {
      shown,
      path,
      name,
      root: stack.use(Directory.open(itself(root))),
      stage: stack.use(Directory.open(itself(stage))),
    };
    stack.move();
    return prepared;
  } finally {
    if (root !== undefined) closeSync(root);
    if (stage !== undefined) closeSync(stage);
  }
}

function isSame({ dev, ino, rootDev, rootIno }: MountStage, { root, stage }: Prepared): boolean {
  const [there, above] = [fstatSync(stage.fd), fstatSync(root.fd)];
  return there.dev === dev && there.ino === ino && above.dev === rootDev && above.ino === rootIno;
}

function check({ root, name, stage, shown }: Prepared): void {
  if (!isNameOf(root, name, stage)) throw exchanged(shown);
}

/** What is mounted below DEST: each is a file system of its own, or as good as one. */
export function mountsBelow(path: string, namer: Namer): MountBelow[] {
  const raw = rawOf(path);
  return readMounts()
    .filter(({ point }) => point !== raw && isWithin(point, raw))
    .map(({ point }) => ({ path: point.slice(raw.length + 1), stage: namer.copy() }));
}

/**
 * Takes the turn of each mount below DEST as well, and removes what killed runs left there. Its stage is in the mount's
 * root, where a run that has the mount for its own DEST looks for leftovers.
 */
export async function clearMounts(
  mounts: readonly MountBelow[],
  live: Directory,
  { namer, now }: { readonly namer: Namer; readonly now: number },
  context: Context,
): Promise<Disposable> {
  using stack = new DisposableStack();
  const taken = new Set([live.identity()]);
  for (const { path } of mounts) {
    let root: number;
    try {
      root = openBelow(live.fd, path);
    } catch {
      continue; // a file, or nothing that is copied to
    }
    try {
      using directory = Directory.open(itself(root));
      const identity = directory.identity();
      if (taken.has(identity)) continue;
      taken.add(identity);
      // Not waited for: another run may wait for this one in its turn.
      const turn = stack.use(await takeTurn(identity, context, 0));
      await removeLeftovers(directory, { namer, alone: turn.alone, now });
    } catch (error) {
      codeAmong(error, ['EACCES', 'EPERM', 'EIO']); // nothing that this user copies to
    } finally {
      closeSync(root);
    }
  }
  return stack.move();
}

export async function removeMountStage(mount: MountBelow, live: number): Promise<void> {
  try {
    const root = openBelow(live, mount.path);
    try {
      using directory = Directory.open(itself(root));
      await removeGeneration(directory, mount.stage);
    } finally {
      closeSync(root);
    }
  } catch {
    // not there, or not to be removed: the next run looks again
  }
}
