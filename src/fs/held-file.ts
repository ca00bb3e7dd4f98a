import { closeSync, constants, fstatSync, openSync } from 'node:fs';

import { libcAtOnce, lockAlone } from '../process/libc.ts';
import type { Directory } from './directory/directory.ts';
import { isLocal, mountId, readMounts } from './directory/mounts.ts';

/**
 * Shows every process that works on this volume that a file is being written: until its descriptor is closed, however
 * this process ends. Where the file system has no locks, nobody sees it.
 * @returns false where somebody took it for abandoned, and removed it, before it was held
 */
export function holdFile(descriptor: number): boolean {
  libcAtOnce()?.flock(descriptor, lockAlone);
  return fstatSync(descriptor).nlink > 0;
}

/**
 * Whether a process holds a file.
 * @returns undefined where that cannot be told: it is gone, or not this user's, or a server's other clients may hold it
 */
export function isHeld(directory: Directory, name: string): boolean | undefined {
  const libc = libcAtOnce();
  if (libc === undefined) return undefined;
  let descriptor: number;
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    descriptor = openSync(directory.at(name), flags);
  } catch {
    return undefined;
  }
  try {
    const id = mountId(descriptor);
    const mount = readMounts().find((one) => one.id === id);
    if (mount === undefined || !isLocal(mount) || !fstatSync(descriptor).isFile()) return undefined;
    return libc.flock(descriptor, lockAlone) !== 0;
  } finally {
    closeSync(descriptor);
  }
}
