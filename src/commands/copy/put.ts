import {
  closeSync,
  fstatSync,
  linkSync,
  lstatSync,
  lutimesSync,
  lchownSync,
  openSync,
  readlinkSync,
  type Stats,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { below, type RawName, shownName } from '../../kernel/tree/name.ts';
import {
  type Attributes,
  type AttributeSettings,
  attributesOf,
  finishFile,
  hasAttributes,
  mend,
  secondsOf,
  tryOwner,
} from './attributes.ts';
import type { Libc } from '../../kernel/libc.ts';
import type { Extras, ExtrasReader } from '../../kernel/tree/extras.ts';
import { atOnce, compareFiles, copyContent, likeness, newFile, openSource } from './content.ts';
import { InTheWay, writing } from './failures.ts';
import type { Place, Places } from './places.ts';
import type { MayReplace } from './replace.ts';
import type { Tally } from './tally.ts';

export interface PutSettings extends AttributeSettings {
  /** What becomes of an entry that is right already: it stays, or it is shared by the new tree too. */
  readonly right: 'leave' | 'link';
  readonly noClobber: boolean;
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
  /** Whether a link in the last component is meant to be followed. */
  readonly followed: boolean;
}

/** Puts files and links into their places on the side of DEST, where they are not right already. */
export class Put {
  readonly #places: Places;
  readonly #settings: PutSettings;
  readonly #tally: () => Tally;

  constructor(places: Places, settings: PutSettings, tally: () => Tally) {
    this.#places = places;
    this.#settings = settings;
    this.#tally = tally;
  }

  /** Copies a regular file. False where it is so large that it is to be copied in steps. */
  file(source: Source, place: Place, raw: RawName): boolean {
    const tally = this.#tally();
    const { stat } = source;
    const { noClobber, checksum, dryRun } = this.#settings;
    const wanted = attributesOf(stat, this.#settings);
    const there = this.#there(place, raw, 'file');
    if (there !== undefined && place.live !== undefined) {
      if (noClobber) {
        tally.kept++;
        return true;
      }
      const like = there.isFile() ? likeness(stat, there, checksum) : 'different';
      if (like === 'unknown' && stat.size > atOnce) return false;
      const same =
        like === 'same' ||
        (like === 'unknown' && compareFiles(source.path, source.followed, below(place.live, raw)));
      if (same && this.#isRight(stat, there, wanted, place, raw, like === 'unknown')) {
        tally.right++;
        return true;
      }
    }
    if (dryRun) {
      tally.copied++;
      tally.bytes += stat.size;
      return true;
    }
    if (stat.size > atOnce) return false;
    if (stat.nlink > 1 && !source.followed && this.linkKnown(stat, place, raw)) {
      tally.copied++;
      return true;
    }
    this.#write(source, wanted, place, raw);
    if (stat.nlink > 1 && !source.followed) this.know(stat, place, raw);
    tally.copied++;
    return true;
  }

  /** Copies a symbolic link as a link. */
  link(path: string | Buffer, stat: Stats, place: Place, raw: RawName): void {
    const tally = this.#tally();
    const { noClobber, dryRun, right } = this.#settings;
    const target = readlinkSync(path, { encoding: 'buffer' });
    const there = this.#there(place, raw, 'link');
    const wanted = attributesOf(stat, this.#settings);
    if (there !== undefined && place.live !== undefined) {
      if (noClobber) {
        tally.kept++;
        return;
      }
      const same =
        there.isSymbolicLink() &&
        readlinkSync(below(place.live, raw), { encoding: 'buffer' }).equals(target) &&
        hasAttributes(there, wanted);
      if (same && (dryRun || right === 'leave' || this.#share(place, raw))) {
        tally.right++;
        return;
      }
    }
    tally.copied++;
    if (dryRun) return;
    writing(() => {
      const stage = this.#places.stageOf(place);
      const name = below(stage, raw);
      try {
        symlinkSync(target, name);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        unlinkSync(name);
        symlinkSync(target, name);
      }
      const { owner } = wanted;
      if (owner !== undefined && (owner.uid !== this.#settings.ownUser || owner.gid !== place.group)) {
        if (!tryOwner(() => lchownSync(name, owner.uid, owner.gid), this.#settings)) tally.ownerless++;
      }
      lutimesSync(name, secondsOf(stat.atimeMs), secondsOf(stat.mtimeMs));
    });
  }

  /**
   * Gives a file with several names one more name in the stage, where its content is there already.
   * @returns whether it was
   */
  linkKnown(stat: Stats, place: Place, raw: RawName): boolean {
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
  know(stat: Stats, place: Place, raw: RawName): void {
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

  /** What is in DEST has the content already: puts the rest right. False where it has to be written all the same. */
  adopt(stat: Stats, wanted: Attributes, place: Place, raw: RawName): boolean {
    const there = this.#there(place, raw, 'file');
    return there !== undefined && this.#isRight(stat, there, wanted, place, raw, true);
  }

  /** What stands there, if it may be replaced. @throws InTheWay */
  #there(place: Place, raw: RawName, what: string): Stats | undefined {
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

  /** The content is right: puts the attributes right. False where it has to be written all the same. */
  #isRight(
    stat: Stats,
    there: Stats,
    wanted: Attributes,
    place: Place,
    raw: RawName,
    timeDiffers: boolean,
  ): boolean {
    const { right, dryRun, links } = this.#settings;
    const fits = hasAttributes(there, wanted);
    if (right === 'link') return fits && (dryRun || this.#share(place, raw));
    if (dryRun) return fits;
    const { live } = place;
    if (live === undefined) return false;
    if (stat.nlink > 1 && links !== undefined && !this.#sharesName(stat, live, raw)) return false;
    if (!fits || timeDiffers)
      writing(() => {
        if (!mend(live, raw, there, wanted, this.#settings, stat)) this.#tally().ownerless++;
      });
    return true;
  }

  /** Whether a file in DEST is the same as the other names of its source are. */
  #sharesName(stat: Stats, live: number, raw: RawName): boolean {
    const { links } = this.#settings;
    if (links === undefined) return true;
    const known = below(links, keyOf(stat));
    try {
      linkSync(below(live, raw), known);
      return true;
    } catch (error) {
      // Links are refused: then copies are what there is.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return true;
      return lstatSync(known).ino === lstatSync(below(live, raw)).ino;
    }
  }

  /** The same file in the new tree. False where the kernel refuses. */
  #share(place: Place, raw: RawName): boolean {
    const stage = this.#places.stageOf(place);
    try {
      linkSync(below(place.live as number, raw), below(stage, raw));
      return true;
    } catch {
      return false;
    }
  }

  #write({ path, stat, followed }: Source, wanted: Attributes, place: Place, raw: RawName): void {
    const tally = this.#tally();
    const from = openSource(path, followed);
    try {
      // What was swapped in since: only a file is read.
      if (followed || stat.size === 0) {
        if (!fstatSync(from).isFile()) throw new Error('it is not a regular file any more');
      }
      this.note(this.#settings.extras?.ofFile(from));
      writing(() => {
        const to = create(below(this.#places.stageOf(place), raw), wanted.mode);
        try {
          tally.bytes += copyContent(from, to, stat.size);
          if (!finishFile(to, stat, wanted, place, this.#settings)) tally.ownerless++;
        } finally {
          closeSync(to);
        }
      });
    } finally {
      closeSync(from);
    }
  }
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
