import { lstatSync, rmdirSync, unlinkSync } from 'node:fs';
import { codeAmong, linkTarget, type Directory } from './directory.ts';
import { dataLink, isOurs, type Namer } from './names.ts';

/** Removals between two chances for a signal to be handled. */
const atOnce = 200;

/** Removes a directory of ours with all that is in it; follows no link, and minds nothing that is gone already. */
export async function removeTree(parent: Directory, name: string | Buffer): Promise<void> {
  let directory: Directory;
  try {
    directory = parent.child(name);
  } catch (error) {
    if (codeAmong(error, ['ENOENT', 'ENOTDIR', 'ELOOP']) !== 'ENOENT') removeFile(parent, name);
    return;
  }
  {
    using opened = directory;
    let count = 0;
    for (const entry of opened.names()) {
      if (++count % atOnce === 0) await new Promise((resolve) => setImmediate(resolve));
      try {
        unlinkSync(opened.at(entry));
      } catch (error) {
        if (codeAmong(error, ['EISDIR', 'EPERM', 'ENOENT']) !== 'ENOENT') await removeTree(opened, entry);
      }
    }
  }
  try {
    rmdirSync(parent.at(name));
  } catch (error) {
    // ENOTEMPTY: somebody writes into it still; the next run removes it.
    codeAmong(error, ['ENOENT', 'ENOTEMPTY']);
  }
}

/** Removes a file or link; it may be gone already. */
export function removeFile(directory: Directory, name: string | Buffer): void {
  try {
    unlinkSync(directory.at(name));
  } catch (error) {
    codeAmong(error, ['ENOENT']);
  }
}

/** Removes a file or link where that can be: after a failure that says more than this one would. */
export function clearAway(directory: Directory, name: string): void {
  try {
    unlinkSync(directory.at(name));
  } catch {
    // absent, or on a volume that refuses writing; the next run looks for it
  }
}

/** Leftovers that another pod's run may still be working on stay for so long, in milliseconds. */
const otherPodsTime = 2 * 60 * 60_000;

/**
 * Removes what killed runs left. One of this pod is dead where nobody else has the turn; of one in another pod only
 * age tells.
 * @param alone whether the caller has the turn
 * @param now the wall clock, in milliseconds
 * @returns how many were removed
 */
export async function removeLeftovers(
  directory: Directory,
  namer: Namer,
  alone: boolean,
  now: number,
): Promise<number> {
  let removed = 0;
  const current = linkTarget(directory, dataLink);
  for (const entry of directory.names()) {
    const name = entry.toString();
    if (!isOurs(name) || name === current) continue;
    const stat = lstatSync(directory.at(name), { throwIfNoEntry: false });
    if (!stat) continue;
    const dead = alone && namer.isLocal(name);
    if (!dead && now - stat.mtimeMs < otherPodsTime) continue;
    try {
      await removeTree(directory, name);
      removed++;
    } catch (error) {
      // Another user's, which only takes space.
      codeAmong(error, ['EACCES', 'EPERM', 'EROFS']);
    }
  }
  return removed;
}
