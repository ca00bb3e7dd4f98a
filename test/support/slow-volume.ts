// A volume on which each call takes its time, as on a network: a folder shown at a second path by a FUSE server.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeOnce, sharedCacheDirectory } from './build-cache.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { quote, temporaryDirectory } from './undo.ts';

const source = join(import.meta.dirname, 'slowfs');

export interface SlowVolume extends AsyncDisposable {
  /** Where it is mounted: slow. */
  readonly path: string;
  /** The folder that it shows: quick. */
  readonly behind: string;
  /** Of the server: frozen, it answers nothing. */
  readonly pid: number;
  /** Unmounts it; returns the most calls that were under way at a time. */
  stop(): Promise<number>;
}

export interface SlowVolumeOptions {
  /** What each call takes, as Go writes it; `1ms` unless given. */
  readonly delay?: string;
  /** What each name of a listing takes; nothing unless given. */
  readonly listing?: string;
  /** The folder to show; an empty one of its own unless given. */
  readonly behind?: string;
}

/** Why no such volume can be had, or undefined: for requireOrSkip. */
export function canMountSlowly(): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch {
    return '/dev/fuse cannot be opened';
  }
  return whyMissing('go', 'golang-go') ?? whyMissing('flock', 'util-linux');
}

/** Mounts a slow volume; the server is built at its first use. */
export async function mountSlowly({
  delay = '1ms',
  listing = '0',
  behind,
}: SlowVolumeOptions = {}): Promise<SlowVolume> {
  const server = await slowfs();
  const folder = temporaryDirectory('slow');
  const path = join(folder.path, 'mnt');
  const shown = behind ?? join(folder.path, 'behind');
  for (const each of [path, shown]) mkdirSync(each, { recursive: true });
  const running = await startServerProcess({
    command: [server, '-delay', delay, '-listing', listing, shown, path],
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes('mounted'),
    undo: (pid) => `umount -l ${quote(path)}; kill -KILL ${pid}`,
  });
  let most: number | undefined;
  const stop = async (): Promise<number> => {
    if (most !== undefined) return most;
    await running.stop();
    // Where a process that is about to end has been in the way of that.
    spawnSync('umount', ['-l', path], { stdio: 'ignore' });
    most = Number(/at most (\d+) calls/.exec(running.logs())?.[1]);
    folder.remove();
    return most;
  };
  return {
    path,
    behind: shown,
    pid: running.pid,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

async function slowfs(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of ['main.go', 'go.mod', 'go.sum']) hash.update(readFileSync(join(source, file)));
  const name = `slowfs-${hash.digest('hex').slice(0, 12)}`;
  const built = await makeOnce(
    join(sharedCacheDirectory(), name),
    `cd ${quote(source)} && ${quote(needTool('go', 'golang-go'))} build -o "$OUT/slowfs" .`,
  );
  return join(built, 'slowfs');
}
