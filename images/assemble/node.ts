import { copyFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execPath } from 'node:process';

import { run } from './run.ts';

/** Where the runtime is when it runs: an interpreter and an rpath are absolute. */
const runtimeHome = '/initbox';

/** A shared library that Node loads, the loader included. */
export interface Library {
  /** As Node asks for it: `libstdc++.so.6`. */
  readonly name: string;
  /** Where it is on the base, symbolic links followed. */
  readonly source: string;
}

/**
 * Copies the running Node, stripped, and the libraries it loads, so that they run from /initbox in any
 * image: nothing of that image is loaded. The loader's name comes from the executable itself.
 * @returns the libraries
 */
export async function copyNode(home: string): Promise<Library[]> {
  const node = join(home, 'bin/node');
  const loader = run('patchelf', '--print-interpreter', execPath).trim();
  const libraries = [
    ...(await Promise.all(needed(execPath).map(describe))).filter(({ name }) => name !== basename(loader)),
    await describe(loader),
  ];
  for (const { name, source } of libraries) await copyFile(source, join(home, 'lib', name));
  await copyFile(execPath, node);
  run('strip', '--strip-all', node);
  // An rpath, not a runpath: it is looked at before LD_LIBRARY_PATH, and for the libraries' libraries too.
  run(
    'patchelf',
    '--set-interpreter',
    `${runtimeHome}/lib/${basename(loader)}`,
    '--force-rpath',
    '--set-rpath',
    `${runtimeHome}/lib`,
    node,
  );
  return libraries;
}

/** Paths of the libraries, those of libraries too, as the loader finds them. */
function needed(executable: string): string[] {
  const lines = run('ldd', executable).split('\n');
  const missing = lines.filter((line) => line.includes('not found'));
  if (missing.length > 0) throw new Error(`the base image lacks libraries of Node:\n${missing.join('\n')}`);
  // "libm.so.6 => /lib/…/libm.so.6 (0x…)"; the loader stands alone, the kernel's vdso has no path.
  return lines.flatMap((line) => /=> (\/\S+)/.exec(line)?.[1] ?? []);
}

async function describe(path: string): Promise<Library> {
  return { name: basename(path), source: await realpath(path) };
}
