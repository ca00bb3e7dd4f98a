// Users and passwords from files: which curl sends for the same netrc file, and where ours go.
import { execFile } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const curl = promisify(execFile);

/** A server that tells the user and password that came, or that none did. */
let port: number;
const server = createServer(({ headers, url }, response) => {
  if (url === '/away') {
    response.writeHead(302, { Location: `http://localhost:${port}/there` }).end();
    return;
  }
  const [, encoded] = /^Basic (.*)$/.exec(headers.authorization ?? '') ?? [];
  response.end(encoded === undefined ? 'nobody' : Buffer.from(encoded, 'base64').toString());
});
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, resolve));
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => void server.close());

async function ours(netrc: string, path = '/', ...flags: readonly string[]) {
  const folder = temporaryDirectory('netrc').path;
  writeFileSync(join(folder, 'netrc'), netrc);
  const result = await runInitbox([
    'fetch-config',
    `http://127.0.0.1:${port}${path}`,
    '--netrc-file',
    join(folder, 'netrc'),
    '--allow-disk',
    '--log-level',
    'debug',
    '--to',
    join(folder, 'out'),
    '--timeout',
    '60s',
    ...flags,
  ]);
  return { ...result, folder, out: join(folder, 'out') };
}

const machine = 'machine 127.0.0.1 login ';
const files: readonly (readonly [what: string, netrc: string])[] = [
  ['one line', `${machine}alice password wonderland-1`],
  ['several lines', 'machine 127.0.0.1\n  login alice\n\tpassword wonderland-1\n'],
  ['a word on each line', 'machine\n127.0.0.1\nlogin\nalice\npassword\nwonderland-1\n'],
  ['CRLF', 'machine 127.0.0.1\r\nlogin alice\r\npassword wonderland-1\r\n'],
  ['capitals', 'MACHINE 127.0.0.1 LOGIN alice PASSWORD wonderland-1'],
  ['the password first', 'machine 127.0.0.1 password wonderland-1 login alice'],
  [
    'another machine before',
    `machine example.com login bob password builder-22\n${machine}alice password wonderland-1`,
  ],
  ['another machine alone', 'machine example.com login bob password builder-22'],
  ['default', 'default login anybody password whatever-333'],
  [
    'default behind another',
    'machine example.com login bob password builder-22\ndefault login anybody password whatever-333',
  ],
  [
    'default before the machine',
    `default login anybody password whatever-333\n${machine}alice password wonderland-1`,
  ],
  [
    'default behind the machine',
    `${machine}alice password wonderland-1\ndefault login anybody password whatever-333`,
  ],
  ['two of one machine', `${machine}alice password wonderland-1\n${machine}bob password builder-22`],
  ['a user without a password', `${machine}alice\n`],
  ['one without a password before one with', `${machine}alice\n${machine}bob password builder-22`],
  ['a machine with nothing before one with all', `machine 127.0.0.1\n${machine}alice password wonderland-1`],
  ['two passwords', `${machine}alice password wonderland-1 password builder-22`],
  ['two users', `${machine}bob login alice password wonderland-1`],
  ['a password without a user', 'machine 127.0.0.1 password wonderland-1'],
  ['a comment', `# machine 127.0.0.1 login no password no-no-no\n${machine}alice password wonderland-1`],
  ['a comment behind', `${machine}alice password wonderland-1 # of the test`],
  ['a # inside a password', `${machine}alice password wonder#land`],
  ['quotes', `${machine}"alice b" password "wonder land"`],
  ['escapes', `${machine}alice password "wonder\\"land\\\\tail\\ttab"`],
  ['a quoted password that is a keyword', `${machine}alice password "machine"`],
  ['a password that is a keyword', `${machine}alice password login`],
  ['account', `machine 127.0.0.1 login alice account nothing password wonderland-1`],
  [
    'a macro before',
    `macdef init\nmachine 127.0.0.1 login no password no-no-no\n\n${machine}alice password wonderland-1`,
  ],
  ['empty password in quotes', `${machine}alice password ""`],
  ['UTF-8', `${machine}älice password wünder-länd`],
];

describe('a netrc file', () => {
  test.each(files)('%s: as curl sends it', async (_what, netrc) => {
    const { status, stderr, folder, out } = await ours(netrc);
    expect(status, stderr).toBe(0);
    const { stdout } = await curl('curl', [
      '-sS',
      '--netrc-file',
      join(folder, 'netrc'),
      `http://127.0.0.1:${port}/`,
    ]);
    expect(readFileSync(out, 'utf8')).toBe(stdout);
  });

  test('a quote that is not closed, an empty file, and one that is not there', async () => {
    const open = await ours(`${machine}alice password "wonderland-1`);
    expect(open.stderr).toContain('line 1 of');
    expect(open.stderr).not.toContain('wonderland');
    expect(open.status).toBe(2);
    expect((await ours('')).status).toBe(2);
  });

  test('to its host alone, over redirects too; neither password nor what is sent is in the log', async () => {
    const netrc = `${machine}alice password wonderland-1\ndefault login any password whatever-333`;
    const { status, stderr, out } = await ours(netrc, '/away', '--cross-origin');
    expect(status, stderr).toBe(0);
    expect(readFileSync(out, 'utf8')).toBe('nobody');
    for (const secret of [
      'wonderland-1',
      'whatever-333',
      Buffer.from('alice:wonderland-1').toString('base64'),
    ])
      expect(stderr).not.toContain(secret);
    const refused = await ours(netrc, '/away');
    expect(refused.status).toBe(69);
  });

  test('what came with it is a secret; a header Authorization comes before it', async () => {
    const netrc = `${machine}alice password wonderland-1`;
    const disk = await ours(netrc, '/', '--no-allow-disk');
    expect(disk.stderr).toContain('--allow-disk');
    expect(disk.status).toBe(2);
    const header = join(temporaryDirectory('header').path, 'header');
    writeFileSync(header, `Authorization: Basic ${Buffer.from('bob:builder-22').toString('base64')}`);
    const { out, status, stderr } = await ours(netrc, '/', '--header-file', header);
    expect(status, stderr).toBe(0);
    expect(readFileSync(out, 'utf8')).toBe('bob:builder-22');
  });

  test('wait-http sends it too', async () => {
    const folder = temporaryDirectory('netrc').path;
    writeFileSync(join(folder, 'netrc'), `${machine}alice password wonderland-1`);
    const wait = (...flags: readonly string[]) =>
      runInitbox(['wait-http', `http://127.0.0.1:${port}/`, ...flags]);
    const body = ['--body', 'alice:wonderland-1', '--timeout', '60s'];
    const { status, stderr } = await wait('--netrc-file', join(folder, 'netrc'), ...body);
    expect(status, stderr).toBe(0);
    writeFileSync(join(folder, 'user'), 'alice:wonderland-1\n');
    expect((await wait('--user-file', join(folder, 'user'), ...body)).status).toBe(0);
    expect((await wait('--body', 'nobody', '--timeout', '60s')).status).toBe(0);
  });
});

describe('--user-file', () => {
  async function withUser(content: string, path = '/', ...flags: readonly string[]) {
    const folder = temporaryDirectory('user').path;
    writeFileSync(join(folder, 'user'), content);
    chmodSync(join(folder, 'user'), 0o400);
    const args = ['--user-file', join(folder, 'user'), '--allow-disk', '--to', join(folder, 'out')];
    const url = `http://127.0.0.1:${port}${path}`;
    const result = await runInitbox(['fetch-config', url, ...args, '--log-level', 'debug', ...flags]);
    return { ...result, text: result.status === 0 ? readFileSync(join(folder, 'out'), 'utf8') : '' };
  }

  test.each(['alice:wonderland-1', 'alice:won:der:land', 'alice:', ':wonderland-1', 'älice:wünder länd'])(
    '%s: as curl --user sends it',
    async (user) => {
      const { status, stderr, text } = await withUser(`${user}\n`);
      expect(status, stderr).toBe(0);
      const { stdout } = await curl('curl', ['-sS', '--user', user, `http://127.0.0.1:${port}/`]);
      expect(text).toBe(stdout);
      expect(text).toBe(user);
    },
  );

  test('not over a redirect, not into the log, and not beside another Authorization', async () => {
    const away = await withUser('alice:wonderland-1', '/away', '--cross-origin');
    expect(away.text).toBe('nobody');
    expect(away.stderr).not.toContain('wonderland');
    expect(away.stderr).not.toContain(Buffer.from('alice:wonderland-1').toString('base64'));
    const header = join(temporaryDirectory('header').path, 'header');
    writeFileSync(header, 'Authorization: Bearer of-a-test-1234');
    const both = await withUser('alice:wonderland-1', '/', '--header-file', header);
    expect(both.stderr).toContain('--user-file cannot be combined with the header Authorization');
    expect(both.status).toBe(2);
    for (const [content, words] of [
      ['alice', 'USER:PASSWORD'],
      ['alice:one\nbob:two', 'USER:PASSWORD'],
      ['alice:$(PASSWORD)', 'a $(…) in it'],
    ] as const) {
      const { status, stderr } = await withUser(content);
      expect(stderr).toContain(words);
      expect(status).toBe(2);
    }
  });
});
