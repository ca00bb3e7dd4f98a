// `optional: true` in a specification: a source that does not exist has no keys, one that refuses is a failure.
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { canUseMoto, startMoto, type Moto } from '../../../support/moto.ts';
import { canUseBao, startBao, type Bao } from '../../../support/openbao.ts';
import { runInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const missing = requireOrSkip('optional sources', canUseBao() ?? canUseMoto() ?? canMount());
const folder = memoryFolders();

interface Ran {
  readonly status: number | null;
  readonly stderr: string;
  readonly text: string | undefined;
}

/** Writes `app.json` from `parts` and `env:BASE`, which is always there. */
async function written(parts: readonly unknown[], env: Record<string, string> = {}): Promise<Ran> {
  const place = folder();
  const spec = join(place, 'fetch.yaml');
  const path = join(place, 'app.json');
  writeFileSync(spec, JSON.stringify({ files: [{ path, format: 'json', from: [...parts, 'env:BASE'] }] }));
  const { status, stderr } = await runInitbox(
    ['fetch-config', '--spec', spec, '--timeout', '60s', '--interval', '100ms'],
    { env: { BASE: 'there', ...env } },
  );
  return { status, stderr, text: status === 0 ? readFileSync(path, 'utf8') : undefined };
}
const onlyBase = { BASE: 'there' };

/** Is left out, and named. */
function expectLeftOut({ status, stderr, text }: Ran, source: string): void {
  expect(stderr).toContain(`${source}: left out, since it is optional: `);
  expect(status).toBe(0);
  expect(JSON.parse(text ?? '')).toEqual(onlyBase);
}

describe.skipIf(missing)('a source without which a specification can do', () => {
  let bao: Bao;
  let moto: Moto;
  let server: Server;
  let url: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    [bao, moto] = await Promise.all([startBao(), startMoto()]);
    await bao.must('POST', 'secret/data/deleted', { data: { a: 'once' } });
    await bao.must('DELETE', 'secret/data/deleted');
    await bao.must('POST', 'secret/data/there', { data: { a: 'value of a' } });
    server = createServer(({ url: path = '' }, response) => {
      response.statusCode = Number(path.slice(1)) || 404;
      response.end('{"a":"from a page of errors"}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    env = { ...moto.env, VAULT_ADDR: bao.address, VAULT_TOKEN: bao.token };
  });
  afterAll(async () => {
    server.close();
    await Promise.all([bao.stop(), moto.stop()]);
  });

  test.each([
    ['vault:secret/nope', 0o440],
    ['aws-sm:nope', 0o440],
    ['aws-ssm:/nope', 0o440],
    ['env:NOPE', 0o440],
    ['http://HOST/404?access_token=Kq7ZxWm9Tr', 0o440],
    ['http://HOST/404', 0o444],
  ])('a file of %s alone has the mode that it has where that is there', async (source, mode) => {
    const place = folder();
    const { status, stderr } = await runInitbox(
      [
        'fetch-config',
        source.replace('http://HOST', url),
        '--optional',
        '--format',
        'json',
        '--to',
        join(place, 'app.json'),
        '--timeout',
        '60s',
      ],
      { env },
    );
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(place, 'app.json'), 'utf8').trim()).toBe('{}');
    expect(statSync(join(place, 'app.json')).mode & 0o777).toBe(mode);
  });

  test.each(['vault:secret/nope', 'vault:secret/deleted', 'vault:secret/there?version=9', 'aws-sm:nope'])(
    '%s',
    async (source) => {
      expectLeftOut(await written([{ source, keys: ['a'], optional: true }], env), source);
      const required = await written([{ source, keys: { a: { optional: true } } }], env);
      expect(required.status).toBe(69);
    },
  );

  test.each([404, 410])('a URL that answers %d', async (status) => {
    const source = `${url}/${status}`;
    expectLeftOut(await written([{ source, optional: true }]), source);
    expect((await written([source])).status).toBe(69);
  });

  test('a file, which is not waited for, and a variable', async () => {
    const source = `file:${join(folder(), 'none', 'app.json')}`;
    expectLeftOut(await written([{ source, optional: true }]), source);
    expectLeftOut(await written([{ source: 'env:UNSET', optional: true }]), 'env:UNSET');
    expectLeftOut(await written([{ source: 'env:UNSET_*', keys: ['X'], optional: true }]), 'env:UNSET_*');
    expect((await written(['env:UNSET'])).stderr).toContain('env:UNSET is not set');
  });

  test('its defaults apply, and its keys that are required are missing', async () => {
    const source = 'vault:secret/nope';
    const defaults = { source, optional: true, keys: { PORT: { key: 'port', default: 5432 } } };
    expect(JSON.parse((await written([defaults], env)).text ?? '')).toEqual({ PORT: 5432, ...onlyBase });
    const required = { source, optional: true, keys: { PORT: { key: 'port', optional: false } } };
    const { status, stderr } = await written([required], env);
    expect(stderr).toContain(`${source} has no key "port"`);
    expect(status).toBe(69);
  });

  test('that is there is read', async () => {
    const { text } = await written([{ source: 'vault:secret/there', optional: true }], env);
    expect(JSON.parse(text ?? '')).toEqual({ a: 'value of a', ...onlyBase });
  });

  test('is required where another part needs it', async () => {
    const source = `${url}/404`;
    const { status } = await written([{ source, keys: ['a'], optional: true }, source]);
    expect(status).toBe(69);
  });

  test('a file of nothing else is empty, or refused where it is raw', async () => {
    const place = folder();
    const spec = join(place, 'fetch.yaml');
    const run = async (format: string) => {
      const from = [{ source: `${url}/404`, optional: true }];
      writeFileSync(spec, JSON.stringify({ files: [{ path: join(place, format), format, from }] }));
      return runInitbox(['fetch-config', '--spec', spec, '--timeout', '60s']);
    };
    expect((await run('dotenv')).status).toBe(0);
    expect(readFileSync(join(place, 'dotenv'), 'utf8')).toBe('');
    const raw = await run('raw');
    expect(raw.stderr).toContain('there is nothing to write');
    expect(raw.status).toBe(69);
  });

  test('--dry-run says that it is absent', async () => {
    const place = folder();
    const spec = join(place, 'fetch.yaml');
    const from = [{ source: 'env:UNSET', optional: true }];
    writeFileSync(spec, JSON.stringify({ files: [{ path: join(place, 'a'), format: 'json', from }] }));
    const { stdout } = await runInitbox(['fetch-config', '--spec', spec, '--dry-run']);
    expect(JSON.parse(stdout)).toMatchObject({ sources: [{ source: 'env:UNSET', absent: true }] });
  });

  test.each([401, 403])('a URL that answers %d is a failure', async (status) => {
    const run = await written([{ source: `${url}/${status}`, optional: true }]);
    expect(run.stderr).toContain(`answered ${status}`);
    expect(run.status).toBe(69);
  });

  test('a URL that answers 500 is waited for', async () => {
    const place = folder();
    const spec = join(place, 'fetch.yaml');
    const from = [{ source: `${url}/500`, optional: true }];
    writeFileSync(spec, JSON.stringify({ files: [{ path: join(place, 'a'), format: 'json', from }] }));
    const { status, stderr } = await runInitbox(['fetch-config', '--spec', spec, '--timeout', '2s']);
    expect(stderr).not.toContain('left out');
    expect(status).toBe(124);
  });

  test('a folder is read, and a folder of a path that is a file is a failure', async () => {
    const place = folder();
    writeFileSync(join(place, 'KEY'), 'value');
    const { text } = await written([{ source: `file:${place}`, optional: true }]);
    expect(JSON.parse(text ?? '')).toEqual({ KEY: 'value', ...onlyBase });
    const spec = join(folder(), 'fetch.yaml');
    const from = [{ source: `file:${place}/KEY/app.json`, optional: true }];
    writeFileSync(spec, JSON.stringify({ files: [{ path: join(place, 'a'), format: 'json', from }] }));
    const { status, stderr } = await runInitbox(['fetch-config', '--spec', spec, '--timeout', '2s']);
    expect(stderr).not.toContain('left out');
    expect(status).not.toBe(0);
  });

  test('--optional is about all sources of a command line', async () => {
    const path = join(folder(), 'app.json');
    const sources = ['vault:secret/nope#a', 'vault:secret/nope#b', `${url}/404`, 'env:UNSET', 'env:BASE'];
    const args = ['fetch-config', ...sources, '--to', path, '--format', 'json', '--timeout', '60s'];
    const { status, stderr } = await runInitbox([...args, '--optional'], { env: { ...env, BASE: 'there' } });
    for (const source of ['vault:secret/nope', `${url}/404`, 'env:UNSET'])
      expect(stderr).toContain(`${source}: left out, since it is optional: `);
    expect(status).toBe(0);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(onlyBase);
    const required = await runInitbox(args, { env: { ...env, BASE: 'there' } });
    expect(required.status).not.toBe(0);
    const beside = await runInitbox(['fetch-config', '--spec', '/etc/fetch.yaml', '--optional']);
    expect(beside.stderr).toContain('--optional cannot be combined with --spec');
    expect(beside.status).toBe(2);
  });

  test('what Vault denies, and a path without an engine, are failures', async () => {
    const token = (await bao.must('POST', 'auth/token/create', { policies: ['default'] })) as {
      auth: { client_token: string };
    };
    const denied = await written([{ source: 'vault:secret/nope', optional: true }], {
      ...env,
      VAULT_TOKEN: token.auth.client_token,
    });
    expect(denied.stderr).toContain('permission denied');
    expect(denied.status).toBe(69);
    const mistyped = await written([{ source: 'vault:secrte/app', optional: true }], env);
    expect(mistyped.stderr).not.toContain('left out');
    expect(mistyped.status).toBe(69);
  });

  test('a server that is not Vault, and answers 404, is a failure', async () => {
    const other = { VAULT_ADDR: url, VAULT_TOKEN: 'a-token-of-a-test' };
    const { status, stderr } = await written([{ source: 'vault:secret/nope', optional: true }], other);
    expect(stderr).not.toContain('left out');
    expect(status).toBe(69);
  });

  test.skipIf(process.getuid?.() !== 0)('a file that may not be read is a failure', async () => {
    const place = temporaryDirectory('optional').path;
    const closed = join(place, 'closed');
    mkdirSync(closed);
    writeFileSync(join(closed, 'app.json'), '{}');
    chmodSync(place, 0o755);
    chmodSync(closed, 0o700);
    const spec = join(place, 'fetch.yaml');
    const from = [{ source: `file:${closed}/app.json`, public: true, optional: true }];
    writeFileSync(spec, JSON.stringify({ files: [{ path: '/nowhere/app.json', format: 'json', from }] }));
    const { status, stderr } = await runInitbox(['fetch-config', '--spec', spec, '--dry-run'], {
      user: { uid: 65_534, gid: 65_534 },
    });
    expect(stderr).toContain('runAsUser');
    expect(stderr).not.toContain('left out');
    expect(status).not.toBe(0);
  });
});
