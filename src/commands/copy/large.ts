import {
  closeSync,
  copyFileSync,
  constants,
  fstatSync,
  openSync,
  read,
  readSync,
  type Stats,
  unlinkSync,
} from 'node:fs';

import { reasonOf } from '../../core/clock.ts';
import { calls, doAtOnce } from '../../fs/calls.ts';
import { below, itself, type RawName } from '../../fs/directory/file-name.ts';
import { attributesOf, finishFile } from './attributes.ts';
import type { CopyDirectory, Places } from './copy-directories.ts';
import { writing } from './failures.ts';
import { type Following, openSource } from './projected.ts';
import { pump } from './pump.ts';
import { create, hasLost, isShared, mayBeRewritten, type Put, type PutSettings } from './put.ts';
import { type CopyTally } from './tally.ts';

const chunk = 1 << 20;

/**
 * Copies a file in steps, between which signals are heard. Where the file system can, no byte is copied at all.
 * @param from the source, opened
 * @throws the signal's reason, WriteFailed
 */
export async function copyLarge(
  from: number,
  followed: Following,
  place: CopyDirectory,
  raw: RawName,
  tools: {
    readonly places: Places;
    readonly put: Put;
    readonly settings: PutSettings;
    readonly tally: CopyTally;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { places, put, settings, tally, signal } = tools;
  const stat = fstatSync(from);
  if (!stat.isFile()) throw new Error('it is not a regular file any more');
  const shared = isShared(stat, followed);
  const wanted = attributesOf(stat, settings);
  if (!settings.noClobber && (await isAdopted(from, stat, followed, place, raw, put, signal))) return;
  if (settings.dryRun) {
    tally.copied++;
    tally.bytes += stat.size;
    return;
  }
  if (shared && doAtOnce(put.linkKnown(calls, stat, place, raw))) {
    tally.copied++;
    return;
  }
  put.note(settings.extras?.ofFile(from));
  const stage = doAtOnce(places.stageOf(calls, place));
  const path = below(stage, raw);
  if (!cloned(from, path)) {
    const to = writing(() => doAtOnce(create(calls, path, wanted.mode)));
    try {
      const bytes = await pump(from, to, stat, settings.libc, signal);
      const now = fstatSync(from);
      if (hasLost(stat, now, bytes)) put.noteShortened(place, raw);
      else if (mayBeRewritten(stat, now, settings.since) && !(await isWhole(from, path, bytes, signal)))
        put.noteRewritten(place, raw);
    } finally {
      closeSync(to);
    }
  }
  writing(() => {
    const to = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      if (!doAtOnce(finishFile(calls, to, stat, wanted, place, settings))) tally.ownerless++;
    } finally {
      closeSync(to);
    }
  });
  tally.bytes += stat.size;
  tally.copied++;
  if (shared) doAtOnce(put.know(calls, stat, place, raw));
}

/** Shares the blocks of the source (FICLONE, ioctl_ficlone(2)), on btrfs, XFS and the like. */
function cloned(from: number, path: string | Buffer): boolean {
  try {
    copyFileSync(itself(from), path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    try {
      unlinkSync(path);
    } catch {
      // it was not made
    }
    return false;
  }
}

function readAt(descriptor: number, into: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, into, 0, into.length, position, (error, length) =>
      error ? reject(error) : resolve(length),
    );
  });
}

/** Whether what is in DEST is right already, so that it stays. */
async function isAdopted(
  from: number,
  stat: Stats,
  followed: Following,
  place: CopyDirectory,
  raw: RawName,
  put: Put,
  signal: AbortSignal,
): Promise<boolean> {
  if (place.live === undefined) return false;
  let to: number;
  try {
    to = doAtOnce(openSource(calls, below(place.live, raw), 'none'));
  } catch {
    return false;
  }
  try {
    const there = fstatSync(to);
    if (!there.isFile() || there.size !== stat.size) return false;
    if (!doAtOnce(put.fits(calls, stat, there, place))) return false;
    const same = await holdTheSame(from, to, stat.size, signal);
    if (!same || !doAtOnce(put.adopt(calls, stat, to, there, place, raw, followed))) return false;
    doAtOnce(put.countRight(calls, stat, there, place, raw));
    return true;
  } finally {
    closeSync(to);
  }
}

/** Whether a file that was written to meanwhile only grew: then what was copied is what it was. */
async function isWhole(
  from: number,
  copied: string | Buffer,
  size: number,
  signal: AbortSignal,
): Promise<boolean> {
  const copy = openSync(copied, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return await holdTheSame(from, copy, size, signal);
  } finally {
    closeSync(copy);
  }
}

/** Compares so much of two files in steps; the second has no more. */
async function holdTheSame(from: number, to: number, size: number, signal: AbortSignal): Promise<boolean> {
  const one = Buffer.allocUnsafeSlow(chunk);
  const other = Buffer.allocUnsafeSlow(chunk);
  for (let at = 0; at < size;) {
    if (signal.aborted) throw reasonOf(signal);
    const wanted = Math.min(chunk, size - at);
    const [length, second] = await Promise.all([
      readAt(from, one.subarray(0, wanted), at),
      readAt(to, other.subarray(0, wanted), at),
    ]);
    if (length === 0 || length !== second) return false;
    if (!one.subarray(0, length).equals(other.subarray(0, length))) return false;
    at += length;
  }
  return readSync(to, other, 0, 1, size) === 0;
}
