/**
 * The program as files of CommonJS: `program.js`, which is what src/main.ts imports, and a file for each module that it
 * loads by `import()`: the commands in `commands/`, the rest in `parts/`. CommonJS, because the loader of ES modules took
 * 14 ms more CPU over a dozen files; apart, because even reading what is not used is paid by every start. esbuild's own
 * splitting makes ES modules alone. A command's helper is a process of its own, and its file stands alone.
 *
 * V8 collects garbage, 2 ms of a start, once 1 MiB of new space is full; Node itself fills half of it. A text of more
 * than 128 KiB, as program.js is, lies elsewhere: made a little smaller than that, it would cost more than it saves.
 */
import { glob, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';

import {
  build,
  type BuildOptions,
  type BuildResult,
  type Metafile,
  type OutputFile,
  type Plugin,
} from 'esbuild';

import { importedNames } from './imported-names.ts';
import { builtinsByName, packagesOutside } from './plugins.ts';

/** Each file is a function of these, as the entry calls it: to put that around it at each start would copy all of it. */
export const moduleHead = '(function(exports,require,module,__filename,__dirname){';
export const moduleFoot = '})';

/** Where what `program.js` holds stands for the other files: one copy of each module, so that `instanceof` holds. */
const registry = 'globalThis[Symbol.for("initbox.modules")]';

export interface Bundle {
  readonly files: readonly OutputFile[];
  readonly metafile: Metafile;
  /** The names used of each npm package. */
  readonly used: ReadonlyMap<string, ReadonlySet<string>>;
}

export async function bundleProgram(root: string, common: BuildOptions, version: string): Promise<Bundle> {
  const used = new Map<string, Set<string>>();
  const settings: BuildOptions = {
    ...common,
    // Names stay: a stack trace at debug level can be read.
    minifyIdentifiers: false,
    // `import()` becomes `require`: Node's own goes through the loader of ES modules, also for CommonJS.
    supported: { 'dynamic-import': false },
    define: { INITBOX_VERSION: JSON.stringify(version) },
  };
  const loaded: BuildOptions = { ...settings, banner: { js: moduleHead }, footer: { js: moduleFoot } };

  // Once to learn which modules belong to it and what it loads later; at the end with what the other files take of it.
  const apart = new Set<string>();
  const corePlugins = (): Plugin[] => [
    builtinsByName,
    loadedLater(root, '.', (path) => apart.add(path)),
    packagesOutside('./', used),
  ];
  const first = await build({ ...settings, entryPoints: ['src/main.ts'], plugins: corePlugins() });
  const modules = new Set(
    Object.keys(first.metafile?.inputs ?? {}).filter((path) => path.startsWith('src/')),
  );
  const taken = new Map<string, Set<string>>();
  const others = await Promise.all(
    [...apart].toSorted().map((source) =>
      build({
        ...loaded,
        entryPoints: { [outputOf(source)]: source },
        plugins: [
          builtinsByName,
          loadedLater(root, '..', (path) => apart.has(path)),
          takenFromCore(root, modules, taken),
          packagesOutside('../', used),
        ],
      }),
    ),
  );
  const core = await build({
    ...loaded,
    entryPoints: { program: 'entry' },
    plugins: [coreEntry(root, taken), ...corePlugins()],
  });
  const helpers: BuildResult[] = [];
  for await (const path of glob('src/commands/*/helper.ts', { cwd: root })) {
    const name = `commands/${basename(dirname(path))}-helper`;
    const plugins = [builtinsByName, packagesOutside('../', used)];
    helpers.push(await build({ ...settings, entryPoints: { [name]: path }, plugins }));
  }
  return { ...merged([core, ...others, ...helpers]), used };
}

/** The file, below dist/ and without its ending, of a module that is loaded by `import()`. */
function outputOf(path: string): string {
  const [, command] = /^src\/commands\/([^/]+)\/command\.ts$/.exec(path) ?? [];
  return command === undefined ? `parts/${basename(path, '.ts')}` : `commands/${command}`;
}

/**
 * Leaves `import()` of a source file for later, where `isApart` says that it is a file of its own.
 * @param to the folder of dist/, as seen from the file that is made
 */
function loadedLater(root: string, to: string, isApart: (path: string) => unknown): Plugin {
  return {
    name: 'loaded-later',
    setup({ onResolve }) {
      onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ path, kind, resolveDir }) => {
        const source = relative(root, join(resolveDir, path));
        if (kind !== 'dynamic-import' || !isApart(source)) return undefined;
        return { path: `${to}/${outputOf(source)}.js`, external: true };
      });
    },
  };
}

/** What stands in `program.js` is taken from there. */
function takenFromCore(root: string, modules: ReadonlySet<string>, taken: Map<string, Set<string>>): Plugin {
  return {
    name: 'taken-from-core',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.{1,2}\// }, async ({ path, importer, kind, resolveDir }) => {
        const source = relative(root, join(resolveDir, path));
        if (kind === 'entry-point' || !modules.has(source)) return undefined;
        const names = importedNames(importer, await readFile(importer, 'utf8'), path).toSorted();
        taken.set(source, (taken.get(source) ?? new Set()).union(new Set(names)));
        return {
          path: `${source} ${names.join(' ')}`,
          namespace: 'core',
          pluginData: { source, names },
          sideEffects: false,
        };
      });
      onLoad({ filter: /.*/, namespace: 'core' }, ({ pluginData: { source, names } }) => ({
        contents: [
          `const module = ${registry}(${JSON.stringify(source)});`,
          ...(names as string[]).map((name) => `export const ${name} = module.${name};`),
        ].join('\n'),
      }));
    },
  };
}

/** The program, with what the other files take of its modules made known before it begins. */
function coreEntry(root: string, taken: ReadonlyMap<string, ReadonlySet<string>>): Plugin {
  const modules = [...taken].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const imports = modules.map(
    ([path, names], index) =>
      `import { ${[...names].map((name) => `${name} as ${name}$${index}`).join(', ')} } from './${path}';`,
  );
  const makers = modules.map(
    ([path, names], index) =>
      `case ${JSON.stringify(path)}: return { ${[...names].map((name) => `${name}: ${name}$${index}`).join(', ')} };`,
  );
  const files = new Map([
    ['entry', "import 'shared';\nimport './src/main.ts';\n"],
    [
      'shared',
      `${imports.join('\n')}\n${registry} = (path) => {\nswitch (path) {\n${makers.join('\n')}\n}\n};\n`,
    ],
  ]);
  return {
    name: 'core-entry',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^(entry|shared)$/ }, ({ path }) => ({ path, namespace: 'generated' }));
      onLoad({ filter: /.*/, namespace: 'generated' }, ({ path }) => ({
        contents: files.get(path) ?? '',
        resolveDir: root,
        loader: 'js',
      }));
    },
  };
}

function merged(results: readonly BuildResult[]): { files: OutputFile[]; metafile: Metafile } {
  const metafile: Metafile = { inputs: {}, outputs: {} };
  for (const result of results) {
    Object.assign(metafile.inputs, result.metafile?.inputs);
    Object.assign(metafile.outputs, result.metafile?.outputs);
  }
  return { files: results.flatMap(({ outputFiles = [] }) => outputFiles), metafile };
}
