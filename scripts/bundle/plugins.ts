import { readFile } from 'node:fs/promises';

import type { Plugin } from 'esbuild';

import { fileOf, importedNames } from './imported-names.ts';

/**
 * Leaves npm packages outside, as files of their own, and notes what is used of each.
 * @param prefix where `packages/` lies, seen from the file that is made: `./` or `../`
 * @param used gets the names by package
 */
export function packagesOutside(prefix: string, used: Map<string, Set<string>>): Plugin {
  return {
    name: 'packages-outside',
    setup({ onResolve }) {
      onResolve({ filter: /^[^./]/ }, async ({ path, importer }) => {
        if (path.startsWith('node:') || importer === '') return undefined;
        const imported = importedNames(importer, await readFile(importer, 'utf8'), path);
        // After the wait: esbuild asks for many importers at once, and what one adds another must not replace.
        used.set(path, (used.get(path) ?? new Set()).union(new Set(imported)));
        return { path: `${prefix}${fileOf(path)}`, external: true };
      });
    },
  };
}

/**
 * Node's own modules by the names that are used of them. What `import` makes of a whole module copies every property:
 * `node:process` has getters among them that open standard output. A name by which Node loads more, once it is asked for
 * (`BlockList` of `node:net`), would be asked for with the module that imports it, whether it is used or not: the build
 * fails, and what needs it takes it from the default export where it does.
 */
export const builtinsByName: Plugin = {
  name: 'builtins-by-name',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, async ({ path, importer, kind }) => {
      if (kind !== 'import-statement') return { path, external: true };
      const names = importedNames(importer, await readFile(importer, 'utf8'), path).toSorted();
      const module: object = process.getBuiltinModule(path) ?? {};
      const late = names.find((name) => Object.getOwnPropertyDescriptor(module, name)?.get !== undefined);
      if (late !== undefined)
        return {
          errors: [
            { text: `${importer}: Node loads ${late} of ${path} when it is asked for; import the default` },
          ],
        };
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
