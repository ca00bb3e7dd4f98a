import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstat,
  fstatSync,
  fsync,
  openSync,
  writeSync,
  type BigIntStats,
} from 'node:fs';
import { promisify } from 'node:util';

import { reasonOf } from '../../core/clock.ts';
import { sideBySide } from '../calls.ts';
import type { Directory } from '../directory/directory.ts';
import { isOwn } from '../directory/safe-open.ts';
import { dropInheritedAcl, hasAcl } from '../inherited-acl.ts';
import type { FileOwner } from './attributes.ts';

/** What a file holds and who may read it. */
export interface FileContent {
  readonly bytes: Uint8Array;
  readonly mode: number;
  /** Unset: whoever runs this, and the group that the directory gives. */
  readonly owner?: FileOwner | undefined;
  /** False where it need not last beyond a loss of power; then nobody waits for the disk. */
  readonly lasting?: boolean | undefined;
}

/** Tells a file from every other one; by its owner also from a later one that got its inode. */
export type FileIdentity = string;

export function fileIdentity({ dev, ino, uid }: BigIntStats): FileIdentity {
  return `${dev}-${ino}-${uid}`;
}

/** Bytes between two looks at the signal. */
const chunk = 1 << 20;

/** Up to here a write into the page cache takes less time than handing it to another thread and back. */
const quick = 1 << 16;

const flush = promisify(fsync);
const statLater = promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>;

/**
 * Writes a new file whole: content, mode, owner, and, where it is to last, all of it on the disk. Nobody sees it under a name that counts
 * before the caller renames it or swaps the directory that it is in.
 * @returns which file it is
 * @throws the system's error, or the signal's reason; the file may be there then, half written
 */
export async function writeFile(
  directory: Directory,
  name: string,
  file: FileContent,
  signal: AbortSignal,
): Promise<FileIdentity> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  if (file.bytes.length <= quick) return writeQuickly(directory, name, flags, file, signal);
  const { buffer, byteOffset, length } = file.bytes;
  const bytes = Buffer.from(buffer, byteOffset, length);
  const fd = await sideBySide.open(directory.at(name), flags, 0o600);
  try {
    dropInheritedAcl(fd, directory.shown);
    for (let at = 0; at < length;) {
      if (signal.aborted) throw reasonOf(signal);
      at += await sideBySide.write(fd, bytes, at, Math.min(chunk, length - at));
    }
    if (signal.aborted) throw reasonOf(signal);
    giveAway(fd, file);
    if (file.lasting !== false) await flush(fd);
    return fileIdentity(await statLater(fd, { bigint: true }));
  } finally {
    await sideBySide.close(fd);
  }
}

/** One trip to another thread, for what may take long: the disk. */
async function writeQuickly(
  directory: Directory,
  name: string,
  flags: number,
  file: FileContent,
  signal: AbortSignal,
): Promise<FileIdentity> {
  if (signal.aborted) throw reasonOf(signal);
  const fd = openSync(directory.at(name), flags, 0o600);
  try {
    dropInheritedAcl(fd, directory.shown);
    for (let at = 0; at < file.bytes.length;) at += writeSync(fd, file.bytes, at);
    giveAway(fd, file);
    if (file.lasting !== false) await flush(fd);
    return fileIdentity(fstatSync(fd, { bigint: true }));
  } finally {
    closeSync(fd);
  }
}

/** The mode first: once the file is another's, only CAP_FOWNER could change it. */
function giveAway(fd: number, { mode, owner }: FileContent): void {
  fchmodSync(fd, mode);
  if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
}

/**
 * Does the file hold this already, with this mode and owner, and no access control list? Another user's does not, unless
 * it is to be: who owns it could change it later. Returns its inode, or undefined where it does not, or where it cannot be
 * told.
 */
export async function findUnchanged(
  directory: Directory,
  name: string,
  file: FileContent,
): Promise<bigint | undefined> {
  try {
    // O_NONBLOCK: a FIFO under that name must not hold us up.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = await sideBySide.open(directory.at(name), flags);
    try {
      const stat = await statLater(fd, { bigint: true });
      if (
        !stat.isFile() ||
        Number(stat.size) !== file.bytes.length ||
        Number(stat.mode & 0o7777n) !== file.mode
      )
        return undefined;
      const uid = Number(stat.uid);
      if (file.owner ? uid !== file.owner.uid || Number(stat.gid) !== file.owner.gid : !isOwn({ uid }))
        return undefined;
      return (await holds(fd, file.bytes)) && !hasAcl(fd) ? stat.ino : undefined;
    } finally {
      await sideBySide.close(fd);
    }
  } catch {
    return undefined; // absent, unreadable, a link: it will be replaced, or the replacing says why not
  }
}

async function holds(fd: number, bytes: Uint8Array): Promise<boolean> {
  const buffer = Buffer.allocUnsafe(Math.min(chunk, bytes.length + 1));
  for (let at = 0; ;) {
    const read = await sideBySide.read(fd, buffer, 0, buffer.length, at);
    if (read === 0) return at === bytes.length;
    const part = bytes.subarray(at, at + read);
    if (!buffer.subarray(0, read).equals(part)) return false;
    at += read;
  }
}
