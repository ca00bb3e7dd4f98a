import { statfsSync } from 'node:fs';

import type { Directory } from '../../fs/directory/directory.ts';

/** The volume is too small for what is to be written, and nothing was touched. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';
  readonly code = 'ENOSPC';
  /** Bytes that the old files would give. */
  readonly freed: number;

  constructor(freed: number) {
    super('no room');
    this.freed = freed;
  }
}

/** Bytes on a volume. */
export interface Room {
  readonly free: number;
  /** What a file of so many bytes takes. */
  of(size: number): number;
}

/** Undefined where the file system does not tell. */
export function roomIn(directory: Directory): Room | undefined {
  const { bavail, bsize, blocks } = statfsSync(directory.itself);
  if (blocks === 0) return undefined;
  return { free: bavail * bsize, of: (size) => Math.ceil(size / bsize) * bsize };
}
