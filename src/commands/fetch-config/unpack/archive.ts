import { createHash } from 'node:crypto';

import type { ArchiveLimits, ArchiveTarget } from '../../../clients/archive/entry.ts';
import { archiveType, type ArchiveType } from '../../../clients/archive/type.ts';
import type { Patience } from '../../../core/deadline.ts';
import { openInputFile, unread } from '../../../fs/input-file.ts';
import { type Answer, never, notYet } from '../../../wait/attempt.ts';
import { Refused } from './entry-names.ts';
import type { UnpackedTree } from './tree.ts';

/** An open archive. Where others may write to it, its sum is made as it is unpacked, in one pass. */
export type Archive =
  | { readonly descriptor: number; readonly type: ArchiveType; readonly sum: string }
  | { readonly descriptor: number; readonly type: Exclude<ArchiveType, 'zip'>; readonly sum: undefined };

/**
 * Returns the sum of what was read. Whatever makes the entries of it may give nothing for as long as a server may, and
 * no longer.
 */
export async function readArchive(
  { descriptor, type, sum }: Archive,
  unpacked: UnpackedTree,
  limits: ArchiveLimits,
  patience: Patience,
): Promise<string> {
  const { signal } = patience;
  const tree = renewing(unpacked, patience);
  if (type === 'zip') {
    const { readZip } = await import('../../../clients/archive/zip.ts');
    await readZip(descriptor, tree, limits, signal);
    return sum;
  }
  const { readTar } = await import('../../../clients/archive/tar.ts');
  const compression = type === 'tar' ? 'none' : type === 'tar.gz' ? 'gzip' : 'zstd';
  if (sum !== undefined) {
    await readTar(descriptor, compression, tree, limits, signal);
    return sum;
  }
  const hash = createHash('sha256');
  await readTar(descriptor, compression, tree, limits, signal, (bytes) => hash.update(bytes));
  return hash.digest('hex');
}

/** Whatever comes out of an archive is a sign of life, as what comes in from a server is. */
function renewing(target: ArchiveTarget, patience: Patience): ArchiveTarget {
  return {
    begin(entry) {
      patience.renew();
      return target.begin(entry);
    },
    data(chunk) {
      patience.renew();
      return target.data(chunk);
    },
    end() {
      patience.renew();
      return target.end();
    },
  };
}

/** @throws Refused where it is none */
export function knownType(descriptor: number): ArchiveType {
  const type = archiveType(descriptor);
  if (typeof type === 'string') return type;
  throw new Refused(`is not a known kind of archive (tar, tar.gz, tar.zst, zip): ${type.instead}`);
}

/** Opens the file of an archive, or says why not. */
export function openArchive(path: string): number | Answer {
  try {
    return openInputFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return notYet('does not exist', { hint: 'is the volume mounted here?' });
    const { status, why, hint } = unread(error);
    return never(status, why, hint);
  }
}
