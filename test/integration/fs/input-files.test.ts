// Files that a user names to be read, on volumes to which others write.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { whileExchanged } from '../../support/exchange.ts';
import { canMount, mountTmpfs, type Mounted } from '../../support/faults.ts';
import { runInitbox, type ProgramOptions } from '../../support/program.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const skip = requireOrSkip('links that others plant where inputs are read', canMount());

/** Who else may write to the volume. */
const other = 4321;
const rootOnly = 'ROOT-ONLY';

/** How a file comes to be read: its name, the command line, and variables. */
type Reading = readonly [
  what: string,
  name: string,
  args: (path: string, out: string) => readonly string[],
  env?: (path: string) => Record<string, string>,
];

const aws = { AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
const vault = { VAULT_ADDR: 'http://127.0.0.1:1' };
const database = { DATABASE_URL: 'postgres://u@127.0.0.1:1/d' };
const fetch = (out: string, ...flags: string[]) => [
  'fetch-config',
  'https://127.0.0.1:1/a',
  '--to',
  out,
  '--allow-disk',
  ...flags,
];
const fromVault = (out: string, ...flags: string[]) => [
  'fetch-config',
  'vault:a/b',
  '--to',
  out,
  '--allow-disk',
  ...flags,
];

const each: readonly Reading[] = [
  ['a template', 't', (path, out) => ['render', path, '--to', out]],
  ['data', 'v.env', (path, out) => ['render', '/etc/hostname', '--to', out, '--data', path]],
  ['a specification', 's', (path) => ['fetch-config', '--spec', path]],
  ['a header file', 'h', (path, out) => fetch(out, '--header-file', path)],
  ['authorities', 'ca', (path, out) => fetch(out, '--ca-file', path)],
  ['a certificate', 'c', (path, out) => fetch(out, '--cert-file', path, '--key-file', path)],
  ['SSL_CERT_FILE', 'ca', (_, out) => fetch(out), (path) => ({ SSL_CERT_FILE: path })],
  ['a token of Vault', 't', (path, out) => fromVault(out, '--vault-token-file', path), () => vault],
  ['a JWT', 'j', (path, out) => fromVault(out, '--vault-role', 'r', '--vault-jwt-file', path), () => vault],
  [
    'VAULT_CACERT',
    'ca',
    (_, out) => fromVault(out),
    (path) => ({ ...vault, VAULT_TOKEN: 'x', VAULT_CACERT: path }),
  ],
  [
    'AWS_CONFIG_FILE',
    'c',
    (_, out) => ['fetch-config', 'aws-sm:x', '--to', out, '--allow-disk'],
    (path) => ({ ...aws, AWS_CONFIG_FILE: path }),
  ],
  [
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'c',
    (_, out) => ['fetch-config', 'aws-sm:x', '--to', out, '--allow-disk'],
    (path) => ({ ...aws, AWS_WEB_IDENTITY_TOKEN_FILE: path }),
  ],
  [
    'GOOGLE_APPLICATION_CREDENTIALS',
    'c',
    (_, out) => ['fetch-config', 'gcp-sm:shop/x', '--to', out, '--allow-disk'],
    (path) => ({ GOOGLE_APPLICATION_CREDENTIALS: path }),
  ],
  [
    'AZURE_FEDERATED_TOKEN_FILE',
    't',
    (_, out) => ['fetch-config', 'azure-kv:shop/x', '--to', out, '--allow-disk'],
    (path) => ({ AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't', AZURE_FEDERATED_TOKEN_FILE: path }),
  ],
  ['a plan', 'p.yaml', (path) => ['run', path]],
  ['INITBOX_PLAN', 'p.yaml', () => ['run'], (path) => ({ INITBOX_PLAN: path })],
  ['a database URL', 'u', (path) => ['wait-postgres', '--database-url-file', path]],
  ['PGPASSFILE', 'p', () => ['wait-postgres'], (path) => ({ ...database, PGPASSFILE: path })],
  [
    'PGSSLROOTCERT',
    'p',
    () => ['wait-postgres'],
    (path) => ({ ...database, PGSSLMODE: 'verify-ca', PGSSLROOTCERT: path }),
  ],
  ['a body to send', 'b', (path) => ['wait-http', 'http://127.0.0.1:1/', '--request-body-file', path]],
  ['a file: source', 'f', (path, out) => ['fetch-config', `file:${path}`, '--to', out, '--allow-disk']],
  ['an archive', 'f', (path, out) => ['fetch-config', `file:${path}`, '--to', dirname(out), '--unpack']],
  ['the source of a copy', 'f', (path, out) => ['copy', path, out]],
];

const readings = each.map(([what, name, args, env = () => ({})]) => [what, name, args, env] as const);

describe.skipIf(skip)('inputs on a volume of others', () => {
  let mounted: Mounted;
  let disk: ReturnType<typeof temporaryDirectory>;
  let volume: string;
  let hidden: string;
  let out: string;

  beforeAll(() => {
    mounted = mountTmpfs({ size: '8m', mode: 0o755 });
    disk = temporaryDirectory('inputs');
    chmodSync(disk.path, 0o755);
    hidden = join(disk.path, 'hidden');
    mkdirSync(hidden, { mode: 0o700 });
  });
  afterAll(() => {
    mounted.remove();
    disk.remove();
  });
  beforeEach(() => {
    volume = mkdtempSync(join(mounted.path, 'volume-'));
    chmodSync(volume, 0o777);
    out = mkdtempSync(join(disk.path, 'out-'));
  });

  function run(args: readonly string[], options: ProgramOptions = {}) {
    return runInitbox([...args, '--timeout', '10s'], { timeout: 20_000, ...options });
  }

  function link(target: string, name: string, uid = other): string {
    const path = join(volume, name);
    symlinkSync(target, path);
    lchownSync(path, uid, uid);
    return path;
  }

  function secret(name: string): string {
    const path = join(hidden, name);
    writeFileSync(path, `${rootOnly}\n`, { mode: 0o600 });
    return path;
  }

  const refusal = /is a symbolic link to .*which others may have made/;

  describe('a link that another user made is not followed', () => {
    test.each(readings)('%s', async (_, name, args, env) => {
      const path = link(secret(name), name);
      const { status, stderr } = await run(args(path, join(out, 'o')), { env: env(path) });
      expect(stderr).toMatch(refusal);
      expect(stderr).not.toContain(rootOnly);
      expect(status).toBe(2);
    });

    test.each(readings)('%s, in a folder behind one', async (_, name, args, env) => {
      secret(name);
      const path = join(link(hidden, 'd'), name);
      const { status, stderr } = await run(args(path, join(out, 'o')), { env: env(path) });
      expect(stderr).toMatch(refusal);
      expect(status).toBe(2);
    });

    test.each([
      ['templates', (folder: string) => ['render', folder, '--to', `${out}/`]],
      [
        'a file: source',
        (folder: string) => [
          'fetch-config',
          `file:${folder}`,
          '--to',
          out,
          '--format',
          'files',
          '--allow-disk',
        ],
      ],
      ['SQL files', (folder: string) => ['migrate-with-lock', '--sql', folder]],
    ])('in a folder of %s', async (_, args) => {
      link(secret('1_a.sql'), '1_a.sql');
      const { status, stderr } = await run(args(volume), { env: database });
      expect(stderr).toMatch(refusal);
      expect(status).toBe(2);
    });

    test('a ..data that another user made', async () => {
      mkdirSync(join(volume, '..2026_x'), { mode: 0o700 });
      writeFileSync(join(volume, '..2026_x', 'key'), rootOnly, { mode: 0o600 });
      link('..2026_x', '..data');
      link('..data/key', 'key');
      mkdirSync(join(out, 'copied'));
      const folder = ['--allow-disk', '--format', 'files'];
      expect((await run(['fetch-config', `file:${volume}`, '--to', out, ...folder])).status).toBe(2);
      expect((await run(['copy', volume, join(out, 'copied')])).status).toBe(0);
      expect(execFileSync('find', [out, '-type', 'f'], { encoding: 'utf8' })).toBe('');
    });

    test('by copy --dereference', async () => {
      link(secret('key'), 'key');
      link('/etc/hostname', 'own', 0);
      mkdirSync(join(out, 'copied'));
      const args = ['copy', volume, join(out, 'copied'), '--dereference', '--owner', '1000:1000'];
      const { status, stderr } = await run(args);
      expect([status, stderr]).toEqual([1, expect.stringContaining('the link was made by another user')]);
      expect(execFileSync('find', [out, '-type', 'f'], { encoding: 'utf8' })).toBe('');
    });

    test('one that takes the place of a link of root again and again', async () => {
      mkdirSync(join(disk.path, 'good'), { recursive: true });
      writeFileSync(join(disk.path, 'good', 't'), 'good\n');
      secret('t');
      link(join(disk.path, 'good'), 'one', 0);
      link(hidden, 'two');
      const results: (number | null)[] = [];
      const exchanges = await whileExchanged(volume, ['one', 'two', 0], async () => {
        for (let count = 0; count < 12; count++) {
          const { status } = await run(['render', join(volume, 'one', 't'), '--to', join(out, `o${count}`)]);
          results.push(status);
          if (status === 0) expect(readFileSync(join(out, `o${count}`), 'utf8')).toBe('good\n');
        }
      });
      expect(exchanges).toBeGreaterThan(1000);
      expect(results.every((status) => status === 0 || status === 2)).toBe(true);
    });
  });

  describe('a named pipe is refused at once', () => {
    test.each(readings)('%s', async (_, name, args, env) => {
      const path = join(volume, name);
      execFileSync('mkfifo', [path]);
      const { status, stderr, milliseconds } = await run(args(path, join(out, 'o')), {
        env: env(path),
      });
      expect(stderr).toMatch(/named pipe \(FIFO\)|neither a file nor a directory/);
      expect([2, 69]).toContain(status);
      expect(milliseconds).toBeLessThan(9000);
    });
  });

  describe('links of root and of the user who runs it are followed', () => {
    test.each([
      ['root, by root', 0, undefined],
      ['root, by another user', 0, { uid: other, gid: other }],
      ['the same user', other, { uid: other, gid: other }],
    ])('%s', async (_, owner, user) => {
      chmodSync(out, 0o777);
      mkdirSync(join(volume, 'real'));
      writeFileSync(join(volume, 'real', 'app'), 'content\n');
      link('real', 'folder', owner);
      link('folder/app', 'app', owner);
      const path = join(volume, 'app');
      expect(await run(['render', path, '--to', join(out, 'o')], { ...(user && { user }) })).toMatchObject({
        status: 0,
      });
      expect(readFileSync(join(out, 'o'), 'utf8')).toBe('content\n');
    });
  });

  describe('volumes of the kubelet', () => {
    /** As its AtomicWriter makes them: https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter */
    function project(mode: number, group = 0): void {
      const version = '..2026_11_26_05_00_00.123456789';
      mkdirSync(join(volume, version, 'sub'), { recursive: true });
      writeFileSync(join(volume, version, 'a.conf'), 'a=$A\n', { mode: 0o644 });
      writeFileSync(join(volume, version, 'v.env'), 'A=1\n', { mode: 0o644 });
      writeFileSync(join(volume, version, 'sub', 'b.conf'), 'b\n', { mode: 0o644 });
      symlinkSync(version, join(volume, '..data'));
      for (const name of ['a.conf', 'v.env', 'sub']) symlinkSync(`..data/${name}`, join(volume, name));
      if (group !== 0)
        execFileSync('sh', ['-c', `chown -Rh :${group} . && chmod -R g+rwX . && chmod g+s . ${version}`], {
          cwd: volume,
        });
      chmodSync(volume, mode);
    }

    const users = [
      ['root', undefined],
      ['another user', { uid: other, gid: other, groups: [2000] }],
    ] as const;

    const kinds = [
      ['a ConfigMap', 0o777, 0],
      ['a Secret', 0o1777, 0],
      ['with fsGroup', 0o3777, 2000],
    ] as const;
    test.each(kinds.flatMap((kind) => users.map((user) => [...kind, ...user] as const)))(
      '%s (%o, group %i), read by %s',
      async (_, mode, group, __, user) => {
        project(mode, group);
        chmodSync(out, 0o777);
        const options = user === undefined ? {} : { user };
        const data = ['--data', join(volume, 'v.env')];
        expect(
          await run(
            ['render', join(volume, 'a.conf'), '--to', join(out, 'one'), ...data, '--allow-disk'],
            options,
          ),
        ).toMatchObject({ status: 0 });
        expect(readFileSync(join(out, 'one'), 'utf8')).toBe('a=1\n');
        expect(
          await run(
            [
              'fetch-config',
              `file:${volume}`,
              '--to',
              out,
              '--format',
              'files',
              '--allow-disk',
              '--mode',
              '0444',
            ],
            options,
          ),
        ).toMatchObject({ status: 0 });
        expect(readFileSync(join(out, 'a.conf'), 'utf8')).toBe('a=$A\n');
        expect(await run(['render', join(volume, 'sub'), '--to', `${out}/`], options)).toMatchObject({
          status: 0,
        });
        expect(readFileSync(join(out, 'b.conf'), 'utf8')).toBe('b\n');
      },
    );

    test('a key that is mounted by subPath', async () => {
      project(0o777);
      const place = join(disk.path, 'mounted.conf');
      writeFileSync(place, '');
      const script = `mount --bind ${join(volume, '..data', 'sub', 'b.conf')} ${place} && exec "$0" "$@"`;
      const prefix = ['unshare', '--mount', 'sh', '-c', script];
      expect(await run(['render', place, '--to', join(out, 'o')], { prefix })).toMatchObject({ status: 0 });
      expect(readFileSync(join(out, 'o'), 'utf8')).toBe('b\n');
    });
  });

  test('a pipe that was handed over is read', async () => {
    const spec = `files: [{ path: ${join(out, 'o')}, from: 'env:GREETING' }]`;
    const prefix = ['sh', '-c', 'sleep 0.3; cat | "$0" "$@"'];
    for (const path of ['/dev/stdin', '/dev/fd/0']) {
      const args = ['fetch-config', '--spec', path, '--allow-disk'];
      const { status, stderr } = await run(args, { stdin: spec, prefix, env: { GREETING: 'hello' } });
      expect([status, stderr]).toEqual([0, expect.stringContaining('1 file')]);
    }
  });

  test('a device is no input', async () => {
    expect(await run(['fetch-config', '--spec', '/dev/zero'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--spec: the file /dev/zero is not a regular file: it is a device'),
    });
  });
});
