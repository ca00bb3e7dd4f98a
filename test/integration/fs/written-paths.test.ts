// A file that is written under two names, or written and read: nothing is done.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, expect, test } from 'vitest';

import { runInitbox } from '../../support/program.ts';
import { temporaryDirectory } from '../../support/undo.ts';

let folder: string;
beforeEach(() => {
  folder = temporaryDirectory('written').path;
  mkdirSync(join(folder, 'real'));
  symlinkSync('real', join(folder, 'link'));
  writeFileSync(join(folder, 'real', 'app.yaml'), 'before\n');
});

const url = 'http://127.0.0.1:1/a';

test.each<[string, (path: string) => readonly string[], (path: string) => Record<string, string>]>([
  [
    '--etag-file and --to',
    (path) => ['fetch-config', url, '--to', path, '--etag-file', 'real/app.yaml'],
    () => ({}),
  ],
  [
    '--etag-file by its variable',
    () => ['fetch-config', url, '--to', 'real/app.yaml'],
    (path) => ({ INITBOX_ETAG_FILE: path }),
  ],
  [
    '--termination-log and --to',
    (path) => ['fetch-config', url, '--to', path, '--termination-log', 'real/app.yaml'],
    () => ({}),
  ],
  [
    '--termination-log and --etag-file',
    (path) => ['fetch-config', url, '--to', 'o', '--etag-file', path, '--termination-log', 'real/app.yaml'],
    () => ({}),
  ],
  [
    '--ca-file and --to',
    (path) => ['fetch-config', url, '--to', path, '--ca-file', 'real/app.yaml'],
    () => ({}),
  ],
  [
    '--vault-token-file and --to',
    (path) => ['fetch-config', 'vault:a/b', '--to', path, '--vault-token-file', 'real/app.yaml'],
    () => ({}),
  ],
  [
    'a file: source and --to',
    (path) => ['fetch-config', `file:${join(folder, 'real/app.yaml')}`, '--to', path, '--allow-disk'],
    () => ({}),
  ],
  ['a template and --to', (path) => ['render', 'real/app.yaml', '--to', path], () => ({})],
  [
    'data and --to',
    (path) => ['render', '/etc/hostname', '--to', path, '--data', 'd=real/app.yaml'],
    () => ({}),
  ],
  [
    'data and a folder',
    (path) => [
      'render',
      't/app.yaml.tmpl',
      '--to',
      path.replace('app.yaml', ''),
      '--data',
      'd=real/app.yaml',
    ],
    () => ({}),
  ],
  [
    'a specification and a file of it',
    () => ['fetch-config', '--spec', 'real/app.yaml', '--allow-disk'],
    () => ({}),
  ],
  ['a plan and --termination-log', (path) => ['run', path, '--termination-log', 'real/app.yaml'], () => ({})],
])('%s', async (what, args, env) => {
  mkdirSync(join(folder, 't'));
  writeFileSync(join(folder, 't', 'app.yaml.tmpl'), 'x\n');
  const content = what.startsWith('a spec')
    ? "files: [{ path: ./app.yaml, from: 'env:HOME' }]\nto: link\n"
    : 'before\n';
  writeFileSync(join(folder, 'real', 'app.yaml'), content);
  for (const path of [
    'real/app.yaml',
    'link/../real/app.yaml',
    'link/app.yaml',
    join(folder, 'link/app.yaml'),
  ]) {
    const { status, stderr } = await runInitbox(args(path), { cwd: folder, env: env(path) });
    expect(stderr).toMatch(/is the same file as .*, which is written; name another file/);
    expect(status).toBe(2);
    expect(readFileSync(join(folder, 'real', 'app.yaml'), 'utf8')).toBe(content);
  }
});

test('in a step of a plan, before any step', async () => {
  const plan = `steps: [{ name: a, uses: fetch-config, sources: ['${url}'], to: real/app.yaml, etag-file: link/app.yaml }]\n`;
  writeFileSync(join(folder, 'plan.yaml'), plan);
  const { status, stderr } = await runInitbox(['run', 'plan.yaml'], { cwd: folder });
  expect(stderr).toMatch(/is the same file as/);
  expect(status).toBe(2);
});

test('a folder that is read and written is none', async () => {
  writeFileSync(join(folder, 'real', 'b.tmpl'), 'b\n');
  expect(await runInitbox(['render', 'real/b.tmpl', '--to', 'real/'], { cwd: folder })).toMatchObject({
    status: 0,
  });
});
