import { closeSync, fstatSync, type Stats } from 'node:fs';

import type { Context } from '../../core/context.ts';
import { formatDuration } from '../../core/duration.ts';
import { done, firstFailure, type Outcome, UsageError } from '../../core/outcome.ts';
import { calls, doAtOnce } from '../../fs/calls.ts';
import { shownName } from '../../fs/directory/file-name.ts';
import { ClosedPath, LinkInPath, MissingPath, openPlace } from '../../fs/directory/pinned-path.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { type ModeTexts, modesOf } from '../../fs/tree/mode.ts';
import { libcForGuard } from '../../fs/tree/refused-paths.ts';
import { addTally, grouped, walkProgressText } from '../../fs/tree/tally.ts';
import { helpersFor, runWalk } from '../../fs/tree/worker-pool.ts';
import { effectiveCapabilities } from '../../process/capabilities.ts';
import { type ChownAssignment, excludeOf, chownWalk } from './assignment.ts';
import { OwnerVisitor } from './change.ts';
import { endedEarly, jsonOf, chownOutcome, outcomeOfClosed, type Result, type Told } from './outcome.ts';
import { belongsTo, namesNobody, type NewOwner, type OwnerText, resolveOwner } from './owner.ts';
import { type ChownTally, emptyChownTally } from './tally.ts';
import { closeTarget, makeTarget, openTarget, type ChownTarget } from './target.ts';
import { isMarked, isRight, notKept, settle, TopRefused } from './top.ts';
import { volumesBelow } from './volumes-below.ts';

export interface ChownRequest {
  readonly owner: OwnerText | undefined;
  readonly reference: string | undefined;
  readonly from: OwnerText | undefined;
  readonly paths: readonly string[];
  readonly recursive: boolean;
  /** Whether a top directory that is right speaks for all below it. */
  readonly trustTop: boolean;
  readonly modes: ModeTexts;
  readonly create: boolean;
  /** Whether a path that is missing is left out. */
  readonly ifExists: boolean;
  readonly crossMounts: boolean;
  readonly exclude: readonly string[];
  readonly dryRun: boolean;
}

/** Milliseconds between two lines about a long walk. */
const progressEvery = 5000;

/**
 * Changes each path in turn, after all of them were looked at.
 * @throws UsageError where a path or an owner is not one to work with: then nothing was changed
 */
export async function chownTrees(request: ChownRequest, context: Context): Promise<Outcome> {
  const exclude = await matcher(request.exclude);
  try {
    const job = new Job(request, exclude, context);
    using targets = new Targets(request, context);
    for (const path of targets.missing)
      context.log.info(`${path} does not exist, so it is left out (--if-exists)`);
    if (targets.list.length === 0 && !request.dryRun)
      return done(`${targets.missing.join(', ')}: nothing to change (--if-exists)`);
    const below = volumesBelow(targets.list, request, exclude, context.log);
    // Awaited here: the paths stay open until the work is done.
    return await job.run(targets.list, below);
  } catch (thrown) {
    const error = firstFailure(thrown);
    if (!(error instanceof ClosedPath)) throw thrown;
    return outcomeOfClosed(error, effectiveCapabilities());
  }
}

/** @throws UsageError where a pattern is not one */
export async function matcher(patterns: readonly string[]): Promise<Exclude | undefined> {
  try {
    return await excludeOf(patterns);
  } catch (error) {
    throw new UsageError(`--exclude: ${(error as Error).message}`);
  }
}

/** The paths, each held open from before the first change to after the last. */
class Targets implements Disposable {
  readonly list: ChownTarget[] = [];
  /** Those that need not be there. */
  readonly missing: string[] = [];

  constructor(request: ChownRequest, context: Context) {
    try {
      for (const text of request.paths) {
        const target = openTarget(text, request, context.host.script);
        if (target === undefined) this.missing.push(text);
        else this.list.push(target);
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const target of this.list) closeTarget(target);
  }
}

class Job {
  readonly #request: ChownRequest;
  readonly #context: Context;
  readonly #owner: NewOwner;
  readonly #from: NewOwner | undefined;
  readonly #exclude: Exclude | undefined;
  readonly #capability = effectiveCapabilities();
  readonly #startedAt: number;

  constructor(request: ChownRequest, exclude: Exclude | undefined, context: Context) {
    this.#exclude = exclude;
    this.#request = request;
    this.#context = context;
    this.#startedAt = context.clock.now();
    try {
      this.#owner = newOwnerOf(request);
      this.#from = request.from === undefined ? undefined : resolveOwner(request.from);
    } catch (error) {
      throw error instanceof UsageError || error instanceof ClosedPath
        ? error
        : new UsageError((error as Error).message);
    }
  }

  /** @param below what is mounted below a target and is not entered, for people */
  async run(targets: readonly ChownTarget[], below: ReadonlyMap<ChownTarget, string>): Promise<Outcome> {
    const results: Result[] = [];
    for (const target of targets) {
      const tally = emptyChownTally();
      const stop = this.#progress(target, tally);
      try {
        results.push({ ...(await this.#one(target, tally)), mountsBelow: below.get(target) });
      } catch (error) {
        return endedEarly(target, tally, error, this.#told());
      } finally {
        stop();
      }
    }
    if (this.#request.dryRun) this.#context.stdout(jsonOf(results, this.#owner));
    return chownOutcome(targets, results, this.#told());
  }

  async #one(target: ChownTarget, tally: ChownTally): Promise<Omit<Result, 'mountsBelow'>> {
    const { dryRun, recursive, trustTop } = this.#request;
    const result = {
      path: target.shown,
      tally,
      trusted: false,
      created: target.missing.length > 0,
    };
    const modes = modesOf(this.#request.modes);
    if (target.missing.length > 0) {
      tally.entries = tally.directories = tally.changed = target.missing.length;
      if (!dryRun) makeTarget(target, this.#owner, modes, this.#context.host.gid);
      return result;
    }
    const { descriptor, pinned } = target;
    if (pinned !== undefined) this.#single(target, pinned, tally);
    if (descriptor === undefined) return result;
    const stat = fstatSync(descriptor);
    if (trustTop && isRight(stat, this.#owner, modes) && !isMarked(stat, this.#owner))
      return { ...result, trusted: true };
    const spared = this.#spares(stat);
    const right = isRight(stat, this.#owner, modes);
    // What shows a run that was cut off is the owner.
    const marks = !spared && !namesNobody(this.#owner);
    const marked = recursive && (await this.#below(target, stat, marks, tally));
    tally.entries++;
    tally.directories++;
    if (spared) tally.spared++;
    else if (right && !marked) tally.right++;
    else if (tally.errors === 0) {
      if (!dryRun) settle(descriptor, this.#owner, modes, this.#context.host.gid);
      if (right) tally.right++;
      else tally.changed++;
    }
    return result;
  }

  /** Whether --from leaves the top directory alone. One that an interrupted run marked is to be finished. */
  #spares(stat: Stats): boolean {
    const from = this.#from;
    if (from === undefined || belongsTo(stat, this.#owner) || isMarked(stat, this.#owner)) return false;
    return !belongsTo(stat, from);
  }

  /** Everything below a top directory. True where it was marked as under way. */
  async #below(target: ChownTarget, stat: Stats, markTop: boolean, tally: ChownTally): Promise<boolean> {
    const { request, context } = { request: this.#request, context: this.#context };
    const assignment: ChownAssignment = {
      path: target.shown,
      dev: stat.dev,
      ino: stat.ino,
      owner: this.#owner,
      from: this.#from,
      modes: request.modes,
      exclude: request.exclude,
      crossMounts: request.crossMounts,
      dryRun: request.dryRun,
      ownGroup: context.host.gid,
      keepAccess: this.#entersAnything() ? undefined : this.#ownUser(),
      markTop,
    };
    const top = target.descriptor as number;
    const libc = await libcForGuard(top);
    const { walk, change } = chownWalk(assignment, this.#exclude, top, context.host, libc);
    const before = tally.changed + tally.errors;
    try {
      walk.begin();
      await runWalk(
        {
          walk,
          command: 'chown',
          settings: assignment,
          add: (more: ChownTally) => addTally(tally, more),
          own: () => change.take(),
          places: [top],
          helpers: this.#entersAnything() ? helpersFor(context.host) : 0,
        },
        context,
      );
    } finally {
      addTally(tally, change.take());
      walk.close();
    }
    return markTop && tally.changed + tally.errors > before;
  }

  /**
   * Whether directories of any owner and mode can be entered. Otherwise each must be changed after all that is below
   * it, which several processes together do not keep to.
   */
  #entersAnything(): boolean {
    return (
      this.#capability === undefined ||
      this.#capability('DAC_OVERRIDE') ||
      this.#capability('DAC_READ_SEARCH')
    );
  }

  #ownUser(): number | undefined {
    const { uid } = this.#context.host;
    return uid === this.#owner.uid && this.#owner.gid === undefined ? undefined : uid;
  }

  /** A path that is no directory. */
  #single(target: ChownTarget, pinned: number, tally: ChownTally): void {
    const change = new OwnerVisitor({
      owner: this.#owner,
      from: this.#from,
      modes: modesOf(this.#request.modes),
      dryRun: this.#request.dryRun,
      ownGroup: this.#context.host.gid,
      beforeChange() {},
      fatal: TopRefused,
    });
    try {
      const spared = this.#spares(fstatSync(pinned));
      doAtOnce(change.opened(pinned, { calls }));
      const kept = this.#request.dryRun || spared || belongsTo(fstatSync(pinned), this.#owner);
      if (!kept) throw new TopRefused(notKept);
    } catch (error) {
      change.failed(target.shown, 'change', error as NodeJS.ErrnoException);
    }
    addTally(tally, change.take());
  }

  #told(): Told {
    return {
      owner: this.#owner,
      dryRun: this.#request.dryRun,
      capability: this.#capability,
      elapsed: formatDuration(this.#context.clock.now() - this.#startedAt),
    };
  }

  #progress(target: ChownTarget, tally: ChownTally): () => void {
    const { clock, log } = this.#context;
    const startedAt = clock.now();
    let cancel = (): void => {};
    const arm = (): void => {
      cancel = clock.after(progressEvery, () => {
        log.info(
          `${target.shown}: ${walkProgressText(tally, clock.now() - startedAt, `${grouped(tally.changed)} changed`)}`,
        );
        arm();
      });
    };
    arm();
    return () => cancel();
  }
}

function newOwnerOf({ owner, reference }: ChownRequest): NewOwner {
  if (owner !== undefined) return resolveOwner(owner);
  // Where only modes are to change.
  return reference === undefined ? { uid: undefined, gid: undefined } : referenceOwner(reference);
}

/** Whose a path is. Not through links: whoever may write one would choose the owner. */
function referenceOwner(path: string): NewOwner {
  try {
    const place = openPlace(path);
    closeSync(place.parent);
    if (place.stat === undefined)
      throw new UsageError(`--reference: ${shownName(place.path)} does not exist`);
    return { uid: place.stat.uid, gid: place.stat.gid };
  } catch (error) {
    if (error instanceof LinkInPath || error instanceof MissingPath)
      throw new UsageError(`--reference: ${error.message}; it takes a path without links`);
    throw error;
  }
}
