import { closeSync, fstatSync } from 'node:fs';

import type { Host, Parent } from '../../core/host.ts';
import { openPlace, openPlaceDirectory } from '../../fs/directory/pinned-path.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { modesOf, type ModeTexts } from '../../fs/tree/mode.ts';
import { libcForGuard } from '../../fs/tree/refused-paths.ts';
import { Walk } from '../../fs/tree/walk.ts';
import { serveWalk } from '../../fs/tree/worker-pool.ts';
import type { Libc } from '../../process/libc.ts';
import { OwnerVisitor } from './change.ts';
import type { NewOwner } from './owner.ts';
import { type ChownTally } from './tally.ts';
import { mark, TopRefused } from './top.ts';

/** All that a process needs to work on one tree; it travels to helpers as JSON. */
export interface ChownAssignment {
  readonly path: string;
  /** Identity of the top directory: a helper opens it by its path. */
  readonly dev: number;
  readonly ino: number;
  readonly owner: NewOwner;
  readonly from: NewOwner | undefined;
  readonly modes: ModeTexts;
  readonly exclude: readonly string[];
  readonly crossMounts: boolean;
  readonly dryRun: boolean;
  readonly ownGroup: number;
  readonly keepAccess: number | undefined;
  /** Whether the top is this run's to change, and so to mark. */
  readonly markTop: boolean;
}

/**
 * Loads the matcher only where there is something to match.
 * @throws Error where a pattern is not one
 */
export async function excludeOf(patterns: readonly string[]): Promise<Exclude | undefined> {
  if (patterns.length === 0) return undefined;
  const { compileExclude } = await import('../../fs/tree/exclude.ts');
  return compileExclude(patterns);
}

/** The walk of an assignment below its open top directory. */
export function chownWalk(
  assignment: ChownAssignment,
  exclude: Exclude | undefined,
  top: number,
  host: Pick<Host, 'chdir' | 'memoryLimit'>,
  libc: Libc | undefined,
): { readonly walk: Walk; readonly change: OwnerVisitor; readonly marked: () => boolean } {
  let marked = false;
  const change = new OwnerVisitor({
    owner: assignment.owner,
    from: assignment.from,
    modes: modesOf(assignment.modes),
    dryRun: assignment.dryRun,
    ownGroup: assignment.ownGroup,
    fatal: TopRefused,
    beforeChange() {
      if (marked || !assignment.markTop) return;
      mark(top, assignment.owner, assignment.keepAccess);
      marked = true;
    },
  });
  const { path, crossMounts } = assignment;
  const walk = new Walk({ top, path, exclude, crossMounts, libc }, change, host);
  return { walk, change, marked: () => marked };
}

/** What a helper process does from its start to its end. */
export function serveChown(parent: Parent, host: Pick<Host, 'chdir' | 'memoryLimit'>): void {
  serveWalk<ChownAssignment, ChownTally>(
    parent,
    async (assignment) => {
      const exclude = await excludeOf(assignment.exclude);
      const place = openPlace(assignment.path);
      const { descriptor } = openPlaceDirectory(place);
      closeSync(place.parent);
      const { dev, ino } = fstatSync(descriptor);
      if (dev !== assignment.dev || ino !== assignment.ino) throw new Error('the top directory was replaced');
      const { walk, change } = chownWalk(
        assignment,
        exclude,
        descriptor,
        host,
        await libcForGuard(descriptor),
      );
      return { walk, tally: () => change.take() };
    },
    () => performance.now(),
  );
}
