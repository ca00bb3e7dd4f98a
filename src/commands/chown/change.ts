import { closeSync, constants, lchownSync, lstatSync, type Stats } from 'node:fs';

import { type Calls, calls, given, type Work } from '../../fs/calls.ts';
import { itself } from '../../fs/directory/file-name.ts';
import { asPinned, O_PATH } from '../../fs/directory/open-directory.ts';
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

  entry(name: string | Buffer, stat: Stats, where: Where): void | Work<void> {
    this.#tally.entries++;
    if (this.#spares(stat) || this.#isRight(stat)) return;
    if (!this.#begins()) return;
    const { owner, from, modes } = this.#plan;
    // Whatever stands there by now, it is to belong to the owner: nothing else decides.
    if (from === undefined && (stat.isSymbolicLink() || (modes.file === undefined && !hasSetIds(stat)))) {
      // Of root's file in root's directory, nobody else sets the mode, or puts another in its place.
      const trusted = stat.uid === 0 && where.ofRootAlone;
      if (where.calls !== calls) return this.#give(name, trusted, where.calls);
      // The same without a generator for each entry.
      lchownSync(name, owner.uid ?? unchanged, owner.gid ?? unchanged);
      this.#tally.changed++;
      if (trusted) return;
      const now = lstatSync(name, quiet);
      return now !== undefined && survivesChown(now) ? this.#withdraw(name, calls) : undefined;
    }
    return pinned(name, where.calls, (descriptor) => this.#changeOpened(descriptor, where.calls));
  }

  /**
   * The owner before may have set a set-ID bit between the look and the change, which chown(2) leaves in one case
   * (survivesChown): hence the second look. To open each file first, so as to change what was judged, would cost more.
   */
  *#give(name: string | Buffer, trusted: boolean, made: Calls): Work<void> {
    const { owner } = this.#plan;
    yield* given(made.lchown(name, owner.uid ?? unchanged, owner.gid ?? unchanged));
    this.#tally.changed++;
    if (trusted) return;
    const now = yield* given(made.lstat(name));
    if (now !== undefined && survivesChown(now)) yield* this.#withdraw(name, made);
  }

  /** Takes the set-ID bits from what stands there, if it is the owner's. */
  #withdraw(name: string | Buffer, made: Calls): Work<void> {
    const { owner } = this.#plan;
    return pinned(name, made, function* (descriptor) {
      const stat = yield* given(made.fstat(descriptor));
      if (stat.isDirectory() || !belongsTo(stat, owner) || !hasSetIds(stat)) return;
      yield* given(made.chmod(itself(descriptor), stat.mode & permissions & ~setIds));
    });
  }

  /** An entry that is not a directory and is held open (O_PATH). */
  *opened(descriptor: number, { calls: made }: Pick<Where, 'calls'>): Work<void> {
    this.#tally.entries++;
    const stat = yield* given(made.fstat(descriptor));
    if (this.#spares(stat) || this.#isRight(stat)) return;
    if (this.#begins()) yield* this.#changeOpened(descriptor, made);
  }

  leave(stat: Stats, where: Where): void | Work<void> {
    this.#tally.entries++;
    this.#tally.directories++;
    if (this.#spares(stat) || this.#isRight(stat)) return;
    if (!this.#begins()) return;
    return this.#changeLeft(stat, where);
  }

  *#changeLeft(stat: Stats, where: Where): Work<void> {
    const { calls: made } = where;
    const path = where.path();
    const { owner, from, modes, ownGroup } = this.#plan;
    if (from === undefined && directoryMode(stat, modes) === undefined) {
      yield* given(made.lchown(path, owner.uid ?? unchanged, owner.gid ?? unchanged));
      this.#tally.changed++;
      return;
    }
    const descriptor = yield* given(made.open(path, O_PATH | constants.O_DIRECTORY));
    try {
      // All that is in it was changed since it was looked at, which takes time.
      const now = yield* given(made.fstat(descriptor));
      if (this.#spares(now) || this.#isRight(now)) return;
      yield* changeDirectory(descriptor, now, owner, directoryMode(now, modes), ownGroup, made);
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
  *#changeOpened(descriptor: number, made: Calls): Work<void> {
    const path = itself(descriptor);
    let stat = yield* given(made.fstat(descriptor));
    // None of this entry's business: it has its own turn where it is found as a directory.
    if (stat.isDirectory()) {
      this.#tally.vanished++;
      return;
    }
    if (this.#spares(stat) || this.#isRight(stat)) return;
    const { owner, modes } = this.#plan;
    if (!belongsTo(stat, owner)) {
      if (survivesChown(stat)) yield* given(made.chmod(path, stat.mode & permissions & ~setIds));
      yield* given(made.chown(path, owner.uid ?? unchanged, owner.gid ?? unchanged));
      stat = yield* given(made.fstat(descriptor));
      // Whoever owned it may have set them again in between.
      if (hasSetIds(stat)) {
        yield* given(made.chmod(path, stat.mode & permissions & ~setIds));
        stat = yield* given(made.fstat(descriptor));
      }
    }
    const wanted = fileMode(stat, modes);
    if (wanted !== undefined) yield* given(made.chmod(path, wanted));
    this.#tally.changed++;
  }

  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    const { code, message } = error;
    // The top cannot be marked: no entry is to blame, and none may be changed.
    if (error instanceof this.#plan.fatal) throw error;
    this.#distrustTop();
    this.#tally.errors++;
    if (this.#tally.problems.length < listedProblems)
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
}

/** Work on an entry that is held open meanwhile. */
function* pinned(name: string | Buffer, made: Calls, work: (descriptor: number) => Work<void>): Work<void> {
  const descriptor = yield* given(made.open(name, asPinned));
  try {
    yield* work(descriptor);
  } finally {
    // Closing what was opened with O_PATH asks nothing of the volume.
    closeSync(descriptor);
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
export function* changeDirectory(
  descriptor: number,
  stat: Stats,
  owner: NewOwner,
  wanted: number | undefined,
  ownGroup: number,
  made: Calls = calls,
): Work<void> {
  const path = itself(descriptor);
  if (wanted !== undefined) {
    yield* given(made.chmod(path, wanted));
    const dropped = (wanted & setgid) !== 0 && ((yield* given(made.fstat(descriptor))).mode & setgid) === 0;
    if (dropped) {
      yield* given(made.chown(path, unchanged, ownGroup));
      yield* given(made.chmod(path, wanted));
      yield* given(made.chown(path, owner.uid ?? unchanged, owner.gid ?? stat.gid));
      return;
    }
  }
  if (!belongsTo(stat, owner)) yield* given(made.chown(path, owner.uid ?? unchanged, owner.gid ?? unchanged));
}
