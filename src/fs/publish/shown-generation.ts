import { fchmodSync, fstatSync, lstatSync } from 'node:fs';

import type { Directory } from '../directory/directory.ts';

/** The sticky bit, which means nothing on a directory that one user writes to, and takes no room. */
const mark = 0o1000;

/**
 * Marks a generation that readers have seen: once another one is current, anybody may remove it, whoever made it. One
 * that is still being built looks the same otherwise. Mark first, then look which one is current: of two runs that
 * swap at the same time, at least one then sees what the other left.
 */
export function markShown(generation: Directory): void {
  try {
    fchmodSync(generation.fd, (fstatSync(generation.fd).mode & 0o7777) | mark);
  } catch {
    // A file system without it: what two pods leave at the same moment waits for its age.
  }
}

export function wasShown(directory: Directory, name: string): boolean {
  const stat = lstatSync(directory.at(name), { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && (stat.mode & mark) !== 0;
}

/** The same of a generation that is open. */
export function isShown(generation: Directory): boolean {
  return (fstatSync(generation.fd).mode & mark) !== 0;
}
