import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { parseSync, type ExportNamedDeclaration } from 'oxc-parser';
import { describe, expect, test } from 'vitest';

/** The layers, from the top; each may import itself and what stands below it. */
const layers = [
  'main',
  'cli',
  'commands',
  'migrations',
  'clients',
  'config',
  'wait',
  'fs',
  'process',
  'core',
] as const;

interface Import {
  readonly from: string;
  readonly to: string;
}

const root = join(import.meta.dirname, '../../src');
const files = globSync('**/*.ts', { cwd: root });
const imports: Import[] = files.flatMap((file) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/(?:^|[\s}])(?:from |import\()'([^'\n]+)'/g)].map(
    ([, name = '']) => ({
      from: file,
      to: name.startsWith('.') ? normalize(join(dirname(file), name)) : name,
    }),
  ),
);
const inside = imports.filter(({ to }) => to.endsWith('.ts'));
const outside = imports.filter(({ to }) => !/\.(ts|json)$/.test(to));

function layerOf(file: string): (typeof layers)[number] {
  return file === 'main.ts' ? 'main' : (file.split('/')[0] as (typeof layers)[number]);
}

/** The command or client that a file belongs to: `commands/wait-tcp`, `clients/dns`, `clients/tcp`. */
function partOf(file: string): string {
  return file.split('/').slice(0, 2).join('/').replace(/\.ts$/, '');
}

const broken = (rule: (edge: Import) => boolean): string[] =>
  inside.filter(rule).map(({ from, to }) => `${from} → ${to}`);

describe('arrows', () => {
  test('there are some', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(inside.length).toBeGreaterThan(60);
    for (const { from, to } of inside) expect(files, `${from} imports ${to}`).toContain(to);
  });

  test('every file is in a layer', () =>
    expect(files.filter((file) => !layers.includes(layerOf(file)))).toEqual([]));

  test('point down', () => {
    expect(broken(({ from, to }) => layers.indexOf(layerOf(from)) > layers.indexOf(layerOf(to)))).toEqual([]);
  });

  test('commands do not import each other; only their list imports them', () => {
    expect(
      broken(
        ({ from, to }) =>
          layerOf(to) === 'commands' &&
          partOf(from) !== partOf(to) &&
          from !== 'commands/index.ts' &&
          to !== 'commands/index.ts',
      ),
    ).toEqual([]);
    expect(broken(({ from, to }) => to === 'commands/index.ts' && layerOf(from) !== 'cli')).toEqual([]);
  });

  test('clients do not import each other, except that vault stands on http, that locks share one interface, and that sources opens them all', () => {
    expect(
      broken(
        ({ from, to }) =>
          layerOf(from) === 'clients' &&
          layerOf(to) === 'clients' &&
          partOf(from) !== partOf(to) &&
          !(partOf(from) === 'clients/vault' && partOf(to) === 'clients/http') &&
          partOf(to) !== 'clients/lock' &&
          partOf(from) !== 'clients/sources',
      ),
    ).toEqual([]);
  });
});

describe('names', () => {
  test('an exported name is defined once', () => {
    const definers = new Map<string, string[]>();
    for (const file of files) {
      const { program } = parseSync(file, readFileSync(join(root, file), 'utf8'));
      for (const statement of program.body)
        for (const name of statement.type === 'ExportNamedDeclaration'
          ? definedBy(statement.declaration)
          : [])
          definers.set(name, [...(definers.get(name) ?? []), file]);
    }
    expect(definers.size).toBeGreaterThan(500);
    expect([...definers].filter(([, where]) => where.length > 1)).toEqual([]);
  });

  test('a file says of what its words, names, reports or problems are', () => {
    expect(
      files.filter((file) => /(^|\/)(names|words|reports?|problems?|utils?|helpers|common)\.ts$/.test(file)),
    ).toEqual([]);
  });
});

function definedBy(declaration: ExportNamedDeclaration['declaration']): string[] {
  if (declaration === null) return [];
  if (declaration.type === 'VariableDeclaration')
    return declaration.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? [id.name] : []));
  return 'id' in declaration && declaration.id?.type === 'Identifier' ? [declaration.id.name] : [];
}

describe('packages', () => {
  test('each has one importer, in cli or clients, or where the tree walker says what all commands mean by a pattern', () => {
    const importers = new Map<string, Set<string>>();
    for (const { from, to } of outside) {
      if (to.startsWith('node:')) continue;
      expect(builtinModules, `${from} imports ${to}: write node:${to}`).not.toContain(to);
      importers.set(to, (importers.get(to) ?? new Set()).add(partOf(from)));
    }
    expect(
      [...importers]
        .filter(([, from]) => from.size > 1)
        .map(([name, from]) => `${name}: ${[...from].join(', ')}`),
    ).toEqual([]);
    expect(
      [...importers.values()].flatMap((from) => [...from]).filter((part) => !/^(cli|clients)\//.test(part)),
    ).toEqual(['fs/tree']);
  });
});

describe('the process', () => {
  const sources = files.map((file) => ({
    file,
    source: withoutComments(readFileSync(join(root, file), 'utf8')),
  }));

  test('is touched by main and the room process alone', () => {
    const touching = sources.filter(({ source }) =>
      /\bprocess\s*[.[]|node:process|getBuiltinModule/.test(source),
    );
    const elsewhere = touching.filter(({ file }) => !['main', 'process'].includes(layerOf(file)));
    expect(elsewhere.map(({ file }) => file)).toEqual([]);
  });

  test('ends in one place', () => {
    const ends = sources.filter(({ source }) => /\.exit\(|exitCode/.test(source)).map(({ file }) => file);
    expect(ends.filter((file) => file !== 'main.ts')).toEqual([]);
    expect(sources.find(({ file }) => file === 'main.ts')?.source.match(/process\.exit\(/g)).toHaveLength(1);
  });

  test('logs through the log: no console anywhere', () => {
    expect(sources.filter(({ source }) => /\bconsole\./.test(source)).map(({ file }) => file)).toEqual([]);
  });

  test('there is one polling loop: nothing else schedules attempts', () => {
    const timers = sources.filter(({ source }) => /\bsetInterval\(/.test(source)).map(({ file }) => file);
    expect(timers).toEqual([]);
  });
});

function withoutComments(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/'[^'\n]*'|`[^`$]*`/g, (text) => (text.startsWith("'node:") ? text : "''"));
}
