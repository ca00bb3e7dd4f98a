import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readdirSync,
  type Dir,
  type Stats,
} from 'node:fs';

import type { Host } from '../../core/host.ts';
import type { Libc } from '../../process/libc.ts';
import { widenThreadPool } from '../../process/thread-pool.ts';
import { doAtOnce, type Work } from '../calls.ts';
import { below, itself, pathOf, type RawName, shownName } from '../directory/file-name.ts';
import { mountWithOthersBelow, type SizeTells, sizeTellsAt } from '../directory/mounts.ts';
import { isNoDirectory, O_PATH, openDirectory } from '../directory/open-directory.ts';
import { Pace } from '../pace.ts';
import type { Exclude } from './exclude.ts';
import { closeListing, Frame } from './frame.ts';
import { Headroom } from './memory-reclaim.ts';
import { OpenFrames } from './open-frames.ts';
import { MountGuard } from './refused-paths.ts';
import { type Visitor, whatVanished } from './visitor.ts';
import { WideWalk } from './wide-walk.ts';

export interface WalkSettings {
  /** The top directory, open; whoever opened it closes it, after the walk. */
  readonly top: number;
  /** How people call it. */
  readonly path: string;
  readonly exclude?: Exclude | undefined;
  /** Whether to enter what is mounted below the top. */
  readonly crossMounts: boolean;
  /** Makes it faster to stay out of mounts. */
  readonly libc?: Libc | undefined;
  /** Directories kept open at once, at least 2; deeper trees are opened again from the top on the way back. */
  readonly held?: number;
}

/** A share of a walk that another process can take over: entries and directories of one directory. */
export interface Share {
  /** The directory, relative to the top; empty for the top itself. */
  readonly path: RawName;
  readonly names: readonly RawName[];
  readonly directories: readonly RawName[];
}

/** Read once: `constants` is slow to look into, and this is asked for every entry. */
const { S_IFMT: typeBits, S_IFDIR: directoryType } = constants;

/** A directory's listing beyond this size in bytes is read piece by piece. */
const largeListing = 1 << 16;

/** Names of a large directory that are looked at in a row, and how many are read of them at once. */
const batch = 1024;
const atOnceRead = 128;

/** Entries between two looks at the clock: some 100 µs. */
const stride = 32;

/** Subdirectories known of a large directory before they are walked and its listing goes on. */
const enoughDirectories = 8192;

/** Entries of one directory that are left before half of them is given away. */
const worthGiving = 1024;

/** Subdirectories given away at once; fewer towards the end, so that all end together. */
const mostGiven = 16;

/**
 * Walks a tree that somebody may be changing under our hands. Each directory is opened once, through no link, and
 * made the current one; its entries are then named by one component, relative to it: no name above can lead elsewhere.
 * The way up is a descriptor that is held, or `..` where that is the very directory we came from, or the way from the
 * top once more.
 *
 * The walk is synchronous and cut into runs; between two of them the current directory is what it was before.
 */
export class Walk {
  readonly #visitor: Visitor;
  readonly #settings: WalkSettings;
  readonly #host: Pick<Host, 'chdir' | 'memoryLimit'>;
  readonly #headroom: Headroom;
  readonly #top: Frame;
  /** Set where names may lead into what is mounted below the top, and that is not to be entered. */
  readonly #guard: MountGuard | undefined;
  /** By device. */
  readonly #sizeTells = new Map<number, SizeTells>();
  readonly #shares: Share[] = [];
  readonly #open: OpenFrames;
  #current: Frame;
  readonly #pace = new Pace();
  /** Tells milliseconds where the pace is to be known. */
  #now: (() => number) | undefined;
  #listing: Promise<void> | undefined;
  #handedOver = false;

  constructor(settings: WalkSettings, visitor: Visitor, host: Pick<Host, 'chdir' | 'memoryLimit'>) {
    this.#settings = settings;
    this.#visitor = visitor;
    this.#host = host;
    this.#headroom = new Headroom(host);
    this.#top = new Frame(undefined, '', fstatSync(settings.top), settings.top, false);
    this.#current = this.#top;
    const mount = settings.crossMounts ? undefined : mountWithOthersBelow(settings.top);
    this.#guard = mount === undefined ? undefined : new MountGuard(mount, settings.libc);
    this.#open = new OpenFrames(this.#top, settings.held ?? 32, this.#guard, host);
  }

  /** Takes on the whole tree below the top. */
  begin(): void {
    this.#inside(this.#top, () => this.#read(this.#top, fstatSync(this.#settings.top)));
  }

  /** Takes on a share of another process's walk. */
  take(share: Share): void {
    this.#shares.push(share);
  }

  /** Whether nothing is left to do. */
  get idle(): boolean {
    return this.#shares.length === 0 && this.#current === this.#top && !this.#top.hasWork;
  }

  /** Shares taken on that were not begun. */
  get waiting(): number {
    return this.#shares.length;
  }

  /** Whether calls take so long here that many should be under way at a time: `widen` then. */
  get isSlow(): boolean {
    return this.#pace.isSlow;
  }

  /** Whether that is known. */
  get isPaceKnown(): boolean {
    return this.#pace.isKnown;
  }

  /** A listing without which nothing can be done: the next run goes on once it is there. Rejects with what ends the walk. */
  get listing(): Promise<void> | undefined {
    return this.#listing;
  }

  /**
   * Works until there is nothing left, or until `late` says so; it is asked every 100 µs or so.
   * @param now tells milliseconds: with it, listings that may take long are waited for (`listing`), and `isSlow` tells
   */
  run(late: () => boolean, now?: () => number): void {
    this.#now = now;
    if (this.idle || this.#listing !== undefined) return;
    this.#inside(this.#current, () => {
      while (!this.idle && !this.#step(late)) if (late() || this.#listing !== undefined) return;
    });
  }

  /**
   * Gives part of what is left to another process: subdirectories from as far up as possible, or some thousand entries
   * of a large directory. Undefined where there is too little.
   */
  give(): Share | undefined {
    const share = this.#shares.length > 0 ? this.#shares.pop() : undefined;
    if (share !== undefined) return share;
    for (const frame of [...this.#current.line()].toReversed()) {
      const some = Math.min(mostGiven, Math.ceil((frame.directories.length - 1) / 8));
      if (some > 0)
        return {
          path: frame.relative(),
          names: [],
          directories: frame.directories.splice(0, some),
        };
      if (frame.stream !== undefined && !frame.slowListing && frame.directories.length < enoughDirectories) {
        const names = this.#refill(frame);
        if (names.length > 0) return { path: frame.relative(), names, directories: [] };
      }
      const left = frame.names.length - frame.next;
      if (left > worthGiving) {
        const names = frame.names.slice(-(left >> 1));
        frame.names = frame.names.slice(frame.next, -names.length);
        frame.next = 0;
        return { path: frame.relative(), names, directories: [] };
      }
    }
    return undefined;
  }

  /** Hands over all that is left to a walk that has many calls under way at a time. */
  widen(): WideWalk {
    const left = {
      settings: this.#settings,
      visitor: this.#visitor,
      guard: this.#guard,
      top: this.#top,
      current: this.#current,
      shares: this.#shares,
    };
    const wide = new WideWalk(left, this.#host);
    this.#handedOver = true;
    return wide;
  }

  /** Closes what is open, unless that was handed over. */
  close(): void {
    if (this.#handedOver) return;
    for (let frame = this.#current; ;) {
      this.#open.release(frame);
      if (frame.parent === undefined) break;
      frame = frame.parent;
    }
    this.#current = this.#top;
    this.#shares.length = 0;
  }

  #inside(frame: Frame, work: () => void): void {
    const home = openSync('.', O_PATH | constants.O_DIRECTORY);
    try {
      this.#open.goTo(frame);
      work();
    } finally {
      this.#host.chdir(itself(home));
      closeSync(home);
    }
  }

  /** One directory's entries, or one step down or up. True when it was cut short. */
  #step(late: () => boolean): boolean {
    const frame = this.#current;
    if (frame.next < frame.names.length) return this.#entries(frame, late);
    if (frame.stream !== undefined && frame.directories.length < enoughDirectories) {
      if (this.#now !== undefined && frame.slowListing) {
        this.#listing = this.#refillLater(frame, frame.stream);
        return true;
      }
      frame.names = this.#refill(frame);
      frame.next = 0;
      return false;
    }
    const directory = frame.directories.pop();
    if (directory !== undefined) this.#descend(frame, directory);
    else if (frame === this.#top) this.#next();
    else this.#leave(frame);
    return false;
  }

  #entries(frame: Frame, late: () => boolean): boolean {
    const { names, directories } = frame;
    const { exclude } = this.#settings;
    const visitor = this.#visitor;
    const guard = this.#guard;
    const pace = this.#pace;
    const now = this.#now;
    const stop = names.length;
    for (let i = frame.next; i < stop; i++) {
      const timed = now !== undefined && (i % stride === 0 || pace.isOpen);
      const began = timed ? now() : 0;
      const raw = names[i] as RawName;
      if (exclude !== undefined && exclude(shownName(frame.relative(raw)), frame)) {
        visitor.excluded(frame);
        continue;
      }
      const name = pathOf(raw);
      try {
        const stat = lstatSync(name, quiet);
        if (stat === undefined) visitor.vanished('unknown');
        else if ((stat.mode & typeBits) === directoryType) directories.push(raw);
        else if (guard !== undefined) this.#guarded(guard, stat, frame, raw);
        else {
          const work = visitor.entry(name, stat, frame, raw);
          if (work !== undefined) doAtOnce(work);
        }
      } catch (error) {
        this.#report(frame, raw, 'change', error);
      }
      if (timed) pace.note(now() - began);
      if (i % stride === 0) this.#headroom.keep();
      if (i % stride === 0 || timed) {
        if (late() || pace.isSlow) {
          frame.next = i + 1;
          return true;
        }
      }
    }
    frame.names = [];
    frame.next = 0;
    return false;
  }

  #descend(frame: Frame, raw: RawName): void {
    const child = this.#enter(frame, raw, true);
    if (child === undefined) return;
    try {
      this.#read(child, child.entered as Stats);
    } catch (error) {
      this.#report(child, undefined, 'list', error);
    }
  }

  /** Opens a subdirectory and makes it the current one; undefined where that is not to be, which has been told. */
  #enter(frame: Frame, raw: RawName, whole: boolean): Frame | undefined {
    let descriptor: number | undefined;
    try {
      descriptor = this.#guard === undefined ? openDirectory(raw) : this.#guard.directory(raw);
    } catch (error) {
      if (isNoDirectory((error as NodeJS.ErrnoException).code)) this.#swapped(frame, raw);
      else this.#report(frame, raw, 'open', error);
      return undefined;
    }
    const stat = descriptor === undefined ? undefined : fstatSync(descriptor);
    if (
      descriptor === undefined ||
      stat === undefined ||
      (!this.#settings.crossMounts && stat.dev !== frame.dev)
    ) {
      if (descriptor !== undefined) closeSync(descriptor);
      this.#visitor.crossed(this.#shown(frame, raw));
      return undefined;
    }
    try {
      atOnce(this.#visitor.enter?.(stat, raw, frame));
    } catch (error) {
      closeSync(descriptor);
      this.#report(frame, raw, 'enter', error);
      return undefined;
    }
    const child = new Frame(frame, raw, stat, descriptor, whole);
    this.#open.hold(child);
    this.#host.chdir(itself(descriptor));
    this.#current = child;
    return child;
  }

  /** It was a directory when it was listed and is none now: what is there is an entry like any other. */
  #swapped(frame: Frame, raw: RawName): void {
    try {
      const stat = lstatSync(pathOf(raw), quiet);
      if (stat === undefined) this.#visitor.vanished('directory');
      else if (stat.isDirectory()) frame.directories.push(raw);
      else if (this.#guard !== undefined) this.#guarded(this.#guard, stat, frame, raw);
      else atOnce(this.#visitor.entry(pathOf(raw), stat, frame, raw));
    } catch (error) {
      this.#report(frame, raw, 'change', error);
    }
  }

  #leave(frame: Frame): void {
    if (frame.entered !== undefined) {
      const now = this.#now;
      const began = now?.() ?? 0;
      try {
        atOnce(this.#visitor.leave(frame.entered, frame));
      } catch (error) {
        this.#report(frame, undefined, 'change', error);
      }
      if (now !== undefined) this.#pace.note(now() - began);
      this.#closing(frame, frame.entered);
    }
    this.#up(frame);
  }

  #closing(frame: Frame, entered: Stats): void {
    const visitor = this.#visitor;
    if (visitor.closing === undefined) return;
    const parent = frame.parent as Frame;
    if (parent.descriptor < 0) this.#open.openAbove(parent);
    const name = parent.descriptor < 0 ? undefined : below(parent.descriptor, frame.raw);
    try {
      atOnce(visitor.closing(entered, name, parent));
    } catch (error) {
      this.#report(frame, undefined, 'change', error);
    }
  }

  /** Back to the directory above. Where that cannot be found any more, what was left to do in it is given up. */
  #up(frame: Frame): void {
    let parent = frame.parent as Frame;
    if (parent.descriptor < 0) this.#open.openAbove(parent);
    this.#open.release(frame);
    for (;;) {
      this.#current = parent;
      if (
        parent.entered === undefined &&
        !parent.hasWork &&
        parent !== this.#top &&
        this.#shares.length === 0
      ) {
        this.#open.release(parent);
        parent = parent.parent as Frame;
        continue;
      }
      try {
        this.#open.goTo(parent);
        return;
      } catch (error) {
        this.#report(parent, undefined, 'return to', error);
        this.#open.release(parent);
        if (parent.parent === undefined) throw error;
        parent = parent.parent;
      }
    }
  }

  /** The next share, reached from the top. */
  #next(): void {
    const share = this.#shares.shift();
    if (share === undefined) return;
    let frame: Frame | undefined = this.#top;
    for (const raw of share.path === '' ? [] : share.path.split('/')) {
      frame = this.#enter(frame, raw, false);
      if (frame === undefined) break;
    }
    if (frame === undefined) {
      while (this.#current !== this.#top) {
        const { parent } = this.#current;
        this.#open.release(this.#current);
        this.#current = parent as Frame;
      }
      this.#open.goTo(this.#top);
      return;
    }
    frame.names = share.names;
    frame.next = 0;
    frame.directories.push(...share.directories);
  }

  #read(frame: Frame, stat: Stats): void {
    const tells = this.#sizeIsTrue(frame, stat);
    if (tells && stat.size <= largeListing) {
      frame.names = readdirSync('.', latin1);
      return;
    }
    frame.stream = opendirSync('.', { encoding: 'latin1', bufferSize: atOnceRead });
    frame.slowListing = !tells;
  }

  /** The same as `#refill` for a file system that may take seconds: signals and the deadline are not to wait for it. */
  async #refillLater(frame: Frame, stream: Dir): Promise<void> {
    widenThreadPool();
    const names: RawName[] = [];
    try {
      while (names.length < batch) {
        const entry = await stream.read();
        // The walk was closed meanwhile.
        if (frame.stream !== stream) return closeListing(stream);
        if (!entry) {
          frame.closeStream();
          break;
        }
        names.push(entry.name);
      }
      this.#listing = undefined;
    } catch (error) {
      this.#listing = undefined;
      frame.closeStream();
      this.#report(frame, undefined, 'list', error);
    }
    frame.names = names;
    frame.next = 0;
  }

  #refill(frame: Frame): RawName[] {
    const names: RawName[] = [];
    try {
      while (names.length < batch) {
        const entry = frame.stream?.readSync();
        if (!entry) {
          frame.closeStream();
          break;
        }
        names.push(entry.name);
      }
    } catch (error) {
      frame.closeStream();
      this.#report(frame, undefined, 'list', error);
    }
    return names;
  }

  #sizeIsTrue(frame: Frame, stat: Stats): boolean {
    let tells = this.#sizeTells.get(frame.dev);
    if (tells === undefined) this.#sizeTells.set(frame.dev, (tells = sizeTellsAt(frame.descriptor)));
    return tells(stat);
  }

  /** An entry that is not a directory, unless it is a mount of its own. */
  #guarded(guard: MountGuard, stat: Stats, frame: Frame, raw: RawName): void {
    const visitor = this.#visitor;
    const descriptor = guard.pinned(raw);
    if (descriptor === undefined) return visitor.crossed(this.#shown(frame, raw));
    try {
      if (visitor.opened === undefined) atOnce(visitor.entry(pathOf(raw), stat, frame, raw));
      else atOnce(visitor.opened(descriptor, frame));
    } finally {
      closeSync(descriptor);
    }
  }

  #report(frame: Frame, raw: RawName | undefined, action: string, error: unknown): void {
    const failure = error as NodeJS.ErrnoException;
    if (failure.code === 'ENOENT') this.#visitor.vanished(whatVanished(action, raw));
    else this.#visitor.failed(this.#shown(frame, raw), action, failure);
  }

  #shown(frame: Frame, raw?: RawName): string {
    return frame.shown(this.#settings.path, raw);
  }
}

function atOnce(work: void | Work<void>): void {
  if (work !== undefined) doAtOnce(work);
}

const quiet = { throwIfNoEntry: false } as const;
const latin1 = { encoding: 'latin1' } as const;
