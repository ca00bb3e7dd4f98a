import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';

import type { Clock } from '../../core/clock.ts';
import type { Grace } from '../../core/grace.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { itself } from '../../fs/directory/file-name.ts';
import {
  clearPlace,
  giveModesBack,
  mergingName,
  type OpenedDirectory,
  openedName,
  treeName,
} from '../../fs/publish/copy-places.ts';
import { markInUse } from '../../fs/publish/in-use.ts';
import { removeFile, removeOpened } from '../../fs/publish/remove.ts';
import { clearEmpty, makeOrOpenDirectory, makeStage, takeBackStage } from './copy-directories.ts';
import { writing } from './failures.ts';

/** Where files with several names have one by their identity. */
const linksName = 'links';

const newNote = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

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
  /** The note of what is opened for its own user. */
  #opened: number | undefined;

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
   * @throws WriteFailed
   */
  startMerging(what: string): void {
    this.#merging = true;
    writing(() => {
      const note = openSync(this.#place.at(mergingName), newNote, 0o600);
      try {
        writeSync(note, what);
      } finally {
        closeSync(note);
      }
    });
  }

  /**
   * Notes that a directory of DEST is about to be opened for its own user: a run that is killed meanwhile leaves it so.
   * @throws WriteFailed
   */
  noteOpened({ dev, ...opened }: OpenedDirectory): void {
    writing(() => {
      this.#opened ??= openSync(this.#place.at(openedName), newNote, 0o600);
      const same = dev === fstatSync(this.#place.fd).dev;
      writeSync(this.#opened, `${JSON.stringify({ ...opened, ...(!same && { dev }) })}\n`);
    });
  }

  /** Says that they see all of it, or nothing. */
  finishMerging(): void {
    if (!this.#merging) return;
    removeFile(this.#place, mergingName);
    this.#merging = false;
  }

  /** Removes what was prepared; where readers saw part of it, the note that says so stays for the next run. */
  async remove(grace: Grace): Promise<void> {
    // Where the work was given up in the middle.
    if (this.#opened !== undefined) await giveModesBack(this.#directory, this.#place);
    if (this.#merging) await clearPlace(this.#place, grace);
    else await removeOpened(this.#directory, this.name, this.#place, grace);
  }

  [Symbol.dispose](): void {
    this.#marks[Symbol.dispose]();
    if (this.#opened !== undefined) closeSync(this.#opened);
    closeSync(this.tree);
    closeSync(this.links);
    this.#place[Symbol.dispose]();
  }
}
