import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';

import { reasonOf } from '../../../core/clock.ts';
import type { Patience } from '../../../core/deadline.ts';
import { codeAmong, type Directory } from '../../../fs/directory/directory.ts';
import { isOpenToOthers, isOwn } from '../../../fs/directory/safe-open.ts';
import { sumOf } from './download.ts';

/** Entries between two chances for a signal to be handled. */
const atOnce = 500;

/**
 * The sum over all that is under some names of a directory: type, mode, owner, and of files and links size and time, of
 * links what they lead to. Where somebody else may write to a file, or put another into its place, he can make all of
 * that right: so its content is in the sum too.
 * @throws the signal's reason, or the system's error
 */
export async function sumOfTree(
  directory: Directory,
  names: readonly string[],
  patience: Patience,
): Promise<string> {
  const hash = createHash('sha256');
  const entries = names.map((name) => Buffer.from(name)).toSorted(Buffer.compare);
  await addEntries(directory, entries, false, { hash, patience, left: atOnce });
  return hash.digest('hex');
}

interface Summing {
  readonly hash: Hash;
  readonly patience: Patience;
  left: number;
}

async function addEntries(
  directory: Directory,
  names: readonly Buffer[],
  open: boolean,
  summing: Summing,
): Promise<void> {
  const { hash, patience } = summing;
  for (const name of names) {
    if (--summing.left <= 0) {
      summing.left = atOnce;
      await new Promise((resolve) => setImmediate(resolve));
      if (patience.signal.aborted) throw reasonOf(patience.signal);
      patience.renew();
    }
    const stat = lstatSync(directory.at(name));
    hash.update(`${name.toString('hex')} ${stat.mode} ${stat.uid} ${stat.gid}`);
    if (stat.isDirectory()) {
      using child = directory.child(name);
      hash.update(' (');
      await addEntries(child, child.names().toSorted(Buffer.compare), open || isChangeable(stat), summing);
      hash.update(')');
      continue;
    }
    hash.update(` ${stat.size} ${stat.mtimeMs}`);
    if (stat.isSymbolicLink())
      hash.update(` ${readlinkSync(directory.at(name), { encoding: 'buffer' }).toString('hex')}`);
    else if (stat.isFile() && (open || isChangeable(stat)))
      hash.update(` ${await contentOf(directory, name, patience)}`);
    hash.update(';');
  }
}

function isChangeable(stat: Stats): boolean {
  return !isOwn(stat) || isOpenToOthers(stat);
}

async function contentOf(directory: Directory, name: Buffer, patience: Patience): Promise<string> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let descriptor: number;
  try {
    descriptor = openSync(directory.at(name), flags);
  } catch (error) {
    codeAmong(error, ['EACCES', 'EPERM']);
    return `unread ${Math.random()}`; // never the same: the tree is made anew
  }
  try {
    // Another may have come to stand there since it was looked at: a FIFO would give nothing, for ever.
    return fstatSync(descriptor).isFile() ? await sumOf(descriptor, patience) : 'exchanged';
  } finally {
    closeSync(descriptor);
  }
}
