import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';

import { type Calls, calls, doAtOnce, given, type Work } from '../../fs/calls.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { below, itself, type RawName, shownName } from '../../fs/directory/file-name.ts';
import {
  asDirectory,
  isEmptyDirectory,
  isNoDirectory,
  openDirectory,
} from '../../fs/directory/open-directory.ts';
import { dropInheritedAcl } from '../../fs/inherited-acl.ts';
import { probePrefix, treeName } from '../../fs/publish/copy-places.ts';
import { manifestName } from '../../fs/publish/file-names.ts';
import { hasNote, putNote } from '../../fs/publish/manifest.ts';
import { Turns } from '../../fs/turns.ts';
import { InTheWay, writeFailed, writingIn } from './failures.ts';
import type { MountStage } from './tally.ts';

/** One directory on the side of DEST. */
export interface CopyDirectory {
  /** Relative to DEST. */
  readonly path: RawName;
  /** What readers see; undefined where it is yet to come. */
  readonly live: number | undefined;
  /** Whether something of another kind stands there, or above it, and stays: then nothing is put into it. */
  readonly taken: boolean;
  /** Where its new entries are prepared; undefined until there is one. */
  stage: number | undefined;
  /** The group that new entries in `stage` get. */
  group: number;
  /** Whether directories made in `stage` get set-group-ID. */
  inherits: boolean;
  /** How many pieces of work are under way in it; it stays open for them. */
  uses: number;
  closed: boolean;
}

/** A mount below DEST: nothing can be renamed into it, so that it has a stage of its own. */
export interface MountBelow {
  /** Relative to DEST. */
  readonly path: RawName;
  /** The name of its stage, in the mount's own root. */
  readonly stage: RawName;
}

/** What becomes of an entry of DEST where one of another kind comes. */
export type OtherKinds = 'make way' | 'stay' | 'are in the way';

export function otherKindsOf({
  replaces,
  keepsKinds,
}: {
  readonly replaces: boolean;
  readonly keepsKinds: boolean;
}): OtherKinds {
  if (replaces) return 'make way';
  return keepsKinds ? 'stay' : 'are in the way';
}

/** Directories kept open: one for each level of most trees, and some to come back to. */
const held = 128;

/** Opens directories in DEST and makes those of the stage, one component at a time, through no link. */
export class Places implements Disposable {
  readonly #open = new Map<RawName, CopyDirectory>();
  readonly #mounts: ReadonlyMap<RawName, RawName>;
  readonly #ownGroup: number;
  readonly #otherKinds: OtherKinds;
  readonly #filled: (stage: MountStage) => void;
  /** A directory is opened, and its stage made, by one piece of work; others wait for it. */
  readonly #turns = new Turns();
  /** Of what was given, and is not known by its path. */
  readonly #own: number[] = [];

  /**
   * @param live DEST, open; undefined where it does not exist
   * @param stage the stage of DEST, open; undefined where nothing may be written
   * @param otherKinds what becomes of a file or a link where a directory comes
   * @param filled is told of each stage of a mount that is about to be written to
   */
  constructor(
    live: number | undefined,
    stage: number | undefined,
    mounts: readonly MountBelow[],
    ownGroup: number,
    otherKinds: OtherKinds,
    filled: (stage: MountStage) => void,
  ) {
    this.#filled = filled;
    this.#mounts = new Map(mounts.map(({ path, stage: name }) => [path, name]));
    this.#ownGroup = ownGroup;
    this.#otherKinds = otherKinds;
    const top = this.#placeAt('', live === undefined ? undefined : openDirectory('.', live));
    if (stage !== undefined) this.#adopt(top, openDirectory('.', stage), fstatSync(stage));
  }

  /** A descriptor of its own of a directory, which is closed with the others. */
  own(directory: number): number {
    const descriptor = openDirectory('.', directory);
    this.#own.push(descriptor);
    return descriptor;
  }

  /**
   * Opens one, and lets go of those that nobody uses and that were not used for longest. It stays open until it is given
   * back.
   */
  visit(by: Calls, path: RawName): Work<CopyDirectory> {
    let over = this.#open.size - held;
    if (over > 0)
      for (const old of this.#open.values()) {
        if (old.path === '' || old.uses > 0) continue;
        this.#close(old);
        if (--over <= 0) break;
      }
    return this.#at(by, path);
  }

  giveBack(place: CopyDirectory): void {
    place.uses--;
  }

  /** The stage of a place, made where it is missing. @throws WriteFailed */
  *stageOf(by: Calls, place: CopyDirectory): Work<number> {
    if (place.stage !== undefined) return place.stage;
    if (place.path === '') throw new Error('nothing is to be written');
    yield* this.#turns.take(place);
    try {
      return place.stage ?? (yield* writingIn(this.#makeStage(by, place)));
    } finally {
      this.#turns.end(place);
    }
  }

  *#makeStage(by: Calls, place: CopyDirectory): Work<number> {
    const own = this.#mounts.get(place.path);
    const made =
      own !== undefined && place.live !== undefined
        ? this.#stageOnMount(place.path, place.live, own)
        : yield* this.#stageBelow(by, place.path);
    try {
      this.#adopt(place, made, yield* given(by.fstat(made)));
      return made;
    } catch (error) {
      closeSync(made);
      throw error;
    }
  }

  /** Rare, and so done at once. */
  #stageOnMount(path: RawName, live: number, name: RawName): number {
    const holder = stageOnMount(live, name);
    try {
      const [stage, root] = [fstatSync(holder), fstatSync(live)];
      const { dev, ino } = stage;
      this.#filled({ path, dev, ino, rootDev: root.dev, rootIno: root.ino });
      return makeOrOpenDirectory(holder, treeName);
    } finally {
      closeSync(holder);
    }
  }

  *#stageBelow(by: Calls, path: RawName): Work<number> {
    const { parent, name } = split(path);
    const above = yield* this.#at(by, parent);
    try {
      return yield* makingOrOpening(by, yield* this.stageOf(by, above), name);
    } finally {
      this.giveBack(above);
    }
  }

  *#at(by: Calls, path: RawName): Work<CopyDirectory> {
    const known = this.#known(path);
    if (known !== undefined) return known;
    yield* this.#turns.take(path);
    try {
      return this.#known(path) ?? (yield* this.#opened(by, path));
    } finally {
      this.#turns.end(path);
    }
  }

  #known(path: RawName): CopyDirectory | undefined {
    const known = this.#open.get(path);
    if (known === undefined) return undefined;
    known.uses++;
    if (path === '') return known;
    this.#open.delete(path);
    this.#open.set(path, known);
    return known;
  }

  *#opened(by: Calls, path: RawName): Work<CopyDirectory> {
    const { parent, name } = split(path);
    const above = yield* this.#at(by, parent);
    try {
      const live =
        above.live === undefined ? undefined : yield* openLive(by, above.live, name, path, this.#otherKinds);
      const place =
        live === 'taken' || above.taken ? this.#placeAt(path, undefined, true) : this.#placeAt(path, live);
      place.uses = 1;
      return place;
    } finally {
      this.giveBack(above);
    }
  }

  #placeAt(path: RawName, live: number | undefined, taken = false): CopyDirectory {
    const group = this.#ownGroup;
    const place = { path, live, taken, stage: undefined, group, inherits: false, uses: 0, closed: false };
    this.#open.set(path, place);
    return place;
  }

  #adopt(place: CopyDirectory, stage: number, { mode, gid }: Stats): void {
    place.stage = stage;
    place.inherits = (mode & 0o2000) !== 0;
    place.group = place.inherits ? gid : this.#ownGroup;
  }

  #close(place: CopyDirectory): void {
    this.#open.delete(place.path);
    place.closed = true;
    if (place.live !== undefined) closeSync(place.live);
    if (place.stage !== undefined) closeSync(place.stage);
  }

  /**
   * Closes all, unless work is under way that is given up: its last calls may be yet to come, and go by these descriptors,
   * which must not stand for other directories then.
   */
  [Symbol.dispose](): void {
    const places = [...this.#open.values()];
    if (places.some(({ uses }) => uses > 0)) return;
    for (const place of places) this.#close(place);
    for (const descriptor of this.#own.splice(0)) closeSync(descriptor);
  }
}

function split(path: RawName): { readonly parent: RawName; readonly name: RawName } {
  const slash = path.lastIndexOf('/');
  return slash < 0
    ? { parent: '', name: path }
    : { parent: path.slice(0, slash), name: path.slice(slash + 1) };
}

/** @throws InTheWay where a link or a file stands there that does not make way */
function* openLive(
  by: Calls,
  parent: number,
  name: RawName,
  path: RawName,
  otherKinds: OtherKinds,
): Work<number | 'taken' | undefined> {
  try {
    return yield* given(by.open(below(parent, name), asDirectory));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (!isNoDirectory(code)) throw writeFailed(error);
    const stat = yield* given(by.lstat(below(parent, name)));
    if (stat === undefined || otherKinds === 'make way') return undefined;
    if (otherKinds === 'stay') return 'taken';
    throw new InTheWay(
      `a ${stat.isSymbolicLink() ? 'link, which is not followed,' : 'file'} stands at ${JSON.stringify(shownName(path))} in DEST, where a directory must be`,
    );
  }
}

/**
 * Makes the directory in which a copy is prepared, in one that somebody else may write to, with a note in it. He may have
 * put another in its place before it is opened: it is taken only if nothing is in it, it belongs to this process, as what
 * this process makes does, and nobody else may enter it.
 * @throws InTheWay
 */
export function makeStage(parent: number, name: RawName): number {
  mkdirSync(below(parent, name), { mode: 0o700 });
  let descriptor: number;
  try {
    descriptor = openDirectory(name, parent);
  } catch (error) {
    clearEmpty(parent, name);
    throw error;
  }
  try {
    if (!isNewHere(descriptor))
      throw new InTheWay(`${JSON.stringify(shownName(name))} in DEST was replaced by something else`);
    dropInheritedAcl(descriptor, shownName(name));
    using place = Directory.open(itself(descriptor));
    putNote(place);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    clearEmpty(parent, name);
    throw error;
  }
}

function isNewHere(descriptor: number): boolean {
  if (!isEmptyDirectory(descriptor)) return false;
  const stage = fstatSync(descriptor);
  const path = makeProbe(descriptor);
  // Not this process's user id: an export that squashes root gives what root makes to nobody.
  const probe = lstatSync(path);
  rmdirSync(path);
  return stage.uid === probe.uid && (stage.mode & 0o777) === (probe.mode & 0o777);
}

/** Removes a stage that was just made, in which nothing but its note is. */
export function takeBackStage(parent: number, name: RawName, descriptor: number): void {
  try {
    const names = readdirSync(itself(descriptor));
    if (names.length === 1 && names[0] === manifestName) unlinkSync(below(descriptor, manifestName));
  } catch {
    // what led here says more
  }
  clearEmpty(parent, name);
}

/** Removes a directory in which nothing is, after a failure that says more than this one would. */
export function clearEmpty(parent: number, name: RawName): void {
  try {
    rmdirSync(below(parent, name));
  } catch {
    // the next run looks for it
  }
}

/**
 * The stage of a mount below DEST, which whichever process needs it first makes. It appears there with its note, by
 * one rename.
 * @throws InTheWay
 */
function stageOnMount(parent: number, name: RawName): number {
  const there = openStageOnMount(parent, name);
  if (there !== undefined) return there;
  const own = `${name}-${Math.random().toString(36).slice(2)}`;
  const made = makeStage(parent, own);
  try {
    renameSync(below(parent, own), below(parent, name));
    const { dev, ino } = fstatSync(made);
    const shown = lstatSync(below(parent, name), { throwIfNoEntry: false });
    if (shown?.dev === dev && shown.ino === ino) return made;
    throw new InTheWay(`${JSON.stringify(shownName(name))} in DEST was replaced by something else`);
  } catch (error) {
    takeBackStage(parent, own, made);
    closeSync(made);
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
  const others = openStageOnMount(parent, name);
  if (others === undefined)
    throw new InTheWay(`the stage ${JSON.stringify(shownName(name))} in DEST is gone`);
  return others;
}

/**
 * Opens the stage of a mount below DEST, known by its note; undefined where there is none.
 * @throws InTheWay where something else has its name
 */
export function openStageOnMount(parent: number, name: RawName): number | undefined {
  let descriptor: number;
  try {
    descriptor = openDirectory(name, parent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    using above = Directory.open(itself(parent));
    using place = Directory.open(itself(descriptor));
    if (hasNote(above, place)) return descriptor;
    throw new InTheWay(`${JSON.stringify(shownName(name))} in DEST was replaced by something else`);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Makes an empty directory, 0700, of a name that nobody knows beforehand; the caller removes it. */
export function makeProbe(parent: number): string {
  return mkdtempSync(`${itself(parent)}/${probePrefix}`);
}

/** Makes a directory that nobody else enters until it is whole, or opens the one that is there. */
export function makeOrOpenDirectory(parent: number, name: RawName): number {
  return doAtOnce(makingOrOpening(calls, parent, name));
}

function* makingOrOpening(by: Calls, parent: number, name: RawName): Work<number> {
  const path = below(parent, name);
  try {
    yield* given(by.mkdir(path, 0o700));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return yield* given(by.open(path, asDirectory));
}
