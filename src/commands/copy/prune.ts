import { closeSync, fstatSync, lstatSync, readdirSync, rmdirSync, type Stats, unlinkSync } from 'node:fs';

import { calls, doAtOnce } from '../../fs/calls.ts';
import { letWrite } from '../../fs/directory/access.ts';
import { below, type RawName } from '../../fs/directory/file-name.ts';
import { mountId, mountWithOthersBelow } from '../../fs/directory/mounts.ts';
import { isAbsent, isNoDirectory, openDirectory } from '../../fs/directory/open-directory.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import { dataLink, manifestName } from '../../fs/publish/file-names.ts';
import { type WalkProblem, listedProblems } from '../../fs/tree/tally.ts';
import type { Visitor, Where } from '../../fs/tree/visitor.ts';
import { openBelow } from './merge.ts';
import { isInternal, openFollowed } from './projected.ts';
import { type Identity, isSameDirectory } from './same-place.ts';

/** Removes from DEST what no source has. Walks DEST. */
export class Prune implements Visitor {
  readonly #live: number;
  readonly #sources: readonly number[];
  readonly #roots: readonly Identity[];
  readonly #dereference: boolean;
  readonly #dryRun: boolean;
  /** Trees at the top of DEST that were published at once, and are removed. */
  /** Of a dry run, the directories in which something is left; a real one is told by the system. */
  readonly #staying = new Set<RawName>();
  readonly #published: ReadonlySet<RawName>;
  /** Of DEST, where a name may lead into another one. */
  readonly #mount: number | undefined;
  removed = 0;
  errors = 0;
  readonly problems: WalkProblem[] = [];
  #where: Where | undefined;
  /** The directories of the sources that lie at the same path as the current one. */
  #open: number[] = [];

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
    }: {
      readonly dereference: boolean;
      readonly dryRun: boolean;
      readonly published: ReadonlySet<RawName>;
    },
  ) {
    this.#live = live;
    this.#sources = sources;
    this.#roots = roots.map((root) => fstatSync(root));
    this.#dereference = dereference;
    this.#dryRun = dryRun;
    this.#published = published;
    this.#mount = mountWithOthersBelow(live);
  }

  entry(name: string | Buffer, _stat: Stats, where: Where, raw: RawName): void {
    this.#enter(where);
    // The note goes with the tree: as long as something is left, the next run must know it.
    if (raw === manifestName && this.#published.has(where.relative())) return;
    if (this.#open.some((source) => hasEntry(source, raw))) return;
    if (!this.#dryRun) removeHere(name);
    this.removed++;
  }

  enter(stat: Stats): void {
    if (this.#roots.some((root) => isSameDirectory(root, stat)))
      throw new Error('it is a source itself, and --delete would remove it');
  }

  leave(_stat: Stats, where: Where): void {
    const path = where.relative();
    if (this.#sourcesOf(path).some((source) => this.#hasDirectory(source, path))) return;
    if (this.#dryRun) {
      if (this.#staying.delete(path)) return this.#stays(above(path));
    } else {
      if (this.#published.has(path)) removeNote();
      if (!this.#removeDirectory(path)) return;
    }
    this.removed++;
  }

  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
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

  close(): void {
    for (const descriptor of this.#open) closeSync(descriptor);
    this.#open = [];
  }

  #stays(path: RawName): void {
    if (this.#dryRun) this.#staying.add(path);
  }

  /** False where something is left in it: what --exclude protects stays, and the directories that lead to it. */
  #removeDirectory(path: RawName): boolean {
    const slash = path.lastIndexOf('/');
    const parent = openBelow(this.#live, above(path));
    try {
      // Names above may lead elsewhere by now; nothing leads back to DEST's mount out of another one.
      if (this.#mount !== undefined && mountId(parent) !== this.#mount) return false;
      const back = letWrite(parent);
      try {
        rmdirSync(below(parent, path.slice(slash + 1)));
      } finally {
        back();
      }
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
      throw error;
    } finally {
      closeSync(parent);
    }
  }

  #enter(where: Where): void {
    if (this.#where === where) return;
    this.close();
    this.#where = where;
    const path = where.relative();
    for (const source of this.#sourcesOf(path)) {
      try {
        this.#open.push(openInSource(source, path, this.#dereference));
      } catch (error) {
        if (isAbsent(error)) continue; // that source has no such directory
        this.close();
        this.#where = undefined;
        throw error;
      }
    }
  }

  /** A published tree is nothing that a source could have. */
  #sourcesOf(path: RawName): readonly number[] {
    return this.#published.has(path.split('/', 1)[0] ?? '') ? [] : this.#sources;
  }

  #hasDirectory(source: number, path: RawName): boolean {
    try {
      closeSync(openInSource(source, path, this.#dereference));
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }
}

/** Removes an entry of the current directory, also where its own user may only read it. */
function removeHere(name: string | Buffer): void {
  try {
    unlinkSync(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    const here = openDirectory('.');
    const back = letWrite(here);
    try {
      unlinkSync(name);
    } finally {
      back();
      closeSync(here);
    }
  }
}

function above(path: RawName): RawName {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** A directory of a source, through the links that the copy has followed and no others; the caller closes it. */
export function openInSource(top: number, path: RawName, dereference: boolean): number {
  let at = openDirectory('.', top);
  for (const component of path === '' ? [] : path.split('/')) {
    try {
      const next = openComponent(at, component, dereference);
      closeSync(at);
      at = next;
    } catch (error) {
      closeSync(at);
      throw error;
    }
  }
  return at;
}

function openComponent(parent: number, component: RawName, dereference: boolean): number {
  try {
    return openDirectory(component, parent);
  } catch (error) {
    if (!isNoDirectory((error as NodeJS.ErrnoException).code)) throw error;
    return doAtOnce(openFollowed(calls, below(parent, component), dereference ? 'all' : 'key'));
  }
}

/** Removes the note of the published tree that is the current directory, once nothing else is in it. */
function removeNote(): void {
  if (readdirSync('.').every((name) => name === manifestName)) unlinkSync(manifestName);
}

/** Whether a source has a `..data` which the copy takes. */
export function hasDataLink(source: number): boolean {
  return hasEntry(source, dataLink);
}

/** Whether a source has an entry of that name which the copy takes. */
function hasEntry(source: number, raw: RawName): boolean {
  return (
    lstatSync(below(source, raw), { throwIfNoEntry: false }) !== undefined &&
    !isInternal(raw, (entry) => below(source, entry))
  );
}
