import { closeSync, fstatSync, readlinkSync } from 'node:fs';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { calls, doAtOnce } from '../../fs/calls.ts';
import { below, itself, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { isWithin } from '../../fs/directory/mounts.ts';
import { isAbsent } from '../../fs/directory/open-directory.ts';
import { addTally, listedProblems } from '../../fs/tree/tally.ts';
import { helpersFor, runWalk } from '../../fs/tree/worker-pool.ts';
import { type CopyAssignment, knownOf, settingsOf, type Tools, copyWalk } from './assignment.ts';
import { otherKindsOf, Places } from './copy-directories.ts';
import { isFinal, Outdated } from './failures.ts';
import { copyLarge } from './large.ts';
import { type Listings, ReadNotes, type ReadPart } from './listings.ts';
import { openBelow } from './merge.ts';
import { type Following, openFollowed, openSource } from './projected.ts';
import { Put } from './put.ts';
import { checkNotDestination, isSameDirectory } from './same-place.ts';
import { noteSeen } from './seen-directories.ts';
import type { SourceRoot } from './sources.ts';
import { type CopyTally, type MountStage, type VolumeBelow, emptyCopyTally } from './tally.ts';
import { Visit } from './visit.ts';

/** What all walks of one copy have in common. */
export type Common = Omit<
  CopyAssignment,
  'source' | 'shown' | 'later' | 'prefix' | 'live' | 'stage' | 'links'
>;

/** Where it goes; the directories are open. */
export interface Side {
  readonly live: number | undefined;
  readonly stage: number | undefined;
  readonly links: number | undefined;
}

export interface FillContext extends Pick<Context, 'signal' | 'clock' | 'host' | 'log'> {
  /** Is told of each directory to which a followed link leads, before it is copied: its path without links, and in DEST. */
  readonly followed: (target: RawName, to: RawName) => void;
  /** Takes what was read. */
  readonly listings: Listings;
}

/** One top directory to be walked. */
interface Top {
  readonly descriptor: number;
  readonly shown: string;
  readonly prefix: RawName;
  /** Whether a link led here: then the directory itself is copied, and not only what is in it. */
  readonly link: boolean;
  /** Where the links lie that led here, for links that lead in a circle. */
  readonly chain: readonly RawName[];
}

/**
 * Brings everything that the sources have into the stage, where DEST has not got it.
 * @param name what a file that is the only source becomes
 * @param tally is added to as it goes, for progress
 * @throws WriteFailed for what would hit every entry, HelperLost, the signal's reason
 */
export async function fill(
  sources: readonly SourceRoot[],
  name: RawName | undefined,
  side: Side,
  common: Common,
  tools: Tools,
  tally: CopyTally,
  context: FillContext,
): Promise<void> {
  for (const [index, source] of sources.entries()) {
    const filling = new Filling(side, common, index > 0, tools, tally, context);
    if (source.stat.isDirectory())
      await filling.tree({
        descriptor: source.descriptor,
        shown: source.real,
        prefix: '',
        link: false,
        chain: [],
      });
    else await filling.file(source, name ?? source.name);
  }
}

class Filling {
  readonly #side: Side;
  readonly #common: Common;
  readonly #later: boolean;
  readonly #tools: Tools;
  readonly #tally: CopyTally;
  readonly #context: FillContext;

  constructor(
    side: Side,
    common: Common,
    later: boolean,
    tools: Tools,
    tally: CopyTally,
    context: FillContext,
  ) {
    this.#side = side;
    this.#common = common;
    this.#later = later;
    this.#tools = tools;
    this.#tally = tally;
    this.#context = context;
  }

  /** A tree, and what its followed links lead to. */
  async tree(top: Top): Promise<void> {
    if (this.#common.notesSeen) noteSeen(this.#tally.seen, fstatSync(top.descriptor), top.prefix);
    const notes = new ReadNotes();
    notes.folder(fstatSync(top.descriptor), '');
    this.#read(top, notes.take());
    await this.#walk(top);
    await this.#large(top);
    const volumes = this.#tally.volumes.splice(0);
    for (const { from, to } of this.#tally.followed.splice(0)) await this.#follow(top, from, to);
    for (const volume of volumes) if (!isCurrent(top.descriptor, volume)) throw new Outdated();
    if (top.link) this.#leave(top);
  }

  /** The directory behind a link, after all that is in it. */
  #leave(top: Top): void {
    using places = this.#places();
    const visit = new Visit(places, settingsOf(this.#whole(top, top.prefix), this.#side.links, this.#tools));
    try {
      visit.leaveTop(top.descriptor);
    } finally {
      addTally(this.#tally, visit.take());
    }
  }

  /** A file that was named itself. */
  async file(source: SourceRoot, raw: RawName): Promise<void> {
    const tally = emptyCopyTally();
    tally.entries = 1;
    using places = this.#places();
    const put = new Put(
      places,
      settingsOf(this.#whole(source, ''), this.#side.links, this.#tools),
      () => tally,
    );
    try {
      const top = doAtOnce(places.visit(calls, ''));
      const opened = { path: itself(source.descriptor), stat: source.stat, followed: 'all' } as const;
      let whole: boolean;
      try {
        whole = doAtOnce(put.file(calls, opened, top, raw));
      } finally {
        places.giveBack(top);
      }
      addTally(this.#tally, tally);
      if (!whole) await this.#one(source.descriptor, 'all', '', raw, places);
    } catch (error) {
      this.#failed(source.text, error);
    }
  }

  async #walk(top: Top): Promise<void> {
    const { live, stage, links } = this.#side;
    const assignment = this.#whole(top, top.prefix);
    const opened = { source: top.descriptor, live, stage, links };
    const { walk, visit, places } = copyWalk(assignment, opened, this.#tools, this.#context.host);
    try {
      walk.begin();
      await runWalk(
        {
          walk,
          command: 'copy',
          settings: assignment,
          add: (more: CopyTally) => this.#add(top, more),
          own: () => visit.take(),
          places: [top.descriptor, live, stage].filter((one) => one !== undefined),
          helpers: helpersFor(this.#context.host),
        },
        this.#context,
      );
    } finally {
      this.#add(top, visit.take());
      walk.close();
      places[Symbol.dispose]();
    }
  }

  #add(top: Top, more: CopyTally): void {
    for (const part of more.read.splice(0)) this.#read(top, part);
    addTally(this.#tally, more);
  }

  #read({ link, descriptor }: Top, part: ReadPart): void {
    // What a link leads to is not open any more when it is looked at again.
    const path = link ? readlinkSync(itself(descriptor), 'latin1') : itself(descriptor);
    this.#context.listings.add(path, part);
  }

  /** What the walk left because it takes long. */
  async #large(top: Top): Promise<void> {
    const files = this.#tally.large.splice(0);
    if (files.length === 0) return;
    using places = this.#places();
    for (const { from, to, followed, hash } of files) {
      if (this.#context.signal.aborted) throw reasonOf(this.#context.signal);
      let descriptor: number | undefined;
      try {
        const { directory, name } = split(from);
        const parent = openBelow(top.descriptor, directory);
        try {
          descriptor = doAtOnce(openSource(calls, below(parent, name), followed));
        } finally {
          closeSync(parent);
        }
        const target = split(to);
        await this.#one(descriptor, followed, target.directory, target.name, places);
        const notes = new ReadNotes();
        notes.entry(hash);
        this.#read(top, notes.take());
      } catch (error) {
        this.#failed(`${top.shown}/${shownName(from)}`, error);
      } finally {
        if (descriptor !== undefined) closeSync(descriptor);
      }
    }
  }

  async #one(
    descriptor: number,
    followed: Following,
    directory: RawName,
    raw: RawName,
    places: Places,
  ): Promise<void> {
    const settings = settingsOf(this.#whole({ descriptor, shown: '' }, ''), this.#side.links, this.#tools);
    const tally = this.#tally;
    const put = new Put(places, settings, () => tally);
    const { signal } = this.#context;
    const place = doAtOnce(places.visit(calls, directory));
    try {
      await copyLarge(descriptor, followed, place, raw, { places, put, settings, tally, signal });
    } finally {
      places.giveBack(place);
    }
  }

  async #follow(top: Top, from: RawName, to: RawName): Promise<void> {
    const { directory, name } = split(from);
    let parent: number | undefined;
    let descriptor: number | undefined;
    try {
      parent = openBelow(top.descriptor, directory);
      const way = this.#common.dereference ? 'all' : 'key';
      descriptor = doAtOnce(openFollowed(calls, below(parent, name), way));
      checkNotDestination(fstatSync(descriptor), this.#common.destination);
      const target = readlinkSync(itself(descriptor), 'latin1');
      this.#context.followed(target, to);
      const chain = [...top.chain, readlinkSync(itself(parent), 'latin1')];
      if (chain.some((place) => isWithin(place, target)))
        throw new Error('the link leads to a directory above itself');
      const shown = `${top.shown}/${shownName(from)}`;
      await this.tree({ descriptor, shown, prefix: to, link: true, chain });
      this.#leadsThere(top, from, descriptor);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.#tally.foldersGone++;
      this.#failed(`${top.shown}/${shownName(from)}`, error);
    } finally {
      if (parent !== undefined) closeSync(parent);
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }

  /** Whether a link that was followed leads to the same directory still, and is there. */
  #leadsThere(top: Top, from: RawName, descriptor: number): void {
    const { directory, name } = split(from);
    try {
      const parent = openBelow(top.descriptor, directory);
      try {
        const way = this.#common.dereference ? 'all' : 'key';
        const now = doAtOnce(openFollowed(calls, below(parent, name), way));
        const same = isSameDirectory(fstatSync(now), fstatSync(descriptor));
        closeSync(now);
        if (!same) this.#tally.foldersReplaced++;
      } finally {
        closeSync(parent);
      }
    } catch (error) {
      // Whatever stands there by now, it is no link to this directory.
      if (isAbsent(error)) this.#tally.foldersGone++;
      else this.#tally.foldersReplaced++;
    }
  }

  /** An entry's failure; what would hit all that follow is thrown on. */
  #failed(path: string, error: unknown): void {
    if (isFinal(error) || error instanceof Outdated || this.#context.signal.aborted) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const tally = this.#tally;
    if (code === 'ENOENT') {
      tally.vanished++;
      return;
    }
    tally.errors++;
    if (tally.problems.length < listedProblems)
      tally.problems.push({
        path,
        action: 'copy',
        code: code === undefined || code === 'EINTHEWAY' ? message : code,
      });
  }

  #places(): Places {
    const { mounts, ownGroup } = this.#common;
    const filled = (stage: MountStage): void => void this.#tally.stages.push(stage);
    const { live, stage } = this.#side;
    return new Places(live, stage, mounts, ownGroup, otherKindsOf(this.#common), filled);
  }

  #whole({ descriptor, shown }: { descriptor: number; shown?: string }, prefix: RawName): CopyAssignment {
    const { live, stage, links } = this.#side;
    return {
      ...this.#common,
      later: this.#later,
      source: knownOf(descriptor),
      shown: shown ?? '',
      live: live === undefined ? undefined : knownOf(live),
      stage: stage === undefined ? undefined : knownOf(stage),
      links: links === undefined ? undefined : knownOf(links),
      prefix,
    };
  }
}

/** Whether a volume below a source is still in the version of which its first key was read. */
function isCurrent(top: number, { path, version }: VolumeBelow): boolean {
  try {
    const volume = openBelow(top, path);
    try {
      return readlinkSync(`${itself(volume)}/..data`) === version;
    } finally {
      closeSync(volume);
    }
  } catch {
    return false;
  }
}

function split(path: RawName): { readonly directory: RawName; readonly name: RawName } {
  const slash = path.lastIndexOf('/');
  return { directory: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) };
}
