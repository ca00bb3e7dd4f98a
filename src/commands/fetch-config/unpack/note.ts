import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

import type { Directory } from '../../../fs/directory/directory.ts';

/** In each tree that was unpacked: from what. */
export const noteName = '..initbox-archive.json';

/** What made a tree: the same again would make the same. */
export interface Note {
  /** Of an archive, or of what names the same tree in a repository. */
  readonly sha256: string;
  readonly strip: number;
  readonly mode: number | null;
  /** Whether it was a secret, whose modes are narrower. */
  readonly secret: boolean;
  readonly owner: string | null;
  readonly files: number;
  /** The sum over the list of what was unpacked (sumOfTree), by which a later run knows whether all of it is there still. */
  readonly tree: string;
}

/** What a note says before the archive is read. */
export type Wanted = Omit<Note, 'files' | 'tree'>;

/** A note larger than this is not ours, in bytes. */
const largest = 4096;

/** What a tree was made from; undefined where that cannot be told. */
export function readNote(tree: Directory): Note | undefined {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const descriptor = openSync(tree.at(noteName), flags);
    try {
      const stat = fstatSync(descriptor);
      if (!stat.isFile() || stat.size > largest) return undefined;
      return JSON.parse(readFileSync(descriptor, 'utf8')) as Note;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}

export function isSame(one: Wanted, other: Note | undefined): other is Note {
  return (
    other !== undefined &&
    one.sha256 === other.sha256 &&
    one.strip === other.strip &&
    one.mode === other.mode &&
    one.secret === other.secret &&
    one.owner === other.owner
  );
}
