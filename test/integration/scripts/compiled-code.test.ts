import { execFileSync } from 'node:child_process';
import {
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { runInitbox } from '../../support/program.ts';
import { nodePath, projectDirectory } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const copy = join(temporaryDirectory('compiled').path, 'dist');
const files = globSync('**/*.code', { cwd: join(projectDirectory, 'dist') });

beforeAll(() => cpSync(join(projectDirectory, 'dist'), copy, { recursive: true }));

/** Loads the entry and tells, for each file that a run loads, whether V8 took the code that lies beside it: undefined where it got none. */
const look = `
const files = [];
globalThis[Symbol.for('initbox.compiled')] = { set: (file, { script }) => files.push([file, script.cachedDataRejected]) };
process.on('exit', () => process.stdout.write(JSON.stringify(files)));
`;

async function taken(
  words: readonly string[],
  entry = join(copy, 'initbox.js'),
): Promise<Record<string, boolean | undefined>> {
  const preload = join(dirname(entry), 'look.cjs');
  writeFileSync(preload, look);
  const { stdout } = await runInitbox(words, {
    program: [nodePath(), '--require', preload, entry],
  });
  const found = JSON.parse(stdout.slice(stdout.indexOf('[['))) as [string, boolean | null][];
  return Object.fromEntries(found.map(([file, rejected]) => [basename(file), rejected ?? undefined]));
}

test('the program, each command that pods run and each large package has its code', () => {
  expect(files).toContain('program.js.code');
  for (const command of [
    'certificate',
    'chown',
    'copy',
    'fetch-config',
    'migrate-with-lock',
    'render',
    'run',
    'sysctl',
    'trust',
    'wait',
    'wait-http',
    'wait-postgres',
  ])
    expect(files).toContain(`commands/${command}.js.code`);
  for (const kind of [
    'amqp',
    'grpc',
    'http',
    'kafka',
    'mongodb',
    'mysql',
    'nats',
    'postgres',
    'redis',
    'tcp',
  ])
    expect(files).toContain(`parts/kind-${kind}.js.code`);
  expect(files).toContain('parts/replace-process.js.code');
  for (const name of ['aws-sdk-client-secrets-manager', 'liquidjs', 'node-vault', 'yaml'])
    expect(files).toContain(`packages/${name}.js.code`);
});

test('V8 takes it', async () => {
  expect(await taken(['chown', '0', '/nowhere'])).toEqual({ 'program.js': false, 'chown.js': false });
});

test.each([
  ['tcp://127.0.0.1:1', ['kind-tcp.js']],
  ['http://127.0.0.1:1/', ['kind-http.js']],
  ['redis://127.0.0.1:1', ['kind-redis.js']],
  [
    'postgres://user@127.0.0.1:1/app',
    ['kind-postgres.js', 'pg-lib-client.js.js', 'pg-lib-crypto-cert-signatures.js.js'],
  ],
])('wait loads what %s needs, and no other kind of target', async (target, needed) => {
  expect(await taken(['wait', target, '--timeout', '1ms'])).toEqual(
    Object.fromEntries(['program.js', 'wait.js', ...needed].map((file) => [file, false])),
  );
});

test('no other file holds a part of a kind of target', () => {
  const kinds = globSync('parts/kind-*.js', { cwd: join(projectDirectory, 'dist') });
  expect(kinds).toHaveLength(18);
  const { outputs: made } = JSON.parse(readFileSync(join(projectDirectory, 'dist/meta.json'), 'utf8')) as {
    outputs: Record<string, { inputs: Record<string, unknown> }>;
  };
  const whole = Object.keys(made['dist/commands/wait.js']!.inputs);
  const parts = kinds.flatMap((kind) => Object.keys(made[`dist/${kind}`]!.inputs));
  const sources = [...whole, ...parts].filter((path) => path.startsWith('src/'));
  expect(sources.filter((path, index) => sources.indexOf(path) !== index)).toEqual([]);
});

/** What the program says of itself, and what two commands do: through program.js, other files and a package. */
async function outputs(entry: string): Promise<unknown> {
  const program = [nodePath(), entry];
  const runs = await Promise.all([
    runInitbox(['--version'], { program }),
    runInitbox(['help', 'chown'], { program }),
    runInitbox(['chown', '0', '/nowhere', '--log-format', 'json'], { program }),
  ]);
  return runs.map(({ status, signal, stdout, stderr }) => ({
    status,
    signal,
    stdout,
    stderr: stderr.replace(/"time":"[^"]*"/, ''),
  }));
}

const codes = ['program.js', 'commands/chown.js', 'parts/print.js', 'packages/yargs.js'].map(
  (file) => `${file}.code`,
);

/** A copy of its own, of which `change` changes the code of the files that `outputs` loads. */
function changed(change: (path: string, index: number) => void): string {
  const folder = join(temporaryDirectory('changed').path, 'dist');
  cpSync(join(projectDirectory, 'dist'), folder, { recursive: true });
  for (const [index, file] of codes.entries()) change(join(folder, file), index);
  return join(folder, 'initbox.js');
}

function flip(path: string, at: (length: number) => number): void {
  const bytes = readFileSync(path);
  const position = at(bytes.length);
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

/** Where V8 looks at nothing itself: it compares versions, flags and lengths, and sums up nothing (code-serializer.cc). */
const places = Array.from({ length: 23 }, (_, index) => index / 23);

test('V8 takes the code of every file', () => {
  const script = `
    const { readFileSync } = require('node:fs');
    const { Script } = require('node:vm');
    for (const file of process.argv.slice(1)) {
      const source = readFileSync(file.slice(0, -5));
      // A line of 128 bytes, each block of 8192 bytes of the code twice, the source.
      const sealed = readFileSync(file);
      const length = (sealed.length - 128 - source.length) / 2;
      const blocks = [];
      for (let done = 0; done < length; done += 8192)
        blocks.push(sealed.subarray(128 + 2 * done, 128 + 2 * done + Math.min(8192, length - done)));
      const { cachedDataRejected } = new Script(source.latin1Slice(), { cachedData: Buffer.concat(blocks) });
      if (cachedDataRejected) console.log(file);
    }`;
  const paths = files.map((file) => join(projectDirectory, 'dist', file));
  expect(execFileSync(nodePath(), ['-e', script, ...paths], { encoding: 'utf8' })).toBe('');
});

describe('code that does not fit its file never runs', () => {
  const harms: readonly (readonly [string, (path: string, index: number) => void])[] = [
    ...places.map(
      (place) =>
        [
          `one bit differs after ${(place * 100).toFixed()} %`,
          (path: string) => flip(path, (length) => Math.floor(length * place)),
        ] as const,
    ),
    ['one bit of the last byte differs', (path) => flip(path, (length) => length - 1)],
    ['cut in half', (path) => truncateSync(path, statSync(path).size >> 1)],
    ['cut by one byte', (path) => truncateSync(path, statSync(path).size - 1)],
    ['with one byte more', (path) => writeFileSync(path, 'x', { flag: 'a' })],
    ['cut to its first lines', (path) => truncateSync(path, 100)],
    ['empty', (path) => truncateSync(path, 0)],
    ['zeros of the same length', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size))],
    [
      'a page of zeros in it, as after a loss of power',
      (path) => {
        const bytes = readFileSync(path);
        writeFileSync(path, bytes.fill(0, 8192, 12_288));
      },
    ],
    [
      'of another file',
      (path, index) => cpSync(join(projectDirectory, 'dist', codes[(index + 1) % codes.length] ?? ''), path),
    ],
    ['a folder', (path) => (rmSync(path), mkdirSync(path))],
    ['missing', (path) => rmSync(path)],
    ['a named pipe', (path) => (rmSync(path), execFileSync('mkfifo', [path]))],
    ['a link to a device without end', (path) => (rmSync(path), symlinkSync('/dev/zero', path))],
    ['a file of 1900 MB, nearly all of it a hole', (path) => truncateSync(path, 1900 * 1024 * 1024)],
  ];

  let right: unknown;
  beforeAll(async () => {
    right = await outputs(join(copy, 'initbox.js'));
  });

  test.each(harms)('%s', async (_, harm) => {
    const entry = changed(harm);
    expect(await outputs(entry)).toEqual(right);
    expect(await taken(['chown', '0', '/nowhere'], entry)).toEqual({
      'program.js': undefined,
      'chown.js': undefined,
    });
  });

  test('the file is another of the same length, as after half an upgrade', async () => {
    const entry = changed((path) => {
      const source = path.replace(/\.code$/, '');
      const text = readFileSync(source, 'latin1');
      writeFileSync(
        source,
        text.replace('is no path', 'is NO path').replace('no command was', 'NO command was'),
        'latin1',
      );
    });
    const { stderr } = await runInitbox([], { program: [nodePath(), entry] });
    expect(stderr).toContain('NO command was');
    expect(await taken([], entry)).toEqual({ 'program.js': undefined });
  });

  test('one bit of the file differs, in a word of a message', async () => {
    const entry = changed((path) => {
      const source = path.replace(/\.code$/, '');
      const word = path.includes('program')
        ? 'was not found'
        : path.includes('print')
          ? 'help takes'
          : ' the ';
      const at = readFileSync(source).indexOf(word);
      flip(source, () => at + 1);
    });
    expect((await runInitbox(['--version'], { program: [nodePath(), entry] })).status).toBe(0);
    expect(await taken([], entry)).toEqual({ 'program.js': undefined });
  });

  test('it was made by another version of Node', async () => {
    const entry = changed((path) => {
      const text = readFileSync(path, 'latin1');
      writeFileSync(
        path,
        text.replace(process.versions.node, (version) => version.replace(/\d$/, 'x')),
        'latin1',
      );
    });
    expect(await taken(['chown', '0', '/nowhere'], entry)).toEqual({
      'program.js': undefined,
      'chown.js': undefined,
    });
    expect(await outputs(entry)).toEqual(right);
  });
});
