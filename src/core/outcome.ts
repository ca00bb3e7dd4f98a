import { exitStatus, type EndingSignal } from './exit-status.ts';

/** The work is done. `environment` is added to what the command after `--` inherits. */
export interface Done {
  readonly kind: 'done';
  readonly summary: string;
  /** What was asked for is on standard output, so that the log tells of it at debug level alone. */
  readonly printed?: true;
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Ends what was made for whoever comes next, where that turns out to be nobody: the command after `--` could not be started,
   * or a later step failed.
   * @param signal of the whole run
   */
  readonly takeBack?: (signal: AbortSignal) => Promise<void>;
}

/**
 * The work is not done. `what` is one sentence; `details` are lines below it; `hint` is what to look at. Each is shown on
 * one line, whatever line breaks a server's words in it have.
 */
export interface Failed {
  readonly kind: 'failed';
  readonly status: number;
  readonly what: string;
  readonly details?: readonly string[];
  readonly hint?: string | readonly string[];
}

/** What a command hands back; main turns it into the termination message and the process's exit status. */
export type Outcome = Done | Failed;

export function done(summary: string): Done {
  return { kind: 'done', summary };
}

/** The work was to print something, and it is printed. */
export function printed(summary: string): Done {
  return { kind: 'done', summary, printed: true };
}

export function failed(
  status: number,
  what: string,
  more: { readonly details?: readonly string[]; readonly hint?: string | readonly string[] | undefined } = {},
): Failed {
  const [first, ...others] = [more.hint ?? []].flat();
  return {
    kind: 'failed',
    status,
    what,
    ...(more.details ? { details: more.details } : {}),
    ...(first === undefined ? {} : { hint: others.length === 0 ? first : [first, ...others] }),
  };
}

/** Throws an outcome through code that cannot return one. Main reports it as if it had been returned. */
export class Failure extends Error {
  override readonly name: string = 'Failure';
  readonly outcome: Failed;

  constructor(outcome: Failed) {
    super(outcome.what);
    this.outcome = outcome;
  }
}

/** Wrong input: exit 2, nothing was tried. The message says what, where it came from, and what is accepted. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** One mistake, or a line for each of several. */
  readonly lines: readonly string[];

  constructor(said: string | readonly string[], options?: ErrorOptions) {
    const lines = typeof said === 'string' ? [said] : said;
    super(lines.join('\n  '), options);
    this.lines = lines;
  }
}

/**
 * Reads each of several values, so that one mistake does not hide another.
 * @throws UsageError with a line for each that is wrong
 */
export function everyOne<T, R>(values: readonly T[], read: (value: T) => R): readonly R[] {
  const wrong: string[] = [];
  const right = values.flatMap((value) => {
    try {
      return [read(value)];
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      wrong.push(...error.lines);
      return [];
    }
  });
  if (wrong.length > 0) throw new UsageError(wrong);
  return right;
}

/** The reason of a context's signal when time ran out. `limit` is in milliseconds. */
export class DeadlinePassed extends Failure {
  override readonly name = 'DeadlinePassed';
  readonly limit: number;

  constructor(limit: number, text: string) {
    super(failed(exitStatus.deadline, text));
    this.limit = limit;
  }
}

/** The reason of a context's signal when the process was told to end. */
export class SignalReceived extends Error {
  override readonly name = 'SignalReceived';
  readonly signal: EndingSignal;

  constructor(signal: EndingSignal) {
    super(`received ${signal}`);
    this.signal = signal;
  }
}

/**
 * What went wrong first. Where work fails and then a resource of it cannot be closed either, `using` throws a
 * SuppressedError, which names neither: what failed first stands in its `suppressed` (ECMAScript, Explicit Resource
 * Management).
 */
export function firstFailure(error: unknown): unknown {
  let first = error;
  while (first instanceof SuppressedError) first = first.suppressed;
  return first;
}
