// Plans as JSON on standard input or in a file, and a TCP server for their waits.
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { runInitbox, startInitbox, type ProgramOptions } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

export interface PlanStep {
  readonly name: string;
  readonly [key: string]: unknown;
}

const folder = temporaryDirectory('plans').path;
chmodSync(folder, 0o755);
let count = 0;

/** Writes a plan to a file of its own. */
export function planFile(steps: readonly PlanStep[], more: object = {}): string {
  const path = join(folder, `plan-${count++}.json`);
  writeFileSync(path, JSON.stringify({ ...more, steps }));
  return path;
}

/** Runs a plan to its end; words after the plan are run's flags and what takes over. */
export function runPlan(
  steps: readonly PlanStep[],
  args: readonly string[] = [],
  options: ProgramOptions = {},
) {
  return runInitbox(['run', planFile(steps), ...args], options);
}

export function startPlan(
  steps: readonly PlanStep[],
  args: readonly string[] = [],
  options: ProgramOptions = {},
) {
  return startInitbox(['run', planFile(steps), ...args], options);
}

export const sh = (script: string): string[] => ['/bin/sh', '-c', script];

export interface Listener extends AsyncDisposable {
  readonly target: string;
}

export async function listen(): Promise<Listener> {
  const server = createServer((socket) => socket.on('error', () => {}).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    target: `127.0.0.1:${(server.address() as { port: number }).port}`,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The rows of the table at the end: step, start, length, result. */
export function timeline(stderr: string): Record<string, { start: string; took: string; result: string }> {
  const rows = [...stderr.matchAll(/ run: ([\w.-]+) +([\d.hms-]+) +([\d.hms-]+) +(\S.*?)(?: {2}[·█]+)?$/gm)];
  return Object.fromEntries(
    rows.map(([, name = '', start = '', took = '', result = '']) => [
      name,
      { start, took, result: result.trim() },
    ]),
  );
}
