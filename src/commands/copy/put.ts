import {
  closeSync,
  fstatSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  lchownSync,
  openSync,
  rmdirSync,
  rmSync,
  type Stats,
  symlinkSync,
  unlinkSync,
} from 'node:fs';

import { below, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { readLink, targetOf } from '../../fs/directory/link.ts';
import type { FileOwner } from '../../fs/publish/attributes.ts';
import type { Extras, ExtrasReader } from '../../fs/tree/xattrs.ts';
import type { Libc } from '../../process/libc.ts';
import {
  type AttributeSettings,
  attributesOf,
  finishFile,
  hasAttributes,
  secondsOf,
  tryOwner,
  withoutOwner,
} from './attributes.ts';
import { atOnce, copyContent, holdTheSame, likeness, newFile, sameTime } from './content.ts';
import { makeProbe, type CopyDirectory, type Places } from './copy-directories.ts';
import { InTheWay, writing } from './failures.ts';
import { type Following, openSource } from './projected.ts';
import type { MayReplace } from './replace.ts';
import { type CopyTally } from './tally.ts';

export interface PutSettings extends AttributeSettings {
  /** What becomes of an entry that is right already: it stays, or it is shared by the new tree too. */
  readonly right: 'leave' | 'link';
  readonly noClobber: boolean;
  /** Whether another source was copied before this one. */
  readonly later: boolean;
  /** Whether a directory may make way; undefined where none may. */
  readonly mayReplace: MayReplace | undefined;
  /** Compare contents whatever size and time say. */
  readonly checksum: boolean;
  readonly dryRun: boolean;
  /** Tells of what is left out; undefined where that cannot be told. */
  readonly extras: ExtrasReader | undefined;
  readonly libc: Libc | undefined;
  /** A directory in which files with several names have one by their identity; undefined where nothing is written. */
  readonly links: number | undefined;
}

/** A file on its way. */
export interface Source {
  /** What a system call takes. */
  readonly path: string | Buffer;
  readonly stat: Stats;
  readonly followed: Following;
}

/** Puts files and links into their places on the side of DEST, where they are not right already. */
export class Put {
  readonly #places: Places;
  readonly #settings: PutSettings;
  readonly #tally: () => CopyTally;
  /** Whether an owner can be kept, by device and owner. */
  readonly #kept = new Map<string, boolean>();

  constructor(places: Places, settings: PutSettings, tally: () => CopyTally) {
    this.#places = places;
    this.#settings = settings;
    this.#tally = tally;
  }

  /**
   * Copies a regular file. False where it is so large that it is to be copied in steps.
   *
   * What the walk saw of the source, and of the name in DEST, only tells whether there is anything to do: both names may
   * lead to other files by now. Whatever is done afterwards is judged by what was opened.
   */
  file(source: Source, place: CopyDirectory, raw: RawName): boolean {
    const tally = this.#tally();
    const { stat } = source;
    const { noClobber, checksum, dryRun } = this.#settings;
    const there = this.#there(place, raw, 'file');
    if (there !== undefined && place.live !== undefined) {
      if (noClobber) {
        tally.kept++;
        return true;
      }
      const like = there.isFile() ? likeness(stat, there, checksum) : 'different';
      if (like !== 'different' && this.fits(stat, there, place)) {
        if (like === 'unknown' && stat.size > atOnce) return false;
        const right =
          like === 'same'
            ? this.#stays(stat, there, place, raw, source.followed)
            : this.#compared(source, place, raw);
        if (right) {
          this.countRight(stat, there, place, raw);
          return true;
        }
      }
    }
    if (dryRun) {
      tally.copied++;
      tally.bytes += stat.size;
      return true;
    }
    if (stat.size > atOnce || !this.#write(source, place, raw)) return false;
    tally.copied++;
    return true;
  }

  /** Copies a symbolic link as a link. */
  link(path: string | Buffer, stat: Stats, place: CopyDirectory, raw: RawName): void {
    const tally = this.#tally();
    const { noClobber, dryRun, right, libc } = this.#settings;
    const there = this.#there(place, raw, 'link');
    if (there !== undefined && place.live !== undefined) {
      if (noClobber) {
        tally.kept++;
        return;
      }
      const target = targetOf(path);
      const same =
        there.isSymbolicLink() &&
        targetOf(below(place.live, raw)).equals(target) &&
        this.fits(stat, there, place);
      if (same && (dryRun || right === 'leave' || this.#share(place, raw, there, target))) {
        this.countRight(stat, there, place, raw);
        return;
      }
    }
    const source = dryRun ? undefined : readLink(path, libc);
    tally.copied++;
    if (source === undefined) return;
    const { owner } = attributesOf(source.stat, this.#settings);
    writing(() => {
      const stage = this.#places.stageOf(place);
      const name = below(stage, raw);
      try {
        symlinkSync(source.target, name);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        unlinkSync(name);
        symlinkSync(source.target, name);
      }
      if (owner !== undefined && (owner.uid !== this.#settings.ownUser || owner.gid !== place.group)) {
        if (!tryOwner(() => lchownSync(name, owner.uid, owner.gid), this.#settings)) tally.ownerless++;
      }
      lutimesSync(name, secondsOf(source.stat.atimeMs), secondsOf(source.stat.mtimeMs));
    });
  }

  /**
   * Gives a file with several names one more name in the stage, where its content is there already.
   * @returns whether it was
   */
  linkKnown(stat: Stats, place: CopyDirectory, raw: RawName): boolean {
    const { links } = this.#settings;
    if (links === undefined) return false;
    const stage = this.#places.stageOf(place);
    const known = below(links, keyOf(stat));
    for (;;) {
      try {
        linkSync(known, below(stage, raw));
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EEXIST') return false; // not there yet, or no links between these two: it is copied
        writing(() => unlinkSync(below(stage, raw)));
      }
    }
  }

  /** Remembers a file in the stage, for its other names. */
  know(stat: Stats, place: CopyDirectory, raw: RawName): void {
    const { links } = this.#settings;
    if (links === undefined) return;
    const stage = this.#places.stageOf(place);
    try {
      linkSync(below(stage, raw), below(links, keyOf(stat)));
    } catch (error) {
      // Another process was first: its copy is the one for all names.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return;
      writing(() => unlinkSync(below(stage, raw)));
      if (!this.linkKnown(stat, place, raw)) throw error;
    }
  }

  /** Counts what is left out of an entry that is copied. */
  note(extras: Extras | undefined): void {
    if (extras?.attributes) this.#tally().attributes++;
    if (extras?.acl) this.#tally().acls++;
  }

  /** Whether what is in DEST has the owner and mode that a copy of the source would get. */
  fits(stat: Stats, there: Stats, place: CopyDirectory): boolean {
    const wanted = attributesOf(stat, this.#settings);
    if (hasAttributes(there, wanted)) return true;
    const { owner } = wanted;
    if (owner === undefined || this.#keepsOwner(owner, there.dev, place)) return false;
    return hasAttributes(there, withoutOwner(wanted));
  }

  /** Counts an entry that stays as it is. */
  countRight(stat: Stats, there: Stats, place: CopyDirectory, raw: RawName): void {
    const tally = this.#tally();
    tally.right++;
    if (!hasAttributes(there, attributesOf(stat, this.#settings))) tally.ownerless++;
    this.#uncover(place, raw);
  }

  /**
   * A file in DEST, opened, has the content and the attributes already: its time is put right too. Its owner and mode are
   * never changed: whoever it belongs to, or has it open, or has a further name of it, goes on writing to it. Then a new
   * file takes its place.
   * @param descriptor the file in DEST, and `there` what it is
   * @returns false where it has to be written all the same
   */
  adopt(
    stat: Stats,
    descriptor: number,
    there: Stats,
    place: CopyDirectory,
    raw: RawName,
    followed: Following,
  ): boolean {
    if (!this.#stays(stat, there, place, raw, followed)) return false;
    const { right, dryRun } = this.#settings;
    if (right === 'link' || dryRun || sameTime(stat, there)) return true;
    // The other name may be one outside of DEST, of a file that nobody asked to change.
    if (there.nlink > 1 && !isShared(stat, followed)) return false;
    try {
      futimesSync(descriptor, secondsOf(stat.atimeMs), secondsOf(stat.mtimeMs));
      return true;
    } catch (error) {
      // Another user's, whose time only he may set.
      if ((error as NodeJS.ErrnoException).code === 'EPERM') return false;
      return writing(() => {
        throw error;
      });
    }
  }

  /** What stands there, if it may be replaced. @throws InTheWay */
  #there(place: CopyDirectory, raw: RawName, what: string): Stats | undefined {
    if (place.live === undefined) return undefined;
    const { live } = place;
    const there = writing(() => lstatSync(below(live, raw), { throwIfNoEntry: false }));
    if (!there?.isDirectory()) return there;
    const path = place.path === '' ? raw : `${place.path}/${raw}`;
    if (this.#settings.mayReplace?.(live, raw, path)) return undefined;
    throw new InTheWay(
      `a directory stands at ${JSON.stringify(shownName(path))} in DEST, where a ${what} is to be`,
    );
  }

  /** What is there is right: it stays, and the new tree or the other names of its source get it too. */
  #stays(stat: Stats, there: Stats, place: CopyDirectory, raw: RawName, followed: Following): boolean {
    const { right, dryRun, links } = this.#settings;
    if (dryRun) return true;
    if (right === 'link') return this.#share(place, raw, there);
    return links === undefined || !isShared(stat, followed) || this.#sharesName(stat, there, place, raw);
  }

  /** Compares a file with what is in DEST, and adopts that where it holds the same. */
  #compared({ path, followed }: Source, place: CopyDirectory, raw: RawName): boolean {
    let from: number | undefined;
    let to: number | undefined;
    try {
      try {
        from = openSource(path, followed);
        to = openSource(below(place.live as number, raw), 'none');
      } catch {
        return false; // it is copied, or the copying says why not
      }
      const stat = fstatSync(from);
      const there = fstatSync(to);
      if (!stat.isFile() || !there.isFile() || stat.size !== there.size || stat.size > atOnce) return false;
      if (!this.fits(stat, there, place) || !holdTheSame(from, to)) return false;
      return this.adopt(stat, to, there, place, raw, followed);
    } finally {
      if (from !== undefined) closeSync(from);
      if (to !== undefined) closeSync(to);
    }
  }

  /** Whether a file in DEST is the same as the other names of its source are. */
  #sharesName(stat: Stats, there: Stats, place: CopyDirectory, raw: RawName): boolean {
    const { links, ownUser, mayChown } = this.#settings;
    if (links === undefined) return true;
    // Another user's own file, in which he would go on writing under its other names too.
    if (!mayChown && there.uid !== ownUser) return true;
    const known = below(links, keyOf(stat));
    // By way of the stage, where nobody exchanges names: what is remembered is what was looked at.
    if (!this.#share(place, raw, there)) return true;
    return writing(() => {
      const own = below(this.#places.stageOf(place), raw);
      try {
        linkSync(own, known);
        return true;
      } catch (error) {
        // Links are refused: then copies are what there is.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return true;
        return isSameFile(lstatSync(known), there);
      } finally {
        unlinkSync(own);
      }
    });
  }

  /** The same file in the new tree. False where the kernel refuses, or where the name leads to another by now. */
  #share(place: CopyDirectory, raw: RawName, there: Stats, target?: Buffer): boolean {
    const stage = this.#places.stageOf(place);
    const own = below(stage, raw);
    try {
      linkSync(below(place.live as number, raw), own);
    } catch {
      return false;
    }
    const shared = writing(() => lstatSync(own));
    const same =
      isSameFile(shared, there) &&
      shared.mode === there.mode &&
      shared.uid === there.uid &&
      shared.gid === there.gid;
    if (same && (target === undefined || targetOf(own).equals(target))) return true;
    writing(() => unlinkSync(own));
    return false;
  }

  /** An earlier source of the same name is not shown over what is right already. */
  #uncover(place: CopyDirectory, raw: RawName): void {
    const { later, right, dryRun } = this.#settings;
    if (!later || dryRun || right === 'link') return;
    writing(() => rmSync(below(this.#places.stageOf(place), raw), { force: true }));
  }

  /** Whether the file system of DEST lets this process give files to that owner. */
  #keepsOwner(owner: FileOwner, dev: number, place: CopyDirectory): boolean {
    const { dryRun } = this.#settings;
    if (dryRun || this.#settings.owner !== undefined) return true;
    const key = `${dev} ${owner.uid}:${owner.gid}`;
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const kept = writing(() => {
      const probe = makeProbe(this.#places.stageOf(place));
      try {
        return tryOwner(() => lchownSync(probe, owner.uid, owner.gid), this.#settings);
      } finally {
        rmdirSync(probe);
      }
    });
    this.#kept.set(key, kept);
    return kept;
  }

  /** False where it turns out to be so large that it is to be copied in steps. */
  #write({ path, followed }: Source, place: CopyDirectory, raw: RawName): boolean {
    const tally = this.#tally();
    const from = openSource(path, followed);
    try {
      // Whoever may write to the source's folder may have put another file under the name since it was looked at.
      const stat = fstatSync(from);
      if (!stat.isFile()) throw new Error('it is not a regular file any more');
      if (stat.size > atOnce) return false;
      const shared = isShared(stat, followed);
      if (shared && this.linkKnown(stat, place, raw)) return true;
      this.note(this.#settings.extras?.ofFile(from));
      const wanted = attributesOf(stat, this.#settings);
      writing(() => {
        const to = create(below(this.#places.stageOf(place), raw), wanted.mode);
        try {
          tally.bytes += copyContent(from, to, stat.size);
          if (!finishFile(to, stat, wanted, place, this.#settings)) tally.ownerless++;
        } finally {
          closeSync(to);
        }
      });
      if (shared) this.know(stat, place, raw);
      return true;
    } finally {
      closeSync(from);
    }
  }
}

/** Whether a file has names beside the one that it is copied by. */
export function isShared(stat: Stats, followed: Following): boolean {
  return stat.nlink > 1 && followed === 'none';
}

function isSameFile(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/** Makes a file; a second source of the same name wins over the first. */
export function create(path: string | Buffer, mode: number): number {
  try {
    return openSync(path, newFile, mode & 0o777);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    unlinkSync(path);
    return openSync(path, newFile, mode & 0o777);
  }
}

function keyOf({ dev, ino }: Stats): RawName {
  return `${dev}-${ino}`;
}
