import { lstatSync, readlinkSync } from 'node:fs';

import type { Directory } from '../directory/directory.ts';
import { isAbsent } from '../directory/open-directory.ts';
import { isCopyPlace, isOurs } from './file-names.ts';

/** Whether nobody has put anything there: a fresh ext4 volume has lost+found, a killed run leaves what it prepared. */
export function isEmpty(directory: Directory): boolean {
  return directory.names().every((entry) => isNobodys(directory, entry.toString()));
}

/** Whether an entry is one of those in an empty volume. */
export function isNobodys(directory: Directory, name: string): boolean {
  if (name === 'lost+found' || isCopyPlace(name) || isOurs(name)) return true;
  return leadsNowhere(directory, name);
}

/** A reader's link that an atomic copy made and was killed before the swap: `name -> ..data/name`, without `..data`. */
function leadsNowhere(directory: Directory, name: string): boolean {
  try {
    return (
      readlinkSync(directory.at(name)) === `..data/${name}` &&
      lstatSync(directory.at('..data'), { throwIfNoEntry: false }) === undefined
    );
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return false;
  }
}
