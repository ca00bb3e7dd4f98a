import { closeSync, constants, lstatSync } from 'node:fs';

import { Directory } from '../../fs/directory/directory.ts';
import { itself, rawOf } from '../../fs/directory/file-name.ts';
import { mountId } from '../../fs/directory/mounts.ts';
import { openDirectory } from '../../fs/directory/open-directory.ts';
import { isNobodys } from '../../fs/publish/empty-folder.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { isInternal } from './projected.ts';

/**
 * Why nothing of a source would be copied: it is empty, or as good as empty.
 * @param source open
 * @returns what follows the source in a sentence; undefined where there is something to copy
 */
export function whyNothing(
  source: number,
  exclude: Exclude | undefined,
  crossMounts: boolean,
): string | undefined {
  using directory = Directory.open(itself(source));
  const found = new Set<string>();
  for (const entry of directory.names()) {
    const only = leftOut(directory, entry, exclude, crossMounts);
    if (only === undefined) return undefined;
    found.add(only);
  }
  if (found.size === 0) return 'is empty';
  return `has nothing to copy, only ${[...found].join(', and ')}`;
}

/** What an entry is that is not copied; undefined of one that is. */
function leftOut(
  directory: Directory,
  entry: Buffer,
  exclude: Exclude | undefined,
  crossMounts: boolean,
): string | undefined {
  const name = entry.toString();
  if (exclude?.(name) === true) return 'what --exclude names';
  if (name === 'lost+found') return name;
  if (
    isNobodys(directory, name) ||
    isInternal(rawOf(name), (other) => directory.at(Buffer.from(other, 'latin1')))
  )
    return 'what initbox itself keeps there';
  const stat = lstatSync(directory.at(entry), { throwIfNoEntry: false });
  if (stat === undefined) return 'what vanished meanwhile';
  if (stat.isDirectory())
    return !crossMounts && isMount(directory, entry) ? 'a mount, which --one-file-system skips' : undefined;
  const copied = [constants.S_IFREG, constants.S_IFLNK].includes(stat.mode & constants.S_IFMT);
  return copied ? undefined : 'FIFOs, sockets or devices';
}

function isMount(parent: Directory, entry: Buffer): boolean {
  let child: number;
  try {
    child = openDirectory(entry.toString('latin1'), parent.fd);
  } catch {
    return false; // the copy says what is wrong with it
  }
  try {
    return mountId(child) !== mountId(parent.fd);
  } finally {
    closeSync(child);
  }
}
