import { renameOfLibc } from '../process/libc.ts';

/** AT_FDCWD and RENAME_NOREPLACE (fcntl.h, linux/fs.h). */
const currentDirectory = -100;
const noReplace = 1;

/**
 * Renames only where nothing has the new name, by one step: rename(2) replaces an empty folder with another.
 * @param from a path in bytes, as Node takes it
 * @returns false where it was not renamed: something has that name, or the file system has no such call
 */
export function renameNew(from: string | Buffer, to: string | Buffer): boolean {
  const rename = renameOfLibc();
  return rename?.(currentDirectory, ended(from), currentDirectory, ended(to), noReplace) === 0;
}

function ended(path: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(path as string), Buffer.alloc(1)]);
}
