import { accessSync, chmodSync, closeSync, constants, fstatSync } from 'node:fs';

import { sleep } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { formatDuration } from '../../core/duration.ts';
import { Grace } from '../../core/grace.ts';
import { done, firstFailure, type Outcome, UsageError } from '../../core/outcome.ts';
import { formatBytes } from '../../core/size.ts';
import type { Opening } from '../../fs/directory/access.ts';
import { Directory, linkTarget } from '../../fs/directory/directory.ts';
import { itself, rawOf, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { isWithin } from '../../fs/directory/mounts.ts';
import { isAbsent } from '../../fs/directory/open-directory.ts';
import { isInside, placeOf } from '../../fs/directory/place.ts';
import { refused } from '../../fs/error-message.ts';
import type { FileOwner } from '../../fs/publish/attributes.ts';
import { cutOffCopies, endCutOff, transitOf } from '../../fs/publish/copy-places.ts';
import { isEmpty } from '../../fs/publish/empty-folder.ts';
import { createNamer, dataLink } from '../../fs/publish/file-names.ts';
import { hasLeftovers, removeLeftovers } from '../../fs/publish/leftovers.ts';
import { takeTurn } from '../../fs/publish/publish-lock.ts';
import { findPublished, type Leftovers } from '../../fs/publish/remove.ts';
import { isPattern } from '../../fs/tree/name-pattern.ts';
import { walkProgressText } from '../../fs/tree/tally.ts';
import { Walk } from '../../fs/tree/walk.ts';
import { walkAlone } from '../../fs/tree/worker-pool.ts';
import { effectiveCapabilities, fileModeMask } from '../../process/capabilities.ts';
import { excludeFor, type Tools, toolsFor } from './assignment.ts';
import { copyAtomically } from './atomic.ts';
import type { MountBelow } from './copy-directories.ts';
import {
  checkSourcesAnew,
  closeDestination,
  type Destination,
  makeDestination,
  openDestination,
} from './destination.ts';
import { whyNothing } from './empty-source.ts';
import { InTheWay, mayBeOfSources, Outdated, SourceChanged, stageLost, WriteFailed } from './failures.ts';
import { type Common, fill } from './fill.ts';
import { hasUnprovenGaps } from './gaps.ts';
import { Kept } from './kept.ts';
import { Listings } from './listings.ts';
import { merge, openBelow } from './merge.ts';
import { clearMounts, mountsBelow, MountStages, removeMountStage } from './mount-stages.ts';
import { mostLooks, OpenSources } from './open-sources.ts';
import { changedTries, ended, finished, mostTries, pauseAfter, type Standing } from './outcome.ts';
import { hasDataLink, Prune } from './prune.ts';
import { type Identity } from './same-place.ts';
import { SeenDirectories } from './seen-directories.ts';
import { SourceMounts } from './source-mounts.ts';
import { isOutdated, rootsOf, type SourceRoot } from './sources.ts';
import { Stage } from './stage.ts';
import { type CopyTally, type TightDirectory, emptyCopyTally, countsOf } from './tally.ts';
import { withoutInternals } from './visit.ts';
import { isMadeWholeBy, whichCopy } from './which-copy.ts';

export interface CopyRequest {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly ifEmpty: boolean;
  /** Whether a source may be missing. */
  readonly ifExists: boolean;
  readonly noClobber: boolean;
  readonly delete: boolean;
  readonly atomic: boolean;
  readonly dereference: boolean;
  readonly checksum: boolean;
  readonly mode: string | undefined;
  readonly owner: FileOwner | undefined;
  readonly exclude: readonly string[];
  readonly crossMounts: boolean;
  readonly dryRun: boolean;
}

/** Milliseconds between two lines about a long copy. */
const progressEvery = 5000;

/** Milliseconds for cleaning up once a signal came, and for the calls that are under way then. */
const lastWork = 100;
const hanging = 1000;

/**
 * Copies the sources to DEST: everything is prepared out of sight, then shown by renames.
 * @throws UsageError where they do not fit together: then nothing was done
 */
export async function copyTrees(request: CopyRequest, context: Context): Promise<Outcome> {
  const tools = await toolsOf(request.exclude);
  using held = new Held(request, tools.exclude, context.host.script);
  tellMissing(held.missing, context);
  // With --delete too: what is missing says nothing of what DEST should hold.
  if (held.sources.length === 0) {
    if (request.dryRun)
      context.stdout(`${JSON.stringify({ destination: held.destination.path, copied: 0 })}\n`);
    return done(`none of the sources exists, so nothing was copied to ${request.destination} (--if-exists)`);
  }
  const job = new Job(request, tools, held, context);
  // Awaited here: the paths stay open until the work is done.
  return await job.run();
}

function tellMissing(missing: readonly string[], { log }: Pick<Context, 'log'>): void {
  for (const text of missing) log.info(`${text} does not exist, so it is left out (--if-exists)`);
}

async function toolsOf(patterns: readonly string[]): Promise<Tools> {
  await checkPatterns(patterns);
  return toolsFor(patterns);
}

/** @throws UsageError where a pattern is not one */
export async function checkPatterns(patterns: readonly string[]): Promise<void> {
  try {
    await excludeFor(patterns);
  } catch (error) {
    throw new UsageError(`--exclude: ${(error as Error).message}`);
  }
}

/** @throws UsageError where two options contradict each other */
export function checkModes(request: Pick<CopyRequest, 'delete' | 'noClobber'>): void {
  if (request.delete && request.noClobber)
    throw new UsageError('--delete and --no-clobber cannot be combined');
}

/** The sources and DEST, open. */
class Held implements Disposable {
  readonly destination: Destination;
  readonly #request: CopyRequest;
  readonly #exclude: Tools['exclude'];
  #sources: OpenSources;

  constructor(request: CopyRequest, exclude: Tools['exclude'], script: string) {
    this.#request = request;
    this.#exclude = exclude;
    for (let look = 1; ; look++) {
      this.#sources = new OpenSources(request, exclude);
      try {
        this.destination = this.#openDestination(script);
        return;
      } catch (error) {
        // What is wrong with folders to which their paths do not lead any more is wrong with nothing that was asked for.
        const moved = look < mostLooks && this.leadElsewhere();
        this.#sources[Symbol.dispose]();
        if (!moved) throw error;
      }
    }
  }

  #openDestination(script: string): Destination {
    const { sources } = this;
    const destination = openDestination(this.#request.destination, sources, {
      script,
      deletes: this.#request.delete,
      several: this.#request.sources.length > 1 || this.#request.sources.some(isPattern),
    });
    try {
      checkRequest(this.#request, { sources, destination }, this.#exclude);
      return destination;
    } catch (error) {
      closeDestination(destination);
      throw error;
    }
  }

  get sources(): readonly SourceRoot[] {
    return this.#sources.roots;
  }

  /** Sources that need not be there, and are not. */
  get missing(): readonly string[] {
    return this.#sources.missing;
  }

  /** Whether the sources, as they are written, stand for other folders by now, or for more or fewer of them. */
  leadElsewhere(): boolean {
    return this.#sources.leadElsewhere();
  }

  /** Opens what the sources stand for now. @throws UsageError */
  refresh(): void {
    const before = this.#sources;
    this.#sources = new OpenSources(this.#request, this.#exclude);
    before[Symbol.dispose]();
    checkSourcesAnew(this.#request.destination, this.destination, this.sources);
    checkRequest(this.#request, this, this.#exclude);
  }

  [Symbol.dispose](): void {
    this.#sources[Symbol.dispose]();
    closeDestination(this.destination);
  }
}

function checkRequest(
  request: CopyRequest,
  { sources, destination }: Pick<Held, 'sources' | 'destination'>,
  exclude: Tools['exclude'],
): void {
  checkModes(request);
  const directories = sources.filter(({ stat }) => stat.isDirectory());
  if (destination.file !== undefined) {
    for (const [name, given] of [
      ['--if-empty', request.ifEmpty],
      ['--atomic', request.atomic],
    ] as const) {
      if (given)
        throw new UsageError(`${name} applies to directories, and ${request.destination} will be a file`);
    }
  }
  if (request.delete) {
    if (directories.length < sources.length)
      throw new UsageError('--delete makes DEST like a directory; a file was given as a source');
    const at = placeOf(destination.nearest, destination.missing);
    for (const { descriptor, text } of directories) {
      refuseNothing({ descriptor, text }, request, exclude);
      if (isInside(placeOf(descriptor), at))
        throw new UsageError(`${text} is inside ${request.destination}: --delete would remove it`);
    }
  }
  if (request.atomic && (request.noClobber || request.delete))
    throw new UsageError(
      `--atomic replaces the whole tree that it published before; ${request.delete ? '--delete adds nothing to it' : '--no-clobber contradicts it'}`,
    );
}

/** @throws UsageError where nothing of a source would be copied: more likely a volume that is not mounted */
function refuseNothing(
  { descriptor, text }: Pick<SourceRoot, 'descriptor' | 'text'>,
  { crossMounts, destination, atomic }: CopyRequest,
  exclude: Tools['exclude'],
): void {
  const nothing = whyNothing(descriptor, exclude, crossMounts);
  if (nothing !== undefined)
    throw new UsageError(
      atomic
        ? `${text} ${nothing}, and --atomic would show none of it in ${destination}; is its volume mounted?`
        : `${text} ${nothing}, and --delete would remove all of ${destination}; is its volume mounted?`,
    );
}

class Job {
  readonly #request: CopyRequest;
  readonly #tools: Tools;
  readonly #held: Held;
  readonly #context: Context;
  readonly #startedAt: number;
  #tally = emptyCopyTally();
  /** Which try this is, from 1. */
  #attempt = 1;
  /** Whether something was shown by a try of this run. */
  #hasShown = false;
  /** With --atomic, the sources that had something to copy at the beginning of a try. */
  readonly #hadContent = new Set<string>();
  /** The volumes that were read, in all tries. */
  readonly #mounts = new SourceMounts();
  /** What was read of the sources, in this try. */
  readonly #listings = new Listings();
  /** When the run began, in milliseconds since 1970. */
  readonly #since: number;
  /** Whether what the sources have not is no proof that it goes in DEST. */
  #unproven = false;
  #removed: number | undefined;
  /** Whether readers see a part of this very copy, by an earlier run or try or by this one. */
  #torn = false;

  constructor(request: CopyRequest, tools: Tools, held: Held, context: Context) {
    this.#request = request;
    this.#tools = tools;
    this.#held = held;
    this.#context = context;
    this.#startedAt = context.clock.now();
    this.#since = context.clock.date().getTime();
  }

  async run(): Promise<Outcome> {
    const { destination } = this.#held;
    const stop = this.#progress();
    try {
      if (this.#request.ifEmpty && destination.descriptor !== undefined) {
        using there = Directory.open(itself(destination.descriptor));
        if (!this.#mayBegin(there)) {
          await this.#clearLeftovers(there);
          return this.#occupied(there);
        }
      }
      for (let attempt = 1; ; attempt++) {
        this.#attempt = attempt;
        try {
          return await this.#once();
        } catch (thrown) {
          const error = this.#causeOf(thrown);
          const again =
            error instanceof Outdated ||
            error instanceof SourceChanged ||
            (error instanceof WriteFailed && error.code === stageLost);
          if (!again || attempt === mostTries) throw thrown;
          this.#context.log.info(
            error instanceof Outdated
              ? 'a ConfigMap or Secret was updated meanwhile: its new version is copied'
              : error instanceof SourceChanged
                ? 'a source changed meanwhile: what it has now is copied'
                : 'another run removed the prepared files: starting again',
          );
          this.#tally = emptyCopyTally();
          this.#torn = false;
          const { missing } = this.#held;
          attempt += await this.#refresh(error instanceof SourceChanged);
          tellMissing(
            this.#held.missing.filter((text) => !missing.includes(text)),
            this.#context,
          );
          if (this.#held.sources.length === 0)
            return done(
              `none of the sources exists any more, so nothing is ${this.#hasShown ? 'removed from' : 'copied to'} ${destination.path} (--if-exists)`,
            );
        }
      }
    } catch (error) {
      return ended(this.#standing(), error);
    } finally {
      stop();
    }
  }

  /** Whether entries that a source has lost meanwhile have the copy begin anew. */
  get #mayRestart(): boolean {
    return this.#attempt < changedTries;
  }

  /** What has ended a try: what is said of a source to which its path leads no more is said of nothing that is there. */
  #causeOf(thrown: unknown): unknown {
    const error = firstFailure(thrown);
    const mayBe = this.#attempt < mostTries && !this.#context.signal.aborted && mayBeOfSources(error);
    return mayBe && this.#held.leadElsewhere() ? new SourceChanged() : error;
  }

  /**
   * Opens what the sources stand for now.
   * @param pauses whether something works on them
   * @returns how many tries failed at it
   * @throws UsageError, or the signal's reason
   */
  async #refresh(pauses: boolean): Promise<number> {
    const { clock, signal } = this.#context;
    for (let failed = 0; ; failed++) {
      if (pauses) await sleep(clock, pauseAfter(this.#attempt + failed), signal);
      try {
        this.#held.refresh();
        return failed;
      } catch (error) {
        if (!pauses || this.#attempt + failed + 1 >= mostTries) throw error;
      }
    }
  }

  async #once(): Promise<Outcome> {
    this.#lookAtSources();
    if (this.#request.dryRun) return this.#dry();
    if (this.#request.atomic) return this.#atomically();
    return this.#prepared();
  }

  /** What the sources are before anything of them is read. */
  #lookAtSources(): void {
    const { sources } = this.#held;
    this.#unproven = false;
    this.#mounts.note(sources);
    if (!this.#request.atomic) return;
    for (const { descriptor, stat, text } of sources)
      if (
        stat.isDirectory() &&
        whyNothing(descriptor, this.#tools.exclude, this.#request.crossMounts) === undefined
      )
        this.#hadContent.add(text);
  }

  /**
   * With --if-empty, whether this copy may put anything into DEST: nothing is there, or a part of this same copy.
   * @param own the place of this run, whose note does not count
   */
  #mayBegin(directory: Directory, own?: string): boolean {
    this.#torn = false;
    if (isEmpty(directory)) return true;
    this.#torn = cutOffCopies(directory, own).copies.includes(whichCopy(this.#request, directory.fd));
    return this.#torn;
  }

  /**
   * Something is in DEST, which stays as it is.
   * @param own the place of this run, whose note does not count
   */
  #occupied(directory: Directory, own?: string): Outcome {
    const { path } = this.#held.destination;
    const { copies, unreadable } = cutOffCopies(directory, own);
    const { log } = this.#context;
    if (copies.length > 0)
      log.warn(`${path} is incomplete: an earlier copy to it, with other sources or options, was cut off`);
    else if (unreadable.length > 0)
      log.warn(
        `${path} may be incomplete: ${unreadable[0]} in it, which another user's copy made, tells whether that was cut off, and this user may not read it; run the copy as that user`,
      );
    return done(`${path} is not empty, so nothing was copied (--if-empty)`);
  }

  /**
   * Nothing is left to do of copies that were cut off before, and that are not to be gone on with: this one has put all of
   * it there, or decided of all that is there.
   */
  #endCutOff(directory: Directory, decidesAll: boolean): number {
    const all = this.#held.missing.length === 0;
    return endCutOff(directory, (copy) => decidesAll || (all && isMadeWholeBy(copy, this.#request)));
  }

  /** What an earlier run could not remove goes, though there is nothing to copy. */
  async #clearLeftovers(directory: Directory): Promise<void> {
    if (this.#request.dryRun || !hasLeftovers(directory)) return;
    const { random, clock } = this.#context;
    const namer = createNamer(random, () => clock.date());
    using turn = await takeTurn(directory.identity(), this.#context, 0);
    await this.#inTime(async () => {
      await removeLeftovers(directory, { namer, alone: turn.alone, now: clock.date().getTime() });
    });
  }

  async #dry(): Promise<Outcome> {
    const { descriptor: live } = this.#held.destination;
    const { random, clock } = this.#context;
    const namer = createNamer(random, () => clock.date());
    const which = { namer, alone: false, now: clock.date().getTime() };
    const kept = live === undefined ? undefined : await this.#kept(live, which);
    await this.#fill({ live, stage: undefined, links: undefined }, 'leave', []);
    if (this.#request.delete && live !== undefined) await this.#prune(live, which, kept);
    const { path } = this.#held.destination;
    const removed = this.#removed === undefined ? {} : { removed: this.#removed };
    this.#context.stdout(`${JSON.stringify({ destination: path, ...countsOf(this.#tally), ...removed })}\n`);
    return finished(this.#standing(), this.#context.log);
  }

  async #atomically(): Promise<Outcome> {
    const { destination } = this.#held;
    const live = makeDestination(destination, this.#request.owner);
    writable(live);
    const published = await copyAtomically(
      destination.path,
      (side, right) => this.#refill(side, right),
      {
        lastLook: () => this.#checkSources('read'),
        checkGaps: (shown, next, names) => this.#checkGaps(shown, next, names),
      },
      this.#request.ifEmpty ? (directory) => isEmpty(directory) : undefined,
      this.#context,
    );
    using directory = Directory.open(itself(live));
    if (published === 'occupied') return this.#occupied(directory);
    if (published !== 'failed') this.#endCutOff(directory, false);
    if (published === 'failed') return finished(this.#standing(), this.#context.log);
    for (const warning of published) this.#context.log.warn(warning);
    return finished(this.#standing(), this.#context.log);
  }

  /** One pass for an atomic copy, which may take two: to compare, and to build. */
  async #refill(side: Parameters<typeof fill>[2], right: 'leave' | 'link'): Promise<CopyTally> {
    this.#tally = emptyCopyTally();
    await this.#fill(side, right, [], side.stage === undefined);
    return this.#tally;
  }

  async #prepared(): Promise<Outcome> {
    const { destination } = this.#held;
    const { context } = { context: this.#context };
    const live = makeDestination(destination, this.#request.owner);
    writable(live);
    using directory = Directory.open(itself(live));
    using turn = await takeTurn(directory.identity(), context);
    const namer = createNamer(context.random, () => context.clock.date());
    const mounts = mountsBelow(destination.path, namer);
    const which = { namer, alone: turn.alone, now: context.clock.date().getTime() };
    const kept = await this.#kept(live, which);
    const others = await removeLeftovers(directory, which);
    // Whoever had the turn, or runs in another pod, may have filled it since the first look.
    if (this.#request.ifEmpty && !this.#mayBegin(directory)) return this.#occupied(directory);
    let fresh = !this.#torn;
    if (this.#torn)
      this.#context.log.info(
        `${destination.path}: an earlier run of this copy was cut off; what is there stays, and what is missing is copied`,
      );
    using _ = await clearMounts(mounts, directory, which, context);
    using stage = new Stage(directory, namer.copy(), context.clock);
    using prepared = new DisposableStack();
    let onMounts: MountStages | undefined;
    try {
      await this.#fill({ live, stage: stage.tree, links: stage.links }, 'leave', mounts);
      if (this.#tally.errors > 0) return finished(this.#standing(), this.#context.log);
      if (this.#request.ifEmpty) {
        const what = whichCopy(this.#request, live);
        // First the note, then the look: of two runs at least one sees the other, and a run that ends takes the note away.
        stage.startMerging(what);
        if (!this.#mayBegin(directory, stage.name)) return this.#occupied(directory, stage.name);
        fresh &&= !this.#torn;
        await removeLeftovers(directory, which, { name: stage.name, what });
      }
      onMounts = prepared.use(new MountStages(this.#tally.stages, mounts, live, destination.path));
      const shown = (): void => void (this.#torn = true);
      let stayed = 0;
      const opening: Opening = (path, { dev, ino, before, opened }) =>
        stage.noteOpened({ path, dev, ino, before, opened });
      const way = {
        noClobber: this.#keepsAll,
        keepsKinds: this.#request.ifEmpty,
        replaces: this.#replaces,
        shown,
        stayed: () => void stayed++,
        opening,
      };
      const manner = { ...way, transit: transitOf(stage.name) };
      this.#hasShown = true;
      let replaced = await merge(stage.tree, live, '', manner, context);
      replaced += await onMounts.merge(way, context);
      shown();
      for (const tight of this.#tally.tight.toReversed()) finishLate(live, tight, this.#request.ifEmpty);
      if (this.#removes) {
        this.#checkSources('shown');
        await this.#prune(live, which, kept, replaced, opening);
      }
      this.#torn = false;
      if (this.#request.ifEmpty && stayed > 0)
        this.#context.log.warn(
          `${destination.path}: ${stayed} files were put there by others during the copy, and stay as they are`,
        );
      if (this.#tally.errors === 0) {
        // The own note first: whoever begins now sees that there is nothing to go on with.
        stage.finishMerging();
        const decidesAll = (this.#removes && !this.#unproven) || (this.#request.ifEmpty && fresh);
        if ((others || this.#request.ifEmpty) && this.#endCutOff(directory, decidesAll) > 0)
          await removeLeftovers(directory, which);
      }
      return finished(this.#standing(), this.#context.log);
    } finally {
      await this.#inTime(async (grace) => {
        if (!this.#torn) stage.finishMerging();
        await stage.remove(grace);
        await onMounts?.remove(grace);
        for (const mount of mounts) if (!grace.over) await removeMountStage(mount, live);
      });
    }
  }

  /** Whether nothing in DEST is replaced, whenever it came to stand there. */
  get #keepsAll(): boolean {
    return this.#request.noClobber || this.#request.ifEmpty;
  }

  /** Whether what is of another kind in DEST makes way: in a new tree, where it is in nobody's, always. */
  get #replaces(): boolean {
    return this.#request.atomic || this.#removes;
  }

  /** Whether what no source has is removed: beside --if-empty, it is others' who have put it there since. */
  get #removes(): boolean {
    return this.#request.delete && !this.#request.ifEmpty;
  }

  /** Cleans up, for as long as a signal leaves time; the next run removes the rest. */
  async #inTime(work: (grace: Grace) => Promise<void>): Promise<void> {
    const { signal, clock } = this.#context;
    using grace = new Grace(signal, clock, lastWork);
    const cleaned = work(grace).catch(() => {
      // what led here says more
    });
    if (!signal.aborted) return cleaned;
    // Where a single call hangs, nobody waits for it.
    await Promise.race([cleaned, new Promise<void>((resolve) => clock.after(hanging, resolve))]);
  }

  async #fill(
    side: Parameters<typeof fill>[2],
    right: 'leave' | 'link',
    mounts: readonly MountBelow[],
    dryRun = this.#request.dryRun,
  ): Promise<void> {
    const { sources, destination } = this.#held;
    const { host, signal, clock, log } = this.#context;
    const has = effectiveCapabilities() ?? (() => host.uid === 0);
    const { checksum, dereference, mode, owner, exclude, crossMounts, atomic } = this.#request;
    const common: Common = {
      destination: identityOf(destination.descriptor),
      mounts,
      right,
      noClobber: !atomic && this.#keepsAll,
      keepsKinds: !atomic && this.#request.ifEmpty,
      replaces: this.#replaces,
      notesSeen: this.#request.delete || atomic,
      checksum,
      dereference,
      dryRun,
      mode,
      owner,
      exclude,
      crossMounts,
      mayChown: has('CHOWN'),
      overridesModes: has('DAC_OVERRIDE'),
      ownUser: host.uid,
      ownGroup: host.gid,
      mask: fileModeMask(),
      since: this.#since,
    };
    const followed = (target: RawName, to: RawName): void => this.#mounts.noteBehind(target, to);
    const way = { signal, clock, log, host, followed, listings: this.#listings };
    this.#listings.clear();
    try {
      await fill(sources, destination.file, side, common, this.#tools, this.#tally, way);
    } catch (error) {
      throw this.#causeOf(error);
    }
    if (sources.some(isOutdated)) throw new Outdated();
    this.#checkSources('read');
    this.#checkFiles();
    await this.#checkMoves();
  }

  /**
   * A file was written to while it was read, and did not only grow.
   * @throws SourceChanged, or Failure where it never stands still
   */
  #checkFiles(): void {
    const [shortened] = this.#tally.shortened;
    const [rewritten] = this.#tally.rewritten;
    const path = shortened ?? rewritten;
    if (path === undefined) return;
    if (this.#attempt < mostTries) throw new SourceChanged();
    const { ifEmpty, atomic, destination } = this.#request;
    const quoted = JSON.stringify(shownName(path));
    // Where the next run copies it again, as it sees another time, this one need not fail for a file that is always in use.
    if (shortened === undefined && !ifEmpty && !atomic && !this.#keepsAll) {
      this.#context.log.warn(
        `${destination}: ${quoted} was written to again and again while it was copied, and may have some of the old and some of the new: the next run copies it again`,
      );
      return;
    }
    const what =
      shortened === undefined
        ? 'was written to again and again while it was copied'
        : 'became shorter again and again while it was copied';
    throw refused(
      `${quoted} ${what}: ${destination} ${this.#left}`,
      'run it again once nothing writes to it, or --exclude it',
    );
  }

  /**
   * All is read: what was moved meanwhile from a folder that was still to be read to one that was read is in neither.
   * @throws SourceChanged, or Failure where the sources never stand still
   */
  async #checkMoves(): Promise<void> {
    const { crossMounts, dryRun, destination } = this.#request;
    if (dryRun || this.#tally.errors > 0) return;
    const directories = this.#held.sources.filter(({ stat }) => stat.isDirectory());
    const descriptors = directories.map(({ descriptor }) => descriptor);
    const reading = { exclude: withoutInternals(this.#tools.exclude), crossMounts, since: this.#since };
    if (!(await this.#listings.hasMoved(descriptors, reading, this.#context.signal))) return;
    if (this.#attempt < mostTries) throw new SourceChanged();
    throw refused(
      `entries were moved within the sources again and again during the copy: ${destination} ${this.#left}`,
      'run it again once nothing moves them, or copy from a folder that stays',
    );
  }

  /** What DEST is where the copy ends before its renames. */
  get #left(): string {
    return this.#hasShown ? 'has what an earlier try of this run showed' : 'was left as it was';
  }

  /**
   * A folder was read wholly only if its path has led to it all the while: what a path that leads elsewhere by now stood
   * for then may be missing. So such sources are looked at anew, and those of which a folder was replaced or is gone.
   * Entries that vanish one by one do not matter, unless readers will miss them: a log is rotated.
   * @param stage 'read': nothing is shown yet; 'shown': what the sources have not is about to be removed
   * @throws SourceChanged, UsageError where nothing of a source is left, or Failure where they never stand still
   */
  #checkSources(stage: 'read' | 'shown'): void {
    const { delete: removes, atomic, destination, crossMounts } = this.#request;
    const missing = atomic || stage === 'read' ? this.#mounts.lost() : [];
    const lost = missing.find(({ path }) => path === '' || crossMounts);
    if (lost !== undefined)
      throw refused(
        `${lost.point} was mounted when the copy began, and is not any more: ${destination} ${this.#left}`,
        'run it again once the volume is mounted, or to copy without it',
      );
    // Before the look at the paths: a folder that is removed is emptied first.
    const refusal = this.#refusalOfNothing();
    const { foldersReplaced, foldersGone, unknownGone, vanished } = this.#tally;
    const elsewhere = this.#held.leadElsewhere();
    if (elsewhere || foldersReplaced > 0) {
      if (this.#attempt < mostTries) throw new SourceChanged();
      if (stage === 'read') {
        const left = `${destination} ${this.#left}`;
        throw refused(
          elsewhere
            ? `the sources lead to other folders again and again during the copy: ${left}`
            : `folders of the sources were replaced again and again during the copy: ${left}`,
          'run it again once nothing moves them, or copy from a folder that stays',
        );
      }
      this.#unproven = true;
      return;
    }
    const missed = foldersGone > 0 || ((removes || atomic) && vanished > 0);
    if (missed && this.#mayRestart) throw new SourceChanged();
    // It may have been a folder, under another name by now; what is gone from a second listing too is no move.
    if (unknownGone > 0 && this.#attempt === 1) throw new SourceChanged();
    if (refusal !== undefined) throw refusal;
  }

  /** Why the sources are not to be taken: one has nothing. */
  #refusalOfNothing(): Error | undefined {
    const { delete: removes, atomic } = this.#request;
    if (!removes && !atomic) return undefined;
    try {
      for (const source of this.#held.sources)
        if (source.stat.isDirectory() && (removes || this.#hadContent.has(source.text)))
          refuseNothing(source, this.#request, this.#tools.exclude);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /**
   * With --atomic, where no entry of a tree can stay by itself.
   * @throws SourceChanged, or Failure, where readers would miss something that a source may have lost for a moment only
   */
  async #checkGaps(shown: number, next: number, names: ReadonlySet<string>): Promise<void> {
    const directories = this.#held.sources.filter(({ stat }) => stat.isDirectory());
    const found = {
      sources: directories.map(({ descriptor }) => descriptor),
      dereference: this.#request.dereference,
      seen: new SeenDirectories(this.#tally.seen),
      names: new Set([...names].map(rawOf)),
      signal: this.#context.signal,
    };
    if (!(await hasUnprovenGaps(shown, next, found))) return;
    if (this.#mayRestart) throw new SourceChanged();
    throw refused(
      `the sources go on changing during the copy: ${this.#request.destination} was left as it was`,
      'run it again once nothing else writes to them, or copy from a folder that is complete',
    );
  }

  /**
   * What --delete leaves because --exclude keeps something that is reached through it; undefined where it leaves nothing.
   * @throws Failure where a source has something else in such a place: before anything is written
   */
  async #kept(live: number, which: Leftovers): Promise<Kept | undefined> {
    const { exclude, libc } = this.#tools;
    const { destination, sources } = this.#held;
    if (!this.#request.delete || exclude === undefined) return undefined;
    const published = this.#published(live, which);
    const apart = (path: string): boolean => isApart(path, published);
    const walking = { top: live, path: destination.path, exclude: apart, libc };
    const kept = await Kept.find(exclude, walking, this.#context);
    const tops = sources.map(({ descriptor }) => descriptor);
    kept.check(tops, this.#request.dereference, destination.path);
    return kept;
  }

  /** The trees in DEST that were published at once before, and go with --delete. */
  #published(live: number, which: Leftovers): ReadonlySet<string> {
    const staysLinked =
      this.#tools.exclude?.(dataLink) === true ||
      this.#held.sources.some(({ descriptor }) => hasDataLink(descriptor));
    using directory = Directory.open(itself(live));
    return findPublished(directory, staysLinked ? linkTarget(directory, dataLink) : undefined, which);
  }

  /**
   * @param which tells what another run may be building still
   * @param replaced entries that made way before
   * @param opening is told before a directory is opened for its own user for a while
   */
  async #prune(
    live: number,
    which: Leftovers,
    kept: Kept | undefined,
    replaced = 0,
    opening?: Opening,
  ): Promise<void> {
    const { destination, sources } = this.#held;
    const { host } = this.#context;
    const { exclude, libc } = this.#tools;
    const published = this.#published(live, which);
    const lost = this.#mounts.lost();
    for (const { point, path } of lost)
      this.#context.log.warn(
        `${point} was mounted when the copy began, and is not any more: ${path === '' ? `nothing is removed from ${destination.path}` : `${destination.path}/${shownName(path)} stays as it is`} until the next run`,
      );
    const prune = new Prune(
      live,
      sources.map(({ descriptor }) => descriptor),
      sources.flatMap(rootsOf),
      {
        ...this.#request,
        published,
        opening,
        seen: this.#tally.seen,
        mayRestart: this.#mayRestart,
        unproven: this.#unproven,
      },
    );
    const walk = new Walk(
      {
        top: live,
        path: destination.path,
        exclude: (path) => {
          if (lost.some((one) => one.path === '' || isWithin(path, shownName(one.path)))) return true;
          if (isApart(path, published) || exclude?.(path) === true || kept?.has(path) === true) return true;
          const [top = '', ...inner] = path.split('/');
          // What is excluded by its path is so in a published tree as well.
          return published.has(top) && inner.length > 0 && exclude?.(inner.join('/')) === true;
        },
        crossMounts: false,
        libc,
      },
      prune,
      host,
    );
    try {
      walk.begin();
      await walkAlone(walk, [live], this.#context);
    } finally {
      walk.close();
      prune.close();
    }
    if (prune.left > 0)
      this.#context.log.warn(
        `${destination.path}: sources changed during the copy, again and again; ${prune.left} entries that they may have had no longer stay until the next run`,
      );
    this.#removed = prune.removed + replaced;
    this.#tally.errors += prune.errors;
    this.#tally.problems.push(...prune.problems);
  }

  #progress(): () => void {
    const { clock, log } = this.#context;
    let cancel = (): void => {};
    const arm = (): void => {
      cancel = clock.after(progressEvery, () => {
        log.info(
          `${this.#held.destination.path}: ${walkProgressText(this.#tally, clock.now() - this.#startedAt, `${formatBytes(this.#tally.bytes)} written`)}`,
        );
        arm();
      });
    };
    arm();
    return () => cancel();
  }

  /** Where the copy stands, for what is said of its end. */
  #standing(): Standing {
    return {
      request: this.#request,
      destination: this.#held.destination,
      tally: this.#tally,
      removed: this.#removed,
      elapsed: formatDuration(this.#context.clock.now() - this.#startedAt),
    };
  }
}

/** Whether --delete leaves an entry of DEST whatever the sources have. */
function isApart(path: string, published: ReadonlySet<string>): boolean {
  const [top = ''] = path.split('/', 1);
  return path === 'lost+found' || (top.startsWith('..initbox') && !published.has(top));
}

function identityOf(descriptor: number | undefined): Identity | undefined {
  if (descriptor === undefined) return undefined;
  const { dev, ino } = fstatSync(descriptor);
  return { dev, ino };
}

/** @throws the system's error where nothing can be made in a directory */
function writable(directory: number): void {
  accessSync(itself(directory), constants.W_OK | constants.X_OK);
}

/**
 * Gives a directory in DEST the mode that it gets at the end.
 * @param keeps whether something else that stands there by now stays as it is
 * @throws InTheWay where another directory stands there by now
 */
function finishLate(live: number, { to, dev, ino, mode }: TightDirectory, keeps: boolean): void {
  let descriptor: number;
  try {
    descriptor = openBelow(live, to);
  } catch (error) {
    if (keeps && isAbsent(error)) return;
    throw error;
  }
  try {
    const stat = fstatSync(descriptor);
    const isOther = stat.dev !== dev || stat.ino !== ino;
    if (isOther && keeps) return;
    if (isOther)
      throw new InTheWay(
        `${JSON.stringify(shownName(to))} in DEST was replaced by another directory during the copy`,
      );
    chmodSync(itself(descriptor), mode);
  } finally {
    closeSync(descriptor);
  }
}
