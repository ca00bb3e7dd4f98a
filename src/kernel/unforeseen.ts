import { exitStatus, signalStatus } from './exit-status.ts';
import { signalNumber } from './host.ts';
import type { Log } from './log.ts';
import { Failure, failed, firstFailure, SignalReceived, UsageError, type Failed } from './outcome.ts';

/** What was thrown, as an outcome; what nobody foresaw is status 1, its stack only at debug level. */
export function outcomeOfError(thrown: unknown, log: Log): Failed {
  const error = firstFailure(thrown);
  for (let later = thrown; later instanceof SuppressedError; later = later.suppressed)
    log.debug(`and then, while closing: ${stackOf(later.error)}`);
  if (error instanceof UsageError) return failed(exitStatus.usage, error.message);
  if (error instanceof Failure) return error.outcome;
  if (error instanceof SignalReceived)
    return failed(signalStatus(signalNumber(error.signal)), `ended by ${error.signal}`);
  if (error instanceof Error) log.debug(stackOf(error));
  return unforeseen(error);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

export function unforeseen(thrown: unknown): Failed {
  const error = firstFailure(thrown);
  return failed(exitStatus.failed, error instanceof Error ? error.message : String(error), {
    hint: 'this was not foreseen; --log-level debug shows where it came from',
  });
}
