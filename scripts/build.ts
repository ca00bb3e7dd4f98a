/**
 * Bundles src/main.ts into dist/: the entry `initbox.js`, what each command loads in `chunks/`, and
 * `meta.json`, esbuild's own account of what went in, from which the SBOM is made.
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build, type BuildOptions } from 'esbuild';
import { bundledPackages } from './bundled-packages.ts';
import { withoutNamespaces } from './builtins.ts';
import { coreInOneChunk } from './core.ts';
import { assertAllowed } from './forbidden.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const entry = join(dist, 'initbox.js');

const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };

const options = {
  absWorkingDir: root,
  entryPoints: { initbox: 'src/main.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node26',
  // pg's native binding is optional and not ours: its absence is what pg expects.
  external: ['pg-native'],
  minifySyntax: true,
  minifyWhitespace: true,
  // Names stay: a stack trace at debug level can be read.
  minifyIdentifiers: false,
  legalComments: 'none',
  define: { INITBOX_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
} satisfies BuildOptions;

const plugins = [await coreInOneChunk(options)];
const result = await build({ ...options, plugins, metafile: true, write: false });

assertAllowed(await bundledPackages(root, result.metafile));

await rm(dist, { recursive: true, force: true });
for (const { path, text } of result.outputFiles) {
  await mkdir(dirname(path), { recursive: true });
  const code = withoutNamespaces(text);
  await writeFile(path, path === entry ? `#!/usr/bin/env node\n${code}` : code);
}
await chmod(entry, 0o755);
await writeFile(join(dist, 'meta.json'), JSON.stringify(result.metafile));
