import { fstatSync, lstatSync, type Stats } from 'node:fs';

import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed, UsageError } from '../../core/outcome.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { refusedDirectory } from '../../fs/directory/forbidden-places.ts';
import { isOnVolume, notOnVolumeHint, whyNotMade } from '../../fs/directory/missing-folders.ts';
import { mountId } from '../../fs/directory/mounts.ts';
import { explained } from '../../fs/error-message.ts';

/** The folder of a path, held open, and the path's name in it. */
export interface HeldPlace extends Disposable {
  readonly folder: Directory;
  readonly name: string;
}

/** What is there does not fit, or not yet: an earlier action of the list may change that. */
export class DoesNotFit extends Failure {
  constructor(what: string, hint?: string) {
    super(failed(exitStatus.failed, what, { hint }));
  }
}

/**
 * Opens the folder of a path.
 * @param doing what is to be done to it, for people
 * @param script the running program's own file
 * @returns undefined where the folder is missing
 * @throws UsageError where it is not one to work in, Failure
 */
export function openFolderOf(path: string, doing: string, script: string): HeldPlace | undefined {
  const slash = path.lastIndexOf('/');
  const folder = openIfThere(path.slice(0, slash) || '/', path, doing);
  if (folder === undefined) return undefined;
  const why = refusedDirectory(folder.fd, folder.shown, script, 'names');
  if (why !== undefined) {
    folder[Symbol.dispose]();
    throw new UsageError(`cannot ${doing} ${path}: ${why}`);
  }
  return { folder, name: path.slice(slash + 1), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** @throws UsageError, Failure */
function openIfThere(folder: string, path: string, doing: string): Directory | undefined {
  try {
    return Directory.reach(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw asUsage(explained(error, path, { doing }));
  }
}

/** What makes no difference to any later run is said before anything is done. */
export function asUsage(failure: Failure): Failure | UsageError {
  const { status, what, hint } = failure.outcome;
  if (status !== exitStatus.usage) return failure;
  return new UsageError(hint === undefined ? what : `${what}; ${[hint].flat().join('; ')}`);
}

/**
 * As openFolderOf, and makes what is missing where that lies on a volume.
 * @throws as openFolderOf
 */
export function makeFolderOf(path: string, doing: string, script: string): HeldPlace {
  const found = openFolderOf(path, doing, script);
  if (found !== undefined) return found;
  const slash = path.lastIndexOf('/');
  try {
    const folder = Directory.make(path.slice(0, slash) || '/', path);
    return { folder, name: path.slice(slash + 1), [Symbol.dispose]: () => folder[Symbol.dispose]() };
  } catch (error) {
    throw asUsage(explained(error, path, { doing }));
  }
}

/** @throws UsageError where folders that are missing are not made */
export function checkMissing(path: string, doing: string, script: string): void {
  try {
    const { directory, missing } = Directory.nearest(path);
    using nearest = directory;
    const [first] = missing;
    if (first === undefined) return;
    const why =
      whyNotMade(nearest.fd, nearest.shown, first) ??
      refusedDirectory(nearest.fd, nearest.shown, script, 'names');
    if (why !== undefined) throw new UsageError(`cannot ${doing} ${path}: ${why}; ${notOnVolumeHint}`);
  } catch (error) {
    throw error instanceof UsageError ? error : asUsage(explained(error, path, { doing }));
  }
}

/** @throws UsageError where a folder is not on a volume: what goes from an image, or stays in it, is lost with the container */
export function refuseImage(folder: Directory, path: string, doing: string): void {
  if (isOnVolume(folder.fd)) return;
  throw new UsageError(
    `cannot ${doing} ${path}: ${folder.shown} is not on a volume, and nothing of the image is taken away; is the volume mounted in this init container, and at this path?`,
  );
}

/** Whether two paths lead to one name of one folder: to take one away would take away both. */
export function isOneName(one: HeldPlace, other: HeldPlace): boolean {
  if (one.name !== other.name) return false;
  const [a, b] = [fstatSync(one.folder.fd), fstatSync(other.folder.fd)];
  return a.dev === b.dev && a.ino === b.ino;
}

/** What has a name, itself where that is a link; undefined where nothing has. */
export function statOf({ folder, name }: HeldPlace): Stats | undefined {
  return lstatSync(folder.at(name), { throwIfNoEntry: false });
}

/** Whether an open entry of a folder is a mount of its own. */
export function isMountIn(folder: Directory, descriptor: number): boolean {
  const [above, own] = [mountId(folder.fd), mountId(descriptor)];
  if (above !== undefined || own !== undefined) return above !== own;
  return fstatSync(folder.fd).dev !== fstatSync(descriptor).dev;
}
