import { closeSync, fstatSync, openSync } from 'node:fs';

import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed } from '../../core/outcome.ts';
import { systemHost } from '../../process/host.ts';
import { refusedDirectory, refusedPath } from './forbidden-places.ts';
import { isWithin, mountId } from './mounts.ts';
import { O_PATH } from './open-directory.ts';
import { absolutePath } from './pinned-path.ts';

/** A place to which nothing is written, whatever is there by the next run. Status 2. */
export class WrongPlace extends Failure {
  constructor(what: string, hint: string) {
    super(failed(exitStatus.usage, what, { hint }));
  }
}

/** What to do where a missing folder is not on a volume. */
export const notOnVolumeHint =
  'is the volume mounted in this init container, and at this path? Missing folders are made on mounted volumes only, or a mistyped path would be lost with the container; if its own file system is meant, make the folder in the image';

/**
 * Why a missing folder is not made, for people; undefined where it is on a volume.
 * @param missing its name
 */
export function whyNotMade(nearest: number, shownNearest: string, missing: string): string | undefined {
  if (isOnVolume(nearest)) return undefined;
  return `${shownNearest === '/' ? '' : shownNearest}/${missing} does not exist, and ${shownNearest} is not on a volume`;
}

/**
 * Whether an open folder is on a mounted volume: an emptyDir, a claim, a subPath of one, a tmpfs, whatever the container
 * has besides its root file system.
 */
export function isOnVolume(descriptor: number): boolean {
  const here = mountId(descriptor);
  const root = openSync('/', O_PATH);
  try {
    const roots = mountId(root);
    if (here !== undefined && roots !== undefined) return here !== roots;
    // Without /proc, a bind mount of the root file system cannot be told from it.
    return fstatSync(descriptor).dev !== fstatSync(root).dev;
  } finally {
    closeSync(root);
  }
}

/**
 * @param shown what is to be written, for people
 * @throws WrongPlace where a path is none of a folder to write to, as it is written
 */
export function checkFolderPath(folder: string, shown: string): void {
  refuse(refusedPath(folder, systemHost.script, 'names'), folder, shown);
}

/** @throws WrongPlace where an open folder is none to write to */
export function checkFolder(descriptor: number, folder: string, shown: string): void {
  refuse(refusedDirectory(descriptor, folder, systemHost.script, 'names'), folder, shown);
}

function refuse(why: string | undefined, folder: string, shown: string): void {
  if (why === undefined) return;
  const streams = ['/dev', '/proc'].some((top) => isWithin(absolutePath(folder), top));
  throw new WrongPlace(
    `cannot write ${shown}: ${why}`,
    streams
      ? 'write to a volume; standard output is for reports, and a value there would end up in a log'
      : 'write to another folder, on a volume',
  );
}

/**
 * Looks whether a folder that is missing may be made.
 * @param nearest the deepest folder above it that is there, open
 * @param missing the name of the outermost one that is missing
 * @param shown what is to be written, for people
 * @throws WrongPlace
 */
export function checkMakeable(nearest: number, shownNearest: string, missing: string, shown: string): void {
  const why = whyNotMade(nearest, shownNearest, missing);
  if (why !== undefined) throw new WrongPlace(`cannot write ${shown}: ${why}`, notOnVolumeHint);
  checkFolder(nearest, shownNearest, shown);
}
