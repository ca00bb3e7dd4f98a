import { closeSync } from 'node:fs';

import { type Calls, given, type Work } from '../../fs/calls.ts';
import { below, itself, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { asDirectory } from '../../fs/directory/open-directory.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';

/** Says whether the directory of that name, at that path in DEST, may make way for a file or a link. */
export type MayReplace = (calls: Calls, parent: number, raw: RawName, path: RawName) => Work<boolean>;

/**
 * With --delete a directory makes way for what is no directory in the source, as with rsync; where --exclude keeps
 * something in it, it stays.
 * @returns undefined where directories never make way
 */
export function replacerOf(deletes: boolean, exclude: Exclude | undefined): MayReplace | undefined {
  if (!deletes) return undefined;
  return function* mayReplace(calls, parent, raw, path) {
    if (exclude === undefined) return true;
    return yield* eachBelow(calls, parent, raw, path, (entry) => !exclude(shownName(entry)));
  };
}

/** The number of entries of a directory, itself and all below it. */
export function* entriesOf(calls: Calls, parent: number, raw: RawName): Work<number> {
  let count = 1;
  yield* eachBelow(calls, parent, raw, '', () => {
    count++;
    return true;
  });
  return count;
}

/** Calls back for each entry below, through no link, until that says false. Whether it never did. */
function* eachBelow(
  calls: Calls,
  parent: number,
  raw: RawName,
  path: RawName,
  take: (path: RawName) => boolean,
): Work<boolean> {
  const directory = yield* given(calls.open(below(parent, raw), asDirectory));
  try {
    for (const entry of yield* given(calls.entries(itself(directory)))) {
      const whole = `${path}/${entry.name}`;
      if (!take(whole)) return false;
      if (entry.isDirectory() && !(yield* eachBelow(calls, directory, entry.name, whole, take))) return false;
    }
    return true;
  } finally {
    closeSync(directory);
  }
}
