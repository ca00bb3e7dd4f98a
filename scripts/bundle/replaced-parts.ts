import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';

/**
 * What node-vault requires and is given by our client instead, so that it never runs: its transport (axios brings a
 * mime database and a history of advisories), its logger, which would print credentials, schemas
 * and templates, its ready-made calls, and node:https, which is for that transport alone.
 */
const replaced: Readonly<Record<string, RegExp>> = {
  'node-vault': /^(axios|debug|tv4|mustache|https|\.\/commands\.js)$/,
};

/** Keeps out of the bundle what a package requires without our ever running it. */
export function replacedParts(root: string): Plugin {
  return {
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
      onLoad({ filter: /.*/, namespace: 'replaced' }, () => ({
        contents: 'module.exports = () => () => {};',
      }));
    },
  };
}
