import { closeSync, lstatSync } from 'node:fs';

import { calls, type Calls, doAtOnce, doInTime, given, sideBySide, type Work } from '../../../fs/calls.ts';
import { below, type RawName } from '../../../fs/directory/file-name.ts';
import { asDirectory, isNoDirectory } from '../../../fs/directory/open-directory.ts';
import type { Pace } from '../../../fs/pace.ts';
import type { FileOwner } from '../../../fs/publish/attributes.ts';
import { quotedEntry, Refused } from './entry-names.ts';
import type { UnderWay } from './under-way.ts';

/** Directories kept open that nothing is being put into. */
const held = 64;

/** Directories open in all: with those of a run's other descriptors, fewer than most systems allow. */
const most = 512;

/** A directory of the tree that is open, or is being made. */
export interface TreeDirectory {
  readonly path: RawName;
  /** Its descriptor. */
  fd: number | undefined;
  /** As fd, once there is one. */
  ready: Promise<number>;
  /** Work that needs it open. */
  users: number;
  /** Names are put into it one after the other: the kernel lets no two calls change a directory at once. */
  turn: Promise<unknown>;
}

export interface DirectorySettings {
  readonly mode: number | undefined;
  /** Whether only its owner and its group may look into it, whatever is said. */
  readonly secret: boolean;
  readonly owner: FileOwner | undefined;
  readonly pace: Pace;
  /** Is told of every name that may be new. @throws Refused */
  readonly checkName: (path: RawName) => void;
}

/** The directories of a tree that is unpacked: made where they are missing, reached through no link. */
export class Directories {
  readonly #settings: DirectorySettings;
  readonly #top: TreeDirectory;
  readonly #open = new Map<RawName, TreeDirectory>();
  /** In the order in which they were made, where an owner is to be set. */
  readonly #made: RawName[] = [];

  constructor(top: number, settings: DirectorySettings) {
    this.#top = { path: '', fd: top, ready: Promise.resolve(top), users: 0, turn: Promise.resolve() };
    this.#settings = settings;
  }

  /**
   * A directory, made with those above it where they are missing.
   * @param name of the entry that needs it, for messages
   * @param said the permission bits that the archive gives it, where it is an entry of its own
   * @throws Refused where a link or file stands in the way
   */
  reach(place: readonly RawName[], name: RawName, said?: number): number {
    let at = this.#top;
    for (const raw of place) {
      const path = pathBelow(at, raw);
      const known = this.#open.get(path);
      if (known !== undefined) {
        at = known;
        continue;
      }
      this.#settings.checkName(path);
      const parent = at.fd as number;
      const made = this.#settings.pace.time(() => doAtOnce(this.#mkdir(calls, parent, raw)));
      at = this.#add(path, doAtOnce(this.#enter(calls, parent, raw, { path, name, made })));
    }
    const fd = at.fd as number;
    if (said !== undefined) doAtOnce(this.#setMode(calls, fd, said));
    return fd;
  }

  /** As reach, beside other work. What is returned may not be ready yet; it stays open until `leave`. */
  begin(underWay: UnderWay, place: readonly RawName[], name: RawName, said?: number): TreeDirectory {
    let at = this.#top;
    for (const raw of place) {
      const path = pathBelow(at, raw);
      at = this.#open.get(path) ?? this.#beginOne(underWay, at, raw, { path, name });
    }
    at.users++;
    const directory = at;
    if (said !== undefined) {
      directory.users++;
      underWay.begin(directory.path, 0, async () => {
        const fd = await directory.ready;
        await underWay.call(() => doInTime(this.#setMode(sideBySide, fd, said)));
        directory.users--;
      });
    }
    return directory;
  }

  leave(place: TreeDirectory): void {
    place.users--;
  }

  #beginOne(
    underWay: UnderWay,
    parent: TreeDirectory,
    raw: RawName,
    { path, name }: { readonly path: RawName; readonly name: RawName },
  ): TreeDirectory {
    this.#settings.checkName(path);
    const opened = Promise.withResolvers<number>();
    opened.promise.catch(() => {});
    const place: TreeDirectory = {
      path,
      fd: undefined,
      ready: opened.promise,
      users: 1,
      turn: Promise.resolve(),
    };
    this.#open.set(path, place);
    parent.users++;
    underWay.begin(path, 0, async () => {
      try {
        const above = await parent.ready;
        const made = await inTurn(parent, () =>
          underWay.call(() => doInTime(this.#mkdir(sideBySide, above, raw))),
        );
        place.fd = await underWay.call(() =>
          doInTime(this.#enter(sideBySide, above, raw, { path, name, made })),
        );
        opened.resolve(place.fd);
      } catch (error) {
        opened.reject(error);
        throw error;
      } finally {
        place.users--;
        parent.users--;
      }
    });
    return place;
  }

  #add(path: RawName, fd: number): TreeDirectory {
    const place = { path, fd, ready: Promise.resolve(fd), users: 0, turn: Promise.resolve() };
    this.#open.set(path, place);
    return place;
  }

  /** Whether it was missing. */
  *#mkdir(how: Calls, parent: number, raw: RawName): Work<boolean> {
    try {
      yield* given(how.mkdir(below(parent, raw), 0o755));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return false;
    }
  }

  *#enter(
    how: Calls,
    parent: number,
    raw: RawName,
    { path, name, made }: { readonly path: RawName; readonly name: RawName; readonly made: boolean },
  ): Work<number> {
    let descriptor: number;
    try {
      descriptor = yield* given(how.open(below(parent, raw), asDirectory));
    } catch (error) {
      if (!isNoDirectory((error as NodeJS.ErrnoException).code)) throw error;
      const link = lstatSync(below(parent, raw)).isSymbolicLink();
      throw new Refused(
        `has ${quotedEntry(name)}, which goes through the ${link ? 'link' : 'file'} ${quotedEntry(path)} that came before it`,
      );
    }
    if (!made) return descriptor;
    try {
      yield* this.#setMode(how, descriptor, 0o755);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    if (this.#settings.owner !== undefined) this.#made.push(path);
    return descriptor;
  }

  /** Its owner goes on to fill it, and a later run removes it. */
  *#setMode(how: Calls, directory: number, said: number): Work<void> {
    const { mode, secret } = this.#settings;
    const lent = secret ? said & 0o750 : said;
    const wanted = (mode === undefined ? lent : mode | ((mode & 0o444) >> 2)) | 0o700;
    const now = (yield* given(how.fstat(directory))).mode & 0o7777;
    if ((now & 0o777) !== wanted) yield* given(how.fchmod(directory, (now & 0o7000) | wanted));
  }

  /** A directory that is there already. @throws the system's error */
  *existing(how: Calls, place: readonly RawName[]): Work<number> {
    let at = this.#top;
    for (const raw of place) {
      const path = pathBelow(at, raw);
      const known = this.#open.get(path);
      if (known !== undefined) {
        at = known;
        if (at.fd === undefined) yield at.ready;
      } else at = this.#add(path, yield* given(how.open(below(at.fd as number, raw), asDirectory)));
    }
    return at.fd as number;
  }

  /** Gives them to their owner, once nothing is to be put into them: only CAP_DAC_OVERRIDE could then. */
  *finish(how: Calls): Work<void> {
    const { owner } = this.#settings;
    if (owner === undefined) return;
    for (const path of this.#made.toReversed()) {
      yield* given(how.fchown(yield* this.existing(how, path.split('/')), owner.uid, owner.gid));
      this.letGo();
    }
  }

  /** Closes some that nothing is being put into, where many are open. */
  letGo(): void {
    if (this.#open.size <= held) return;
    for (const [path, { fd, users }] of this.#open) {
      if (this.#open.size <= held) return;
      if (users > 0 || fd === undefined) continue;
      closeSync(fd);
      this.#open.delete(path);
    }
  }

  /** Whether so many are in use that no more should be opened. */
  get isFull(): boolean {
    return this.#open.size >= most;
  }

  /** Closes all of them, when nothing uses them any more. */
  close(): void {
    for (const { fd } of this.#open.values()) if (fd !== undefined) closeSync(fd);
    this.#open.clear();
  }
}

/** Puts a name into a directory after those that came before. */
export function inTurn<T>(place: TreeDirectory, work: () => Promise<T>): Promise<T> {
  const mine = place.turn.then(work);
  place.turn = mine.catch(() => {});
  return mine;
}

function pathBelow(above: TreeDirectory, raw: RawName): RawName {
  return above.path === '' ? raw : `${above.path}/${raw}`;
}
