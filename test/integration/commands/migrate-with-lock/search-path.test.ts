// CVE-2018-1058: a role that may create objects in some schema of the search path must not get at the rights of who
// runs the program. Every object here calls itself known when it is used.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { canUsePgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox, type ProgramResult } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { quick, startReplica } from './contenders.ts';

let postgres: Postgres;
const database = 'shared';
const folder = temporaryDirectory('migrations');

/** Operators of built-in types that are no exact match in pg_catalog, or that win where public comes first. */
const operators = ['=', '<>', '<', '<=', '>', '>=', '||', '!~'].flatMap((operator) =>
  [
    ['oid', 'bigint'],
    ['oid', 'integer'],
    ['oid', 'oid'],
    ['bigint', 'integer'],
    ['integer', 'bigint'],
    ['bigint', 'bigint'],
    ['integer', 'integer'],
    ['smallint', 'integer'],
    ['name', 'text'],
    ['text', 'name'],
    ['name', 'name'],
    ['text', 'text'],
    ['text', 'character varying'],
    ['"char"', 'text'],
    ['"char"', '"char"'],
    ['boolean', 'boolean'],
    ['timestamptz', 'timestamptz'],
  ].map(([left, right]) => ({ operator, left, right })),
);

/** Functions by their name, arguments and result. */
const functions = [
  ['pg_backend_pid', '', 'integer'],
  ['pg_is_in_recovery', '', 'boolean'],
  ['pg_postmaster_start_time', '', 'timestamptz'],
  ['pg_try_advisory_lock', 'bigint', 'boolean'],
  ['pg_try_advisory_lock', 'integer', 'boolean'],
  ['pg_advisory_unlock', 'bigint', 'boolean'],
  ['pg_notify', 'text, text', 'void'],
  ['pg_terminate_backend', 'integer', 'boolean'],
  ['pg_current_wal_lsn', '', 'pg_lsn'],
  ['pg_walfile_name', 'pg_lsn', 'text'],
  ['substr', 'text, integer, integer', 'text'],
  ['inet_client_addr', '', 'inet'],
  ['current_database', '', 'name'],
  ['current_setting', 'text', 'text'],
  ['current_setting', 'text, boolean', 'text'],
  ['set_config', 'text, text, boolean', 'text'],
  ['host', 'inet', 'text'],
  ['starts_with', 'text, text', 'boolean'],
  ['txid_current', '', 'bigint'],
  ['now', '', 'timestamptz'],
  ['clock_timestamp', '', 'timestamptz'],
  ['to_timestamp', 'double precision', 'timestamptz'],
  ['extract', 'text, timestamptz', 'numeric'],
  ['date_part', 'text, timestamptz', 'double precision'],
  ['to_regclass', 'text', 'regclass'],
  ['to_regnamespace', 'text', 'regnamespace'],
  ['has_table_privilege', 'text, text', 'boolean'],
  ['has_table_privilege', 'oid, text', 'boolean'],
  ['has_any_column_privilege', 'oid, text', 'boolean'],
  ['format', 'text', 'text'],
  ['format', 'text, integer, text', 'text'],
  ['format', 'text, name, name', 'text'],
  ['coalesce', 'text, text', 'text'],
  ['unnest', 'text[]', 'text'],
] as const;

/** What hides a relation or a type of the same name. */
const views = ['pg_locks', 'pg_stat_activity', 'pg_database', 'pg_roles', 'pg_class', 'pg_settings'];
const types = ['text', 'float8', 'int8', 'int4', 'inet', 'timestamptz', 'oid', 'json', 'name'];

/** A superuser's database in which an unprivileged role may create objects in public. */
async function plant(): Promise<void> {
  const sql = (text: string) => postgres.sql(text, [], database);
  await postgres.sql(`CREATE DATABASE ${database}`, [], 'postgres');
  await sql(`
    CREATE ROLE mallory LOGIN;
    CREATE SCHEMA secret;
    CREATE TABLE secret.used (what pg_catalog.text);
    CREATE SEQUENCE secret.count;
    CREATE TABLE public.users (id int);
    GRANT USAGE, CREATE ON SCHEMA public TO mallory`);
  const statements: string[] = [];
  // A sequence does not go back with a transaction, and the server's log names the object.
  const body = (what: string): string =>
    `BEGIN RAISE LOG 'seized by %', '${what}'; IF pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on' THEN PERFORM pg_catalog.nextval('secret.count'); END IF;`;
  for (const [index, { operator, left, right }] of operators.entries()) {
    const result = operator === '||' ? 'text' : 'boolean';
    statements.push(
      `CREATE FUNCTION public.op${index}(${left}, ${right}) RETURNS pg_catalog.${result === 'text' ? 'text' : 'bool'} LANGUAGE plpgsql AS $f$ ${body(`${operator}(${left}, ${right})`)} RETURN NULL; END $f$`,
      `CREATE OPERATOR public.${operator} (FUNCTION = public.op${index}, LEFTARG = ${left}, RIGHTARG = ${right})`,
    );
  }
  for (const [name, given, result] of functions) {
    statements.push(
      `CREATE FUNCTION public."${name}"(${given}) RETURNS ${result} LANGUAGE plpgsql AS $f$ ${body(`${name}(${given})`)} ${result === 'void' ? '' : 'RETURN NULL;'} END $f$`,
    );
  }
  statements.push(
    `CREATE FUNCTION public.check_it() RETURNS boolean LANGUAGE plpgsql AS $f$ ${body('a view or a type')} RETURN true; END $f$`,
    `CREATE FUNCTION public.step(bigint) RETURNS bigint LANGUAGE plpgsql AS $f$ ${body('count(*)')} RETURN 0; END $f$`,
    `CREATE AGGREGATE public.count(*) (SFUNC = public.step, STYPE = bigint, INITCOND = '0')`,
    ...views.map(
      (name) => `CREATE VIEW public.${name} AS SELECT * FROM pg_catalog.${name} WHERE public.check_it()`,
    ),
    ...types.map((name) => `CREATE DOMAIN public.${name} AS pg_catalog.${name} CHECK (public.check_it())`),
  );
  const client = await postgres.connect(database);
  try {
    await client.query('SET SESSION AUTHORIZATION mallory; SET search_path = pg_catalog');
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Objects that ran with a superuser's rights. */
async function seized(): Promise<string[]> {
  const [row] = await postgres.sql('SELECT is_called AS called FROM secret.count', [], database);
  const names = postgres
    .logs()
    .slice(logged)
    .matchAll(/LOG: {2}seized by (.*)/g);
  const found = [...new Set([...names].map(([, name = '']) => name))];
  return row?.['called'] === true && found.length === 0 ? ['something'] : found;
}
let logged = 0;

beforeAll(async () => {
  postgres = await startPostgres();
  await plant();
  writeFileSync(join(folder.path, '1_a.sql'), 'SELECT 1;\nCREATE TABLE made (id int);');
  writeFileSync(join(folder.path, '2_b.sql'), 'CREATE INDEX CONCURRENTLY made_id ON made (id);');
});
afterAll(async () => {
  await postgres?.remove();
  folder.remove();
});
beforeEach(async () => {
  await postgres.sql(
    'DROP SCHEMA IF EXISTS initbox CASCADE; DROP TABLE IF EXISTS public.made; ALTER SEQUENCE secret.count RESTART',
    [],
    database,
  );
  logged = postgres.logs().length;
});
afterEach(async () => {
  await postgres.sql('ALTER ROLE postgres RESET search_path', [], 'postgres');
});

const env = (url = postgres.superuserUrl(database)) => ({ DATABASE_URL: url });
const lock = (...args: string[]): Promise<ProgramResult> =>
  runInitbox(['migrate-with-lock', ...args], { env: env() });
const wait = (...args: string[]): Promise<ProgramResult> =>
  runInitbox(['wait-postgres', '--timeout', '20s', ...args], { env: env() });

const paths = [
  ['the search path as it comes', undefined],
  ['public before pg_catalog', 'public, pg_catalog'],
] as const;

describe.each(paths)('objects that an unprivileged role made are not used by a superuser: %s', (_, path) => {
  beforeEach(async () => {
    if (path !== undefined)
      await postgres.sql(`ALTER ROLE postgres SET search_path = ${path}`, [], 'postgres');
  });

  test('the trap works: what is not qualified is seized', async () => {
    const client = await postgres.connect(database);
    await client.query(`SELECT 1 FROM pg_catalog.pg_class WHERE oid = 5000000000 LIMIT 1`);
    await client.end();
    expect(await seized()).toContain('=(oid, bigint)');
  });

  test('a command under the lock', async () => {
    expect(await lock('--', 'true')).toMatchObject({ status: 0 });
    expect(await seized()).toEqual([]);
  });

  test('a command that fails, with a successor that waits for it', async () => {
    const server = { url: () => postgres.superuserUrl(database) };
    const first = await startReplica(server, [...quick, '--', '/bin/sh', '-c', 'sleep 2; exit 3']);
    await first.waitForStderr(/holding the lock/);
    const second = await startReplica(server, [...quick, '--', 'true']);
    expect((await first.exit).status).toBe(3);
    expect((await second.exit).status).toBe(0);
    expect(await seized()).toEqual([]);
  });

  test('a lock that was lost, and what is left ended', async () => {
    const server = { url: () => postgres.superuserUrl(database) };
    const first = await startReplica(server, [
      ...quick,
      '--',
      '/bin/sh',
      '-c',
      'psql -qc "SELECT pg_catalog.pg_sleep(60)" "$DATABASE_URL"',
    ]);
    await first.waitForStderr(/holding the lock/);
    await postgres.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'initbox:%:lock%'`,
    );
    expect((await first.exit).status).toBe(75);
    const second = await startReplica(server, [...quick, '--', 'true']);
    const result = await second.exit;
    expect(result.status).toBe(0);
    expect(result.stderr).toContain('did not release the lock');
    expect(await seized()).toEqual([]);
  });

  test('--once, done and found done, --status and --forget', async () => {
    expect(await lock('--once', 'v1', '--', 'true')).toMatchObject({ status: 0 });
    const again = await lock('--once', 'v1', '--', 'false');
    expect(again.status).toBe(2);
    expect(await lock('--once', 'v1', '--', 'true')).toMatchObject({ status: 0 });
    const status = await lock('--status');
    expect(JSON.parse(status.stdout)).toMatchObject({ once: [{ key: 'v1', state: 'done' }] });
    expect((await lock('--forget', 'v1')).stderr).toContain('forgot "v1"');
    expect(await seized()).toEqual([]);
  });

  test('--sql and its dry run; the files see the role’s own search path', async () => {
    expect(await lock('--sql', folder.path, '--dry-run')).toMatchObject({ status: 0 });
    expect(await seized()).toEqual([]);
    const run = await lock('--sql', folder.path);
    expect(run.status, run.stderr).toBe(0);
    expect(await lock('--sql', folder.path)).toMatchObject({ status: 0 });
    expect(await seized()).toEqual([]);
    expect(
      await postgres.sql(
        "SELECT relnamespace::regnamespace::text AS s FROM pg_catalog.pg_class WHERE relname OPERATOR(pg_catalog.=) 'made'::pg_catalog.name",
        [],
        database,
      ),
    ).toEqual([{ s: 'public' }]);
  });

  test('wait-postgres: --primary, --table, --migrated, --query', async () => {
    await lock('--once', 'v1', '--', 'true');
    logged = postgres.logs().length;
    const result = await wait(
      '--primary',
      '--table',
      'users',
      '--table',
      'public.users',
      '--migrated',
      'v1',
      '--query',
      'SELECT true',
    );
    expect(result.status, result.stderr).toBe(0);
    const url = `${postgres.superuserUrl(database)}?target_session_attrs=primary`;
    expect(await runInitbox(['wait-postgres', '--timeout', '20s'], { env: env(url) })).toMatchObject({
      status: 0,
    });
    expect(await seized()).toEqual([]);
  });
});

describe('what another tool’s table holds is not run', () => {
  const look = async (url: string): Promise<ProgramResult> => {
    const other = temporaryDirectory('golang-migrate');
    writeFileSync(join(other.path, '1_a.up.sql'), 'SELECT 1');
    const result = await runInitbox(['migrate-with-lock', '--sql', other.path, '--dry-run'], {
      env: env(url),
    });
    other.remove();
    return result;
  };

  afterEach(async () => {
    await postgres.sql('DROP TABLE public.schema_migrations', [], database);
  });

  test('its owner’s types, with casts of their own', async () => {
    const client = await postgres.connect(database);
    await client.query(`SET SESSION AUTHORIZATION mallory; SET search_path = pg_catalog;
      CREATE TYPE public.ver AS ENUM ('7');
      CREATE FUNCTION public.shown(public.ver) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.check_it(); RETURN '7'; END $f$;
      CREATE CAST (public.ver AS text) WITH FUNCTION public.shown(public.ver);
      CREATE TABLE public.schema_migrations (version public.ver, dirty bool);
      INSERT INTO public.schema_migrations VALUES ('7', false)`);
    await client.end();
    const result = await look(postgres.superuserUrl(database));
    expect(result.status).toBe(69);
    expect(result.stderr).toContain('in which golang-migrate keeps its record');
    expect(await seized()).toEqual([]);
  });

  test('its owner’s row policies', async () => {
    const client = await postgres.connect(database);
    await client.query(`SET SESSION AUTHORIZATION mallory; SET search_path = pg_catalog;
      CREATE TABLE public.schema_migrations (version bigint, dirty bool);
      INSERT INTO public.schema_migrations VALUES (7, false);
      ALTER TABLE public.schema_migrations ENABLE ROW LEVEL SECURITY;
      CREATE POLICY watch ON public.schema_migrations USING (public.check_it());
      GRANT SELECT ON public.schema_migrations TO app`);
    await client.end();
    const result = await look(postgres.url(database));
    expect(result.status).toBe(69);
    expect(await seized()).toEqual([]);
  });
});

describe.skipIf(requireOrSkip('PgBouncer', canUsePgBouncer()))('behind PgBouncer', () => {
  test('in transaction mode nothing of it stays in the sessions that others get', async () => {
    await using pooler = await startPgBouncer({
      upstream: postgres,
      poolMode: 'transaction',
      settings: { default_pool_size: 1 },
    });
    const url = pooler.url(database, 'postgres');
    const run = (...args: string[]): Promise<ProgramResult> => runInitbox(args, { env: env(url) });
    expect(await run('migrate-with-lock', '--status')).toMatchObject({ status: 0 });
    const demands = ['--primary', '--table', 'users', '--query', 'SELECT true'];
    const waited = await run('wait-postgres', '--timeout', '20s', ...demands);
    expect(waited.status, waited.stderr).toBe(0);
    expect(await run('migrate-with-lock', '--', 'true')).toMatchObject({ status: 69 });
    const client = new Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query('SHOW search_path');
    await client.end();
    expect(rows).toEqual([{ search_path: '"$user", public' }]);
    expect(await seized()).toEqual([]);
  });
});
