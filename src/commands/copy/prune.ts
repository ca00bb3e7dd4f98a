import { closeSync, fstatSync, type Stats } from 'node:fs';

import { type Calls, calls, doAtOnce, given, type Work } from '../../fs/calls.ts';
import type { Opening } from '../../fs/directory/access.ts';
import { below, type RawName } from '../../fs/directory/file-name.ts';
import { asDirectory, isAbsent, isNoDirectory } from '../../fs/directory/open-directory.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import { dataLink, manifestName } from '../../fs/publish/file-names.ts';
import { above, TreeRemoval } from '../../fs/tree/removal.ts';
import { type WalkProblem, listedProblems } from '../../fs/tree/tally.ts';
import type { Visitor, Where } from '../../fs/tree/visitor.ts';
import { Turns } from '../../fs/turns.ts';
import { SourceChanged } from './failures.ts';
import { beingInternal, openFollowed } from './projected.ts';
import { type Identity, isSameDirectory } from './same-place.ts';
import { SeenDirectories } from './seen-directories.ts';

/** Directories of the sources kept open: as many as a walk has under way, and some to come back to. */
const held = 128;

/** The directories of the sources that lie at the path of one directory of DEST. */
interface Counterpart {
  readonly open: readonly number[];
  /** Whether one of them is not any more as the copy found it. */
  readonly changed: boolean;
  /** How many pieces of work are under way with it; it stays open for them. */
  uses: number;
}

/** Removes from DEST what no source has. Walks DEST. */
export class Prune implements Visitor {
  readonly #sources: readonly number[];
  readonly #roots: readonly Identity[];
  readonly #dereference: boolean;
  readonly #dryRun: boolean;
  /** Of a dry run, the directories in which something is left; a real one is told by the system. */
  readonly #staying = new Set<RawName>();
  /** Trees at the top of DEST that were published at once, and are removed. */
  readonly #published: ReadonlySet<RawName>;
  readonly #removal: TreeRemoval;
  /** What the copy found in the sources. */
  readonly #seen: SeenDirectories;
  readonly #mayRestart: boolean;
  readonly #unproven: boolean;
  removed = 0;
  /** Left where a source changed during the copy. */
  left = 0;
  errors = 0;
  readonly problems: WalkProblem[] = [];
  /** By directory, the last used at the end. */
  readonly #counterparts = new Map<Where, Counterpart>();
  /** They are opened by one piece of work at a time. */
  readonly #turns = new Turns();

  /**
   * @param live DEST, open
   * @param sources their top directories, open
   * @param roots directories that are never to be removed, nor anything in them, open
   */
  constructor(
    live: number,
    sources: readonly number[],
    roots: readonly number[],
    {
      dereference,
      dryRun,
      published,
      opening,
      seen,
      mayRestart,
      unproven = false,
    }: {
      readonly dereference: boolean;
      readonly dryRun: boolean;
      readonly published: ReadonlySet<RawName>;
      /** Is told before a directory is opened for its own user for a while. */
      readonly opening?: Opening | undefined;
      readonly seen: readonly number[];
      /** Whether a source that changed ends the work, so that all is looked at anew; else what it is about stays. */
      readonly mayRestart: boolean;
      /** Whether the sources prove nothing by what they have not: then all of it stays. */
      readonly unproven?: boolean;
    },
  ) {
    this.#sources = sources;
    this.#roots = roots.map((root) => fstatSync(root));
    this.#dereference = dereference;
    this.#dryRun = dryRun;
    this.#published = published;
    this.#removal = new TreeRemoval(live, opening);
    this.#mayRestart = mayRestart;
    this.#unproven = unproven;
    this.#seen = new SeenDirectories(seen);
  }

  *entry(name: string | Buffer, _stat: Stats, where: Where, raw: RawName): Work<void> {
    const by = where.calls;
    const counterpart = yield* this.#counterpart(where);
    try {
      // The note goes with the tree: as long as something is left, the next run must know it.
      if (raw === manifestName && this.#published.has(where.relative())) return;
      for (const source of counterpart.open) if (yield* havingEntry(by, source, raw)) return;
      // Looked at once more: it may have changed since it was opened.
      if (counterpart.changed || (yield* this.#isChanged(by, where.relative(), counterpart.open))) {
        this.#leaveThere(where.relative());
        return;
      }
    } finally {
      counterpart.uses--;
    }
    if (!this.#dryRun) yield* this.#removal.entry(name, where);
    this.removed++;
  }

  enter(stat: Stats): void {
    if (this.#roots.some((root) => isSameDirectory(root, stat)))
      throw new Error('it is a source itself, and --delete would remove it');
  }

  *leave(_stat: Stats, where: Where): Work<void> {
    this.#close(where);
    const by = where.calls;
    const path = where.relative();
    for (const source of this.#sourcesOf(path)) if (yield* this.#hasDirectory(by, source, path)) return;
    if (yield* this.#isChanged(by, path, [])) {
      this.#leaveThere(path);
      return;
    }
    if (this.#dryRun) {
      if (this.#staying.delete(path)) {
        this.#stays(above(path));
        return;
      }
    } else {
      if (this.#published.has(path)) yield* removeNote(where);
      // What --exclude protects stays, and the directories that lead to it.
      if (!(yield* this.#removal.directory(by, path))) return;
    }
    this.removed++;
  }

  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    if (error instanceof SourceChanged) throw error;
    this.errors++;
    if (this.problems.length < listedProblems)
      this.problems.push({
        path,
        action: action === 'change' || action === 'enter' ? 'remove' : action,
        code: systemErrorCode(error) ?? error.message,
      });
  }

  vanished(): void {}

  excluded(where: Where): void {
    this.#stays(where.relative());
  }

  crossed(): void {}

  /**
   * Closes all, unless work is under way that is given up: its last calls may be yet to come, and go by these descriptors,
   * which must not stand for other directories then.
   */
  close(): void {
    const all = [...this.#counterparts];
    if (all.some(([, { uses }]) => uses > 0)) return;
    for (const [where] of all) this.#close(where);
  }

  #close(where: Where): void {
    const counterpart = this.#counterparts.get(where);
    this.#counterparts.delete(where);
    for (const descriptor of counterpart?.open ?? []) closeSync(descriptor);
  }

  #stays(path: RawName): void {
    if (this.#dryRun) this.#staying.add(path);
  }

  /** What the sources have at the path of a directory, in use until it is given back. */
  *#counterpart(where: Where): Work<Counterpart> {
    const known = this.#known(where);
    if (known !== undefined) return known;
    yield* this.#turns.take(where);
    try {
      return this.#known(where) ?? (yield* this.#opened(where));
    } finally {
      this.#turns.end(where);
    }
  }

  #known(where: Where): Counterpart | undefined {
    const known = this.#counterparts.get(where);
    if (known === undefined) return undefined;
    known.uses++;
    this.#counterparts.delete(where);
    this.#counterparts.set(where, known);
    return known;
  }

  *#opened(where: Where): Work<Counterpart> {
    const path = where.relative();
    const open: number[] = [];
    for (const source of this.#sourcesOf(path)) {
      try {
        open.push(yield* openingInSource(where.calls, source, path, this.#dereference));
      } catch (error) {
        if (isAbsent(error)) continue; // that source has no such directory
        for (const descriptor of open) closeSync(descriptor);
        throw error;
      }
    }
    let over = this.#counterparts.size + 1 - held;
    for (const [old, { uses }] of this.#counterparts) {
      if (over <= 0) break;
      if (uses > 0) continue;
      this.#close(old);
      over--;
    }
    const changed = yield* this.#isChanged(where.calls, path, open);
    const counterpart = { open, uses: 1, changed };
    this.#counterparts.set(where, counterpart);
    return counterpart;
  }

  /**
   * Whether a directory that the copy found in a source is another now, or is gone: then what a source has not any more is
   * no proof that it goes in DEST.
   */
  *#isChanged(by: Calls, path: RawName, open: readonly number[]): Work<boolean> {
    if (this.#unproven) return true;
    const now: Stats[] = [];
    for (const source of open) now.push(yield* given(by.fstat(source)));
    return this.#seen.isChanged(path, now);
  }

  /** @throws SourceChanged where all can be looked at anew */
  #leaveThere(path: RawName): void {
    if (this.#mayRestart) throw new SourceChanged();
    this.left++;
    this.#stays(path);
  }

  /** A published tree is nothing that a source could have. */
  #sourcesOf(path: RawName): readonly number[] {
    return this.#published.has(path.split('/', 1)[0] ?? '') ? [] : this.#sources;
  }

  *#hasDirectory(by: Calls, source: number, path: RawName): Work<boolean> {
    try {
      closeSync(yield* openingInSource(by, source, path, this.#dereference));
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }
}

/** A directory of a source, through the links that the copy has followed and no others; the caller closes it. */
export function openInSource(top: number, path: RawName, dereference: boolean): number {
  return doAtOnce(openingInSource(calls, top, path, dereference));
}

function* openingInSource(by: Calls, top: number, path: RawName, dereference: boolean): Work<number> {
  let at = yield* given(by.open(below(top, '.'), asDirectory));
  for (const component of path === '' ? [] : path.split('/')) {
    try {
      const next = yield* openingComponent(by, at, component, dereference);
      closeSync(at);
      at = next;
    } catch (error) {
      closeSync(at);
      throw error;
    }
  }
  return at;
}

function* openingComponent(
  by: Calls,
  parent: number,
  component: RawName,
  dereference: boolean,
): Work<number> {
  try {
    return yield* given(by.open(below(parent, component), asDirectory));
  } catch (error) {
    if (!isNoDirectory((error as NodeJS.ErrnoException).code)) throw error;
    return yield* openFollowed(by, below(parent, component), dereference ? 'all' : 'key');
  }
}

/** Removes the note of a published tree, once nothing else is in it. */
function* removeNote(where: Where): Work<void> {
  const names = yield* given(where.calls.readdir(where.path()));
  if (names.every((name) => name === manifestName))
    yield* given(where.calls.unlink(where.path(manifestName)));
}

/** Whether a source has a `..data` which the copy takes. */
export function hasDataLink(source: number): boolean {
  return hasEntry(source, dataLink);
}

/** Whether a source has an entry of that name which the copy takes. */
function hasEntry(source: number, raw: RawName): boolean {
  return doAtOnce(havingEntry(calls, source, raw));
}

function* havingEntry(by: Calls, source: number, raw: RawName): Work<boolean> {
  if ((yield* given(by.lstat(below(source, raw)))) === undefined) return false;
  return !(yield* beingInternal(by, raw, (entry) => below(source, entry)));
}
