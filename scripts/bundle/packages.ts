import { build, type BuildOptions, type Plugin } from 'esbuild';

import { fileOf } from './imported-names.ts';
import { moduleFoot, moduleHead } from './program.ts';
import { replacedParts } from './replaced-parts.ts';

/** Each npm package as a file that exports just what is used of it, so that the rest is shaken off. */
export async function bundlePackages(
  root: string,
  common: BuildOptions,
  used: ReadonlyMap<string, ReadonlySet<string>>,
) {
  return build({
    ...common,
    write: false,
    metafile: true,
    entryPoints: Object.fromEntries(
      [...used.keys()].toSorted().map((name) => [fileOf(name).replace(/\.js$/, ''), `package:${name}`]),
    ),
    minifyIdentifiers: true,
    // pg's native binding is optional and not ours: its absence is what pg expects.
    external: ['pg-native'],
    banner: {
      js: `${moduleHead}const importMetaUrl=require("node:url").pathToFileURL(__filename).href;`,
    },
    define: { 'import.meta.url': 'importMetaUrl' },
    // A default import from an ES module is all of module.exports (Node's rule, which esbuild follows).
    footer: {
      js: `if("default"in module.exports)module.exports=Object.assign(module.exports.default,module.exports);${moduleFoot}`,
    },
    plugins: [replacedParts(root), entries(root, used)],
  });
}

function entries(root: string, used: ReadonlyMap<string, ReadonlySet<string>>): Plugin {
  return {
    name: 'package-entries',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^package:/ }, ({ path }) => ({
        path: path.slice('package:'.length),
        namespace: 'package',
      }));
      onLoad({ filter: /.*/, namespace: 'package' }, ({ path }) => ({
        contents: `export { ${[...(used.get(path) ?? [])].toSorted().join(', ')} } from ${JSON.stringify(path)}`,
        resolveDir: root,
      }));
    },
  };
}
