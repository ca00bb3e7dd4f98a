// What the tests of copy share: trees, what they hold, and the program run on them.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type ProgramOptions, type ProgramResult, runInitbox } from '../../../support/program.ts';
import { quote, temporaryDirectory, undoAtDeath } from '../../../support/undo.ts';

/** A folder of the test's own, open to every user, removed when the test process ends. */
export function folder(label = 'copy'): string {
  const { path } = temporaryDirectory(label);
  chmodSync(path, 0o777);
  return path;
}

/** A folder in memory, for trees of many entries. */
export function memoryFolder(): string {
  const path = mkdtempSync('/dev/shm/initbox-test-copy-');
  chmodSync(path, 0o777);
  undoAtDeath(`rm -rf ${quote(path)}`);
  return path;
}

export function copy(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult> {
  return runInitbox(['copy', ...args], options);
}

/** Files, folders, an empty one, modes, a time, and links of each kind. */
export function smallTree(top = folder()): string {
  mkdirSync(join(top, 'a/b/c'), { recursive: true });
  mkdirSync(join(top, 'empty'), { mode: 0o750 });
  for (const path of ['f', 'a/f', 'a/b/f', 'a/b/c/f']) writeFileSync(join(top, path), path);
  writeFileSync(join(top, 'run'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(top, 'a/secret'), 's', { mode: 0o600 });
  symlinkSync('a/f', join(top, 'link-to-file'));
  symlinkSync('a', join(top, 'link-to-folder'));
  symlinkSync('nowhere', join(top, 'dangling'));
  execFileSync('find', [
    top,
    '-mindepth',
    '1',
    '-exec',
    'touch',
    '-h',
    '-d',
    '2025-03-04 05:06:07.123456',
    '{}',
    '+',
  ]);
  return top;
}

/**
 * Everything in a tree, one line each: type, mode, owner, size and time of files, target, content's sum. Of directories
 * no time and size, which say nothing of their content.
 */
export function contentOf(top: string): string[] {
  const listed = execFileSync(
    'find',
    [
      '.',
      '-mindepth',
      '1',
      '(',
      '-type',
      'd',
      '-printf',
      '%P d %m %U:%G\\n',
      ')',
      '-o',
      '-printf',
      '%P %y %m %U:%G %s %TY%Tm%Td%TH%TM%.6TS %l\\n',
    ],
    { cwd: top, encoding: 'latin1', maxBuffer: 1 << 28 },
  );
  const sums = execFileSync('sh', ['-c', 'find . -type f -print0 | xargs -0r sha256sum'], {
    cwd: top,
    encoding: 'latin1',
    maxBuffer: 1 << 28,
  });
  return [...listed.split('\n'), ...sums.split('\n')].filter((line) => line !== '').toSorted();
}

/** Inode and change time of every entry, or of those that find(1) chooses: the same where nothing was written. */
export function stamps(top: string, ...which: readonly string[]): string {
  return execFileSync('find', ['.', '-mindepth', '1', ...which, '-printf', '%P %i %C@\\n'], {
    cwd: top,
    encoding: 'latin1',
  })
    .split('\n')
    .toSorted()
    .join('\n');
}

/** What a run left behind, at any depth. */
export function leftovers(top: string): string[] {
  return execFileSync('find', [top, '-name', '..initbox*'], { encoding: 'utf8' }).split('\n').filter(Boolean);
}
