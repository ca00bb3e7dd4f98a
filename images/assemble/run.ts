import { execFileSync } from 'node:child_process';

/** Runs a tool of the build stage and returns what it printed. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
}
