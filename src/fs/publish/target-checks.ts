import { constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

import { exitStatus } from '../../core/exit-status.ts';
import { Directory, linkTarget } from '../directory/directory.ts';
import { readMounts } from '../directory/mounts.ts';
import { explained, refused, subPathHint } from '../error-message.ts';
import { checkPlace } from './atomic-file.ts';
import { modeText, type FileOwner } from './attributes.ts';
import { topNames } from './manifest.ts';
import { type Intent, lookForWriting } from './open-target.ts';
import { currentGeneration, nameStateOf, presentAmong, throughData } from './reader-links.ts';

/**
 * Checks all that can be checked of a file's place before its content is fetched.
 * @throws Failure with status 2
 */
export function checkFilePlace(path: string, intent: Intent): void {
  const whole = resolve(path);
  const name = basename(whole);
  if (path.endsWith('/') || name === '') {
    throw refused(
      `cannot write ${path}: it names a folder`,
      'name a file in it, or write one file per field with --format files',
      exitStatus.usage,
    );
  }
  const found = lookForWriting(dirname(whole), whole, intent, exitStatus.usage);
  using directory = found.directory;
  if (found.missing.length > 0) return;
  checkPlace(directory, name, whole, exitStatus.usage);
  checkNoMount(mountPoints(), directory, name, whole);
}

/**
 * Checks all that can be checked of a directory that is to hold files.
 * @param paths of the files below it, as far as they are known
 * @throws Failure with status 2
 */
export function checkSetPlace(path: string, paths: Iterable<string>, intent: Intent): void {
  const whole = resolve(path);
  const found = lookForWriting(whole, whole, intent, exitStatus.usage);
  using directory = found.directory;
  if (found.missing.length > 0) return;
  try {
    currentGeneration(directory);
    const mounts = mountPoints();
    for (const name of presentAmong(directory, topNames(paths))) {
      nameStateOf(directory, name);
      checkNoMount(mounts, directory, name, join(whole, name));
    }
  } catch (error) {
    throw explained(error, whole, { status: exitStatus.usage });
  }
}

/**
 * Device and inode of a folder, or of the nearest above it and the rest, by which two paths to one folder can be told.
 * @throws Failure with status 2
 */
export function identityOfFolder(path: string): string {
  const { directory, missing } = nearest(path);
  using _ = directory;
  return [directory.identity(), ...missing].join('/');
}

/** @throws Failure with status 2 */
function nearest(path: string): ReturnType<typeof Directory.nearest> {
  try {
    return Directory.nearest(path);
  } catch (error) {
    throw explained(error, path, { status: exitStatus.usage });
  }
}

/** A file that is a mount of its own (subPath) cannot be renamed over; rename(2) would say EBUSY. */
function checkNoMount(mounts: ReadonlySet<string>, directory: Directory, name: string, shown: string): void {
  if (!mounts.has(join(readlinkSync(directory.itself), name))) return;
  throw refused(
    `cannot write ${shown}: it is a mount of its own, which cannot be replaced`,
    subPathHint,
    exitStatus.usage,
  );
}

function mountPoints(): ReadonlySet<string> {
  return new Set(readMounts().map(({ point }) => Buffer.from(point, 'latin1').toString()));
}

/**
 * What to tell people whose secret the app may not be able to read: written by one user, read by another, the group is
 * all that they can share.
 * @returns undefined where it can be read, as far as that can be told
 */
export function sharingWarning(
  folder: string,
  mode: number,
  owner: FileOwner | undefined,
  self: { readonly uid: number; readonly gid: number },
): string | undefined {
  if (owner !== undefined || (mode & 0o004) !== 0) return undefined;
  // One that is to be made has the group of the one that it is made in, where that hands it on.
  using directory = nearest(folder).directory;
  const { mode: folderMode, gid } = fstatSync(directory.fd);
  // A setgid directory hands its group on, which is what fsGroup is for.
  const shares = (folderMode & 0o2000) !== 0 && gid !== 0 && (mode & 0o040) !== 0;
  if (shares) return undefined;
  return `with mode ${modeText(mode)} only user ${self.uid}${(mode & 0o040) === 0 ? '' : ` and group ${self.gid}`} can read what is written to ${folder}: an app that runs as another user needs fsGroup in the pod's securityContext, the same runAsUser, --owner, or --mode 0444`;
}

/**
 * Opens a file that was published for reading, also one of several that appear together; no other link is followed.
 * @throws LinkInPath, Failure, or the system's error
 */
export function openPublished(path: string): number {
  const whole = resolve(path);
  const name = basename(whole);
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  using directory = Directory.reach(dirname(whole));
  const current =
    linkTarget(directory, name) === throughData(name) ? currentGeneration(directory) : undefined;
  if (current === undefined) return openSync(directory.at(name), flags);
  using generation = directory.child(current);
  return openSync(generation.at(name), flags);
}

/** Is this name a link of ours through `..data`, so that a single rename would break what it belongs to? */
export function isManaged(folder: string, name: string): boolean {
  try {
    using directory = Directory.reach(folder);
    return linkTarget(directory, name) === throughData(name) && currentGeneration(directory) !== undefined;
  } catch (error) {
    // A failing medium says nothing of what is there: a file of several would be written by itself.
    if ((error as NodeJS.ErrnoException).code === 'EIO') throw explained(error, join(folder, name));
    return false; // the checks of the place say why
  }
}
