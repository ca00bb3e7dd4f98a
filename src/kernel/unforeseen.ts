import { exitStatus, signalStatus } from './exit-status.ts';
import { signalNumber } from './host.ts';
import type { Log } from './log.ts';
import { Failure, failed, SignalReceived, UsageError, type Failed } from './outcome.ts';

/** What was thrown, as an outcome; what nobody foresaw is status 1, its stack only at debug level. */
export function outcomeOfError(error: unknown, log: Log): Failed {
  if (error instanceof UsageError) return failed(exitStatus.usage, error.message);
  if (error instanceof Failure) return error.outcome;
  if (error instanceof SignalReceived)
    return failed(signalStatus(signalNumber(error.signal)), `ended by ${error.signal}`);
  if (error instanceof Error) log.debug(error.stack ?? error.message);
  return unforeseen(error);
}

export function unforeseen(error: unknown): Failed {
  return failed(exitStatus.failed, error instanceof Error ? error.message : String(error), {
    hint: 'this was not foreseen; --log-level debug shows where it came from',
  });
}
