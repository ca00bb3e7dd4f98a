import { closeSync, constants } from 'node:fs';

import type { ArchiveEntry, ArchiveLimits, ArchiveTarget } from '../../../clients/archive/entry.ts';
import { unlessAborted } from '../../../core/clock.ts';
import { formatBytes } from '../../../core/size.ts';
import { calls, type Calls, doAtOnce, doInTime, given, sideBySide, type Work } from '../../../fs/calls.ts';
import { below, type RawName } from '../../../fs/directory/file-name.ts';
import { isNoDirectory } from '../../../fs/directory/open-directory.ts';
import { Pace } from '../../../fs/pace.ts';
import { type FileOwner, secretMode } from '../../../fs/publish/attributes.ts';
import { Directories, inTurn, type TreeDirectory } from './directories.ts';
import { checkLink, FoldedNames, entryPathOf, quotedEntry, Refused } from './entry-names.ts';
import { UnderWay } from './under-way.ts';

export interface TreeSettings {
  readonly strip: number;
  readonly mode: number | undefined;
  /** Whether what comes is a secret: then what the archive lets others do does not hold. */
  readonly secret: boolean;
  readonly owner: FileOwner | undefined;
  readonly limits: ArchiveLimits;
  /** Called now and then, so that what was written does not stay in memory. */
  readonly collect: () => void;
  /** Whether calls are to be made side by side from the first entry on. */
  readonly slow: boolean;
}

const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Bytes of content between two collections: some milliseconds of work, for one. */
const betweenCollections = 8 << 20;

/** Writes to one file are gathered up to so many bytes. */
const gathered = 1 << 17;

/** What may be done with a secret at most: its owner and a shared group read and run it. */
const secretFile = secretMode | 0o110;

/** Files up to here are kept in memory and written beside others, where the volume is slow. */
const small = 1 << 18;

/** A file whose content is on its way. */
interface Filling {
  readonly entry: ArchiveEntry;
  readonly path: RawName;
  /** Undefined where all of it is kept, to be written when it is whole. */
  descriptor: number | undefined;
  /** Where it goes, beside others. */
  readonly place: TreeDirectory | undefined;
  parts: Uint8Array[];
  /** Bytes in parts. */
  pending: number;
  /** Bytes to come. */
  left: number;
}

/**
 * Builds a tree from an archive's entries, below one directory that nobody sees yet, and through no link. Entry after entry,
 * until the volume turns out to be slow; then small files, links and directories of several folders at once.
 */
export class UnpackedTree implements ArchiveTarget, AsyncDisposable {
  readonly #settings: TreeSettings;
  readonly #folded = new FoldedNames();
  readonly #pace = new Pace();
  readonly #directories: Directories;
  /** Unset while each call is made at once. */
  #underWay: UnderWay | undefined;
  #file: Filling | undefined;
  #closed = false;
  #uncollected = 0;
  files = 0;
  entries = 0;
  bytes = 0;

  constructor(top: number, settings: TreeSettings) {
    this.#settings = settings;
    const { mode, secret, owner } = settings;
    const checkName = (path: RawName): void => this.#checkName(path);
    if (settings.slow) this.#pace.expectSlow();
    this.#directories = new Directories(top, { mode, secret, owner, pace: this.#pace, checkName });
  }

  begin(entry: ArchiveEntry): void | Promise<void> {
    if (this.#closed) throw new Error('the tree is closed');
    const { limits, strip } = this.#settings;
    if (++this.entries > limits.entries)
      throw new Refused(
        `has more than ${limits.entries} entries (--max-entries)`,
        '--max-entries raises the limit',
      );
    if (this.bytes + entry.size > limits.bytes) throw tooLarge(limits);
    if (entry.kind === 'other') throw new Refused(`has ${quotedEntry(entry.name)}, ${entry.what}`);
    this.#directories.letGo();
    const place = entryPathOf(entry.name, strip);
    // What --strip-components takes with its name is left out, as tar does.
    if (place.length === 0) return;
    if (this.#pace.isSlow) return this.#beginBeside((this.#underWay ??= new UnderWay()), entry, place);
    this.#beginAtOnce(entry, place);
  }

  #beginAtOnce(entry: ArchiveEntry, place: readonly RawName[]): void {
    if (entry.kind === 'directory') {
      this.#directories.reach(place, entry.name, directoryMode(entry));
      return;
    }
    const path = place.join('/');
    this.#checkName(path);
    const at = below(this.#directories.reach(place.slice(0, -1), entry.name), place.at(-1) as RawName);
    if (entry.kind === 'file') {
      const descriptor = this.#pace.time(() =>
        doAtOnce(made(() => given(calls.open(at, newFile, 0o600)), path)),
      );
      this.#file = { entry, path, descriptor, place: undefined, parts: [], pending: 0, left: entry.size };
    } else if (entry.kind === 'link')
      doAtOnce(made(() => this.#link(calls, at, entry, place.length - 1), path));
    else doAtOnce(made(() => this.#hardLink(calls, at, entry), path));
    this.files++;
  }

  async #beginBeside(underWay: UnderWay, entry: ArchiveEntry, place: readonly RawName[]): Promise<void> {
    while (underWay.isFull || this.#directories.isFull) {
      await underWay.ended();
      this.#directories.letGo();
    }
    if (this.#closed) return;
    underWay.check();
    if (entry.kind === 'directory') {
      this.#directories.leave(this.#directories.begin(underWay, place, entry.name, directoryMode(entry)));
      return;
    }
    const path = place.join('/');
    this.#checkName(path);
    const raw = place.at(-1) as RawName;
    const parent = this.#directories.begin(underWay, place.slice(0, -1), entry.name);
    this.files++;
    if (entry.kind === 'link') {
      checkLink(entry.name, entry.target ?? '', place.length - 1);
      underWay.begin(path, 0, () =>
        this.#inPlace(underWay, parent, (how, fd) =>
          made(() => this.#link(how, below(fd, raw), entry, place.length - 1), path),
        ),
      );
      return;
    }
    if (entry.kind === 'file' && entry.size <= small) {
      this.#file = {
        entry,
        path,
        descriptor: undefined,
        place: parent,
        parts: [],
        pending: 0,
        left: entry.size,
      };
      return;
    }
    // What was begun on the path comes first: then this is found to be the second of that name.
    await underWay.on(path);
    if (entry.kind === 'hard link') {
      await underWay.on(entryPathOf(entry.target ?? '', this.#settings.strip).join('/'));
      return this.#inPlace(underWay, parent, (how, fd) =>
        made(() => this.#hardLink(how, below(fd, raw), entry), path),
      );
    }
    const descriptor = await this.#inPlace(underWay, parent, (how, fd) =>
      made(() => given(how.open(below(fd, raw), newFile, 0o600)), path),
    );
    if (this.#closed) return closeSync(descriptor);
    this.#file = { entry, path, descriptor, place: undefined, parts: [], pending: 0, left: entry.size };
  }

  /** Puts something into a directory once that is ready, and leaves it. */
  async #inPlace<T>(
    underWay: UnderWay,
    place: TreeDirectory,
    work: (how: Calls, directory: number) => Work<T>,
  ): Promise<T> {
    try {
      const fd = await place.ready;
      return await inTurn(place, () => underWay.call(() => doInTime(work(sideBySide, fd))));
    } finally {
      this.#directories.leave(place);
    }
  }

  data(chunk: Uint8Array): void | Promise<void> {
    // A reader that was stopped may have some more on its way; the descriptor's number may be another file's by now.
    if (this.#closed) return;
    this.bytes += chunk.length;
    this.#uncollected += chunk.length;
    if (this.#uncollected > betweenCollections) {
      this.#uncollected = 0;
      this.#settings.collect();
    }
    if (this.bytes > this.#settings.limits.bytes) throw tooLarge(this.#settings.limits);
    const file = this.#file;
    if (file === undefined) return;
    file.left -= chunk.length;
    if (file.left < 0) throw new Refused(`has more content in ${quotedEntry(file.entry.name)} than it says`);
    if (file.descriptor !== undefined && chunk.length >= gathered && file.pending === 0)
      return this.#write(file.descriptor, chunk);
    file.parts.push(chunk);
    file.pending += chunk.length;
    if (file.descriptor !== undefined && file.pending >= gathered) return this.#flush(file, file.descriptor);
  }

  end(): void | Promise<void> {
    const file = this.#file;
    if (this.#closed || file === undefined) return;
    if (file.left !== 0) throw new Refused(`ends inside of ${quotedEntry(file.entry.name)}`);
    const { descriptor, place } = file;
    if (descriptor === undefined) {
      this.#file = undefined;
      return this.#fillLater(this.#underWay as UnderWay, file, place as TreeDirectory);
    }
    const bytes = file.parts.length === 1 ? (file.parts[0] as Uint8Array) : Buffer.concat(file.parts);
    this.#file = undefined;
    if (this.#underWay !== undefined)
      return this.#finishBeside(this.#underWay, descriptor, bytes, file.entry);
    doAtOnce(this.#finishFile(calls, descriptor, bytes, file.entry));
  }

  #fillLater(underWay: UnderWay, { entry, path, parts }: Filling, place: TreeDirectory): void {
    // A copy: the parts are of large buffers.
    const bytes = Buffer.concat(parts);
    const raw = path.slice(path.lastIndexOf('/') + 1);
    underWay.begin(path, bytes.length, async () => {
      const descriptor = await this.#inPlace(underWay, place, (how, fd) =>
        made(() => given(how.open(below(fd, raw), newFile, 0o600)), path),
      );
      await this.#finishBeside(underWay, descriptor, bytes, entry);
    });
  }

  async #finishBeside(
    underWay: UnderWay,
    descriptor: number,
    bytes: Uint8Array,
    entry: ArchiveEntry,
  ): Promise<void> {
    let begun = false;
    try {
      await underWay.call(() => {
        begun = true;
        return doInTime(this.#finishFile(sideBySide, descriptor, bytes, entry));
      });
    } finally {
      if (!begun) closeSync(descriptor);
    }
  }

  /**
   * Done when all of it is there.
   * @throws what any of it failed with, or the signal's reason
   */
  async finish(signal: AbortSignal): Promise<void> {
    if (this.#underWay === undefined) return doAtOnce(this.#directories.finish(calls));
    await unlessAborted(this.#underWay.all(), signal);
    await doInTime(this.#directories.finish(sideBySide), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#underWay?.stop();
    if (this.#file?.descriptor !== undefined) closeSync(this.#file.descriptor);
    this.#file = undefined;
    this.#directories.close();
  }

  #write(descriptor: number, bytes: Uint8Array): void | Promise<void> {
    if (this.#underWay === undefined) return doAtOnce(writeAll(calls, descriptor, bytes));
    return this.#underWay.call(() => doInTime(writeAll(sideBySide, descriptor, bytes)));
  }

  #flush(file: Filling, descriptor: number): void | Promise<void> {
    const bytes = file.parts.length === 1 ? (file.parts[0] as Uint8Array) : Buffer.concat(file.parts);
    file.parts = [];
    file.pending = 0;
    return this.#write(descriptor, bytes);
  }

  /** Its last bytes, mode, time and owner; then it is closed. */
  *#finishFile(how: Calls, descriptor: number, bytes: Uint8Array, entry: ArchiveEntry): Work<void> {
    const { mode, secret, owner } = this.#settings;
    try {
      yield* writeAll(how, descriptor, bytes);
      // Set-ID bits are nothing that a download should bring.
      const most = secret ? secretFile : 0o777;
      yield* given(how.fchmod(descriptor, mode ?? (entry.mode ?? 0o644) & most));
      if (entry.time > 0) yield* given(how.futimes(descriptor, entry.time / 1000, entry.time / 1000));
      // Last: what belongs to somebody else, only CAP_FOWNER changes.
      if (owner !== undefined) yield* given(how.fchown(descriptor, owner.uid, owner.gid));
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    yield* given(how.close(descriptor));
  }

  *#link(how: Calls, at: string | Buffer, entry: ArchiveEntry, depth: number): Work<void> {
    const target = entry.target ?? '';
    checkLink(entry.name, target, depth);
    yield* given(how.symlink(Buffer.from(target, 'latin1'), at));
    if (entry.time > 0) yield* given(how.lutimes(at, entry.time / 1000, entry.time / 1000));
    const { owner } = this.#settings;
    if (owner !== undefined) yield* given(how.lchown(at, owner.uid, owner.gid));
  }

  *#hardLink(how: Calls, at: string | Buffer, entry: ArchiveEntry): Work<void> {
    const target = entry.target ?? '';
    const place = entryPathOf(target, this.#settings.strip);
    const raw = place.at(-1);
    const missing = new Refused(
      `has ${quotedEntry(entry.name)}, another name of ${quotedEntry(target)}, which is not a file that came before it`,
    );
    if (raw === undefined) throw missing;
    let from: string | Buffer;
    try {
      from = below(yield* this.#directories.existing(how, place.slice(0, -1)), raw);
      // Of a link, another name would lead elsewhere from another directory.
      if ((yield* given(how.lstat(from)))?.isFile() !== true) throw missing;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && !isNoDirectory(code)) throw error;
      throw missing;
    }
    yield* given(how.link(from, at));
  }

  #checkName(path: RawName): void {
    if (this.#folded.collides(path))
      throw new Refused(
        `has two entries whose names differ in nothing but capitals or the way to write an accent, one of them ${quotedEntry(path)}`,
      );
  }
}

function tooLarge({ bytes }: ArchiveLimits): Refused {
  return new Refused(
    `unpacks to more than ${formatBytes(bytes)} (--max-unpacked)`,
    '--max-unpacked raises the limit',
  );
}

function directoryMode({ mode }: ArchiveEntry): number {
  return (mode ?? 0o755) & 0o777;
}

/** @throws Refused where something has the path already */
function* made<T>(work: () => Work<T>, path: RawName): Work<T> {
  try {
    return yield* work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new Refused(`has two entries of the name ${quotedEntry(path)}`);
  }
}

function* writeAll(how: Calls, descriptor: number, bytes: Uint8Array): Work<void> {
  const { buffer, byteOffset, length } = bytes;
  const all = Buffer.from(buffer, byteOffset, length);
  for (let at = 0; at < length;) at += yield* given(how.write(descriptor, all, at, length - at));
}
