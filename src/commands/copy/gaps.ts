import { closeSync, fstatSync } from 'node:fs';

import { reasonOf } from '../../core/clock.ts';
import { sideBySide } from '../../fs/calls.ts';
import { below, type RawName } from '../../fs/directory/file-name.ts';
import { asDirectory, isAbsent } from '../../fs/directory/open-directory.ts';
import { openInSource } from './prune.ts';
import type { SeenDirectories } from './seen-directories.ts';

/** What the copy found, to be compared with what there is now. */
export interface FoundBefore {
  /** The top directories of the sources, open. */
  readonly sources: readonly number[];
  readonly dereference: boolean;
  readonly seen: SeenDirectories;
  /** The names at the top that are the copy's. */
  readonly names: ReadonlySet<RawName>;
  readonly signal: AbortSignal;
}

/**
 * Whether a new tree lacks something of the one that readers see, and the directory of a source that would have it is not
 * any more as the copy found it: then it may have been away for a moment.
 * @param shown the tree that readers see, open
 * @param next the new one, open
 */
export function hasUnprovenGaps(shown: number, next: number, found: FoundBefore): Promise<boolean> {
  return isUnproven(shown, next, '', found);
}

async function isUnproven(shown: number, next: number, path: RawName, found: FoundBefore): Promise<boolean> {
  if (found.signal.aborted) throw reasonOf(found.signal);
  const there = await sideBySide.entries(below(shown, '.'));
  const before = path === '' ? there.filter(({ name }) => found.names.has(name)) : there;
  const after = new Map((await sideBySide.entries(below(next, '.'))).map((entry) => [entry.name, entry]));
  if (before.some(({ name }) => !after.has(name)) && isChanged(path, found)) return true;
  for (const entry of before) {
    if (!entry.isDirectory() || after.get(entry.name)?.isDirectory() !== true) continue;
    using old = await opened(shown, entry.name);
    using fresh = await opened(next, entry.name);
    const inner = path === '' ? entry.name : `${path}/${entry.name}`;
    if (await isUnproven(old.descriptor, fresh.descriptor, inner, found)) return true;
  }
  return false;
}

async function opened(parent: number, name: RawName): Promise<Disposable & { readonly descriptor: number }> {
  const descriptor = await sideBySide.open(below(parent, name), asDirectory);
  return { descriptor, [Symbol.dispose]: () => closeSync(descriptor) };
}

function isChanged(path: RawName, { sources, dereference, seen }: FoundBefore): boolean {
  const now = sources.flatMap((source) => {
    let directory: number;
    try {
      directory = openInSource(source, path, dereference);
    } catch (error) {
      if (isAbsent(error)) return []; // that source has no such directory
      throw error;
    }
    try {
      return [fstatSync(directory)];
    } finally {
      closeSync(directory);
    }
  });
  return seen.isChanged(path, now);
}
