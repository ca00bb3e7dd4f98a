/**
 * The program as files of CommonJS: `program.js`, what every start needs and the quickest commands, and a file for each
 * other command in `commands/`. CommonJS, because the loader of ES modules took 14 ms more CPU over a dozen files; apart,
 * because even parsing what is not used is paid by every start. A command's helper is a process of its own, and its file
 * stands alone.
 */
import { glob } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';

import {
  build,
  type BuildOptions,
  type BuildResult,
  type Metafile,
  type OutputFile,
  type Plugin,
} from 'esbuild';

import { builtinsByName, packagesOutside } from './plugins.ts';

/** Commands that are in `program.js` itself: one file less to open for what most pods run. */
const inside = ['wait-tcp', 'wait-dns'];

/** Where the modules of `program.js` stand for the other files: one copy of each, so that `instanceof` holds. */
const registry = 'globalThis[Symbol.for("initbox.modules")]';

export interface Bundle {
  readonly files: readonly OutputFile[];
  readonly metafile: Metafile;
  /** The names used of each npm package. */
  readonly used: ReadonlyMap<string, ReadonlySet<string>>;
}

export async function bundleProgram(root: string, common: BuildOptions, version: string): Promise<Bundle> {
  const used = new Map<string, Set<string>>();
  const apart = new Set<string>();
  const settings: BuildOptions = {
    ...common,
    // Names stay: a stack trace at debug level can be read.
    minifyIdentifiers: false,
    // `import()` becomes `require`: Node's own goes through the loader of ES modules, also for CommonJS.
    supported: { 'dynamic-import': false },
    define: { INITBOX_VERSION: JSON.stringify(version) },
  };
  const corePlugins = (): Plugin[] => [builtinsByName, commandsApart(apart), packagesOutside('./', used)];

  // Once to learn which modules belong to it, once more with those modules made known to the other files.
  const first = await build({ ...settings, entryPoints: ['src/main.ts'], plugins: corePlugins() });
  // Those alone that another command's file may import: arrows point down, and commands do not import each other.
  const modules = Object.keys(first.metafile?.inputs ?? {}).filter((path) =>
    /^src\/(?!main\.ts$|cli\/|commands\/)/.test(path),
  );
  const core = await build({
    ...settings,
    stdin: { contents: coreEntry(modules), resolveDir: root, sourcefile: 'program.js', loader: 'js' },
    entryNames: 'program',
    plugins: corePlugins(),
  });
  const commands = await Promise.all(
    [...apart].toSorted().map((name) =>
      build({
        ...settings,
        entryPoints: { [`commands/${name}`]: `src/commands/${name}/command.ts` },
        plugins: [builtinsByName, modulesFromCore(root, modules), packagesOutside('../', used)],
      }),
    ),
  );
  const helpers: BuildResult[] = [];
  for await (const path of glob('src/commands/*/helper.ts', { cwd: root })) {
    const name = `commands/${basename(dirname(path))}-helper`;
    const plugins = [builtinsByName, packagesOutside('../', used)];
    helpers.push(await build({ ...settings, entryPoints: { [name]: path }, plugins }));
  }
  return { ...merged([core, ...commands, ...helpers]), used };
}

function coreEntry(modules: readonly string[]): string {
  const getters = modules.map(
    (path) => `get ${JSON.stringify(path)}() { return require(${JSON.stringify(`./${path}`)}); },`,
  );
  return `${registry} = {\n${getters.join('\n')}\n};\nrequire('./src/main.ts');\n`;
}

/** `import('./chown/command.ts')` of the list of commands becomes a file of its own, whose name is noted. */
function commandsApart(apart: Set<string>): Plugin {
  return {
    name: 'commands-apart',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\/[^/]+\/command\.ts$/ }, ({ path, kind }) => {
        const name = path.split('/')[1] ?? '';
        if (kind !== 'dynamic-import' || inside.includes(name)) return undefined;
        apart.add(name);
        return { path: `./commands/${name}.js`, external: true };
      });
    },
  };
}

/** A module that `program.js` holds is taken from there. */
function modulesFromCore(root: string, modules: readonly string[]): Plugin {
  return {
    name: 'modules-from-core',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir }) => {
        const module = relative(root, join(resolveDir, path));
        return modules.includes(module) ? { path: module, namespace: 'core' } : undefined;
      });
      onLoad({ filter: /.*/, namespace: 'core' }, ({ path }) => ({
        contents: `module.exports = ${registry}[${JSON.stringify(path)}];`,
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
