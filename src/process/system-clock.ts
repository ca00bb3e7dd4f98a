import process from 'node:process';

import type { Clock } from '../core/clock.ts';

/** Not performance.now(), which loads perf_hooks: 1 ms of every pod's start. */
function monotonic(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** The longest delay setTimeout takes: beyond it Node fires at once. */
const longestTimer = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: monotonic,
  date: () => new Date(),
  after(milliseconds, action) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      timer =
        left > longestTimer ? setTimeout(arm, longestTimer, left - longestTimer) : setTimeout(action, left);
    };
    arm(Math.max(0, milliseconds));
    return () => clearTimeout(timer);
  },
};
