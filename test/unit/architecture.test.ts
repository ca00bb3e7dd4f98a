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

  test('commands do not import each other, except that wait makes the attempts of wait-NAME; only their list imports them', () => {
    expect(
      broken(
        ({ from, to }) =>
          layerOf(to) === 'commands' &&
          partOf(from) !== partOf(to) &&
          !(partOf(from) === 'commands/wait' && /^commands\/wait-[^/]+$/.test(partOf(to))) &&
          from !== 'commands/index.ts' &&
          to !== 'commands/index.ts',
      ),
    ).toEqual([]);
    expect(broken(({ from, to }) => to === 'commands/index.ts' && layerOf(from) !== 'cli')).toEqual([]);
  });

  test('clients do not import each other, except that vault, kubernetes, influxdb, aws, google, azure and git stand on http, git hands on entries as archive does and stands on ssh, temporal on grpc, that locks share one interface, that sources opens them all, that stores of objects read their lists as XML, and that a connection knows names as dns does, and with TLS is verified as http does it', () => {
    expect(
      broken(
        ({ from, to }) =>
          layerOf(from) === 'clients' &&
          layerOf(to) === 'clients' &&
          partOf(from) !== partOf(to) &&
          !(
            /^clients\/(vault|kubernetes|influxdb|aws|google|azure|git)$/.test(partOf(from)) &&
            partOf(to) === 'clients/http'
          ) &&
          !(partOf(from) === 'clients/git' && /^clients\/(archive|ssh)$/.test(partOf(to))) &&
          !(/^clients\/(http|aws|azure)$/.test(partOf(from)) && partOf(to) === 'clients/xml') &&
          !(partOf(from) === 'clients/temporal' && partOf(to) === 'clients/grpc') &&
          !(partOf(from) === 'clients/connection' && /^clients\/(http|dns)$/.test(partOf(to))) &&
          partOf(to) !== 'clients/connection' &&
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
  test('each has one importer, in cli or clients', () => {
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
    ).toEqual([]);
  });
});

describe('the process', () => {
  test('is touched by main and the room process alone', () => {
    const touching = files.filter(
      (file) =>
        used(file).has('process') || imports.some(({ from, to }) => from === file && to === 'node:process'),
    );
    expect(touching.filter((file) => !['main', 'process'].includes(layerOf(file)))).toEqual([]);
    expect(touching).toContain('process/host.ts');
  });

  test('ends in one place', () => {
    const ends = files.filter(
      (file) => called(file).has('process.exit') || used(file).has('process.exitCode'),
    );
    expect(ends).toEqual(['main.ts']);
    const main = readFileSync(join(root, 'main.ts'), 'utf8');
    expect(main.match(/process\.exit\(/g)).toHaveLength(1);
  });

  test('logs through the log: no console anywhere', () =>
    expect(files.filter((file) => used(file).has('console'))).toEqual([]));

  test('there is one polling loop: what else sleeps is listed here, with the reason', () => {
    const sleepers = files.filter((file) => file !== 'core/clock.ts' && called(file).has('sleep'));
    expect(sleepers.toSorted()).toEqual(Object.keys(sleeping).toSorted());
    expect(files.filter((file) => called(file).has('setInterval'))).toEqual([]);
  });

  test('time comes from the context’s clock: what else reads or sets it is listed here, with the reason', () => {
    const own = ['setTimeout', 'performance.now', 'Date.now', 'Atomics.wait'];
    const timed = files.filter(
      (file) => layerOf(file) !== 'process' && own.some((name) => called(file).has(name)),
    );
    expect(timed.toSorted()).toEqual(Object.keys(timing).toSorted());
  });
});

/** Where a text from outside is rewritten, and nothing of it is shown. */
const rewriting: Readonly<Record<string, string>> = {
  'clients/http/failure.ts': "looks up OpenSSL's reason",
  'clients/liquid.ts': "looks up a sentence of our own by the parser's",
  'clients/toml.ts': "looks up a sentence of our own by the parser's",
  'commands/run/in-keys.ts': 'names a flag by its key, in a sentence of our own',
  'migrations/failure.ts': 'gets the text redacted, in the same expression',
};

describe('texts from outside', () => {
  test('are not rewritten before they are redacted: where one is, it is listed here, with the reason', () => {
    const rewritten =
      /\b(?:message|detail|hint|where|errors|response\.body)\b(?:\.toString\(\))?[)\]]*[?!]?\s*\.(?:replace|replaceAll|split|slice|substring|trim|toLowerCase|toUpperCase|normalize)\(|\bexcerpt\([^;]*\)\s*\.split\(/;
    const found = files.filter((file) => rewritten.test(readFileSync(join(root, file), 'utf8')));
    expect(found.toSorted()).toEqual(Object.keys(rewriting).toSorted());
  });
});

describe('the folder of a command', () => {
  const folders = globSync('commands/*/', { cwd: root }).map((path) => path.replace(/\/$/, ''));

  test('each has command.ts, which the list loads', () => {
    expect(folders.length).toBeGreaterThan(10);
    expect(folders.filter((folder) => !files.includes(`${folder}/command.ts`))).toEqual([]);
    const listed = imports.filter(({ from }) => from === 'commands/index.ts').map(({ to }) => to);
    expect(listed.filter((to) => to.startsWith('commands/')).toSorted()).toEqual(
      folders.map((folder) => `${folder}/command.ts`).toSorted(),
    );
  });

  test('the value is defined in command.ts, its options in options.ts, what happens in run.ts', () => {
    const elsewhere = files.filter(
      (file) => called(file).has('defineCommand') && !/^commands\/[^/]+\/command\.ts$/.test(file),
    );
    expect(elsewhere).toEqual([]);
    for (const folder of folders) {
      const short = Object.hasOwn(oneFile, folder);
      const { options, run } = definitionIn(`${folder}/command.ts`);
      expect({ folder, options, run }).toEqual({
        folder,
        options: short ? '{}' : 'of ./options.ts',
        run: short ? expect.stringContaining('(') : 'of ./run.ts',
      });
      if (short)
        expect(
          readFileSync(join(root, folder, 'command.ts'), 'utf8').split('\n').length - 1,
          `lines of ${folder}/command.ts`,
        ).toBeLessThanOrEqual(40);
    }
    expect(Object.keys(oneFile).filter((folder) => !folders.includes(folder))).toEqual([]);
  });
});

/** Commands whose folder has command.ts alone, and why. */
const oneFile: Readonly<Record<string, string>> = {
  'commands/completion': 'no options, and five lines that print a script',
  'commands/schema': 'no options, and a few lines that print a schema',
};

/** What `options` and `run` are in the call of defineCommand: imported from a file, or as they are written there. */
function definitionIn(file: string): Readonly<Record<string, string>> {
  const source = readFileSync(join(root, file), 'utf8');
  const origins = new Map<string, string>();
  const found: Record<string, string> = {};
  for (const statement of parseSync(file, source).program.body) {
    if (statement.type === 'ImportDeclaration')
      for (const { local } of statement.specifiers) origins.set(local.name, statement.source.value);
    const declaration = statement.type === 'ExportNamedDeclaration' ? statement.declaration : null;
    if (declaration?.type !== 'VariableDeclaration') continue;
    for (const { init } of declaration.declarations) {
      const [value] = init?.type === 'CallExpression' ? init.arguments : [];
      if (value?.type !== 'ObjectExpression') continue;
      for (const property of value.properties) {
        if (property.type !== 'Property' || property.key.type !== 'Identifier') continue;
        const text = source.slice(property.value.start, property.value.end);
        const origin = origins.get(text);
        found[property.key.name] = origin === undefined ? text : `of ${origin}`;
      }
    }
  }
  return found;
}

interface Names {
  /** What is called: `sleep`, `performance.now`. */
  readonly called: ReadonlySet<string>;
  /** What has a member taken, and that member: `process`, `process.exitCode`. */
  readonly used: ReadonlySet<string>;
}

const known = new Map<string, Names>();

/** By a parser: a search would find words of comments and texts, and miss what stands beside a quote in a pattern. */
function namesIn(file: string): Names {
  const earlier = known.get(file);
  if (earlier !== undefined) return earlier;
  const source = readFileSync(join(root, file), 'utf8');
  const names = { called: new Set<string>(), used: new Set<string>() };
  const textOf = ({ start, end }: Span): string => source.slice(start, end);
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(walk);
    if (typeof node !== 'object' || node === null) return;
    const { type, callee, object, start, end } = node as Partial<Span> & {
      type?: string;
      callee?: Span;
      object?: Span & { type: string };
    };
    if (type === 'CallExpression' && callee) names.called.add(textOf(callee));
    if (
      type === 'MemberExpression' &&
      object?.type === 'Identifier' &&
      start !== undefined &&
      end !== undefined
    )
      names.used.add(textOf(object)).add(textOf({ start, end }));
    Object.values(node).forEach(walk);
  };
  walk(parseSync(file, source).program);
  known.set(file, names);
  return names;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

const called = (file: string): ReadonlySet<string> => namesIn(file).called;
const used = (file: string): ReadonlySet<string> => namesIn(file).used;

/** Files that sleep beside the loop, and why none of them is an attempt of it. */
const sleeping: Readonly<Record<string, string>> = {
  'clients/postgres/aftermath.ts': 'asks for two seconds at most what became of one statement',
  'clients/postgres/lock/fence.ts':
    'acts on what it finds at each look, under a lock that it must give up at any moment',
  'clients/postgres/lock/held.ts':
    'checks that something stays so, at an even pace, for as long as work runs',
  'clients/postgres/lock/slots.ts': 'gives way to others for two seconds at most, then goes on',
  'commands/copy/copy.ts': 'begins all of it anew after others have replaced what is copied',
  'commands/create-database/mysql/perform.ts':
    'begins all of it anew after a broken connection, or what others do',
  'commands/create-database/postgres/perform.ts':
    'begins all of it anew after a broken connection, or what others do',
  'commands/migrate-with-lock/perform-sql.ts':
    'connects once more under a lock that is held, for a few seconds',
  'commands/migrate-with-lock/with-session.ts': 'begins a whole command anew after a broken connection',
  'commands/run/perform-step.ts': 'runs a step again: its pause is the plan’s, and a step is no target',
  'commands/sysctl/apply.ts': 'looks once more at what it has raised, for which no other run waits',
  'fs/folder-turn.ts': 'takes turns with other runs for a folder: flock(2) that waits could not be cut',
  'process/child.ts': 'looks for what a child left in its group; nothing tells when that ends',
  'process/output.ts': 'a pipe that is full tells nobody when it can be written to',
  'process/input.ts': 'a pipe that was opened without blocking tells nobody when it can be read',
  'migrations/execute.ts': 'writes down again what was done, for as long as somebody else locks the table',
};

/** Files that read or set the time themselves. */
const timing: Readonly<Record<string, string>> = {
  'clients/dns/lookup.ts': 'c-ares has timers of its own beside these, which no clock of ours moves',
  'clients/dns/query.ts': 'as above',
  'clients/liquid.ts':
    'measures how long it has kept the event loop, which a clock of the tests does not move',
  'commands/chown/assignment.ts': 'as above, in a walk',
  'commands/copy/assignment.ts': 'as above',
  'commands/copy/pump.ts': 'as above',
  'fs/pace.ts': 'measures how long a call takes, which a clock of the tests does not move',
  'fs/input-file.ts': 'a pipe that was handed over is read at one go, for at most five seconds',
};
