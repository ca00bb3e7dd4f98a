/**
 * Bundles src/ into dist/: the entry, the program (bundle/program.ts says how it is cut), each npm package that it can
 * load in `packages/`, the code that V8 makes of all that (warm/), and `meta.json`, esbuild's own account of what went
 * in, from which the SBOM is made.
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { BuildOptions, OutputFile } from 'esbuild';

import { bundledPackages } from './bundle/bundled-packages.ts';
import { assertAllowed } from './bundle/forbidden.ts';
import { bundlePackages } from './bundle/packages.ts';
import { bundleProgram } from './bundle/program.ts';
import { warm } from './warm/warm.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const entry = join(dist, 'initbox.js');

const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };

const common: BuildOptions = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node26',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  write: false,
  logLevel: 'warning',
};

const program = await bundleProgram(root, common, version);
const packages = await bundlePackages(root, common, program.used);
const metafile = {
  inputs: { ...program.metafile.inputs, ...packages.metafile.inputs },
  outputs: { ...program.metafile.outputs, ...packages.metafile.outputs },
};
assertAllowed(await bundledPackages(root, metafile));

await rm(dist, { recursive: true, force: true });
for (const file of [...program.files, ...packages.outputFiles]) await publish(file);
await writeFile(join(dist, 'package.json'), '{ "type": "commonjs" }\n');
await writeFile(join(dist, 'meta.json'), JSON.stringify(metafile));
await writeFile(
  entry,
  `#!/usr/bin/env node\n${await readFile(join(import.meta.dirname, 'bundle/entry.cjs'), 'utf8')}`,
);
await chmod(entry, 0o755);
await warm(entry);

async function publish({ path, text }: OutputFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, inAscii(text));
}

/** The entry reads files as Latin-1. esbuild escapes other letters in strings, but leaves regular expressions as they are. */
function inAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
