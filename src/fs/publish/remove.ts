import { fstatSync, lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';

import { sideBySide } from '../calls.ts';
import { letWrite } from '../directory/access.ts';
import { codeAmong, linkTarget, type Directory } from '../directory/directory.ts';
import { mountId } from '../directory/mounts.ts';
import { Lanes } from '../lanes.ts';
import { Pace } from '../pace.ts';
import { dataLink, isGeneration, manifestName, type Namer } from './file-names.ts';
import { isAbandoned } from './in-use.ts';
import { hasNote } from './manifest.ts';
import { isShown, wasShown } from './shown-generation.ts';

/** Removals between two chances for a signal to be handled: on a network volume each takes milliseconds. */
const atOnce = 16;

/**
 * Removes an entry of a directory that the caller knows for its own, with all that is in it. Follows no link, goes into no
 * mount, and minds nothing that is gone already.
 */
export async function removeTree(parent: Directory, name: string | Buffer): Promise<void> {
  await new Removal().tree(parent, name);
}

/** Says when a removal is to be left to the next run. */
type Limit = { readonly over: boolean };

const noLimit: Limit = { over: false };

/**
 * Removes a directory that the caller holds open since it made it, or has checked to be one of ours. It is emptied by that
 * handle, whatever has its name by now.
 */
export async function removeOpened(
  parent: Directory,
  name: string,
  opened: Directory,
  limit: Limit = noLimit,
): Promise<void> {
  await clearAllBut(opened, [manifestName], limit);
  if (limit.over) return;
  // The note last: a run that is killed meanwhile leaves what the next one knows.
  if (readdirSync(opened.itself).every((entry) => entry === manifestName)) removeFile(opened, manifestName);
  if (isNameOf(parent, name, opened)) removeEmpty(parent, name);
}

/** Removes what is in an opened directory of ours, but for some names. */
export async function clearAllBut(
  opened: Directory,
  kept: readonly string[],
  limit: Limit = noLimit,
): Promise<void> {
  await new Removal(limit).clear(
    opened,
    opened.names().filter((entry) => !kept.includes(entry.toString())),
  );
}

/** Removes a generation, or a file or link in its place; not a folder with something in it that no run of ours made. */
export async function removeGeneration(parent: Directory, name: string): Promise<void> {
  let directory: Directory;
  try {
    directory = parent.child(name);
  } catch (error) {
    if (codeAmong(error, ['ENOENT', 'ENOTDIR', 'ELOOP']) !== 'ENOENT') removeFile(parent, name);
    return;
  }
  using opened = directory;
  if (isOnMountOf(parent, opened) && hasNote(parent, opened)) await removeOpened(parent, name, opened);
  else removeEmpty(parent, name);
}

/** Removals of one tree, which go on side by side once the volume turns out to be slow. */
class Removal {
  readonly #pace = new Pace();
  readonly #lanes = new Lanes();
  readonly #limit: Limit;
  #count = 0;

  constructor(limit: Limit = noLimit) {
    this.#limit = limit;
  }

  async clear(directory: Directory, entries: readonly Buffer[]): Promise<void> {
    const inside: Buffer[] = [];
    if (entries.length > 0) letWrite(directory.fd);
    for (const entry of entries) {
      if (this.#limit.over) return;
      if (++this.#count % atOnce === 0) await new Promise((resolve) => setImmediate(resolve));
      try {
        // The kernel lets one call at a time change a directory; side by side go those of several.
        if (this.#pace.isSlow) await sideBySide.unlink(directory.at(entry));
        else this.#pace.time(() => unlinkSync(directory.at(entry)));
      } catch (error) {
        // EBUSY: a file is mounted there.
        const code = codeAmong(error, ['EISDIR', 'EPERM', 'EBUSY', 'ENOENT']);
        if (code !== 'EISDIR' && code !== 'EPERM') continue;
        if (this.#pace.isSlow) inside.push(entry);
        else await this.tree(directory, entry);
      }
    }
    await this.#lanes.branch(inside, (entry) => this.tree(directory, entry));
  }

  async tree(parent: Directory, name: string | Buffer): Promise<void> {
    if (this.#limit.over) return;
    let found: { readonly child: Directory; readonly names: Buffer[] | undefined };
    try {
      found = this.#pace.isSlow ? await parent.list(name) : { child: parent.child(name), names: undefined };
    } catch (error) {
      if (codeAmong(error, ['ENOENT', 'ENOTDIR', 'ELOOP']) !== 'ENOENT') removeFile(parent, name);
      return;
    }
    {
      using opened = found.child;
      if (!isOnMountOf(parent, opened)) return;
      await this.clear(opened, found.names ?? opened.names());
    }
    if (this.#limit.over) return;
    if (!this.#pace.isSlow) return removeEmpty(parent, name);
    try {
      await sideBySide.rmdir(parent.at(name));
    } catch (error) {
      stillThere(error);
    }
  }
}

/** Whether a directory is on the same mount as the one that it was opened in: a bind mount has the same device. */
function isOnMountOf(parent: Directory, opened: Directory): boolean {
  const [above, below] = [mountId(parent.fd), mountId(opened.fd)];
  if (above !== undefined || below !== undefined) return above === below;
  return fstatSync(parent.fd).dev === fstatSync(opened.fd).dev;
}

export function isNameOf(parent: Directory, name: string, opened: Directory): boolean {
  const there = lstatSync(parent.at(name), { throwIfNoEntry: false, bigint: true });
  const own = fstatSync(opened.fd, { bigint: true });
  return there !== undefined && there.dev === own.dev && there.ino === own.ino;
}

/** Removes a directory if nothing is in it. */
export function removeEmpty(parent: Directory, name: string | Buffer): void {
  try {
    rmdirSync(parent.at(name));
  } catch (error) {
    stillThere(error);
  }
}

/** ENOTEMPTY: somebody writes into it still, and the next run removes it; or it is none of ours. */
function stillThere(error: unknown): void {
  codeAmong(error, ['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'EBUSY']);
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

/** What tells leftovers from what another run is at work with. */
export interface Leftovers {
  readonly namer: Namer;
  /** Whether the caller has the turn. */
  readonly alone: boolean;
  /** The wall clock, in milliseconds. */
  readonly now: number;
}

/**
 * The names of the generations that runs of ours made and that no run may be building still.
 * @param kept what is not told
 */
export function findPublished(
  directory: Directory,
  kept: string | undefined,
  { namer, alone, now }: Leftovers,
): Set<string> {
  const found = new Set<string>();
  const shown = linkTarget(directory, dataLink);
  for (const entry of directory.names()) {
    const name = entry.toString();
    if (!isGeneration(name) || name === kept) continue;
    using generation = openOwn(directory, name);
    if (generation === undefined) continue;
    const old = isAbandoned(fstatSync(generation.fd), now);
    if (name === shown || isShown(generation) || old || (alone && namer.isLocal(name))) found.add(name);
  }
  return found;
}

/** Opens a generation of ours; undefined where something else has its name, or this user may not look at it. */
function openOwn(parent: Directory, name: string): Directory | undefined {
  let opened: Directory;
  try {
    opened = parent.child(name);
  } catch (error) {
    codeAmong(error, ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM']);
    return undefined;
  }
  if (isOnMountOf(parent, opened) && hasNote(parent, opened)) return opened;
  opened[Symbol.dispose]();
  return undefined;
}

/** Removes what readers saw before the current generation. */
export async function removeShown(directory: Directory): Promise<void> {
  for (const entry of directory.names()) {
    const name = entry.toString();
    if (isGeneration(name) && isSuperseded(directory, name)) await removeGeneration(directory, name);
  }
}

/** In this order: what was shown and is not current will not be again. */
export function isSuperseded(directory: Directory, name: string): boolean {
  return wasShown(directory, name) && linkTarget(directory, dataLink) !== name;
}
