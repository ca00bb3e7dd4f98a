/** Time as a command sees it. Tests hand in one that they move by hand. */
export interface Clock {
  /** Milliseconds on a clock that never jumps. */
  now(): number;
  /** The wall clock, for what people read. */
  date(): Date;
  /** Calls `action` after so many milliseconds, however many; returns what cancels it. */
  after(milliseconds: number, action: () => void): () => void;
}

/**
 * Waits so many milliseconds.
 * @throws the signal's reason, at once, when it is aborted
 */
export function sleep(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(reasonOf(signal));
    const cancel = clock.after(milliseconds, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    const onAbort = (): void => {
      cancel();
      reject(reasonOf(signal));
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Waits for the promise, but no longer than so many milliseconds. */
export async function within(promise: Promise<unknown>, milliseconds: number, clock: Clock): Promise<void> {
  let cancel = (): void => {};
  const late = new Promise<void>((resolve) => {
    cancel = clock.after(milliseconds, resolve);
  });
  await Promise.race([promise, late]).finally(cancel);
}

/** The promise's result, unless the signal is aborted first: what hangs must not delay a deadline or a SIGTERM. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(reasonOf(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * The promise's result; once the signal is aborted, only if it comes within so many milliseconds of that, or of this call
 * where that is later: what is being written down may end, and what hangs must not hold up the end.
 * @throws the signal's reason
 */
export function shortlyAfterAbort<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  milliseconds: number,
  clock: Clock,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let cancel = (): void => {};
    const onAbort = (): void => {
      cancel = clock.after(milliseconds, () => reject(reasonOf(signal)));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => {
      cancel();
      signal.removeEventListener('abort', onAbort);
    });
  });
}

/**
 * Takes in what came while a long piece of work held everything up: signals, and timers that are due.
 * @throws the signal's reason where it is aborted by then
 */
export async function catchUp(signal?: AbortSignal): Promise<void> {
  // The first round may end the one that began before that work, and looks at nothing new.
  for (let round = 0; round < 2; round++) await new Promise<void>((resolve) => void setImmediate(resolve));
  if (signal?.aborted) throw reasonOf(signal);
}

/** An aborted signal's reason as an Error. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}
