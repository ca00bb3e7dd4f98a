import { exitStatus, signalStatus } from './exit-status.ts';
import type { Log } from './log.ts';
import { Failure, failed, firstFailure, SignalReceived, UsageError, type Failed } from './outcome.ts';

/** What was thrown, as an outcome; what nobody foresaw is status 1, its stack only at debug level. */
export function outcomeOfError(thrown: unknown, log: Log): Failed {
  const error = firstFailure(thrown);
  for (let later = thrown; later instanceof SuppressedError; later = later.suppressed)
    log.debug(`and then, while closing: ${stackOf(later.error)}`);
  if (error instanceof UsageError) {
    const [what = '', ...details] = error.lines;
    return failed(exitStatus.usage, what, details.length > 0 ? { details } : {});
  }
  if (error instanceof Failure) return error.outcome;
  if (error instanceof SignalReceived) return failed(signalStatus(error.signal), `ended by ${error.signal}`);
  if (error instanceof Error) log.debug(stackOf(error));
  // What Node's path.resolve throws for a relative path, in whatever place.
  if ((error as NodeJS.ErrnoException | undefined)?.syscall === 'uv_cwd')
    return failed(
      exitStatus.usage,
      `the working directory cannot be found (${codeOf(error as Error)}), and so relative paths lead nowhere`,
      { hint: 'was it removed or unmounted? write absolute paths, or start in another directory' },
    );
  return ofFailingVolume(error) ?? unforeseen(error);
}

/** What the system says of a medium or a server that fails (errno(3)); ENOTCONN, too, of a FUSE server that has ended. */
const failingVolume: Readonly<Record<string, string>> = {
  EIO: 'input/output error',
  EREMOTEIO: 'remote input/output error',
  ESTALE: 'stale file handle',
  EUCLEAN: 'damaged file system',
  ENOTCONN: 'its server has ended',
};

/** Calls on files, as Node names them. Sockets are read and written to by others of these names, and fail otherwise. */
const fileCalls =
  /^(?:f?l?stat|statfs|open|close|read|write|readlink|scandir|opendir|f?l?chown|f?chmod|[fl]?utimes?|mkdir|rmdir|unlink|rename|link|symlink|fsync|fdatasync|ftruncate|access|copyfile|realpath|cp)$/;

function ofFailingVolume(error: unknown): Failed | undefined {
  const { code = '', syscall = '', path } = (error ?? {}) as NodeJS.ErrnoException;
  const words = failingVolume[code];
  if (words === undefined || !fileCalls.test(syscall)) return undefined;
  const named = path === undefined || path.startsWith('/proc/self/fd/') ? '' : ` for ${path}`;
  return failed(exitStatus.failed, `a volume failed: ${words} (${code}, ${syscall}${named})`, {
    hint: 'the medium or the server of a volume fails: look at dmesg on the node, and at the server or CSI driver',
  });
}

export function unforeseen(thrown: unknown): Failed {
  const error = firstFailure(thrown);
  return failed(exitStatus.failed, error instanceof Error ? wordsOf(error) : String(error), {
    hint: 'this is an unexpected error; --log-level debug shows where it came from',
  });
}

/** What the engine and Node throw: their messages quote what they could not read, cut and changed. */
const engines: ReadonlySet<string> = new Set([
  'SyntaxError',
  'TypeError',
  'RangeError',
  'ReferenceError',
  'URIError',
  'EvalError',
]);

function quotes(error: Error): boolean {
  return engines.has(error.name) || codeOf(error).startsWith('ERR_');
}

function codeOf(error: Error): string {
  const code: unknown = (error as NodeJS.ErrnoException).code;
  return typeof code === 'string' ? code : '';
}

function wordsOf(error: Error): string {
  if (!quotes(error)) return error.message;
  const code = codeOf(error);
  return `unexpected error: ${error.name}${code === '' ? '' : ` (${code})`}`;
}

/** Where it was thrown; without the message, which stands above, where that may quote something. */
function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!quotes(error)) return error.stack ?? error.message;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return [wordsOf(error), ...frames].join('\n');
}
