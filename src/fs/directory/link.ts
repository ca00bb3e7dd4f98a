import { closeSync, type Stats } from 'node:fs';

import type { Libc } from '../../process/libc.ts';
import { type Calls, given, type Work } from '../calls.ts';
import { asPinned } from './open-directory.ts';

/** PATH_MAX: no target of a link is longer, in bytes. */
const longest = 4096;
const buffer = Buffer.allocUnsafeSlow(longest);

/**
 * Whose a link is and where it leads, of one and the same link: by its name alone, somebody could exchange it in between.
 * @throws where it is not a link, or was replaced while it was read
 */
export function* readLink(
  calls: Calls,
  path: string | Buffer,
  libc: Libc | undefined,
): Work<{ readonly stat: Stats; readonly target: Buffer }> {
  const pinned = yield* given(calls.open(path, asPinned));
  try {
    const stat = yield* given(calls.fstat(pinned));
    if (!stat.isSymbolicLink()) throw new Error('it is not a symbolic link any more');
    // An empty name is the opened link itself (readlinkat(2), since Linux 2.6.39).
    const length = libc?.readlinkat(pinned, '', buffer, longest) ?? -1;
    if (length > 0) return { stat, target: Buffer.from(buffer.subarray(0, length)) };
    const target = yield* given(calls.readlink(path));
    const now = yield* given(calls.lstat(path));
    if (now === undefined) throw Object.assign(new Error('the link is gone'), { code: 'ENOENT' });
    if (now.ino !== stat.ino || now.dev !== stat.dev || now.ctimeMs !== stat.ctimeMs)
      throw new Error('it was replaced while it was read');
    return { stat, target };
  } finally {
    closeSync(pinned);
  }
}
