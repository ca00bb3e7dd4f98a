// How Vault is addressed: namespaces in the path, VAULT_ADDR with /v1, VAULT_CAPATH, and paths that are not read.
import { mkdirSync, readFileSync, writeFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canUseBao, startBao, type Bao } from '../../../support/openbao.ts';
import { runInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { respond, startFaultServer } from './fault-server.ts';

const folder = temporaryDirectory('vault-address').path;
const out = join(folder, 'out');

async function fetchFrom(source: string, env: Record<string, string>) {
  rmSync(out, { force: true });
  return runInitbox(['fetch-config', source, '--to', out, '--allow-disk', '--timeout', '20s'], { env });
}

describe.skipIf(requireOrSkip('addresses of Vault', canUseBao()))('OpenBao', () => {
  let bao: Bao;
  let env: Record<string, string>;
  beforeAll(async () => {
    bao = await startBao();
    env = { VAULT_ADDR: bao.address, VAULT_TOKEN: bao.token };
    const within = (namespace: string) => ({ headers: { 'X-Vault-Namespace': namespace } });
    await bao.must('POST', 'sys/namespaces/a', {});
    await bao.must('POST', 'sys/namespaces/b', {}, within('a'));
    await bao.must('POST', 'sys/mounts/team/kv', { type: 'kv', options: { version: '2' } }, within('a/b'));
    // A KV engine of version 2 is made ready in the background.
    await waitUntil(async () => {
      const { status } = await bao.request('POST', 'team/kv/data/app', { data: { k: 'v' } }, within('a/b'));
      return status < 300;
    });
  });
  afterAll(() => bao?.stop());

  test.each([
    [undefined, 'vault:a/b/team/kv/app#k'],
    ['a', 'vault:b/team/kv/app#k'],
    ['/a/', 'vault:b/team/kv/app#k'],
    ['a/b', 'vault:team/kv/app#k'],
  ])('in the namespace %s: %s', async (namespace, source) => {
    const more: Record<string, string> = namespace === undefined ? {} : { VAULT_NAMESPACE: namespace };
    const { status, stderr } = await fetchFrom(source, { ...env, ...more });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(readFileSync(out, 'utf8')).toBe('v');
  });

  test.each(['/v1', '/v1/', '/v1//'])('VAULT_ADDR that ends with %s is told', async (end) => {
    const { status, stderr } = await fetchFrom('vault:secret/a', { ...env, VAULT_ADDR: bao.address + end });
    expect(stderr).toContain(`VAULT_ADDR ends with /v1, which every request adds; write ${bao.address}\n`);
    expect(status).toBe(2);
  });
  test.each(['/', '//'])('VAULT_ADDR that ends with %s is taken', async (end) => {
    const { status } = await fetchFrom('vault:a/b/team/kv/app#k', { ...env, VAULT_ADDR: bao.address + end });
    expect(status).toBe(0);
  });

  test('a path that takes a write alone says so', async () => {
    await bao.must('POST', 'sys/mounts/pki', { type: 'pki' });
    await bao.must('POST', 'sys/mounts/transit', { type: 'transit' });
    for (const path of ['pki/issue/role', 'pki/sign/role', 'transit/encrypt/key']) {
      const { status, stderr } = await fetchFrom(`vault:${path}`, env);
      expect(stderr).toContain('answered 405: this path cannot be read');
      expect(stderr).toContain('let cert-manager make it, write a template for render');
      expect(status).toBe(69);
    }
  });

  test('a * is no pattern, and is told so', async () => {
    const { status, stderr } = await fetchFrom('vault:a/b/team/kv/*', env);
    expect(stderr).toContain('there is no secret at a/b/team/kv/*');
    expect(stderr).toContain('nothing expands it');
    expect(status).toBe(69);
  });
});

test('a * in the path of a file is told', async () => {
  const { status, stderr } = await runInitbox([
    'fetch-config',
    `file:${folder}/*.conf`,
    '--to',
    out,
    '--allow-disk',
    '--timeout',
    '300ms',
  ]);
  expect(stderr).toContain('no shell expands it');
  expect(status).toBe(124);
});

describe('VAULT_CAPATH', () => {
  test.each(['ca.pem', '9d66eef0.0', 'a0b1c2d3.12'])('reads %s', async (name) => {
    using authority = await createCertificateAuthority();
    const { certificate, key } = await authority.server(['127.0.0.1']);
    const body = JSON.stringify({ data: { k: 'v' } });
    await using server = await startFaultServer(
      { '/v1/secret/a': respond(200, body, { 'Content-Type': 'application/json' }) },
      { cert: certificate, key },
    );
    const place = join(folder, `ca-${name}`);
    mkdirSync(place);
    writeFileSync(join(place, 'real'), authority.certificate);
    writeFileSync(join(place, 'README'), 'no certificate');
    symlinkSync('real', join(place, name));
    const env = { VAULT_ADDR: server.url, VAULT_TOKEN: 'token-of-a-test' };
    const { status, stderr } = await fetchFrom('vault:secret/a?kv=1#k', { ...env, VAULT_CAPATH: place });
    expect({ status, stderr }).toMatchObject({ status: 0 });
  });
  test('a folder without a certificate is told', async () => {
    const place = join(folder, 'empty');
    mkdirSync(place);
    writeFileSync(join(place, 'README'), 'no certificate');
    const env = { VAULT_ADDR: 'https://127.0.0.1:1', VAULT_TOKEN: 'token-of-a-test', VAULT_CAPATH: place };
    const { status, stderr } = await fetchFrom('vault:secret/a', env);
    expect(stderr).toContain(`VAULT_CAPATH: the folder ${place} holds no certificate`);
    expect(status).toBe(2);
  });
});
