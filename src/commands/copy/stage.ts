import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, writeSync } from 'node:fs';

import type { Clock } from '../../core/clock.ts';
import type { Grace } from '../../core/grace.ts';
import { doInTime, sideBySide } from '../../fs/calls.ts';
import { codeAmong, Directory } from '../../fs/directory/directory.ts';
import { itself, type RawName } from '../../fs/directory/file-name.ts';
import { isAbsent, isNoDirectory } from '../../fs/directory/open-directory.ts';
import { isCopyPlace, manifestName, type Namer } from '../../fs/publish/file-names.ts';
import { isAbandoned, markInUse } from '../../fs/publish/in-use.ts';
import { hasNote } from '../../fs/publish/manifest.ts';
import { isOwnIn } from '../../fs/publish/own-files.ts';
import { clearAllBut, removeFile, removeOpened } from '../../fs/publish/remove.ts';
import {
  clearEmpty,
  makeOrOpenDirectory,
  makeStage,
  removeUnfinished,
  takeBackStage,
  treeName,
} from './copy-directories.ts';
import { clearTransit } from './merge.ts';

/** Where files with several names have one by their identity. */
const linksName = 'links';

/**
 * There from before the first rename of a copy with --if-empty to after the last: it says which copy, and that what
 * readers see is not whole.
 */
const mergingName = 'merging';

/** A note larger than this is not ours, in bytes. */
const largestNote = 1 << 20;

/**
 * Where a copy is prepared, beside what readers see and on the same file system: `tree` with the new entries, and notes.
 */
export class Stage implements Disposable {
  readonly name: string;
  readonly #directory: Directory;
  readonly #place: Directory;
  readonly #marks: Disposable;
  readonly tree: number;
  readonly links: number;
  #merging = false;

  constructor(directory: Directory, name: string, clock: Clock) {
    this.name = name;
    this.#directory = directory;
    const made = makeStage(directory.fd, name);
    const opened: number[] = [];
    try {
      this.#place = Directory.open(itself(made));
      opened.push(this.#place.fd);
      opened.push((this.tree = makeOrOpenDirectory(made, treeName)));
      opened.push((this.links = makeOrOpenDirectory(made, linksName)));
      this.#marks = markInUse(this.#place.fd, clock);
    } catch (error) {
      for (const descriptor of opened) closeSync(descriptor);
      for (const entry of [linksName, treeName]) clearEmpty(made, entry);
      takeBackStage(directory.fd, name, made);
      throw error;
    } finally {
      closeSync(made);
    }
  }

  /**
   * Says that readers are about to see part of it.
   * @param what tells this copy from every other one
   */
  startMerging(what: string): void {
    this.#merging = true;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const note = openSync(this.#place.at(mergingName), flags, 0o600);
    try {
      writeSync(note, what);
    } finally {
      closeSync(note);
    }
  }

  /** Says that they see all of it, or nothing. */
  finishMerging(): void {
    removeFile(this.#place, mergingName);
    this.#merging = false;
  }

  /** Removes what was prepared; where readers saw part of it, the note that says so stays for the next run. */
  remove(grace: Grace): Promise<void> {
    return this.#merging
      ? clearAllBut(this.#place, notes, grace)
      : removeOpened(this.#directory, this.name, this.#place, grace);
  }

  [Symbol.dispose](): void {
    this.#marks[Symbol.dispose]();
    closeSync(this.tree);
    closeSync(this.links);
    this.#place[Symbol.dispose]();
  }
}

const notes = [manifestName, mergingName];

/** The stages in a directory. */
function stagesIn(directory: Directory): string[] {
  return directory
    .names()
    .map((name) => name.toString())
    .filter(isCopyPlace);
}

export function hasStages(directory: Directory): boolean {
  return stagesIn(directory).length > 0;
}

/** Opens what has the name of a stage; undefined where it is no directory, or not to be opened. */
function openStage(directory: Directory, name: string): Directory | undefined {
  try {
    return directory.child(name);
  } catch (error) {
    if (!isNoDirectory((error as NodeJS.ErrnoException).code))
      codeAmong(error, ['ENOENT', 'EACCES', 'EPERM']);
    return undefined;
  }
}

/** Which copy was cut off, by the note in one of our stages. */
function mergingIn(directory: Directory, stage: Directory): string | undefined {
  if (!hasNote(directory, stage)) return undefined;
  let note: number;
  try {
    note = openSync(stage.at(mergingName), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (!isAbsent(error)) codeAmong(error, ['EACCES', 'EPERM']);
    return undefined;
  }
  try {
    const stat = fstatSync(note);
    const ours = stat.isFile() && stat.nlink === 1 && stat.size <= largestNote && isOwnIn(directory, stat);
    // Empty: killed before it was written, and so before the first rename.
    return ours && stat.size > 0 ? readFileSync(note, 'utf8') : undefined;
  } finally {
    closeSync(note);
  }
}

/** Copies that were cut off when readers saw part of them. */
export function cutOffCopies(directory: Directory): string[] {
  return stagesIn(directory).flatMap((name) => {
    using stage = openStage(directory, name);
    return (stage && mergingIn(directory, stage)) ?? [];
  });
}

/**
 * Removes what killed runs left. One of this pod is dead where nobody else has the turn; of one in another pod only age
 * tells.
 * @param now the wall clock, in milliseconds
 * @param own the stage of this run, and which copy it does again: its note takes the place of the earlier ones
 */
export async function removeStages(
  directory: Directory,
  which: { readonly namer: Namer; readonly alone: boolean; readonly now: number },
  own?: { readonly name: string; readonly what: string },
): Promise<void> {
  for (const name of stagesIn(directory)) {
    if (name === own?.name) continue;
    try {
      using stage = openStage(directory, name);
      const stat = stage ? fstatSync(stage.fd) : lstatSync(directory.at(name), { throwIfNoEntry: false });
      if (stat === undefined) continue;
      const dead = which.alone && which.namer.isLocal(name);
      const old = isAbandoned(stat, which.now);
      const merging = stage && mergingIn(directory, stage);
      const again = merging !== undefined && merging === own?.what;
      if (!dead && !old && !again) continue;
      if (stage !== undefined) await clearTransitOf(directory, name, stage);
      if (stage === undefined) {
        if (!stat.isDirectory()) removeFile(directory, name);
      } else if (merging !== undefined && !again) await clearAllBut(stage, notes);
      else if (hasNote(directory, stage)) await removeOpened(directory, name, stage);
      else removeUnfinished(directory, name, stage);
    } catch (error) {
      // Another user's, which only takes space.
      codeAmong(error, ['EACCES', 'EPERM', 'EROFS', 'EBUSY']);
    }
  }
}

/** By which name a file of a stage stands in a directory of DEST for a moment. */
export function transitOf(stage: RawName): RawName {
  return `${stage}-new`;
}

async function clearTransitOf(directory: Directory, name: string, stage: Directory): Promise<void> {
  let tree: Directory;
  try {
    tree = stage.child(treeName);
  } catch (error) {
    if (!isAbsent(error)) codeAmong(error, ['EACCES', 'EPERM']);
    return;
  }
  using _ = tree;
  await doInTime(clearTransit(sideBySide, tree.fd, directory.fd, transitOf(name)));
}
