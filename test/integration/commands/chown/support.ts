// What the tests of chown share: trees, owners, and the program run on them.
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type ProgramOptions, type ProgramResult, runInitbox } from '../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from '../../../support/undo.ts';

/** For `describe.skipIf`: owners can be changed by root alone. */
export const notRoot = requireOrSkip(
  'chown',
  process.getuid?.() === 0 ? undefined : 'changing owners needs root',
);

/** For tests that slow a walk down, call by call. */
export const noStrace = notRoot || requireOrSkip('slow walks', whyMissing('strace', 'strace'));

/** A folder of the test's own, removed when the test process ends. */
export function folder(label = 'chown'): string {
  return temporaryDirectory(label).path;
}

/** A folder in memory, for trees of many entries. */
export function memoryFolder(): string {
  const path = mkdtempSync('/dev/shm/initbox-test-chown-');
  undoAtDeath(`rm -rf ${quote(path)}`);
  return path;
}

/** `1000:1000`, of the thing itself. */
export function ownerOf(path: string | Buffer): string {
  const { uid, gid } = lstatSync(path);
  return `${uid}:${gid}`;
}

export function modeOf(path: string): string {
  return (lstatSync(path).mode & 0o7777).toString(8).padStart(4, '0');
}

export function chown(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult> {
  return runInitbox(['chown', ...args], options);
}

/** A few files and folders, and a link of each kind. */
export function smallTree(top = folder()): string {
  mkdirSync(join(top, 'a/b/c'), { recursive: true });
  for (const path of ['f', 'a/f', 'a/b/f', 'a/b/c/f']) writeFileSync(join(top, path), path);
  symlinkSync('/etc/passwd', join(top, 'a/link-to-file'));
  symlinkSync('/etc', join(top, 'a/link-to-folder'));
  symlinkSync('nowhere', join(top, 'dangling'));
  return top;
}

/** Every owner below and at a path, with how many have it. */
export function owners(top: string): Record<string, number> {
  const found = execFileSync('find', [top, '-printf', '%U:%G\n'], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const counts: Record<string, number> = {};
  for (const owner of found.trimEnd().split('\n')) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}

/** Makes `folders` folders with `files` empty files each. */
export function wideTree(top: string, folders: number, files: number): string {
  execFileSync(
    'python3',
    [
      '-c',
      `import os,sys
for i in range(${folders}):
    p = f"{sys.argv[1]}/d{i:05d}"
    os.mkdir(p)
    for j in range(${files}):
        os.close(os.open(f"{p}/f{j:05d}", os.O_CREAT | os.O_WRONLY, 0o644))`,
      top,
    ],
    { stdio: 'inherit' },
  );
  return top;
}
