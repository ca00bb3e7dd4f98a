import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freeze, thaw, waitUntil } from '../../../support/faults.ts';
import { canUsePgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { freePort } from '../../../support/ports.ts';
import { preparePostgres, startPostgres, startStandby, type Postgres } from '../../../support/postgres.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres({ hba: ['host all refused 127.0.0.1/32 reject'] });
  await postgres.sql("CREATE ROLE refused LOGIN PASSWORD 'x'", [], 'postgres');
  await postgres.sql('CREATE DATABASE closed', [], 'postgres');
  await postgres.sql('REVOKE CONNECT ON DATABASE closed FROM PUBLIC', [], 'postgres');
});
afterAll(async () => postgres?.remove());

/** The environment that names a database. */
const named = (url: string) => ({ env: { DATABASE_URL: url } });

const wait = (args: readonly string[], url = postgres.url(), silent?: RegExp) =>
  runToDeadline(['wait-postgres', ...args], {
    ...named(url),
    ...(silent === undefined ? {} : { answered: (said) => silent.test(said) }),
  });

describe('wait-postgres', () => {
  test('a server that answers: exit 0, nothing on standard output, one line on standard error', async () => {
    const result = await wait([]);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(result.stderr).toMatch(
      /^\S+ info {2}wait-postgres: 127\.0\.0\.1:\d+\/app answers queries \(127\.0\.0\.1:\d+\) after \S+\n$/,
    );
  });

  test('the connection is closed after success, and the server has nothing to complain about', async () => {
    const before = postgres.logs().length;
    expect(await wait(['--successes', '3', '--query', 'SELECT true'])).toMatchObject({ status: 0 });
    await waitUntil(async () => {
      const [row] = await postgres.sql(
        "SELECT count(*)::int AS open FROM pg_stat_activity WHERE usename = 'app'",
      );
      return row?.['open'] === 0;
    });
    expect(postgres.logs().slice(before)).not.toMatch(/unexpected EOF|connection reset|incomplete/i);
  });

  test('a server that comes up later', async () => {
    await using later = await preparePostgres();
    const waiting = await startInitbox(['wait-postgres', '--timeout', '30s'], named(later.url()));
    await waiting.waitForStderr(/connection refused \(127\.0\.0\.1:\d+\)/);
    await later.start();
    expect((await waiting.exit).status).toBe(0);
  });

  test('the URL from a file, from PG* variables, or as an argument, which is warned about', async () => {
    const path = join(temporaryDirectory('url').path, 'url');
    writeFileSync(path, `${postgres.url()}\n`);
    expect(await runInitbox(['wait-postgres', '--database-url-file', path])).toMatchObject({ status: 0 });
    const url = new URL(postgres.url());
    const env = {
      PGHOST: url.hostname,
      PGPORT: url.port,
      PGUSER: url.username,
      PGPASSWORD: url.password,
      PGDATABASE: 'app',
    };
    expect(await runInitbox(['wait-postgres'], { env })).toMatchObject({ status: 0 });
    const given = await runInitbox(['wait-postgres', postgres.url(), '--log-level', 'debug']);
    expect(given.status).toBe(0);
    expect(given.stderr).toContain('holds a password');
    expect(given.stderr).not.toContain(`:${url.password}@`);
  });

  test('several databases: all, or --any', async () => {
    const down = `postgres://app:hunter2@127.0.0.1:${await freePort()}/app`;
    const all = await runToDeadline(['wait-postgres', postgres.url(), down, '--timeout', '2s']);
    expect(all.status).toBe(124);
    expect(all.stderr).toContain('1/2 ready');
    expect(all.stderr).not.toContain('hunter2');
    expect(await runInitbox(['wait-postgres', postgres.url(), down, '--any'])).toMatchObject({ status: 0 });
  });

  test('--invert: until it is gone', async () => {
    await using leaving = await startPostgres();
    const waiting = await startInitbox(['wait-postgres', '--invert'], named(leaving.url()));
    await waiting.waitForStderr(/still there: answers queries/);
    await leaving.stop();
    expect(await waiting.exit).toMatchObject({ status: 0 });
  });
});

describe('what waiting does not change ends it at once with 69', () => {
  const port = () => postgres.port;
  test.each([
    [
      'a wrong password',
      () => `postgres://app:hunter2@127.0.0.1:${port()}/app`,
      /28P01/,
      /Secret that holds the password/,
    ],
    ['no password', () => `postgres://app@127.0.0.1:${port()}/app`, /asks for a password/, /PGPASSWORD/],
    ['a database that does not exist', () => postgres.url('nothing'), /3D000/, /must be created first/],
    ['no right to connect', () => postgres.url('closed'), /42501/, /CONNECT on this database/],
    ['a refused role', () => `postgres://refused:x@127.0.0.1:${port()}/app`, /28000/, /pg_hba\.conf/],
    [
      'TLS that the server does not have',
      () => `${postgres.url()}?sslmode=require`,
      /TLS turned off/,
      /sslmode/,
    ],
  ])('%s', async (_what, url, words, hint) => {
    const log = terminationLog();
    const result = await wait(['--termination-log', log.path, '--log-level', 'debug'], url());
    expect(result.status).toBe(69);
    expect(result.milliseconds).toBeLessThan(20_000);
    expect(log.read()).toMatch(words);
    expect(log.read()).toMatch(hint);
    expect(result.stderr + log.read()).not.toContain('hunter2');
  });
});

describe('what passes is waited for', () => {
  test('a server that shuts down (57P03) and comes back', async () => {
    await using moving = await startPostgres();
    const client = await moving.connect();
    const stopping = moving.stop('smart');
    const waiting = await startInitbox(['wait-postgres'], named(moving.url()));
    await waiting.waitForStderr(/shutting down \(57P03, 127\.0\.0\.1:\d+\)/);
    await client.end();
    await stopping;
    await waiting.waitForStderr(/connection refused/);
    await moving.start();
    expect((await waiting.exit).status).toBe(0);
  });

  test('a server whose connections are all taken (53300)', async () => {
    await using full = await startPostgres({
      settings: {
        max_connections: 5,
        superuser_reserved_connections: 3,
        reserved_connections: 0,
        max_wal_senders: 0,
      },
    });
    const others = await Promise.all(
      [1, 2].map(async () => {
        const client = new Client(full.url());
        await client.connect();
        return client;
      }),
    );
    const waiting = await startInitbox(['wait-postgres'], named(full.url()));
    await waiting.waitForStderr(/53300/);
    await Promise.all(others.map((client) => client.end()));
    expect((await waiting.exit).status).toBe(0);
  });

  test('a server that is killed while --stable-for runs starts the time again', async () => {
    await using fragile = await startPostgres();
    // Long enough for a slow machine to kill the server meanwhile.
    const waiting = await startInitbox(['wait-postgres', '--stable-for', '6s'], named(fragile.url()));
    await waiting.waitForStderr(/not yet for long enough/);
    await fragile.kill();
    await waiting.waitForStderr(/connection refused|connection (reset|closed)|terminat/);
    // Before the start: it may be seen up before we learn that it is.
    const back = performance.now();
    await fragile.start();
    expect((await waiting.exit).status).toBe(0);
    expect(performance.now() - back).toBeGreaterThanOrEqual(6_000);
  });

  test('the official image: a bootstrap server on the unix socket alone fools nobody who waits over TCP', async () => {
    const port = await freePort();
    await using bootstrap = await startPostgres({ port, settings: { listen_addresses: '' } });
    // It takes queries, as the image's set-up scripts use it.
    expect(await bootstrap.sql('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    const waiting = await startInitbox(['wait-postgres', '--timeout', '30s'], named(bootstrap.url()));
    await waiting.waitForStderr(/connection refused/);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(waiting.stderr).not.toContain('answers queries');
    await bootstrap.stop();
    await using real = await startPostgres({ port, dataDirectory: bootstrap.dataDirectory });
    expect((await waiting.exit).status).toBe(0);
    expect(real.running()).toBe(true);
  });
});

describe('--primary', () => {
  test('a standby is not one until it is promoted, and of several hosts the primary is found', async () => {
    await using primary = await startPostgres();
    await using standby = await startStandby(primary);
    expect(await wait([], standby.url())).toMatchObject({ status: 0 });
    const both = primary
      .url()
      .replace(`127.0.0.1:${primary.port}`, `127.0.0.1:${standby.port},127.0.0.1:${primary.port}`);
    const found = await wait(['--primary'], both);
    expect(found.status).toBe(0);
    expect(found.stderr).toContain(`answers queries (127.0.0.1:${primary.port})`);
    const waiting = await startInitbox(['wait-postgres', '--primary'], named(standby.url()));
    await waiting.waitForStderr(/a standby, not the primary \(127\.0\.0\.1:\d+\)/);
    await standby.promote();
    expect((await waiting.exit).status).toBe(0);
  });

  test('a primary that takes no writes is none', async () => {
    await postgres.sql('CREATE DATABASE frozen', [], 'postgres');
    await postgres.sql('ALTER DATABASE frozen SET default_transaction_read_only = on', [], 'postgres');
    const { status, stderr } = await wait(['--primary', '--timeout', '2s'], postgres.url('frozen'));
    expect(status).toBe(124);
    expect(stderr).toContain('a primary that takes no writes');
    expect(stderr).toContain('default_transaction_read_only');
  });
});

describe('--table', () => {
  test('is waited for until it is there and may be used', async () => {
    const waiting = await startInitbox(['wait-postgres', '--table', 'shop.orders'], named(postgres.url()));
    await waiting.waitForStderr(/the table shop\.orders does not exist/);
    await postgres.sql('CREATE SCHEMA shop');
    await waiting.waitForStderr(
      /no right to look for the table shop\.orders|permission denied for schema shop|does not exist/,
    );
    await postgres.sql('CREATE TABLE shop.orders (id int)');
    await postgres.sql('GRANT USAGE ON SCHEMA shop TO app');
    await waiting.waitForStderr(/shop\.orders is there, and this role has no right on it/);
    await postgres.sql('GRANT INSERT ON shop.orders TO app');
    expect((await waiting.exit).status).toBe(0);
  });

  test('names as SQL reads them: folded, quoted, by the search path; views count, indexes do not', async () => {
    await postgres.sql(
      'CREATE TABLE public."User" (id int PRIMARY KEY); GRANT SELECT ON public."User" TO app',
    );
    await postgres.sql(
      'CREATE VIEW public.people AS SELECT * FROM "User"; GRANT SELECT ON public.people TO app',
    );
    for (const name of ['public."User"', '"User"', 'people', 'public.PEOPLE']) {
      expect(await wait(['--table', name, '--timeout', '10s'])).toMatchObject({ status: 0 });
    }
    const folded = await wait(['--table', 'public.User', '--timeout', '2s']);
    expect(folded.stderr).toContain('the table public.User does not exist');
    expect(folded.stderr).toContain('capital letters outside double quotes');
    const index = await wait(['--table', 'public."User_pkey"', '--timeout', '2s']);
    expect(index.stderr).toContain('is not a table (relkind i');
  });

  test('several must all be there', async () => {
    const { status, stderr } = await wait(['--table', 'pg_class', '--table', 'nowhere', '--timeout', '2s']);
    expect(status).toBe(124);
    expect(stderr).toContain('the table nowhere does not exist');
  });
});

describe('--query', () => {
  test.each([
    ['SELECT false', 'the query gave false, not true'],
    ['SELECT NULL::boolean', 'the query gave NULL, not true'],
    ['SELECT 1', 'the query gave a value of another type (number), not true'],
    ["SELECT 'tell-nobody'", 'the query gave a value of another type (string), not true'],
    ['SELECT true WHERE false', 'the query gave no row, not true'],
    ['SELECT true FROM generate_series(1, 3)', 'the query gave 3 rows, not true'],
    ['SELECT true, true AS b', 'the query gave a row of 2 values, not true'],
    ['SELECT false, true', 'the query gave a row of 2 values, not true'],
    ['SELECT 1 AS a, true AS a', 'the query gave a row of 2 values, not true'],
    ['SELECT', 'the query gave a row of 0 values, not true'],
    ['SELECT nonsense', 'the query failed: column "nonsense" does not exist (42703'],
    ['SELEC true', 'the query failed: syntax error'],
    [
      'CREATE TABLE public.written (id int)',
      'the query failed: cannot execute CREATE TABLE in a read-only transaction (25006',
    ],
    ['SELECT count(*) > 0 FROM missing', 'relation "missing" does not exist (42P01'],
    ['SELECT false; SELECT true', 'the query failed: cannot insert multiple commands'],
    ['COMMIT', 'the query gave no row, not true'],
  ])('%s: not yet', async (sql, words) => {
    const waiting = await startInitbox(['wait-postgres', '--query', sql], named(postgres.url()));
    await waiting.waitForStderr(new RegExp(RegExp.escape(words)));
    waiting.kill('SIGTERM');
    const { status, stderr } = await waiting.exit;
    expect(status).toBe(143);
    expect(stderr).not.toContain('tell-nobody');
  });

  test('cannot end its transaction and write after all', async () => {
    const { status, stderr } = await wait([
      '--query',
      'COMMIT; CREATE TABLE public.escaped (); SELECT true',
      '--timeout',
      '500ms',
    ]);
    expect(status, stderr).toBe(124);
    expect(stderr).toContain('hint: one statement is taken');
    expect(await postgres.sql("SELECT to_regclass('public.escaped')::text AS escaped")).toEqual([
      { escaped: null },
    ]);
  });

  test.each([
    'SELECT true AS "__proto__"',
    'SELECT true;',
    'SELECT true -- ready',
    'WITH a AS (SELECT 1) SELECT count(*) = 1 FROM a ; ',
  ])('%s is one statement', async (sql) => {
    expect(await wait(['--query', sql])).toMatchObject({ status: 0 });
  });

  test('is asked anew until it is true', async () => {
    await postgres.sql('CREATE TABLE public.settings (id int); GRANT SELECT ON public.settings TO app');
    const waiting = await startInitbox(
      ['wait-postgres', '--query', 'SELECT count(*) > 0 FROM settings'],
      named(postgres.url()),
    );
    await waiting.waitForStderr(/the query gave false/);
    await postgres.sql('INSERT INTO settings VALUES (1)');
    expect((await waiting.exit).status).toBe(0);
  });

  test('one that takes too long is ended in the server too, and never more than five run', async () => {
    const mark = 'SELECT pg_sleep(60) IS NOT NULL AS marked_as_slow';
    const waiting = await startInitbox(
      ['wait-postgres', '--query', mark, '--attempt-timeout', '1s', '--timeout', '4s'],
      named(postgres.url()),
    );
    let most = 0;
    let over = false;
    void waiting.exit.then(() => (over = true));
    while (!over) {
      const [row] = await postgres.sql(
        "SELECT count(*)::int AS running FROM pg_stat_activity WHERE query LIKE '%marked_as_slow' AND state = 'active'",
      );
      most = Math.max(most, Number(row?.['running']));
    }
    expect((await waiting.exit).status).toBe(124);
    expect((await waiting.exit).stderr).toMatch(/asking .* the query: no answer|statement timeout/);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(6);
    await waitUntil(
      async () =>
        (
          await postgres.sql(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%marked_as_slow' AND state = 'active'",
          )
        ).length === 0,
      { timeout: 3_000 },
    );
  });
});

describe('--migrated', () => {
  const key = 'sha256:abc';
  test('until migrate-with-lock --once has it done; running and failed are told apart', async () => {
    await postgres.sql('CREATE DATABASE migrated OWNER app', [], 'postgres');
    const url = postgres.url('migrated');
    const waiting = await startInitbox(['wait-postgres', '--migrated', key], named(url));
    await waiting.waitForStderr(/the migration "sha256:abc" of the lock migrate has not been run/);
    const good = join(temporaryDirectory('once').path, 'good');
    const script = `if [ -e ${good} ]; then sleep 3; else exit 3; fi`;
    const migrate = ['migrate-with-lock', '--once', key, '--', '/bin/sh', '-c', script];
    expect((await runInitbox(migrate, named(url))).status).toBe(3);
    await waiting.waitForStderr(/the migration .* failed on \S+ with status 3/);
    writeFileSync(good, '');
    const running = await startInitbox(migrate, named(url));
    await waiting.waitForStderr(/the migration .* is running on \S+ since \d{4}-/);
    expect((await running.exit).status).toBe(0);
    expect((await waiting.exit).status).toBe(0);
    const other = await wait(['--migrated', key, '--lock-name', 'other', '--timeout', '2s'], url);
    expect(other.status).toBe(124);
    expect(other.stderr).toContain('of the lock other has not been run');
  });

  test('a role that may not read the records is told what to grant', async () => {
    await postgres.sql("CREATE ROLE reader LOGIN PASSWORD 'reader'", [], 'postgres');
    const url = `postgres://reader:reader@127.0.0.1:${postgres.port}/migrated`;
    const refused = await wait(['--migrated', key, '--timeout', '2s'], url);
    expect(refused.status).toBe(124);
    expect(refused.stderr).toContain('no right to read the records of migrate-with-lock');
    await postgres.sql(
      'GRANT USAGE ON SCHEMA initbox TO reader; GRANT SELECT ON initbox.once TO reader',
      [],
      'migrated',
    );
    expect(await wait(['--migrated', key], url)).toMatchObject({ status: 0 });
  });
});

describe.skipIf(requireOrSkip('PgBouncer', canUsePgBouncer()))('behind PgBouncer', () => {
  test.each(['transaction', 'session'] as const)(
    '%s pooling: every question works, nothing is left behind',
    async (poolMode) => {
      await using pooler = await startPgBouncer({
        upstream: postgres,
        poolMode,
        settings: { default_pool_size: 1 },
      });
      const all = ['--primary', '--table', 'pg_class', '--query', 'SELECT true', '--migrated', 'nothing'];
      const done = await wait(all.slice(0, 5), pooler.url());
      expect(done).toMatchObject({ status: 0 });
      const cut = await wait(
        ['--query', 'SELECT pg_sleep(30) IS NULL', '--attempt-timeout', '500ms', '--timeout', '2s'],
        pooler.url(),
      );
      expect(cut.status).toBe(124);
      const client = new Client(pooler.url());
      await client.connect();
      const { rows } = await client.query<{ a: string; b: string }>(
        "SELECT current_setting('statement_timeout') AS a, current_setting('transaction_read_only') AS b",
      );
      await client.end();
      expect(rows).toEqual([{ a: '0', b: 'off' }]);
    },
  );

  test('a pooler whose server is down lets us in and is not ready', async () => {
    await using upstream = await startPostgres();
    await using pooler = await startPgBouncer({
      upstream,
      poolMode: 'transaction',
      settings: { server_login_retry: 1, server_connect_timeout: 2 },
    });
    await upstream.stop();
    const waiting = await startInitbox(['wait-postgres', '--attempt-timeout', '2s'], named(pooler.url()));
    await waiting.waitForStderr(/server|select 1|no answer|08P01|logging in/i);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(waiting.stderr).not.toContain('answers queries');
    await upstream.start();
    expect((await waiting.exit).status).toBe(0);
  });
});

describe('a server that hangs', () => {
  test('a stopped postmaster: the log says where it stands, and it is seen when it goes on', async () => {
    await using stopped = await startPostgres();
    const { pid } = stopped;
    await freeze(pid);
    const waiting = await startInitbox(['wait-postgres', '--log-level', 'debug'], named(stopped.url()));
    await waiting.waitForStderr(/(connecting|connected|logging in) to 127\.0\.0\.1:\d+: no answer within 5s/);
    thaw(pid);
    expect((await within(4_500, waiting.exit)).status).toBe(0);
  });

  const phases: [string, readonly string[], () => Promise<{ url: string } & AsyncDisposable>][] = [
    ['in the login', [], silentServer],
    ['before TLS', [], async () => withMode(await silentServer(), 'require')],
    [
      'in a query',
      ['--query', 'SELECT pg_sleep(60) IS NULL'],
      async () => ({ url: postgres.url(), [Symbol.asyncDispose]: async () => {} }),
    ],
  ];
  test.each(phases)('%s: cut by the deadline and by SIGTERM', async (_where, args, start) => {
    await using server = await start();
    const words = /(connecting|connected|logging in) to .*: no answer|asking .* the query: no answer/;
    const late = await within(4_900, wait([...args, '--timeout', '1200ms'], server.url, words));
    expect(late.status).toBe(124);
    expect(late.stderr).toMatch(words);
    const waiting = await startInitbox(
      ['wait-postgres', ...args, '--attempt-timeout', '600ms', '--log-level', 'debug'],
      named(server.url),
    );
    await waiting.waitForStderr(/no answer within|statement timeout/);
    waiting.kill('SIGTERM');
    expect((await within(promptly, waiting.exit)).status).toBe(143);
  });

  test.each(['prefer', 'require', 'disable'])(
    'sslmode=%s: one that accepts the connection and says nothing is told from dropped packets',
    async (mode) => {
      await using server = withMode(await silentServer(), mode);
      const hint = 'hint: it accepts connections and then falls silent';
      const { status, stderr } = await wait(['--timeout', '1500ms'], server.url, new RegExp(hint));
      expect(status).toBe(124);
      expect(stderr).toMatch(/(connected|logging in) to 127\.0\.0\.1:\d+: no answer yet/);
      expect(stderr).toContain(hint);
      expect(stderr).not.toContain('packets are dropped');
    },
  );

  test('what answers is no PostgreSQL: said, and waited for, as a new Service may lead elsewhere at first', async () => {
    await using server = await silentServer('HTTP/1.1 400 Bad Request\r\n\r\n');
    const { status, stderr } = await wait(['--timeout', '2s'], server.url);
    expect(status).toBe(124);
    expect(stderr).toContain(
      'what answers there is not a PostgreSQL server; it says "HTTP/1.1 400 Bad Request"',
    );
    expect(stderr).toContain('is it the right port?');
  });

  test('bytes after the answer to the request for TLS, which somebody on the way put there: at once, with 69', async () => {
    await using server = await silentServer('Sand more');
    const { status, stderr } = await wait(['--timeout', '2s'], server.url);
    expect(status).toBe(69);
    expect(stderr).toContain('sent unencrypted bytes after its answer to the request for TLS');
  });
});

describe('bad input: exit 2, one error, nothing tried', () => {
  test.each([
    [[], {}, 'no database was named; set DATABASE_URL'],
    [[], { DATABASE_URL: 'mysql://u:hunter2@db/x' }, 'only postgres: and postgresql: are known'],
    [['mysql://u:hunter2@db/x'], {}, 'only postgres: and postgresql: are known'],
    [[], { DATABASE_URL: 'postgres://db:99999/x', PGUSER: 'u' }, 'the port in DATABASE_URL'],
    [['--database-url-file', '/nonexistent'], {}, 'there is no file /nonexistent'],
    [['--table', "users'; DROP TABLE users"], {}, 'is not the name of a table'],
    [['--table', 'a.b.c'], {}, 'is not the name of a table'],
    [['--migrated', ''], {}, 'the key is empty'],
    [['--migrated', '$(IMAGE_DIGEST)'], {}, 'the variable IMAGE_DIGEST in it was not replaced'],
    [['--lock-id', '1e3'], {}, '--lock-id'],
    [['--query', ''], {}, '--query is empty'],
    [['--primray'], {}, '--primary'],
  ])('%j %j', async (args, env, words) => {
    const base = { DATABASE_URL: 'postgres://app:hunter2@127.0.0.1:1/app' };
    const whole = args.length > 0 && !args[0]?.startsWith('mysql') ? { ...base, ...env } : env;
    const { status, stderr, stdout } = await runInitbox(['wait-postgres', ...args], {
      env: whole,
    });
    expect(stderr).toContain(words);
    expect(stderr + stdout).not.toContain('hunter2');
    expect(status).toBe(2);
  });
});

test('the command after -- takes over with its status', async () => {
  const { status, stdout } = await runInitbox(
    ['wait-postgres', '--', '/bin/sh', '-c', 'echo "$$ got on"; exit 9'],
    named(postgres.url()),
  );
  expect(status).toBe(9);
  expect(stdout).toMatch(/^\d+ got on\n$/);
});

function withMode<T extends { url: string } & AsyncDisposable>(server: T, mode: string): T {
  return Object.assign(server, { url: `${server.url}?sslmode=${mode}` });
}

/** Takes connections and says one thing, or nothing. */
async function silentServer(text?: string): Promise<{ url: string } & AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).resume();
    if (text !== undefined) socket.write(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `postgres://app:x@127.0.0.1:${port}/app`,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
