import { stat } from 'node:fs';
import process from 'node:process';

/** Calls on files that are under way at a time; more bring nothing on a network volume, and cost some 90 KiB each. */
export const poolThreads = 64;

const variable = 'UV_THREADPOOL_SIZE';

let wide = false;

/**
 * Has Node make calls on files by many threads rather than four. libuv starts all of them at its first use of any and
 * reads their number from the environment in that moment (threadpool.c), so the variable is there for that moment only:
 * no command that follows sees it. Where something else has used them before, they stay as many as they are.
 */
export function widenThreadPool(): void {
  if (wide) return;
  wide = true;
  const before = process.env[variable];
  process.env[variable] = String(poolThreads);
  try {
    stat('/', () => undefined);
  } finally {
    if (before === undefined) delete process.env[variable];
    else process.env[variable] = before;
  }
}

let left = false;

/** Says that a call which a thread makes is not waited for any more, and may take for ever. */
export function leaveThreadCall(): void {
  left = true;
}

/** Whether calls on files may be under way in threads, which process.exit waits for. */
export function areThreadsBusy(): boolean {
  return wide || left;
}
