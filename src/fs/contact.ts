import { lstatSync, readlinkSync, type Stats, statfs } from 'node:fs';
import { promisify } from 'node:util';

import { unlessAborted } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { exitStatus, signalStatus } from '../core/exit-status.ts';
import { DeadlinePassed, Failure, failed, SignalReceived } from '../core/outcome.ts';
import { widenThreadPool } from '../process/thread-pool.ts';
import { sideBySide } from './calls.ts';
import { rawOf, type RawName, shownName } from './directory/file-name.ts';
import { isLocal, type Mount, mountOf, readMounts } from './directory/mounts.ts';
import { asDirectory } from './directory/open-directory.ts';
import { absolutePath } from './directory/pinned-path.ts';

/** As many links as the kernel follows in one path (path_resolution(7)). */
const mostLinks = 40;

const statfsLater = promisify(statfs) as (path: Buffer) => Promise<unknown>;

/**
 * Waits until the volumes on which these paths lie answer. The calls that follow are made at once, and while one of them
 * hangs neither a signal nor the deadline is heard: so the first ones, to volumes with a server, are made by threads. What
 * is wrong with a path is left to those who work on it.
 * @param paths as a user wrote them; what is no path harms nothing
 * @throws Failure with the status of the signal's reason where that comes first: it names the volume
 */
export async function contactVolumes(
  paths: readonly string[],
  { signal }: Pick<Context, 'signal'>,
): Promise<void> {
  const mounts = readMounts();
  // The usual case: then no path is looked at.
  if (mounts.every(isLocal)) return;
  for (const path of new Set(paths)) {
    const absolute = rawOf(absolutePath(path));
    const mount = remoteMountOn(absolute, mounts);
    if (mount === undefined) continue;
    widenThreadPool();
    try {
      await unlessAborted(contact(absolute), signal);
    } catch (error) {
      throw signal.aborted ? unanswered(mount, signal.reason) : error;
    }
  }
}

/** Looks at a path by calls in threads; where nothing is there, at the nearest folder above it. */
async function contact(path: RawName): Promise<void> {
  for (let at = path; ; at = at.slice(0, at.lastIndexOf('/')) || '/') {
    const name = Buffer.from(at, 'latin1');
    let stat: Stats | undefined;
    try {
      stat = await sideBySide.lstat(name);
      // Of all that can be asked, this no kernel answers from what it remembers.
      if (stat !== undefined) await statfsLater(name);
      if (stat?.isDirectory() === true) await sideBySide.close(await sideBySide.open(name, asDirectory));
    } catch {
      return;
    }
    if (stat !== undefined || at === '/') return;
  }
}

/** The first mount on the way along a path that may not answer. Nothing is asked of it. */
function remoteMountOn(path: RawName, mounts: readonly Mount[]): Mount | undefined {
  const left = partsOf(path);
  let at: RawName = '/';
  for (let links = 0; ;) {
    const mount = mountOf(at, mounts);
    if (mount !== undefined && !isLocal(mount)) return mount;
    const part = left.shift();
    if (part === undefined) return undefined;
    if (part === '..') {
      at = at.slice(0, at.lastIndexOf('/')) || '/';
      continue;
    }
    const next = `${at === '/' ? '' : at}/${part}`;
    // A mount point is no link, and to look at it may be a call to its server.
    const target = mounts.some(({ point }) => point === next) ? undefined : linkAt(next);
    if (target === undefined) {
      at = next;
      continue;
    }
    if (++links > mostLinks) return undefined;
    if (target.startsWith('/')) at = '/';
    left.unshift(...partsOf(target));
  }
}

function linkAt(path: RawName): RawName | undefined {
  const name = Buffer.from(path, 'latin1');
  try {
    return lstatSync(name, { throwIfNoEntry: false })?.isSymbolicLink() === true
      ? readlinkSync(name, 'latin1')
      : undefined;
  } catch {
    return undefined;
  }
}

function partsOf(path: RawName): RawName[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function unanswered({ point, type }: Mount, reason: unknown): Failure {
  const details = [`the volume at ${shownName(point)} (${type}) does not answer`];
  const hint = 'look at the server of that volume (NFS, CSI driver, FUSE) and at the node’s network';
  if (reason instanceof SignalReceived)
    return new Failure(failed(signalStatus(reason.signal), `ended by ${reason.signal}`, { details, hint }));
  if (reason instanceof DeadlinePassed) return new Failure({ ...reason.outcome, details, hint });
  return new Failure(failed(exitStatus.failed, String(reason), { details, hint }));
}
