import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, unlinkSync } from 'node:fs';

import { systemHost } from '../../process/host.ts';
import { type Calls, doInTime, given, sideBySide, type Work } from '../calls.ts';
import { codeAmong, type Directory } from '../directory/directory.ts';
import { below, itself, type RawName } from '../directory/file-name.ts';
import { asDirectory, isAbsent, isNoDirectory } from '../directory/open-directory.ts';
import { openingBelow } from '../directory/opening-below.ts';
import { isCopyPlace, manifestName } from './file-names.ts';
import { isAbandoned } from './in-use.ts';
import { hasNote } from './manifest.ts';
import { isOwnIn } from './own-files.ts';
import { clearAllBut, type Leftovers, removeEmpty, removeFile, removeOpened } from './remove.ts';

/** Where a copy is prepared: the new entries, apart from its notes. */
export const treeName = 'tree';

/**
 * There from before the first rename of a copy with --if-empty to after the last: it says which copy, and that what
 * readers see is not whole.
 */
export const mergingName = 'merging';

/** Which directories that readers see were opened for their own user for a while: one JSON text a line. */
export const openedName = 'opened';

export const probePrefix = '..initbox-probe-';

/** A note larger than this is not ours, in bytes. */
const largestNote = 1 << 20;

const lastingNotes = [manifestName, mergingName];

/** A directory below DEST that was opened for its own user, and the permissions that it had before. */
export interface OpenedDirectory {
  /** Relative to DEST. */
  readonly path: RawName;
  readonly ino: number;
  /** Unset where it is that of the stage: the number of a device changes with a restart of the node. */
  readonly dev?: number;
  readonly before: number;
  readonly opened: number;
}

/** By which name a file that was prepared stands in a directory of DEST for a moment. */
export function transitOf(stage: RawName): RawName {
  return `${stage}-new`;
}

function placesIn(directory: Directory): string[] {
  return directory
    .names()
    .map((name) => name.toString())
    .filter(isCopyPlace);
}

/** @returns undefined where it is no directory, 'unreadable' where this user may not look at it */
function openPlace(directory: Directory, name: string): Directory | 'unreadable' | undefined {
  try {
    return directory.child(name);
  } catch (error) {
    if (isNoDirectory((error as NodeJS.ErrnoException).code)) return undefined;
    return codeAmong(error, ['ENOENT', 'EACCES', 'EPERM']) === 'ENOENT' ? undefined : 'unreadable';
  }
}

/** What a note in one of our places says; undefined where there is none, or none of ours. */
function noteIn(directory: Directory, place: Directory, name: string): string | undefined {
  if (!hasNote(directory, place)) return undefined;
  let note: number;
  try {
    note = openSync(place.at(name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (!isAbsent(error)) codeAmong(error, ['EACCES', 'EPERM']);
    return undefined;
  }
  try {
    const stat = fstatSync(note);
    const ours = stat.isFile() && stat.nlink === 1 && stat.size <= largestNote && isOwnIn(directory, stat);
    // Empty: killed before it was written, and so before anything was shown.
    return ours && stat.size > 0 ? readFileSync(note, 'utf8') : undefined;
  } finally {
    closeSync(note);
  }
}

/** Copies that readers may see a part of. */
export interface CutOff {
  /** What their notes say. */
  readonly copies: readonly string[];
  /** Places whose notes this user may not read. */
  readonly unreadable: readonly string[];
}

/**
 * Finds the copies that were cut off when readers saw part of them, or that another run is showing now.
 * @param own the place of this run, which does not count
 */
export function cutOffCopies(directory: Directory, own?: string): CutOff {
  const copies: string[] = [];
  const unreadable: string[] = [];
  for (const name of placesIn(directory)) {
    if (name === own) continue;
    const place = openPlace(directory, name);
    if (place === undefined) continue;
    if (place === 'unreadable') {
      unreadable.push(name);
      continue;
    }
    using _ = place;
    const copy = noteIn(directory, place, mergingName);
    if (copy !== undefined) copies.push(copy);
  }
  return { copies, unreadable };
}

/**
 * Takes back what notes say of copies that are cut off no more. The places stay: another run may be at work there.
 * @param isOver told what a note says
 * @returns how many
 */
export function endCutOff(directory: Directory, isOver: (copy: string) => boolean): number {
  let ended = 0;
  for (const name of placesIn(directory)) {
    try {
      const opened = openPlace(directory, name);
      if (opened === undefined || opened === 'unreadable') continue;
      using place = opened;
      const copy = noteIn(directory, place, mergingName);
      if (copy === undefined || !isOver(copy)) continue;
      unlinkSync(place.at(mergingName));
      ended++;
    } catch (error) {
      codeAmong(error, ['ENOENT', 'EACCES', 'EPERM', 'EROFS']); // gone with its place, or another user's
    }
  }
  return ended;
}

/**
 * Removes what killed copies left, and gives directories their modes back that they had opened. One of this pod is dead
 * where nobody else has the turn; of one in another pod only age tells.
 * @param places the names of all
 * @param own the place of this run, and which copy it does again: its note takes the place of the earlier ones
 */
export async function removeCopyPlaces(
  directory: Directory,
  places: readonly string[],
  which: Leftovers,
  own?: { readonly name: string; readonly what: string },
): Promise<void> {
  for (const name of places) {
    if (name === own?.name) continue;
    try {
      const opened = openPlace(directory, name);
      using place = opened === 'unreadable' ? undefined : opened;
      const stat = place ? fstatSync(place.fd) : lstatSync(directory.at(name), { throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (!(which.alone && which.namer.isLocal(name)) && !isAbandoned(stat, which.now)) continue;
      if (place === undefined) {
        if (!stat.isDirectory()) removeFile(directory, name);
        continue;
      }
      await clearTransitOf(directory, name, place);
      await giveModesBack(directory, place);
      const merging = noteIn(directory, place, mergingName);
      if (merging !== undefined && merging !== own?.what) await clearAllBut(place, lastingNotes);
      else if (hasNote(directory, place)) await removeOpened(directory, name, place);
      else removeUnfinished(directory, name, place);
    } catch (error) {
      // Another run removes it too, or it is another user's, which only takes space.
      codeAmong(error, ['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'EBUSY']);
    }
  }
}

/** Removes what was prepared in the place of this run, but for the notes that the next run is to find. */
export function clearPlace(place: Directory, limit: { readonly over: boolean }): Promise<void> {
  return clearAllBut(place, lastingNotes, limit);
}

/** Removes a place that has no note yet: a run was killed that looked whether the directory is the one that it made. */
function removeUnfinished(parent: Directory, name: string, place: Directory): void {
  for (const entry of place.names()) if (entry.toString().startsWith(probePrefix)) removeEmpty(place, entry);
  removeEmpty(parent, name);
}

async function clearTransitOf(directory: Directory, name: string, place: Directory): Promise<void> {
  let tree: Directory;
  try {
    tree = place.child(treeName);
  } catch (error) {
    if (!isAbsent(error)) codeAmong(error, ['EACCES', 'EPERM']);
    return;
  }
  using _ = tree;
  await doInTime(clearTransit(sideBySide, tree.fd, directory.fd, transitOf(name)));
}

/**
 * Removes what a copy that was killed left in DEST by the name of `transitOf`: wherever a directory is in the stage, it
 * may have gone through the one in DEST.
 */
function* clearTransit(by: Calls, stage: number, live: number, transit: RawName): Work<void> {
  yield* clearName(by, live, transit);
  for (const entry of yield* given(by.entries(itself(stage)))) {
    if (!entry.isDirectory()) continue;
    let there: number;
    try {
      there = yield* given(by.open(below(live, entry.name), asDirectory));
    } catch (error) {
      if (isAbsent(error)) continue; // then it was not gone through
      throw error;
    }
    try {
      const own = yield* given(by.open(below(stage, entry.name), asDirectory));
      try {
        yield* clearTransit(by, own, there, transit);
      } finally {
        closeSync(own);
      }
    } finally {
      closeSync(there);
    }
  }
}

/** Removes a name that as a rule nothing has. */
export function* clearName(by: Calls, live: number, name: RawName): Work<void> {
  try {
    yield* given(by.unlink(below(live, name)));
  } catch {
    // nothing is there, or it cannot be removed
  }
}

/** Gives directories back the modes that a run took from them, where nobody has touched them since. */
export async function giveModesBack(live: Directory, place: Directory): Promise<void> {
  const note = noteIn(live, place, openedName);
  if (note === undefined) return;
  const { dev } = fstatSync(place.fd);
  for (const line of note.split('\n')) {
    const one = parseOpened(line);
    if (one !== undefined) await doInTime(givingModeBack(sideBySide, live.fd, dev, one));
  }
}

function* givingModeBack(by: Calls, live: number, stageDev: number, one: OpenedDirectory): Work<void> {
  let directory: number;
  try {
    directory = yield* openingBelow(by, live, one.path);
  } catch {
    return; // it is gone, or this user does not reach it
  }
  try {
    const stat = yield* given(by.fstat(directory));
    const same = stat.ino === one.ino && stat.dev === (one.dev ?? stageDev);
    if (!same || stat.uid !== systemHost.uid || (stat.mode & 0o7777) !== one.opened) return;
    yield* given(by.chmod(itself(directory), one.before));
  } catch {
    // the volume refuses it, or does not answer
  } finally {
    closeSync(directory);
  }
}

/** Undefined where a run was killed while it wrote the line. */
function parseOpened(line: string): OpenedDirectory | undefined {
  try {
    const { path, ino, dev, before, opened } = JSON.parse(line) as Partial<OpenedDirectory>;
    if (typeof path !== 'string' || typeof ino !== 'number') return undefined;
    if (typeof before !== 'number' || typeof opened !== 'number') return undefined;
    return { path, ino, before, opened, ...(dev !== undefined && { dev }) };
  } catch {
    return undefined;
  }
}
