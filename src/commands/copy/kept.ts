import { closeSync, constants, lstatSync, readdirSync, readlinkSync, type Stats, statSync } from 'node:fs';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { calls, doAtOnce } from '../../fs/calls.ts';
import { codeAmong } from '../../fs/directory/directory.ts';
import { below, itself, pathOf, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { isAbsent } from '../../fs/directory/open-directory.ts';
import { refused } from '../../fs/error-message.ts';
import { manifestName } from '../../fs/publish/file-names.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import type { Visitor, Where } from '../../fs/tree/visitor.ts';
import { Walk, type WalkSettings } from '../../fs/tree/walk.ts';
import { walkAlone } from '../../fs/tree/worker-pool.ts';
import { openBelow } from './merge.ts';
import { isInternal, statOfKey } from './projected.ts';
import { openInSource } from './prune.ts';

/** As many links as the kernel follows in one path (path_resolution(7)). */
const mostLinks = 40;

/** Entries between two looks at the signal. */
const atOnce = 500;

/** Where a link of DEST leads: paths relative to DEST. */
interface Way {
  /** The links on the way that are in DEST, the first one with them. */
  readonly links: readonly RawName[];
  /** The end, which is not a link; undefined where it is not in DEST. */
  readonly end: RawName | undefined;
}

/**
 * What stays in DEST because something that --exclude keeps is reached through it. `key -> ..data/key` is only a name:
 * the bytes are in a hidden folder beside it. So an excluded link keeps what it leads to through such a folder, with
 * the links on the way; and a link to a published folder stays where something behind it is excluded by its path.
 */
export class Kept {
  readonly #live: number;
  /** DEST as the kernel knows it. */
  readonly #top: RawName;
  readonly #exclude: Exclude;
  readonly #signal: AbortSignal;
  /** By path, what --exclude names and is reached through it. */
  readonly #links = new Map<RawName, RawName>();
  readonly #ends = new Map<RawName, RawName>();
  /** The same paths, as globs see them. */
  readonly #shown = new Set<string>();
  #looked = 0;

  private constructor(live: number, exclude: Exclude, signal: AbortSignal) {
    this.#live = live;
    this.#top = readlinkSync(itself(live), 'latin1');
    this.#exclude = exclude;
    this.#signal = signal;
  }

  /**
   * Looks through DEST.
   * @param exclude says what --exclude names, by its path in DEST
   * @throws the signal's reason, or the system's error
   */
  static async find(
    exclude: Exclude,
    walking: Pick<WalkSettings, 'top' | 'path' | 'exclude' | 'libc'>,
    context: Pick<Context, 'signal' | 'clock' | 'host' | 'log'>,
  ): Promise<Kept> {
    const kept = new Kept(walking.top, exclude, context.signal);
    const links = new Links();
    const walk = new Walk({ ...walking, crossMounts: false }, links, context.host);
    try {
      walk.begin();
      await walkAlone(walk, [walking.top], context);
    } finally {
      walk.close();
    }
    for (const link of links.paths) await kept.#link(link);
    return kept;
  }

  has(path: string): boolean {
    return this.#shown.has(path);
  }

  /**
   * @param sources their top directories, open
   * @throws Failure where an entry of a source would take the place of something that stays
   */
  check(sources: readonly number[], dereference: boolean, destination: string): void {
    for (const [way, all] of [
      [this.#links, true],
      [this.#ends, false],
    ] as const)
      for (const [path, excluded] of way)
        for (const source of sources) {
          const taken = this.#replaced(source, path, all, dereference);
          if (taken !== undefined) throw replaces(shownName(taken), destination, shownName(excluded));
        }
  }

  /** The part of a path in whose place a source has something else. */
  #replaced(source: number, path: RawName, all: boolean, dereference: boolean): RawName | undefined {
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count++) {
      const part = parts.slice(0, count).join('/');
      if (count === parts.length && !all) return undefined;
      if (this.#exclude(shownName(part))) return undefined;
      const entry = entryOf(source, part, dereference);
      if (entry === undefined) return undefined;
      if (count < parts.length ? !entry.directory : !this.#isSameLink(part, entry)) return part;
    }
    return undefined;
  }

  #isSameLink(path: RawName, { link }: SourceEntry): boolean {
    return link !== undefined && link === readlinkSync(below(this.#live, path), 'latin1');
  }

  /** One link of DEST. */
  async #link(path: RawName): Promise<void> {
    const excluded = this.#excludedPart(path);
    if (excluded !== undefined) return this.#follow(path, excluded);
    // What has no name outside of the hidden folder is not reached by one.
    if (isHidden(path)) return;
    const way = this.#wayFrom(path);
    if (way?.end === undefined) return;
    const { links, end } = way;
    await this.#below(end, async (inner, entry) => {
      const seen = `${path}/${inner}`;
      if (!this.#exclude(shownName(seen))) return true;
      for (const link of links) this.#keepLink(link, seen);
      await this.#keepEnd(`${end}/${inner}`, entry, seen);
      return false;
    });
  }

  /** What --exclude names of a path. The paths in a hidden folder count as those of what it is shown as, too. */
  #excludedPart(path: RawName): RawName | undefined {
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count++) {
      const part = parts.slice(0, count).join('/');
      if (this.#exclude(shownName(part))) return part;
      if (count > 1 && isHidden(parts[0] ?? '')) {
        const inner = parts.slice(1, count).join('/');
        if (this.#exclude(shownName(inner))) return part;
      }
    }
    return undefined;
  }

  /** Keeps what a link leads to. */
  async #follow(path: RawName, excluded: RawName): Promise<void> {
    const way = this.#wayFrom(path);
    if (way === undefined) return;
    for (const link of way.links) this.#keepLink(link, excluded);
    if (way.end === undefined || this.#ends.has(way.end)) return;
    await this.#keepEnd(way.end, lstatSync(below(this.#live, way.end), { throwIfNoEntry: false }), excluded);
  }

  #keepLink(path: RawName, excluded: RawName): void {
    if (!this.#links.has(path)) this.#links.set(path, excluded);
    this.#shown.add(shownName(path));
  }

  /** Keeps an entry with all that is in it, and with what links in it lead to. */
  async #keepEnd(path: RawName, entry: Kind | undefined, excluded: RawName): Promise<void> {
    if (!this.#ends.has(path)) this.#ends.set(path, excluded);
    this.#shown.add(shownName(path));
    // Without its note a published tree is not known as one by the next run.
    const parts = path.split('/');
    const tree = parts.findIndex((part) => isHidden(part));
    if (tree >= 0 && tree < parts.length - 1)
      this.#shown.add(shownName(`${parts.slice(0, tree + 1).join('/')}/${manifestName}`));
    if (entry?.isSymbolicLink()) return this.#follow(path, excluded);
    if (entry?.isDirectory())
      await this.#below(path, async (inner, one) => {
        const link = `${path}/${inner}`;
        if (one.isSymbolicLink() && !this.#links.has(link)) await this.#follow(link, excluded);
        return true;
      });
  }

  /** Where a link leads, if it goes through a hidden folder; undefined where it does not, or leads nowhere. */
  #wayFrom(path: RawName): Way | undefined {
    try {
      return this.#throughHidden(path);
    } catch (error) {
      return unreadable(error); // it leads nowhere, or where this user may not look
    }
  }

  #throughHidden(path: RawName): Way | undefined {
    const links: RawName[] = [];
    let followed = 0;
    const at = partsOf(`${this.#top}/${path}`);
    const left = at.splice(-1);
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      if (name === '..') {
        at.pop();
        continue;
      }
      const whole = `/${[...at, name].join('/')}`;
      const target = targetOf(pathOf(whole));
      if (target === undefined) {
        at.push(name);
        continue;
      }
      // Those outside of DEST count too: others may have made a circle there.
      if (++followed > mostLinks) return undefined;
      const inside = this.#inside(whole);
      if (inside !== undefined) links.push(inside);
      if (target.startsWith('/')) at.length = 0;
      left.unshift(...partsOf(target));
    }
    const end = this.#inside(`/${at.join('/')}`);
    return [...links, end].some((one) => one !== undefined && isHidden(one)) ? { links, end } : undefined;
  }

  /** A path relative to DEST; undefined for DEST itself and what is not in it. */
  #inside(whole: RawName): RawName | undefined {
    return whole.startsWith(`${this.#top}/`) ? whole.slice(this.#top.length + 1) : undefined;
  }

  /** Calls back for each entry below a directory of DEST, through no link; goes on below it where that says true. */
  async #below(top: RawName, take: (inner: RawName, entry: Kind) => Promise<boolean>): Promise<void> {
    for (const left = ['']; left.length > 0;) {
      const inner = left.pop() as RawName;
      for (const entry of this.#entriesOf(inner === '' ? top : `${top}/${inner}`)) {
        if (++this.#looked % atOnce === 0) {
          await new Promise((resolve) => setImmediate(resolve));
          if (this.#signal.aborted) throw reasonOf(this.#signal);
        }
        const path = inner === '' ? entry.name : `${inner}/${entry.name}`;
        if ((await take(path, entry)) && entry.isDirectory()) left.push(path);
      }
    }
  }

  #entriesOf(path: RawName) {
    let directory: number;
    try {
      directory = openBelow(this.#live, path);
    } catch (error) {
      return unreadable(error) ?? []; // not a directory, gone, or not to be read: then no name in it is known either
    }
    try {
      return readdirSync(itself(directory), { encoding: 'latin1', withFileTypes: true });
    } finally {
      closeSync(directory);
    }
  }
}

/** Of what kind an entry is, as a listing or a look at it tells. */
type Kind = Pick<Stats, 'isDirectory' | 'isSymbolicLink'>;

/** The links of a walk. */
class Links implements Visitor {
  readonly paths: RawName[] = [];

  entry(_name: string | Buffer, stat: Stats, where: Where, raw: RawName): void {
    if ((stat.mode & constants.S_IFMT) === constants.S_IFLNK) this.paths.push(where.relative(raw));
  }

  leave(): void {}
  failed(): void {}
  vanished(): void {}
  excluded(): void {}
  crossed(): void {}
}

/** Whether a part of a path is a name that the kubelet and initbox use for what readers do not list. */
function isHidden(path: RawName): boolean {
  return path.split('/').some((part) => part.startsWith('..') && part !== '..');
}

function partsOf(path: RawName): RawName[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** Where a link leads; undefined where something else has that name. @throws the system's error where nothing has it */
function targetOf(path: string | Buffer): RawName | undefined {
  try {
    return readlinkSync(path, 'latin1');
  } catch (error) {
    codeAmong(error, ['EINVAL']);
    return undefined;
  }
}

/** What a copy makes of an entry of a source. */
interface SourceEntry {
  readonly directory: boolean;
  /** Where it leads, if it is copied as a link. */
  readonly link: RawName | undefined;
}

function entryOf(top: number, path: RawName, dereference: boolean): SourceEntry | undefined {
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  let parent: number;
  try {
    parent = openInSource(top, path.slice(0, Math.max(0, slash)), dereference);
  } catch (error) {
    return unreadable(error); // that source has no such directory
  }
  try {
    const at = below(parent, name);
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat === undefined || isInternal(name, (entry) => below(parent, entry))) return undefined;
    const followed = stat.isSymbolicLink() ? statBehind(at, dereference) : stat;
    if (followed === undefined) return { directory: false, link: readlinkSync(at, 'latin1') };
    return { directory: followed.isDirectory(), link: undefined };
  } finally {
    closeSync(parent);
  }
}

function statBehind(path: string | Buffer, dereference: boolean): Stats | undefined {
  try {
    return dereference ? statSync(path) : doAtOnce(statOfKey(calls, path));
  } catch (error) {
    return unreadable(error); // the copy says what is wrong with it
  }
}

/** For what is not there, or not for this user. @throws any other error: what stays must not follow from it */
function unreadable(error: unknown): undefined {
  if (!isAbsent(error)) codeAmong(error, ['EACCES', 'EPERM']);
  return undefined;
}

function replaces(taken: string, destination: string, excluded: string) {
  return refused(
    `cannot replace ${JSON.stringify(taken)} in ${destination} with the source’s: ${JSON.stringify(excluded)}, which --exclude keeps, is reached through it`,
    `copy what you need of it to another folder and remove ${JSON.stringify(taken)}, or add --exclude ${JSON.stringify(`/${taken}`)} to leave all of it as it is`,
  );
}
