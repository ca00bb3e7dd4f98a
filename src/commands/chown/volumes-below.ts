import { readlinkSync } from 'node:fs';

import type { Log } from '../../core/log.ts';
import { itself, shownName } from '../../fs/directory/file-name.ts';
import { isWithin, type Mount, readMounts } from '../../fs/directory/mounts.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import type { ChownTarget } from './target.ts';

/** Named in a warning; more are counted. */
const named = 3;

/**
 * Warns of each path with volumes mounted below it, which are not entered: where the path was meant to be the volume, all
 * of it is left as it was.
 * @returns their names, for the outcome
 */
export function volumesBelow(
  targets: readonly ChownTarget[],
  request: { readonly recursive: boolean; readonly crossMounts: boolean },
  exclude: Exclude | undefined,
  log: Pick<Log, 'warn'>,
): ReadonlyMap<ChownTarget, string> {
  const told = new Map<ChownTarget, string>();
  if (!request.recursive || request.crossMounts) return told;
  const mounts = readMounts();
  const tops = targets.map(pathOfTop);
  for (const [index, target] of targets.entries()) {
    const { shown } = target;
    if (target.descriptor === undefined) continue;
    const below = pointsBelow(tops[index] ?? '', mounts, exclude).filter((point) => !tops.includes(point));
    if (below.length === 0) continue;
    const list = below.slice(0, named).map(shownName).join(' ');
    const more = below.length > named ? ` and ${below.length - named} more` : '';
    told.set(target, `${list}${more}`);
    log.warn(
      `${shown}: what is mounted below it is left as it is: ${list}${more}; name it as a path of its own, or enter it with --no-one-file-system`,
    );
  }
  return told;
}

function pathOfTop({ descriptor, place }: ChownTarget): string {
  return descriptor === undefined ? place.path : readlinkSync(itself(descriptor), 'latin1');
}

/** Mount points below a directory, outermost alone, that no pattern leaves out; as raw bytes. */
export function pointsBelow(
  top: string,
  mounts: readonly Pick<Mount, 'point'>[],
  exclude: Exclude | undefined,
): readonly string[] {
  const found = new Set(
    mounts.map(({ point }) => point).filter((point) => point !== top && isWithin(point, top)),
  );
  const left = (point: string): boolean => {
    const parts = point.slice(top.length + 1).split('/');
    return parts.some((_, index) => exclude?.(shownName(parts.slice(0, index + 1).join('/'))) === true);
  };
  return [...found]
    .filter((point) => ![...found].some((other) => other !== point && isWithin(point, other)) && !left(point))
    .toSorted();
}
