import { closeSync, renameSync, type Stats, unlinkSync } from 'node:fs';

import { UsageError } from '../../core/outcome.ts';
import { below, rawOf } from '../../fs/directory/file-name.ts';
import { mountId } from '../../fs/directory/mounts.ts';
import { openPinned } from '../../fs/directory/open-directory.ts';
import type { Change, Way } from './change.ts';
import {
  checkMissing,
  DoesNotFit,
  type HeldPlace,
  isMountIn,
  isOneName,
  makeFolderOf,
  openFolderOf,
  refuseImage,
  statOf,
} from './place.ts';

/** Renames, within one volume. Done already where FROM is not there and TO is. */
export function move(from: string, to: string, { apply, ifExists, script }: Way): Change {
  using source = openFolderOf(from, 'move', script);
  if (source !== undefined) refuseImage(source.folder, from, 'move');
  using there = openFolderOf(to, 'move', script);
  if (there === undefined) checkMissing(parentOf(to), 'move', script);
  else refuseImage(there.folder, to, 'move');
  const stat = source && statOf(source);
  if (source === undefined || stat === undefined) {
    if (there !== undefined && statOf(there) !== undefined) return 'right';
    if (ifExists) return 'left out';
    throw new DoesNotFit(
      `cannot move ${from} to ${to}: neither is there`,
      '--if-exists leaves out a move whose path does not exist',
    );
  }
  if (there !== undefined) refuseOtherMount(source, there, from, to);
  refuseMounted(source, from);
  if (there !== undefined && isOneName(source, there)) return 'right';
  if (!apply) return 'moved';
  if (there !== undefined) return renamed(source, stat, there, from, to);
  using made = makeFolderOf(to, 'move', script);
  refuseOtherMount(source, made, from, to);
  return renamed(source, stat, made, from, to);
}

function renamed(source: HeldPlace, stat: Stats, target: HeldPlace, from: string, to: string): Change {
  const before = statOf(target);
  const isOne = before !== undefined && before.dev === stat.dev && before.ino === stat.ino;
  // With one name alone, the volume takes the two for the same: a rename changes its letters.
  if (isOne && !stat.isDirectory() && stat.nlink > 1) {
    // rename(2) leaves both names of one file.
    unlinkSync(source.folder.at(source.name));
    return 'moved';
  }
  try {
    renameSync(source.folder.at(source.name), target.folder.at(target.name));
  } catch (error) {
    throw whyNotMoved(error, from, to);
  }
  return 'moved';
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function refuseOtherMount(source: HeldPlace, target: HeldPlace, from: string, to: string): void {
  if (mountId(source.folder.fd) === mountId(target.folder.fd)) return;
  throw new UsageError(
    `cannot move ${from} to ${to}: they are on two mounts, and a rename stays on one; use initbox copy, then remove:${from}`,
  );
}

/** @throws UsageError where a path is a volume itself */
function refuseMounted({ folder, name }: HeldPlace, path: string): void {
  let pinned: number;
  try {
    pinned = openPinned(below(folder.fd, rawOf(name)));
  } catch {
    return; // it is gone: the rename says so
  }
  try {
    if (isMountIn(folder, pinned))
      throw new UsageError(`cannot move ${path}: a volume is mounted there, and no mount is moved`);
  } finally {
    closeSync(pinned);
  }
}

/** @throws what says nothing about the two paths */
function whyNotMoved(error: unknown, from: string, to: string): unknown {
  const what = `cannot move ${from} to ${to}`;
  switch ((error as NodeJS.ErrnoException).code ?? '') {
    case 'ENOTEMPTY':
    case 'EEXIST':
      return new DoesNotFit(
        `${what}: there is a folder with something in it`,
        `write remove:${to} before it`,
      );
    case 'EISDIR':
      return new DoesNotFit(
        `${what}: there is a folder`,
        'TO is the whole path, also the name: nothing is moved into a folder that is there',
      );
    case 'ENOTDIR':
      return new DoesNotFit(
        `${what}: there is a file, and a folder is to be moved`,
        `write remove:${to} before it`,
      );
    case 'EINVAL':
      return new DoesNotFit(`${what}: a folder cannot be moved into itself`);
    case 'EXDEV':
      return new DoesNotFit(`${what}: they are on two file systems`, 'use initbox copy, then remove:');
    case 'ENOENT':
      return new DoesNotFit(`${what}: somebody else took it away meanwhile`);
    default:
      return error;
  }
}
