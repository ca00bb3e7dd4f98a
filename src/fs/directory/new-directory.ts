import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
} from 'node:fs';

import { refused } from '../error-message.ts';
import { dropInheritedAcl } from '../inherited-acl.ts';
import type { Directory } from './directory.ts';
import { itself } from './file-name.ts';

/** Mode bits of a directory that everyone may enter; setgid is kept as the parent gave it. */
const directoryMode = 0o755;

/** Whom a new directory belongs to, in numbers. */
export interface DirectoryOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Makes a directory that others may enter whatever the umask is.
 * @param owner unset, it is whoever runs this, and the group that the parent gives
 * @throws the system's error, or Failure where it was exchanged for another before it could be opened
 */
export function makeDirectory(parent: Directory, name: string | Buffer, owner?: DirectoryOwner): void {
  const fd = openNew(parent, name);
  try {
    const { mode } = fstatSync(fd);
    checkNew(parent, name, fd);
    dropInheritedAcl(fd, `${parent.shown}/${name.toString()}`);
    // Only where the umask took bits: chmod by somebody outside of the group would clear setgid.
    if ((mode & directoryMode) !== directoryMode) fchmodSync(fd, (mode & 0o7000) | directoryMode);
    if (owner !== undefined) giveAway(parent, name, fd, owner);
  } finally {
    closeSync(fd);
  }
}

/**
 * Whoever may write to the parent may exchange a folder for another one before it is opened.
 * @param fd what was opened
 * @throws Failure where something is in it, or it is on another file system
 */
export function checkNew(parent: Directory, name: string | Buffer, fd: number): void {
  if (fstatSync(fd).dev === fstatSync(parent.fd).dev && readdirSync(itself(fd)).length === 0) return;
  throw refused(
    `cannot write to ${parent.shown}: ${JSON.stringify(name.toString())}, which was made there just now, was exchanged for another folder`,
    'somebody else renames what is in that folder: use one of its own',
  );
}

function openNew(parent: Directory, name: string | Buffer): number {
  mkdirSync(parent.at(name), { mode: directoryMode });
  return openSync(parent.at(name), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

/** One that cannot have its owner is taken away again. */
function giveAway(parent: Directory, name: string | Buffer, fd: number, { uid, gid }: DirectoryOwner): void {
  try {
    fchownSync(fd, uid, gid);
  } catch (error) {
    try {
      rmdirSync(parent.at(name));
    } catch {
      // somebody has put something into it
    }
    throw error;
  }
}
