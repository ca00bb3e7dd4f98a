/**
 * The program as files of CommonJS: `program.js`, which is what src/main.ts imports, and a file for each module that it
 * loads by `import()`: the commands in `commands/`, the rest in `parts/`. Each kind of target that `wait` knows is a part,
 * too: a run needs one or two of eighteen. What several of them need stands in the command's file. CommonJS, because the loader of ES modules took
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

/**
 * Where what a file holds stands for others: one copy of each module, so that `instanceof` holds.
 * @param command whose parts take from its file; without one, what `program.js` holds
 */
function registryOf(command?: string): string {
  return `globalThis[Symbol.for("initbox.modules${command === undefined ? '' : ` of ${command}`}")]`;
}

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
    [...apart].toSorted().map(async (source) => {
      const plugins = (): Plugin[] => [
        builtinsByName,
        loadedLater(root, '..', (path) => apart.has(path)),
        takenFrom(root, undefined, modules, (path, names) => {
          if (names === undefined) throw new Error(`${path} is in program.js: import it without import()`);
          taken.set(path, (taken.get(path) ?? new Set()).union(new Set(names)));
        }),
        packagesOutside('../', used),
      ];
      return bundleWithParts(root, source, loaded, plugins);
    }),
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
  return { ...merged([core, ...others.flat(), ...helpers]), used };
}

/** A module of which a run needs few of many like it. */
function isKind(path: string): boolean {
  return /^src\/commands\/[^/]+\/kinds\/[^/]+\/kind\.ts$/.test(path);
}

/** What `program.js` loads later, and each kind that this loads: what two of them need is taken from the file that loads them. */
async function bundleWithParts(
  root: string,
  source: string,
  settings: BuildOptions,
  plugins: () => Plugin[],
): Promise<BuildResult[]> {
  const parts = new Set<string>();
  const kindsLater = (): Plugin =>
    loadedLater(root, '..', (path) => {
      if (isKind(path)) parts.add(path);
      return isKind(path);
    });
  const whole = await build({
    ...settings,
    entryPoints: { [outputOf(source)]: source },
    plugins: [kindsLater(), ...plugins()],
  });
  if (parts.size === 0) return [whole];
  const building = (part: string, more: readonly Plugin[]): Promise<BuildResult> =>
    build({ ...settings, entryPoints: { [outputOf(part)]: part }, plugins: [...more, ...plugins()] });
  // Once to learn what they need.
  const needed = await Promise.all([...parts].map(async (part) => sourcesIn(await building(part, []))));
  const held = new Set(sourcesIn(whole));
  for (const path of needed.flat())
    if (needed.filter((paths) => paths.includes(path)).length > 1) held.add(path);
  const own = basename(outputOf(source));
  const taken = new Set<string>();
  const built = await Promise.all(
    [...parts]
      .toSorted()
      .map((part) => building(part, [takenFrom(root, own, held, (path) => taken.add(path))])),
  );
  const command = await build({
    ...settings,
    entryPoints: { [outputOf(source)]: 'entry' },
    plugins: [lender(root, source, registryOf(own), taken), kindsLater(), ...plugins()],
  });
  return [command, ...built];
}

function sourcesIn({ metafile }: BuildResult): string[] {
  return Object.keys(metafile?.inputs ?? {}).filter((path) => path.startsWith('src/'));
}

/** A file that makes known what others take of its modules; each runs when it is first asked for. */
function lender(root: string, source: string, registry: string, taken: ReadonlySet<string>): Plugin {
  const makers = [...taken]
    .toSorted()
    .map((path) => `case ${JSON.stringify(path)}: return require(${JSON.stringify(`./${path}`)});`);
  return generated(root, {
    entry: `import 'lent';\nexport * from ${JSON.stringify(`./${source}`)};\n`,
    lent: `${registry} = (path) => {\nswitch (path) {\n${makers.join('\n')}\n}\n};\n`,
  });
}

/** The file, below dist/ and without its ending, of a module that is loaded by `import()`. */
function outputOf(path: string): string {
  const [, command] = /^src\/commands\/([^/]+)\/command\.ts$/.exec(path) ?? [];
  if (isKind(path)) return `parts/kind-${basename(dirname(path))}`;
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

/**
 * What stands in another file, which is loaded by then, is taken from there.
 * @param command that file's; undefined for program.js
 * @param modules what stands in it
 * @param note is told which names of a module are taken; undefined for all of them
 */
function takenFrom(
  root: string,
  command: string | undefined,
  modules: ReadonlySet<string>,
  note: (path: string, names: readonly string[] | undefined) => void,
): Plugin {
  const namespace = `taken from ${command ?? 'program'}`;
  return {
    name: 'taken-from',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.{1,2}\// }, async ({ path, importer, kind, resolveDir }) => {
        const source = relative(root, join(resolveDir, path));
        if (kind === 'entry-point' || !modules.has(source)) return undefined;
        const names =
          kind === 'dynamic-import'
            ? undefined
            : importedNames(importer, await readFile(importer, 'utf8'), path).toSorted();
        note(source, names);
        return {
          path: `${source} ${names?.join(' ') ?? '*'}`,
          namespace,
          pluginData: { module: `${registryOf(command)}(${JSON.stringify(source)})`, names },
          sideEffects: false,
        };
      });
      onLoad({ filter: /.*/, namespace }, ({ pluginData: { module, names } }) => ({
        contents:
          names === undefined
            ? `module.exports = ${module};`
            : [
                `const module = ${module};`,
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
  return generated(root, {
    entry: "import 'shared';\nimport './src/main.ts';\n",
    shared: `${imports.join('\n')}\n${registryOf()} = (path) => {\nswitch (path) {\n${makers.join('\n')}\n}\n};\n`,
  });
}

/** Files that are made here, by their names. */
function generated(root: string, files: Readonly<Record<string, string>>): Plugin {
  return {
    name: 'generated',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^(${Object.keys(files).join('|')})$`) }, ({ path }) => ({
        path,
        namespace: 'generated',
      }));
      onLoad({ filter: /.*/, namespace: 'generated' }, ({ path }) => ({
        contents: files[path] ?? '',
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
