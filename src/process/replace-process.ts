import { delimiter } from 'node:path';
import process from 'node:process';

import { catchUp } from '../core/clock.ts';
import { endingSignals, exitStatus } from '../core/exit-status.ts';
import { quoted } from '../core/misplaced-secret.ts';
import { Failure, failed, SignalReceived } from '../core/outcome.ts';
import { giveBackCoreFiles } from './core-file.ts';
import { flawOf, startFailure } from './exec-format.ts';
import { closeInheritedOnExec } from './inherited-descriptors.ts';
import { signalPipes, unreadSignal } from './signal-pipe.ts';

/** What execvp(3) searches when PATH is unset. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** After these execvp(3) looks into the next folder; anything else that the kernel says ends the search. */
const goesOn: ReadonlySet<string> = new Set(['ENOENT', 'EACCES', 'ENODEV', 'ESTALE', 'ETIMEDOUT']);

/**
 * The file that is to be run for a command, found as execvp(3) finds it and judged as the kernel judges it. What is
 * started must be this very file: a search of its own could find another.
 * @throws Failure with status 127 (not found) or 126 (found, but cannot be run)
 */
export function startableCommand([name = '']: readonly string[], path: string | undefined): string {
  const candidates = name.includes('/')
    ? [name]
    : (path ?? defaultPath).split(delimiter).map((folder) => `${folder === '' ? '.' : folder}/${name}`);
  let refused: Failure | undefined;
  for (const candidate of name === '' ? [] : candidates) {
    const flaw = flawOf(candidate);
    if (flaw === undefined) return candidate;
    if (!goesOn.has(flaw.code)) throw flaw.failure;
    if (!flaw.missing) refused ??= flaw.failure;
  }
  if (refused !== undefined) throw refused;
  throw new Failure(
    failed(exitStatus.notFound, `${quoted(name)} was not found`, {
      hint: /\S\s+\S/.test(name)
        ? `it is one argument of several words; give each word as an argument of its own: ${separately(name)}`
        : name.includes('/')
          ? 'the path is one inside this container: is the volume or the image that holds it mounted here?'
          : `it is in none of the folders of PATH (${path ?? defaultPath})`,
    }),
  );
}

/** Where quotes or a shell's signs are among the words, only a shell can split them. */
function separately(words: string): string {
  return /["'\\$`|&;<>*?()]/.test(words)
    ? `sh -c ${JSON.stringify(words)}`
    : `-- ${words.trim().split(/\s+/).join(' ')}, or in a plan: command: [${words.trim().split(/\s+/).join(', ')}]`;
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
  const file = startableCommand(command, environment['PATH']);
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
  giveBackCoreFiles();
  try {
    return process.execve(file, command, environment);
  } catch (error) {
    throw startFailure(file, error as NodeJS.ErrnoException);
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
