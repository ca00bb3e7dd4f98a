import { constants, opendirSync, openSync } from 'node:fs';

import { below, itself, pathOf, type RawName } from './file-name.ts';

/**
 * Opens without reading and without permission on the file itself (open(2), asm-generic/fcntl.h; the value is the same
 * on x86-64 and arm64). With it even a FIFO or a device opens without effect.
 */
export const O_PATH = 0o10000000;

/** Never through a link, never anything but a directory, never waiting. */
export const asDirectory =
  constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens an entry of the directory that `at` leads into (a descriptor), or of the current one. */
export function openDirectory(raw: RawName, at?: number): number {
  return openSync(at === undefined ? pathOf(raw) : below(at, raw), asDirectory);
}

/** Whether an open directory has no entries. */
export function isEmptyDirectory(descriptor: number): boolean {
  const directory = opendirSync(itself(descriptor), { bufferSize: 1 });
  try {
    return directory.readSync() === null;
  } finally {
    directory.closeSync();
  }
}

export const asPinned = O_PATH | constants.O_NOFOLLOW;

/** Pins an entry, whatever it is, without following it if it is a link. The caller closes it. */
export function openPinned(path: string | Buffer): number {
  return openSync(path, asPinned);
}

/** Whether an open failed because a directory turned out to be a link or something else. */
export function isNoDirectory(code: string | undefined): boolean {
  return code === 'ELOOP' || code === 'ENOTDIR';
}

/**
 * Whether an error says that nothing is there, or something else than was looked for. Any other, as of a medium that
 * fails, says nothing of what is there: what is removed or left out must not follow from it.
 */
export function isAbsent(error: unknown): boolean {
  const { code, errno } = error as NodeJS.ErrnoException;
  // Without a number it is no error of the system's, but our own word for it.
  return errno === undefined || code === 'ENOENT' || isNoDirectory(code) || code === 'EINVAL';
}
