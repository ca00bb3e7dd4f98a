import { existsSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';

import type { Plugin } from 'esbuild';

/**
 * What packages require and are given by our clients instead, so that it never runs. Of node-vault: its transport (axios
 * brings a mime database and a history of advisories), its logger, which would print credentials, schemas
 * and templates, its ready-made calls, and node:https, which is for that transport alone. Of pg: what opens a connection,
 * and looks for Cloudflare's runtime by asking for Node's navigator, and node:dns, which is for its native binding; to
 * load these takes 1 ms of a login. Of ssh2: its server, what makes keys, and native parts.
 */
const neverRun: Readonly<Record<string, readonly string[]>> = {
  pg: ['./stream', 'dns'],
  ssh2: [
    './server.js',
    './http-agents.js',
    './keygen.js',
    'cpu-features',
    './crypto/build/Release/sshcrypto.node',
    'dns',
  ],
  'node-vault': ['axios', 'debug', 'tv4', 'mustache', 'https', './commands.js'],
};

/** Parts of packages that ours stand in for. */
const ours = [
  { name: 'pg', part: 'lib/crypto/utils', by: 'pg-crypto.cjs' },
  { name: 'ssh2', part: 'lib/agent.js', by: 'ssh2-agent.cjs' },
  { name: 'ssh2', part: 'lib/protocol/crypto/poly1305.js', by: 'ssh2-poly1305.cjs' },
] as const;

/**
 * Keeps out of the bundle what a package requires without our ever running it, and what ours stands in for.
 * The build fails where a package no longer has such a part: what replaces it would then have no effect.
 */
export function replacedParts(root: string): Plugin {
  const isIn = (name: string, importer: string): boolean =>
    existsSync(importer) &&
    realpathSync(importer).startsWith(`${realpathSync(join(root, 'node_modules', name))}/`);
  return {
    name: 'replaced-parts',
    setup({ onResolve, onLoad, onEnd }) {
      const missing = new Set<string>();
      for (const [name, parts] of Object.entries(neverRun)) {
        for (const part of parts) {
          const what = `${name}: ${part}`;
          missing.add(what);
          onResolve({ filter: new RegExp(`^${RegExp.escape(part)}$`) }, ({ path, importer }) => {
            if (!isIn(name, importer)) return undefined;
            missing.delete(what);
            return { path, namespace: 'replaced' };
          });
        }
      }
      for (const { name, part, by } of ours) {
        const folder = join(root, 'node_modules', name);
        const what = `${name}: ${part}`;
        missing.add(what);
        onResolve({ filter: /^\./ }, ({ path, importer, resolveDir }) => {
          if (!isIn(name, importer) || relative(folder, join(resolveDir, path)) !== part) return undefined;
          missing.delete(what);
          return { path: join(import.meta.dirname, by) };
        });
      }
      onLoad({ filter: /.*/, namespace: 'replaced' }, () => ({
        contents: 'module.exports = () => () => {};',
      }));
      onEnd(({ errors }) =>
        errors.length > 0 || missing.size === 0
          ? {}
          : {
              errors: [...missing].map((what) => ({
                text: `${what} is replaced in the bundle, and the package requires it no longer: look at scripts/bundle/replaced-parts.ts`,
              })),
            },
      );
    },
  };
}
