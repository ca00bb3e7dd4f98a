import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  lstatSync,
  openSync,
  type Stats,
} from 'node:fs';

import { itself } from '../../fs/directory/file-name.ts';
import { O_PATH, openPinned } from '../../fs/directory/open-directory.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import type { Modes } from '../../fs/tree/mode.ts';
import { listedProblems } from '../../fs/tree/tally.ts';
import type { Visitor, Where } from '../../fs/tree/visitor.ts';
import { belongsTo, type NewOwner } from './owner.ts';
import { type ChownTally, emptyChownTally } from './tally.ts';

/** Permission bits of a mode. */
const permissions = 0o7777;
const setIds = 0o6000;
const setgid = 0o2000;
const groupExecute = 0o010;

const quiet = { throwIfNoEntry: false } as const;

/** No owner: tells chown(2) to leave it. */
const unchanged = -1;

export interface ChangePlan {
  readonly owner: NewOwner;
  readonly from: NewOwner | undefined;
  readonly modes: Modes;
  readonly dryRun: boolean;
  /** The group of this process: the one in which it may set set-group-ID without CAP_FSETID. */
  readonly ownGroup: number;
  /** Called before anything is changed; may be called again. */
  readonly beforeChange: () => void;
  /** What beforeChange throws where the walk must end. */
  readonly fatal: new (...parameters: never[]) => Error;
}

/** Gives each entry its owner and mode, where it has not got them. */
export class OwnerVisitor implements Visitor {
  readonly #plan: ChangePlan;
  #tally = emptyChownTally();

  constructor(plan: ChangePlan) {
    this.#plan = plan;
  }

  /** What was done since the last call. */
  take(): ChownTally {
    const tally = this.#tally;
    this.#tally = emptyChownTally();
    return tally;
  }

  entry(name: string | Buffer, stat: Stats, where: Where): void {
    this.#tally.entries++;
    if (this.#spares(stat) || this.#isRight(stat)) return;
    if (!this.#begins()) return;
    const { owner, from, modes } = this.#plan;
    // Whatever stands there by now, it is to belong to the owner: nothing else decides.
    if (from === undefined && (stat.isSymbolicLink() || (modes.file === undefined && !hasSetIds(stat)))) {
      lchownSync(name, owner.uid ?? unchanged, owner.gid ?? unchanged);
      this.#tally.changed++;
      // Of root's file in root's directory, nobody else sets the mode, or puts another in its place.
      if (stat.uid !== 0 || !where.ofRootAlone) this.#lookAgain(name);
    } else this.#pinned(name, (descriptor) => this.#changeOpened(descriptor));
  }

  /**
   * The owner before may have set a set-ID bit between the look and the change, which chown(2) leaves in one case
   * (survivesChown). To open each file first, so as to change what was judged, would cost more than this.
   */
  #lookAgain(name: string | Buffer): void {
    const now = lstatSync(name, quiet);
    if (now === undefined || !survivesChown(now)) return;
    this.#pinned(name, (descriptor) => {
      const stat = fstatSync(descriptor);
      if (stat.isDirectory() || !belongsTo(stat, this.#plan.owner) || !hasSetIds(stat)) return;
      chmodSync(itself(descriptor), stat.mode & permissions & ~setIds);
    });
  }

  /** An entry that is not a directory and is held open (O_PATH). */
  opened(descriptor: number): void {
    this.#tally.entries++;
    const stat = fstatSync(descriptor);
    if (this.#spares(stat) || this.#isRight(stat)) return;
    if (this.#begins()) this.#changeOpened(descriptor);
  }

  leave(stat: Stats): void {
    this.#tally.entries++;
    this.#tally.directories++;
    if (this.#spares(stat) || this.#isRight(stat)) return;
    if (!this.#begins()) return;
    const { owner, from, modes, ownGroup } = this.#plan;
    if (from === undefined && directoryMode(stat, modes) === undefined) {
      lchownSync('.', owner.uid ?? unchanged, owner.gid ?? unchanged);
      this.#tally.changed++;
      return;
    }
    const descriptor = openSync('.', O_PATH | constants.O_DIRECTORY);
    try {
      // All that is in it was changed since it was looked at, which takes time.
      const now = fstatSync(descriptor);
      if (this.#spares(now) || this.#isRight(now)) return;
      changeDirectory(descriptor, now, owner, directoryMode(now, modes), ownGroup);
      this.#tally.changed++;
    } finally {
      closeSync(descriptor);
    }
  }

  /** Whether --from leaves it alone, which is counted. */
  #spares(stat: Stats): boolean {
    const { owner, from } = this.#plan;
    if (from === undefined || belongsTo(stat, owner) || belongsTo(stat, from)) return false;
    this.#tally.spared++;
    return true;
  }

  /** Whether nothing is to be changed, which is counted. */
  #isRight(stat: Stats): boolean {
    const { owner, modes } = this.#plan;
    if (!belongsTo(stat, owner)) return false;
    if (stat.isDirectory() ? directoryMode(stat, modes) !== undefined : fileMode(stat, modes) !== undefined)
      return false;
    this.#tally.right++;
    return true;
  }

  /** False where a change is only counted. */
  #begins(): boolean {
    if (this.#plan.dryRun) this.#tally.changed++;
    else this.#plan.beforeChange();
    return !this.#plan.dryRun;
  }

  /**
   * What was opened may be another than what was looked at: all is judged again. It is what is changed, whatever its name
   * leads to by then. The owner first: changing it clears the set-ID bits, and the mode is reckoned from what is left.
   */
  #changeOpened(descriptor: number): void {
    const path = itself(descriptor);
    let stat = fstatSync(descriptor);
    // None of this entry's business: it has its own turn where it is found as a directory.
    if (stat.isDirectory()) {
      this.#tally.vanished++;
      return;
    }
    if (this.#spares(stat) || this.#isRight(stat)) return;
    const { owner, modes } = this.#plan;
    if (!belongsTo(stat, owner)) {
      if (survivesChown(stat)) chmodSync(path, stat.mode & permissions & ~setIds);
      chownSync(path, owner.uid ?? unchanged, owner.gid ?? unchanged);
      stat = fstatSync(descriptor);
      // Whoever owned it may have set them again in between.
      if (hasSetIds(stat)) {
        chmodSync(path, stat.mode & permissions & ~setIds);
        stat = fstatSync(descriptor);
      }
    }
    const wanted = fileMode(stat, modes);
    if (wanted !== undefined) chmodSync(path, wanted);
    this.#tally.changed++;
  }

  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    const { message } = error;
    // The top cannot be marked: no entry is to blame, and none may be changed.
    if (error instanceof this.#plan.fatal) throw error;
    this.#distrustTop();
    this.#tally.errors++;
    if (this.#tally.problems.length < listedProblems)
      this.#tally.problems.push({ path, action, code: systemErrorCode(error) ?? message });
  }

  vanished(): void {
    this.#tally.vanished++;
  }

  excluded(): void {
    this.#tally.excluded++;
  }

  crossed(): void {
    this.#tally.crossed++;
  }

  /** A top that was right before this run is not to speak for what this run could not look at. */
  #distrustTop(): void {
    if (this.#plan.dryRun) return;
    try {
      this.#plan.beforeChange();
    } catch {
      // it cannot be marked: the error that is being counted is the one to tell
    }
  }

  #pinned(name: string | Buffer, work: (descriptor: number) => void): void {
    const descriptor = openPinned(name);
    try {
      work(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}

/** The permission bits a directory should have; undefined where it has them. */
export function directoryMode(stat: Stats, modes: Modes): number | undefined {
  const mode = stat.mode & permissions;
  const wanted = modes.directory?.(mode, true) ?? mode;
  return wanted === mode ? undefined : wanted;
}

/** The same for what is not a directory; a link has no mode of its own. */
function fileMode(stat: Stats, modes: Modes): number | undefined {
  if (stat.isSymbolicLink()) return undefined;
  const mode = stat.mode & permissions;
  const wanted = modes.file?.(mode, false) ?? mode;
  return wanted === mode ? undefined : wanted;
}

function hasSetIds(stat: Stats): boolean {
  return !stat.isSymbolicLink() && (stat.mode & setIds) !== 0;
}

/**
 * Whether chown(2) leaves set-group-ID: to a caller with CAP_FSETID it does where group execute is missing
 * (setattr_should_drop_sgid in fs/attr.c). All other set-ID bits it clears in the same step.
 */
function survivesChown(stat: Stats): boolean {
  return hasSetIds(stat) && (stat.mode & setgid) !== 0 && (stat.mode & groupExecute) === 0;
}

/**
 * A directory's mode, then its owner. chmod(2) silently drops set-group-ID where the directory's group is none of the
 * caller's and CAP_FSETID is missing; chown(2) leaves it on directories. So the bit is set while the group is ours.
 */
export function changeDirectory(
  descriptor: number,
  stat: Stats,
  owner: NewOwner,
  wanted: number | undefined,
  ownGroup: number,
): void {
  const path = itself(descriptor);
  if (wanted !== undefined) {
    chmodSync(path, wanted);
    const dropped = (wanted & setgid) !== 0 && (fstatSync(descriptor).mode & setgid) === 0;
    if (dropped) {
      chownSync(path, unchanged, ownGroup);
      chmodSync(path, wanted);
      chownSync(path, owner.uid ?? unchanged, owner.gid ?? stat.gid);
      return;
    }
  }
  if (!belongsTo(stat, owner)) chownSync(path, owner.uid ?? unchanged, owner.gid ?? unchanged);
}
