// Upper bounds on time that a slow machine keeps as well.
import { spawn } from 'node:child_process';

import { nodePath } from './tools.ts';

/**
 * Milliseconds in which a process that is told to end must be gone, for `within`. The promise is 200, to which the image's
 * tests hold it, one at a time; here several test files run at once. Whoever waited for the next try or answer would take
 * longer than this.
 */
export const promptly = 900;

/** Milliseconds that a start of Node takes, at most, on a machine that keeps pace. */
const perStart = 45;

/**
 * Awaits what must come within so many milliseconds on a machine that keeps pace. Where half of them have passed, Node is
 * started again and again, and the bound ends with as many starts as fit into the other half: a slow machine is slow for
 * both, and what hangs is overtaken.
 */
export async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  const began = performance.now();
  let over = false;
  const settled = promise.then(
    () => void (over = true),
    () => void (over = true),
  );
  await waitAtMost(milliseconds / 2, settled);
  if (over) return promise;
  const allowed = Math.ceil(milliseconds / 2 / perStart);
  let starts = 0;
  while (!over && (starts < allowed || performance.now() - began < milliseconds)) {
    await startOfNode();
    starts++;
  }
  // What came during the last start is heard before anything is said of it.
  await waitAtMost(0, settled);
  if (over) return promise;
  throw new Error(
    `it took longer than ${milliseconds} ms: ${Math.round(performance.now() - began)} ms, in which Node started ${starts} times`,
  );
}

async function waitAtMost(milliseconds: number, settled: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([settled, new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))]);
  clearTimeout(timer);
}

async function startOfNode(): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    spawn(nodePath(), ['-e', '0'], { stdio: 'ignore' })
      .on('error', reject)
      .on('close', () => resolve());
  });
}
