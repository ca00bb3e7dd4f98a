import { lstatSync, rmdirSync, unlinkSync } from 'node:fs';
import { codeAmong, linkTarget, type Directory } from './directory.ts';
import { hasNote } from './manifest.ts';
import { dataLink, isGeneration, isOurs, manifestName, type Namer } from './names.ts';
import { wasShown } from './shown.ts';

/** Removals between two chances for a signal to be handled. */
const atOnce = 200;

/** Removes a directory of ours with all that is in it; follows no link, and minds nothing that is gone already. */
export function removeTree(parent: Directory, name: string | Buffer): Promise<void> {
  return remove(parent, name, (directory) => directory.names());
}

/** Removes a generation, or a file or link in its place; not a folder with something in it that no run of ours made. */
export function removeGeneration(parent: Directory, name: string): Promise<void> {
  return remove(parent, name, (directory) => {
    if (!hasNote(directory)) return [];
    // The note last: a run that is killed meanwhile leaves what the next one knows.
    return [...directory.names().filter((entry) => entry.toString() !== manifestName), manifestName];
  });
}

/** @param entriesOf looks into the very directory whose entries are removed */
async function remove(
  parent: Directory,
  name: string | Buffer,
  entriesOf: (directory: Directory) => readonly (string | Buffer)[],
): Promise<void> {
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
    for (const entry of entriesOf(opened)) {
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
    // ENOTEMPTY: somebody writes into it still, and the next run removes it; or it is none of ours.
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
    const abandoned = alone && namer.isLocal(name);
    if (!abandoned && now - stat.mtimeMs < otherPodsTime && !isSuperseded(directory, name)) continue;
    try {
      await removeGeneration(directory, name);
      removed++;
    } catch (error) {
      // Another user's, which only takes space.
      codeAmong(error, ['EACCES', 'EPERM', 'EROFS']);
    }
  }
  return removed;
}

/** Removes what readers saw before the current generation. */
export async function removeShown(directory: Directory): Promise<void> {
  for (const entry of directory.names()) {
    const name = entry.toString();
    if (isGeneration(name) && isSuperseded(directory, name)) await removeGeneration(directory, name);
  }
}

/** In this order: what was shown and is not current will not be again. */
function isSuperseded(directory: Directory, name: string): boolean {
  return wasShown(directory, name) && linkTarget(directory, dataLink) !== name;
}
