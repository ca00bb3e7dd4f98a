import { createSign, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import {
  canUseBao,
  startBao,
  startBaoStandby,
  startBaoWithConfig,
  type Bao,
} from '../../../support/openbao.ts';
import { freePort } from '../../../support/ports.ts';
import { startPostgres } from '../../../support/postgres.ts';
import {
  type ProgramOptions,
  runInitbox,
  runToDeadline,
  startInitbox,
  terminationLog,
} from '../../../support/program.ts';
import { within } from '../../../support/promptly.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { respond, startFaultServer, type Behaviour } from './fault-server.ts';

const missing = requireOrSkip('fetch-config from Vault', canUseBao() ?? canMount());

let volume: Mounted;
beforeAll(() => {
  volume = mountTmpfs({ size: '64m' });
});
afterAll(() => volume[Symbol.dispose]());

let count = 0;
function folder(): string {
  const path = join(volume.path, String(count++));
  mkdirSync(path);
  return path;
}

const policy = (bao: Bao, name: string, rules: string): Promise<unknown> =>
  bao.must('PUT', `sys/policies/acl/${name}`, { policy: rules });

async function approle(
  bao: Bao,
  role: string,
  options: Record<string, unknown>,
): Promise<{ id: string; secret: string }> {
  await bao.must('POST', `auth/approle/role/${role}`, options);
  const id = (await bao.must('GET', `auth/approle/role/${role}/role-id`)) as { data: { role_id: string } };
  const secret = (await bao.must('POST', `auth/approle/role/${role}/secret-id`)) as {
    data: { secret_id: string };
  };
  return { id: id.data.role_id, secret: secret.data.secret_id };
}

async function usual(bao: Bao): Promise<void> {
  await bao.must('POST', 'secret/data/api-server', { data: { config: 'v1\n', user: 'first' } });
  await bao.must('POST', 'secret/data/api-server', { data: { config: 'v2\n', user: 'second' } });
  await bao.must('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } });
  await bao.must('POST', 'old/app', { key: 'from version 1' });
  await bao.must('POST', 'sys/mounts/team/kv', { type: 'kv', options: { version: '2' } });
  await bao.must('POST', 'team/kv/data/50%2525%20off', { data: { key: 'encoded' } });
  await policy(bao, 'app', 'path "secret/data/api-server" { capabilities = ["read"] }');
  await bao.must('POST', 'sys/auth/approle', { type: 'approle' });
}

const flagsOf = ({ id }: { id: string }, secretFile: string): string[] => [
  '--vault-role-id',
  id,
  '--vault-secret-id-file',
  secretFile,
];

describe.skipIf(missing)('a development server', () => {
  let bao: Bao;
  let env: Record<string, string>;
  beforeAll(async () => {
    bao = await startBao();
    env = { VAULT_ADDR: bao.address, VAULT_TOKEN: bao.token };
    await usual(bao);
  });
  afterAll(() => bao.stop());

  const fetchConfig = (args: readonly string[], options: ProgramOptions = {}) =>
    runInitbox(['fetch-config', ...args, '--log-level', 'debug'], {
      ...options,
      env: { ...env, ...options.env },
    });

  test('one field, as it is, for a shared group', async () => {
    const target = join(folder(), 'app.conf');
    const { status, stdout } = await fetchConfig(['vault:secret/api-server#config', '--to', target]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(readFileSync(target, 'utf8')).toBe('v2\n');
    expect(statSync(target).mode & 0o7777).toBe(0o440);
  });

  test('all fields as dotenv, an older version, KV version 1, a mount with a slash in it', async () => {
    const place = folder();
    expect(
      (
        await fetchConfig([
          'vault:secret/api-server?version=1',
          '--to',
          join(place, 'a.env'),
          '--format',
          'json',
        ])
      ).status,
    ).toBe(0);
    expect(JSON.parse(readFileSync(join(place, 'a.env'), 'utf8'))).toEqual({ config: 'v1\n', user: 'first' });
    const old = await fetchConfig(['vault:old/app#key', '--to', join(place, 'b')]);
    expect(old.status).toBe(0);
    expect(readFileSync(join(place, 'b'), 'utf8')).toBe('from version 1');
    mkdirSync(join(place, 'c'));
    expect(
      (await fetchConfig(['vault:secret/api-server', '--to', join(place, 'c'), '--format', 'files'])).status,
    ).toBe(0);
    const nested = await fetchConfig(['vault:team/kv/api?kv=2', '--to', join(place, 'd')]);
    expect(nested.status).toBe(69);
    expect((await fetchConfig(['vault:team/kv/50%25 off#key', '--to', join(place, 'd')])).status).toBe(0);
    expect(readFileSync(join(place, 'd'), 'utf8')).toBe('encoded');
    expect(readdirSync(join(place, 'c')).filter((name) => !name.startsWith('.'))).toEqual(['config', 'user']);
  });

  test('the environment of what takes over, and nothing else of it', async () => {
    const { status, stdout, stderr } = await fetchConfig([
      'vault:secret/api-server',
      '--env',
      '--',
      '/bin/sh',
      '-c',
      'printf "%s|%s" "$user" "$config"',
    ]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'second|v2\n' });
    expect(stderr).not.toContain('second');
  });

  test('a dry run tells names, sizes and versions, and writes nothing', async () => {
    const place = folder();
    const { status, stdout } = await fetchConfig([
      'vault:secret/api-server',
      '--format',
      'files',
      '--to',
      place,
      '--dry-run',
    ]);
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as { sources: unknown[]; files: { path: string; size: number }[] };
    expect(report.sources).toMatchObject([{ source: 'vault:secret/api-server', version: '2' }]);
    expect(report.files.map(({ path, size }) => [path, size])).toEqual([
      [`${place}/config`, 3],
      [`${place}/user`, 6],
    ]);
    expect(stdout).not.toContain('second');
    expect(readdirSync(place)).toEqual([]);
  });

  test('a dry run without a target tells the fields of each source, and those of --env', async () => {
    const { status, stdout } = await fetchConfig(['vault:secret/api-server', '--env', '--dry-run']);
    expect(status).toBe(0);
    const fields = [
      { name: 'config', size: 3 },
      { name: 'user', size: 6 },
    ];
    expect(JSON.parse(stdout)).toEqual({
      sources: [{ source: 'vault:secret/api-server', version: '2', time: expect.any(String), fields }],
      files: [],
      variables: fields,
    });
  });

  test('two sources with one key: an error, unless the last wins', async () => {
    const place = folder();
    const args = [
      'vault:secret/api-server',
      'vault:secret/api-server?version=1',
      '--format',
      'json',
      '--to',
      join(place, 'f'),
    ];
    const refused = await fetchConfig(args);
    expect(refused.status).toBe(69);
    expect(refused.stderr).toMatch(
      /two values for the key "config": both vault:secret\/api-server and vault:secret\/api-server\?version=1/,
    );
    expect(readdirSync(place)).toEqual([]);
    expect((await fetchConfig([...args, '--merge', 'last'])).status).toBe(0);
    expect(JSON.parse(readFileSync(join(place, 'f'), 'utf8'))).toEqual({ config: 'v1\n', user: 'first' });
  });

  const refusals: readonly (readonly [string, RegExp])[] = [
    ['vault:secret/nope', /there is no secret at secret\/nope[\s\S]*vault kv list secret/],
    ['vault:secret/api-server?version=7', /there is no version 7 at secret\/api-server/],
    ['vault:secret/api-server#nope', /has no field "nope"[\s\S]*it has the fields "config", "user"/],
    ['vault:secret/data/api-server', /without data\/: vault:secret\/api-server/],
    ['vault:nowhere/x', /there is no secrets engine at nowhere\//],
    ['vault:old/app?version=2', /KV version 1 engine keeps no versions/],
    ['vault:old/none', /there is no secret at old\/none/],
    [
      'vault:secret/deleted',
      /version 1 of secret\/deleted was deleted at 20[\s\S]*vault kv undelete -mount=secret -versions=1 deleted/,
    ],
    ['vault:secret/destroyed', /version 1 of secret\/destroyed is destroyed/],
  ];
  test.each(refusals)('%s', async (source, words) => {
    await bao
      .must('POST', 'secret/data/deleted', { data: { a: 'b' }, options: { cas: 0 } })
      .catch(() => undefined);
    await bao.must('POST', 'secret/delete/deleted', { versions: [1] });
    await bao
      .must('POST', 'secret/data/destroyed', { data: { a: 'b' }, options: { cas: 0 } })
      .catch(() => undefined);
    await bao.must('POST', 'secret/destroy/destroyed', { versions: [1] });
    const place = folder();
    const log = terminationLog();
    const { status, stderr, milliseconds } = await fetchConfig([
      source,
      '--to',
      join(place, 'f'),
      '--termination-log',
      log.path,
    ]);
    expect(stderr).toMatch(words);
    expect(log.read()).toMatch(words);
    expect(status).toBe(69);
    expect(milliseconds).toBeLessThan(20_000);
    expect(readdirSync(place)).toEqual([]);
  });

  test('a policy that denies: the line that is missing, and the policies held', async () => {
    const role = await approle(bao, 'narrow', { token_policies: 'app' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const run = (source: string) =>
      fetchConfig([source, '--to', join(place, 'f'), ...flagsOf(role, join(place, '.id'))], {
        env: { VAULT_TOKEN: '' },
      });
    expect((await run('vault:secret/api-server#user')).status).toBe(0);
    await bao.must('POST', 'secret/data/other', { data: { a: 'b' } });
    const denied = await run('vault:secret/other');
    expect(denied.status).toBe(69);
    expect(denied.stderr).toMatch(
      /permission denied on secret\/data\/other: the token \(policies: app, default\)/,
    );
    expect(denied.stderr).toContain(
      'add to the policy app: path "secret/data/other" { capabilities = ["read"] }',
    );
    const elsewhere = await run('vault:old/app');
    expect(elsewhere.status).toBe(69);
    expect(elsewhere.stderr).toMatch(/permission denied on old\/data\/app|permission denied on old\/app/);
  });

  test('rights by a wildcard, of which Vault’s preflight says nothing: read all the same', async () => {
    await policy(bao, 'wild', 'path "+/data/api-server" { capabilities = ["read"] }');
    const role = await approle(bao, 'wild', { token_policies: 'wild' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const { status } = await fetchConfig(
      ['vault:secret/api-server#user', '--to', join(place, 'f'), ...flagsOf(role, join(place, '.id'))],
      { env: { VAULT_TOKEN: '' } },
    );
    expect(status).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('second');
  });

  test('a token from our own login is revoked, a caller’s is not', async () => {
    const role = await approle(bao, 'own', { token_policies: 'app' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const before = (await bao.must('LIST', 'auth/token/accessors')) as { data: { keys: string[] } };
    const own = await fetchConfig(
      ['vault:secret/api-server#user', '--to', join(place, 'f'), ...flagsOf(role, join(place, '.id'))],
      { env: { VAULT_TOKEN: '' } },
    );
    expect(own.stderr).toContain('the token of this run is revoked');
    const after = (await bao.must('LIST', 'auth/token/accessors')) as { data: { keys: string[] } };
    expect(after.data.keys.toSorted()).toEqual(before.data.keys.toSorted());
    const given = (await bao.must('POST', 'auth/token/create', { policies: ['app'] })) as {
      auth: { client_token: string };
    };
    expect(
      (
        await fetchConfig(['vault:secret/api-server#user', '--to', join(place, 'f')], {
          env: { VAULT_TOKEN: given.auth.client_token },
        })
      ).status,
    ).toBe(0);
    expect(
      (await bao.request('GET', 'auth/token/lookup-self', undefined, { token: given.auth.client_token }))
        .status,
    ).toBe(200);
  });

  test('KV version 1 with a ttl has a duration and no lease: the token goes', async () => {
    await bao.must('POST', 'old/ttl', { key: 'value', ttl: '1h' });
    await policy(bao, 'old', 'path "old/*" { capabilities = ["read"] }');
    const role = await approle(bao, 'ttl', { token_policies: 'old' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const { status, stderr } = await fetchConfig(
      ['vault:old/ttl#key', '--to', join(place, 'f'), ...flagsOf(role, join(place, '.id'))],
      { env: { VAULT_TOKEN: '' } },
    );
    expect(status).toBe(0);
    expect(stderr).toContain('the token of this run is revoked');
    expect(stderr).not.toContain('holds for');
  });

  test('a dynamic login for a real Postgres works, keeps its token, and its end is told', async () => {
    await using postgres = await startPostgres();
    const admin = new URL(postgres.superuserUrl('postgres'));
    await bao.must('POST', 'sys/mounts/database', { type: 'database' });
    await bao.must('POST', 'database/config/app', {
      plugin_name: 'postgresql-database-plugin',
      allowed_roles: 'app',
      connection_url: `postgresql://${admin.username}:${admin.password}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`,
    });
    await bao.must('POST', 'database/roles/app', {
      db_name: 'app',
      creation_statements: [
        `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
      ],
      default_ttl: '1h',
    });
    await policy(bao, 'db', 'path "database/creds/app" { capabilities = ["read"] }');
    const role = await approle(bao, 'db', { token_policies: 'db', token_ttl: '10m' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const { status, stderr } = await fetchConfig(
      [
        'vault:database/creds/app',
        '--to',
        join(place, 'f'),
        '--format',
        'json',
        ...flagsOf(role, join(place, '.id')),
      ],
      { env: { VAULT_TOKEN: '' } },
    );
    expect(status).toBe(0);
    const { username, password } = JSON.parse(readFileSync(join(place, 'f'), 'utf8')) as Record<
      string,
      string
    >;
    expect(stderr).toMatch(
      /vault:database\/creds\/app holds for 10m, since it dies with the token that read it/,
    );
    expect(stderr).toContain('the token is kept: 1 lease hangs on it');
    expect(stderr).not.toContain(password);
    const roles = await postgres.sql('select rolname from pg_roles where rolname = $1', [username]);
    expect(roles).toHaveLength(1);

    // Nobody uses what these read: no user of the database may be left behind.
    const unused = async (expected: number, ...args: string[]) => {
      const run = await fetchConfig(
        ['vault:database/creds/app', ...args, ...flagsOf(role, join(place, '.id'))],
        {
          env: { VAULT_TOKEN: '' },
        },
      );
      expect(run.status).toBe(expected);
      expect(run.stderr).toContain('the token of this run is revoked, and its leases with it');
      expect(run.stderr).not.toContain('holds for');
    };
    await unused(0, '--dry-run');
    await unused(69, 'vault:secret/denied', '--format', 'json', '--to', join(place, 'g'));
    await unused(69, '--format', 'raw', '--to', join(place, 'g'));
    const names = async () => (await postgres.sql(`select 1 from pg_roles where rolname like 'v-%'`)).length;
    await expect.poll(names, { timeout: 10_000 }).toBe(1);

    // A token that was given: it is asked how long it lives, and is not revoked.
    const given = (await bao.must('POST', 'auth/token/create', { policies: ['db'], ttl: '90s' })) as {
      auth: { client_token: string };
    };
    const short = await fetchConfig(
      ['vault:database/creds/app', '--to', join(place, 'h'), '--format', 'json'],
      {
        env: { VAULT_TOKEN: given.auth.client_token },
      },
    );
    expect(short.status).toBe(0);
    expect(short.stderr).toMatch(/holds for (1m30s|1m29s|1m2\ds), since it dies with the token that read it/);

    // What it made for nobody is revoked by itself, as far as its policies let it: the default one does not.
    const dry = async (policies: string[]): Promise<string> => {
      const { auth } = (await bao.must('POST', 'auth/token/create', { policies, ttl: '90s' })) as {
        auth: { client_token: string };
      };
      const run = await fetchConfig(['vault:database/creds/app', '--format', 'json', '--dry-run'], {
        env: { VAULT_TOKEN: auth.client_token },
      });
      expect(run.status, run.stderr).toBe(0);
      return run.stderr;
    };
    const before = await names();
    await policy(bao, 'revoking', 'path "sys/leases/revoke" { capabilities = ["update"] }');
    expect(await dry(['db', 'revoking'])).toContain('the lease of vault:database/creds/app is revoked');
    await expect.poll(names, { timeout: 10_000 }).toBe(before);
    expect(await dry(['db'])).toMatch(
      /warn .*the lease of vault:database\/creds\/app could not be revoked, and lives on for .*403.*a policy of the token must allow update on sys\/leases\/revoke/,
    );
  });

  test('when time is up, the token of this run goes all the same', async () => {
    const role = await approle(bao, 'late', { token_policies: 'app' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const before = (await bao.must('LIST', 'auth/token/accessors')) as { data: { keys: string[] } };
    const { status, stderr } = await fetchConfig(
      [
        'vault:secret/api-server',
        `file:${place}/nothing`,
        '--format',
        'json',
        '--to',
        join(place, 'f'),
        '--timeout',
        '2s',
        ...flagsOf(role, join(place, '.id')),
      ],
      { env: { VAULT_TOKEN: '' } },
    );
    expect(status).toBe(124);
    expect(stderr).toContain('the token of this run is revoked');
    const after = (await bao.must('LIST', 'auth/token/accessors')) as { data: { keys: string[] } };
    expect(after.data.keys.toSorted()).toEqual(before.data.keys.toSorted());
  });

  test('a batch token cannot be revoked: a warning, and the secret', async () => {
    const role = await approle(bao, 'batch', { token_policies: 'app', token_type: 'batch' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const { status, stderr } = await fetchConfig(
      ['vault:secret/api-server#user', '--to', join(place, 'f'), ...flagsOf(role, join(place, '.id'))],
      { env: { VAULT_TOKEN: '' } },
    );
    expect(status).toBe(0);
    expect(stderr).toMatch(/warn .*could not be revoked.*batch tokens cannot be revoked/);
  });

  test('denied where Vault tells nothing of the engine: the policy line of either kind', async () => {
    await policy(bao, 'elsewhere', 'path "other/*" { capabilities = ["read"] }');
    const role = await approle(bao, 'elsewhere', { token_policies: 'elsewhere' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const { status, stderr } = await fetchConfig(
      ['vault:pki/cert/ca', '--to', join(place, 'f'), ...flagsOf(role, join(place, '.id'))],
      { env: { VAULT_TOKEN: '' } },
    );
    expect(status).toBe(69);
    expect(stderr).toContain('permission denied on pki/cert/ca: the token (policies: default, elsewhere)');
    expect(stderr).toContain(
      'add to the policy elsewhere: path "pki/data/cert/ca" { capabilities = ["read"] } if a KV version 2 engine is there, else path "pki/cert/ca" { capabilities = ["read"] }',
    );
  });

  test('a namespace', async () => {
    const inside = { headers: { 'X-Vault-Namespace': 'shop' } };
    await bao.must('POST', 'sys/namespaces/shop');
    await bao.must('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } }, inside);
    await bao.must('POST', 'secret/data/api-server', { data: { config: 'of the shop' } }, inside);
    const target = join(folder(), 'f');
    const run = (args: string[], more: Record<string, string> = {}) =>
      fetchConfig(['vault:secret/api-server#config', '--to', target, ...args], { env: more });
    expect((await run([], { VAULT_NAMESPACE: 'shop/' })).status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('of the shop');
    expect((await run(['--vault-namespace', 'shop'], { VAULT_NAMESPACE: 'nowhere' })).status).toBe(0);
    const none = await run([], { VAULT_NAMESPACE: 'nowhere' });
    expect(none.status).toBe(69);
    expect(none.stderr).toMatch(/in namespace nowhere[\s\S]*is there such a namespace\?/);
  });

  test('other engines: a certificate, by the path that answers in JSON', async () => {
    await bao.must('POST', 'sys/mounts/pki', { type: 'pki' });
    await bao.must('POST', 'pki/root/generate/internal', { common_name: 'authority.test', ttl: '1h' });
    const target = join(folder(), 'ca.pem');
    expect((await fetchConfig(['vault:pki/cert/ca#certificate', '--to', target])).status).toBe(0);
    expect(readFileSync(target, 'utf8')).toMatch(/^-----BEGIN CERTIFICATE-----/);
    const bare = await fetchConfig(['vault:pki/ca/pem', '--to', target]);
    expect(bare.status).toBe(69);
    expect(bare.stderr).toContain('vault:pki/cert/ca#certificate');
  });

  test('a SecretID that is spent says so; so does a wrapping token', async () => {
    const role = await approle(bao, 'spent', { token_policies: 'app', secret_id_num_uses: 1 });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const args = [
      'vault:secret/api-server#user',
      '--to',
      join(place, 'f'),
      ...flagsOf(role, join(place, '.id')),
    ];
    expect((await fetchConfig(args, { env: { VAULT_TOKEN: '' } })).status).toBe(0);
    const second = await fetchConfig(args, { env: { VAULT_TOKEN: '' } });
    expect(second.status).toBe(69);
    expect(second.stderr).toMatch(
      /refused the approle login[\s\S]*the kubelet may have run this container before/,
    );

    const wrapped = (await bao.must(
      'POST',
      'auth/token/create',
      { policies: ['app'] },
      { headers: { 'X-Vault-Wrap-TTL': '60s' } },
    )) as { wrap_info: { token: string } };
    const unwrap = ['vault:secret/api-server#user', '--to', join(place, 'g'), '--vault-unwrap'];
    const env1 = { VAULT_TOKEN: wrapped.wrap_info.token };
    expect((await fetchConfig(unwrap, { env: env1 })).status).toBe(0);
    expect(readFileSync(join(place, 'g'), 'utf8')).toBe('second');
    const again = await fetchConfig(unwrap, { env: env1 });
    expect(again.status).toBe(69);
    expect(again.stderr).toMatch(/wrapping token could not be unwrapped[\s\S]*earlier run of this container/);

    const other = await approle(bao, 'wrapped', { token_policies: 'app' });
    const wrappedId = (await bao.must('POST', 'auth/approle/role/wrapped/secret-id', undefined, {
      headers: { 'X-Vault-Wrap-TTL': '60s' },
    })) as { wrap_info: { token: string } };
    writeFileSync(join(place, '.wrapped'), `${wrappedId.wrap_info.token}\n`);
    expect(
      (
        await fetchConfig(
          [
            'vault:secret/api-server#user',
            '--to',
            join(place, 'h'),
            '--vault-unwrap',
            ...flagsOf(other, join(place, '.wrapped')),
          ],
          { env: { VAULT_TOKEN: '' } },
        )
      ).status,
    ).toBe(0);
  });

  test('userpass', async () => {
    await bao.must('POST', 'sys/auth/userpass', { type: 'userpass' });
    await bao.must('POST', 'auth/userpass/users/app', { password: 'pw-canary', token_policies: 'app' });
    const place = folder();
    writeFileSync(join(place, '.pw'), 'pw-canary\n');
    writeFileSync(join(place, '.wrong'), 'other-canary\n');
    const run = (file: string) =>
      fetchConfig(
        [
          'vault:secret/api-server#user',
          '--to',
          join(place, 'f'),
          '--vault-user',
          'app',
          '--vault-password-file',
          join(place, file),
        ],
        { env: { VAULT_TOKEN: '' } },
      );
    expect((await run('.pw')).status).toBe(0);
    const wrong = await run('.wrong');
    expect(wrong.status).toBe(69);
    expect(wrong.stderr).toMatch(/refused the userpass login: 400: invalid username or password/);
    expect(wrong.stderr).toContain('look at vault read auth/userpass/users/NAME');
    expect(wrong.stderr).not.toContain('canary');
  });

  test('jwt, with a key of its own: a right token, another audience, an unknown role, no mount', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await bao.must('POST', 'sys/auth/jwt', { type: 'jwt' });
    await bao.must('POST', 'auth/jwt/config', {
      jwt_validation_pubkeys: [publicKey.export({ type: 'spki', format: 'pem' })],
    });
    await bao.must('POST', 'auth/jwt/role/app', {
      role_type: 'jwt',
      user_claim: 'sub',
      bound_audiences: ['vault'],
      token_policies: 'app',
    });
    const sign = (aud: string, age = 0): string => {
      const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const now = Math.floor(Date.now() / 1000) - age;
      const text = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode({ sub: 'system:serviceaccount:default:app', aud, iat: now, exp: now + 600 })}`;
      return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey).toString('base64url')}`;
    };
    const place = folder();
    writeFileSync(join(place, '.good'), sign('vault'));
    writeFileSync(join(place, '.other'), sign('elsewhere'));
    const run = (file: string, ...more: string[]) =>
      fetchConfig(
        [
          'vault:secret/api-server#user',
          '--to',
          join(place, 'f'),
          '--vault-auth',
          'jwt',
          '--vault-role',
          'app',
          '--vault-jwt-file',
          join(place, file),
          ...more,
        ],
        { env: { VAULT_TOKEN: '' } },
      );
    expect((await run('.good')).status).toBe(0);
    const audience = await run('.other');
    expect(audience.status).toBe(69);
    expect(audience.stderr).toMatch(
      /refused the jwt login as role "app": the token is for another audience \(elsewhere\)/,
    );
    writeFileSync(join(place, '.old'), sign('vault', 7200));
    const old = await run('.old');
    expect(old.status).toBe(69);
    expect(old.stderr).toMatch(
      /the token is not valid at this time; it ends at 20\S+Z, and the clock here says 20\S+Z: .*expired[\s\S]*the clock of this node/,
    );
    const mount = await run('.good', '--vault-mount', 'jwt-prod');
    expect(mount.stderr).toMatch(/vault auth enable -path=jwt-prod jwt|permission denied/);
    expect(mount.status).toBe(69);
    const none = await run('.missing');
    expect(none.status).toBe(2);
    expect(none.stderr).toMatch(/cannot be read \(ENOENT\)[\s\S]*automountServiceAccountToken/);
  });

  test('fifty secrets: one question for the mount, a read each, over a few connections', async () => {
    for (let index = 0; index < 50; index++)
      await bao.must('POST', `secret/data/many/s${index}`, { data: { [`key${index}`]: `value ${index}` } });
    const place = join(folder(), 'out');
    mkdirSync(place);
    const sources = Array.from({ length: 50 }, (_, index) => `vault:secret/many/s${index}`);
    const { status } = await fetchConfig([...sources, '--format', 'files', '--to', place]);
    expect(status).toBe(0);
    const names = readdirSync(place).filter((name) => !name.startsWith('.'));
    expect(names).toHaveLength(50);
    expect(readFileSync(join(place, 'key49'), 'utf8')).toBe('value 49');
  });

  test('secrets go to memory alone, and the check comes before any request', async () => {
    const { status, stderr } = await fetchConfig(
      ['vault:secret/api-server#user', '--to', '/var/tmp/initbox-test-secret'],
      { env: { VAULT_ADDR: 'http://127.0.0.1:1' } },
    );
    expect(status).toBe(2);
    expect(stderr).toContain('--allow-disk');
  });
});

describe.skipIf(missing)('a server that is not ready', () => {
  test('sealed: waited for, with what to do; then read as soon as it is unsealed', async () => {
    await using bao = await startBaoWithConfig();
    await bao.must('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    await bao.must('POST', 'secret/data/a', { data: { key: 'unsealed' } });
    await bao.seal();
    const target = join(folder(), 'f');
    const running = await startInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', target, '--timeout', '60s'],
      {
        env: { VAULT_ADDR: bao.address, VAULT_TOKEN: bao.token },
      },
    );
    await running.waitForStderr(/is sealed/);
    await bao.unseal();
    expect((await within(5_000, running.exit)).status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('unsealed');
    await bao.seal();
    const log = terminationLog();
    const late = await runToDeadline(
      [
        'fetch-config',
        'vault:secret/a#key',
        '--to',
        target,
        '--timeout',
        '1s',
        '--termination-log',
        log.path,
      ],
      {
        env: { VAULT_ADDR: bao.address, VAULT_TOKEN: bao.token },
      },
    );
    expect(late.status).toBe(124);
    expect(log.read()).toMatch(/is sealed[\s\S]*vault operator unseal/);
  });

  test('not initialised, and not there', async () => {
    await using bao = await startBaoWithConfig({ uninitialised: true });
    const run = (address: string) =>
      runToDeadline(['fetch-config', 'vault:secret/a#key', '--to', join(folder(), 'f'), '--timeout', '1s'], {
        env: { VAULT_ADDR: address, VAULT_TOKEN: 'x' },
      });
    const empty = await run(bao.address);
    expect(empty.status).toBe(124);
    expect(empty.stderr).toMatch(/is not initialised|is sealed/);
    const absent = await run(`http://127.0.0.1:${await freePort()}`);
    expect(absent.status).toBe(124);
    expect(absent.stderr).toMatch(/connection refused \(127\.0\.0\.1\)/);
  });

  test('a standby answers too, right after a write and a login elsewhere', async () => {
    await using leader = await startBaoWithConfig({ storage: 'raft' });
    await waitUntil(async () => (await leader.request('GET', 'sys/health')).status === 200, {
      what: 'a leader',
    });
    await leader.must('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    await leader.must('POST', 'sys/auth/approle', { type: 'approle' });
    await policy(leader, 'app', 'path "secret/data/*" { capabilities = ["read"] }');
    await using standby = await startBaoStandby(leader);
    const place = folder();
    for (let round = 0; round < 5; round++) {
      const role = await approle(leader, `r${round}`, { token_policies: 'app' });
      writeFileSync(join(place, '.id'), role.secret);
      await leader.must('POST', `secret/data/s${round}`, { data: { key: `round ${round}` } });
      const { status, stderr } = await runInitbox(
        [
          'fetch-config',
          `vault:secret/s${round}#key`,
          '--to',
          join(place, 'f'),
          ...flagsOf(role, join(place, '.id')),
          '--timeout',
          '20s',
        ],
        { env: { VAULT_ADDR: standby.address } },
      );
      expect(stderr).not.toContain('error');
      expect(status).toBe(0);
      expect(readFileSync(join(place, 'f'), 'utf8')).toBe(`round ${round}`);
    }
  });
});

describe.skipIf(missing)('TLS and the audit log', () => {
  test('a private authority, and what was sent: one login, the reads, the look at the token, its revocation', async () => {
    using authority = await createCertificateAuthority();
    const pair = await authority.server();
    await using bao = await startBaoWithConfig({
      tls: { ...pair, authority: authority.certificate },
      audit: true,
    });
    await bao.must('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    for (const name of ['a', 'b', 'c'])
      await bao.must('POST', `secret/data/${name}`, { data: { [name]: `audit ${name}` } });
    await bao.must('POST', 'sys/auth/approle', { type: 'approle' });
    await policy(bao, 'app', 'path "secret/data/*" { capabilities = ["read"] }');
    const role = await approle(bao, 'app', { token_policies: 'app' });
    const place = folder();
    writeFileSync(join(place, '.id'), role.secret);
    const before = bao.auditLog().length;
    const args = [
      'fetch-config',
      'vault:secret/a',
      'vault:secret/b',
      'vault:secret/c',
      '--format',
      'json',
      '--to',
      join(place, 'f'),
      ...flagsOf(role, join(place, '.id')),
    ];
    const untrusted = await runInitbox(args, { env: { VAULT_ADDR: bao.address } });
    expect(untrusted.status).toBe(69);
    expect(untrusted.stderr).toContain('VAULT_CACERT');
    const { status } = await runInitbox(args, {
      env: { VAULT_ADDR: bao.address, VAULT_CACERT: authority.certificateFile },
    });
    expect(status).toBe(0);
    const skipped = await runInitbox(args, { env: { VAULT_ADDR: bao.address, VAULT_SKIP_VERIFY: 'false' } });
    expect(skipped.status).toBe(69);
    const sent = bao
      .auditLog()
      .slice(before)
      .filter((entry) => entry['type'] === 'request')
      .map((entry) => entry['request'] as { operation: string; path: string })
      .map(({ operation, path }) => `${operation} ${path}`);
    expect(sent.filter((line) => line.includes('login'))).toHaveLength(1);
    expect(sent[0]).toBe('update auth/approle/login');
    expect(sent.slice(-2)).toEqual(['read auth/token/lookup-self', 'update auth/token/revoke-self']);
    expect(sent.filter((line) => line.includes('secret/data/')).toSorted()).toEqual([
      'read secret/data/a',
      'read secret/data/b',
      'read secret/data/c',
    ]);
    expect(sent).toHaveLength(7);
  });

  test('logging in by a client certificate', async () => {
    using authority = await createCertificateAuthority();
    const pair = await authority.server();
    const client = await authority.client('app');
    await using bao = await startBaoWithConfig({ tls: { ...pair, authority: authority.certificate } });
    await bao.must('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    await bao.must('POST', 'secret/data/a', { data: { key: 'by certificate' } });
    await policy(bao, 'app', 'path "secret/data/*" { capabilities = ["read"] }');
    await bao.must('POST', 'sys/auth/cert', { type: 'cert' });
    await bao.must('POST', 'auth/cert/certs/app', {
      certificate: authority.certificate,
      allowed_common_names: 'app',
      token_policies: 'app',
    });
    const target = join(folder(), 'f');
    const env = {
      VAULT_ADDR: bao.address,
      VAULT_CACERT: authority.certificateFile,
      VAULT_CLIENT_CERT: client.certificateFile,
      VAULT_CLIENT_KEY: client.keyFile,
    };
    const args = ['fetch-config', 'vault:secret/a#key', '--to', target, '--vault-auth', 'cert'];
    expect((await runInitbox([...args, '--vault-role', 'app'], { env })).status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('by certificate');
    const wrong = await runInitbox([...args, '--vault-role', 'other'], { env });
    expect(wrong.status).toBe(69);
    expect(wrong.stderr).toMatch(/refused the cert login as role "other"/);
  });

  test('a token that ends while a secret is waited for: another login, and the secret', async () => {
    const json = { 'Content-Type': 'application/json' };
    let logins = 0;
    const login: Behaviour = (socket, request) => {
      logins++;
      respond(
        200,
        JSON.stringify({ auth: { client_token: `t${logins}`, lease_duration: 1, policies: [] } }),
        json,
      )(socket, request);
    };
    await using server = await startFaultServer({
      '/v1/auth/approle/login': login,
      '/v1/auth/token/revoke-self': respond(204, ''),
      '/v1/sys/internal/ui/mounts/secret/a': (socket, request) =>
        (logins < 2
          ? respond(503, '{"errors":["Vault is sealed"]}', json)
          : respond(
              200,
              JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '1' } } }),
              json,
            ))(socket, request),
      '/v1/secret/a': respond(200, JSON.stringify({ data: { key: 'late' } }), json),
    });
    const target = join(folder(), 'f');
    const { status } = await runInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', target, '--vault-role-id', 'r', '--timeout', '20s'],
      { env: { VAULT_ADDR: server.url } },
    );
    expect(status).toBe(0);
    expect(logins).toBe(2);
    expect(server.requests.find(({ line }) => line.includes('/v1/secret/a '))?.headers).toContain(
      'x-vault-token: t2',
    );
    expect(readFileSync(target, 'utf8')).toBe('late');
  });

  test('certificate for another name: named with VAULT_TLS_SERVER_NAME it is right', async () => {
    using authority = await createCertificateAuthority();
    const pair = await authority.server(['vault.example']);
    await using server = await startFaultServer(
      {
        '/v1/sys/internal/ui/mounts/secret/a': respond(
          200,
          JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '2' } } }),
          { 'Content-Type': 'application/json' },
        ),
        '/v1/secret/data/a': respond(
          200,
          JSON.stringify({ data: { data: { key: 'right' }, metadata: { version: 1 } } }),
          { 'Content-Type': 'application/json' },
        ),
      },
      { cert: pair.certificate, key: pair.key },
    );
    const place = folder();
    const run = (env: Record<string, string>) =>
      runInitbox(['fetch-config', 'vault:secret/a#key', '--to', join(place, 'f')], {
        env: {
          VAULT_ADDR: server.url,
          VAULT_TOKEN: 'token-canary',
          VAULT_CACERT: authority.certificateFile,
          ...env,
        },
      });
    const wrong = await run({});
    expect(wrong.status).toBe(69);
    expect(wrong.stderr).toMatch(/for another name: DNS:vault\.example/);
    expect(server.requests).toHaveLength(0);
    expect((await run({ VAULT_TLS_SERVER_NAME: 'vault.example' })).status).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('right');
    for (const request of server.requests) {
      expect(request.headers).toContain('x-vault-request: true');
      expect(request.headers).toContain('x-vault-token: token-canary');
    }
  });
});

describe.skipIf(missing)('what stands in for Vault', () => {
  const json = { 'Content-Type': 'application/json' };
  const mounts = respond(
    200,
    JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '2' } } }),
    json,
  );
  const cases: readonly (readonly [string, Parameters<typeof startFaultServer>[0], number, RegExp])[] = [
    [
      'a login page with status 200',
      {
        '/v1/sys/internal/ui/mounts/secret/a': respond(200, '<html>Sign in', { 'Content-Type': 'text/html' }),
      },
      69,
      /answered 200 with text\/html in place of JSON/,
    ],
    [
      'truncated JSON',
      {
        '/v1/sys/internal/ui/mounts/secret/a': mounts,
        '/v1/secret/data/a': respond(200, '{"data":{"data":{"key":"val', json),
      },
      69,
      /ends in the middle of the JSON/,
    ],
    [
      'a redirect to another secret',
      {
        '/v1/sys/internal/ui/mounts/secret/a': mounts,
        '/v1/secret/data/a': respond(307, '', { Location: '/v1/secret/data/b' }),
      },
      69,
      /307 to .*secret\/data\/b: not followed, it is another path/,
    ],
    [
      'an index that is not there yet, then it is',
      {
        '/v1/sys/internal/ui/mounts/secret/a': mounts,
        '/v1/secret/data/a': [
          respond(412, '{"errors":["required index state not present"]}', json),
          respond(200, JSON.stringify({ data: { data: { key: 'v' }, metadata: { version: 1 } } }), json),
        ],
      },
      0,
      /has not caught up yet/,
    ],
    [
      'no leader, then one',
      {
        '/v1/sys/internal/ui/mounts/secret/a': [
          respond(500, '{"errors":["local node not active but active cluster node not found"]}', json),
          mounts,
        ],
        '/v1/secret/data/a': respond(
          200,
          JSON.stringify({ data: { data: { key: 'v' }, metadata: { version: 1 } } }),
          json,
        ),
      },
      0,
      /has no leader at the moment/,
    ],
    [
      '403 once, then allowed',
      {
        '/v1/sys/internal/ui/mounts/secret/a': mounts,
        '/v1/secret/data/a': [
          respond(403, '{"errors":["permission denied"]}', json),
          respond(200, JSON.stringify({ data: { data: { key: 'v' }, metadata: { version: 1 } } }), json),
        ],
      },
      0,
      /attempt 1: permission denied [^]*attempt 2: read version 1/,
    ],
  ];
  test.each(cases)('%s', async (_what, behaviours, expected, words) => {
    await using server = await startFaultServer(behaviours);
    const place = folder();
    const { status, stderr } = await runInitbox(
      [
        'fetch-config',
        'vault:secret/a#key',
        '--to',
        join(place, 'f'),
        '--log-level',
        'debug',
        '--timeout',
        '10s',
      ],
      {
        env: { VAULT_ADDR: server.url, VAULT_TOKEN: 'token-canary' },
      },
    );
    expect(stderr).toMatch(words);
    expect(status).toBe(expected);
    expect(stderr).not.toContain('canary');
    expect(readdirSync(place)).toEqual(expected === 0 ? ['f'] : []);
  });
});
