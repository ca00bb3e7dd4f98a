import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild';

/**
 * esbuild makes one chunk for every set of entries that share a module, which is many small files where each
 * costs half a millisecond of start-up. What the entry loads in any case belongs together: this plugin makes
 * every later chunk depend on all of it, so that the sets are equal and one chunk holds it.
 */
export async function coreInOneChunk(options: BuildOptions & { absWorkingDir: string }): Promise<Plugin> {
  const { metafile } = await build({ ...options, metafile: true, write: false });
  const entry = Object.values(metafile.outputs).find(
    ({ entryPoint }) => entryPoint === 'src/main.ts',
  )?.entryPoint;
  if (entry === undefined) throw new Error('src/main.ts is not the entry');
  const core = staticallyReachable(metafile, entry).filter((path) => path !== entry);
  const lines = core.map((path) => `import ${JSON.stringify(join(options.absWorkingDir, path))};\n`).join('');
  const later = new Set(dynamicallyImported(metafile).map((path) => join(options.absWorkingDir, path)));
  return {
    name: 'core-in-one-chunk',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^initbox:core$/ }, () => ({ path: 'core', namespace: 'initbox' }));
      onLoad({ filter: /.*/, namespace: 'initbox' }, () => ({
        contents: lines,
        resolveDir: options.absWorkingDir,
      }));
      onLoad({ filter: /\.ts$/, namespace: 'file' }, async ({ path }) => {
        if (!later.has(path)) return undefined;
        return { contents: `import 'initbox:core';\n${await readFile(path, 'utf8')}`, loader: 'ts' };
      });
    },
  };
}

function staticallyReachable({ inputs }: Metafile, from: string): string[] {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const imported of inputs[path]?.imports ?? []) {
      if (imported.kind === 'import-statement' && !imported.external) visit(imported.path);
    }
  };
  visit(from);
  return [...seen];
}

function dynamicallyImported({ inputs }: Metafile): string[] {
  return Object.values(inputs).flatMap(({ imports }) =>
    imports.filter(({ kind, external }) => kind === 'dynamic-import' && !external).map(({ path }) => path),
  );
}
