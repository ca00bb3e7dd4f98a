import { createHash } from 'node:crypto';

import type { ArchiveLimits, ArchiveTarget } from '../../../clients/archive/entry.ts';
import { archiveType, type ArchiveType } from '../../../clients/archive/type.ts';
import { reasonOf } from '../../../core/clock.ts';
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
  if (type === 'zip') {
    const { readZip } = await import('../../../clients/archive/zip.ts');
    await readZip(descriptor, renewing(unpacked, patience), limits, signal);
    return sum;
  }
  const { chunksOf } = await import('../../../clients/archive/tar.ts');
  const place = { at: 0 };
  if (sum !== undefined) {
    await readTarBytes(
      () => chunksOf(descriptor, place, undefined, signal),
      type,
      unpacked,
      limits,
      patience,
    );
    return sum;
  }
  const hash = createHash('sha256');
  const chunks = () => chunksOf(descriptor, place, (bytes) => hash.update(bytes), signal);
  await readTarBytes(chunks, type, unpacked, limits, patience);
  // A decompressor may have ended before the file does.
  for await (const _ of chunks()) if (signal.aborted) throw reasonOf(signal);
  return hash.digest('hex');
}

/** Unpacks a tar file as it comes. */
export async function readTarBytes(
  source: () => AsyncIterable<Uint8Array>,
  type: Exclude<ArchiveType, 'zip'>,
  unpacked: UnpackedTree,
  limits: ArchiveLimits,
  patience: Patience,
): Promise<void> {
  const { readTar } = await import('../../../clients/archive/tar.ts');
  const compression = type === 'tar' ? 'none' : type === 'tar.gz' ? 'gzip' : 'zstd';
  await readTar(source, compression, renewing(unpacked, patience), limits, patience.signal);
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
  throw unknownType(type.instead);
}

/** For what is not an archive, or not one that is unpacked. */
export function unknownType(instead: string): Refused {
  return new Refused(`is not a known kind of archive (tar, tar.gz, tar.zst, zip): ${instead}`);
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
