import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import type { Writable } from 'node:stream';
import { exitStatus } from './exit-status.ts';
import { Failure, failed } from './outcome.ts';

/** What the operating system does for a process; the one place beside main that touches `process`. */
export interface Host {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Paths of the running executable and of the script it runs, where that lies: not of a link to it in a PATH. */
  readonly executable: string;
  readonly script: string;
  readonly architecture: string;
  /** Bytes that the container may use; undefined where nothing says so. */
  memoryLimit(): number | undefined;
  /** Sends a signal to a process, or to a process group (a negative pid). False where there is none. */
  kill(pid: number, signal: NodeJS.Signals | 0): boolean;
  /** Makes a directory the current one, of the whole process. */
  chdir(path: string): void;
  /**
   * Starts a command's helper, which is installed beside the program: the same Node, with a channel for messages.
   * @throws the system's error where no process can be had
   */
  startHelper(command: string): Helper;
  /** Has the engine collect its short-lived objects more often, rather than take up to 30 MB for them. */
  saveMemory(): void;
  /** Has the engine collect short-lived objects now: it counts their buffers little, and lets 60 MB of them stand. */
  collectGarbage(): void;
}

let collect: Collect | undefined;

/** A process that shares the work of this one. It ends when this one does. */
export interface Helper {
  readonly pid: number;
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, when it has ended or could not be started; never without one of the two. */
  onEnd(listener: () => void): void;
  /** Ends it at once. */
  kill(): void;
}

/** What a helper has of the process that started it. */
export interface Parent {
  send(message: unknown): void;
  onMessage(listener: (message: never) => void): void;
  /** Called when the other process has ended. */
  onEnd(listener: () => void): void;
}

/**
 * What a process of our own Node is started with: until it has a listener for SIGUSR1, that signal would open Node's
 * inspector on 127.0.0.1, which all containers of a pod share.
 */
export const nodeFlags: readonly string[] = ['--disable-sigusr1'];

const ownScript = realPath(process.argv[1] ?? '');

export const systemHost: Host = {
  pid: process.pid,
  // Asked for each time: a step of a plan becomes another user.
  get uid() {
    return process.getuid?.() ?? -1;
  },
  get gid() {
    return process.getgid?.() ?? -1;
  },
  executable: process.execPath,
  script: ownScript,
  architecture: process.arch,
  memoryLimit() {
    const limit = process.constrainedMemory();
    // Without a limit it is 0, or what the largest number of pages makes.
    return limit > 0 && limit < 2 ** 50 ? limit : undefined;
  },
  kill(pid, signal) {
    try {
      return process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  },
  chdir: (path) => process.chdir(path),
  startHelper(command) {
    const file = ownScript.endsWith('.ts') ? `${command}/helper.ts` : `${command}-helper.js`;
    const helper = join(dirname(ownScript), 'commands', file);
    const child = process.getBuiltinModule('node:child_process').fork(helper, [], {
      // Little memory, no pools: it makes system calls and nothing else.
      execArgv: [...process.execArgv, ...nodeFlags, '--max-semi-space-size=1', '--v8-pool-size=0'],
      // What stands in the environment is not for it; a loader set there is not either.
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    let ended = false;
    let onEnd = (): void => {};
    const end = (): void => {
      if (ended) return;
      ended = true;
      onEnd();
    };
    child.on('error', end);
    child.on('exit', end);
    return {
      pid: child.pid ?? -1,
      send: (message) => {
        if (child.connected) child.send(message as object, () => {});
      },
      onMessage: (listener) => void child.on('message', listener),
      onEnd: (listener) => {
        onEnd = listener;
        if (ended) listener();
      },
      kill: () => void child.kill('SIGKILL'),
    };
  },
  saveMemory() {
    process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
  },
  collectGarbage() {
    garbageCollector()({ type: 'minor' });
  },
};

type Collect = (how: { readonly type: 'minor' | 'major' }) => void;

function garbageCollector(): Collect {
  if (collect === undefined) {
    process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
    collect = process.getBuiltinModule('node:vm').runInNewContext('gc') as Collect;
  }
  return collect;
}

/** Microseconds of processor time after which V8 may well be compiling beside the program. */
const hot = 1_000_000;

/**
 * Call it right before process.exit, which waits for V8's threads. One of them compiles what runs often; where it wants
 * memory past a limit, it waits until the main thread has collected garbage, which that never does once it waits itself:
 * the work was done and the process hung (unpacking 300 MB three at a time: 4 of 36 runs; V8's
 * CollectionBarrier::AwaitCollectionBackground under node::WorkerThreadsTaskRunner::Shutdown). A collection lets that
 * thread go on, and moves the limit away from what it still wants.
 */
export function letThreadsEnd(): void {
  const { user, system } = process.cpuUsage();
  if (collect !== undefined || user + system > hot) garbageCollector()({ type: 'major' });
}

function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}

/** In a helper: the channel to the process that started it. */
export function parentOfHelper(): Parent {
  // The terminal's Ctrl+C reaches the whole group; the parent decides when a helper ends.
  process.on('SIGINT', () => {});
  // As the program itself, which ignores it (scripts/bundle/entry.cjs).
  process.on('SIGUSR1', () => {});
  return {
    send: (message) => void process.send?.(message, () => {}),
    onMessage: (listener) => void process.on('message', listener as (message: unknown) => void),
    onEnd: (listener) => void process.once('disconnect', listener),
  };
}

/** Seconds and nanoseconds of a clock that never jumps. */
export const hrtime = process.hrtime;

/**
 * Puts plain writers in the place of Node's standard streams, made only when somebody asks for them. Node's own leave a
 * pipe non-blocking for whoever takes over, and closing any socket is enough to make it open them.
 */
export function replaceStandardStreams(write: (descriptor: 1 | 2, text: string) => void): void {
  for (const [name, descriptor] of [
    ['stdout', 1],
    ['stderr', 2],
  ] as const) {
    let stream: Writable | undefined;
    Object.defineProperty(process, name, {
      configurable: true,
      get: () =>
        (stream ??= new (process.getBuiltinModule('node:stream').Writable)({
          write(chunk: Buffer | string, _encoding, callback) {
            write(descriptor, chunk.toString());
            callback();
          },
        })),
    });
  }
}

/** Keeps from people what Node says of its experimental parts; other warnings are told as ever. */
export function muteExperimentalWarnings(): void {
  const listeners = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') for (const listener of listeners) listener(warning);
  });
}

/** POSIX's number of a signal, for 128+n. */
export function signalNumber(signal: NodeJS.Signals): number {
  return process.getBuiltinModule('node:os').constants.signals[signal];
}

/** What execvp(3) searches when PATH is unset. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Finds a command as execvp(3) does.
 * @throws Failure with status 127 (not found) or 126 (found, but cannot be run)
 */
export function findExecutable(name: string, path: string | undefined): string {
  const candidates = name.includes('/')
    ? [name]
    : (path ?? defaultPath).split(delimiter).map((folder) => join(folder === '' ? '.' : folder, name));
  let refused: string | undefined;
  for (const candidate of name === '' ? [] : candidates) {
    const reason = whyNotExecutable(candidate);
    if (reason === undefined) return candidate;
    if (reason !== 'missing') refused ??= `${candidate}: it ${reason}`;
  }
  if (refused !== undefined) throw new Failure(failed(exitStatus.notExecutable, `cannot run ${refused}`));
  throw new Failure(
    failed(exitStatus.notFound, `${JSON.stringify(name)} was not found`, {
      hint: name.includes('/')
        ? 'the path is one inside this container: is the volume or the image that holds it mounted here?'
        : `it is in none of the folders of PATH (${path ?? defaultPath})`,
    }),
  );
}

function whyNotExecutable(path: string): string | undefined {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return 'is a directory';
    if (!stat.isFile()) return 'is not a file';
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing';
    return code === 'EACCES' ? 'is not executable' : `cannot be read (${code})`;
  }
}

/**
 * Becomes the given command: same PID, descriptors 0 to 2, working directory and umask.
 * @throws Failure with status 126 or 127; on success it does not return
 */
export function replaceProcess(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): never {
  const [name = '', ...rest] = command;
  const file = findExecutable(name, environment['PATH']);
  // Node ignores these two, and what is ignored stays so across exec; a handler makes the kernel reset them.
  process.on('SIGPIPE', () => {});
  process.on('SIGXFSZ', () => {});
  process.removeAllListeners('warning');
  unblockUserSignal();
  if (!process.execve)
    throw new Failure(failed(exitStatus.failed, 'this Node cannot replace its process (needs 26)'));
  try {
    return process.execve(file, [name, ...rest], { ...environment });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOEXEC' && !isBinary(file)) return runAsShellScript(file, rest, environment);
    throw new Failure(
      failed(exitStatus.notExecutable, execFailure(file, code), { hint: execHint(file, code) }),
    );
  }
}

/** SIGUSR1 in a sigset_t, whose lowest bit is signal 1. */
const userSignal = 1 << (10 - 1);
/** Of pthread_sigmask(3), on Linux. */
const unblock = 1;

/**
 * `--disable-sigusr1` blocks the signal (StartDebugSignalHandler in Node's inspector_agent.cc), and what is blocked or
 * pending stays so across exec: the successor would never get it. One that is pending goes to our listener, which
 * ignores it.
 */
function unblockUserSignal(): void {
  if (!process.execArgv.includes('--disable-sigusr1')) return;
  const { dlopen } = process.getBuiltinModule('node:ffi');
  const { functions } = dlopen(null, {
    pthread_sigmask: { return: 'i32', arguments: ['i32', 'buffer', 'pointer'] },
  });
  const set = Buffer.alloc(128);
  set.writeUInt32LE(userSignal);
  functions.pthread_sigmask(unblock, set, 0n);
}

/** As execvp(3) does with a script without a first line that names its interpreter. */
function runAsShellScript(
  file: string,
  rest: readonly string[],
  environment: Readonly<Record<string, string>>,
): never {
  const shell = '/bin/sh';
  if (whyNotExecutable(shell) !== undefined) {
    throw new Failure(
      failed(
        exitStatus.notExecutable,
        `cannot run ${file}: it is a script without a #! line, and there is no ${shell}`,
      ),
    );
  }
  return process.execve!(shell, [shell, file, ...rest], { ...environment });
}

function execFailure(file: string, code: string | undefined): string {
  if (code === 'ENOENT')
    return `cannot run ${file}: the interpreter that it names is missing${interpreterOf(file)}`;
  if (code === 'E2BIG') return `cannot run ${file}: its arguments and environment are too large (E2BIG)`;
  if (code === 'EACCES') return `cannot run ${file}: permission denied (EACCES)`;
  if (code === 'ENOEXEC') return `cannot run ${file}: not an executable for this machine (ENOEXEC)`;
  return `cannot run ${file} (${code})`;
}

function execHint(file: string, code: string | undefined): string | undefined {
  if (code === 'EACCES') return 'is its volume mounted noexec, or does a security profile forbid it?';
  if (code === 'ENOEXEC') return `was ${file} built for another architecture?`;
  return undefined;
}

function interpreterOf(file: string): string {
  const line = /^#![ \t]*(\S+)/.exec(head(file, 256).toString('latin1'));
  return line ? ` (${line[1]})` : " (a dynamic program needs its C library's loader, which this image lacks)";
}

function isBinary(file: string): boolean {
  return head(file, 512).includes(0);
}

function head(file: string, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  const descriptor = openSync(file, 'r');
  try {
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** The process's own arguments and variables as bytes; undefined where there is no /proc. */
export function rawProcessText(which: 'cmdline' | 'environ'): Buffer[] | undefined {
  try {
    const bytes = readFileSync(`/proc/self/${which}`);
    const parts: Buffer[] = [];
    for (let start = 0; start < bytes.length;) {
      const end = bytes.indexOf(0, start);
      parts.push(bytes.subarray(start, end < 0 ? bytes.length : end));
      start = end < 0 ? bytes.length : end + 1;
    }
    return parts;
  } catch {
    return undefined;
  }
}

/** What a variable was before the first of those that set it now, and how many they are. */
const setForNow = new Map<string, { readonly before: string | undefined; users: number }>();

/**
 * Sets variables while something runs that reads them from the process alone, and puts back what was there when the
 * last one that set them is done: the command that takes over must not see them.
 */
export async function withVariables<T>(
  variables: Readonly<Record<string, string>>,
  action: () => Promise<T>,
): Promise<T> {
  for (const name of Object.keys(variables)) {
    const known = setForNow.get(name);
    if (known === undefined) setForNow.set(name, { before: process.env[name], users: 1 });
    else known.users += 1;
  }
  Object.assign(process.env, variables);
  try {
    return await action();
  } finally {
    for (const name of Object.keys(variables)) putBack(name);
  }
}

function putBack(name: string): void {
  const known = setForNow.get(name);
  if (known === undefined || --known.users > 0) return;
  setForNow.delete(name);
  if (known.before === undefined) delete process.env[name];
  else process.env[name] = known.before;
}

/**
 * Becomes another user for good. Unlike spawn's `uid`, which empties them, the supplementary groups stay: a volume's
 * fsGroup is among them.
 * @throws the system's error (EPERM where it is not root)
 */
export function becomeUser({ uid, gid }: { readonly uid: number; readonly gid: number | undefined }): void {
  // The group first: afterwards it is not allowed any more.
  if (gid !== undefined) process.setgid?.(gid);
  process.setuid?.(uid);
}

/** The channel to the process of this program that started this one. */
export interface ParentChannel {
  /** The first message. */
  readonly request: Promise<unknown>;
  /** Resolves when it has been handed over. */
  send(message: object): Promise<void>;
}

/**
 * @param onGone called when the parent is gone
 * @returns undefined where the process was not started with a channel
 */
export function openParentChannel(onGone: () => void): ParentChannel | undefined {
  if (!process.connected) return undefined;
  process.on('disconnect', onGone);
  return {
    request: new Promise((resolve) => void process.once('message', resolve)),
    send: (message) =>
      new Promise((resolve) => {
        if (process.send === undefined) resolve();
        else process.send(message, undefined, undefined, () => resolve());
      }),
  };
}
