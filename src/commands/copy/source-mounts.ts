import { readlinkSync } from 'node:fs';

import { itself, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { isWithin, type Mount, mountOf, readMounts } from '../../fs/directory/mounts.ts';
import type { SourceRoot } from './sources.ts';

/** What was mounted where, and is not any more. */
export interface LostMount {
  /** The mount point, for people. */
  readonly point: string;
  /** What of DEST it was copied to: a path relative to it; empty for all of DEST. */
  readonly path: RawName;
}

/**
 * The volumes that a copy reads: its sources' own, those mounted below them, and those that followed links lead to. One that goes meanwhile leaves an empty
 * folder, which proves nothing of what DEST should hold.
 */
export class SourceMounts {
  /** By mount point, where what is below it was copied to. */
  readonly #noted = new Map<RawName, Set<RawName>>();

  /** Notes what is mounted now, beside what was noted before. */
  note(sources: readonly SourceRoot[]): void {
    const mounts = readMounts();
    for (const { descriptor, stat } of sources) {
      if (!stat.isDirectory()) continue;
      const top = readlinkSync(itself(descriptor), 'latin1');
      this.#note(top, '', mounts);
    }
  }

  /**
   * The same of a directory to which a link leads that is followed.
   * @param target its path, without links
   * @param to where it is copied to, relative to DEST
   */
  noteBehind(target: RawName, to: RawName): void {
    this.#note(target, to, readMounts());
  }

  #note(top: RawName, to: RawName, mounts: readonly Mount[]): void {
    const own = mountOf(top, mounts);
    if (own !== undefined) this.#add(own.point, to);
    for (const { point } of mounts) {
      if (point === top || !isWithin(point, top)) continue;
      const path = point.slice(top === '/' ? 1 : top.length + 1);
      this.#add(point, to === '' ? path : `${to}/${path}`);
    }
  }

  #add(point: RawName, path: RawName): void {
    const paths = this.#noted.get(point) ?? new Set();
    this.#noted.set(point, paths);
    // What holds for all of DEST holds for what is in it.
    if (!paths.has('')) paths.add(path);
  }

  /** Those that are not mounted any more. */
  lost(): readonly LostMount[] {
    const mounts = nowMounted() ?? nowMounted();
    // A table that could not be read tells of nothing: something is mounted always.
    if (mounts === undefined) return [];
    const now = new Set(mounts.map(({ point }) => point));
    return [...this.#noted]
      .filter(([point]) => !now.has(point))
      .flatMap(([point, paths]) => [...paths].map((path) => ({ point: shownName(point), path })));
  }
}

/** Undefined where the table could not be read. */
function nowMounted(): readonly Mount[] | undefined {
  const mounts = readMounts();
  return mounts.length === 0 ? undefined : mounts;
}
