// A secret in the place of a path, a word or an address, through the whole program: neither its output nor the termination
// message shows it. The places are the program's own tables of commands and options, and the variables that its sources name,
// so that a new one is covered by itself.
import { globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { commands } from '../../../src/commands/index.ts';
import { allOptions } from '../../../src/core/options/all.ts';
import { flagName } from '../../../src/core/options/option.ts';
import { misplacedShapes, shownCanaries, type MisplacedShape } from '../../support/misplaced-shapes.ts';
import { runInitbox } from '../../support/program.ts';
import { projectDirectory } from '../../support/tools.ts';
import { quote, undoAtDeath } from '../../support/undo.ts';

const folder = mkdtempSync('/dev/shm/initbox-test-misplaced-');
undoAtDeath(`rm -rf ${quote(folder)}`);
writeFileSync(join(folder, 'template'), 'a\n');

/** Nothing listens there. */
const closed = '127.0.0.1:1';
const to = ['--to', join(folder, 'made')];

/** Command lines that go on to where values are used; a command that is not listed here is run by its name alone. */
const bases: Readonly<Record<string, readonly (readonly string[])[]>> = {
  wait: [['wait', `tcp://${closed}`]],
  'wait-tcp': [['wait-tcp', closed]],
  'wait-dns': [['wait-dns', 'localhost', '--server', '127.0.0.1:1']],
  'wait-http': [['wait-http', `http://${closed}/`]],
  'wait-postgres': [['wait-postgres', `postgres://a@${closed}/a`]],
  'wait-kubernetes': [['wait-kubernetes', 'pod/a']],
  'migrate-with-lock': [['migrate-with-lock', '--', 'true']],
  'create-database': [['create-database', 'a']],
  'fetch-config': [
    ['fetch-config', `http://${closed}/x`, ...to],
    ['fetch-config', 'vault:secret/a', ...to],
    ['fetch-config', 'aws-sm:a', ...to],
    ['fetch-config', 's3://bucket/a', ...to],
    ['fetch-config', 'kubernetes:secret/a', ...to],
  ],
  render: [['render', join(folder, 'template'), ...to]],
  trust: [['trust', '--system', '--bundle', join(folder, 'bundle')]],
  certificate: [['certificate', 'a.test', '--to', join(folder, 'tls')]],
};

const environment = {
  DATABASE_URL: `postgres://a@${closed}/a`,
  VAULT_ADDR: `http://${closed}`,
  VAULT_TOKEN: 'hvs.x',
};

interface Run {
  readonly place: string;
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly shape: MisplacedShape;
}

/** What each shows; four at a time. */
async function leaks(runs: readonly Run[]): Promise<readonly string[]> {
  const left = [...runs];
  const found: string[] = [];
  await Promise.all(
    [1, 2, 3, 4].map(async (worker) => {
      const log = join(folder, `termination-${worker}`);
      const cwd = join(folder, `in-${worker}`);
      mkdirSync(cwd, { recursive: true });
      for (let run = left.pop(); run !== undefined; run = left.pop()) {
        writeFileSync(log, '');
        const { place, words, env, shape } = run;
        const dashes = words.includes('--') ? words.indexOf('--') : words.length;
        const usual = [
          ['--timeout', '150ms'],
          ['--termination-log', log],
          ['--log-level', 'debug'],
        ].flatMap(([flag = '', value = '']) =>
          words.some((word) => word.startsWith(`${flag}=`)) ? [] : [flag, value],
        );
        const { status, stdout, stderr } = await runInitbox(
          [...words.slice(0, dashes), ...usual, ...words.slice(dashes)],
          { cwd, env: { ...environment, ...env } },
        );
        const shown = shownCanaries(`${stdout}${stderr}${readFileSync(log, 'utf8')}`, shape.canaries);
        if (shown.length > 0) found.push(`${place}, ${shape.name}: ${status} ${stdout}${stderr}`);
      }
    }),
  );
  return found;
}

/** The shapes of which each place gets some: another beginning for each, so that together they get all. */
function some(place: number, count: number): readonly MisplacedShape[] {
  const step = Math.floor(misplacedShapes.length / count);
  return Array.from(
    { length: count },
    (_, at) => misplacedShapes[(place + at * step) % misplacedShapes.length]!,
  );
}

let place = 0;

test.each(Object.entries(commands))('options of %s', async (name, load) => {
  const options = Object.entries(allOptions(await load()));
  const runs = options.flatMap(([key, option]) =>
    (bases[name] ?? [[name]]).slice(0, 2).flatMap((base) =>
      some((place += 1), 2).map((shape) => {
        const flag = `--${flagName(key, option)}`;
        const dashes = base.includes('--') ? base.indexOf('--') : base.length;
        const own = base.indexOf(flag);
        const before =
          own < 0 ? base.slice(0, dashes) : [...base.slice(0, own), ...base.slice(own + 2, dashes)];
        return {
          place: `${name} ${flag}`,
          words: [...before, `${flag}=${shape.text}`, ...base.slice(dashes)],
          shape,
        };
      }),
    ),
  );
  expect(await leaks(runs)).toEqual([]);
});

test.each(Object.keys(commands))('arguments of %s', async (name) => {
  const runs = some((place += 7), 8).map((shape) => ({
    place: name,
    words: [name, ...(name === 'fetch-config' || name === 'render' ? to : []), '--', shape.text].filter(
      (word) => word !== '--' || shape.text.startsWith('-'),
    ),
    shape,
  }));
  expect(await leaks(runs)).toEqual([]);
});

/** Variables that the sources name. */
const variables = new Set(
  globSync('src/**/*.ts', { cwd: projectDirectory }).flatMap((file) =>
    [
      ...readFileSync(join(projectDirectory, file), 'utf8').matchAll(
        /['.](?:((?:PG|VAULT_|BAO_|AWS_|KUBE|SSL_)[A-Z0-9_]{2,}|[A-Z]+_URL|[A-Z]+_PROXY|[a-z]+_proxy))\b/g,
      ),
    ].map(([, name = '']) => name),
  ),
);

/** Which command lines read a variable. */
function readersOf(variable: string): readonly (readonly string[])[] {
  const [http = [], vault = [], aws = [], s3 = [], kubernetes = []] = bases['fetch-config'] ?? [];
  if (variable.startsWith('PG')) return [['wait-postgres'], ['migrate-with-lock', '--', 'true']];
  if (variable.endsWith('DATABASE_URL')) return [['wait-postgres'], ['migrate-with-lock', '--', 'true']];
  if (/^(?:VAULT|BAO)_/.test(variable)) return [vault];
  if (variable.startsWith('AWS_')) return [aws, s3];
  if (variable.startsWith('KUBE')) return [kubernetes, ['wait-kubernetes', 'job/a']];
  return [http, ['wait-http', `https://${closed}/`]];
}

test('variables', async () => {
  expect(variables.size).toBeGreaterThan(40);
  const runs = [...variables].flatMap((name) =>
    readersOf(name).flatMap((words) =>
      some((place += 3), 3).map((shape) => ({
        place: name,
        words,
        shape,
        env: {
          ...(name.startsWith('PG')
            ? { DATABASE_URL: '', PGHOST: '127.0.0.1', PGPORT: '1', PGUSER: 'a' }
            : {}),
          ...(name.startsWith('AWS_') ? { AWS_REGION: 'eu-central-1' } : {}),
          [name]: shape.text,
        },
      })),
    ),
  );
  expect(await leaks(runs)).toEqual([]);
});

test('fields of plans, specifications and kubeconfigs', async () => {
  let files = 0;
  const file = (document: unknown): string => {
    const path = join(folder, `document-${(files += 1)}`);
    writeFileSync(path, JSON.stringify(document));
    return path;
  };
  const step = (fields: object): string[] => ['run', file({ steps: [{ name: 'a', ...fields }] })];
  const spec = (entry: object): string[] => [
    'fetch-config',
    '--spec',
    file({ to: folder, files: [{ path: 'a', from: ['env:HOME'], ...entry }] }),
  ];
  const cluster = (fields: object, user: object = {}): string[] => [
    'wait-kubernetes',
    'job/a',
    '--kubeconfig',
    file({
      'current-context': 'a',
      contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
      clusters: [{ name: 'a', cluster: { server: `https://${closed}`, ...fields } }],
      users: [{ name: 'a', user }],
    }),
  ];
  const runs = misplacedShapes.flatMap((shape) => {
    const { text } = shape;
    const inDocument: Readonly<Record<string, readonly string[]>> = {
      targets: step({ uses: 'wait', targets: [text] }),
      'wait-tcp': step({ uses: 'wait-tcp', targets: [text] }),
      uses: step({ uses: text }),
      sources: step({ uses: 'fetch-config', to: '/dev/shm/x', sources: [text] }),
      to: step({ uses: 'fetch-config', to: text, sources: ['env:HOME'] }),
      name: step({ name: text, uses: 'chown' }),
      'a key': step({ [text]: 'x' }),
      command: step({ command: [text] }),
      from: spec({ from: [text] }),
      path: spec({ path: text }),
      format: spec({ format: text }),
      server: cluster({ server: text }),
      'proxy-url': cluster({ 'proxy-url': text }),
      'certificate-authority': cluster({ 'certificate-authority': text }),
      tokenFile: cluster({}, { tokenFile: text }),
    };
    return Object.entries(inDocument).map(([name, words]) => ({ place: name, words, shape }));
  });
  // One of four, in turn.
  expect(await leaks(runs.filter((_, index) => index % 4 === 0))).toEqual([]);
});
