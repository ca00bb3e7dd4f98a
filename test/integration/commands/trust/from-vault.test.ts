// Certificates that Vault's PKI engine, or a web server, gives: with a login, with a token, and without either.
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { canUseBao, startBaoWithConfig, type ConfiguredBao } from '../../../support/openbao.ts';
import { type ProgramResult, runInitbox, runToDeadline } from '../../../support/program.ts';
import { type CertificateAuthority, createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const missing = requireOrSkip('trust from Vault', canUseBao());

const inMemory = memoryFolders();

describe.skipIf(missing)('certificates of Vault', () => {
  let authority: CertificateAuthority;
  let bao: ConfiguredBao;
  let [root, issuing] = ['', ''];

  beforeAll(async () => {
    authority = await createCertificateAuthority('Transport CA');
    const server = await authority.server();
    bao = await startBaoWithConfig({ tls: { ...server, authority: authority.certificate } });
    const data = async (path: string, body: object): Promise<Record<string, string>> =>
      (await bao.must('POST', path, body))['data'] as Record<string, string>;
    await bao.must('POST', 'sys/mounts/pki', { type: 'pki' });
    await bao.must('POST', 'sys/mounts/pki_int', { type: 'pki' });
    root = (await data('pki/root/generate/internal', { common_name: 'Vault Root', ttl: '24h' }))[
      'certificate'
    ]!;
    const { csr } = await data('pki_int/intermediate/generate/internal', { common_name: 'Vault Issuing' });
    const signed = await data('pki/root/sign-intermediate', {
      csr,
      common_name: 'Vault Issuing',
      ttl: '12h',
    });
    issuing = signed['certificate']!;
    await bao.must('POST', 'pki_int/intermediate/set-signed', { certificate: `${issuing}\n${root}` });
  });
  afterAll(async () => {
    await bao?.stop();
    authority?.remove();
  });

  const trust = (args: readonly string[], env: Record<string, string> = {}): Promise<ProgramResult> =>
    runInitbox(['trust', ...args, '--timeout', '20s'], {
      env: { VAULT_ADDR: bao.address, VAULT_CACERT: authority.certificateFile, ...env },
    });
  const namesIn = (path: string): string[] =>
    (readFileSync(path, 'utf8').match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? []).map(
      (one) => new X509Certificate(one).subject,
    );

  test('the chain of an engine, by a token: in a bundle, beside a file; a rerun changes nothing', async () => {
    const path = join(inMemory(), 'ca.crt');
    const args = [
      '--add',
      authority.certificateFile,
      '--add',
      'vault:pki_int/cert/ca_chain',
      '--bundle',
      path,
    ];
    const first = await trust(args, { VAULT_TOKEN: bao.token });
    expect(first.status, first.stderr).toBe(0);
    expect(namesIn(path)).toEqual(['CN=Transport CA', 'CN=Vault Issuing', 'CN=Vault Root']);
    expect((await trust(args, { VAULT_TOKEN: bao.token })).stderr).toContain('1 file unchanged');
  });

  test('one field of it, and of an issuer’s list, is enough', async () => {
    for (const source of ['vault:pki/cert/ca#certificate', 'vault:pki/cert/ca', 'vault:pki/issuer/default']) {
      const path = join(inMemory(), 'ca.crt');
      const { status, stderr } = await trust(['--add', source, '--bundle', path], { VAULT_TOKEN: bao.token });
      expect(status, `${source}: ${stderr}`).toBe(0);
      expect(namesIn(path)).toEqual(['CN=Vault Root']);
    }
  });

  test('by a login, whose token is given back', async () => {
    await bao.must('POST', 'sys/auth/approle', { type: 'approle' });
    await bao.must('PUT', 'sys/policies/acl/chain', {
      policy: 'path "pki_int/*" { capabilities = ["read"] }',
    });
    await bao.must('POST', 'auth/approle/role/trust', { token_policies: 'chain' });
    const id = (await bao.must('GET', 'auth/approle/role/trust/role-id'))['data'] as { role_id: string };
    const secret = (await bao.must('POST', 'auth/approle/role/trust/secret-id'))['data'] as {
      secret_id: string;
    };
    const place = inMemory();
    writeFileSync(join(place, 'id'), secret.secret_id);
    const login = ['--vault-role-id', id.role_id, '--vault-secret-id-file', join(place, 'id')];
    const path = join(place, 'ca.crt');
    const added = ['--add', 'vault:pki_int/cert/ca_chain', '--bundle', path, '--log-level', 'debug'];
    const { status, stderr } = await trust([...added, ...login]);
    expect(status, stderr).toBe(0);
    expect(namesIn(path)).toHaveLength(2);
    expect(stderr).toContain('the token of this run is revoked');
    expect(stderr).not.toContain(secret.secret_id);
  });

  test('without a login, by the paths that answer everybody', async () => {
    const path = join(inMemory(), 'ca.crt');
    for (const [source, count] of [
      ['pki/ca/pem', 1],
      ['pki_int/ca_chain', 2],
      ['pki/ca', 1],
    ] as const) {
      const args = ['--add', `${bao.address}/v1/${source}`, '--ca-file', authority.certificateFile];
      const { status, stderr } = await trust([...args, '--bundle', path]);
      expect(status, `${source}: ${stderr}`).toBe(0);
      expect(namesIn(path)).toHaveLength(count);
    }
  });

  test('what has no certificate, is not there, or may not be read: nothing is written, and the reason is said', async () => {
    const to = inMemory();
    await bao.must('POST', 'sys/mounts/kv', { type: 'kv' });
    await bao.must('POST', 'kv/app', { password: 'hunter22-hunter22' });
    const cases: readonly (readonly [
      source: string,
      env: Record<string, string>,
      status: number,
      said: RegExp,
    ])[] = [
      ['vault:kv/app', { VAULT_TOKEN: bao.token }, 2, /vault:kv\/app holds no certificate/],
      ['vault:kv/app#password', { VAULT_TOKEN: bao.token }, 2, /holds no certificate/],
      ['vault:pki/cert/none', { VAULT_TOKEN: bao.token }, 69, /vault:pki\/cert\/none/],
      ['vault:kv/app', { VAULT_TOKEN: 'wrong-wrong-wrong' }, 69, /permission denied/],
      ['vault:', {}, 2, /has no path/],
      [
        'http://ca.corp/ca.pem',
        {},
        2,
        /by plain http anybody in between could have his own certificates trusted/,
      ],
    ];
    for (const [source, env, status, said] of cases) {
      const result = await trust(['--add', source, '--bundle', join(to, 'ca.crt')], env);
      expect(result.status, `${source}: ${result.stderr}`).toBe(status);
      expect(result.stderr).toMatch(said);
      expect(result.stderr).not.toContain('hunter22');
    }
    expect(readdirSync(to)).toEqual([]);
  });

  test('a server that is not verified is not asked', async () => {
    const path = join(inMemory(), 'ca.crt');
    const { status, stderr } = await runToDeadline(
      ['trust', '--timeout', '2s', '--add', `${bao.address}/v1/pki/ca/pem`, '--bundle', path],
      {},
    );
    expect([69, 124]).toContain(status);
    expect(stderr).toMatch(/authority that is not trusted here|not trusted/);
  });

  test('flags of servers without one have no effect, and that is said', async () => {
    const path = join(inMemory(), 'ca.crt');
    const { status, stderr } = await trust([
      '--add',
      authority.certificateFile,
      '--bundle',
      path,
      '--vault-role',
      'x',
    ]);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('--vault-role has no effect: --add names no server');
  });
});
