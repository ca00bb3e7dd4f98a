// What a run loads of Node: each of its modules takes up to 8 ms of a start.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { startAnswers } from '../../../scripts/warm/answers.ts';
import { password, startDatabase } from '../../../scripts/warm/database.ts';
import { runInitbox } from '../../support/program.ts';
import { nodePath, projectDirectory } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const folder = temporaryDirectory('loaded').path;
const preload = join(folder, 'look.cjs');
const template = join(folder, 'template');

let answers: Awaited<ReturnType<typeof startAnswers>>;
let database: Awaited<ReturnType<typeof startDatabase>>;

beforeAll(async () => {
  writeFileSync(
    preload,
    `process.on('exit', () => process.stdout.write(JSON.stringify(process.moduleLoadList)));`,
  );
  writeFileSync(template, 'text\n');
  answers = await startAnswers();
  database = await startDatabase(() => [['?column?', 'integer', '1']]);
});
afterAll(() => {
  answers.server.close();
  database.server.close();
});

/** Modules of Node that some run of these needs, and others do not. */
const watched = [
  'child_process',
  'cluster',
  'crypto',
  'dns',
  'http',
  'http2',
  'https',
  'internal/blocklist',
  'internal/deps/undici/undici',
  'internal/fs/promises',
  'internal/navigator',
  'os',
  'tls',
  'worker_threads',
  'zlib',
];

async function loaded(words: readonly string[], env: Record<string, string> = {}): Promise<string[]> {
  const { status, stdout, stderr } = await runInitbox(words, {
    program: [nodePath(), '--require', preload, join(projectDirectory, 'dist/initbox.js')],
    env: { SSL_CERT_FILE: join(folder, 'nowhere'), ...env },
  });
  expect(status, stderr).toBe(0);
  const names = (JSON.parse(stdout.slice(stdout.indexOf('['))) as string[]).map((name) =>
    name.replace('NativeModule ', ''),
  );
  return watched.filter((name) => names.includes(name));
}

const here = (): string => `127.0.0.1:${answers.port}`;
const url = (): string => `postgres://user:${password}@127.0.0.1:${database.port}/app`;
const to = (name: string): string[] => ['--to', join(folder, name), '--allow-disk'];

test('an open port: nothing', async () => {
  expect(await loaded(['wait-tcp', here()])).toEqual([]);
});

test('a template: nothing', async () => {
  expect(await loaded(['render', template, ...to('rendered').slice(0, 2)])).toEqual([]);
});

test('a secret of a Vault that is asked by http: node:http', async () => {
  const vault = { VAULT_ADDR: `http://${here()}`, VAULT_TOKEN: 'token' };
  const words = ['fetch-config', 'vault:secret/app#key', ...to('secret')];
  expect(await loaded(words, vault)).toEqual(['http']);
  // What is there already is compared.
  expect(await loaded(words, vault)).toEqual(['http']);
});

test('a database with a password: node:crypto', async () => {
  expect(await loaded(['wait-postgres'], { DATABASE_URL: url() })).toEqual(['crypto']);
  expect(await loaded(['wait', url()])).toEqual(['crypto']);
});

test('targets of wait: what their kinds need', async () => {
  expect(await loaded(['wait', here()])).toEqual([]);
  expect(await loaded(['wait', here(), `http://${here()}/`])).toEqual(['http']);
});
