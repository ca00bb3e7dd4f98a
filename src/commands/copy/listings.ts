import { closeSync, type Stats } from 'node:fs';

import { reasonOf, unlessAborted } from '../../core/clock.ts';
import { Abandonable, type Calls, calls, doAtOnce, doInTime, given, type Work } from '../../fs/calls.ts';
import { below, pathOf, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { mountId } from '../../fs/directory/mounts.ts';
import { asDirectory, asPinned, isAbsent, isNoDirectory } from '../../fs/directory/open-directory.ts';
import { Lanes } from '../../fs/lanes.ts';
import { isSlowThere, Pace } from '../../fs/pace.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import type { Where } from '../../fs/tree/visitor.ts';
import { widenThreadPool } from '../../process/thread-pool.ts';
import { hidesChanges } from './content.ts';
import { hashOf } from './seen-directories.ts';

/** A folder as it was right before it was listed. */
export type FolderState = Pick<Stats, 'dev' | 'ino' | 'ctimeMs' | 'mtimeMs'>;

/** Which folder holds an entry. */
type Holder = Pick<Where, 'dev' | 'ino'>;

/** Folders that are looked at between two looks at signals, or handed to threads at once. */
const atOnce = 512;

/** Old entries of changed folders that are looked up together. */
const together = 8192;

/** Of a path that one call takes, in bytes: below PATH_MAX, with the way to a descriptor before it. */
const longest = 3900;

/** An entry that was read, by its folder, its name, and which inode it was. */
export function entryHash({ dev, ino }: Holder, raw: RawName, entry: number): number {
  return hashOf(raw, dev ^ ino ^ (ino / 2 ** 32), entry ^ (entry / 2 ** 32));
}

/** A folder that was noted: its times are in microseconds, which is as fine as `Stats` tells them. */
interface Noted {
  readonly dev: number;
  readonly ino: number;
  readonly ctime: number;
  readonly mtime: number;
  /** Relative to the top of the walk. */
  readonly path: RawName;
}

/** What was read between two calls, in texts that go from one process to another: there may be very much of it. */
export interface ReadPart {
  /**
   * Of each folder only in what it differs from the one before. Numbers are differences, in base 36; a field is empty where
   * it says nothing new.
   */
  readonly folders: string;
  /** Hashes of entries, 8 bytes each, in Base64. */
  readonly entries: string;
}

/** Notes what is read. It is written to bytes at once: strings and lists that are kept for a while cost several times as much. */
export class ReadNotes {
  #last: Noted = first;
  readonly #folders = new Bytes();
  readonly #entries = new Bytes();

  /** @param path relative to the top of the walk */
  folder({ dev, ino, ctimeMs, mtimeMs }: FolderState, path: RawName): void {
    const last = this.#last;
    const now = { dev, ino, ctime: inMicroseconds(ctimeMs), mtime: inMicroseconds(mtimeMs), path };
    const most = Math.min(last.path.length, path.length);
    let same = 0;
    while (same < most && last.path.charCodeAt(same) === path.charCodeAt(same)) same++;
    this.#last = now;
    for (const number of [
      dev - last.dev,
      ino - last.ino,
      now.ctime - last.ctime,
      now.mtime - now.ctime,
      same,
    ])
      this.#folders.text(number === 0 ? ' ' : `${number.toString(36)} `);
    this.#folders.text(path.slice(same));
    this.#folders.text('\0');
  }

  /** @param entry what `entryHash` says of it */
  entry(entry: number): void {
    this.#entries.number(entry);
  }

  /** What was read since the last call. */
  take(): ReadPart {
    this.#last = first;
    return { folders: this.#folders.take('latin1'), entries: this.#entries.take('base64') };
  }
}

/** Bytes that become more. */
class Bytes {
  #bytes = Buffer.alloc(0);
  #length = 0;

  text(text: string): void {
    this.#grow(text.length);
    this.#length += this.#bytes.write(text, this.#length, 'latin1');
  }

  number(number: number): void {
    this.#grow(8);
    this.#length = this.#bytes.writeDoubleLE(number, this.#length);
  }

  take(encoding: BufferEncoding): string {
    const text = this.#bytes.toString(encoding, 0, this.#length);
    this.#length = 0;
    return text;
  }

  #grow(by: number): void {
    const length = this.#length + by;
    if (length <= this.#bytes.length) return;
    const more = Buffer.alloc(Math.max(4096, 2 * length));
    this.#bytes.copy(more, 0, 0, this.#length);
    this.#bytes = more;
  }
}

/** @throws Error where these are no notes of that kind */
function* foldersOf(notes: Buffer): Generator<Noted> {
  let last = first;
  for (let at = 0; at < notes.length;) {
    const end = notes.indexOf(0, at);
    const note = notes.toString('latin1', at, end);
    const found = /^([-\w]*) ([-\w]*) ([-\w]*) ([-\w]*) (\w*) /.exec(note);
    if (found === null) throw new Error('a note of a folder cannot be read');
    const numbers = found.slice(1).map((field) => (field === '' ? 0 : Number.parseInt(field, 36)));
    const [dev, ino, ctime, mtime, same] = numbers as [number, number, number, number, number];
    last = {
      dev: last.dev + dev,
      ino: last.ino + ino,
      ctime: last.ctime + ctime,
      mtime: last.ctime + ctime + mtime,
      path: last.path.slice(0, same) + note.slice(found[0].length),
    };
    yield last;
    at = end + 1;
  }
}

const first: Noted = { dev: 0, ino: 0, ctime: 0, mtime: 0, path: '' };

function inMicroseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1000);
}

/** A folder that was read. */
interface Folder extends Noted {
  readonly top: RawName;
}

interface Batch {
  readonly top: RawName;
  readonly notes: Buffer;
}

/** How the sources are read. */
export interface Reading {
  readonly exclude: Exclude;
  readonly crossMounts: boolean;
  /** When the run began, in milliseconds since 1970. */
  readonly since: number;
}

/**
 * What was read of the sources: each folder as it was before it was listed, and each entry that was copied, or left out for
 * what it is. Whatever is moved from a folder that was not read yet to one that was is in neither.
 */
export class Listings {
  readonly #batches: Batch[] = [];
  readonly #entries: Buffer[] = [];

  /** @param top what leads to the top of the walk */
  add(top: RawName, { folders, entries }: ReadPart): void {
    if (folders !== '') this.#batches.push({ top, notes: Buffer.from(folders, 'latin1') });
    if (entries !== '') this.#entries.push(Buffer.from(entries, 'base64'));
  }

  clear(): void {
    this.#batches.length = 0;
    this.#entries.length = 0;
  }

  /**
   * Looks at each folder once more. One that has changed is listed anew: what is in it and was not read there, and is older
   * than this run, was moved there, or was away for a moment. What was made since does not count.
   * @param sources open, to be asked whether calls take long there
   * @returns whether there is such an entry
   * @throws the signal's reason
   */
  async hasMoved(sources: readonly number[], reading: Reading, signal: AbortSignal): Promise<boolean> {
    const look = new Look(reading);
    const pace = new Pace();
    const lanes = new Lanes();
    const beside = new Abandonable();
    if (await isSlowThere(sources, signal)) pace.expectSlow();
    try {
      for (const some of inParts(this.#folders(), atOnce)) {
        if (signal.aborted) throw reasonOf(signal);
        let next = 0;
        while (!pace.isSlow && next < some.length) {
          const folder = some[next++] as Folder;
          pace.time(() => doAtOnce(look.at(calls, folder)));
        }
        if (next < some.length) {
          widenThreadPool();
          const rest = some.slice(next);
          const work = rest.map((folder) => lanes.run(() => doInTime(look.at(beside.calls, folder), signal)));
          await unlessAborted(Promise.all(work), signal);
        } else await new Promise((resolve) => setImmediate(resolve));
        if (look.found || (look.old.size >= together && this.#lacks(look.old))) return true;
      }
      return this.#lacks(look.old);
    } finally {
      beside.abandon();
    }
  }

  *#folders(): Generator<Folder> {
    for (const { top, notes } of this.#batches)
      for (const folder of foldersOf(notes)) yield { top, ...folder };
  }

  /** Whether one of these entries was not read. Forgets those that were. */
  #lacks(wanted: Set<number>): boolean {
    for (const some of this.#entries) {
      if (wanted.size === 0) return false;
      for (let at = 0; at < some.length; at += 8) wanted.delete(some.readDoubleLE(at));
    }
    return wanted.size > 0;
  }
}

/** One look at the folders. */
class Look {
  /** Entries of changed folders that are older than this run: those that were not read were moved there. */
  readonly old = new Set<number>();
  /** Whether a folder cannot be listed any more. */
  found = false;
  readonly #reading: Reading;

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  *at(by: Calls, folder: Folder): Work<void> {
    try {
      if (folder.top.length + folder.path.length < longest) {
        const now = yield* given(by.lstat(wholePath(folder)));
        // Gone, or moved: then its parent has changed.
        if (now === undefined || !isSame(now, folder) || !this.#hasChanged(now, folder)) return;
      }
      const descriptor = yield* opening(by, folder);
      try {
        const now = yield* given(by.fstat(descriptor));
        if (isSame(now, folder) && this.#hasChanged(now, folder))
          yield* this.#list(by, descriptor, now, folder.path);
      } finally {
        closeSync(descriptor);
      }
    } catch (error) {
      if (!isAway(error)) this.found = true;
    }
  }

  #hasChanged(now: Stats, then: Noted): boolean {
    if (inMicroseconds(now.ctimeMs) !== then.ctime || inMicroseconds(now.mtimeMs) !== then.mtime) return true;
    // Before and after the listing at one time.
    return hidesChanges(then.ctime / 1000, this.#reading.since);
  }

  *#list(by: Calls, descriptor: number, folder: Stats, path: RawName): Work<void> {
    const { exclude, crossMounts } = this.#reading;
    for (const raw of yield* given(by.readdir(below(descriptor, '.')))) {
      const inner = path === '' ? raw : `${path}/${raw}`;
      if (exclude(shownName(inner), { path: (entry) => below(descriptor, entry ?? '.') })) continue;
      const stat = yield* given(by.lstat(below(descriptor, raw)));
      if (stat === undefined || (!crossMounts && (yield* isMount(by, descriptor, folder, raw, stat))))
        continue;
      if (this.#isOld(stat)) this.old.add(entryHash(folder, raw, stat.ino));
      else if (stat.isDirectory()) yield* this.#inside(by, descriptor, raw, inner);
    }
  }

  /** What was moved into a folder that was made since. */
  *#inside(by: Calls, parent: number, raw: RawName, path: RawName): Work<void> {
    try {
      const descriptor = yield* given(by.open(below(parent, raw), asDirectory));
      try {
        yield* this.#list(by, descriptor, yield* given(by.fstat(descriptor)), path);
      } finally {
        closeSync(descriptor);
      }
    } catch (error) {
      if (!isAway(error)) throw error;
    }
  }

  /** By when it was made (statx(2)); where the file system does not tell, by when its content was changed. */
  #isOld({ birthtimeMs, mtimeMs }: Stats): boolean {
    return (birthtimeMs > 0 ? birthtimeMs : mtimeMs) < this.#reading.since;
  }
}

function isSame(now: Stats, { dev, ino }: Noted): boolean {
  return now.dev === dev && now.ino === ino;
}

function isAway(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return isAbsent(error) || isNoDirectory(code) || code === 'ESTALE';
}

function wholePath({ top, path }: Folder): string | Buffer {
  return pathOf(path === '' ? `${top}/.` : `${top}/${path}`);
}

/** Whichever way leads there: it is known again by its identity. */
function* opening(by: Calls, { top, path }: Folder): Work<number> {
  let at = yield* given(by.open(pathOf(`${top}/.`), asDirectory));
  for (let rest = path; rest !== '';) {
    const cut = rest.length <= longest ? rest.length : rest.lastIndexOf('/', longest);
    let next: number;
    try {
      next = yield* given(by.open(below(at, rest.slice(0, cut)), asDirectory));
    } finally {
      closeSync(at);
    }
    at = next;
    rest = rest.slice(cut + 1);
  }
  return at;
}

/** Whether something is mounted at a name. */
function* isMount(by: Calls, parent: number, { dev }: Stats, raw: RawName, stat: Stats): Work<boolean> {
  if (stat.dev !== dev) return true;
  const pinned = yield* given(by.open(below(parent, raw), asPinned));
  try {
    return mountId(pinned) !== mountId(parent);
  } finally {
    closeSync(pinned);
  }
}

function* inParts<T>(all: Iterable<T>, length: number): Generator<T[]> {
  let part: T[] = [];
  for (const one of all) {
    part.push(one);
    if (part.length < length) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}
