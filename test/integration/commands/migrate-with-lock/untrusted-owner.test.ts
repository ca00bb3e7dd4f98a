// A role that may create tables or the schema initbox must not run code with the rights of the role that migrates: not
// by a trigger, and not by what the server evaluates when it only plans a query.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox, startInitbox, type ProgramResult } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

let postgres: Postgres;
let databases = 0;
const golang = temporaryDirectory('golang');
const goose = temporaryDirectory('goose');

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.sql("CREATE ROLE mig LOGIN PASSWORD 'app-password'; CREATE ROLE evil LOGIN", [], 'postgres');
  writeFileSync(join(golang.path, '001_a.up.sql'), 'CREATE TABLE made (id int);');
  writeFileSync(join(goose.path, '001_a.sql'), '-- +goose Up\nCREATE TABLE made (id int);');
});
afterAll(async () => {
  await postgres?.remove();
  golang.remove();
  goose.remove();
});

/** What evil can make other roles run, each of which says by whose rights. */
const traps = `
  CREATE TABLE public.seized (who text);
  GRANT INSERT ON public.seized TO PUBLIC;
  CREATE FUNCTION public.note() RETURNS void LANGUAGE plpgsql AS $f$
    BEGIN IF current_user <> 'evil' THEN INSERT INTO public.seized VALUES (current_user); END IF; END $f$;
  CREATE FUNCTION public.imm(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.note(); RETURN 1; END $f$;
  CREATE FUNCTION public.yes(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.note(); RETURN true; END $f$;
  CREATE FUNCTION public.moment() RETURNS timestamptz LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.note(); RETURN now(); END $f$;
  CREATE FUNCTION public.fire() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.note(); RETURN NEW; END $f$;`;

/** A database that the superuser owns, in which evil and mig may create schemas, and tables in public. */
async function planted(statements: string): Promise<string> {
  const name = `planted${++databases}`;
  await postgres.sql(`CREATE DATABASE ${name}`, [], 'postgres');
  await postgres.sql(
    `GRANT CREATE ON DATABASE ${name} TO evil, mig; GRANT USAGE, CREATE ON SCHEMA public TO evil, mig`,
    [],
    name,
  );
  const client = await postgres.connect(name);
  try {
    await client.query('SET SESSION AUTHORIZATION evil');
    await client.query(traps);
    await client.query(statements);
  } finally {
    await client.end();
  }
  return name;
}

const seized = (name: string) => postgres.sql('SELECT DISTINCT who FROM public.seized', [], name);
const run = (name: string, ...args: string[]): Promise<ProgramResult> =>
  runInitbox(args, { env: { DATABASE_URL: postgres.url(name, 'mig') } });

describe('the table of another tool, of a role that is not trusted', () => {
  const table =
    'CREATE TABLE public.schema_migrations (version bigint, dirty boolean); GRANT SELECT ON public.schema_migrations TO PUBLIC;';
  test.each<[string, string, string]>([
    [
      'an index expression',
      `${table} CREATE INDEX ON public.schema_migrations ((public.imm(1)))`,
      golang.path,
    ],
    [
      'an index predicate',
      `${table} CREATE INDEX ON public.schema_migrations (version) WHERE public.yes(1)`,
      golang.path,
    ],
    [
      'extended statistics',
      `${table} CREATE STATISTICS public.st ON (public.imm(1) + version), (version) FROM public.schema_migrations`,
      golang.path,
    ],
    [
      'a check constraint of a child',
      `${table} CREATE TABLE public.child (CHECK (public.yes(1))) INHERITS (public.schema_migrations)`,
      golang.path,
    ],
    [
      'goose, an index expression',
      `CREATE TABLE public.goose_db_version (id int, version_id bigint, is_applied boolean, tstamp timestamp);
       GRANT SELECT ON public.goose_db_version TO PUBLIC;
       CREATE INDEX ON public.goose_db_version ((public.imm(2)))`,
      goose.path,
    ],
    [
      'another schema',
      `CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO PUBLIC; ${table.replaceAll('public.', 'other.')}
       CREATE INDEX ON other.schema_migrations ((public.imm(1)))`,
      golang.path,
    ],
  ])('%s: nothing of it runs, and who it belongs to is said', async (_what, statements, folder) => {
    const name = await planted(statements);
    for (const options of [['--dry-run'], []]) {
      const result = await run(name, 'migrate-with-lock', '--sql', folder, ...options);
      expect(await seized(name)).toEqual([]);
      expect(result.status, result.stderr).toBe(69);
      expect(result.stderr).toContain('it belongs to the role evil');
      expect(result.stderr).toContain('--baseline 0 runs every file');
    }
    const result = await run(name, 'migrate-with-lock', '--sql', folder, '--baseline', '0');
    expect(result.status, result.stderr).toBe(0);
    expect(await seized(name)).toEqual([]);
  });

  test('a trusted one beside it is the one that counts', async () => {
    const name = await planted(
      `CREATE SCHEMA a; GRANT USAGE ON SCHEMA a TO PUBLIC; ${table.replaceAll('public.', 'a.')}`,
    );
    await postgres.sql(
      'CREATE TABLE public.schema_migrations (version bigint, dirty boolean); INSERT INTO public.schema_migrations VALUES (7, false); ALTER TABLE public.schema_migrations OWNER TO mig',
      [],
      name,
    );
    const result = await run(name, 'migrate-with-lock', '--sql', golang.path);
    expect(result.stderr).toContain('--baseline 7 takes over from there');
  });
});

/** The tables as initbox makes them. */
const columns = {
  locks: `lock_id bigint PRIMARY KEY, lock_name text NOT NULL, token bigint NOT NULL, host text NOT NULL, role text NOT NULL,
    address inet, started timestamptz NOT NULL, settle_ms bigint NOT NULL, released timestamptz`,
  once: `lock_id bigint NOT NULL, once_key text NOT NULL, lock_name text NOT NULL, state text NOT NULL, token bigint NOT NULL,
    command_hash text NOT NULL, host text NOT NULL, started timestamptz NOT NULL, finished timestamptz, exit_status int,
    PRIMARY KEY (lock_id, once_key)`,
  sql_migrations: `lock_name text NOT NULL, version text NOT NULL, file text NOT NULL, sha256 text NOT NULL, state text NOT NULL,
    statements integer NOT NULL, finished integer NOT NULL, token bigint NOT NULL, started_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz, duration_ms bigint, PRIMARY KEY (lock_name, version)`,
};
const tables = Object.entries(columns)
  .map(([table, text]) => `CREATE TABLE initbox.${table} (${text});`)
  .join('\n');
const each = (statement: (table: string) => string): string =>
  Object.keys(columns).map(statement).join(';\n');
const schema = `CREATE SCHEMA initbox; ${tables} GRANT ALL ON SCHEMA initbox TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA initbox TO PUBLIC;`;

/** Every use of the records. */
const uses: [string, ...string[]][] = [
  ['migrate-with-lock', '--grace', '0s', '--heartbeat', '1s', '--', 'true'],
  ['migrate-with-lock', '--once', 'k', '--', 'true'],
  ['migrate-with-lock', '--sql', goose.path],
  ['migrate-with-lock', '--sql', goose.path, '--dry-run'],
  ['migrate-with-lock', '--status'],
  ['migrate-with-lock', '--forget', 'k'],
  ['wait-postgres', '--migrated', 'k', '--timeout', '2s'],
  ['wait-postgres', '--table', 'initbox.locks'],
];

describe('the schema initbox and its tables, made by a role that is not trusted', () => {
  test.each<[string, string]>([
    [
      'triggers',
      each(
        (table) =>
          `CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON initbox.${table} FOR EACH STATEMENT EXECUTE FUNCTION public.fire()`,
      ),
    ],
    ['index expressions', each((table) => `CREATE INDEX ON initbox.${table} ((public.imm(1)))`)],
    ['index predicates', each((table) => `CREATE INDEX ON initbox.${table} (token) WHERE public.yes(1)`)],
    [
      'extended statistics',
      each(
        (table) =>
          `CREATE STATISTICS initbox.st_${table} ON (public.imm(1) + token), (token) FROM initbox.${table}`,
      ),
    ],
    [
      'defaults',
      each((table) => `ALTER TABLE initbox.${table} ADD COLUMN d timestamptz DEFAULT public.moment()`),
    ],
    [
      'generated columns',
      each(
        (table) => `ALTER TABLE initbox.${table} ADD COLUMN g int GENERATED ALWAYS AS (public.imm(1)) STORED`,
      ),
    ],
    ['check constraints', each((table) => `ALTER TABLE initbox.${table} ADD CHECK (public.yes(1))`)],
    ['rules', each((table) => `CREATE RULE r AS ON INSERT TO initbox.${table} DO ALSO SELECT public.note()`)],
    [
      'row security',
      each(
        (table) =>
          `ALTER TABLE initbox.${table} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON initbox.${table} USING (public.yes(1))`,
      ),
    ],
    [
      'views',
      each(
        (table) =>
          `ALTER TABLE initbox.${table} RENAME TO ${table}_of; CREATE VIEW initbox.${table} AS SELECT * FROM initbox.${table}_of WHERE public.yes(1); GRANT ALL ON initbox.${table} TO PUBLIC`,
      ),
    ],
  ])('%s', { timeout: 120_000 }, async (_what, statements) => {
    const name = await planted(`${schema} ${statements}`);
    const results = await Promise.all(uses.slice(3).map((args) => run(name, ...args)));
    for (const use of uses.slice(0, 3)) results.push(await run(name, ...use));
    expect(await seized(name)).toEqual([]);
    const [dry, status, forget, migrated, exists, plain, once, sql] = results;
    for (const refused of [dry, forget, once, sql]) {
      expect(refused?.status, refused?.stderr).toBe(69);
      expect(refused?.stderr).toContain('the schema initbox belongs to the role evil');
      expect(refused?.stderr).toContain('ALTER SCHEMA initbox OWNER TO postgres');
    }
    expect(status?.status).toBe(0);
    expect(status?.stderr).toContain('the schema initbox belongs to the role evil');
    expect(JSON.parse(status?.stdout ?? '')).toMatchObject({ last: null, once: [] });
    expect(migrated?.status).toBe(124);
    expect(migrated?.stderr).toContain('the schema initbox belongs to the role evil');
    expect(exists?.status).toBe(0);
    // The lock itself needs no record; without one each start waits.
    expect(plain?.status, plain?.stderr).toBe(0);
    expect(plain?.stderr).toContain('cannot keep the lock’s record');
  });

  test('a table of another role in a schema that is trusted', { timeout: 60_000 }, async () => {
    const name = await planted('SELECT 1');
    await postgres.sql('CREATE SCHEMA initbox; GRANT ALL ON SCHEMA initbox TO PUBLIC', [], name);
    const client = await postgres.connect(name);
    await client.query('SET SESSION AUTHORIZATION evil');
    await client.query(
      `${tables} GRANT ALL ON ALL TABLES IN SCHEMA initbox TO PUBLIC; ${each((table) => `CREATE INDEX ON initbox.${table} ((public.imm(1)))`)}`,
    );
    await client.end();
    for (const use of uses) await run(name, ...use);
    expect(await seized(name)).toEqual([]);
    const once = await run(name, 'migrate-with-lock', '--once', 'k', '--', 'true');
    expect(once.status).toBe(69);
    expect(once.stderr).toMatch(/the table initbox\.(locks|once) belongs to the role evil/);
    // What the hints say, each in its turn, lets the program go on.
    for (let hinted = once, tries = 0; ; tries++) {
      const hint =
        /run as a superuser: (ALTER TABLE initbox\.\w+ OWNER TO postgres; GRANT [^;]* TO mig);/.exec(
          hinted.stderr,
        )?.[1];
      expect(hint, hinted.stderr).toBeDefined();
      expect(hinted.stderr).not.toContain('ALTER SCHEMA');
      await postgres.sql(hint ?? '', [], name);
      hinted = await run(name, 'migrate-with-lock', '--once', 'k', '--', 'true');
      if (hinted.status === 0) break;
      expect(tries).toBeLessThan(3);
    }
  });
});

test('roles share the records in a schema of the database’s owner that lets them create tables by name', async () => {
  const name = await planted('SELECT 1');
  await postgres.sql(
    `DROP ROLE IF EXISTS other; CREATE ROLE other LOGIN PASSWORD 'app-password';
     CREATE SCHEMA initbox; GRANT USAGE, CREATE ON SCHEMA initbox TO mig, other;`,
    [],
    name,
  );
  expect((await run(name, 'migrate-with-lock', '--once', 'k', '--', 'true')).status).toBe(0);
  await postgres.sql(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA initbox TO other',
    [],
    name,
  );
  const second = await runInitbox(['migrate-with-lock', '--once', 'k', '--', 'true'], {
    env: { DATABASE_URL: postgres.url(name, 'other') },
  });
  expect(second.status, second.stderr).toBe(0);
  expect(second.stderr).toContain('was done by');
});

test(
  'a schema that another role makes between the look and the creation is not used',
  { timeout: 60_000 },
  async () => {
    const name = await planted('SELECT 1');
    const url = new URL(postgres.url(name, 'mig'));
    // Evil's transaction holds the name; mig's CREATE SCHEMA waits for it, and finds it made.
    const evil = new Client({
      host: postgres.socketDirectory,
      port: postgres.port,
      user: 'evil',
      database: name,
    });
    await evil.connect();
    await evil.query('BEGIN');
    await evil.query(`${schema} ${each((table) => `CREATE INDEX ON initbox.${table} ((public.imm(1)))`)}`);
    const running = runInitbox(['migrate-with-lock', '--once', 'k', '--', 'true'], {
      env: { DATABASE_URL: url.href },
    });
    await expect
      .poll(
        async () =>
          postgres.sql(
            "SELECT 1 FROM pg_stat_activity WHERE usename = 'mig' AND query LIKE 'CREATE SCHEMA%' AND wait_event_type = 'Lock'",
            [],
            name,
          ),
        { timeout: 30_000 },
      )
      .toHaveLength(1);
    await evil.query('COMMIT');
    await evil.end();
    const result = await running;
    expect(await seized(name)).toEqual([]);
    expect(result.status, result.stderr).toBe(69);
    expect(result.stderr).toContain('the schema initbox belongs to the role evil');
  },
);

describe('what was judged once is looked at again before each statement', () => {
  const indexes = each((table) => `CREATE INDEX ON initbox.${table} ((public.imm(1)))`);
  test.each<[string, (superuser: Client, evil: Client) => Promise<void>]>([
    [
      'the schema is dropped, and another role makes it',
      async (superuser, evil) => {
        await superuser.query('DROP SCHEMA initbox CASCADE');
        await evil.query(`${schema} ${indexes}`);
      },
    ],
    [
      'the schema is renamed, and another role makes one of its name',
      async (superuser, evil) => {
        await superuser.query('ALTER SCHEMA initbox RENAME TO old');
        await evil.query(`${schema} ${indexes}`);
      },
    ],
    [
      'the tables are dropped, and another role makes them',
      async (superuser, evil) => {
        await superuser.query(
          'DROP TABLE initbox.locks, initbox.once; GRANT ALL ON SCHEMA initbox TO PUBLIC',
        );
        await evil.query(`${tables} GRANT ALL ON ALL TABLES IN SCHEMA initbox TO PUBLIC; ${indexes}`);
      },
    ],
    [
      'the tables go to another role',
      async (superuser, evil) => {
        await superuser.query(
          'GRANT ALL ON SCHEMA initbox TO PUBLIC; ALTER TABLE initbox.locks OWNER TO evil; ALTER TABLE initbox.once OWNER TO evil',
        );
        await evil.query(
          'CREATE INDEX ON initbox.locks ((public.imm(1))); CREATE INDEX ON initbox.once ((public.imm(1)))',
        );
      },
    ],
  ])('%s while the command runs', { timeout: 60_000 }, async (_what, change) => {
    const name = await planted('SELECT 1');
    expect((await run(name, 'migrate-with-lock', '--once', 'before', '--', 'true')).status).toBe(0);
    const superuser = await postgres.connect(name);
    const evil = await postgres.connect(name);
    await evil.query('SET SESSION AUTHORIZATION evil');
    const go = temporaryDirectory('go');
    const file = join(go.path, 'file');
    const running = await startInitbox(
      [
        'migrate-with-lock',
        '--once',
        'k',
        '--',
        '/bin/sh',
        '-c',
        `while [ ! -e ${file} ]; do sleep 0.02; done`,
      ],
      { env: { DATABASE_URL: postgres.url(name, 'mig') } },
    );
    await running.waitForStderr(/holding the lock/);
    await change(superuser, evil);
    writeFileSync(file, '');
    const result = await running.exit;
    await superuser.end();
    await evil.end();
    go.remove();
    expect(await seized(name)).toEqual([]);
    expect(result.status, result.stderr).not.toBe(0);
    expect(result.stderr).toContain('belongs to the role evil');
  });
});
