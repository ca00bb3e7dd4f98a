// Things that take seconds to make and never change: made once, by whichever process comes first, and renamed into
// place, so that nobody sees one half made.
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { needTool, projectDirectory } from './tools.ts';

/** Runs a command to its end and returns its standard output; throws with its standard error. */
export async function run(
  command: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; input?: string } = {},
): Promise<string> {
  const [file = '', ...rest] = command;
  const child = spawn(file, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  // A command that does not read its input closes it early: its status tells, not EPIPE.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, by) => resolve([status, by]));
  });
  if (code !== 0) {
    throw new Error(
      `${command.join(' ').slice(0, 300)} failed (${signal ?? code}): ${(errors || output).trim().slice(-2_000)}`,
    );
  }
  return output;
}

/** Folder for what every user may have to read, such as server binaries run as `nobody`. */
export function sharedCacheDirectory(): string {
  const uid = process.getuid?.() ?? 0;
  const path = join(tmpdir(), `initbox-test-cache-${uid}`);
  mkdirSync(path, { recursive: true, mode: 0o755 });
  const found = lstatSync(path);
  // The name can be guessed: refuse a folder that somebody else put there.
  if (!found.isDirectory() || found.uid !== uid) throw new Error(`${path} is not ours`);
  return path;
}

/** Folder for what is downloaded once per checkout. */
export function projectCacheDirectory(): string {
  return join(projectDirectory, 'node_modules', '.cache', 'initbox');
}

/**
 * Makes `directory` by a shell script that fills the folder `$OUT`, unless it is there already.
 * flock(1) keeps a second process waiting until the first has made it, and lets go when the first dies.
 */
export async function makeOnce(
  directory: string,
  script: string,
  env: Record<string, string> = {},
): Promise<string> {
  if (existsSync(directory)) return directory;
  mkdirSync(dirname(directory), { recursive: true });
  const whole = `
    if [ -e "$FINAL" ]; then exit 0; fi
    rm -rf "$OUT"; mkdir "$OUT"
    ${script}
    mv "$OUT" "$FINAL"`;
  await run([needTool('flock', 'util-linux'), `${directory}.lock`, '/bin/sh', '-euc', whole], {
    env: { ...env, FINAL: directory, OUT: `${directory}.new` },
  });
  return directory;
}
