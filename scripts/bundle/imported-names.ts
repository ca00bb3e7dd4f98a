/** Where a package's file lies in dist/: `packages/aws-sdk-client-secrets-manager.js`. */
export function fileOf(name: string): string {
  return `packages/${name.replace('@', '').replaceAll('/', '-')}.js`;
}

/**
 * The names that a source file imports from a package, `default` for a default import; types are none.
 * @throws Error where it imports everything (`* as`), which would keep all of the package
 */
export function importedNames(source: string, name: string): string[] {
  const found: string[] = [];
  const statement = new RegExp(
    `import\\s+(?!type\\b)([^;'"]*?)\\s*from\\s*['"]${RegExp.escape(name)}['"]`,
    'g',
  );
  for (const [, clause = ''] of source.matchAll(statement)) {
    if (clause.includes('*')) throw new Error(`import names from ${name}, not all of it: ${clause}`);
    const [, first, braces] = /^(\w+)?\s*,?\s*(?:\{([^}]*)\})?$/.exec(clause) ?? [];
    if (first) found.push('default');
    for (const part of (braces ?? '').split(',')) {
      const word = part.trim().split(/\s+as\s+/)[0] ?? '';
      if (word !== '' && !word.startsWith('type ')) found.push(word);
    }
  }
  return found;
}
