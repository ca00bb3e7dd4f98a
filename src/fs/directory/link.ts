import { closeSync, fstatSync, lstatSync, readlinkSync, type Stats } from 'node:fs';

import type { Libc } from '../../process/libc.ts';
import { openPinned } from './open-directory.ts';

/** PATH_MAX: no target of a link is longer, in bytes. */
const longest = 4096;
const buffer = Buffer.allocUnsafeSlow(longest);

/** Where a link leads, as raw bytes. */
export function targetOf(path: string | Buffer): Buffer {
  return readlinkSync(path, { encoding: 'buffer' });
}

/**
 * Whose a link is and where it leads, of one and the same link: by its name alone, somebody could exchange it in between.
 * @throws where it is not a link, or was replaced while it was read
 */
export function readLink(
  path: string | Buffer,
  libc: Libc | undefined,
): { readonly stat: Stats; readonly target: Buffer } {
  const pinned = openPinned(path);
  try {
    const stat = fstatSync(pinned);
    if (!stat.isSymbolicLink()) throw new Error('it is not a symbolic link any more');
    // An empty name is the opened link itself (readlinkat(2), since Linux 2.6.39).
    const length = libc?.readlinkat(pinned, '', buffer, longest) ?? -1;
    if (length > 0) return { stat, target: Buffer.from(buffer.subarray(0, length)) };
    const target = targetOf(path);
    const { ino, dev, ctimeMs } = lstatSync(path);
    if (ino !== stat.ino || dev !== stat.dev || ctimeMs !== stat.ctimeMs)
      throw new Error('it was replaced while it was read');
    return { stat, target };
  } finally {
    closeSync(pinned);
  }
}
