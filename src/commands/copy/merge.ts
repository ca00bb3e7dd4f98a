import { closeSync, type Stats } from 'node:fs';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { Abandonable, type Calls, calls, doAtOnce, doInTime, type Soon, type Work } from '../../fs/calls.ts';
import { type Letting, lettingWrite, type Opening } from '../../fs/directory/access.ts';
import { below, itself, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { asDirectory, isNoDirectory } from '../../fs/directory/open-directory.ts';
import { openingBelow } from '../../fs/directory/opening-below.ts';
import { Lanes } from '../../fs/lanes.ts';
import { isSlowThere, Pace } from '../../fs/pace.ts';
import { clearName } from '../../fs/publish/copy-places.ts';
import { renameNew } from '../../fs/rename-new.ts';
import { widenThreadPool } from '../../process/thread-pool.ts';
import { InTheWay, WriteFailed, writeFailed } from './failures.ts';
import { entriesOf } from './replace.ts';

/** Renames between two looks at signals, where each is made at once. */
const atOnce = 500;

/** Directories that are gone through at a time, from which on links are worth their second call. */
const worthLinking = 3;

/** How long calls that are under way may take to end, once the merge is to stop, in milliseconds. */
const lastCalls = 100;

/** In the stage: a directory that made way, which goes with the stage. */
const replacedName = '..initbox-replaced';

/** Why a name cannot be a further one of a file: then none is tried again. */
const withoutLinks: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EXDEV',
  'EINVAL',
]);

export interface Manner {
  /** Leaves what is there, whenever it appeared: nothing takes the place of anything. */
  readonly noClobber: boolean;
  /** Whether what is of another kind stays, with all that would come in its place left out; else it is an error. */
  readonly keepsKinds?: boolean;
  /** Whether what is of another kind makes way; for a moment nothing stands there then. */
  readonly replaces: boolean;
  /** Is told once readers see the first change. */
  readonly shown: () => void;
  /**
   * A name that nothing of anybody has, by which new files stand beside old ones for a moment: where each call takes long,
   * and a run that is killed leaves it to the next.
   */
  readonly transit: RawName;
  /** With `noClobber`: is told of each file that stays out because something has its name. */
  readonly stayed?: () => void;
  /** Is told before a directory is opened for its own user for a while. */
  readonly opening?: Opening;
}

/**
 * Moves what was prepared to where readers see it: a new directory by one rename with all that is in it, a file by one
 * rename over the old one. Directories that are there already are gone through.
 * @param path the path of `live`, relative to DEST
 * @returns how many entries made way for others of another kind
 * @throws WriteFailed, InTheWay, the signal's reason
 */
export async function merge(
  stage: number,
  live: number,
  path: RawName,
  manner: Manner,
  { signal, clock }: Pick<Context, 'signal' | 'clock'>,
): Promise<number> {
  const merging = new Merging(manner, signal);
  if (await isSlowThere([live], signal)) merging.expectSlow();
  const done = merging.directory(stage, live, path);
  let stop = (): void => {};
  const late = new Promise<never>((_, reject) => {
    const soon = (): void => void clock.after(lastCalls, () => reject(reasonOf(signal)));
    stop = () => signal.removeEventListener('abort', soon);
    if (signal.aborted) soon();
    else signal.addEventListener('abort', soon, { once: true });
  });
  try {
    await Promise.race([done, late]);
  } finally {
    stop();
    merging.abandon();
  }
  return merging.replaced;
}

/**
 * One merge. Where calls take long, directories are gone through side by side. A rename from one directory to another has the
 * whole file system for itself meanwhile (s_vfs_rename_mutex, locking(9) of the kernel's file systems): so a file gets a
 * second name in its place by link(2), or beside it where another one stands there, and from there replaces it by a
 * rename within one directory. The first name goes with the stage.
 */
class Merging {
  readonly #manner: Manner;
  readonly #signal: AbortSignal;
  readonly #pace = new Pace();
  readonly #lanes = new Lanes();
  readonly #sideBySide = new Abandonable();
  #links = true;
  /** Directories that are gone through now, without those in which one is gone through. */
  #underWay = 0;
  #made = 0;
  #aside = 0;
  replaced = 0;

  constructor(manner: Manner, signal: AbortSignal) {
    this.#manner = manner;
    this.#signal = signal;
  }

  expectSlow(): void {
    widenThreadPool();
    this.#pace.expectSlow();
  }

  /** What is still under way is followed by nothing: the directories may be closed. */
  abandon(): void {
    this.#sideBySide.abandon();
  }

  async directory(stage: number, live: number, path: RawName): Promise<void> {
    const entries = await this.#writing((by) => by.entries(itself(stage)));
    const inner: Entry[] = [];
    for (const entry of entries) {
      const one = { raw: entry.name, path: path === '' ? entry.name : `${path}/${entry.name}` };
      await this.#breathe();
      if (!entry.isDirectory()) await this.#file(stage, live, one);
      // One after the other, it is gone through where it comes.
      else if (!this.#pace.isSlow) await this.#inside(stage, live, one);
      else inner.push(one);
    }
    if (inner.length === 0) return;
    await this.#lanes.branch(inner, async (one) => {
      this.#underWay++;
      try {
        await this.#breathe();
        await this.#inside(stage, live, one);
      } finally {
        this.#underWay--;
      }
    });
  }

  async #file(stage: number, live: number, { raw, path }: Entry): Promise<void> {
    const { noClobber, replaces, shown } = this.#manner;
    if (noClobber) return this.#add(stage, live, raw, path);
    if (this.#pace.isSlow && this.#links && this.#underWay >= worthLinking) {
      const how = await this.#link(stage, live, raw, path);
      if (how === 'linked') shown();
      if (how !== 'not linked') return;
    }
    const there = replaces ? await this.#statOf(live, raw) : undefined;
    if (there?.isDirectory() === true) await this.#makeWay(stage, live, raw, path);
    await this.#move(stage, live, raw, path);
    shown();
  }

  /**
   * Gives a file its place only where nothing has that name, by one step: link(2) never replaces, as rename(2) does. Where
   * the volume has no links, a look right before is all that there is.
   */
  async #add(stage: number, live: number, raw: RawName, path: RawName): Promise<void> {
    const { shown, stayed } = this.#manner;
    if (this.#links) {
      try {
        await this.#call((by) => by.link(below(stage, raw), below(live, raw)));
        return shown();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EEXIST') return stayed?.();
        if (!withoutLinks.has(code)) throw new WriteFailed(error, path);
        this.#links = false;
      }
    }
    if ((await this.#statOf(live, raw)) !== undefined) return stayed?.();
    await this.#move(stage, live, raw, path);
    shown();
  }

  async #inside(stage: number, live: number, { raw, path }: Entry): Promise<void> {
    const { noClobber, replaces, shown } = this.#manner;
    const there = await this.#statOf(live, raw);
    if (there !== undefined && there.isDirectory()) return this.#both(stage, live, raw, path);
    if (there !== undefined && !replaces) return this.#both(stage, live, raw, path);
    if (there !== undefined) {
      await this.#writing((by) => by.unlink(below(live, raw)), path);
      shown();
    } else if (noClobber) {
      if (renameNew(below(stage, raw), below(live, raw))) return shown();
      // It came to be since; also an empty one is somebody's.
      if ((await this.#statOf(live, raw)) !== undefined) return this.#both(stage, live, raw, path);
    }
    try {
      await this.#move(stage, live, raw, path);
    } catch (error) {
      // It came to be since: a rename replaces no directory with anything in it.
      if (noClobber && error instanceof InTheWay) return this.#both(stage, live, raw, path);
      throw error;
    }
    shown();
  }

  /** Goes through a directory that is in both. */
  async #both(stage: number, live: number, raw: RawName, path: RawName): Promise<void> {
    const from = await this.#writing((by) => by.open(below(stage, raw), asDirectory));
    try {
      let to: number;
      try {
        to = await this.#call((by) => by.open(below(live, raw), asDirectory));
      } catch (error) {
        const { keepsKinds, stayed } = this.#manner;
        if (keepsKinds && isNoDirectory((error as NodeJS.ErrnoException).code)) return stayed?.();
        throw inTheWay(path, error);
      }
      try {
        const { opening } = this.#manner;
        const note = opening && ((letting: Letting): void => opening(path, letting));
        const back = await this.#do((by) => lettingWrite(by, to, note));
        try {
          await this.directory(from, to, path);
        } finally {
          await this.#do(() => back());
        }
      } finally {
        closeSync(to);
      }
    } finally {
      closeSync(from);
    }
  }

  /** Gives a file its place by a second name. */
  async #link(stage: number, live: number, raw: RawName, path: RawName): Promise<'linked' | 'not linked'> {
    const { transit } = this.#manner;
    const by = this.#sideBySide.calls;
    const own = below(stage, raw);
    try {
      await by.link(own, below(live, raw));
      return 'linked';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (withoutLinks.has(code)) this.#links = false;
      if (code !== 'EEXIST') return 'not linked';
    }
    const beside = below(live, transit);
    let prepared: Stats | undefined;
    try {
      await by.link(own, beside);
      prepared = await by.lstat(own);
    } catch {
      await doInTime(clearName(by, live, transit));
      return 'not linked';
    }
    try {
      await by.rename(beside, below(live, raw));
      // Where both are names of one file already, rename(2) does nothing.
      if ((prepared?.nlink ?? Infinity) > 2) await doInTime(clearName(by, live, transit));
    } catch (error) {
      await doInTime(clearName(by, live, transit));
      // A directory: it makes way, or the rename that follows says that it is in the way.
      if (wrongKind.has((error as NodeJS.ErrnoException).code)) return 'not linked';
      throw new WriteFailed(error, path);
    }
    // Outside of the stage, whoever may write to the folder may have put something else in its place before the rename.
    const shown = await this.#statOf(live, raw);
    if (prepared === undefined || shown === undefined || !isAlike(prepared, shown)) throw inTheWay(path);
    return 'linked';
  }

  /** Takes away a directory that stands where something of another kind is to be. */
  async #makeWay(stage: number, live: number, raw: RawName, path: RawName): Promise<void> {
    const { shown } = this.#manner;
    let count: number;
    try {
      count = await this.#do((by) => entriesOf(by, live, raw));
    } catch (error) {
      throw writeFailed(error, path);
    }
    // A directory that moves has another parent then, which is written in itself.
    const moved = await this.#writing((by) => by.open(below(live, raw), asDirectory), path);
    try {
      await this.#do((by) => lettingWrite(by, moved));
    } finally {
      closeSync(moved);
    }
    const aside = await this.#freeName(stage);
    await this.#writing((by) => by.rename(below(live, raw), below(stage, aside)), path);
    this.replaced += count;
    shown();
  }

  /** A name that nothing has in the stage, where only this process writes: an entry that is copied may have any name. */
  async #freeName(stage: number): Promise<RawName> {
    for (;;) {
      const name = `${replacedName}-${++this.#aside}`;
      if ((await this.#statOf(stage, name)) === undefined) return name;
    }
  }

  #statOf(directory: number, raw: RawName): Promise<Stats | undefined> {
    return this.#writing((by) => by.lstat(below(directory, raw)));
  }

  async #move(stage: number, live: number, raw: RawName, path: RawName): Promise<void> {
    try {
      await this.#call((by) => by.rename(below(stage, raw), below(live, raw)));
    } catch (error) {
      if (wrongKind.has((error as NodeJS.ErrnoException).code)) throw inTheWay(path, error);
      throw new WriteFailed(error, path);
    }
  }

  /** A call on the side of DEST. @throws WriteFailed */
  async #writing<T>(call: (by: Calls) => Soon<T>, path?: RawName): Promise<T> {
    try {
      return await this.#call(call);
    } catch (error) {
      throw writeFailed(error, path);
    }
  }

  /** Makes a call at once, or by a thread where that takes long. */
  async #call<T>(call: (by: Calls) => Soon<T>): Promise<T> {
    if (this.#pace.isSlow) return await call(this.#sideBySide.calls);
    const made = await this.#pace.time(() => call(calls));
    if (this.#pace.isSlow) widenThreadPool();
    return made;
  }

  async #do<T>(work: (by: Calls) => Work<T>): Promise<T> {
    return this.#pace.isSlow ? doInTime(work(this.#sideBySide.calls)) : doAtOnce(work(calls));
  }

  /** Lets signals be heard. @throws the signal's reason */
  async #breathe(): Promise<void> {
    if (!this.#pace.isSlow && ++this.#made % atOnce === 0)
      await new Promise((resolve) => setImmediate(resolve));
    if (this.#signal.aborted) throw reasonOf(this.#signal);
  }
}

interface Entry {
  readonly raw: RawName;
  /** Relative to DEST. */
  readonly path: RawName;
}

/** What a rename says where a directory stands in a file's place, or the other way round. */
const wrongKind: ReadonlySet<string | undefined> = new Set(['EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST']);

/** @param cause the error of the call that told it, if one did */
function inTheWay(path: RawName, cause?: unknown): InTheWay {
  const code = cause === undefined ? '' : ` (${(cause as NodeJS.ErrnoException).code})`;
  return new InTheWay(
    `${JSON.stringify(shownName(path))} in DEST was replaced by something else during the copy${code}`,
  );
}

/** Whether what is shown is what was prepared, or what another run of the same copy has put there since. */
function isAlike(prepared: Stats, shown: Stats): boolean {
  if (prepared.dev === shown.dev && prepared.ino === shown.ino) return true;
  return (['mode', 'uid', 'gid', 'size', 'mtimeMs'] as const).every((key) => prepared[key] === shown[key]);
}

/** Opens a directory below another, one component at a time and through no link; the caller closes it. */
export function openBelow(top: number, path: RawName): number {
  return doAtOnce(openingBelow(calls, top, path));
}
