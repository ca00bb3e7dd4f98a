// Tables of the schema initbox that are not as it makes them: said by name, final where a record is needed, never waited for.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox, type ProgramResult } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

let postgres: Postgres;
let databases = 0;
const folder = temporaryDirectory('misshapen');
beforeAll(async () => {
  postgres = await startPostgres();
  writeFileSync(join(folder.path, '001_a.sql'), 'CREATE TABLE made (id int);');
});
afterAll(async () => {
  await postgres?.remove();
  folder.remove();
});

const run = (name: string, ...args: string[]): Promise<ProgramResult> =>
  runInitbox(args, { env: { DATABASE_URL: postgres.url(name) } });
const quick = ['migrate-with-lock', '--grace', '0s', '--heartbeat', '1s', '--timeout', '5m'];

/** A database in which all three tables are there, and then changed. */
async function changed(statements: string): Promise<string> {
  const name = `misshapen${++databases}`;
  await postgres.sql(`CREATE DATABASE ${name} OWNER app`, [], 'postgres');
  expect((await run(name, ...quick, '--sql', folder.path)).status).toBe(0);
  await postgres.sql(statements, [], name);
  return name;
}

const each = (change: (table: string) => string): string =>
  ['locks', 'once', 'sql_migrations'].map((table) => change(`initbox.${table}`)).join(';\n');

describe.each<[string, string, RegExp]>([
  ['a column is gone', each((table) => `ALTER TABLE ${table} DROP COLUMN token`), /it has no column token/],
  [
    'a column is renamed',
    each((table) => `ALTER TABLE ${table} RENAME lock_name TO name`),
    /it has no column lock_name/,
  ],
  [
    'a column has another type',
    each((table) => `ALTER TABLE ${table} ALTER token TYPE text`),
    /its column token is not a number/,
  ],
  [
    'there is a column that must have a value',
    each((table) => `TRUNCATE ${table}; ALTER TABLE ${table} ADD tenant text NOT NULL`),
    /its column tenant, which this program does not know, needs a value/,
  ],
  [
    'another table',
    each((table) => `DROP TABLE ${table}; CREATE TABLE ${table} (id int)`),
    /it has no column/,
  ],
  [
    'a view',
    each(
      (table) =>
        `ALTER TABLE ${table} RENAME TO o_${table.slice(8)}; CREATE VIEW ${table} AS SELECT 1 AS token`,
    ),
    /it is not an ordinary table \(relkind v\)/,
  ],
  [
    'a partitioned table',
    each((table) => `DROP TABLE ${table}; CREATE TABLE ${table} (token bigint) PARTITION BY LIST (token)`),
    /it is not an ordinary table \(relkind p\)/,
  ],
  [
    'no key, as a restore that ended early leaves it',
    each((table) => `ALTER TABLE ${table} DROP CONSTRAINT ${table.slice(8)}_pkey`),
    /it has no primary key/,
  ],
])('%s', (_name, statements, words) => {
  test('each use says so and how to go on', async () => {
    const name = await changed(statements);
    for (const [args, status] of [
      [[...quick, '--', 'true'], 0],
      [[...quick, '--once', 'k', '--', 'true'], 69],
      [[...quick, '--sql', folder.path], 69],
    ] as const) {
      const { status: ended, stderr } = await run(name, ...args);
      expect(stderr).toMatch(words);
      expect(stderr).toMatch(/the table initbox\.\w+ is not as initbox makes it/);
      expect(stderr).toMatch(/ALTER TABLE initbox\.(\w+) RENAME TO \1_old/);
      expect(stderr).not.toMatch(/\(42|\(23|unexpected error/);
      expect(ended, stderr).toBe(status);
    }
    const status = await run(name, 'migrate-with-lock', '--status');
    expect(status.status, status.stderr).toBe(0);
    const waits = await run(name, 'wait-postgres', '--migrated', 'k', '--timeout', '2s');
    expect(waits.status, waits.stderr).toBe(124);
    expect(waits.stderr).not.toMatch(/\(42/);
  });
});

describe.each<[string, (table: string) => string, RegExp, RegExp]>([
  [
    'UNLOGGED',
    (table) => `ALTER TABLE ${table} SET UNLOGGED`,
    /it is UNLOGGED, so that a crash of the server empties it/,
    /ALTER TABLE (initbox\.\w+) SET LOGGED/,
  ],
  [
    'a rule',
    (table) => `CREATE RULE "R" AS ON UPDATE TO ${table} DO INSTEAD NOTHING`,
    /rules change what is done to it \("R"\)/,
    /DROP RULE "R" ON initbox\.\w+/,
  ],
  [
    'row level security, for its owner too',
    (table) => `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
    /row level security may hide its rows from this role/,
    /ALTER TABLE initbox\.\w+ DISABLE ROW LEVEL SECURITY/,
  ],
  [
    'a child, with its rows',
    (
      table,
    ) => `CREATE TABLE public.old_${table.slice(8)} () INHERITS (${table}); SET session_replication_role = replica;
      WITH moved AS (DELETE FROM ONLY ${table} RETURNING *) INSERT INTO public.old_${table.slice(8)} SELECT * FROM moved`,
    /other tables inherit from it, whose rows are not read \(public\.old_\w+\)/,
    /ALTER TABLE public\.old_\w+ NO INHERIT initbox\.\w+/,
  ],
])('%s', (_name, change, words, advice) => {
  test('each use says so, and the statement that mends it mends it', async () => {
    const name = await changed(each(change));
    const mends: string[] = [];
    for (const [args, status] of [
      [[...quick, '--', 'true'], 0],
      [[...quick, '--once', 'k', '--', 'true'], 69],
      [[...quick, '--sql', folder.path], 69],
    ] as const) {
      const { status: ended, stderr } = await run(name, ...args);
      expect(stderr).toMatch(words);
      expect(stderr).toMatch(advice);
      expect(ended, stderr).toBe(status);
    }
    const waits = await run(name, 'wait-postgres', '--migrated', 'k', '--timeout', '2s');
    expect(waits.status, waits.stderr).toBe(124);
    expect(waits.stderr).toMatch(words);
    // Until nothing is left to mend.
    for (let left = 4; left > 0; left -= 1) {
      const { status, stderr } = await run(name, ...quick, '--sql', folder.path);
      const mend = new RegExp(advice.source).exec(stderr)?.[0];
      if (status === 0 || mend === undefined) break;
      mends.push(mend);
      await postgres.sql(mend, [], name);
    }
    const { status, stderr } = await run(name, ...quick, '--once', 'k', '--sql', folder.path);
    expect(mends).toHaveLength(3);
    // The rows of a child are no longer there: its file is late, or runs again.
    if (!_name.startsWith('a child')) expect(status, stderr).toBe(0);
  });
});

test('row level security that is not for its owner hides nothing', async () => {
  const name = await changed(each((table) => `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`));
  const { status, stderr } = await run(name, ...quick, '--once', 'k', '--sql', folder.path);
  expect(status, stderr).toBe(0);
  expect(stderr).not.toContain('row level security');
});

test('a command that makes its record UNLOGGED: what it did is not taken for done', async () => {
  const name = await changed('SELECT 1');
  const url = postgres.url(name);
  const { status, stderr } = await run(
    name,
    ...quick,
    '--once',
    'u',
    '--',
    'psql',
    '-X',
    url,
    '-c',
    'ALTER TABLE initbox.once SET UNLOGGED',
  );
  expect(stderr).toMatch(/it is UNLOGGED/);
  expect(status, stderr).toBe(75);
});

describe('a trigger of a table of records', () => {
  const trigger = (table: string, when: string, body: string): string =>
    `CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NEW; END $$;
     CREATE TRIGGER t ${when} ON initbox.${table} FOR EACH ROW EXECUTE FUNCTION public.f()`;
  const once = [...quick, '--once', 't', '--', 'echo', 'ran'];

  test.each([
    ['swallows the start', trigger('once', 'BEFORE INSERT', 'RETURN NULL'), 69, ''],
    ['removes the start', trigger('once', 'AFTER INSERT', 'DELETE FROM initbox.once'), 69, ''],
    ['changes the end', trigger('once', 'BEFORE UPDATE', "NEW.state := 'running'"), 75, 'ran\n'],
    [
      'removes the end',
      trigger(
        'once',
        'AFTER INSERT OR UPDATE',
        "IF NEW.state = 'done' THEN DELETE FROM initbox.once; END IF",
      ),
      75,
      'ran\n',
    ],
    ['swallows the holder', trigger('locks', 'BEFORE UPDATE', 'RETURN NULL'), 69, ''],
    [
      'shortens the holder’s time',
      trigger('locks', 'BEFORE INSERT OR UPDATE', 'NEW.settle_ms := 200'),
      69,
      '',
    ],
    [
      'says that the holder released at once',
      trigger('locks', 'BEFORE INSERT OR UPDATE', 'NEW.released := now()'),
      69,
      '',
    ],
    ['removes the holder', trigger('locks', 'AFTER INSERT OR UPDATE', 'DELETE FROM initbox.locks'), 69, ''],
  ])('%s: said, and not taken for done', async (_what, made, status, stdout) => {
    const name = await changed(made);
    const result = await run(name, ...once);
    expect(result, result.stderr).toMatchObject({ status, stdout });
    expect(result.stderr).not.toMatch(/unexpected error|the lock was lost/);
    if (status === 69) expect(result.stderr).toMatch(/ALTER TABLE initbox\.\w+ DISABLE TRIGGER USER/);
    await postgres.sql('DROP FUNCTION public.f CASCADE', [], name);
    expect(await run(name, ...once)).toMatchObject({ status: 0, stdout: 'ran\n' });
  });

  test('that only keeps a journal is no trouble', async () => {
    const name = await changed(
      `CREATE TABLE public.journal (what text);
       CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.journal VALUES (TG_TABLE_NAME); RETURN NULL; END $$;
       CREATE TRIGGER t AFTER INSERT OR UPDATE ON initbox.once FOR EACH ROW EXECUTE FUNCTION public.f();
       CREATE TRIGGER t AFTER INSERT OR UPDATE ON initbox.locks FOR EACH ROW EXECUTE FUNCTION public.f()`,
    );
    expect(await run(name, ...once)).toMatchObject({ status: 0, stdout: 'ran\n' });
    expect(await run(name, ...once)).toMatchObject({ status: 0, stdout: '' });
    expect(await postgres.sql('SELECT count(*)::int AS n FROM journal', [], name)).toEqual([{ n: 4 }]);
  });
});

test('more columns, wider types and other indexes are no trouble', async () => {
  const name = await changed(
    each(
      (table) =>
        `ALTER TABLE ${table} ADD note text, ADD at timestamptz NOT NULL DEFAULT now(), ALTER token TYPE numeric; CREATE INDEX ON ${table} (token)`,
    ),
  );
  for (const args of [
    ['--', 'true'],
    ['--once', 'k', '--', 'true'],
    ['--sql', folder.path],
  ]) {
    const { status, stderr } = await run(name, ...quick, ...args);
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain('is not as initbox makes it');
  }
});
