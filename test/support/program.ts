// Runs the built program as a pod would: a clean environment, its own process group, PID 1 if asked for.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { killGroup } from './faults.ts';
import { needTool, nodePath, projectDirectory } from './tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from './undo.ts';
import { waitUntil } from './wait-until.ts';

export interface ProgramOptions {
  /** Beside PATH and HOME, which are always there and may be replaced. */
  env?: Record<string, string>;
  cwd?: string;
  /** Written to its standard input, which then ends; /dev/null unless given. */
  stdin?: string | Uint8Array;
  /** Milliseconds until it is killed with its group and the result is an error; 120,000 unless given. */
  timeout?: number;
  /** Command prefix that execs: a network namespace's, strace, ulimit's shell. */
  prefix?: readonly string[];
  /**
   * Flags of unshare(1), such as `['--pid', '--fork', '--mount-proc']`. With --fork, pid is still the program's own.
   */
  unshare?: readonly string[];
  /** Contents shown to it in place of existing files, in a mount namespace of its own: `{ '/etc/resolv.conf': … }`. */
  files?: Record<string, string>;
  /** Runs as this user without any capability or supplementary group; needs root. */
  user?: { uid: number; gid: number; groups?: readonly number[] };
  /** What is run instead of `node dist/initbox.js`. */
  program?: readonly string[];
}

export interface ProgramResult {
  /** Null when a signal ended it. */
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** From the start to the end of the process. */
  milliseconds: number;
}

export interface RunningProgram {
  /** Of the program itself, as this process sees it. */
  readonly pid: number;
  /** The started process: unshare's when it forks, else the program. */
  readonly child: ChildProcess;
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves with the match once standard error matches; rejects when it ends or `timeout` ms (60,000) pass first. */
  waitForStderr(pattern: RegExp, timeout?: number): Promise<RegExpExecArray>;
  waitForStdout(pattern: RegExp, timeout?: number): Promise<RegExpExecArray>;
  /** Sends a signal to the program (not to its group); false when it has ended. */
  kill(signal?: NodeJS.Signals): boolean;
  readonly exit: Promise<ProgramResult>;
}

/** The command line that runs the built program. */
export function programCommand(): string[] {
  return [nodePath(), join(projectDirectory, 'dist', 'initbox.js')];
}

/** Runs it to its end. */
export async function runInitbox(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  return (await startInitbox(args, options)).exit;
}

/**
 * Runs it to a deadline at which it tells what its attempts found. The deadline in the arguments suffices on a machine
 * that keeps pace; where the program itself says that none of its attempts was answered so soon, which is true of a slow
 * machine, it is given four times as long, and says that on standard error of the test. What never answers fails at the
 * longest deadline, a minute.
 * @param args with `--timeout` or `--lock-timeout` before all others
 * @returns also the deadline that sufficed; without one it is run once, as by runInitbox
 */
export async function runToDeadline(
  args: readonly string[],
  options: ProgramOptions & {
    /** True where what was said at the deadline comes of an attempt that was over. */
    answered?: (stderr: string) => boolean;
  } = {},
): Promise<ProgramResult & { deadline: string }> {
  const { answered = (stderr: string) => !unanswered.test(stderr), ...rest } = options;
  const at = args.findIndex((word) => word === '--timeout' || word === '--lock-timeout') + 1;
  const given = at > 0 ? args[at] : undefined;
  const [, number, unit] = /^(\d+)(ms|s)$/.exec(given ?? '') ?? [];
  if (given === undefined || number === undefined)
    return { ...(await runInitbox(args, rest)), deadline: given ?? 'none' };
  for (let limit = Number(number) * (unit === 's' ? 1000 : 1), deadline = given; ;) {
    const result = await runInitbox(args.with(at, deadline), { timeout: limit + 120_000, ...rest });
    if (result.status !== 124 || answered(result.stderr) || limit >= longestDeadline)
      return { ...result, deadline };
    limit = Math.min(limit * 4, longestDeadline);
    process.stderr.write(`no attempt was answered within ${deadline}; given ${limit}ms: ${args.join(' ')}\n`);
    deadline = `${limit}ms`;
  }
}

/** What the program says of attempts that the deadline cut before they were answered. */
const unanswered =
  /no answer yet|no answer from|not tried yet|the time was up before anything could be tried/;

const longestDeadline = 60_000;

/** Runs it as PID 1 of a new PID namespace, as the only process of a container: nobody reaps for it, /proc is its own. */
export async function runAsPid1(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  return (await startAsPid1(args, options)).exit;
}

/** As runAsPid1, without waiting for its end. Signals reach it only if it handles them, as in a container. */
export async function startAsPid1(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<RunningProgram> {
  return startInitbox(args, {
    ...options,
    unshare: ['--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL', ...(options.unshare ?? [])],
  });
}

/** Why it cannot be run as PID 1, or undefined: for requireOrSkip. */
export function canRunAsPid1(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'a PID namespace needs root';
}

/** Starts it; resolves once the process is there (which is not when it is ready). */
export async function startInitbox(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<RunningProgram> {
  const { env = {}, timeout = 120_000, unshare = [], files = {}, stdin } = options;
  const shown = temporaryFiles(files);
  const forks = unshare.includes('--fork');
  const command = [
    ...(options.prefix ?? []),
    ...(unshare.length === 0 ? [] : [needTool('unshare', 'util-linux'), ...unshare, '--']),
    ...shown.prefix,
    ...asUser(options.user),
    ...(options.program ?? programCommand()),
    ...args,
  ];
  const [file = '', ...rest] = command;
  const started = performance.now();
  const child = spawn(file, rest, {
    cwd: options.cwd,
    // A group of its own, so that a signal for it reaches nobody else and its end can be checked.
    detached: true,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...env },
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A program that does not read its input: its status tells, not EPIPE.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(stdin);

  let milliseconds = 0;
  child.once('exit', () => (milliseconds = performance.now() - started));
  const closed = new Promise<ProgramResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr, milliseconds }));
  });
  const undo =
    child.pid === undefined ? undefined : undoAtDeath(`kill_tree ${child.pid}; kill -KILL -${child.pid}`);
  const exit = (async () => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) killGroup(child.pid);
      // A grandchild outside the group may hold the pipes: the error must come all the same.
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, timeout);
    try {
      const result = await closed;
      if (late) {
        throw new Error(`${command.join(' ')} did not end within ${timeout} ms; standard error:\n${stderr}`);
      }
      return result;
    } finally {
      clearTimeout(timer);
      undo?.forget();
      shown.remove();
    }
  })();
  // Whoever never looks at the end must not bring the test process down.
  exit.catch(() => undefined);

  if (child.pid === undefined) {
    await exit;
    throw new Error(`could not start ${file}`);
  }
  const pid = forks ? await childOf(child.pid, exit) : child.pid;
  const ended = () => child.exitCode !== null || child.signalCode !== null;

  async function waitFor(
    stream: 'stdout' | 'stderr',
    pattern: RegExp,
    wait: number,
  ): Promise<RegExpExecArray> {
    const text = () => (stream === 'stdout' ? stdout : stderr);
    const what = () => `${pattern} on ${stream}; so far:\n${text()}`;
    const once = new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ''));
    const found = await waitUntil(
      () => {
        // In this order: what it wrote last may have come between.
        const over =
          ended() && (child.stdout?.readableEnded ?? true) && (child.stderr?.readableEnded ?? true);
        return once.exec(text()) ?? (over ? 'over' : undefined);
      },
      { timeout: wait, interval: 5, what },
    );
    if (found === 'over') throw new Error(`it ended without ${what()}`);
    return found;
  }

  return {
    pid,
    child,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    waitForStderr: (pattern, wait = 60_000) => waitFor('stderr', pattern, wait),
    waitForStdout: (pattern, wait = 60_000) => waitFor('stdout', pattern, wait),
    kill(signal = 'SIGTERM') {
      try {
        process.kill(pid, signal);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
        throw error;
      }
    },
    exit,
  };
}

/** The process that unshare --fork made. */
async function childOf(parent: number, exit: Promise<ProgramResult>): Promise<number> {
  let over = false;
  void exit.then(
    () => (over = true),
    () => (over = true),
  );
  const found = await waitUntil(
    () => {
      if (over) return 'over';
      try {
        const first =
          readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ')[0] ?? '';
        return Number(first);
      } catch {
        return undefined;
      }
    },
    { interval: 2, what: 'unshare to fork' },
  );
  // It may have ended before anybody could look: its result is what counts, and nobody can signal it any more.
  return found === 'over' ? parent : found;
}

function asUser(user: ProgramOptions['user']): string[] {
  if (user === undefined) return [];
  const groups =
    user.groups === undefined || user.groups.length === 0
      ? '--clear-groups'
      : `--groups=${user.groups.join(',')}`;
  return [
    needTool('setpriv', 'util-linux'),
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    groups,
    '--inh-caps=-all',
    '--bounding-set=-all',
    '--no-new-privs',
    '--',
  ];
}

/** Prefix that binds files over others in a mount namespace of its own, and execs. */
function temporaryFiles(files: Record<string, string>): { prefix: string[]; remove(): void } {
  const entries = Object.entries(files);
  if (entries.length === 0) return { prefix: [], remove: () => undefined };
  const folder = temporaryDirectory('files');
  const mounts = entries.map(([target, contents], index) => {
    const source = join(folder.path, `${index}`);
    writeFileSync(source, contents);
    chmodSync(source, 0o644);
    return `mount --bind ${quote(source)} ${quote(target)}`;
  });
  return {
    prefix: [
      needTool('unshare', 'util-linux'),
      '--mount',
      '--propagation',
      'private',
      '--',
      '/bin/sh',
      '-euc',
      `${mounts.join('; ')}; exec "$@"`,
      'sh',
    ],
    remove: folder.remove,
  };
}

export interface TerminationLog {
  /** For `--termination-log`. */
  path: string;
  /** What the program left in it. */
  read(): string;
}

/** Makes an empty file, writable for every user as Kubernetes makes it. */
export function terminationLog(): TerminationLog {
  const path = join(temporaryDirectory('termination').path, 'termination-log');
  writeFileSync(path, '');
  chmodSync(path, 0o666);
  return { path, read: () => readFileSync(path, 'utf8') };
}
