import { constants, fstatSync, type Stats } from 'node:fs';

import { type Calls, calls, doAtOnce, given, type Work } from '../../fs/calls.ts';
import { pathOf, rawOf, type RawName } from '../../fs/directory/file-name.ts';
import { isAbsent } from '../../fs/directory/open-directory.ts';
import { isOwn } from '../../fs/directory/safe-open.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { listedProblems } from '../../fs/tree/tally.ts';
import type { Vanished, Visitor, Where } from '../../fs/tree/visitor.ts';
import { type Attributes, attributesOf, finishDirectory, hasAttributes } from './attributes.ts';
import type { CopyDirectory, Places } from './copy-directories.ts';
import { isFinal, WriteFailed, writingIn } from './failures.ts';
import { entryHash, ReadNotes } from './listings.ts';
import { type Following, isInternal, isKey, statOfKey } from './projected.ts';
import { Put, type PutSettings } from './put.ts';
import { checkNotDestination, type Identity, isSameDirectory } from './same-place.ts';
import { noteSeen } from './seen-directories.ts';
import { type CopyTally, type MountStage, type TightDirectory, emptyCopyTally } from './tally.ts';

export interface VisitSettings extends PutSettings {
  readonly dereference: boolean;
  readonly notesSeen: boolean;
  /** DEST, which must not be met in a source; undefined where it does not exist. */
  readonly destination: Identity | undefined;
  /** Where the top of the walk goes, relative to DEST; empty for DEST itself. */
  readonly prefix: RawName;
  /** Whether this process writes to directories whatever their mode is. */
  readonly overridesModes: boolean;
}

/** Copies each entry of a walk. */
export class Visit implements Visitor {
  readonly #settings: VisitSettings;
  readonly #places: Places;
  readonly #put: Put;
  #tally = emptyCopyTally();
  /** The directory of the last entry, and its place: the next entry is in the same one mostly. */
  #where: Where | undefined;
  #place: CopyDirectory | undefined;
  readonly #read = new ReadNotes();
  /** Directories that are a ConfigMap's volume, of which the version is noted. */
  readonly #volumes = new WeakSet<Where>();

  constructor(places: Places, settings: VisitSettings) {
    this.#places = places;
    this.#settings = settings;
    this.#put = new Put(places, settings, () => this.#tally);
  }

  /** What was done since the last call. */
  take(): CopyTally {
    const tally = this.#tally;
    this.#tally = emptyCopyTally();
    tally.read.push(this.#read.take());
    return tally;
  }

  /** The stage of a mount is about to be written to. */
  filled(stage: MountStage): void {
    this.#tally.stages.push(stage);
  }

  entry(name: string | Buffer, stat: Stats, where: Where, raw: RawName): void | Work<void> {
    this.#tally.entries++;
    switch (stat.mode & constants.S_IFMT) {
      case constants.S_IFREG:
        return this.#file(name, stat, 'none', where, raw, stat.ino);
      case constants.S_IFLNK:
        return this.#link(name, stat, where, raw);
      default:
        this.#note(where, raw, stat.ino);
        return this.#leaveOut(stat);
    }
  }

  /** What was read of a folder. */
  #note(where: Where, raw: RawName, ino: number): void {
    this.#read.entry(entryHash(where, raw, ino));
  }

  #leaveOut(stat: Stats): void {
    switch (stat.mode & constants.S_IFMT) {
      case constants.S_IFIFO:
        this.#tally.fifos++;
        return;
      case constants.S_IFSOCK:
        this.#tally.sockets++;
        return;
      default:
        this.#tally.devices++;
    }
  }

  enter(stat: Stats, raw: RawName, where: Where): void {
    checkNotDestination(stat, this.#settings.destination);
    this.#note(where, raw, stat.ino);
  }

  *leave(stat: Stats, where: Where): Work<void> {
    this.#tally.entries++;
    this.#tally.directories++;
    this.#read.folder(stat, where.relative());
    const place = yield* this.#at(where);
    if (this.#settings.notesSeen) noteSeen(this.#tally.seen, stat, place.path);
    try {
      // Plain, whatever names lead there: it is the current one, or one by its descriptor.
      const path = where.path() as string;
      yield* this.#finish(where.calls, stat, place, () => this.#settings.extras?.ofDirectory(path));
    } finally {
      this.#places.giveBack(place);
    }
  }

  /** What was in it was read: all of what its name leads to, unless that is another one by now. */
  *closing(stat: Stats, name: string | Buffer | undefined, where: Where): Work<void> {
    const now = name === undefined ? undefined : yield* given(where.calls.lstat(name));
    if (now === undefined) this.#tally.foldersGone++;
    else if (!isSameDirectory(now, stat)) this.#tally.foldersReplaced++;
  }

  /** The directory behind a link, which is the top of a walk: it is finished as those below it are. */
  leaveTop(descriptor: number): void {
    const { prefix, extras } = this.#settings;
    const extrasOf = () => extras?.ofFile(descriptor);
    const place = doAtOnce(this.#places.visit(calls, prefix));
    try {
      doAtOnce(this.#finish(calls, fstatSync(descriptor), place, extrasOf));
    } finally {
      this.#places.giveBack(place);
    }
  }

  *#finish(
    by: Calls,
    stat: Stats,
    place: CopyDirectory,
    extrasOf: () => Parameters<Put['note']>[0],
  ): Work<void> {
    const { dryRun, right, overridesModes } = this.#settings;
    if (place.taken) {
      this.#tally.kept++;
      return;
    }
    const found = attributesOf(stat, this.#settings);
    const tight = !overridesModes && (found.mode & 0o700) !== 0o700;
    // A tree behind ..data is removed again by whoever made it: its directories stay writable for their owner.
    const wanted = tight && right === 'link' ? { ...found, mode: found.mode | 0o700 } : found;
    const { live } = place;
    if (live !== undefined && right === 'leave') {
      if (tight) yield* this.#mendLater(by, place, live, wanted);
      else this.#tally.right++;
      return;
    }
    if (live !== undefined && (yield* this.#isRight(by, stat, place, live, wanted))) this.#tally.right++;
    else this.#tally.copied++;
    if (dryRun) return;
    if (live === undefined) this.#put.note(extrasOf());
    yield* writingIn(this.#finishStage(by, place, wanted, tight && right === 'leave'));
  }

  /** Whether a directory of a tree that was published is as the new tree would have it. */
  *#isRight(by: Calls, stat: Stats, place: CopyDirectory, live: number, wanted: Attributes): Work<boolean> {
    const there = yield* given(by.fstat(live));
    const right = hasAttributes(there, withItsGroup(wanted, there));
    return !(yield* given(by.fhasAcl(live))) && (right || (yield* this.#put.fits(by, stat, there, place)));
  }

  /** @param late whether its mode is set at the end */
  *#finishStage(by: Calls, place: CopyDirectory, wanted: Attributes, late: boolean): Work<void> {
    const stage = yield* this.#places.stageOf(by, place);
    const stat = yield* given(by.fstat(stage));
    if (late) {
      const mode = place.inherits ? withItsGroup(wanted, stat).mode : wanted.mode;
      this.#tally.tight.push(tightOf(place, stat, mode));
    }
    const now = late ? { ...wanted, mode: wanted.mode | 0o700 } : wanted;
    if (!(yield* finishDirectory(by, stage, stat, now, place.inherits, this.#settings)))
      this.#tally.ownerless++;
  }

  /**
   * A directory that is there keeps its mode and owner, whatever is asked for: whoever moved it to that name may not have
   * it. One that a run which was cut off left open for itself gets its mode, once all the rest is shown.
   */
  *#mendLater(by: Calls, place: CopyDirectory, live: number, found: Attributes): Work<void> {
    const there = yield* given(by.fstat(live));
    const wanted = withItsGroup(found, there);
    if (hasAttributes(there, wanted) || !this.#wasLeftOpen(there, wanted)) {
      this.#tally.right++;
      return;
    }
    this.#tally.copied++;
    if (!this.#settings.dryRun) this.#tally.tight.push(tightOf(place, there, wanted.mode));
  }

  /** Whether a run that was cut off made it, and was to set its mode at the end. */
  #wasLeftOpen(there: Stats, { mode, owner }: Attributes): boolean {
    const own = there.uid === this.#settings.ownUser || there.uid === owner?.uid;
    return own && (there.mode & 0o7777) === (mode | 0o700);
  }

  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    // It holds for all that would follow.
    if (isFinal(error)) throw error;
    const { code, message } = error;
    if (code === 'ESTALE' && !(error instanceof WriteFailed)) {
      // Of a folder that was moved, or of a server's file in whose place there is another.
      this.#tally.foldersReplaced++;
      return;
    }
    this.#tally.errors++;
    if (this.#tally.problems.length < listedProblems)
      this.#tally.problems.push({
        path,
        action: action === 'change' || action === 'enter' ? 'copy' : action,
        code: code === undefined || code === 'EINTHEWAY' ? message : code,
      });
  }

  vanished(what: Vanished): void {
    this.#tally.vanished++;
    if (what === 'directory') this.#tally.foldersGone++;
    if (what === 'unknown') this.#tally.unknownGone++;
  }

  excluded(): void {
    this.#tally.excluded++;
  }

  crossed(): void {}

  /** The place of a directory where that is the one of the last entry, as `at`. */
  #lastAt(where: Where): CopyDirectory | undefined {
    const last = this.#place;
    if (this.#where !== where || last === undefined || last.closed) return undefined;
    last.uses++;
    return last;
  }

  /** The place of a directory, which is to be given back. */
  *#at(where: Where): Work<CopyDirectory> {
    const last = this.#lastAt(where);
    if (last !== undefined) return last;
    const { prefix } = this.#settings;
    const path = where.relative();
    const whole = prefix === '' ? path : path === '' ? prefix : `${prefix}/${path}`;
    const place = yield* this.#places.visit(where.calls, whole);
    this.#place = place;
    this.#where = where;
    return place;
  }

  /** The version of a ConfigMap's volume, of which all keys are to be. It is noted before any key is read. */
  *#remember(where: Where): Work<void> {
    if (this.#volumes.has(where)) return;
    try {
      const version = yield* given(where.calls.readlink(where.path('..data')));
      // Of several that looked at the same time each notes what it saw: they may have seen different ones.
      this.#tally.volumes.push({ path: where.relative(), version: version.toString() });
    } catch (error) {
      if (!isAbsent(error)) throw error;
      // no volume, but a link that looks like one of its keys
    }
    this.#volumes.add(where);
  }

  /** @param ino of the entry, which may be a link to the file */
  *#file(
    name: string | Buffer,
    stat: Stats,
    followed: Following,
    where: Where,
    raw: RawName,
    ino: number,
  ): Work<void> {
    const place = this.#lastAt(where) ?? (yield* this.#at(where));
    try {
      if (yield* this.#put.file(where.calls, { path: name, stat, followed }, place, raw)) {
        this.#note(where, raw, ino);
        return;
      }
      this.#tally.large.push({
        from: where.relative(raw),
        to: place.path === '' ? raw : `${place.path}/${raw}`,
        followed,
        hash: entryHash(where, raw, ino),
      });
    } finally {
      this.#places.giveBack(place);
    }
  }

  *#link(name: string | Buffer, stat: Stats, where: Where, raw: RawName): Work<void> {
    const { dereference } = this.#settings;
    const key = yield* isKey(where.calls, name);
    if (key) yield* this.#remember(where);
    // Nobody else decides what this process reads.
    if (dereference && !key && !isOwn(stat)) throw new Error('the link was made by another user');
    const target = yield* this.#behind(where.calls, name, key);
    if (target !== undefined && !target.isDirectory()) {
      const followed = dereference ? 'all' : 'key';
      if (target.isFile()) yield* this.#file(name, target, followed, where, raw, stat.ino);
      else {
        this.#note(where, raw, stat.ino);
        this.#leaveOut(target);
      }
      return;
    }
    const place = yield* this.#at(where);
    try {
      if (target === undefined) yield* this.#put.link(where.calls, name, stat, place, raw);
      else {
        const to = place.path === '' ? raw : `${place.path}/${raw}`;
        this.#tally.followed.push({ from: where.relative(raw), to });
      }
      this.#note(where, raw, stat.ino);
    } finally {
      this.#places.giveBack(place);
    }
  }

  /** What a link leads to that is followed; undefined where it is copied as a link. */
  *#behind(by: Calls, name: string | Buffer, key: boolean): Work<Stats | undefined> {
    try {
      if (this.#settings.dereference) return yield* given(by.stat(name));
      return key ? yield* statOfKey(by, name) : undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new Error(
        code === 'ENOENT' ? 'the link leads nowhere' : `the link cannot be followed (${code})`,
        { cause: error },
      );
    }
  }
}

/** A directory that inherited its group goes on handing it on. */
function withItsGroup(wanted: Attributes, there: Stats): Attributes {
  return wanted.owner === undefined ? { ...wanted, mode: wanted.mode | (there.mode & 0o2000) } : wanted;
}

function tightOf({ path }: CopyDirectory, { dev, ino }: Stats, mode: number): TightDirectory {
  return { to: path, dev, ino, mode };
}

/** What the kubelet keeps beside the keys (`..data`, `..2026_…`), what a copy prepares, and initbox's own notes: no content of anybody. */
export function withoutInternals(exclude: Exclude | undefined): Exclude {
  return (path, where) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const at = (entry: RawName): string | Buffer => where?.path(entry) ?? pathOf(entry);
    if (name.startsWith('..') && isInternal(rawOf(name), at)) return true;
    return exclude !== undefined && exclude(path);
  };
}
