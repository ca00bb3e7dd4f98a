import { existsSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Plugin } from 'esbuild';

/**
 * What node-vault requires and is given by our client instead, so that it never runs: its transport (axios brings a
 * mime database and a history of advisories), its logger, which would print credentials, schemas
 * and templates, its ready-made calls, and node:https, which is for that transport alone.
 */
const neverRun: Readonly<Record<string, RegExp>> = {
  'node-vault': /^(axios|debug|tv4|mustache|https|\.\/commands\.js)$/,
};

/** Parts of packages that ours stand in for. */
const ours = [{ name: 'pg', part: /^lib\/crypto\/utils$/, by: 'pg-crypto.cjs' }] as const;

/** Keeps out of the bundle what a package requires without our ever running it, and what ours stands in for. */
export function replacedParts(root: string): Plugin {
  const isIn = (name: string, importer: string): boolean =>
    existsSync(importer) &&
    realpathSync(importer).startsWith(`${realpathSync(join(root, 'node_modules', name))}/`);
  return {
    name: 'replaced-parts',
    setup({ onResolve, onLoad }) {
      for (const [name, parts] of Object.entries(neverRun)) {
        onResolve({ filter: parts }, ({ path, importer }) =>
          isIn(name, importer) ? { path, namespace: 'replaced' } : undefined,
        );
      }
      for (const { name, part, by } of ours) {
        const folder = join(root, 'node_modules', name);
        onResolve({ filter: /^\./ }, ({ path, importer, resolveDir }) =>
          isIn(name, importer) && part.test(relative(folder, join(resolveDir, path)))
            ? { path: join(import.meta.dirname, by) }
            : undefined,
        );
      }
      onLoad({ filter: /.*/, namespace: 'replaced' }, () => ({
        contents: 'module.exports = () => () => {};',
      }));
    },
  };
}
