import { constants, lchownSync, rmdirSync, type Stats } from 'node:fs';

import { type Calls, doAtOnce, given, type Work } from '../../fs/calls.ts';
import { below, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { readLink } from '../../fs/directory/link.ts';
import type { FileOwner } from '../../fs/publish/attributes.ts';
import type { Extras, ExtrasReader } from '../../fs/tree/xattrs.ts';
import { Turns } from '../../fs/turns.ts';
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
import {
  atOnce,
  beginsWith,
  copyContent,
  hidesChanges,
  holdTheSame,
  isReadInSteps,
  likeness,
  newFile,
  sameTime,
} from './content.ts';
import { makeProbe, type CopyDirectory, type Places } from './copy-directories.ts';
import { InTheWay, WriteFailed, writeFailed, writing, writingIn } from './failures.ts';
import { type Following, openSource, plainSource } from './projected.ts';
import type { MayReplace } from './replace.ts';
import { type CopyTally } from './tally.ts';

export interface PutSettings extends AttributeSettings {
  /** What becomes of an entry that is right already: it stays, or it is shared by the new tree too. */
  readonly right: 'leave' | 'link';
  readonly noClobber: boolean;
  /** Whether what is of another kind in DEST stays, without an error. */
  readonly keepsKinds: boolean;
  /** Whether another source was copied before this one. */
  readonly later: boolean;
  /** Whether a directory may make way; undefined where none may. */
  readonly mayReplace: MayReplace | undefined;
  /** Compare contents whatever size and time say. */
  readonly checksum: boolean;
  readonly dryRun: boolean;
  /** When the run began, in milliseconds since 1970. */
  readonly since: number;
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
  /** By identity, files with several names that are being written. */
  readonly #turns = new Turns();

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
  *file(calls: Calls, source: Source, place: CopyDirectory, raw: RawName): Work<boolean> {
    const { stat } = source;
    const { noClobber, checksum, dryRun } = this.#settings;
    if (place.taken) {
      this.#tally().kept++;
      return true;
    }
    const there = place.live === undefined ? undefined : yield* this.#there(calls, place, raw, 'file');
    if (there !== undefined && place.live !== undefined) {
      if (noClobber) {
        this.#tally().kept++;
        return true;
      }
      const like = there.isFile() ? likeness(stat, there, checksum) : 'different';
      if (like !== 'different' && (yield* this.fits(calls, stat, there, place))) {
        if (like === 'unknown' && stat.size > atOnce) return false;
        const right =
          like === 'same'
            ? !(yield* given(calls.hasAcl(below(place.live, raw)))) &&
              (yield* this.#stays(calls, stat, there, place, raw, source.followed))
            : yield* this.#compared(calls, source, place, raw);
        if (right) {
          yield* this.countRight(calls, stat, there, place, raw);
          return true;
        }
      }
    }
    if (dryRun) {
      this.#tally().copied++;
      this.#tally().bytes += stat.size;
      return true;
    }
    if (stat.size > atOnce || !(yield* this.#write(calls, source, place, raw))) return false;
    this.#tally().copied++;
    return true;
  }

  /** Copies a symbolic link as a link. */
  *link(calls: Calls, path: string | Buffer, stat: Stats, place: CopyDirectory, raw: RawName): Work<void> {
    const { noClobber, dryRun, libc } = this.#settings;
    if (place.taken) {
      this.#tally().kept++;
      return;
    }
    const there = place.live === undefined ? undefined : yield* this.#there(calls, place, raw, 'link');
    if (there !== undefined && place.live !== undefined) {
      if (noClobber) {
        this.#tally().kept++;
        return;
      }
      if (yield* this.#isSameLink(calls, path, stat, there, place, raw)) {
        yield* this.countRight(calls, stat, there, place, raw);
        return;
      }
    }
    if (dryRun) this.#tally().copied++;
    else {
      const source = yield* readLink(calls, path, libc);
      this.#tally().copied++;
      yield* writingIn(this.#makeLink(calls, source.stat, source.target, place, raw));
    }
  }

  *#isSameLink(
    calls: Calls,
    path: string | Buffer,
    stat: Stats,
    there: Stats,
    place: CopyDirectory,
    raw: RawName,
  ): Work<boolean> {
    const { dryRun, right } = this.#settings;
    const target = yield* given(calls.readlink(path));
    if (!there.isSymbolicLink()) return false;
    const ours = yield* given(calls.readlink(below(place.live as number, raw)));
    if (!ours.equals(target) || !(yield* this.fits(calls, stat, there, place))) return false;
    return dryRun || right === 'leave' || (yield* this.#share(calls, place, raw, there, target));
  }

  *#makeLink(calls: Calls, stat: Stats, target: Buffer, place: CopyDirectory, raw: RawName): Work<void> {
    const { owner } = attributesOf(stat, this.#settings);
    const name = below(yield* this.#places.stageOf(calls, place), raw);
    try {
      yield* given(calls.symlink(target, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      yield* given(calls.unlink(name));
      yield* given(calls.symlink(target, name));
    }
    if (owner !== undefined && (owner.uid !== this.#settings.ownUser || owner.gid !== place.group)) {
      const kept = yield* tryOwner(() => calls.lchown(name, owner.uid, owner.gid), this.#settings);
      if (!kept) this.#tally().ownerless++;
    }
    yield* given(calls.lutimes(name, secondsOf(stat.atimeMs), secondsOf(stat.mtimeMs)));
  }

  /**
   * Gives a file with several names one more name in the stage, where its content is there already.
   * @returns whether it was
   */
  *linkKnown(calls: Calls, stat: Stats, place: CopyDirectory, raw: RawName): Work<boolean> {
    const { links } = this.#settings;
    if (links === undefined) return false;
    const stage = yield* this.#places.stageOf(calls, place);
    const known = below(links, keyOf(stat));
    for (;;) {
      try {
        yield* given(calls.link(known, below(stage, raw)));
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EEXIST') return false; // not there yet, or no links between these two: it is copied
        yield* removing(calls, below(stage, raw));
      }
    }
  }

  /**
   * Remembers a file in the stage, for its other names.
   * @returns false where another copy of it was there first, and has this name too now
   */
  *know(calls: Calls, stat: Stats, place: CopyDirectory, raw: RawName): Work<boolean> {
    const { links } = this.#settings;
    if (links === undefined) return true;
    const stage = yield* this.#places.stageOf(calls, place);
    try {
      yield* given(calls.link(below(stage, raw), below(links, keyOf(stat))));
    } catch (error) {
      // Another process, or another piece of work, was first: its copy is the one for all names.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return true;
      yield* removing(calls, below(stage, raw));
      if (!(yield* this.linkKnown(calls, stat, place, raw))) throw error;
      return false;
    }
    return true;
  }

  /** What was copied of a file is a part that it never was by itself. */
  noteShortened(place: CopyDirectory, raw: RawName): void {
    this.#tally().shortened.push(pathIn(place, raw));
  }

  /** What was copied of a file is some of what it was and some of what it is. */
  noteRewritten(place: CopyDirectory, raw: RawName): void {
    this.#tally().rewritten.push(pathIn(place, raw));
  }

  /** Counts what is left out of an entry that is copied. */
  note(extras: Extras | undefined): void {
    if (extras?.attributes) this.#tally().attributes++;
    if (extras?.acl) this.#tally().acls++;
  }

  /** Whether what is in DEST has the owner and mode that a copy of the source would get. */
  *fits(calls: Calls, stat: Stats, there: Stats, place: CopyDirectory): Work<boolean> {
    const wanted = attributesOf(stat, this.#settings);
    if (hasAttributes(there, wanted)) return true;
    const { owner } = wanted;
    if (owner === undefined || (yield* this.#keepsOwner(calls, owner, there.dev, place))) return false;
    return hasAttributes(there, withoutOwner(wanted));
  }

  /** Counts an entry that stays as it is. */
  *countRight(calls: Calls, stat: Stats, there: Stats, place: CopyDirectory, raw: RawName): Work<void> {
    this.#tally().right++;
    if (!hasAttributes(there, attributesOf(stat, this.#settings))) this.#tally().ownerless++;
    yield* this.#uncover(calls, place, raw);
  }

  /**
   * A file in DEST, opened, has the content and the attributes already: its time is put right too. Its owner and mode are
   * never changed: whoever it belongs to, or has it open, or has a further name of it, goes on writing to it. Then a new
   * file takes its place.
   * @param descriptor the file in DEST, and `there` what it is
   * @returns false where it has to be written all the same
   */
  *adopt(
    calls: Calls,
    stat: Stats,
    descriptor: number,
    there: Stats,
    place: CopyDirectory,
    raw: RawName,
    followed: Following,
  ): Work<boolean> {
    if (
      (yield* given(calls.fhasAcl(descriptor))) ||
      !(yield* this.#stays(calls, stat, there, place, raw, followed))
    )
      return false;
    const { right, dryRun } = this.#settings;
    if (right === 'link' || dryRun || sameTime(stat, there)) return true;
    // The other name may be one outside of DEST, of a file that nobody asked to change.
    if (there.nlink > 1 && !isShared(stat, followed)) return false;
    try {
      yield* given(calls.futimes(descriptor, secondsOf(stat.atimeMs), secondsOf(stat.mtimeMs)));
      return true;
    } catch (error) {
      // Another user's, whose time only he may set.
      if ((error as NodeJS.ErrnoException).code === 'EPERM') return false;
      throw writeFailed(error);
    }
  }

  /** What stands there, if it may be replaced. @throws InTheWay */
  *#there(calls: Calls, place: CopyDirectory, raw: RawName, what: string): Work<Stats | undefined> {
    const live = place.live as number;
    let there: Stats | undefined;
    try {
      there = yield* given(calls.lstat(below(live, raw)));
    } catch (error) {
      throw writeFailed(error);
    }
    if (!there?.isDirectory() || this.#settings.keepsKinds) return there;
    const path = place.path === '' ? raw : `${place.path}/${raw}`;
    const { mayReplace } = this.#settings;
    if (mayReplace !== undefined && (yield* mayReplace(calls, live, raw, path))) return undefined;
    throw new InTheWay(
      `a directory stands at ${JSON.stringify(shownName(path))} in DEST, where a ${what} is to be`,
    );
  }

  /** What is there is right: it stays, and the new tree or the other names of its source get it too. */
  *#stays(
    calls: Calls,
    stat: Stats,
    there: Stats,
    place: CopyDirectory,
    raw: RawName,
    followed: Following,
  ): Work<boolean> {
    const { right, dryRun, links } = this.#settings;
    if (dryRun) return true;
    if (right === 'link') return yield* this.#share(calls, place, raw, there);
    if (links === undefined || !isShared(stat, followed)) return true;
    return yield* this.#sharesName(calls, links, stat, there, place, raw);
  }

  /** Compares a file with what is in DEST, and adopts that where it holds the same. */
  *#compared(calls: Calls, { path, followed }: Source, place: CopyDirectory, raw: RawName): Work<boolean> {
    let from: number | undefined;
    let to: number | undefined;
    try {
      try {
        from = yield* openSource(calls, path, followed);
        to = yield* openSource(calls, below(place.live as number, raw), 'none');
      } catch {
        return false; // it is copied, or the copying says why not
      }
      const stat = yield* given(calls.fstat(from));
      const there = yield* given(calls.fstat(to));
      if (!stat.isFile() || !there.isFile() || stat.size !== there.size || stat.size > atOnce) return false;
      if (!(yield* this.fits(calls, stat, there, place))) return false;
      if (!(yield* holdTheSame(calls, from, to, stat.size))) return false;
      return yield* this.adopt(calls, stat, to, there, place, raw, followed);
    } finally {
      if (from !== undefined) yield* given(calls.close(from));
      if (to !== undefined) yield* given(calls.close(to));
    }
  }

  /** Whether a file in DEST is the same as the other names of its source are. */
  *#sharesName(
    calls: Calls,
    links: number,
    stat: Stats,
    there: Stats,
    place: CopyDirectory,
    raw: RawName,
  ): Work<boolean> {
    const { ownUser, mayChown } = this.#settings;
    // Another user's own file, in which he would go on writing under its other names too.
    if (!mayChown && there.uid !== ownUser) return true;
    const known = below(links, keyOf(stat));
    // By way of the stage, where nobody exchanges names: what is remembered is what was looked at.
    if (!(yield* this.#share(calls, place, raw, there))) return true;
    const own = below(yield* this.#places.stageOf(calls, place), raw);
    try {
      yield* given(calls.link(own, known));
      return true;
    } catch (error) {
      // Links are refused: then copies are what there is.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return true;
      return isSameFile(yield* looking(calls, known), there);
    } finally {
      yield* removing(calls, own);
    }
  }

  /** The same file in the new tree. False where the kernel refuses, or where the name leads to another by now. */
  *#share(calls: Calls, place: CopyDirectory, raw: RawName, there: Stats, target?: Buffer): Work<boolean> {
    const stage = yield* this.#places.stageOf(calls, place);
    const own = below(stage, raw);
    try {
      yield* given(calls.link(below(place.live as number, raw), own));
    } catch {
      return false;
    }
    const shared = yield* looking(calls, own);
    const same =
      isSameFile(shared, there) &&
      shared.mode === there.mode &&
      shared.uid === there.uid &&
      shared.gid === there.gid;
    if (same && (target === undefined || (yield* given(calls.readlink(own))).equals(target))) return true;
    yield* removing(calls, own);
    return false;
  }

  /** An earlier source of the same name is not shown over what is right already. */
  *#uncover(calls: Calls, place: CopyDirectory, raw: RawName): Work<void> {
    const { later, right, dryRun } = this.#settings;
    if (!later || dryRun || right === 'link') return;
    yield* removing(calls, below(yield* this.#places.stageOf(calls, place), raw));
  }

  /** Whether the file system of DEST lets this process give files to that owner. */
  *#keepsOwner(calls: Calls, owner: FileOwner, dev: number, place: CopyDirectory): Work<boolean> {
    const { dryRun } = this.#settings;
    if (dryRun || this.#settings.owner !== undefined) return true;
    const key = `${dev} ${owner.uid}:${owner.gid}`;
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const stage = yield* this.#places.stageOf(calls, place);
    const since = this.#kept.get(key);
    if (since !== undefined) return since;
    // Once for each owner, and so at once.
    const kept = writing(() => {
      const probe = makeProbe(stage);
      try {
        return doAtOnce(tryOwner(() => lchownSync(probe, owner.uid, owner.gid), this.#settings));
      } finally {
        rmdirSync(probe);
      }
    });
    this.#kept.set(key, kept);
    return kept;
  }

  /** False where it turns out to be so large that it is to be copied in steps. */
  *#write(calls: Calls, { path, followed }: Source, place: CopyDirectory, raw: RawName): Work<boolean> {
    // Most are no links: opened here, one generator less for each.
    const from =
      followed === 'none'
        ? yield* given(calls.open(path, plainSource))
        : yield* openSource(calls, path, followed);
    try {
      // Whoever may write to the source's folder may have put another file under the name since it was looked at.
      const stat = yield* given(calls.fstat(from));
      if (!stat.isFile()) throw new Error('it is not a regular file any more');
      if (stat.size > atOnce) return false;
      const shared = isShared(stat, followed);
      if (!shared) {
        yield* this.#writeNew(calls, from, stat, place, raw, false);
        return true;
      }
      const key = keyOf(stat);
      // Names of one file that are come upon at the same time: the others wait for the first to be written.
      yield* this.#turns.take(key);
      try {
        if (yield* this.linkKnown(calls, stat, place, raw)) return true;
        yield* this.#writeNew(calls, from, stat, place, raw, true);
        return true;
      } finally {
        this.#turns.end(key);
      }
    } finally {
      yield* given(calls.close(from));
    }
  }

  /**
   * Writes a file and counts it.
   * @param shared whether it has other names: what another process wrote first is counted there
   * @throws WriteFailed
   */
  *#writeNew(
    calls: Calls,
    from: number,
    stat: Stats,
    place: CopyDirectory,
    raw: RawName,
    shared: boolean,
  ): Work<void> {
    let written: Written;
    try {
      written = yield* this.#writeFrom(calls, from, stat, place, raw);
    } catch (error) {
      throw writeFailed(error);
    }
    if (shared && !(yield* this.know(calls, stat, place, raw))) return;
    this.note(this.#settings.extras?.ofFile(from));
    this.#tally().bytes += written.bytes;
    if (!written.owned) this.#tally().ownerless++;
  }

  *#writeFrom(calls: Calls, from: number, stat: Stats, place: CopyDirectory, raw: RawName): Work<Written> {
    const wanted = attributesOf(stat, this.#settings);
    const stage = place.stage ?? (yield* this.#places.stageOf(calls, place));
    const path = below(stage, raw);
    let to: number;
    try {
      to = yield* given(calls.open(path, newFile, wanted.mode & 0o777));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      to = yield* create(calls, path, wanted.mode);
    }
    try {
      const bytes = yield* copyContent(calls, from, to, stat.size);
      if (bytes < stat.size || isReadInSteps(stat.size)) {
        const now = yield* given(calls.fstat(from));
        if (hasLost(stat, now, bytes)) this.noteShortened(place, raw);
        else if (
          mayBeRewritten(stat, now, this.#settings.since) &&
          !(yield* this.#isWhole(calls, from, path, bytes))
        )
          this.noteRewritten(place, raw);
      }
      return { bytes, owned: yield* finishFile(calls, to, stat, wanted, place, this.#settings) };
    } finally {
      yield* given(calls.close(to));
    }
  }

  /** Whether a file that was written to meanwhile only grew: then what was copied is what it was. */
  *#isWhole(calls: Calls, from: number, copied: string | Buffer, size: number): Work<boolean> {
    const copy = yield* given(calls.open(copied, constants.O_RDONLY | constants.O_NOFOLLOW));
    try {
      return yield* beginsWith(calls, from, copy, size);
    } finally {
      yield* given(calls.close(copy));
    }
  }
}

function pathIn({ path }: CopyDirectory, raw: RawName): RawName {
  return path === '' ? raw : `${path}/${raw}`;
}

/** What came of the content of a file. */
interface Written {
  readonly bytes: number;
  /** Whether it has the owner that it should have. */
  readonly owned: boolean;
}

/** Whether a file has names beside the one that it is copied by. */
export function isShared(stat: Stats, followed: Following): boolean {
  return stat.nlink > 1 && followed === 'none';
}

/**
 * Whether an open file became shorter while it was read. Those of /sys say that they are longer than they are, and do not
 * change.
 * @param read how many bytes it gave
 */
export function hasLost(then: Stats, now: Stats, read: number): boolean {
  return now.size < then.size || (read < then.size && isOtherNow(then, now));
}

/** Whether an open file may have been written to while it was read. @param since see PutSettings */
export function mayBeRewritten(then: Stats, now: Stats, since: number): boolean {
  return isOtherNow(then, now) || hidesChanges(then.mtimeMs, since);
}

function isOtherNow(then: Stats, now: Stats): boolean {
  return now.size !== then.size || now.mtimeMs !== then.mtimeMs;
}

function isSameFile(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/** Makes a file; a second source of the same name wins over the first. */
export function* create(calls: Calls, path: string | Buffer, mode: number): Work<number> {
  try {
    return yield* given(calls.open(path, newFile, mode & 0o777));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    yield* given(calls.unlink(path));
    return yield* given(calls.open(path, newFile, mode & 0o777));
  }
}

/** Removes a name in the stage, if something has it. @throws WriteFailed */
function* removing(calls: Calls, path: string | Buffer): Work<void> {
  try {
    yield* given(calls.unlink(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw writeFailed(error);
  }
}

/** What a name in the stage is. @throws WriteFailed */
function* looking(calls: Calls, path: string | Buffer): Work<Stats> {
  try {
    const stat = yield* given(calls.lstat(path));
    if (stat !== undefined) return stat;
  } catch (error) {
    throw writeFailed(error);
  }
  throw new WriteFailed(Object.assign(new Error('a file of the stage is gone'), { code: 'ENOENT' }));
}

function keyOf({ dev, ino }: Stats): RawName {
  return `${dev}-${ino}`;
}
