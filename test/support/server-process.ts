// Starting and stopping a server process: its output goes to a file (a test that blocks cannot block the server),
// it is in a session of its own, and it dies with the test.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

import { undoAtDeath } from './undo.ts';
import { waitUntil } from './wait-until.ts';

export interface ServerProcess {
  pid: number;
  /** Everything it wrote so far, both streams. */
  logs(): string;
  running(): boolean;
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Sends the signal, SIGKILL after `grace` milliseconds (10,000), and waits for the end. */
  stop(signal?: NodeJS.Signals, grace?: number): Promise<void>;
}

export interface ServerCommand {
  command: readonly string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Where its output goes: appended. */
  logFile: string;
  /** True once the server serves; `log` is what this process wrote. */
  ready(log: string): boolean | Promise<boolean>;
  /** Milliseconds; 30,000 unless given. */
  timeout?: number;
  /** Shell command that ends it when the test dies; `kill_tree PID` unless given. */
  undo?: (pid: number) => string;
}

/** Starts a server and waits until it serves; throws with the end of its log when it does not. */
export async function startServerProcess(options: ServerCommand): Promise<ServerProcess> {
  const { command, logFile, env = {}, timeout = 30_000 } = options;
  const [file = '', ...rest] = command;
  const log = openSync(logFile, 'a', 0o644);
  const before = readFileSync(logFile).length;
  const child = spawn(file, rest, {
    cwd: options.cwd ?? '/',
    detached: true,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const logs = () => readFileSync(logFile).subarray(before).toString('utf8');
  let ended = false;
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const pid = child.pid;
  if (pid === undefined) {
    await exited;
    throw new Error(`could not start ${file}`);
  }
  const undo = undoAtDeath(options.undo?.(pid) ?? `kill_tree ${pid}`);
  exited.then(
    () => {
      ended = true;
      undo.forget();
    },
    () => undefined,
  );
  const server: ServerProcess = {
    pid,
    logs,
    exited,
    running: () => !ended,
    async stop(signal = 'SIGTERM', grace = 10_000) {
      if (ended) return;
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), grace);
      await exited;
      clearTimeout(timer);
    },
  };
  try {
    const outcome = await waitUntil(
      async () => {
        if (ended) return 'ended';
        return (await options.ready(logs())) ? 'ready' : undefined;
      },
      { timeout, what: () => `${file} to be ready; its log ends:\n${logs().slice(-2_000)}` },
    );
    if (outcome === 'ended')
      throw new Error(`${file} ended before it was ready; its log ends:\n${logs().slice(-2_000)}`);
  } catch (error) {
    await server.stop('SIGKILL');
    throw error;
  }
  // The test may end its event loop while the server runs: the watcher then ends the server.
  child.unref();
  return server;
}
