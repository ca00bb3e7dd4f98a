// Faults of processes and disks, made by the kernel.
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';

import { liveGroup, liveProcess, type ProcessEntry } from './process-table.ts';
import { needTool } from './tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from './undo.ts';
import { waitUntil } from './wait-until.ts';

export { liveDescendants, liveGroup, liveProcess, processesIn } from './process-table.ts';
export { waitUntil } from './wait-until.ts';

/** Stops a process in its tracks (SIGSTOP) and returns once it is stopped. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await waitUntil(() => liveProcess(pid)?.state === 'T', { what: `process ${pid} to stop` });
}

/** Lets it go on. */
export function thaw(pid: number): void {
  process.kill(pid, 'SIGCONT');
}

/** SIGKILL to every member of a process group; false when there was none. */
export function killGroup(group: number, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Waits until no member of the group lives; the error names those that do. */
export async function groupGone(group: number, timeout = 10_000): Promise<void> {
  const shown = ({ pid, command, state }: ProcessEntry) => `${pid} ${command} (${state})`;
  await waitUntil(() => liveGroup(group).length === 0, {
    timeout,
    what: () => `the end of group ${group}; alive: ${liveGroup(group).map(shown).join(', ')}`,
  });
}

/** Why nothing can be mounted, or undefined: for requireOrSkip. */
export function canMount(): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  try {
    mountTmpfs({ size: '64k' }).remove();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

export interface Mounted extends Disposable {
  readonly path: string;
  remove(): void;
}

export interface TmpfsOptions {
  /** As mount(8) takes it: `64k`, `10m`. */
  size: string;
  /** More mount options, such as `nr_inodes=10` or `uid=1000`. */
  options?: string;
  /** Mode of its top folder; 1777 unless given. */
  mode?: number;
}

/** Mounts a small file system in memory: a disk that fills up. */
export function mountTmpfs({ size, options, mode = 0o1777 }: TmpfsOptions): Mounted {
  const folder = temporaryDirectory('tmpfs');
  const all = [`size=${size}`, options].filter((part) => part !== undefined).join(',');
  return mounted(folder, ['-t', 'tmpfs', '-o', all, 'initbox-test', folder.path], () =>
    chmodSync(folder.path, mode),
  );
}

/** Shows a folder at a second path through which nothing can be written, not even by root (EROFS). */
export function mountReadOnly(source: string): Mounted {
  const folder = temporaryDirectory('read-only');
  return mounted(folder, ['--bind', source, folder.path], () => mount('-o', 'remount,bind,ro', folder.path));
}

function mount(...words: string[]): void {
  execFileSync(needTool('mount', 'mount'), words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function mounted(folder: { path: string; remove(): void }, words: string[], then: () => void): Mounted {
  const undo = undoAtDeath(`umount -l ${quote(folder.path)}`);
  let there = true;
  const remove = () => {
    if (!there) return;
    there = false;
    try {
      // Lazily: a test's process that still stands in it must not keep it.
      execFileSync('umount', ['-l', folder.path], { stdio: 'ignore' });
    } catch {
      // was not mounted
    }
    undo.forget();
    folder.remove();
  };
  try {
    mount(...words);
    then();
  } catch (error) {
    remove();
    throw error;
  }
  return { path: folder.path, remove, [Symbol.dispose]: remove };
}

/** Prefix that runs shell commands in a mount namespace of its own, then the program. */
export function mounting(script: string): string[] {
  return [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    '--',
    '/bin/sh',
    '-euc',
    `${script}; exec "$@"`,
    'sh',
  ];
}

/**
 * What stands before a command whose system calls are to fail, to take longer or to kill: strace(1) with these
 * expressions, such as `inject=rename:error=EIO:when=1`.
 */
export function underStrace(...expressions: readonly string[]): string[] {
  return ['strace', '-f', '-qq', '-o', '/dev/null', ...expressions.flatMap((one) => ['-e', one])];
}
