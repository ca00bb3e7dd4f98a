import { lstatSync } from 'node:fs';

import { codeAmong, type Directory, linkTarget } from '../directory/directory.ts';
import { removeCopyPlaces } from './copy-places.ts';
import { dataLink, isCopyPlace, isOurs } from './file-names.ts';
import { isAbandoned } from './in-use.ts';
import { isSuperseded, type Leftovers, removeGeneration } from './remove.ts';

export function hasLeftovers(directory: Directory): boolean {
  const current = linkTarget(directory, dataLink);
  return directory.names().some((entry) => {
    const name = entry.toString();
    return (isOurs(name) && name !== current) || isCopyPlace(name);
  });
}

/**
 * Removes what killed runs left, of whichever command: trees and files that nobody saw, and the places of copies. One of
 * this pod is dead where nobody else has the turn; of one in another pod only age tells.
 * @param own the place of this copy, and which one it does again: its note takes the place of the earlier ones
 * @returns whether there were places of copies, also such that stay
 */
export async function removeLeftovers(
  directory: Directory,
  which: Leftovers,
  own?: { readonly name: string; readonly what: string },
): Promise<boolean> {
  const names = directory.names().map((name) => name.toString());
  const places = names.filter(isCopyPlace);
  const ours = names.filter(isOurs);
  const current = ours.length > 0 ? linkTarget(directory, dataLink) : undefined;
  for (const name of ours) {
    if (name === current) continue;
    const stat = lstatSync(directory.at(name), { throwIfNoEntry: false });
    if (!stat) continue;
    const dead = which.alone && which.namer.isLocal(name);
    if (!dead && !isAbandoned(stat, which.now) && !isSuperseded(directory, name)) continue;
    try {
      await removeGeneration(directory, name);
    } catch (error) {
      // Another user's, which only takes space.
      codeAmong(error, ['EACCES', 'EPERM', 'EROFS', 'EBUSY']);
    }
  }
  await removeCopyPlaces(directory, places, which, own);
  return places.length > 0;
}
