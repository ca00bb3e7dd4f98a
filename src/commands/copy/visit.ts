import { constants, fstatSync, readlinkSync, type Stats, statSync } from 'node:fs';

import { rawOf, type RawName } from '../../fs/directory/file-name.ts';
import { isOwn } from '../../fs/directory/safe-open.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { listedProblems } from '../../fs/tree/tally.ts';
import type { Visitor, Where } from '../../fs/tree/visitor.ts';
import {
  type Attributes,
  attributesOf,
  finishDirectory,
  hasAttributes,
  mendDirectory,
} from './attributes.ts';
import type { CopyDirectory, Places } from './copy-directories.ts';
import { isFinal, writing } from './failures.ts';
import { type Following, isInternal, isKey, statOfKey } from './projected.ts';
import { Put, type PutSettings } from './put.ts';
import { checkNotDestination, type Identity } from './same-place.ts';
import { type CopyTally, type MountStage, type TightDirectory, emptyCopyTally } from './tally.ts';

export interface VisitSettings extends PutSettings {
  readonly dereference: boolean;
  /** DEST, which must not be met in a source; undefined where it does not exist. */
  readonly destination: Identity | undefined;
  /** Where the top of the walk goes, relative to DEST; empty for DEST itself. */
  readonly prefix: RawName;
  /** Whether this process writes to directories whatever their mode is. */
  readonly overridesModes: boolean;
  /** Whether a mode or owner was asked for: then directories that are there get it too. */
  readonly explicit: boolean;
}

/** Copies each entry of a walk. */
export class Visit implements Visitor {
  readonly #settings: VisitSettings;
  readonly #places: Places;
  readonly #put: Put;
  #tally = emptyCopyTally();
  #where: Where | undefined;
  #place: CopyDirectory | undefined;
  #volume: Where | undefined;

  constructor(places: Places, settings: VisitSettings) {
    this.#places = places;
    this.#settings = settings;
    this.#put = new Put(places, settings, () => this.#tally);
  }

  /** What was done since the last call. */
  take(): CopyTally {
    const tally = this.#tally;
    this.#tally = emptyCopyTally();
    return tally;
  }

  /** The stage of a mount is about to be written to. */
  filled(stage: MountStage): void {
    this.#tally.stages.push(stage);
  }

  entry(name: string | Buffer, stat: Stats, where: Where, raw: RawName): void {
    this.#tally.entries++;
    switch (stat.mode & constants.S_IFMT) {
      case constants.S_IFREG:
        return this.#file(name, stat, 'none', where, raw);
      case constants.S_IFLNK:
        return this.#link(name, stat, where, raw);
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

  enter(stat: Stats): void {
    checkNotDestination(stat, this.#settings.destination);
  }

  leave(stat: Stats, where: Where): void {
    this.#tally.entries++;
    this.#tally.directories++;
    this.#finish(stat, this.#at(where), () => this.#settings.extras?.ofCurrentDirectory());
  }

  /** The directory behind a link, which is the top of a walk: it is finished as those below it are. */
  leaveTop(descriptor: number): void {
    const { prefix, extras } = this.#settings;
    const extrasOf = () => extras?.ofFile(descriptor);
    this.#finish(fstatSync(descriptor), this.#places.visit(prefix), extrasOf, true);
  }

  /** @param linked whether a link led to it */
  #finish(
    stat: Stats,
    place: CopyDirectory,
    extrasOf: () => Parameters<Put['note']>[0],
    linked = false,
  ): void {
    const { dryRun, right, overridesModes, explicit } = this.#settings;
    const found = attributesOf(stat, this.#settings);
    const tight = !overridesModes && (found.mode & 0o700) !== 0o700;
    // A tree behind ..data is removed again by whoever made it: its directories stay writable for their owner.
    const wanted = tight && right === 'link' ? { ...found, mode: found.mode | 0o700 } : found;
    if (place.live !== undefined && right === 'leave') {
      const closed = linked && this.#wasLeftClosed(place.live);
      if (explicit || tight || closed)
        this.#mendDirectory(
          place,
          place.live,
          closed ? withItsGroup(wanted, place.live) : wanted,
          tight,
          explicit || closed,
        );
      else this.#tally.right++;
      return;
    }
    if (place.live === undefined) this.#tally.copied++;
    else this.#tally.right++;
    if (dryRun) return;
    if (place.live === undefined) this.#put.note(extrasOf());
    writing(() => {
      const stage = this.#places.stageOf(place);
      const late = tight && right === 'leave';
      if (late) this.#tally.tight.push(tightOf(place, stage, wanted.mode));
      const now = late ? { ...wanted, mode: wanted.mode | 0o700 } : wanted;
      if (!finishDirectory(stage, fstatSync(stage), now, place.inherits, this.#settings))
        this.#tally.ownerless++;
    });
  }

  /** Earlier versions left a directory behind a link as it is while it is filled: for whoever copies alone. */
  #wasLeftClosed(live: number): boolean {
    const { mode, uid } = fstatSync(live);
    return uid === this.#settings.ownUser && (mode & 0o5777) === 0o700;
  }

  #mendDirectory(
    place: CopyDirectory,
    live: number,
    wanted: ReturnType<typeof attributesOf>,
    tight: boolean,
    explicit: boolean,
  ): void {
    const there = fstatSync(live);
    // One that a run which was cut off left open for itself, or one whose owner asked for something else.
    const left = tight && (there.mode & 0o7777) === (wanted.mode | 0o700);
    const wrong = (explicit || left) && !hasAttributes(there, wanted);
    if (!wrong) {
      this.#tally.right++;
      return;
    }
    this.#tally.copied++;
    if (this.#settings.dryRun) return;
    if (tight) this.#tally.tight.push(tightOf(place, live, wanted.mode));
    else
      writing(() => {
        if (!mendDirectory(live, there, wanted, this.#settings)) this.#tally.ownerless++;
      });
  }

  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    // It holds for all that would follow.
    if (isFinal(error)) throw error;
    this.#tally.errors++;
    const { code, message } = error;
    if (this.#tally.problems.length < listedProblems)
      this.#tally.problems.push({
        path,
        action: action === 'change' || action === 'enter' ? 'copy' : action,
        code: code === undefined || code === 'EINTHEWAY' ? message : code,
      });
  }

  vanished(): void {
    this.#tally.vanished++;
  }

  excluded(): void {
    this.#tally.excluded++;
  }

  crossed(): void {}

  #at(where: Where): CopyDirectory {
    if (this.#where === where && this.#place !== undefined) return this.#place;
    const { prefix } = this.#settings;
    const path = where.relative();
    this.#place = undefined;
    this.#place = this.#places.visit(prefix === '' ? path : path === '' ? prefix : `${prefix}/${path}`);
    this.#where = where;
    return this.#place;
  }

  /** The version of a ConfigMap's volume, of which all keys are to be. */
  #remember(where: Where): void {
    if (this.#volume === where) return;
    this.#volume = where;
    try {
      this.#tally.volumes.push({ path: where.relative(), version: readlinkSync('..data') });
    } catch {
      // no volume, but a link that looks like one of its keys
    }
  }

  #file(name: string | Buffer, stat: Stats, followed: Following, where: Where, raw: RawName): void {
    const place = this.#at(where);
    if (this.#put.file({ path: name, stat, followed }, place, raw)) return;
    this.#tally.large.push({
      from: where.relative(raw),
      to: place.path === '' ? raw : `${place.path}/${raw}`,
      followed,
    });
  }

  #link(name: string | Buffer, stat: Stats, where: Where, raw: RawName): void {
    const { dereference } = this.#settings;
    const key = isKey(name);
    if (key) this.#remember(where);
    // Nobody else decides what this process reads.
    if (dereference && !key && !isOwn(stat)) throw new Error('the link was made by another user');
    let target: Stats | undefined;
    try {
      if (dereference) target = statSync(name);
      else if (key) target = statOfKey(name);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new Error(
        code === 'ENOENT' ? 'the link leads nowhere' : `the link cannot be followed (${code})`,
        { cause: error },
      );
    }
    if (target === undefined) return this.#put.link(name, stat, this.#at(where), raw);
    if (target.isFile()) return this.#file(name, target, dereference ? 'all' : 'key', where, raw);
    if (target.isDirectory()) {
      const { path } = this.#at(where);
      this.#tally.followed.push({ from: where.relative(raw), to: path === '' ? raw : `${path}/${raw}` });
      return;
    }
    this.#tally.entries--;
    this.entry(name, target, where, raw);
  }
}

/** A directory that inherited its group goes on handing it on. */
function withItsGroup(wanted: Attributes, live: number): Attributes {
  return wanted.owner === undefined
    ? { ...wanted, mode: wanted.mode | (fstatSync(live).mode & 0o2000) }
    : wanted;
}

function tightOf({ path }: CopyDirectory, descriptor: number, mode: number): TightDirectory {
  const { dev, ino } = fstatSync(descriptor);
  return { to: path, dev, ino, mode };
}

/** What the kubelet keeps beside the keys (`..data`, `..2026_…`), what a copy prepares, and initbox's own notes: no content of anybody. */
export function withoutInternals(exclude: Exclude | undefined): Exclude {
  return (path) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    // The walk asks while the directory that holds the name is the current one.
    if (name.startsWith('..') && isInternal(rawOf(name))) return true;
    return exclude !== undefined && exclude(path);
  };
}
