import { closeSync, constants, fstatSync, openSync, type Stats, unlinkSync } from 'node:fs';

import type { Directory } from '../directory/directory.ts';
import { isOpenToOthers, isOwn } from '../directory/safe-open.ts';

const othersWrite = 0o002;
const groupWrites = 0o020;

/**
 * Whether root or this user made what stands in a directory, and not everybody may write to it. The group may: for
 * fsGroup the kubelet lets it write to all that it finds on a volume. Enough to know a leftover by, which is removed; not
 * to take something for right, which isOwnAloneIn tells.
 */
export function isOwnIn(parent: Directory, stat: Stats): boolean {
  if (isOwn(stat) && (stat.mode & othersWrite) === 0) return true;
  // An export that squashes root gives what root makes to nobody, and a share without modes shows one for all.
  const made = madeIn(parent);
  if (made === undefined) return false;
  const own = isOwn(stat) || stat.uid === made.uid;
  return own && ((stat.mode & othersWrite) === 0 || (made.mode & othersWrite) !== 0);
}

/**
 * Whether root or this user made what stands in a directory, and nobody else may write to it, a group included: what was
 * right once is right still.
 */
export function isOwnAloneIn(parent: Directory, stat: Stats): boolean {
  if (!isOwnIn(parent, stat)) return false;
  if (!isOpenToOthers(stat)) return true;
  const made = madeIn(parent);
  if (made === undefined) return false;
  const shownForAll = made.mode & (othersWrite | groupWrites);
  return (stat.mode & (othersWrite | groupWrites) & ~shownForAll) === 0;
}

/** What a file looks like that this process makes there, told by its descriptor: a name can be exchanged. */
function madeIn(parent: Directory): Stats | undefined {
  const path = parent.at(`..initbox-tmp_probe-${Math.random().toString(36).slice(2)}`);
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const fd = openSync(path, flags, 0o600);
    try {
      return fstatSync(fd);
    } finally {
      closeSync(fd);
      unlinkSync(path);
    }
  } catch {
    return undefined;
  }
}
