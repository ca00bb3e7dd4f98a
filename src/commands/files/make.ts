import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  renameSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, isAbsolute } from 'node:path';

import { UsageError } from '../../core/outcome.ts';
import { Directory, codeAmong, linkTarget } from '../../fs/directory/directory.ts';
import { dropInheritedAcl } from '../../fs/inherited-acl.ts';
import { temporaryFor } from '../../fs/publish/file-names.ts';
import { clearAway, removeFile } from '../../fs/publish/remove.ts';
import type { Change, Way } from './change.ts';
import { checkMissing, DoesNotFit, type HeldPlace, makeFolderOf, openFolderOf, statOf } from './place.ts';

/** What an empty file has, whatever the umask: others may read it. */
const usualMode = 0o644;

/** How often a link is put into its place where others rename there, too. */
const mostTries = 20;

/** Makes a folder, and what is missing above it. */
export function makeFolders(path: string, { apply, script }: Way): Change {
  checkMissing(path, 'make', script);
  const { directory, missing } = Directory.nearest(path);
  directory[Symbol.dispose]();
  if (missing.length === 0) return 'right';
  if (apply) Directory.make(path)[Symbol.dispose]();
  return 'made';
}

/** Makes an empty file where nothing is; one that is there keeps its content and its times. */
export function touch(path: string, { apply, script }: Way): Change {
  using place = makesIn(path, 'make', { apply, script });
  if (place === undefined) return 'made';
  const there = isFileThere(place, path);
  if (there || !apply) return there ? 'right' : 'made';
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  let descriptor: number;
  try {
    descriptor = openSync(place.folder.at(place.name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, usualMode);
  } catch (error) {
    codeAmong(error, ['EEXIST']); // another run was faster
    isFileThere(place, path);
    return 'right';
  }
  try {
    dropInheritedAcl(descriptor, path);
    if ((fstatSync(descriptor).mode & usualMode) !== usualMode) fchmodSync(descriptor, usualMode);
  } finally {
    closeSync(descriptor);
  }
  return 'made';
}

/** @throws DoesNotFit where something else is there */
function isFileThere(place: HeldPlace, path: string): boolean {
  const stat = statOf(place);
  if (stat === undefined || stat.isFile()) return stat !== undefined;
  const what = stat.isSymbolicLink() ? 'a symbolic link, which is not followed' : 'not a file';
  throw new DoesNotFit(`cannot make ${path}: what is there is ${what}`, 'remove it first, with remove:PATH');
}

/**
 * Makes a symbolic link, or gives one another target by a rename: at each moment readers see the old or the new one.
 * Nothing but a link is replaced.
 */
export function makeLink(path: string, target: string, { apply, script }: Way): Change {
  using place = makesIn(path, 'link', { apply, script });
  if (place === undefined) return 'made';
  if (leadsToItself(place, target)) {
    if (statOf(place) !== undefined) return 'right';
    throw new UsageError(
      `cannot link ${path}: ${target} is another way to its own place, so it would lead to itself, and nothing is there`,
    );
  }
  const { folder, name } = place;
  // The same for each run: what one that was killed has left, the next one takes away.
  const temporary = temporaryFor(createHash('sha256').update(name).digest('hex').slice(0, 24));
  for (let tries = 1; ; tries++) {
    const stat = statOf(place);
    if (stat !== undefined && !stat.isSymbolicLink())
      throw new DoesNotFit(
        `cannot link ${path}: what is there is not a link`,
        'only a link is replaced: move or remove what is there first',
      );
    const right = linkTarget(folder, name) === target;
    if (right || !apply) {
      if (apply) clearAway(folder, temporary);
      return right ? 'right' : stat === undefined ? 'made' : 'changed';
    }
    if (tries > mostTries)
      throw new DoesNotFit(
        `cannot link ${path}: somebody else replaces it as often as it is set`,
        'somebody else renames what is in that folder: use one of its own',
      );
    if (put(folder, name, target, temporary, stat === undefined) && linkTarget(folder, name) === target)
      return stat === undefined ? 'made' : 'changed';
  }
}

/** Whether a target of a link is the name of that very link, in whatever way it leads to its folder. */
function leadsToItself({ folder, name }: HeldPlace, target: string): boolean {
  if (basename(target) !== name) return false;
  const parent = dirname(target);
  const own = fstatSync(folder.fd);
  try {
    const { dev, ino } = statSync(isAbsolute(parent) ? parent : folder.at(parent));
    return dev === own.dev && ino === own.ino;
  } catch {
    return false; // it leads nowhere yet
  }
}

/** False where others came in between. */
function put(folder: Directory, name: string, target: string, temporary: string, isNew: boolean): boolean {
  try {
    if (isNew) {
      symlinkSync(target, folder.at(name));
      return true;
    }
    symlinkSync(target, folder.at(temporary));
    // Over a folder it fails; a file may have come there since it was looked at, and is not to be lost.
    if (linkTarget(folder, name) === undefined) return false;
    renameSync(folder.at(temporary), folder.at(name));
    return true;
  } catch (error) {
    if (codeAmong(error, ['EEXIST', 'ENOENT', 'EISDIR', 'ENOTDIR']) === 'EEXIST' && !isNew)
      removeFile(folder, temporary);
    return false;
  }
}

/** The folder to make something in; undefined where it is missing, and is only looked for. */
function makesIn(
  path: string,
  doing: string,
  { apply, script }: Omit<Way, 'ifExists'>,
): HeldPlace | undefined {
  if (apply) return makeFolderOf(path, doing, script);
  const place = openFolderOf(path, doing, script);
  if (place === undefined) checkMissing(path.slice(0, path.lastIndexOf('/')) || '/', doing, script);
  return place;
}
