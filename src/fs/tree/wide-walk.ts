import { closeSync, constants, type Dir, opendir, openSync, type Stats } from 'node:fs';
import { promisify } from 'node:util';

import type { Host } from '../../core/host.ts';
import { poolThreads, widenThreadPool } from '../../process/thread-pool.ts';
import { sideBySide, type Work } from '../calls.ts';
import { below, itself, type RawName, shownName } from '../directory/file-name.ts';
import { asDirectory, asPinned, isNoDirectory, O_PATH } from '../directory/open-directory.ts';
import { Frame } from './frame.ts';
import { Headroom } from './memory-reclaim.ts';
import type { MountGuard } from './refused-paths.ts';
import { type Visitor, whatVanished } from './visitor.ts';
import type { Share, WalkSettings } from './walk.ts';
import { WideFrames } from './wide-frames.ts';

/** What a walk had left when it became wide. */
export interface Left {
  readonly settings: WalkSettings;
  readonly visitor: Visitor;
  readonly guard: MountGuard | undefined;
  readonly top: Frame;
  /** The directory in which it was. */
  readonly current: Frame;
  readonly shares: readonly Share[];
}

/** Directories kept open at once, beside those in which something is under way. */
const held = 128;

/**
 * Pieces of work under way in one directory as long as there is work in others: the kernel has one call at a time make,
 * rename or remove names in a directory.
 */
const inOneDirectory = 4;

/** Names read at once. */
const batch = 128;

/** Subdirectories known of a directory before they are walked and its listing goes on. */
const enoughDirectories = 8192;

/** Pieces of work between two looks at the memory. */
const stride = 32;

const { S_IFMT: typeBits, S_IFDIR: directoryType } = constants;
const openListing = promisify(opendir) as (
  path: string,
  options: { readonly encoding: string; readonly bufferSize: number },
) => Promise<Dir>;

const givenUp: unknown[] = [];

/**
 * Goes on with a walk where each call takes long: many are under way at a time, by threads. Everything is named relative
 * to a directory that is held open and was opened through no link. Depth first, as far as there is work for all: what is
 * known of the tree at once stays little. A directory is left after all that is in it.
 */
export class WideWalk {
  readonly #settings: WalkSettings;
  readonly #visitor: Visitor;
  readonly #guard: MountGuard | undefined;
  readonly #headroom: Headroom;
  readonly #top: Frame;
  readonly #frames: WideFrames;
  readonly #shares: Share[];
  /** Those with something to begin, the deepest last. */
  readonly #stack: Frame[] = [];
  #underWay = 0;
  #begun = 0;
  #stopped = false;
  #abandoned = false;
  #failure: { readonly error: unknown } | undefined;
  #ended: (() => void) | undefined;

  constructor({ settings, visitor, guard, top, current, shares }: Left, host: Pick<Host, 'memoryLimit'>) {
    widenThreadPool();
    this.#settings = settings;
    this.#visitor = visitor;
    this.#guard = guard;
    this.#headroom = new Headroom(host);
    this.#top = top;
    // Its own: calls may outlast the walk, and their paths must not lead elsewhere then.
    top.descriptor = openSync(itself(settings.top), O_PATH | constants.O_DIRECTORY);
    this.#frames = new WideFrames(top, settings.held ?? held, guard);
    this.#shares = [...shares];
    for (const frame of [...current.line()].toReversed()) {
      frame.calls = sideBySide;
      if (frame !== top && frame.descriptor >= 0) this.#frames.hold(frame);
      if (frame.parent !== undefined) frame.parent.pending++;
      this.#queue(frame);
    }
    // One that has nothing left is left at the next turn.
    if (!current.hasWork) this.#start(current, () => Promise.resolve());
  }

  /** Takes on a share of another process's walk. */
  take(share: Share): void {
    this.#shares.push(share);
    if (this.#ended !== undefined) this.#fill();
  }

  /** Whether nothing is left to do. */
  get isIdle(): boolean {
    return this.#underWay === 0 && this.#stack.length === 0 && this.#shares.length === 0;
  }

  /** Resolves when nothing is left to do, or all that was begun has ended after `stop`. @throws what ends the walk */
  async run(): Promise<void> {
    const end = new Promise<void>((resolve) => (this.#ended = resolve));
    this.#fill();
    await end;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Nothing more is begun. */
  stop(): void {
    this.#stopped = true;
    this.#fill();
  }

  /** Closes what is open. Where calls are still under way, none follows them, and what they need stays open. */
  close(): void {
    this.#stopped = true;
    if (this.#underWay > 0) {
      this.#abandoned = true;
      return;
    }
    for (const frame of this.#stack) frame.closeStream();
    this.#frames.close();
    closeSync(this.#top.descriptor);
  }

  #fill(): void {
    while (!this.#stopped && this.#underWay < poolThreads && this.#begin());
    if (this.#underWay === 0) {
      this.#ended?.();
      this.#ended = undefined;
    }
  }

  /** Begins one piece of work; false where there is none. */
  #begin(): boolean {
    if (++this.#begun % stride === 0) this.#headroom.keep();
    if (this.#beginWhere(inOneDirectory) || this.#beginWhere(Infinity)) return true;
    const share = this.#shares.shift();
    if (share === undefined) return false;
    this.#start(this.#top, () => this.#enterShare(share));
    return true;
  }

  /** @param most how much may be under way already in the directory */
  #beginWhere(most: number): boolean {
    for (let at = this.#stack.length - 1; at >= 0; at--) {
      const frame = this.#stack[at] as Frame;
      if (frame.pins >= most) continue;
      const raw = frame.names[frame.next];
      if (raw !== undefined) {
        frame.next++;
        this.#start(frame, () => this.#entry(frame, raw));
        return true;
      }
      if (frame.stream !== undefined && !frame.reading && frame.directories.length < enoughDirectories) {
        this.#start(frame, () => this.#refill(frame));
        return true;
      }
      const directory = frame.directories.pop();
      if (directory !== undefined) {
        this.#start(frame, () => this.#descend(frame, directory));
        return true;
      }
      if (frame.stream !== undefined) continue;
      frame.queued = false;
      this.#stack.splice(at, 1);
    }
    return false;
  }

  #start(frame: Frame, work: () => Promise<void>): void {
    this.#underWay++;
    frame.pending++;
    void this.#done(frame, work);
  }

  async #done(frame: Frame, work: () => Promise<void>): Promise<void> {
    try {
      if (!frame.lost && (await this.#pinned(frame))) {
        try {
          await work();
        } finally {
          this.#frames.letGo(frame);
        }
      }
      frame.pending--;
      await this.#finish(frame);
    } catch (error) {
      this.#failure ??= { error };
      this.#stopped = true;
    }
    this.#underWay--;
    this.#fill();
  }

  /** False where the directory cannot be found any more: then what was left to do in it is given up. */
  async #pinned(frame: Frame): Promise<boolean> {
    try {
      if (frame.descriptor >= 0) frame.pins++;
      else await this.#step(this.#frames.pin(frame));
      return true;
    } catch (error) {
      if (!frame.lost) this.#report(frame, undefined, 'return to', error);
      frame.lost = true;
      frame.names = [];
      frame.next = 0;
      frame.directories = [];
      frame.closeStream();
      return false;
    }
  }

  /** Leaves a directory in which nothing is left, and those above it where that was the last thing in them. */
  async #finish(frame: Frame): Promise<void> {
    for (let at = frame; at.pending === 0; at = at.parent) {
      if (at.hasWork) break;
      if (at.parent === undefined) return;
      at.pending = 1;
      if (at.entered !== undefined && !this.#stopped && !at.lost && (await this.#pinned(at))) {
        try {
          await this.#do(this.#visitor.leave(at.entered, at));
        } catch (error) {
          this.#report(at, undefined, 'change', error);
        } finally {
          this.#frames.letGo(at);
        }
      }
      if (at.parent.descriptor < 0) await this.#step(this.#frames.openAbove(at));
      if (at.entered !== undefined && !this.#stopped && !at.lost)
        await this.#closing(at, at.entered, at.parent);
      this.#frames.release(at);
      at.parent.pending--;
    }
    if (frame.hasWork) this.#queue(frame);
  }

  async #closing(frame: Frame, entered: Stats, parent: Frame): Promise<void> {
    const visitor = this.#visitor;
    if (visitor.closing === undefined || !(await this.#pinned(parent))) return;
    try {
      await this.#do(visitor.closing(entered, parent.path(frame.raw), parent));
    } catch (error) {
      this.#report(frame, undefined, 'change', error);
    } finally {
      this.#frames.letGo(parent);
    }
  }

  #queue(frame: Frame): void {
    if (frame.queued || !frame.hasWork) return;
    frame.queued = true;
    this.#stack.push(frame);
  }

  async #entry(frame: Frame, raw: RawName): Promise<void> {
    const { exclude } = this.#settings;
    const visitor = this.#visitor;
    if (exclude !== undefined && exclude(shownName(frame.relative(raw)), frame)) {
      visitor.excluded(frame);
      return;
    }
    try {
      const name = below(frame.descriptor, raw);
      const stat = await this.#step(sideBySide.lstat(name));
      if (stat === undefined) visitor.vanished('unknown');
      else if ((stat.mode & typeBits) === directoryType) frame.directories.push(raw);
      else if (this.#guard !== undefined) await this.#guarded(this.#guard, stat, frame, raw);
      else await this.#do(visitor.entry(name, stat, frame, raw));
    } catch (error) {
      this.#report(frame, raw, 'change', error);
    }
  }

  async #descend(frame: Frame, raw: RawName): Promise<void> {
    const child = await this.#enter(frame, raw, true);
    if (child === undefined) return;
    await this.#inside(child, async () => {
      try {
        child.stream = await this.#step(
          openListing(itself(child.descriptor), { encoding: 'latin1', bufferSize: batch }),
        );
      } catch (error) {
        this.#report(child, undefined, 'list', error);
      }
    });
  }

  /** Work in a directory that was entered just now and is not known to others yet. */
  async #inside(child: Frame, work: () => Promise<void>): Promise<void> {
    child.pending++;
    child.pins++;
    try {
      await work();
    } finally {
      this.#frames.letGo(child);
      child.pending--;
    }
    await this.#finish(child);
  }

  /** Opens a subdirectory; undefined where that is not to be, which has been told. */
  async #enter(frame: Frame, raw: RawName, whole: boolean): Promise<Frame | undefined> {
    let descriptor: number;
    try {
      descriptor = await this.#step(sideBySide.open(below(frame.descriptor, raw), asDirectory));
    } catch (error) {
      if (isNoDirectory((error as NodeJS.ErrnoException).code)) await this.#entry(frame, raw);
      else this.#report(frame, raw, 'open', error);
      return undefined;
    }
    try {
      const stat = await this.#step(sideBySide.fstat(descriptor));
      if (
        this.#guard?.holds(descriptor) === false ||
        (!this.#settings.crossMounts && stat.dev !== frame.dev)
      ) {
        closeSync(descriptor);
        this.#visitor.crossed(this.#shown(frame, raw));
        return undefined;
      }
      await this.#do(this.#visitor.enter?.(stat, raw, frame));
      const child = new Frame(frame, raw, stat, descriptor, whole);
      child.calls = sideBySide;
      frame.pending++;
      this.#frames.hold(child);
      return child;
    } catch (error) {
      closeSync(descriptor);
      this.#report(frame, raw, 'enter', error);
      return undefined;
    }
  }

  /** A share, reached from the top. */
  async #enterShare(share: Share, frame = this.#top, depth = 0): Promise<void> {
    const raw = share.path === '' ? undefined : share.path.split('/')[depth];
    if (raw === undefined) {
      frame.names = [...frame.names.slice(frame.next), ...share.names];
      frame.next = 0;
      frame.directories.push(...share.directories);
      return;
    }
    const child = await this.#enter(frame, raw, false);
    if (child !== undefined) await this.#inside(child, () => this.#enterShare(share, child, depth + 1));
  }

  async #refill(frame: Frame): Promise<void> {
    frame.reading = true;
    const names: RawName[] = [];
    try {
      while (names.length < batch) {
        const entry = await this.#step(frame.stream?.read());
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
    frame.reading = false;
    frame.names = [...frame.names.slice(frame.next), ...names];
    frame.next = 0;
  }

  /** An entry that is not a directory, unless it is a mount of its own. */
  async #guarded(guard: MountGuard, stat: Stats, frame: Frame, raw: RawName): Promise<void> {
    const visitor = this.#visitor;
    const name = below(frame.descriptor, raw);
    const descriptor = await this.#step(sideBySide.open(name, asPinned));
    try {
      if (!guard.holds(descriptor)) visitor.crossed(this.#shown(frame, raw));
      else if (visitor.opened === undefined) await this.#do(visitor.entry(name, stat, frame, raw));
      else await this.#do(visitor.opened(descriptor, frame));
    } finally {
      closeSync(descriptor);
    }
  }

  /** Does a visitor's work to its end. */
  async #do(work: void | Work<void>): Promise<void> {
    if (work === undefined) return;
    let next = work.next();
    while (next.done !== true) {
      let value: unknown;
      try {
        value = await this.#step(next.value);
      } catch (error) {
        next = work.throw(error);
        continue;
      }
      next = work.next(value);
    }
  }

  /** What a call gives; nothing follows on it once the walk is given up. */
  async #step<T>(call: T | Promise<T>): Promise<T> {
    try {
      return await call;
    } finally {
      if (this.#abandoned) await this.#forever(call);
    }
  }

  /** What is open is kept from the garbage collector, which would close it, and say so on standard error. */
  async #forever(call: unknown): Promise<never> {
    givenUp.push(this, call);
    return await new Promise<never>(() => {});
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
