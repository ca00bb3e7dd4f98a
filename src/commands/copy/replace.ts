import { closeSync, readdirSync } from 'node:fs';

import { itself, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { openDirectory } from '../../fs/directory/open-directory.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';

/** Says whether the directory of that name, at that path in DEST, may make way for a file or a link. */
export type MayReplace = (parent: number, raw: RawName, path: RawName) => boolean;

/**
 * With --delete a directory makes way for what is no directory in the source, as with rsync; where --exclude keeps
 * something in it, it stays.
 * @returns undefined where directories never make way
 */
export function replacerOf(deletes: boolean, exclude: Exclude | undefined): MayReplace | undefined {
  if (!deletes) return undefined;
  return (parent, raw, path) => {
    if (exclude === undefined) return true;
    let free = true;
    eachBelow(parent, raw, path, (entry) => {
      if (exclude(shownName(entry))) free = false;
      return free;
    });
    return free;
  };
}

/** The number of entries of a directory, itself and all below it. */
export function entriesOf(parent: number, raw: RawName): number {
  let count = 1;
  eachBelow(parent, raw, '', () => {
    count++;
    return true;
  });
  return count;
}

/** Calls back for each entry below, through no link, until that says false. */
function eachBelow(parent: number, raw: RawName, path: RawName, take: (path: RawName) => boolean): boolean {
  const directory = openDirectory(raw, parent);
  try {
    for (const entry of readdirSync(itself(directory), { encoding: 'latin1', withFileTypes: true })) {
      const below = `${path}/${entry.name}`;
      if (!take(below)) return false;
      if (entry.isDirectory() && !eachBelow(directory, entry.name, below, take)) return false;
    }
    return true;
  } finally {
    closeSync(directory);
  }
}
