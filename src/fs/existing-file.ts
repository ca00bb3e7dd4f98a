import { closeSync, constants, fstatSync, ftruncateSync, writeSync } from 'node:fs';

import { openFileThere } from './directory/safe-open.ts';

/**
 * Writes the termination message where the kubelet looks for it. Never creates the file: docker has none, and a
 * mistyped path must not leave files about. Follows no link that others may have made. A full disk changes neither what
 * was done nor the exit status, and a named pipe that nobody reads does not hold up the end.
 * @returns why they could not be written; undefined where they are, or where there is no such file
 */
export function overwriteExisting(path: string, text: string): string | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openFileThere(path, constants.O_WRONLY | constants.O_NONBLOCK);
    const stat = fstatSync(descriptor);
    // On a volume, somebody else may have given another file this name as well.
    if (stat.isFile() && stat.nlink > 1) return 'the file has a second name (a hard link)';
    if (stat.isFile()) ftruncateSync(descriptor);
    writeSync(descriptor, text);
    return undefined;
  } catch (error) {
    return whyNot(error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function whyNot(error: unknown): string | undefined {
  const { code = String(error) } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return undefined;
  if (code === 'EAGAIN') return 'it is a pipe that is full, and nobody reads it';
  return code === 'ELOOP' ? 'a symlink stands in its path' : code;
}
