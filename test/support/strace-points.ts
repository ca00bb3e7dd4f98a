// At which of its system calls a program touches a volume, so that each can be made to fail or to kill.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type ProgramResult, startInitbox } from './program.ts';
import { needTool } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

/** Calls that change a volume, or that a change could be torn at. */
export const changingCalls = [
  'mkdir',
  'write',
  'pwrite64',
  'writev',
  'pwritev',
  'chmod',
  'fchmod',
  'fchmodat',
  'chown',
  'lchown',
  'fchown',
  'fchownat',
  'fsync',
  'fdatasync',
  'link',
  'symlink',
  'rename',
  'renameat2',
  'unlink',
  'rmdir',
  'openat',
  'ftruncate',
  'copy_file_range',
  'sendfile',
  'utimensat',
  'fsetxattr',
];

/** Calls that only look, and may fail all the same. */
export const lookingCalls = [
  'statx',
  'newfstatat',
  'fstatfs',
  'statfs',
  'getdents64',
  'readlink',
  'read',
  'pread64',
];

/** The nth such call of a thread. */
export interface Point {
  readonly call: string;
  readonly n: number;
  /** False where an opening is for reading alone. */
  readonly changes: boolean;
}

/**
 * Where a run touches the volume: every (call, n) by which some thread does so with its nth such call. strace counts for
 * each thread, so that one injection may strike elsewhere as well, which is as good.
 * @param run runs the program with this prefix to its end
 */
export async function pointsOf(
  volume: string,
  calls: readonly string[],
  run: (prefix: readonly string[]) => Promise<void>,
): Promise<Point[]> {
  const scratch = temporaryDirectory('strace');
  try {
    const log = join(scratch.path, 'log');
    await run([
      needTool('strace', 'strace'),
      '-f',
      '-y',
      '-qq',
      '-e',
      `trace=openat,${calls.join(',')}`,
      '-o',
      log,
    ]);
    const counts = new Map<string, number>();
    const points = new Map<string, Point>();
    /** What descriptors lead to, as far as they were opened. */
    const paths = new Map<string, string>();
    for (const line of readFileSync(log, 'latin1').split('\n')) {
      const parts = /^(\d+) +(\w+)\((.*)/.exec(line);
      if (!parts) continue;
      const [, thread = '', call = '', rest = ''] = parts;
      if (!calls.includes(call) && call !== 'openat') continue;
      const n = (counts.get(thread + call) ?? 0) + 1;
      counts.set(thread + call, n);
      const [, opened = '', path = ''] = /= (\d+)<([^>]*)>/.exec(rest) ?? [];
      const [, through] = /"\/proc\/self\/fd\/(\d+)/.exec(rest) ?? [];
      // What strace did not see being opened may be the volume as well.
      const touches =
        rest.includes(volume) || (through !== undefined && (paths.get(through) ?? volume).includes(volume));
      if (call === 'openat' && opened !== '') paths.set(opened, path);
      const changes = call !== 'openat' || /O_CREAT|O_WRONLY|O_RDWR|O_TRUNC/.test(rest);
      const key = `${call} ${n}`;
      if (touches && calls.includes(call))
        points.set(key, { call, n, changes: changes || points.get(key)?.changes === true });
    }
    return [...points.values()];
  } finally {
    scratch.remove();
  }
}

/**
 * What stands before a command for that call to be struck: `signal=KILL`, `error=EIO`.
 * @param log takes the calls, with the files that they are about; read it with `struckOf`
 */
export function striking({ call, n }: Point, how: string, log = '/dev/null'): string[] {
  const inject = `inject=${call}:${how}:when=${n}`;
  // Where the kernel stops only the calls that are looked at (--seccomp-bpf), strace 6.1 drops the signal.
  const quick = how.startsWith('signal=') ? [] : ['--seccomp-bpf'];
  return [
    needTool('strace', 'strace'),
    '-f',
    '-y',
    '-qq',
    '-o',
    log,
    ...quick,
    '-e',
    `trace=${call}`,
    '-e',
    inject,
  ];
}

/** Milliseconds between two looks at whether it stands. */
const look = 10;

/**
 * Runs the program, which stands still at a call, while something is changed, and goes on then.
 * @param change is not called where the run does not come to that call
 */
export async function stoppingAt(
  point: Point,
  args: readonly string[],
  change: () => void,
): Promise<ProgramResult> {
  const scratch = temporaryDirectory('stopped');
  try {
    const log = join(scratch.path, 'log');
    const program = await startInitbox(args, { prefix: striking(point, 'signal=STOP', log) });
    let result: ProgramResult | undefined;
    const ended = program.exit.then((what) => void (result = what));
    for (let stops = 0; result === undefined;) {
      const found = existsSync(log) ? [...readFileSync(log, 'latin1').matchAll(stopped)] : [];
      // Another thread may come to its own nth call.
      for (; stops < found.length; stops++) {
        if (stops === 0) change();
        goOn(Number(found[stops]?.[1]));
      }
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, look))]);
    }
    return result;
  } finally {
    scratch.remove();
  }
}

function goOn(thread: number): void {
  try {
    process.kill(thread, 'SIGCONT');
  } catch {
    // it has ended since
  }
}

/** What strace says of each thread that stops. */
const stopped = /^(\d+) +--- stopped by SIGSTOP ---$/gm;

/** The calls that were struck, by such a log. */
export function struckOf(log: string): string[] {
  return readFileSync(log, 'latin1')
    .split('\n')
    .filter((line) => line.includes('(INJECTED)'));
}
