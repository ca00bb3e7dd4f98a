import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs';

import type { ArchiveEntry, ArchiveLimits, ArchiveTarget } from '../../../clients/archive/entry.ts';
import { formatBytes } from '../../../core/size.ts';
import { below, type RawName } from '../../../fs/directory/file-name.ts';
import { isNoDirectory, openDirectory } from '../../../fs/directory/open-directory.ts';
import type { FileOwner } from '../../../fs/publish/attributes.ts';
import { checkLink, FoldedNames, entryPathOf, quotedEntry, Refused } from './entry-names.ts';

export interface TreeSettings {
  readonly strip: number;
  readonly mode: number | undefined;
  readonly owner: FileOwner | undefined;
  readonly limits: ArchiveLimits;
  /** Called now and then, so that what was written does not stay in memory. */
  readonly collect: () => void;
}

/** Directories kept open. */
const held = 64;

const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Bytes of content between two collections: some milliseconds of work, for one. */
const betweenCollections = 8 << 20;

/** Writes to one file are gathered up to so many bytes. */
const gathered = 1 << 17;

/** Builds a tree from an archive's entries, below one directory that nobody sees yet, and through no link. */
export class UnpackedTree implements ArchiveTarget, Disposable {
  readonly #top: number;
  readonly #settings: TreeSettings;
  readonly #folded = new FoldedNames();
  readonly #open = new Map<RawName, number>();
  #entry: ArchiveEntry | undefined;
  #file: number | undefined;
  /** Directories in the order in which they were made, where an owner is to be set. */
  readonly #made: RawName[] = [];
  #parts: Uint8Array[] = [];
  #pending = 0;
  #left = 0;
  #closed = false;
  #uncollected = 0;
  files = 0;
  entries = 0;
  bytes = 0;

  constructor(top: number, settings: TreeSettings) {
    this.#top = top;
    this.#settings = settings;
  }

  begin(entry: ArchiveEntry): void {
    if (this.#closed) throw new Error('the tree is closed');
    const { limits, strip } = this.#settings;
    if (++this.entries > limits.entries)
      throw new Refused(`has more than ${limits.entries} entries (--max-entries)`);
    if (this.bytes + entry.size > limits.bytes)
      throw new Refused(`unpacks to more than ${formatBytes(limits.bytes)} (--max-unpacked)`);
    if (entry.kind === 'other') throw new Refused(`has ${quotedEntry(entry.name)}, ${entry.what}`);
    this.#entry = entry;
    this.#letGo();
    const place = entryPathOf(entry.name, strip);
    const raw = place.at(-1);
    // What --strip-components takes with its name is left out, as tar does.
    if (raw === undefined) return;
    if (entry.kind === 'directory') {
      this.#directory(place, entry);
      return;
    }
    const path = place.join('/');
    this.#checkName(path);
    const at = below(this.#directory(place.slice(0, -1)), raw);
    try {
      if (entry.kind === 'file') this.#file = openSync(at, newFile, 0o600);
      else if (entry.kind === 'link') this.#link(at, entry, place.length - 1);
      else this.#hardLink(at, entry);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      throw new Refused(`has two entries of the name ${quotedEntry(path)}`);
    }
    this.#left = entry.size;
    this.files++;
  }

  data(chunk: Uint8Array): void {
    // A reader that was stopped may have some more on its way; the descriptor's number may be another file's by now.
    if (this.#closed) return;
    const entry = this.#entry as ArchiveEntry;
    this.bytes += chunk.length;
    this.#uncollected += chunk.length;
    if (this.#uncollected > betweenCollections) {
      this.#uncollected = 0;
      this.#settings.collect();
    }
    this.#left -= chunk.length;
    if (this.bytes > this.#settings.limits.bytes)
      throw new Refused(`unpacks to more than ${formatBytes(this.#settings.limits.bytes)} (--max-unpacked)`);
    if (this.#file === undefined) return;
    if (this.#left < 0) throw new Refused(`has more content in ${quotedEntry(entry.name)} than it says`);
    if (chunk.length >= gathered && this.#pending === 0) return writeAll(this.#file, chunk);
    this.#parts.push(chunk);
    this.#pending += chunk.length;
    if (this.#pending >= gathered) this.#flush();
  }

  end(): void {
    const entry = this.#entry;
    if (this.#closed || this.#file === undefined || entry === undefined) return;
    if (this.#left !== 0) throw new Refused(`ends inside of ${quotedEntry(entry.name)}`);
    this.#flush();
    const { owner } = this.#settings;
    // Set-ID bits are nothing that a download should bring.
    fchmodSync(this.#file, this.#settings.mode ?? (entry.mode ?? 0o644) & 0o777);
    if (entry.time > 0) futimesSync(this.#file, entry.time / 1000, entry.time / 1000);
    // Last: what belongs to somebody else, only CAP_FOWNER changes.
    if (owner !== undefined) fchownSync(this.#file, owner.uid, owner.gid);
    const file = this.#file;
    this.#file = undefined;
    closeSync(file);
  }

  /** Gives the directories to their owner, once nothing is to be put into them: only CAP_DAC_OVERRIDE could then. */
  finish(): void {
    const { owner } = this.#settings;
    if (owner === undefined) return;
    for (const path of this.#made.toReversed()) {
      fchownSync(this.#existing(path.split('/')), owner.uid, owner.gid);
      this.#letGo();
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    for (const descriptor of this.#open.values()) closeSync(descriptor);
    this.#open.clear();
  }

  #flush(): void {
    const [only, second] = this.#parts;
    if (only === undefined || this.#file === undefined) return;
    writeAll(this.#file, second === undefined ? only : Buffer.concat(this.#parts));
    this.#parts = [];
    this.#pending = 0;
  }

  #link(at: string | Buffer, entry: ArchiveEntry, depth: number): void {
    const target = entry.target ?? '';
    checkLink(entry.name, target, depth);
    symlinkSync(Buffer.from(target, 'latin1'), at);
    if (entry.time > 0) lutimesSync(at, entry.time / 1000, entry.time / 1000);
    const { owner } = this.#settings;
    if (owner !== undefined) lchownSync(at, owner.uid, owner.gid);
  }

  #hardLink(at: string | Buffer, entry: ArchiveEntry): void {
    const target = entry.target ?? '';
    const place = entryPathOf(target, this.#settings.strip);
    const raw = place.at(-1);
    const missing = (): never => {
      throw new Refused(
        `has ${quotedEntry(entry.name)}, another name of ${quotedEntry(target)}, which is not a file that came before it`,
      );
    };
    if (raw === undefined) return missing();
    let from: string | Buffer;
    try {
      from = below(this.#existing(place.slice(0, -1)), raw);
      // Of a link, another name would lead elsewhere from another directory.
      if (!lstatSync(from).isFile()) return missing();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && !isNoDirectory(code)) throw error;
      return missing();
    }
    linkSync(from, at);
  }

  /** A directory, made with those above it where they are missing; `entry` is set where it is one of the archive's. */
  #directory(place: readonly RawName[], entry?: ArchiveEntry): number {
    let at = this.#top;
    let path = '';
    for (const [index, raw] of place.entries()) {
      path = path === '' ? raw : `${path}/${raw}`;
      at = this.#open.get(path) ?? this.#enter(at, raw, path);
      if (entry !== undefined && index === place.length - 1) {
        // Its owner goes on to fill it, and a later run removes it.
        this.#setMode(at, ((entry.mode ?? 0o755) & 0o777) | 0o700);
      }
    }
    return at;
  }

  #enter(parent: number, raw: RawName, path: RawName): number {
    let made = true;
    try {
      mkdirSync(below(parent, raw), { mode: 0o755 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      made = false;
    }
    if (made) this.#checkName(path);
    const descriptor = this.#openDirectory(parent, raw, path);
    if (made) {
      this.#setMode(descriptor, 0o755);
      if (this.#settings.owner !== undefined) this.#made.push(path);
    }
    this.#open.set(path, descriptor);
    return descriptor;
  }

  #setMode(directory: number, said: number): void {
    const { mode } = this.#settings;
    const wanted = mode === undefined ? said : mode | ((mode & 0o444) >> 2) | 0o700;
    const now = fstatSync(directory).mode & 0o7777;
    if ((now & 0o777) !== wanted) fchmodSync(directory, (now & 0o7000) | wanted);
  }

  #existing(place: readonly RawName[]): number {
    let at = this.#top;
    let path = '';
    for (const raw of place) {
      path = path === '' ? raw : `${path}/${raw}`;
      const known = this.#open.get(path);
      if (known === undefined) {
        at = openDirectory(raw, at);
        this.#open.set(path, at);
      } else at = known;
    }
    return at;
  }

  #openDirectory(parent: number, raw: RawName, path: RawName): number {
    try {
      return openDirectory(raw, parent);
    } catch (error) {
      if (!isNoDirectory((error as NodeJS.ErrnoException).code)) throw error;
      const link = lstatSync(below(parent, raw)).isSymbolicLink();
      throw new Refused(
        `has ${quotedEntry(this.#entry?.name ?? path)}, which goes through the ${link ? 'link' : 'file'} ${quotedEntry(path)} that came before it`,
      );
    }
  }

  /** Between two entries, when none of the directories is in use. */
  #letGo(): void {
    for (const [path, descriptor] of this.#open) {
      if (this.#open.size <= held) return;
      closeSync(descriptor);
      this.#open.delete(path);
    }
  }

  #checkName(path: RawName): void {
    if (this.#folded.collides(path))
      throw new Refused(
        `has two entries whose names differ in capitals and small letters alone, one of them ${quotedEntry(path)}`,
      );
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at, bytes.length - at);
}
