// A database and its role: made, found right, changed, refused, and made by several at once.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { canUsePgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { debianPostgres, preparePostgres, startPostgres, type Postgres } from '../../../support/postgres.ts';
import { type ProgramResult, runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let postgres: Postgres;
beforeAll(async () => {
  // Its contrib extensions are there; statements are logged, to be looked through for passwords.
  postgres = await startPostgres({ binaries: debianPostgres(), settings: { log_statement: 'all' } });
});
afterAll(async () => postgres?.remove());
afterEach(async () => {
  for (const name of ['shop', 'Shop "x"', 'other']) {
    await postgres.sql(`DROP DATABASE IF EXISTS "${name.replaceAll('"', '""')}" WITH (FORCE)`);
    await postgres.sql(`DROP ROLE IF EXISTS "${name.replaceAll('"', '""')}"`);
  }
  for (const role of ['maker', 'reports', 'weak']) await postgres.sql(`DROP ROLE IF EXISTS ${role}`);
});

const secret = "pa$$ wörd'\\";

/** @param args after the command's name */
function create(args: readonly string[], env: Record<string, string> = {}): Promise<ProgramResult> {
  return runInitbox(['create-database', '--timeout', '60s', ...args], {
    env: { DATABASE_URL: postgres.superuserUrl('postgres'), SHOP_PASSWORD: secret, ...env },
  });
}

const withPassword = ['--owner', 'shop', '--owner-password-env', 'SHOP_PASSWORD'];

async function logsIn(user: string, password: string, database: string): Promise<boolean> {
  const client = new Client({ host: postgres.host, port: postgres.port, user, password, database });
  try {
    await client.connect();
    await client.query('CREATE TABLE IF NOT EXISTS proof (id int)');
    await client.end();
    return true;
  } catch {
    return false;
  }
}

describe('create-database', () => {
  test('makes role, database, extensions and grants; again, nothing is changed', async () => {
    await postgres.sql('CREATE ROLE reports');
    const args = [
      'shop',
      ...withPassword,
      '--extension',
      'pgcrypto',
      '--extension',
      'hstore',
      '--grant',
      'connect,temp=reports',
    ];
    const first = await create(args);
    expect(first.stderr).toContain(
      'made the role shop, made the database shop, granted temporary, connect to reports, made the extension pgcrypto, made the extension hstore',
    );
    expect(first.status).toBe(0);
    expect(await logsIn('shop', secret, 'shop')).toBe(true);
    expect(
      await postgres.sql(
        "SELECT extname::text, extnamespace::regnamespace::text AS schema FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1",
        [],
        'shop',
      ),
    ).toEqual([
      { extname: 'hstore', schema: 'public' },
      { extname: 'pgcrypto', schema: 'public' },
    ]);
    const again = await create(args);
    expect([again.status, again.stderr]).toEqual([0, expect.stringContaining('shop: nothing was changed')]);
    for (const text of [postgres.logs(), first.stderr, again.stderr]) {
      expect(text).not.toContain('pa$$');
      expect(text).not.toContain('wörd');
    }
    expect(postgres.logs()).toMatch(/CREATE ROLE "shop" LOGIN PASSWORD 'SCRAM-SHA-256\$/);
  });

  test('a changed password is set again, and only then; a role that may not log in may afterwards', async () => {
    expect((await create(['shop', ...withPassword])).status).toBe(0);
    const other = await create(['shop', ...withPassword], { SHOP_PASSWORD: 'another' });
    expect(other.stderr).toMatch(/set the password of shop, in/);
    expect([await logsIn('shop', 'another', 'shop'), await logsIn('shop', secret, 'shop')]).toEqual([
      true,
      false,
    ]);
    await postgres.sql('ALTER ROLE shop NOLOGIN');
    const login = await create(['shop', ...withPassword], { SHOP_PASSWORD: 'another' });
    expect(login.stderr).toContain('set the password of shop');
    expect(await logsIn('shop', 'another', 'shop')).toBe(true);
    await postgres.sql("SET password_encryption = 'md5'; ALTER ROLE shop PASSWORD 'another'");
    expect((await create(['shop', ...withPassword], { SHOP_PASSWORD: 'another' })).stderr).toContain(
      'nothing was changed',
    );
  });

  test.each([
    ['ALTER ROLE shop NOLOGIN CONNECTION LIMIT 0', /its CONNECTION LIMIT is 0 \((.*)\)/],
    ["ALTER ROLE shop VALID UNTIL '2001-01-01'", /its VALID UNTIL has passed \((.*)\)/],
    ['ALTER DATABASE shop ALLOW_CONNECTIONS false', /the database takes no connections \((.*)\)/],
    ['ALTER DATABASE shop CONNECTION LIMIT 0', /the database takes no connections \((.*)\)/],
  ])('what still keeps the owner out is said, with the statement: %s', async (made, words) => {
    expect((await create(['shop', ...withPassword])).status).toBe(0);
    await postgres.sql(made);
    const { status, stderr } = await create(['shop', ...withPassword]);
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(words);
    expect(await logsIn('shop', secret, 'shop')).toBe(false);
    await postgres.sql(words.exec(stderr)?.[1] ?? '');
    expect(await logsIn('shop', secret, 'shop')).toBe(true);
    expect((await create(['shop', ...withPassword])).stderr).not.toContain('cannot log in');
  });

  test('by a role without superuser’s rights, as managed servers have: again, the login tells that all is right', async () => {
    await postgres.sql("CREATE ROLE maker LOGIN CREATEDB CREATEROLE PASSWORD 'made-up-1'");
    const url = new URL(postgres.url('postgres', 'maker'));
    url.password = 'made-up-1';
    const env = { DATABASE_URL: url.href };
    const args = ['shop', ...withPassword, '--extension', 'pgcrypto'];
    const first = await create(args, env);
    expect([first.status, first.stderr]).toEqual([
      0,
      expect.stringContaining('made maker a member of shop, made the database shop'),
    ]);
    expect(first.stderr).toContain('made the extension pgcrypto');
    expect((await create(args, env)).stderr).toContain('nothing was changed');
    const changed = await create(args, { ...env, SHOP_PASSWORD: 'another' });
    expect(changed.stderr).toMatch(/info .*set the password of shop, in/);
    expect(await logsIn('shop', 'another', 'shop')).toBe(true);
    // It is not trusted: only a superuser may.
    const refused = await create(['shop', ...withPassword, '--extension', 'pg_stat_statements'], {
      ...env,
      SHOP_PASSWORD: 'another',
    });
    expect([refused.status, refused.stderr]).toEqual([
      69,
      expect.stringContaining('the role maker may not do it'),
    ]);
    expect(refused.stderr).toContain('the statement: CREATE EXTENSION IF NOT EXISTS "pg_stat_statements"');
  });

  test('a role that may not: one error with the right that is missing and the statement; status 69', async () => {
    await postgres.sql("CREATE ROLE weak LOGIN PASSWORD 'made-up-2'");
    const url = new URL(postgres.url('postgres', 'weak'));
    url.password = 'made-up-2';
    const env = { DATABASE_URL: url.href };
    const role = await create(['shop', ...withPassword], env);
    expect(role.status).toBe(69);
    expect(role.stderr).toMatch(/the role weak may not do it: .*\(42501\)/);
    expect(role.stderr).toContain(`the statement: CREATE ROLE "shop" LOGIN PASSWORD '…'`);
    expect(role.stderr).toContain('it lacks CREATEROLE');
    expect(role.stderr).not.toContain('SCRAM');
    const database = await create(['shop'], env);
    expect([database.status, database.stderr]).toEqual([69, expect.stringContaining('it lacks CREATEDB')]);
    expect(database.stderr).toContain('the statement: CREATE DATABASE "shop"');
  });

  test('the owner of one that is there is changed; encoding and locale of one that is there are told', async () => {
    await postgres.sql('CREATE DATABASE shop');
    const { status, stderr } = await create([
      'shop',
      '--owner',
      'shop',
      '--encoding',
      'LATIN1',
      '--locale',
      'de_DE',
    ]);
    expect([status, stderr]).toEqual([0, expect.stringContaining('gave shop to shop (it was postgres’s)')]);
    expect(stderr).toContain('has the encoding UTF8, not LATIN1: of one that is there it cannot be changed');
    expect(stderr).toMatch(/has the locale \S+, not de_DE/);
  });

  test('encoding and locale of a new one come from template0', async () => {
    expect((await create(['shop', '--encoding', 'SQL_ASCII', '--locale', 'C'])).status).toBe(0);
    expect(
      await postgres.sql(
        "SELECT pg_encoding_to_char(encoding)::text AS e, datcollate::text AS c FROM pg_database WHERE datname = 'shop'",
      ),
    ).toEqual([{ e: 'SQL_ASCII', c: 'C' }]);
    const wrong = await create(['other', '--locale', 'xx_YY.nothing']);
    expect([wrong.status, wrong.stderr]).toEqual([
      69,
      expect.stringContaining('the statement: CREATE DATABASE "other" TEMPLATE "template0" LOCALE'),
    ]);
  });

  test('names are names, whatever is in them', async () => {
    const name = 'Shop "x"';
    expect((await create([name, '--owner', name])).status).toBe(0);
    expect((await create([name, '--owner', name])).stderr).toContain('nothing was changed');
    expect(
      await postgres.sql(
        'SELECT datname::text AS d, datdba::regrole::text AS o FROM pg_database WHERE datname = $1',
        [name],
      ),
    ).toEqual([{ d: name, o: '"Shop ""x"""' }]);
  });

  test('a URL that names the new database: it goes by way of postgres', async () => {
    const { status } = await create(['shop', '--owner', 'shop'], {
      DATABASE_URL: postgres.superuserUrl('shop'),
    });
    expect(status).toBe(0);
  });

  test('rights of PUBLIC: those that a new database has by itself are right', async () => {
    const first = await create(['shop', '--grant', 'connect=public']);
    expect(first.stderr).toMatch(/info .*made the database shop, granted connect to public/);
    expect((await create(['shop', '--grant', 'connect,temp=public'])).stderr).toContain(
      'nothing was changed',
    );
    await postgres.sql('REVOKE ALL ON DATABASE shop FROM PUBLIC');
    expect((await create(['shop', '--grant', 'connect=public'])).stderr).toContain(
      'granted connect to public',
    );
    expect((await create(['shop', '--grant', 'connect=public'])).stderr).toContain('nothing was changed');
  });

  test('an extension that is not installed, a role that is not there', async () => {
    const extension = await create(['shop', '--extension', 'nonsense']);
    expect([extension.status, extension.stderr]).toEqual([
      69,
      expect.stringContaining('the extension’s files are not on the server'),
    ]);
    const grant = await create(['shop', '--grant', 'connect=nobody_there']);
    expect([grant.status, grant.stderr]).toEqual([
      69,
      expect.stringContaining('"nobody_there" does not exist'),
    ]);
  });

  test('--dry-run prints the statements and changes nothing', async () => {
    const { status, stdout } = await create([
      'shop',
      ...withPassword,
      '--extension',
      'pgcrypto',
      '--dry-run',
    ]);
    expect([status, JSON.parse(stdout)]).toEqual([
      0,
      {
        statements: [
          `CREATE ROLE "shop" LOGIN PASSWORD '…'`,
          'CREATE DATABASE "shop" OWNER "shop"',
          'CREATE EXTENSION IF NOT EXISTS "pgcrypto"',
        ],
      },
    ]);
    expect(await postgres.sql("SELECT 1 FROM pg_database WHERE datname = 'shop'")).toEqual([]);
  });

  test.each([
    [[], 'no database was given'],
    [['shop', 'more'], '2 words were given'],
    [['shop', '--owner-password-env', 'SHOP_PASSWORD'], 'no --owner that it is for'],
    [['shop', '--owner', 'shop', '--owner-password-env', 'NOT_SET'], 'the variable NOT_SET is not set'],
    [['shop', '--grant', 'select=reports'], 'is not a right on a database'],
    [['shop', '--grant', 'connect'], 'is not RIGHT=ROLE'],
    [['x'.repeat(64)], 'is longer than the 63 bytes'],
    [['$(NAME)'], 'was not replaced'],
    [['shop', '--maintenance-database', 'shop'], 'is shop itself'],
    [['template0'], 'is what new databases are copied from'],
    [['template1', '--owner', 'shop'], 'is what new databases are copied from'],
  ])('usage: %j', async (args, message) => {
    const { status, stderr } = await create(args);
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  test('a planted function or operator in public changes nothing', async () => {
    await postgres.sql('CREATE DATABASE shop');
    await postgres.sql(
      `CREATE FUNCTION public.pg_encoding_to_char(int) RETURNS name LANGUAGE sql AS $$ SELECT 'planted'::name $$;
       CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '1' $$`,
      [],
      'shop',
    );
    const { status, stderr } = await create(['other', '--owner', 'other', '--maintenance-database', 'shop']);
    expect([status, stderr]).toEqual([0, expect.not.stringContaining('planted')]);
  });
});

describe('several at once, and cut off', () => {
  test('eight replicas end in the same state, each with 0', async () => {
    for (let round = 0; round < 2; round++) {
      const args = ['shop', ...withPassword, '--extension', 'pgcrypto'];
      const all = await Promise.all(Array.from({ length: 8 }, () => create(args)));
      expect(
        all.map(({ status }) => status),
        all.map(({ stderr }) => stderr).join(''),
      ).toEqual(all.map(() => 0));
      expect(all.filter(({ stderr }) => stderr.includes('made the database shop'))).toHaveLength(
        round === 0 ? 1 : 0,
      );
    }
  });

  test('SIGKILL at any moment: the next run completes it', async () => {
    for (const after of [120, 160, 200, 240, 300]) {
      const running = await startInitbox(
        ['create-database', 'shop', ...withPassword, '--extension', 'pgcrypto'],
        {
          env: { DATABASE_URL: postgres.superuserUrl('postgres'), SHOP_PASSWORD: secret },
        },
      );
      await new Promise((resolve) => setTimeout(resolve, after));
      running.kill('SIGKILL');
      await running.exit;
      expect((await create(['shop', ...withPassword, '--extension', 'pgcrypto'])).status).toBe(0);
      expect(await logsIn('shop', secret, 'shop')).toBe(true);
      await postgres.sql('DROP DATABASE shop WITH (FORCE)');
      await postgres.sql('DROP ROLE shop');
    }
  });

  /** Keeps CREATE DATABASE from going on, and nothing that only looks. */
  async function holdUp(server: Postgres): Promise<() => Promise<void>> {
    const blocker = await server.connect('postgres');
    blocker.on('error', () => {});
    await blocker.query('BEGIN; LOCK TABLE pg_catalog.pg_database IN SHARE ROW EXCLUSIVE MODE');
    return () => blocker.end();
  }

  /** A run that has asked the server for the database, and gets no answer. */
  async function atWork(server: Postgres) {
    const running = await startInitbox(['create-database', 'shop', ...withPassword], {
      env: { DATABASE_URL: server.superuserUrl('postgres'), SHOP_PASSWORD: secret },
    });
    const waits =
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE DATABASE%'";
    await waitUntil(async () => (await server.sql(waits)).length === 1, { what: 'CREATE DATABASE' });
    return running;
  }

  test('SIGKILL while the server makes it: the next run waits its turn, and finds it', async () => {
    const letGo = await holdUp(postgres);
    const killed = await atWork(postgres);
    killed.kill('SIGKILL');
    await killed.exit;
    const next = await startInitbox(['create-database', 'shop', ...withPassword], {
      env: { DATABASE_URL: postgres.superuserUrl('postgres'), SHOP_PASSWORD: secret },
    });
    await next.waitForStderr(/another run makes shop/);
    await letGo();
    expect((await next.exit).status).toBe(0);
    expect(await logsIn('shop', secret, 'shop')).toBe(true);
  });

  test('SIGTERM while the server makes it ends at once', async () => {
    const letGo = await holdUp(postgres);
    const running = await atWork(postgres);
    running.kill('SIGTERM');
    expect((await within(promptly, running.exit)).status).toBe(143);
    await letGo();
    expect((await create(['shop', ...withPassword])).status).toBe(0);
  });

  test('the server is killed while it makes it: the same run goes on once it is back', async () => {
    await using server = await startPostgres();
    const letGo = await holdUp(server);
    const running = await atWork(server);
    await server.kill();
    await letGo().catch(() => {});
    await running.waitForStderr(/trying again/);
    await server.start();
    expect((await running.exit).status).toBe(0);
    expect(
      await server.sql("SELECT datdba::regrole::text AS o FROM pg_database WHERE datname = 'shop'"),
    ).toEqual([{ o: 'shop' }]);
  });

  test('while another run is at it: SIGTERM and the deadline end the wait, and say why', async () => {
    const other = await postgres.connect('postgres');
    try {
      const { keyOfName } = await import('../../../../src/clients/postgres/lock-key.ts');
      await other.query(`SELECT pg_advisory_lock(${keyOfName('create-database shop').id})`);
      const env = { DATABASE_URL: postgres.superuserUrl('postgres') };
      const late = await runToDeadline(['create-database', '--timeout', '2s', 'shop'], { env });
      expect([late.status, late.stderr]).toEqual([124, expect.stringContaining('another run makes shop')]);
      const running = await startInitbox(['create-database', 'shop'], { env });
      await running.waitForStderr(/another run makes shop/);
      running.kill('SIGTERM');
      expect((await within(promptly, running.exit)).status).toBe(143);
    } finally {
      await other.end();
    }
  });

  test('a template that somebody is connected to is waited for', async () => {
    await postgres.sql('CREATE DATABASE other');
    const client = await postgres.connect('other');
    const running = await startInitbox(['create-database', 'shop', '--template', 'other'], {
      env: { DATABASE_URL: postgres.superuserUrl('postgres') },
    });
    try {
      await running.waitForStderr(/\(55006\); trying again/);
    } finally {
      await client.end();
    }
    expect((await running.exit).status).toBe(0);
  });

  test('a connection that is ended in the middle is made anew', async () => {
    const blocker = await postgres.connect('postgres');
    await blocker.query('BEGIN; LOCK TABLE pg_catalog.pg_authid IN ACCESS EXCLUSIVE MODE');
    const running = await startInitbox(['create-database', 'shop', ...withPassword], {
      env: {
        DATABASE_URL: `${postgres.superuserUrl('postgres')}?application_name=maker`,
        SHOP_PASSWORD: secret,
      },
    });
    // New logins look into pg_authid, too: it is logged in before, or waits for the lock to go.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await blocker.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'maker'",
    );
    await blocker.query('COMMIT');
    await blocker.end();
    expect((await running.exit).status).toBe(0);
    expect(await logsIn('shop', secret, 'shop')).toBe(true);
  });
});

describe('the server', () => {
  test('is waited for', async () => {
    await using late = await preparePostgres();
    const running = await startInitbox(['create-database', 'shop', '--owner', 'shop'], {
      env: { DATABASE_URL: late.superuserUrl('postgres') },
    });
    await running.waitForStderr(/connection refused/);
    await late.start();
    expect((await running.exit).status).toBe(0);
    await waitUntil(
      async () => (await late.sql("SELECT 1 FROM pg_database WHERE datname = 'shop'")).length === 1,
      {
        what: 'the database',
      },
    );
  });

  test('the password and the URL from files; a wrong one is final', async () => {
    const folder = temporaryDirectory('create').path;
    const at = (name: string): string => join(folder, name);
    writeFileSync(at('url'), postgres.superuserUrl('postgres'));
    writeFileSync(at('password'), `${secret}\n`);
    const files = ['--database-url-file', at('url'), '--owner-password-file', at('password')];
    const { status } = await runInitbox(['create-database', 'shop', '--owner', 'shop', ...files]);
    expect([status, await logsIn('shop', secret, 'shop')]).toEqual([0, true]);
    const url = new URL(postgres.superuserUrl('postgres'));
    url.password = 'wrong';
    const wrong = await create(['shop'], { DATABASE_URL: url.href });
    expect([wrong.status, wrong.stderr]).toEqual([69, expect.stringContaining('28P01')]);
  });

  test('where logins need no password, a login proves nothing, and the password is set', async () => {
    await using trusting = await startPostgres({ hba: ['host all all 127.0.0.1/32 trust'] });
    await trusting.sql('CREATE ROLE maker LOGIN CREATEDB CREATEROLE');
    const env = { DATABASE_URL: trusting.url('postgres', 'maker'), SHOP_PASSWORD: secret };
    for (const round of [1, 2]) {
      const { status, stderr } = await runInitbox(['create-database', 'shop', ...withPassword], { env });
      expect([round, status, stderr]).toEqual([
        round,
        0,
        expect.stringContaining(round === 1 ? 'made the role' : 'set the password'),
      ]);
    }
  });

  test.skipIf(requireOrSkip('poolers', canUsePgBouncer()))(
    'through a pooler: refused, with what to do',
    async () => {
      await using pooler = await startPgBouncer({ upstream: postgres, poolMode: 'transaction' });
      const { status, stderr } = await create(['shop'], { DATABASE_URL: pooler.url('postgres', 'postgres') });
      expect([status, stderr]).toEqual([
        69,
        expect.stringContaining('a connection pooler is in front of the server'),
      ]);
    },
  );
});
