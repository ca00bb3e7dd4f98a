// Wrong input: one clear error, nothing run, nothing left; and SIGTERM in every phase.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { freeze, killGroup, thaw } from '../../../support/faults.ts';
import { canUseIptables, dropTo } from '../../../support/netns.ts';
import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { connections, createJournal, holders, quick, startReplica } from './contenders.ts';

let postgres: Postgres;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.remove());
beforeEach(async () => {
  await postgres.sql('DROP SCHEMA IF EXISTS initbox CASCADE');
});

const secret = 'h0rse-battery';

describe('usage errors: status 2, before anything is tried', () => {
  test.each([
    ['nothing to do', [], {}, /no command given; write for example: initbox migrate-with-lock -- /],
    ['-- and no command', ['--'], {}, /there is no command after --/],
    ['--sql and a command', ['--sql', '/m', '--', 'true'], {}, /a command after -- and --sql were given/],
    ['--status and a command', ['--status', '--', 'true'], {}, /a command after -- and --status were given/],
    [
      'a name and a number of the lock',
      ['--lock-name', 'a', '--lock-id', '1', '--', 'true'],
      {},
      /--lock-name and --lock-id cannot be combined; use one, not both/,
    ],
    [
      'a name of the lock in a variable, and a number',
      ['--lock-id', '1', '--', 'true'],
      { INITBOX_LOCK_NAME: 'a' },
      /INITBOX_LOCK_NAME and --lock-id cannot be combined/,
    ],
    ['words before --', ['migrate', '--', 'true'], {}, /takes no arguments; unexpected argument "migrate"/],
    [
      'no --',
      ['./migrate'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /takes no arguments; unexpected argument "\.\/migrate"\. A command to be run stands after --, as in: initbox/,
    ],
    [
      'no -- before a command and its flags',
      ['./migrate', '--target=latest'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /unknown flag --target; if it is one of a command to be run, write -- before that command/,
    ],
    [
      'a URL among the words',
      [`postgres://u:${secret}@h/d`],
      {},
      /unexpected argument \(what stands there looks like a secret\)/,
    ],
    [
      'a URL in place of the file that holds it',
      ['--database-url-file', `postgres://u:${secret}@h/d`, '--', 'true'],
      {},
      /--database-url-file: what stands there looks like the secret itself/,
    ],
    [
      'the same in the twin',
      ['--', 'true'],
      { INITBOX_DATABASE_URL_FILE: `postgres://u:${secret}@h/d` },
      /INITBOX_DATABASE_URL_FILE: what stands there looks like the secret itself/,
    ],
    [
      'an empty DATABASE_URL',
      ['--', 'true'],
      { DATABASE_URL: '' },
      /no database was named; set DATABASE_URL/,
    ],
    [
      'no database',
      ['--', 'true'],
      {},
      /no database was named; set DATABASE_URL, --database-url-file, or PGHOST/,
    ],
    [
      'mysql',
      ['--', 'true'],
      { DATABASE_URL: `mysql://u:${secret}@h/d` },
      /DATABASE_URL is a mysql: URL; only postgres: and postgresql: are known/,
    ],
    [
      'jdbc',
      ['--', 'true'],
      { DATABASE_URL: `jdbc:postgresql://h/d?user=u&password=${secret}` },
      /DATABASE_URL is a JDBC URL/,
    ],
    [
      'SQLAlchemy',
      ['--', 'true'],
      { DATABASE_URL: `postgresql+asyncpg://u:${secret}@h/d` },
      /names a driver in its scheme \(postgresql\+asyncpg:\)/,
    ],
    [
      'keywords',
      ['--', 'true'],
      { DATABASE_URL: `host=h password=${secret}` },
      /is a list of keywords, not a URL/,
    ],
    [
      'two lines',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}@h/d\npostgres://h/e` },
      /DATABASE_URL holds a line break/,
    ],
    [
      'percent-encoding',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}%zz@h/d` },
      /the password in DATABASE_URL is not valid percent-encoding; write a % as %25/,
    ],
    [
      'a # in the password',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}#x@h/d` },
      /has a \/, \? or # in its user or password/,
    ],
    [
      'two @',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}@x@h/d` },
      /more than one @ before its path; write one in a password as %40/,
    ],
    ['no host', ['--', 'true'], { DATABASE_URL: `postgres://u:${secret}@/d` }, /DATABASE_URL names no host/],
    ['no user', ['--', 'true'], { DATABASE_URL: 'postgres://h/d' }, /no user is named in DATABASE_URL/],
    [
      'a port',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}@h:99999/d` },
      /the port in DATABASE_URL/,
    ],
    [
      'sslmode',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}@h/d?sslmode=no-verify` },
      /sslmode in DATABASE_URL: "no-verify" is not one of disable, allow, prefer/,
    ],
    [
      'PGSSLMODE',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}@h/d`, PGSSLMODE: 'yes' },
      /PGSSLMODE: "yes" is not one of/,
    ],
    [
      'no authority',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}@h/d?sslmode=verify-full`, HOME: '/nonexistent' },
      /needs the authorities to trust; set sslrootcert/,
    ],
    [
      'a standby asked for',
      ['--', 'true'],
      { DATABASE_URL: `postgres://u:${secret}@h/d?target_session_attrs=standby` },
      /asks for a standby, and a lock is the primary/,
    ],
    [
      'an empty --once',
      ['--once', '', '--', 'true'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /--once: the key is empty/,
    ],
    [
      'an unexpanded --once',
      ['--once', '$(IMAGE_DIGEST)', '--', 'true'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /--once cannot be used: the variable IMAGE_DIGEST in it was not replaced/,
    ],
    [
      'an unexpanded --once without parentheses',
      ['--once', '$IMAGE_DIGEST', '--', 'true'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /the variable IMAGE_DIGEST in it was not replaced by a value; Kubernetes replaces \$\(IMAGE_DIGEST\)/,
    ],
    [
      'an unexpanded twin',
      ['--', 'true'],
      { DATABASE_URL: 'postgres://u@h/d', INITBOX_ONCE: '${TAG}' },
      /INITBOX_ONCE cannot be used: the variable TAG in it/,
    ],
    [
      '--lock-id',
      ['--lock-id', '9223372036854775808', '--', 'true'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /--lock-id: /,
    ],
    [
      '--heartbeat',
      ['--heartbeat', '1ms', '--', 'true'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /--heartbeat: "1ms" is not between/,
    ],
    [
      '--baseline alone',
      ['--baseline', '3', '--', 'true'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /--baseline needs --sql/,
    ],
    [
      '--once with --status',
      ['--once', 'k', '--status'],
      { DATABASE_URL: 'postgres://u@h/d' },
      /--once needs a command or --sql and cannot be combined with/,
    ],
  ] as const)('%s', async (_, args, env, expected) => {
    const result = await runInitbox(['migrate-with-lock', ...args], { env });
    expect(result.stderr).toMatch(expected);
    expect(result.stderr).not.toContain(secret);
    expect(result.status).toBe(2);
    expect(result.stdout).toBe('');
  });

  test.each([
    ['empty', '', /the file .*url is empty/],
    ['of two lines', `postgres://u:${secret}@h/d\npostgres://u:${secret}@h/e\n`, /holds a line break/],
    ['of another program', 'DATABASE_URL=postgres://u@h/d', /is a list of keywords, not a URL/],
  ])('a file for the URL that is %s', async (_, content, expected) => {
    const folder = temporaryDirectory('url');
    const file = join(folder.path, 'url');
    writeFileSync(file, content);
    const result = await runInitbox(['migrate-with-lock', '--database-url-file', file, '--', 'true']);
    expect(result.stderr).toMatch(expected);
    expect(result.stderr).not.toContain(secret);
    expect(result.status).toBe(2);
    folder.remove();
  });

  test('a command that may not be run: 126, and the lock was never taken', async () => {
    const result = await (await startReplica(postgres, ['--', '/etc/passwd'])).exit;
    expect(result.status).toBe(126);
    expect(result.stderr).toContain('cannot run /etc/passwd: it is not executable');
    expect(result.stderr).not.toContain('holding the lock');
  });

  test('a command that is not there: 127, and the lock was never taken', async () => {
    const result = await (await startReplica(postgres, ['--', 'no-such-migrate'])).exit;
    expect(result.status).toBe(127);
    expect(result.stderr).not.toContain('holding the lock');
    expect(await postgres.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'initbox'")).toEqual([]);
  });
});

describe('what the server refuses: status 69 at once', () => {
  test.each([
    [
      'a wrong password',
      (url: string) => url.replace('app-password', 'wrong'),
      /password authentication failed.*28P01/,
    ],
    [
      'a missing database',
      (url: string) => url.replace(/app$/, 'nothing'),
      /database "nothing" does not exist \(3D000/,
    ],
    [
      'an unknown role',
      (url: string) => url.replace('app:', 'nobody:'),
      /password authentication failed for user "nobody"/,
    ],
    [
      'TLS that is off',
      (url: string) => `${url}?sslmode=require`,
      /the server has TLS turned off, and sslmode=require demands it/,
    ],
    [
      'no password',
      (url: string) => url.replace(':app-password', ''),
      /asks for a password, and none was given/,
    ],
  ] as const)('%s', async (_, change, expected) => {
    const replica = await startReplica(postgres, ['--', 'echo', 'ran'], { url: change(postgres.url()) });
    const result = await replica.exit;
    expect(result.stderr).toMatch(expected);
    expect(result.status).toBe(69);
    expect(result.stdout).toBe('');
    expect(result.milliseconds).toBeLessThan(20_000);
    expect(result.stderr).not.toContain('app-password');
  });

  test('a primary that takes no writes', async () => {
    await postgres.sql('ALTER ROLE app SET default_transaction_read_only = on');
    try {
      const result = await (await startReplica(postgres, ['--', 'echo', 'ran'])).exit;
      expect(result.status).toBe(69);
      expect(result.stderr).toContain('the server takes no writes');
      expect(result.stderr).toContain('default_transaction_read_only');
      expect(result.stdout).toBe('');
    } finally {
      await postgres.sql('ALTER ROLE app RESET default_transaction_read_only');
    }
  });

  test('--once without CREATE: 69 with the GRANT to run, which then works', async () => {
    await postgres.sql('REVOKE CREATE ON DATABASE app FROM PUBLIC; ALTER DATABASE app OWNER TO postgres');
    try {
      const refused = await (await startReplica(postgres, ['--once', 'k', '--', 'echo', 'ran'])).exit;
      expect(refused.status).toBe(69);
      expect(refused.stdout).toBe('');
      const grant = /GRANT CREATE ON DATABASE "app" TO "app"/.exec(refused.stderr);
      expect(grant).not.toBeNull();
      expect(await holders(postgres)).toEqual([]);
      await postgres.sql(grant?.[0] ?? '');
      expect((await (await startReplica(postgres, ['--once', 'k', '--', 'true'])).exit).status).toBe(0);
    } finally {
      await postgres.sql('ALTER DATABASE app OWNER TO app');
    }
  });

  test('the GRANT names the role that acts, where the role of the login becomes another', async () => {
    await postgres.sql(
      `CREATE ROLE acting; GRANT acting TO app; ALTER ROLE app SET role = 'acting'; ALTER DATABASE app OWNER TO postgres`,
    );
    try {
      const refused = await (await startReplica(postgres, ['--once', 'k', '--', 'echo', 'ran'])).exit;
      expect(refused.status).toBe(69);
      expect(refused.stderr).toContain('and acting may not create its table');
      const grant = /GRANT CREATE ON DATABASE "app" TO "\w+"/.exec(refused.stderr)?.[0] ?? '';
      await postgres.sql(grant);
      expect((await (await startReplica(postgres, ['--once', 'k', '--', 'true'])).exit).status).toBe(0);
    } finally {
      await postgres.sql(
        'ALTER ROLE app RESET role; ALTER DATABASE app OWNER TO app; DROP OWNED BY acting CASCADE; DROP ROLE acting',
      );
    }
  });

  test('without --once and without CREATE: it says so, waits the full time, and runs', async () => {
    await postgres.sql('ALTER DATABASE app OWNER TO postgres');
    try {
      const result = await (await startReplica(postgres, [...quick, '--', 'echo', 'ran'])).exit;
      expect(result.status).toBe(0);
      expect(result.stderr).toMatch(/cannot keep the lock’s record .*GRANT CREATE ON DATABASE/);
      expect(result.stderr).toContain('cannot be known; waiting 1.5s');
      expect(result.stdout).toBe('ran\n');
    } finally {
      await postgres.sql('ALTER DATABASE app OWNER TO app');
    }
  });

  test('--sql without CREATE: 69 at once with the GRANT, and the schema alone, made by its owner, is enough', async () => {
    const folder = temporaryDirectory('migrations');
    writeFileSync(join(folder.path, '1_a.sql'), 'SELECT 1');
    await postgres.sql('ALTER DATABASE app OWNER TO postgres; REVOKE CREATE ON DATABASE app FROM app');
    try {
      const refused = await (await startReplica(postgres, ['--sql', folder.path])).exit;
      expect(refused.status).toBe(69);
      expect(refused.milliseconds).toBeLessThan(15_000);
      expect(refused.stderr).toMatch(
        /--sql keeps a record in the database, and app may not .*GRANT CREATE ON/s,
      );
      // The second way that docs/locking.md names.
      await postgres.sql('CREATE SCHEMA initbox AUTHORIZATION app');
      expect((await (await startReplica(postgres, ['--sql', folder.path])).exit).status).toBe(0);
      expect((await (await startReplica(postgres, ['--once', 'k', '--', 'true'])).exit).status).toBe(0);
    } finally {
      await postgres.sql('ALTER DATABASE app OWNER TO app');
      folder.remove();
    }
  });

  test('tables that may be read but not written', async () => {
    await postgres.sql('ALTER DATABASE app OWNER TO postgres');
    await (
      await startReplica(postgres, ['--once', 'z', '--', 'true'], { url: postgres.superuserUrl() })
    ).exit;
    await postgres.sql(
      'GRANT USAGE ON SCHEMA initbox TO app; GRANT SELECT ON ALL TABLES IN SCHEMA initbox TO app',
    );
    try {
      const result = await (await startReplica(postgres, ['--once', 'k', '--', 'echo', 'ran'])).exit;
      expect(result.status).toBe(69);
      expect(result.stderr).toContain(
        'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA initbox TO "app"',
      );
      expect(result.stdout).toBe('');
    } finally {
      await postgres.sql('ALTER DATABASE app OWNER TO app');
    }
  });
});

describe('where the settings come from', () => {
  test('PG* variables and a password file', async () => {
    const folder = temporaryDirectory('pgpass');
    const file = join(folder.path, 'pgpass');
    writeFileSync(file, `# comment\nother:*:*:app:no\n127.0.0.1:${postgres.port}:app:app:app-password\n`);
    const result = await runInitbox(['migrate-with-lock', '--', 'true'], {
      env: {
        PGHOST: '127.0.0.1',
        PGPORT: `${postgres.port}`,
        PGUSER: 'app',
        PGDATABASE: 'app',
        PGPASSFILE: file,
      },
    });
    expect(result.status).toBe(0);
    folder.remove();
  });

  test('--database-url-file wins over DATABASE_URL, and a second host is tried', async () => {
    const folder = temporaryDirectory('url');
    const file = join(folder.path, 'url');
    writeFileSync(
      file,
      `postgres://app:app-password@127.0.0.1:1,127.0.0.1:${postgres.port}/app?schema=public\n`,
    );
    const result = await (
      await startReplica(postgres, ['--database-url-file', file, '--', 'true'], {
        url: 'postgres://u@127.0.0.1:1/x',
      })
    ).exit;
    expect(result.status).toBe(0);
    expect(result.stderr).toContain('the parameter schema in --database-url-file has no effect here');
    folder.remove();
  });

  test('a Unix socket', async () => {
    const url = `postgres://app@/app?host=${encodeURIComponent(postgres.socketDirectory)}&port=${postgres.port}`;
    expect((await (await startReplica(postgres, ['--', 'true'], { url })).exit).status).toBe(0);
  });
});

describe('TLS as libpq means it', () => {
  test('every sslmode against a server with a certificate', { timeout: 120_000 }, async () => {
    using authority = await createCertificateAuthority();
    using stranger = await createCertificateAuthority('stranger');
    const certificate = await authority.server(['localhost']);
    const folder = temporaryDirectory('tls-server');
    const { copyFileSync, chmodSync, chownSync } = await import('node:fs');
    const { serverAccount } = await import('../../../support/unprivileged.ts');
    const account = serverAccount();
    for (const [from, to] of [
      [certificate.certificateFile, 'server.crt'],
      [certificate.keyFile, 'server.key'],
      [authority.certificateFile, 'ca.crt'],
    ] as const) {
      const path = join(folder.path, to);
      copyFileSync(from, path);
      chmodSync(path, 0o600);
      if (account) chownSync(path, account.uid, account.gid);
    }
    await using server = await startPostgres({
      settings: {
        ssl: 'on',
        ssl_cert_file: join(folder.path, 'server.crt'),
        ssl_key_file: join(folder.path, 'server.key'),
        ssl_ca_file: join(folder.path, 'ca.crt'),
      },
      hba: [
        'hostssl mtls all all cert',
        'hostnossl plain all all scram-sha-256',
        'hostssl plain all all reject',
        'hostnossl all all all reject',
      ],
    });
    await server.sql('CREATE DATABASE mtls OWNER app', [], 'postgres');
    await server.sql('CREATE DATABASE plain OWNER app', [], 'postgres');
    const byName = server.url().replace('127.0.0.1', 'localhost');
    const root = `sslrootcert=${encodeURIComponent(authority.certificateFile)}`;
    const wrongRoot = `sslrootcert=${encodeURIComponent(stranger.certificateFile)}`;
    const client = await authority.client('app');
    const cert = `sslcert=${encodeURIComponent(client.certificateFile)}&sslkey=${encodeURIComponent(client.keyFile)}`;
    const cases: [string, number, RegExp?][] = [
      [`${byName}?sslmode=prefer`, 0],
      [`${byName}?sslmode=require`, 0],
      [byName, 0],
      [`${byName}?sslmode=allow`, 0],
      [`${byName}?sslmode=disable`, 69, /28000/],
      [`${byName}?sslmode=verify-ca&${root}`, 0],
      [`${server.url()}?sslmode=verify-ca&${root}`, 0],
      [`${byName}?sslmode=verify-full&${root}`, 0],
      [`${server.url()}?sslmode=verify-full&${root}`, 69, /certificate is not for 127.0.0.1/],
      [`${byName}?sslmode=verify-full&${wrongRoot}`, 69, /not signed by an authority of sslrootcert/],
      [`${byName}?sslmode=require&${wrongRoot}`, 69, /not signed by an authority of sslrootcert/],
      [`${byName}?sslmode=require&sslnegotiation=direct`, 0],
      [
        `${byName.replace(':app-password', '').replace(/app$/, 'mtls')}?sslmode=verify-full&${root}&${cert}`,
        0,
      ],
      [
        `${byName.replace(':app-password', '').replace(/app$/, 'mtls')}?sslmode=verify-full&${root}`,
        69,
        /28000|none was given/,
      ],
      // The server refuses TLS for this database alone: prefer falls back, require does not.
      [`${byName.replace(/app$/, 'plain')}?sslmode=prefer`, 0],
      [`${byName.replace(/app$/, 'plain')}?sslmode=require`, 69, /28000/],
    ];
    for (const [url, status, words] of cases) {
      const result = await (
        await startReplica(
          server,
          ['--lock-timeout', '10s', '--', '/bin/sh', '-c', 'readlink /proc/self/fd/3'],
          { url },
        )
      ).exit;
      expect(`${url} ${result.status} ${result.stderr}`).toContain(`${url} ${status} `);
      if (words) expect(result.stderr).toMatch(words);
      // Under TLS too the child keeps the connection itself.
      else expect(result.stdout).toMatch(/^socket:/);
    }
    folder.remove();
  });
});

describe('TLS as libpq means it, by an address', () => {
  test.each<[string, string, string[], number]>([
    ['its common name', '127.0.0.1', [], 0],
    ['its common name, beside a DNS name', '127.0.0.1', ['DNS:db'], 0],
    ['a DNS name', 'db', ['DNS:db', 'DNS:127.0.0.1'], 0],
    ['an address', 'db', ['IP:127.0.0.1'], 0],
    ['another common name', '127.0.0.2', [], 69],
    ['its common name, beside another address', '127.0.0.1', ['IP:127.0.0.2'], 69],
    ['a part of a name', 'db', ['DNS:127.0.0.1.example'], 69],
  ])('verify-full, and the certificate has %s', async (_name, commonName, alternatives, status) => {
    using authority = await createCertificateAuthority();
    const certificate = await authority.server([], { commonName, alternatives });
    const folder = temporaryDirectory('tls-server');
    const { copyFileSync, chmodSync, chownSync } = await import('node:fs');
    const { serverAccount } = await import('../../../support/unprivileged.ts');
    const account = serverAccount();
    const key = join(folder.path, 'server.key');
    copyFileSync(certificate.keyFile, key);
    chmodSync(key, 0o600);
    if (account) chownSync(key, account.uid, account.gid);
    const file = join(folder.path, 'server.crt');
    copyFileSync(certificate.certificateFile, file);
    chmodSync(file, 0o644);
    await using server = await startPostgres({
      settings: { ssl: 'on', ssl_cert_file: file, ssl_key_file: key },
    });
    const root = `sslrootcert=${encodeURIComponent(authority.certificateFile)}`;
    const result = await runInitbox(['wait-postgres', '--timeout', '30s'], {
      env: { DATABASE_URL: `${server.url()}?sslmode=verify-full&${root}` },
    });
    expect(result.status, result.stderr).toBe(status);
    if (status !== 0) expect(result.stderr).toContain('the server’s certificate is not for 127.0.0.1');
    folder.remove();
  });
});

describe('SIGTERM in every phase', () => {
  test.skipIf(requireOrSkip('dropped packets', canUseIptables()))(
    'while it connects to a silent server',
    async () => {
      using _ = dropTo('127.0.0.9', 5432);
      const replica = await startReplica(postgres, ['--', 'true'], {
        url: 'postgres://u:p@127.0.0.9:5432/d',
      });
      await replica.waitForStderr(/the lock "migrate" is the advisory lock/);
      replica.kill();
      expect((await within(promptly, replica.exit)).status).toBe(143);
    },
  );

  test('while nothing listens', async () => {
    const replica = await startReplica(postgres, ['--', 'true'], { url: 'postgres://u:p@127.0.0.1:1/d' });
    await replica.waitForStderr(/connection refused/);
    replica.kill();
    expect((await within(promptly, replica.exit)).status).toBe(143);
  });

  test('while it takes over: 143, and the next one still waits for the dead holder', async () => {
    using journal = createJournal();
    const holder = await startReplica(postgres, [...quick, '--', 'sleep', '1']);
    await holder.waitForStderr(/holding the lock/);
    holder.kill('SIGKILL');
    const heir = await startReplica(postgres, [...quick, '--', ...journal.child('heir', 'true')]);
    await heir.waitForStderr(/waiting 1.5s for its work to end/);
    heir.kill();
    expect((await within(promptly, heir.exit)).status).toBe(143);
    const next = await startReplica(postgres, [...quick, '--', ...journal.child('next', 'true')]);
    const result = await next.exit;
    expect(result.stderr).toContain('waiting 1.5s for its work to end');
    expect(result.status).toBe(0);
    expect(new Set(journal.entries().map(({ name }) => name))).toEqual(new Set(['next']));
  });

  test('while its server hangs, waiting or taking over', async () => {
    const holder = await startReplica(postgres, [
      ...quick,
      '--',
      '/bin/sh',
      '-c',
      'echo group $$; exec sleep 60',
    ]);
    const group = Number((await holder.waitForStdout(/group (\d+)/))[1]);
    const waiter = await startReplica(postgres, [...quick, '--', 'true']);
    await waiter.waitForStderr(/held by/);
    const backendOf = async (like: string): Promise<number> => {
      const [row] = await postgres.sql(
        `SELECT pid FROM pg_stat_activity WHERE application_name LIKE '${like}' AND usename = 'app'`,
      );
      return Number(row?.['pid']);
    };
    const waiting = await backendOf('initbox:%:wait');
    await freeze(waiting);
    // Its next try hangs.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    waiter.kill();
    expect((await within(promptly, waiter.exit)).status).toBe(143);
    thaw(waiting);
    holder.kill('SIGKILL');
    killGroup(group);
    const heir = await startReplica(postgres, ['--heartbeat', '30s', '--', 'true']);
    await heir.waitForStderr(/for its work to end/);
    const heirs = await backendOf('initbox:%:lock:%');
    await freeze(heirs);
    heir.kill();
    expect((await within(promptly, heir.exit)).status).toBe(143);
    thaw(heirs);
  });

  test('as PID 1: the child gets it, and nothing is left', async () => {
    const { startAsPid1, canRunAsPid1 } = await import('../../../support/program.ts');
    if (requireOrSkip('PID 1', canRunAsPid1())) return;
    const replica = await startAsPid1(['migrate-with-lock', '--', '/bin/sh', '-c', 'echo up; sleep 60'], {
      env: { DATABASE_URL: postgres.url() },
    });
    await replica.waitForStdout(/up/);
    replica.kill();
    expect((await replica.exit).status).toBe(143);
    await waitUntil(async () => (await connections(postgres)).length === 0);
  });
});
