import { parseSync } from 'oxc-parser';

/** Where a package's file lies in dist/: `packages/aws-sdk-client-secrets-manager.js`. */
export function fileOf(name: string): string {
  return `packages/${name.replace('@', '').replaceAll('/', '-')}.js`;
}

/**
 * The names that a source file imports from a package, `default` for a default import; types are none.
 * @throws Error where it imports everything (`* as`), which would keep all of the package
 */
export function importedNames(file: string, source: string, name: string): string[] {
  return parseSync(file, source)
    .module.staticImports.filter(({ moduleRequest }) => moduleRequest.value === name)
    .flatMap(({ entries }) => entries)
    .filter(({ isType }) => !isType)
    .map(({ importName }) => {
      const kind: string = importName.kind;
      if (kind === 'NamespaceObject') throw new Error(`${file}: import names from ${name}, not all of it`);
      return kind === 'Default' ? 'default' : String(importName.name);
    });
}
