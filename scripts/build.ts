/**
 * Bundles src/main.ts into dist/: the program as one file, `initbox.js`, each npm package that it can load in
 * `packages/`, and `meta.json`, esbuild's own account of what went in, from which the SBOM is made.
 *
 * One file of CommonJS: loading it took 38 ms of CPU where the same program as ES modules in chunks took 52 and a bare
 * Node 28 (a literal address, an open port). Modules inside that are imported dynamically run only when they are asked
 * for; packages stay outside since even parsing the larger ones would be paid by every start.
 */
import { existsSync, realpathSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build, type BuildOptions, type OutputFile, type Plugin } from 'esbuild';
import { bundledPackages } from './bundled-packages.ts';
import { assertAllowed } from './forbidden.ts';
import { fileOf, importedNames } from './imported-names.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const entry = join(dist, 'initbox.js');

const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };

const common = {
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
} as const satisfies BuildOptions;

/** What the program's own files import of each package. */
const used = new Map<string, Set<string>>();

const packagesOutside: Plugin = {
  name: 'packages-outside',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, async ({ path, importer }) => {
      if (path.startsWith('node:') || importer === '') return undefined;
      const names = used.get(path) ?? new Set();
      for (const name of importedNames(await readFile(importer, 'utf8'), path)) names.add(name);
      used.set(path, names);
      return { path: `./${fileOf(path)}`, external: true };
    });
  },
};

/**
 * Node's own modules by the names that are used of them. What `import` makes of a whole module copies every property:
 * `node:process` has getters among them that open standard output.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, async ({ path, importer, kind }) => {
      if (kind !== 'import-statement') return { path, external: true };
      const names = importedNames(await readFile(importer, 'utf8'), path).toSorted();
      return {
        path: `${path} ${names.join(' ')}`,
        namespace: 'builtin',
        pluginData: { path, names },
        sideEffects: false,
      };
    });
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ pluginData: { path, names } }) => ({
      contents: [
        `const builtin = require(${JSON.stringify(path)});`,
        ...names.map((name: string) =>
          name === 'default' ? 'export default builtin;' : `export const ${name} = builtin.${name};`,
        ),
      ].join('\n'),
    }));
  },
};

const program = await build({
  ...common,
  entryPoints: { initbox: 'src/main.ts' },
  // Names stay: a stack trace at debug level can be read.
  minifyIdentifiers: false,
  define: { INITBOX_VERSION: JSON.stringify(version) },
  plugins: [builtins, packagesOutside],
});

/** A package's file exports just what is used of it, so that the rest is shaken off. */
const packageEntries: Plugin = {
  name: 'package-entries',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^package:/ }, ({ path }) => ({
      path: path.slice('package:'.length),
      namespace: 'package',
    }));
    onLoad({ filter: /.*/, namespace: 'package' }, ({ path }) => ({
      contents: `export { ${[...(used.get(path) ?? [])].join(', ')} } from ${JSON.stringify(path)}`,
      resolveDir: root,
    }));
  },
};

/**
 * What node-vault requires and is given by our client instead, so that it never runs: its transport (axios brings a
 * mime database and a history of advisories), its logger, which would print credentials, schemas
 * and templates, its ready-made calls, and node:https, which is for that transport alone.
 */
const replaced: Readonly<Record<string, RegExp>> = { 'node-vault': /^(axios|debug|tv4|mustache|https|\.\/commands\.js)$/ };

const replacedParts: Plugin = {
  name: 'replaced-parts',
  setup({ onResolve, onLoad }) {
    for (const [name, parts] of Object.entries(replaced)) {
      const folder = `${join(root, 'node_modules', name)}/`;
      onResolve({ filter: parts }, ({ path, importer }) =>
        importer !== '' && existsSync(importer) && realpathSync(importer).startsWith(realpathSync(folder))
          ? { path, namespace: 'replaced' }
          : undefined,
      );
    }
    onLoad({ filter: /.*/, namespace: 'replaced' }, () => ({ contents: 'module.exports = () => () => {};' }));
  },
};

const packages = await build({
  ...common,
  entryPoints: Object.fromEntries(
    [...used.keys()].map((name) => [fileOf(name).replace(/\.js$/, ''), `package:${name}`]),
  ),
  minifyIdentifiers: true,
  // pg's native binding is optional and not ours: its absence is what pg expects.
  external: ['pg-native'],
  banner: { js: 'const importMetaUrl=require("node:url").pathToFileURL(__filename).href;' },
  define: { 'import.meta.url': 'importMetaUrl' },
  // A default import from an ES module is all of module.exports (Node's rule, which esbuild follows).
  footer: {
    js: 'if("default"in module.exports)module.exports=Object.assign(module.exports.default,module.exports);',
  },
  plugins: [packageEntries, replacedParts],
});

const metafile = {
  inputs: { ...program.metafile.inputs, ...packages.metafile.inputs },
  outputs: { ...program.metafile.outputs, ...packages.metafile.outputs },
};
assertAllowed(await bundledPackages(root, metafile));

await rm(dist, { recursive: true, force: true });
for (const file of [...program.outputFiles, ...packages.outputFiles]) await publish(file);
await writeFile(join(dist, 'package.json'), '{ "type": "commonjs" }\n');
await writeFile(join(dist, 'meta.json'), JSON.stringify(metafile));
await chmod(entry, 0o755);

async function publish({ path, text }: OutputFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, path === entry ? `#!/usr/bin/env node\n${text}` : text);
}
