import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  openSync,
  type Stats,
} from 'node:fs';
import { itself } from '../../kernel/tree/name.ts';
import { O_PATH, openPinned } from '../../kernel/tree/open.ts';
import type { Visitor } from '../../kernel/tree/walk.ts';
import type { Modes } from '../../kernel/tree/mode.ts';
import { belongsTo, type Owner } from './owner.ts';
import { emptyTally, listed, type Tally } from './tally.ts';

/** Permission bits of a mode. */
const permissions = 0o7777;
const setgid = 0o2000;

/** No owner: tells chown(2) to leave it. */
const unchanged = -1;

export interface ChangePlan {
  readonly owner: Owner;
  readonly from: Owner | undefined;
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
export class Change implements Visitor {
  readonly #plan: ChangePlan;
  #tally = emptyTally();

  constructor(plan: ChangePlan) {
    this.#plan = plan;
  }

  /** What was done since the last call. */
  take(): Tally {
    const tally = this.#tally;
    this.#tally = emptyTally();
    return tally;
  }

  entry(name: string | Buffer, stat: Stats): void {
    this.#tally.entries++;
    const { owner, from, modes, dryRun } = this.#plan;
    const wrongOwner = !belongsTo(stat, owner);
    if (wrongOwner && from !== undefined && !belongsTo(stat, from)) {
      this.#tally.spared++;
      return;
    }
    // A link has no mode of its own.
    const change = modes.file === undefined || stat.isSymbolicLink() ? undefined : modes.file;
    const mode = stat.mode & permissions;
    if (!wrongOwner && (change === undefined || change(mode, false) === mode)) {
      this.#tally.right++;
      return;
    }
    if (!dryRun) {
      this.#plan.beforeChange();
      if (change === undefined) lchownSync(name, owner.uid ?? unchanged, owner.gid ?? unchanged);
      else this.#pinned(name, (descriptor) => changeFile(descriptor, owner, wrongOwner, change));
    }
    this.#tally.changed++;
  }

  leave(stat: Stats): void {
    this.#tally.entries++;
    this.#tally.directories++;
    const { owner, from, modes, dryRun } = this.#plan;
    const wrongOwner = !belongsTo(stat, owner);
    if (wrongOwner && from !== undefined && !belongsTo(stat, from)) {
      this.#tally.spared++;
      return;
    }
    const wanted = directoryMode(stat, modes);
    if (!wrongOwner && wanted === undefined) {
      this.#tally.right++;
      return;
    }
    if (!dryRun) {
      this.#plan.beforeChange();
      if (wanted === undefined) lchownSync('.', owner.uid ?? unchanged, owner.gid ?? unchanged);
      else {
        const descriptor = openSync('.', O_PATH | constants.O_DIRECTORY);
        try {
          changeDirectory(descriptor, stat, owner, wanted, this.#plan.ownGroup);
        } finally {
          closeSync(descriptor);
        }
      }
    }
    this.#tally.changed++;
  }

  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    const { code, message } = error;
    // The top cannot be marked: no entry is to blame, and none may be changed.
    if (error instanceof this.#plan.fatal) throw error;
    this.#distrustTop();
    this.#tally.errors++;
    if (this.#tally.problems.length < listed)
      this.#tally.problems.push({ path, action, code: code ?? message });
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

/**
 * A file's owner, then its mode: changing the owner clears the set-ID bits, and the mode is reckoned from what is left.
 * The descriptor is one of O_PATH: what it was opened on is what is changed, whatever its name now leads to.
 */
function changeFile(
  descriptor: number,
  owner: Owner,
  wrongOwner: boolean,
  change: (mode: number, directory: boolean) => number,
): void {
  const path = itself(descriptor);
  let stat = fstatSync(descriptor);
  // Swapped since it was looked at: a link has no mode, and a directory is none of this entry's business.
  if (stat.isSymbolicLink() || stat.isDirectory()) return;
  if (wrongOwner) {
    chownSync(path, owner.uid ?? unchanged, owner.gid ?? unchanged);
    stat = fstatSync(descriptor);
  }
  const mode = stat.mode & permissions;
  const wanted = change(mode, false);
  if (wanted !== mode) chmodSync(path, wanted);
}

/**
 * A directory's mode, then its owner. chmod(2) silently drops set-group-ID where the directory's group is none of the
 * caller's and CAP_FSETID is missing; chown(2) leaves it on directories. So the bit is set while the group is ours.
 */
export function changeDirectory(
  descriptor: number,
  stat: Stats,
  owner: Owner,
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
