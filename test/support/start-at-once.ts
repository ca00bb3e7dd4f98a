import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

import { underStrace } from './faults.ts';
import type { RunningProgram } from './program.ts';

/** Before a program that publishes files: it stands still for a moment after each step that gives a file its name. */
export const slowToShow: readonly string[] = underStrace(
  'inject=?rename,?renameat,renameat2,?link,linkat:delay_exit=100000',
);

/**
 * Starts a file again and again from the moment at which it is there until the program that publishes it ends.
 * @returns what became of it: error codes, or exit statuses
 */
export async function startsMeanwhile(path: string, publisher: RunningProgram): Promise<Set<string>> {
  const found = new Set<string>();
  let ended = false;
  void publisher.exit.then(() => (ended = true));
  while (!ended) {
    if (existsSync(path)) {
      const { error, status } = spawnSync(path, { stdio: 'ignore' });
      found.add(error === undefined ? String(status) : String((error as NodeJS.ErrnoException).code));
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return found;
}
