import { fstatSync, linkSync, lstatSync, renameSync, symlinkSync } from 'node:fs';

import { type Clock, reasonOf } from '../../core/clock.ts';
import { Grace } from '../../core/grace.ts';
import { contactVolumes } from '../contact.ts';
import { codeAmong, type Directory, linkTarget } from '../directory/directory.ts';
import { makeDirectory } from '../directory/new-directory.ts';
import { exchanged, explained, refused, shownOnly } from '../error-message.ts';
import { adoptPlainFiles } from './adopt-plain-files.ts';
import type { PublishContext } from './atomic-file.ts';
import type { FileOwner } from './attributes.ts';
import { createNamer, dataLink, manifestName, type Namer } from './file-names.ts';
import { markInUse } from './in-use.ts';
import { removeLeftovers } from './leftovers.ts';
import { formatSets, makeGeneration, readSets, topNames, type Sets } from './manifest.ts';
import { openForWriting } from './open-target.ts';
import { isOwnAloneIn, isOwnIn } from './own-files.ts';
import { takeTurn } from './publish-lock.ts';
import type { Published, Staged } from './published.ts';
import {
  currentGeneration,
  makeLinks,
  nameStateOf,
  presentAmong,
  prepareLink,
  replaceByPrepared,
  throughData,
} from './reader-links.ts';
import { clearAway, isNameOf, removeFile, removeGeneration, removeOpened, removeShown } from './remove.ts';
import { isShown, markShown } from './shown-generation.ts';
import { writeFile } from './write.ts';

/** What a builder put into a generation. */
export interface Built {
  /** Paths below the directory, as they are to be remembered for the next run; a folder's name stands for all in it. */
  readonly paths: readonly string[];
  readonly written: number;
  readonly unchanged: number;
  readonly bytes: number;
  readonly warnings?: readonly string[];
}

/** Where a builder works. */
export interface Building {
  /** Makes the place to build in: on the same file system as the target, seen by nobody. */
  readonly stage: () => Directory;
  /**
   * What readers see now, for what need not be written again; undefined where there is nothing of this user or root that
   * nobody else may write to.
   */
  readonly current: Directory | undefined;
  /** The same, whoever may write to it: only to be looked at. */
  readonly shown: Directory | undefined;
  /** The paths that this publication left there the last time. */
  readonly previous: readonly string[];
  /** False where a reader's name was replaced by a file, so that right content is not enough. */
  readonly intact: boolean;
}

/** Milliseconds for taking back what was prepared, once a signal or the deadline has ended the run. */
const lastWork = 100;

export interface TreePlan {
  /** The directory in which readers look; it may be a mount of its own, which cannot be renamed. */
  readonly path: string;
  /** Names the publication: it replaces and removes what the same one left, and leaves alone what others did. */
  readonly set: string;
  /** Fills a staged directory; 'unchanged' where what readers see is right already and the links are intact. */
  readonly build: (building: Building) => Promise<Built | 'unchanged'>;
  /** The bytes that it will take, for the message when there is no room. */
  readonly needed?: number;
  /** True where it must not reach a disk. */
  readonly memoryOnly?: boolean;
  /** Whom folders belong to that are made for it; unset, whoever runs this. */
  readonly owner?: FileOwner | undefined;
  /** False where it need not last beyond a loss of power: whatever is lost then is made again. */
  readonly lasting?: boolean;
  /**
   * Throws where the target may not be written to for what stands there now; asked at the beginning, and right before
   * something is shown. What comes to stand there even later is not replaced.
   */
  readonly check?: (target: Directory) => void;
  /** Throws where what was built is not to be shown any more; asked right before it is. */
  readonly lastLook?: () => void;
  /** Told, after a failure, where what was staged could not be removed, or not in time. The next run removes it. */
  readonly left?: (path: string) => void;
}

/**
 * Stages a whole tree; commit shows it at once. The way of the kubelet: `name -> ..data/name` for readers, `..data ->
 * generation`, and one rename of `..data`. Links come before the swap: swapped first, a reader sees a directory that fills.
 * @throws Failure with the reason in words, or the signal's reason; no reader saw anything then
 */
export async function stageTree(plan: TreePlan, context: PublishContext): Promise<Staged> {
  const { signal, clock } = context;
  await contactVolumes([plan.path], context);
  using stack = new DisposableStack();
  let tree: Tree | undefined;
  let target: Directory | undefined;
  try {
    target = stack.use(
      openForWriting(plan.path, plan.path, { memoryOnly: plan.memoryOnly === true, owner: plan.owner }),
    );
    currentGeneration(target);
    const turn = stack.use(await takeTurn(target.identity(), context));
    const namer = createNamer(context.random, () => clock.date());
    await removeLeftovers(target, { namer, alone: turn.alone, now: clock.date().getTime() });
    plan.check?.(target);
    tree = stack.use(new Tree(target, plan, namer, context));
    const built = await tree.build();
    if (built === 'unchanged') {
      await tree.takeBack();
      return nothingToDo(tree.count, await tree.finishEarlier());
    }
    await tree.seal(built);
  } catch (error) {
    const left = await tree?.takeBack();
    if (left !== undefined) plan.left?.(left);
    if (signal.aborted) throw reasonOf(signal);
    const more = {
      ...(target && { directory: target }),
      ...(plan.needed !== undefined && { needed: plan.needed }),
    };
    throw explained(error, plan.path, more);
  }
  const sealed = tree;
  const resources = stack.move();
  let open = true;
  return {
    commit: () => sealed.commit(),
    async discard() {
      if (!open) return;
      open = false;
      using _ = resources;
      await sealed.takeBack();
    },
  };
}

function nothingToDo(unchanged: number, warnings: readonly string[]): Staged {
  return {
    commit: async () => ({ written: 0, unchanged, removed: 0, bytes: 0, warnings }),
    discard: async () => {},
  };
}

function notRemoved(target: Directory, error: unknown): string {
  return `${target.shown} has its new files, but what is old was not removed: ${explained(error, target.shown).message}`;
}

/** One publication on its way: what has been made so far, and how to take it back. */
class Tree implements Disposable {
  readonly #target: Directory;
  readonly #plan: TreePlan;
  readonly #namer: Namer;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  readonly #name: string;
  #staged: Directory | undefined;
  #marks: Disposable | undefined;
  #current: string | undefined;
  /** What readers saw, and somebody else made. */
  #foreign: string | undefined;
  #sets: Sets = new Map();
  #built: Built | undefined;
  #newLinks: string[] = [];
  /** The temporary name of the link that is to be `..data`. */
  #swap: string | undefined;
  #names: ReadonlySet<string> = new Set();
  #committed = false;

  constructor(
    target: Directory,
    plan: TreePlan,
    namer: Namer,
    { signal, clock }: Pick<PublishContext, 'signal' | 'clock'>,
  ) {
    this.#clock = clock;
    this.#target = target;
    this.#plan = plan;
    this.#namer = namer;
    this.#signal = signal;
    this.#name = namer.generation();
  }

  /** How many paths the publication had before. */
  get count(): number {
    return this.#sets.get(this.#plan.set)?.length ?? 0;
  }

  async build(): Promise<Built | 'unchanged'> {
    this.#takeOver(currentGeneration(this.#target));
    using current = this.#openCurrent();
    this.#sets = current ? readSets(this.#target, current) : new Map();
    const previous = this.#sets.get(this.#plan.set) ?? [];
    const names = topNames(previous);
    const intact = [...names].every((name) => nameStateOf(this.#target, name) !== 'plain file');
    // What somebody else may have changed is kept for its own run to judge, and is not right already.
    const alone = current !== undefined && isOwnAloneIn(this.#target, fstatSync(current.fd));
    const built = await this.#plan.build({
      stage: () => this.#stage(),
      current: alone ? current : undefined,
      shown: current,
      previous,
      intact,
    });
    // A link that somebody removed is made again.
    if (built === 'unchanged') makeLinks(this.#target, names);
    return built;
  }

  /**
   * Takes over what readers see, where it belongs to root or to this user. Another user could have made up what is in it
   * and whose it is, and could change it later.
   */
  #takeOver(name: string | undefined): void {
    this.#current = name;
    using current = this.#openCurrent();
    if (current === undefined || isOwnIn(this.#target, fstatSync(current.fd))) return;
    this.#foreign = name;
    this.#current = undefined;
  }

  /** Everything but the swap. */
  async seal(built: Built): Promise<void> {
    const staged = this.#stage();
    this.#built = built;
    const own = topNames(built.paths);
    const others = new Map(
      [...this.#sets]
        .filter(([set]) => set !== this.#plan.set)
        .map(([set, paths]) => [set, without(paths, own)]),
    );
    using current = this.#openCurrent();
    if (current) for (const paths of others.values()) keepPaths(current, staged, paths, this.#target.shown);
    const sets = new Map([...others].filter(([, paths]) => paths.length > 0)).set(this.#plan.set, [
      ...built.paths,
    ]);
    const manifest = { bytes: formatSets(sets), mode: 0o444 };
    const lasting = this.#plan.lasting !== false;
    const temporary = this.#namer.temporary();
    await writeFile(staged, temporary, { ...manifest, lasting }, this.#signal);
    renameSync(staged.at(temporary), staged.at(manifestName));
    if (lasting) staged.sync();
    this.#names = topNames([...sets.values()].flat());
    this.#plan.check?.(this.#target);
    for (const name of presentAmong(this.#target, this.#names)) nameStateOf(this.#target, name);
    if (this.#plan.check === undefined)
      this.#current = await adoptPlainFiles(
        this.#target,
        this.#names,
        this.#current,
        this.#namer,
        this.#signal,
      );
    this.#newLinks = makeLinks(this.#target, this.#names);
    // Of several folders, the first must not be shown before the last has all that it takes.
    this.#swap = prepareLink(this.#target, this.#name, this.#namer);
  }

  async commit(): Promise<Published> {
    const target = this.#target;
    this.#checkStaged();
    try {
      if (this.#swap === undefined) throw new Error('the tree was not sealed');
      this.#checkSwap(this.#swap);
      this.#show(this.#swap);
    } catch (error) {
      throw explained(error, target.shown, { directory: target });
    }
    this.#committed = true;
    if (linkTarget(target, dataLink) === this.#name) this.#checkStaged();
    if (this.#staged) markShown(this.#staged);
    if (this.#plan.lasting !== false) {
      try {
        target.sync();
      } catch (error) {
        // What was there before stays as well: whether the swap lasts is not known. The next run removes it.
        return { ...this.#counts(), warnings: [], unsettled: shownOnly(error, target.shown) };
      }
    }
    const warnings = [...(this.#built?.warnings ?? [])];
    if (this.#foreign !== undefined)
      warnings.push(
        `${target.shown}/${this.#foreign}, which readers saw until now, is not root's or this user's alone: its files are not taken over and no longer shown. It stays; look at what is in it, then remove it`,
      );
    try {
      await this.#afterSwap();
    } catch (error) {
      warnings.push(notRemoved(target, error));
    }
    return { ...this.#counts(), warnings };
  }

  /** The one step that readers see. */
  #show(swap: string): void {
    const target = this.#target;
    this.#plan.lastLook?.();
    if (this.#plan.check === undefined) return replaceByPrepared(target, dataLink, swap);
    this.#plan.check(target);
    try {
      // A rename would replace what another run has put there since.
      symlinkSync(this.#name, target.at(dataLink));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') this.#plan.check(target);
      throw error;
    }
    clearAway(target, swap);
  }

  #counts(): Omit<Published, 'warnings'> {
    const { written = 0, unchanged = 0, bytes = 0, paths = [] } = this.#built ?? {};
    const kept = new Set(paths);
    const removed = (this.#sets.get(this.#plan.set) ?? []).filter((path) => !kept.has(path)).length;
    return { written, unchanged, removed, bytes };
  }

  /** @throws Failure where somebody put another link in the place of the prepared one */
  #checkSwap(swap: string): void {
    if (linkTarget(this.#target, swap) !== this.#name) throw exchanged(this.#target.shown);
  }

  /** @throws Failure where the name leads to something else than what was staged: then that is what readers see */
  #checkStaged(): void {
    if (this.#staged === undefined || isNameOf(this.#target, this.#name, this.#staged)) return;
    throw exchanged(this.#target.shown);
  }

  /**
   * Does what a run that was killed after its swap had left to do. What it showed is right already, so no other run would.
   * @returns warnings
   */
  async finishEarlier(): Promise<string[]> {
    using current = this.#openCurrent();
    if (current === undefined || !this.#sets.has(this.#plan.set)) return [];
    this.#names = topNames([...this.#sets.values()].flat());
    try {
      if (!isShown(current)) markShown(current);
      this.#removeLinksOfOthers();
      this.#restoreLinks();
      await removeShown(this.#target);
      return [];
    } catch (error) {
      return [notRemoved(this.#target, error)];
    }
  }

  /** Removes the readers' links of names that are in no publication any more. */
  #removeLinksOfOthers(): void {
    for (const entry of this.#target.names()) {
      const name = entry.toString();
      if (!this.#names.has(name) && linkTarget(this.#target, name) === throughData(name))
        removeFile(this.#target, name);
    }
  }

  /** Removes what no reader needs any more. */
  async #afterSwap(): Promise<void> {
    const target = this.#target;
    if (linkTarget(target, dataLink) !== this.#name) {
      // A run in another pod swapped after us, and it wins.
      if (this.#staged) await removeOpened(target, this.#name, this.#staged);
      return;
    }
    const there = new Set(presentAmong(target, this.#names));
    makeLinks(
      target,
      [...this.#names].filter((name) => !there.has(name)),
    );
    this.#removeLinksOfOthers();
    this.#restoreLinks();
    if (this.#current !== undefined) await removeGeneration(target, this.#current);
    await removeShown(target);
  }

  /**
   * Makes the links of what another pod's run has shown meanwhile: it found them there before this one removed them. To
   * be called after the removal; whoever swaps later looks at its links after that.
   */
  #restoreLinks(): void {
    for (let last: string | undefined; ;) {
      const name = linkTarget(this.#target, dataLink);
      if (name === undefined || name === last || name === this.#name) return;
      last = name;
      makeLinks(this.#target, this.#namesShown());
    }
  }

  /** The names of what readers see now. */
  #namesShown(): ReadonlySet<string> {
    const name = linkTarget(this.#target, dataLink);
    try {
      if (name === undefined || name === this.#name) return new Set();
      using shown = this.#target.child(name);
      return topNames([...readSets(this.#target, shown).values()].flat());
    } catch (error) {
      codeAmong(error, ['ENOENT']); // superseded in its turn
      return new Set();
    }
  }

  /**
   * Removes what was staged, as long as it was not shown.
   * @returns the path of what is left of it; undefined where nothing is
   */
  async takeBack(): Promise<string | undefined> {
    if (this.#committed || !this.#staged) return undefined;
    using grace = new Grace(this.#signal, this.#clock, lastWork);
    try {
      if (this.#swap !== undefined) clearAway(this.#target, this.#swap);
      // Another run that was faster found its own links there already.
      const shown = this.#namesShown();
      for (const name of this.#newLinks) if (!shown.has(name)) clearAway(this.#target, name);
      if (this.#newLinks.length > 0) this.#restoreLinks();
      await removeOpened(this.#target, this.#name, this.#staged, grace);
      if (!isNameOf(this.#target, this.#name, this.#staged)) return undefined;
    } catch {
      // The failure that led here says more; the next run removes it.
    }
    return `${this.#target.shown}/${this.#name}`;
  }

  #stage(): Directory {
    if (this.#staged) return this.#staged;
    this.#staged = makeGeneration(this.#target, this.#name);
    this.#marks = markInUse(this.#staged.fd, this.#clock);
    return this.#staged;
  }

  #openCurrent(): Directory | undefined {
    try {
      return this.#current === undefined ? undefined : this.#target.child(this.#current);
    } catch (error) {
      codeAmong(error, ['ENOENT', 'ENOTDIR', 'ELOOP']);
      return undefined; // `..data` points to nothing: as good as none
    }
  }

  [Symbol.dispose](): void {
    this.#marks?.[Symbol.dispose]();
    this.#staged?.[Symbol.dispose]();
  }
}

function without(paths: readonly string[], taken: ReadonlySet<string>): string[] {
  return paths.filter((path) => !taken.has(path.split('/', 1)[0] ?? path));
}

/** Takes over what other publications have in the directory, as the same files. */
function keepPaths(from: Directory, to: Directory, paths: readonly string[], shown: string): void {
  for (const name of topNames(paths)) {
    try {
      keep(from, to, name);
    } catch (error) {
      const code = codeAmong(error, ['EPERM', 'EACCES', 'EMLINK']);
      throw refused(
        `cannot write to ${shown}: ${name}, which another run published there, cannot be kept (${code})`,
        'run both init containers as one user (runAsUser), or give each a folder of its own',
      );
    }
  }
}

function keep(from: Directory, to: Directory, name: string | Buffer): void {
  const stat = lstatSync(from.at(name), { throwIfNoEntry: false });
  if (!stat) return;
  if (!stat.isDirectory()) return linkSync(from.at(name), to.at(name));
  makeDirectory(to, name);
  using source = from.child(name);
  using copy = to.child(name);
  for (const entry of source.names()) keep(source, copy, entry);
}
