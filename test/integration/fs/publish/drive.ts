// Runs the driver, and says what a target holds.
import { spawn, type ChildProcess } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

import { buildSync } from 'esbuild';

import type { Published } from '../../../../src/fs/publish/published.ts';
import { nodePath } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import type { Job } from './driver.ts';

export interface Driven {
  done?: Published | 'checked';
  error?: { status: number; what: string; hint?: string };
  signal: NodeJS.Signals | null;
  /** Standard error, for what nobody foresaw. */
  stderr: string;
}

/** The driver in one file: Node starts that in a fifth of the time that it takes for the sources, and some tests do so hundreds of times. */
let driverFile: string | undefined;
function driver(): string {
  if (driverFile !== undefined) return driverFile;
  const outfile = join(temporaryDirectory('driver').path, 'driver.mjs');
  buildSync({
    entryPoints: [join(import.meta.dirname, 'driver.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
  });
  return (driverFile = outfile);
}

export function startDriver(
  job: Job,
  prefix: readonly string[] = [],
): { child: ChildProcess; end: Promise<Driven>; staged: Promise<void> } {
  const [file, ...args] = [...prefix, nodePath(), driver(), JSON.stringify(job)];
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let staged!: () => void;
  const whenStaged = new Promise<void>((resolve) => (staged = resolve));
  child.stdin.on('error', () => undefined);
  child.stderr.on('data', (chunk) => (stderr += chunk));
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    if (stdout.includes('"staged"\n')) staged();
  });
  const end = new Promise<Driven>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (_status, signal) => {
      const line = stdout.trim().split('\n').at(-1) ?? '';
      resolve({ ...(line.startsWith('{') ? (JSON.parse(line) as object) : {}), signal, stderr });
    });
  });
  return { child, end, staged: whenStaged };
}

export function drive(job: Job, prefix: readonly string[] = []): Promise<Driven> {
  return startDriver(job, prefix).end;
}

/** What runs of ours left in a folder beside what readers see. */
export function leftovers(folder: string): string[] {
  const names = readdirSync(folder);
  const current = names.includes('..data') ? readlinkSync(join(folder, '..data')) : '';
  return names.filter((name) => name.startsWith('..initbox') && name !== current);
}

/** The files that a reader sees, by name. */
export function contents(folder: string): Record<string, string> {
  const visible = readdirSync(folder).filter((name) => !name.startsWith('..'));
  return Object.fromEntries(visible.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

export function identityOf(path: string): { ino: bigint; mtimeNs: bigint } {
  const { ino, mtimeNs } = lstatSync(path, { bigint: true });
  return { ino, mtimeNs };
}
