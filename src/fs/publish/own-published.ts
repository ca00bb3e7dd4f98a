import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

import { overLimit } from '../../core/size.ts';
import { Directory, linkTarget } from '../directory/directory.ts';
import { isOpenToOthers, isOwn } from '../directory/safe-open.ts';
import { explained } from '../error-message.ts';
import { hasAcl } from '../inherited-acl.ts';
import type { FileOwner } from './attributes.ts';
import { dataLink } from './file-names.ts';
import { isOwnAloneIn } from './own-files.ts';
import { currentGeneration, throughData } from './reader-links.ts';

/** What an earlier run left under a name, or why it cannot be told that one did; that text follows the file's path. */
export type OwnPublished =
  | { readonly kind: 'own'; readonly bytes: Buffer; /** Its permission bits. */ readonly mode: number }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly why: string };

/**
 * Reads files that were published together, all of the same moment. Each is judged by the descriptor that it is read from:
 * what others made, or could have changed since, is not taken for this program's.
 * @param largest bytes that each may have
 * @param owner to whom they were given, if to anybody
 * @returns one for each name; `absent` for all where there is no such folder
 * @throws Failure where no folder of this program's can be reached there
 */
export function readOwnPublished(
  folder: string,
  names: readonly string[],
  largest: number,
  owner: FileOwner | undefined,
): readonly OwnPublished[] {
  using stack = new DisposableStack();
  let place: Directory;
  let current: string | undefined;
  try {
    place = stack.use(Directory.reach(folder));
    current = currentGeneration(place);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return names.map(() => ({ kind: 'absent' }));
    throw explained(error, folder);
  }
  if (current !== undefined)
    try {
      place = stack.use(place.child(current));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return names.map(() =>
        refusedFor(`cannot be read: what ${dataLink} leads to is not a folder (${code})`),
      );
    }
  return names.map((name) => readIn(place, name, largest, owner));
}

function readIn(place: Directory, name: string, largest: number, owner: FileOwner | undefined): OwnPublished {
  let descriptor: number;
  try {
    descriptor = openSync(place.at(name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A first run that ended before its swap has left the links of readers, which lead nowhere yet.
    if (code === 'ENOENT' || (code === 'ELOOP' && linkTarget(place, name) === throughData(name)))
      return { kind: 'absent' };
    if (code === 'ELOOP') return refusedFor('is a symbolic link');
    return refusedFor(`cannot be read (${code})`);
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return refusedFor('is not a regular file');
    if (stat.size > largest) return refusedFor(`has ${overLimit(stat.size, largest)}`);
    const given = stat.uid === owner?.uid;
    if (!given && !isOwn(stat) && !isOwnAloneIn(place, stat))
      return refusedFor(`belongs to user ${stat.uid}`);
    if (given ? isOpenToOthers(stat) : !isOwnAloneIn(place, stat))
      return refusedFor(
        (stat.mode & 0o002) === 0
          ? `may be changed by group ${stat.gid}, as the kubelet arranges for fsGroup at each start of a pod, unless fsGroupChangePolicy is OnRootMismatch`
          : 'may be changed by everybody',
      );
    if (hasAcl(descriptor)) return refusedFor('has an access control list');
    const bytes = Buffer.alloc(stat.size);
    let size = 0;
    for (let read = -1; read !== 0 && size < bytes.length; size += read)
      read = readSync(descriptor, bytes, size, bytes.length - size, null);
    return { kind: 'own', bytes: bytes.subarray(0, size), mode: stat.mode & 0o777 };
  } catch (error) {
    return refusedFor(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  } finally {
    closeSync(descriptor);
  }
}

function refusedFor(why: string): OwnPublished {
  return { kind: 'refused', why };
}
