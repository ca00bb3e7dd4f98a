import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';

import { catchUp } from '../core/clock.ts';
import { endingSignals, exitStatus } from '../core/exit-status.ts';
import { Failure, failed, SignalReceived } from '../core/outcome.ts';
import { head, interpreterIn, shellCommand, startable } from './exec-format.ts';
import { closeInheritedOnExec } from './inherited-descriptors.ts';
import { signalPipes, unreadSignal } from './signal-pipe.ts';

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
      hint: /\S\s+\S/.test(name)
        ? `it is one argument of several words; give each word as an argument of its own: ${separately(name)}`
        : name.includes('/')
          ? 'the path is one inside this container: is the volume or the image that holds it mounted here?'
          : `it is in none of the folders of PATH (${path ?? defaultPath})`,
    }),
  );
}

/**
 * What to start for a command, found and judged as the hand-over does.
 * @throws Failure with status 126 or 127
 */
export function startableCommand(command: readonly string[], path: string | undefined): readonly string[] {
  const [name = '', ...rest] = command;
  return startable(findExecutable(name, path), name, rest);
}

/** Where quotes or a shell's signs are among the words, only a shell can split them. */
function separately(words: string): string {
  return /["'\\$`|&;<>*?()]/.test(words)
    ? `sh -c ${JSON.stringify(words)}`
    : `-- ${words.trim().split(/\s+/).join(' ')}, or in a plan: command: [${words.trim().split(/\s+/).join(', ')}]`;
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
 *
 * A signal is obeyed whenever it comes. Node's handler only writes it into a pipe that the event loop reads, and execve
 * would drop what lies there. So all that takes time comes first, then a turn of the event loop. From the moment that
 * the listeners are off, a signal ends the process by default, as it would end the command (for PID 1 the kernel drops
 * it, until the command has a handler: pid_namespaces(7)). What came between the two is looked for in the pipe.
 * @param signal aborted by the listeners for the signals that end the program
 * @throws the signal's reason; Failure with status 126 or 127. On success it does not return
 */
export async function replaceProcess(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<never> {
  const [name = '', ...rest] = command;
  const file = findExecutable(name, environment['PATH']);
  // Node ignores these two, and what is ignored stays so across exec; a handler makes the kernel reset them.
  process.on('SIGPIPE', () => {});
  process.on('SIGXFSZ', () => {});
  process.removeAllListeners('warning');
  unblockUserSignal();
  closeInheritedOnExec();
  if (!process.execve)
    throw new Failure(failed(exitStatus.failed, 'this Node cannot replace its process (needs 26)'));
  const unread = signalPipes();
  await catchUp(signal);
  for (const ending of Object.keys(endingSignals)) process.removeAllListeners(ending);
  const missed = unreadSignal(unread);
  if (missed !== undefined) throw new SignalReceived(missed);
  try {
    return process.execve(file, [name, ...rest], environment);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOEXEC') {
      const [shell = '', ...words] = shellCommand(file, rest);
      return process.execve(shell, [shell, ...words], environment);
    }
    throw new Failure(failed(exitStatus.notExecutable, execFailure(file, code), { hint: execHint(code) }));
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

function execFailure(file: string, code: string | undefined): string {
  if (code === 'ENOENT')
    return `cannot run ${file}: the interpreter that it names is missing${interpreterOf(file)}`;
  if (code === 'E2BIG') return `cannot run ${file}: its arguments and environment are too large (E2BIG)`;
  if (code === 'EACCES') return `cannot run ${file}: permission denied (EACCES)`;
  return `cannot run ${file} (${code})`;
}

function execHint(code: string | undefined): string | undefined {
  if (code === 'EACCES') return 'is its volume mounted noexec, or does a security profile forbid it?';
  return undefined;
}

function interpreterOf(file: string): string {
  const interpreter = interpreterIn(head(file, 256) ?? Buffer.alloc(0));
  return interpreter === undefined
    ? " (a dynamic program needs its C library's loader, which this image lacks)"
    : ` (${interpreter})`;
}
