// What servers and poolers answer to a login: each refusal with its own words, and final only where waiting cannot help.
import { chmodSync, chownSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canUsePgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox, runToDeadline, type ProgramResult } from '../../../support/program.ts';
import { createCertificateAuthority, type Certificate } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { serverAccount } from '../../../support/unprivileged.ts';

const encoded = encodeURIComponent;

/** Ends by itself with 69, and long before its deadline. */
const refused = (url: string, env: Record<string, string> = {}) =>
  runInitbox(['wait-postgres', '--timeout', '2m'], { env: { DATABASE_URL: url, ...env } });

/** Waits until its deadline, once it has been answered. */
const waitsFor = (url: string, words: RegExp) =>
  runToDeadline(['wait-postgres', '--timeout', '1s'], {
    env: { DATABASE_URL: url },
    answered: (said) => words.test(said),
  });

function expectRefusal({ status, stderr }: ProgramResult, wanted: number, words: RegExp, hint: RegExp): void {
  expect(stderr).toMatch(words);
  expect(stderr).toMatch(hint);
  expect(status, stderr).toBe(wanted);
}

/** Files that the server's account may read, and nobody else. */
function placed(...files: readonly (readonly [from: string, to: string])[]): string {
  const folder = temporaryDirectory('server-files').path;
  const account = serverAccount();
  chmodSync(folder, 0o755);
  for (const [from, to] of files) {
    const path = join(folder, to);
    copyFileSync(from, path);
    chmodSync(path, 0o600);
    if (account) chownSync(path, account.uid, account.gid);
  }
  return folder;
}

/** A pg_hba.conf that refuses everybody. */
function refusing(): string {
  const folder = temporaryDirectory('hba').path;
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'hba'), 'host all all all reject\n', { mode: 0o644 });
  return join(folder, 'hba');
}

describe('PostgreSQL', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({
      hba: [
        'host all peer all ident',
        'hostssl all tlsonly all scram-sha-256',
        'host all tlsonly all reject',
      ],
    });
    for (const role of ['peer', 'tlsonly'])
      await postgres.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`, [], 'postgres');
    await postgres.sql("CREATE ROLE nologin PASSWORD 'x'", [], 'postgres');
    await postgres.sql('CREATE DATABASE shut OWNER app', [], 'postgres');
    await postgres.sql('ALTER DATABASE shut ALLOW_CONNECTIONS false', [], 'postgres');
    await postgres.sql('CREATE DATABASE broken OWNER app', [], 'postgres');
    // What a DROP DATABASE that was cut off leaves (PostgreSQL 16).
    await postgres.sql("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken'", [], 'postgres');
    await postgres.sql('CREATE DATABASE full1 OWNER app CONNECTION LIMIT 0', [], 'postgres');
  });
  afterAll(async () => postgres?.remove());

  const as = (user: string, password = 'x', database = 'app'): string =>
    `postgres://${user}:${password}@127.0.0.1:${postgres.port}/${database}`;

  test.each<[string, () => string, RegExp, RegExp]>([
    ['options of Neon’s proxy', () => `${postgres.url()}?options=project%3Dabc`, /42601/, /for Neon’s proxy/],
    ['options that are none', () => `${postgres.url()}?options=-c%20work_mem`, /42601/, /-c name=value/],
    [
      'a setting that does not exist',
      () => `${postgres.url()}?options=-c%20nosuch%3D1`,
      /42704/,
      /comes from options/,
    ],
    [
      'a setting with a wrong value',
      () => `${postgres.url()}?options=-c%20work_mem%3Dx`,
      /22023/,
      /comes from options/,
    ],
    [
      'a setting of the server',
      () => `${postgres.url()}?options=-c%20port%3D1`,
      /55P02/,
      /comes from options/,
    ],
    [
      'a setting of superusers',
      () => `${postgres.url()}?options=-c%20log_statement_stats%3Don`,
      /42501/,
      /comes from options/,
    ],
    ['a role that may not log in', () => as('nologin'), /28000/, /ALTER ROLE … LOGIN/],
    ['a role that is not there', () => as('nobody_here'), /28P01/, /Secret/],
    ['TLS only', () => `${as('tlsonly')}?sslmode=disable`, /28000/, /sslmode=require/],
    ['ident', () => as('peer'), /28000/, /operating system’s user/],
    [
      'a database that was half dropped',
      () => as('app', 'app-password', 'broken'),
      /55000/,
      /create it again/,
    ],
  ])('%s: 69', async (_name, url, words, hint) => {
    expectRefusal(await refused(url()), 69, words, hint);
  });

  test('PGOPTIONS counts as well', async () => {
    const result = await refused(postgres.url(), { PGOPTIONS: '-c nosuch=1' });
    expectRefusal(result, 69, /42704/, /PGOPTIONS/);
  });

  test.each<[string, () => string, RegExp, RegExp]>([
    [
      'a database that takes no connections',
      () => as('app', 'app-password', 'shut'),
      /55000/,
      /ALLOW_CONNECTIONS/,
    ],
    [
      'a database whose connections are all taken',
      () => as('app', 'app-password', 'full1'),
      /53300/,
      /max_connections/,
    ],
  ])('%s: waited for', async (_name, url, words, hint) => {
    expectRefusal(await waitsFor(url(), words), 124, words, hint);
  });
});

describe('TLS', () => {
  test('client certificates that the server refuses, and one that it wants: 69 at once, in words', async () => {
    using authority = await createCertificateAuthority();
    using stranger = await createCertificateAuthority('stranger');
    const own = await authority.server();
    const folder = placed(
      [own.certificateFile, 'crt'],
      [own.keyFile, 'key'],
      [authority.certificateFile, 'ca'],
    );
    const settings = {
      ssl: 'on',
      ssl_cert_file: join(folder, 'crt'),
      ssl_key_file: join(folder, 'key'),
      ssl_ca_file: join(folder, 'ca'),
    };
    const hba = ['hostssl all all all scram-sha-256 clientcert=verify-ca'];
    await using server = await startPostgres({ settings, hba });
    await using older = await startPostgres({
      settings: { ...settings, ssl_max_protocol_version: 'TLSv1.2' },
      hba,
    });
    const expired = await authority.client('app', { days: -1 });
    const unknown = await stranger.client('app');
    const serverOnly = await authority.server(['app']);
    const given = ({ certificateFile, keyFile }: Certificate): string =>
      `&sslcert=${encoded(certificateFile)}&sslkey=${encoded(keyFile)}`;
    for (const each of [server, older])
      for (const [certificate, words, hint] of [
        [unknown, /refuses the client certificate \(TLS alert: unknown ca\)/, /ssl_ca_file/],
        [expired, /refuses the client certificate \(TLS alert: certificate expired\)/, /renew it/],
        [serverOnly, /refuses the client certificate \(TLS alert: /, /hint/],
        [undefined, /28000/, /set sslcert and sslkey/],
      ] as const)
        expectRefusal(
          await refused(`${each.url()}?sslmode=require${certificate ? given(certificate) : ''}`),
          69,
          words,
          hint,
        );
    const right = await authority.client('app');
    expect((await refused(`${server.url()}?sslmode=require${given(right)}`)).status).toBe(0);
  });

  test('server certificates: not valid yet is waited for, expired and not for servers are final', async () => {
    using authority = await createCertificateAuthority();
    const tomorrow = await authority.server(undefined, { from: new Date(Date.now() + 86_400_000) });
    const expired = await authority.server(undefined, { days: -1 });
    const client = await authority.client('localhost');
    const weak = await authority.weak();
    const root = `?sslmode=verify-ca&sslrootcert=${encoded(authority.certificateFile)}`;
    for (const [certificate, status, words, hint] of [
      [tomorrow, 124, /certificate is not valid yet/, /node’s clock/],
      [expired, 69, /certificate has expired/, /renew/],
      [client, 69, /not meant for a server/, /serverAuth/],
      [weak, 69, /too weak|handshake failed/, /./],
    ] as const) {
      const folder = placed([certificate.certificateFile, 'crt'], [certificate.keyFile, 'key']);
      await using server = await startPostgres({
        settings: {
          ssl: 'on',
          ssl_cert_file: join(folder, 'crt'),
          ssl_key_file: join(folder, 'key'),
          ...(certificate === weak ? { ssl_ciphers: 'DEFAULT:@SECLEVEL=0' } : {}),
        },
      });
      const result = await (status === 124
        ? waitsFor(server.url() + root, words)
        : refused(server.url() + root));
      expectRefusal(result, status, words, hint);
    }
  });
});

describe.skipIf(requireOrSkip('PgBouncer', canUsePgBouncer()))('PgBouncer', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(async () => postgres?.remove());

  const cases: [string, Record<string, string | number>, (url: string) => string, number, RegExp, RegExp][] =
    [
      [
        'a wrong password',
        {},
        (url) => url.replace('app-password', 'wrong'),
        69,
        /authentication failed.*08P01/,
        /auth_file/,
      ],
      [
        'a role that it does not know',
        {},
        (url) => url.replace('//app:', '//nobody:'),
        69,
        /08P01/,
        /auth_file/,
      ],
      [
        'a database that the server does not have',
        {},
        (url) => url.replace(/app$/, 'nothing'),
        69,
        /does not exist/,
        /created first|no such database/,
      ],
      [
        'options at login',
        {},
        (url) => `${url}?options=-c%20work_mem%3D1MB`,
        69,
        /startup parameter/,
        /remove options/,
      ],
      [
        'a role that its auth_hba_file refuses',
        { auth_type: 'hba', auth_hba_file: refusing() },
        (url) => url,
        69,
        /08P01/,
        /auth_type/,
      ],
      [
        'no place left',
        { max_client_conn: 0 },
        (url) => url,
        124,
        /no more connections allowed/,
        /max_client_conn/,
      ],
    ];
  test.each(cases)('%s', async (_name, settings, change, status, words, hint) => {
    await using pooler = await startPgBouncer({ upstream: postgres, poolMode: 'session', settings });
    const url = change(pooler.url());
    expectRefusal(await (status === 124 ? waitsFor(url, words) : refused(url)), status, words, hint);
  });
});
