// Certificates that Vault's PKI engine signs: the key stays here, and what is right is kept without a question.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { canUseBao, startBaoWithConfig, type ConfiguredBao } from '../../../support/openbao.ts';
import { type ProgramResult, runInitbox, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { type CertificateAuthority, createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const inMemory = memoryFolders();

describe.skipIf(requireOrSkip('certificates from Vault', canUseBao()))('an issuer in Vault', () => {
  let authority: CertificateAuthority;
  let bao: ConfiguredBao;

  beforeAll(async () => {
    authority = await createCertificateAuthority('Transport CA');
    const server = await authority.server();
    bao = await startBaoWithConfig({ tls: { ...server, authority: authority.certificate }, audit: true });
    const data = async (path: string, body: object): Promise<Record<string, string>> =>
      (await bao.must('POST', path, body))['data'] as Record<string, string>;
    await bao.must('POST', 'sys/mounts/pki', { type: 'pki' });
    await bao.must('POST', 'sys/mounts/pki_int', { type: 'pki' });
    const { certificate: root } = await data('pki/root/generate/internal', {
      common_name: 'Vault Root',
      ttl: '24h',
    });
    const { csr } = await data('pki_int/intermediate/generate/internal', { common_name: 'Vault Issuing' });
    const { certificate } = await data('pki/root/sign-intermediate', {
      csr,
      common_name: 'Vault Issuing',
      ttl: '12h',
    });
    await bao.must('POST', 'pki_int/intermediate/set-signed', { certificate: `${certificate}\n${root}` });
    const any = { allow_any_name: true, enforce_hostnames: false, key_type: 'any', max_ttl: '2h' };
    await bao.must('POST', 'pki_int/roles/any', any);
    await bao.must('POST', 'pki_int/roles/leased', { ...any, generate_lease: true });
    await bao.must('POST', 'pki_int/roles/strict', {
      allowed_domains: 'example.org',
      allow_subdomains: true,
      key_type: 'any',
    });
    await bao.must('POST', 'pki_int/roles/other-names', {
      ...any,
      use_csr_sans: false,
      allow_ip_sans: false,
    });
    await bao.must('PUT', 'sys/policies/acl/signer', {
      policy: 'path "pki_int/sign/*" { capabilities = ["update"] }',
    });
    await bao.must('POST', 'sys/auth/userpass', { type: 'userpass' });
    for (const [user, policies] of [
      ['shop', 'signer'],
      ['weak', 'default'],
    ] as const)
      await bao.must('POST', `auth/userpass/users/${user}`, { password: 'geheim-1', policies });
  });
  afterAll(async () => {
    await bao?.stop();
    authority?.remove();
  });

  const password = (): string => {
    const path = join(inMemory(), 'password');
    writeFileSync(path, 'geheim-1');
    return path;
  };

  const issue = (
    role: string,
    to: string,
    names: readonly string[] = ['shop.example.org', 'shop', '10.0.0.7', '::1'],
    more: readonly string[] = ['--vault-user', 'shop', '--vault-password-file', password()],
  ): Promise<ProgramResult> =>
    runInitbox(
      ['certificate', ...names, '--issuer', `vault:${role}`, '--to', to, '--timeout', '30s', ...more],
      { env: { VAULT_ADDR: bao.address, VAULT_CACERT: authority.certificateFile } },
    );

  const chainIn = (path: string): X509Certificate[] =>
    (readFileSync(path, 'utf8').match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? []).map(
      (one) => new X509Certificate(one),
    );

  test.each(['ec-p256', 'rsa-2048'])('signs for a key of %s, and is not asked again', async (type) => {
    const to = inMemory();
    const login = ['--vault-user', 'shop', '--vault-password-file', password(), '--key-type', type];
    const first = await issue('pki_int/sign/any', to, undefined, login);
    expect(first.status, first.stderr).toBe(0);
    expect(first.stderr).toContain('signed by "Vault Issuing"');
    const [leaf, issuing, ...others] = chainIn(join(to, 'tls.crt'));
    const [root] = chainIn(join(to, 'ca.crt'));
    expect(others).toEqual([]);
    expect([issuing?.subject, root?.subject]).toEqual(['CN=Vault Issuing', 'CN=Vault Root']);
    expect(leaf?.subjectAltName).toBe(
      'DNS:shop.example.org, DNS:shop, IP Address:10.0.0.7, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(leaf?.verify(issuing!.publicKey)).toBe(true);
    expect(issuing?.verify(root!.publicKey)).toBe(true);
    const key = readFileSync(join(to, 'tls.key'), 'utf8');
    expect(leaf?.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(statSync(join(to, 'tls.key')).mode & 0o777).toBe(0o440);
    // What the role allows counts, not the year of --duration.
    expect(leaf!.validToDate.getTime() - Date.now()).toBeLessThan(2 * 3_600_000);
    const log = bao.auditLog();
    expect(JSON.stringify(log)).not.toContain('PRIVATE KEY');
    const again = await issue('pki_int/sign/any', to, undefined, login);
    expect(again.stderr).toContain('kept the certificate');
    expect(again.status).toBe(0);
    expect(bao.auditLog()).toEqual(log);
    expect(readFileSync(join(to, 'tls.key'), 'utf8')).toBe(key);
    const renewed = await issue('pki_int/sign/any', to, undefined, [...login, '--renew-before', '3h']);
    expect(renewed.stderr).toContain('made a certificate');
    expect(renewed.stderr).toContain('every run makes a new one');
    const other = await issue('pki_int/sign/any', to, ['other.example.org'], login);
    expect(other.stderr).toContain('since it was for other names');
    expect(other.status).toBe(0);
  });

  test('the token of the login is revoked, but not where the certificate hangs on it', async () => {
    const tokens = async (): Promise<number> =>
      ((await bao.must('LIST', 'auth/token/accessors'))['data'] as { keys: string[] }).keys.length;
    const before = await tokens();
    expect((await issue('pki_int/sign/any', inMemory())).status).toBe(0);
    expect(await tokens()).toBe(before);
    const leased = await issue('pki_int/sign/leased', inMemory());
    expect(leased.stderr).toContain('the token is kept: 1 lease hangs on it');
    expect(await tokens()).toBe(before + 1);
  });

  test('an own certificate gives way to that of the issuer, and the other way round', async () => {
    const to = inMemory();
    await runInitbox(['certificate', 'shop', '--to', to]);
    const issued = await issue('pki_int/sign/any', to, ['shop']);
    expect(issued.stderr).toContain('since it was not signed by the authority in ca.crt');
    expect(chainIn(join(to, 'tls.crt'))).toHaveLength(2);
    const own = await runInitbox(['certificate', 'shop', '--to', to]);
    expect(own.stderr).toContain('since it was signed by an authority, not by itself');
    expect(chainIn(join(to, 'tls.crt'))).toHaveLength(1);
  });

  test('a dry run asks nobody', async () => {
    const log = bao.auditLog();
    const { status, stdout } = await issue('pki_int/sign/any', inMemory(), undefined, [
      '--vault-user',
      'shop',
      '--vault-password-file',
      password(),
      '--dry-run',
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ kept: false, why: 'there was none' });
    expect(bao.auditLog()).toEqual(log);
  });

  test.each([
    ['pki_int/sign/strict', 'shop', 'not allowed by this role'],
    ['pki_int/sign/none', 'shop', 'unknown role: none'],
    ['pki_int/sign/any', 'weak', 'answered 403: the token may not update pki_int/sign/any'],
    ['nowhere/sign/any', 'shop', 'answered 40'],
  ])('%s as %s is refused, with what to do', async (role, user, words) => {
    const to = inMemory();
    const { status, stderr } = await issue(
      role,
      to,
      ['shop.example.net'],
      ['--vault-user', user, '--vault-password-file', password()],
    );
    expect(stderr).toContain(words);
    expect(status).toBe(69);
    expect(readdirSync(to)).toEqual([]);
  });

  test('names that the role leaves out are not taken for signed', async () => {
    const { status, stderr } = await issue('pki_int/sign/other-names', inMemory(), [
      'a.example.org',
      'b.example.org',
    ]);
    // It takes them from beside the request.
    expect(status, stderr).toBe(0);
    const { status: refused } = await issue('pki_int/sign/other-names', inMemory(), [
      'a.example.org',
      '10.0.0.1',
    ]);
    expect(refused).toBe(69);
  });

  test('Vault is sealed: it waits, and the deadline says why', async () => {
    const passwordFile = password();
    await bao.must('PUT', 'sys/seal');
    try {
      const { status, stderr } = await runInitbox(
        [
          'certificate',
          '--timeout',
          '3s',
          'shop',
          '--to',
          inMemory(),
          '--issuer',
          'vault:pki_int/sign/any',
          '--vault-user',
          'shop',
          '--vault-password-file',
          passwordFile,
        ],
        { env: { VAULT_ADDR: bao.address, VAULT_CACERT: authority.certificateFile } },
      );
      expect(stderr).toContain('is sealed');
      expect(status).toBe(124);
    } finally {
      await bao.unseal();
    }
  });

  test.each([
    [['--issuer', 'vault:pki/issue/x'], 'write sign in place of issue'],
    [['--issuer', 'vault:pki'], 'is not a role that signs'],
    [['--issuer', 'vault:../sign/x'], 'is not a role that signs'],
    [['--issuer', 'vault:pki/sign/x', '--ca-dir', '/ca'], '--issuer and --ca-dir cannot be combined'],
    [['--vault-role', 'x'], '--vault-role is for --issuer'],
  ])('%j', async (words, said) => {
    const { status, stderr } = await runInitbox(['certificate', 'shop', '--to', '/tls', ...words]);
    expect(stderr).toContain(said);
    expect(status).toBe(2);
  });

  test('SIGTERM while Vault does not answer', async () => {
    const { createServer } = await import('node:net');
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => {
      silent.listen(0, '127.0.0.1', resolve);
    });
    const { port } = silent.address() as { port: number };
    const asked = new Promise((resolve) => {
      silent.once('connection', resolve);
    });
    const to = inMemory();
    const running = await startInitbox(
      ['certificate', 'shop', '--to', to, '--issuer', 'vault:pki/sign/x', '--timeout', '60s'],
      { env: { VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_TOKEN: 'geheim-token' } },
    );
    await asked;
    running.kill('SIGTERM');
    expect((await within(promptly, running.exit)).status).toBe(143);
    expect(readdirSync(to)).toEqual([]);
    silent.close();
  });
});
