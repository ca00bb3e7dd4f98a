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
  return unforeseen(error);
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
