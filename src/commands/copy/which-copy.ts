import { fstatSync } from 'node:fs';

import { absolutePath } from '../../fs/directory/pinned-path.ts';
import type { CopyRequest } from './copy.ts';

/**
 * Tells one copy from every other: what goes where, and how. DEST by its inode alone: the number of its device changes
 * with a restart of the node.
 */
export function whichCopy(request: CopyRequest, destination: number): string {
  const { dryRun, checksum, destination: text, sources, ...rest } = request;
  void [dryRun, checksum, text];
  const inode = String(fstatSync(destination, { bigint: true }).ino);
  return JSON.stringify({ inode, sources: sources.map(absolutePath), ...rest });
}

/**
 * Whether a copy that came to its end leaves nothing to do of one that was cut off: it has put all of that there, and what
 * is missing since was removed.
 * @param cutOff as `whichCopy` had it
 */
export function isMadeWholeBy(cutOff: string, { sources, exclude, crossMounts }: CopyRequest): boolean {
  const { sources: wanted, exclude: left, crossMounts: crossed } = parse(cutOff);
  const had = new Set(sources.map(absolutePath));
  if (wanted === undefined || left === undefined || !wanted.every((source) => had.has(source))) return false;
  return exclude.every((pattern) => left.includes(pattern)) && (crossMounts || crossed === false);
}

type Noted = Partial<Pick<CopyRequest, 'sources' | 'exclude' | 'crossMounts'>>;

function parse(text: string): Noted {
  try {
    return JSON.parse(text) as Noted;
  } catch {
    return {}; // cut off itself
  }
}
