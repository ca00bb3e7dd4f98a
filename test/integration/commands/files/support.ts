// What the tests of files share: a volume of their own, and the program run on it.
import { execFileSync } from 'node:child_process';
import { lstatSync } from 'node:fs';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { type ProgramOptions, type ProgramResult, runInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';

/** For `describe.skipIf`: nothing is removed but from volumes. */
export const noVolumes = requireOrSkip('files', canMount());

/** An empty volume of the test's own, unmounted at the end of its scope. */
export function volume(size = '64m', options?: string): Mounted {
  return mountTmpfs(options === undefined ? { size, mode: 0o755 } : { size, options, mode: 0o755 });
}

export function files(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult> {
  return runInitbox(['files', ...args], options);
}

export function modeOf(path: string): string {
  return (lstatSync(path).mode & 0o7777).toString(8).padStart(4, '0');
}

/** All that is below a path: kind, mode, owner, name, target, and when it changed. */
export function stateOf(top: string): readonly string[] {
  return execFileSync('find', [top, '-mindepth', '1', '-printf', '%P %y %m %U:%G %l %C@\n'], {
    encoding: 'utf8',
  })
    .split('\n')
    .toSorted();
}

/** Makes `folders` folders with `count` empty files each. */
export function manyEntries(top: string, folders: number, count: number): void {
  execFileSync('python3', [
    '-c',
    `import os,sys
for i in range(${folders}):
    p = f"{sys.argv[1]}/d{i:05d}"
    os.makedirs(p)
    for j in range(${count}):
        os.close(os.open(f"{p}/f{j:05d}", os.O_CREAT | os.O_WRONLY, 0o644))`,
    top,
  ]);
}
