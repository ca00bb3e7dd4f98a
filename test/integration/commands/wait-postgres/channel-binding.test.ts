// channel_binding on real servers over TLS, with proxies between, beside what psql does with the same URL.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canUsePgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { debianPostgres, startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox } from '../../../support/program.ts';
import { startTlsTerminator } from '../../../support/tls-terminator.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { needTool, requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { serverAccount } from '../../../support/unprivileged.ts';

const folder = temporaryDirectory('channel-binding');
afterAll(() => folder.remove());

/** Settings of a server whose certificate is signed by itself, as `openssl req` is told to. */
function selfSigned(name: string, ...how: string[]): Record<string, string> {
  const [key, certificate] = [join(folder.path, `${name}.key`), join(folder.path, `${name}.crt`)];
  const { status, stderr } = spawnSync(
    needTool('openssl', 'openssl'),
    [
      'req',
      '-x509',
      '-newkey',
      ...how,
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-keyout',
      key,
    ].concat('-out', certificate),
    { encoding: 'utf8' },
  );
  expect(status, stderr).toBe(0);
  const account = serverAccount();
  chmodSync(folder.path, 0o755);
  chmodSync(key, 0o600);
  if (account) chownSync(key, account.uid, account.gid);
  return { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key };
}

const ask = (url: string, env: Record<string, string> = {}) =>
  runInitbox(['wait-postgres', '--timeout', '2m'], { env: { DATABASE_URL: url, ...env } });

/** Beside this process: a proxy of the tests lives in it. */
async function psql(url: string): Promise<number | null> {
  const child = spawn(join(debianPostgres(), 'psql'), [url, '-Atc', 'SELECT 1'], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], HOME: folder.path, PGCONNECT_TIMEOUT: '60' },
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return status;
}

const rsa = ['rsa:2048'] as const;
const pss = [...rsa, '-sigopt', 'rsa_padding_mode:pss'] as const;
const ecdsa = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] as const;

describe('the certificate’s signature says which hash', () => {
  test.each<[string, readonly string[], string | undefined]>([
    ['RSA with SHA-256', [...rsa, '-sha256'], undefined],
    ['RSA with MD5, for which SHA-256 stands', [...rsa, '-md5'], undefined],
    ['RSA with SHA-1, for which SHA-256 stands', [...rsa, '-sha1'], undefined],
    ['RSA with SHA-384', [...rsa, '-sha384'], undefined],
    ['RSA with SHA-512', [...rsa, '-sha512'], undefined],
    ['RSA-PSS with SHA-256', [...pss, '-sha256'], undefined],
    ['RSA-PSS with SHA-384', [...pss, '-sha384'], undefined],
    ['ECDSA with SHA-256', [...ecdsa, '-sha256'], undefined],
    ['ECDSA with SHA-384', [...ecdsa, '-sha384'], undefined],
    ['ECDSA with SHA-512', [...ecdsa, '-sha512'], undefined],
    // psql binds to these three, which the driver cannot: refused in words.
    ['RSA with SHA-224', [...rsa, '-sha224'], 'psql'],
    ['RSA with SHA3-256', [...rsa, '-sha3-256'], 'psql'],
    ['RSA-PSS with SHA-1', [...pss, '-sha1'], 'psql'],
    // psql does not even connect to these two unless it is told to disable channel binding.
    ['Ed25519', ['ed25519'], 'nobody'],
    ['Ed448', ['ed448'], 'nobody'],
  ])('%s', async (name, how, binds) => {
    await using server = await startPostgres({ settings: selfSigned(name.replaceAll(/\W/g, '-'), ...how) });
    const url = `${server.url()}?sslmode=require`;
    const bound = await ask(`${url}&channel_binding=require`);
    if (binds === undefined) expect(bound.stderr).toContain('answers queries');
    else
      expect(bound.stderr).toMatch(
        /channel_binding=require, and the server’s certificate cannot be bound to: it is signed with /,
      );
    expect(bound.status, bound.stderr).toBe(binds === undefined ? 0 : 69);
    expect((await psql(`${url}&channel_binding=require`)) === 0).toBe(binds !== 'nobody');
    const usual = await ask(url);
    expect(usual.status, usual.stderr).toBe(0);
  });
});

describe('one server', () => {
  let server: Postgres;
  let settings: Record<string, string>;
  beforeAll(async () => {
    settings = selfSigned('own', ...ecdsa);
    server = await startPostgres({
      settings: { ...settings, password_encryption: 'md5' },
      hba: [
        'local all trusted trust',
        'host all trusted all trust',
        'host all old all md5',
        'host all plain all password',
        'hostnossl all unencrypted all scram-sha-256',
        'host all unencrypted all scram-sha-256',
      ],
    });
    await server.sql(
      "CREATE ROLE trusted LOGIN; CREATE ROLE old LOGIN PASSWORD 'p'; CREATE ROLE plain LOGIN PASSWORD 'p'; SET password_encryption = 'scram-sha-256'; CREATE ROLE unencrypted LOGIN PASSWORD 'p'",
    );
  });
  afterAll(async () => server?.remove());
  const as = (role: string): string => server.url('app', role).replace(/\/\/.*@/, `//${role}:p@`);

  test.each<[string, () => string, RegExp]>([
    ['trust', () => `${as('trusted')}?`, /the server lets the role in without a proof/],
    ['md5', () => `${as('old')}?`, /the server asks for a login by md5/],
    ['a password in clear text', () => `${as('plain')}?`, /the server asks for the password itself/],
    [
      'a Unix socket',
      () => `${as('trusted')}?host=${encodeURIComponent(server.socketDirectory)}&`,
      /the connection has no TLS/,
    ],
  ])('require refuses %s, as psql does, and sends no password', async (_name, url, words) => {
    for (const mode of ['sslmode=require', 'sslmode=prefer']) {
      const { status, stderr } = await ask(`${url()}${mode}&channel_binding=require`);
      expect(stderr).toMatch(words);
      expect(stderr).toContain('hint: ');
      expect(status, stderr).toBe(69);
      expect(await psql(`${url()}${mode}&channel_binding=require`)).toBe(2);
      const without = await ask(`${url()}${mode}`);
      expect(without.status, without.stderr).toBe(0);
    }
  });

  test('require by the variable, over the weaker modes of TLS, and for the lock', async () => {
    const url = as('unencrypted');
    for (const mode of ['allow', 'prefer', 'require']) {
      const { status, stderr } = await ask(`${url}?sslmode=${mode}`, { PGCHANNELBINDING: 'require' });
      expect(status, stderr).toBe(0);
    }
    const refused = await ask(`${url}?sslmode=disable`, { PGCHANNELBINDING: 'require' });
    expect(refused.stderr).toContain(
      'PGCHANNELBINDING: channel_binding=require needs TLS, and sslmode is disable',
    );
    expect(refused.status).toBe(2);
    const env = { DATABASE_URL: `${server.url()}?sslmode=require&channel_binding=require` };
    await server.sql("SET password_encryption = 'scram-sha-256'; ALTER ROLE app PASSWORD 'app-password'");
    const locked = await runInitbox(['migrate-with-lock', '--', 'sh', '-c', 'echo done'], { env });
    expect(locked.status, locked.stderr).toBe(0);
    expect(locked.stdout).toBe('done\n');
  });

  test('require refuses a server without TLS', async () => {
    await using plain = await startPostgres();
    for (const [mode, words] of [
      ['allow', /the connection has no TLS/],
      ['prefer', /the connection has no TLS/],
      ['require', /the server has TLS turned off/],
    ] as const) {
      const { status, stderr } = await ask(`${plain.url()}?sslmode=${mode}&channel_binding=require`);
      expect(stderr).toMatch(words);
      expect(status, stderr).toBe(69);
    }
  });

  describe('behind a proxy that ends TLS', () => {
    test('and speaks it anew: no login, with or without require, but with disable', async () => {
      using authority = await createCertificateAuthority();
      await using proxy = await startTlsTerminator(server, await authority.server(), true);
      const url = `${as('unencrypted').replace(`:${server.port}/`, `:${proxy.port}/`)}?sslmode=require`;
      for (const binding of ['require', 'prefer']) {
        const { status, stderr } = await ask(`${url}&channel_binding=${binding}`);
        expect(stderr).toContain('SCRAM channel binding check failed (28000');
        expect(stderr).toContain('something between ends TLS and speaks it anew to the server');
        expect(status, stderr).toBe(69);
        expect(await psql(`${url}&channel_binding=${binding}`)).toBe(2);
      }
      const unbound = await ask(`${url}&channel_binding=disable`);
      expect(unbound.status, unbound.stderr).toBe(0);
      expect(await psql(`${url}&channel_binding=disable`)).toBe(0);
    });

    test('and goes on without it: no login with require alone', async () => {
      using authority = await createCertificateAuthority();
      await using proxy = await startTlsTerminator(server, await authority.server(), false);
      const url = `${as('unencrypted').replace(`:${server.port}/`, `:${proxy.port}/`)}?sslmode=require`;
      const { status, stderr } = await ask(`${url}&channel_binding=require`);
      expect(stderr).toContain('channel_binding=require, and the server offers SCRAM-SHA-256 alone');
      expect(stderr).toContain('a proxy or pooler that ends TLS cannot bind to it');
      expect(status, stderr).toBe(69);
      expect(await psql(`${url}&channel_binding=require`)).toBe(2);
      for (const binding of ['prefer', 'disable']) {
        const result = await ask(`${url}&channel_binding=${binding}`);
        expect(result.status, result.stderr).toBe(0);
        expect(await psql(`${url}&channel_binding=${binding}`)).toBe(0);
      }
    });

    test.skipIf(requireOrSkip('PgBouncer', canUsePgBouncer()))('PgBouncer', async () => {
      await using pooler = await startPgBouncer({
        upstream: server,
        poolMode: 'session',
        settings: {
          client_tls_sslmode: 'require',
          client_tls_cert_file: settings['ssl_cert_file'] ?? '',
          client_tls_key_file: settings['ssl_key_file'] ?? '',
          auth_type: 'scram-sha-256',
        },
      });
      const url = `${pooler.url()}?sslmode=require`;
      const { status, stderr } = await ask(`${url}&channel_binding=require`);
      expect(stderr).toContain('channel_binding=require, and the server offers SCRAM-SHA-256 alone');
      expect(status, stderr).toBe(69);
      const prefers = await ask(url);
      expect(prefers.status, prefers.stderr).toBe(0);
    });
  });
});
