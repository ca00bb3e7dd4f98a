import { closeSync } from 'node:fs';

import { type Calls, given, type Soon, type Work } from '../calls.ts';
import { type Letting, lettingWrite, type Opening } from '../directory/access.ts';
import { below, type RawName } from '../directory/file-name.ts';
import { mountId, mountWithOthersBelow } from '../directory/mounts.ts';
import { asDirectory } from '../directory/open-directory.ts';
import { openingBelow } from '../directory/opening-below.ts';
import { Turns } from '../turns.ts';
import type { Where } from './visitor.ts';

/** Removes what a walk finds, also where its own user may only read a directory. */
export class TreeRemoval {
  readonly #top: number;
  readonly #opening: Opening | undefined;
  /** Of the top, where a name may lead into another one. */
  readonly #mount: number | undefined;
  /** Modes are changed for a while by one piece of work at a time. */
  readonly #turns = new Turns();

  /** @param top the directory that is walked, open */
  constructor(top: number, opening?: Opening) {
    this.#top = top;
    this.#opening = opening;
    this.#mount = mountWithOthersBelow(top);
  }

  /** Removes an entry that is not a directory. @throws the system's error */
  *entry(name: string | Buffer, where: Where): Work<void> {
    const by = where.calls;
    try {
      yield* given(by.unlink(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
      const here = yield* given(by.open(where.path(), asDirectory));
      try {
        yield* this.#withWriting(by, here, where.relative(), () => by.unlink(name));
      } finally {
        closeSync(here);
      }
    }
  }

  /**
   * Removes a directory below the top.
   * @returns false where something is left in it
   * @throws the system's error
   */
  *directory(by: Calls, path: RawName): Work<boolean> {
    const slash = path.lastIndexOf('/');
    const parent = yield* openingBelow(by, this.#top, above(path));
    try {
      // Names above may lead elsewhere by now; nothing leads back to the top's mount out of another one.
      if (this.#mount !== undefined && mountId(parent) !== this.#mount) return false;
      yield* this.#withWriting(by, parent, above(path), () => by.rmdir(below(parent, path.slice(slash + 1))));
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
      throw error;
    } finally {
      closeSync(parent);
    }
  }

  /** Makes a call while an open directory can be written to; nobody else gives it its mode back meanwhile. */
  *#withWriting(by: Calls, directory: number, path: RawName, call: () => Soon<void>): Work<void> {
    yield* this.#turns.take(path);
    try {
      const opening = this.#opening;
      const note = opening && ((letting: Letting): void => opening(path, letting));
      const back = yield* lettingWrite(by, directory, note);
      try {
        yield* given(call());
      } finally {
        yield* back();
      }
    } finally {
      this.#turns.end(path);
    }
  }
}

/** The directory that holds what a path below the top names. */
export function above(path: RawName): RawName {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
