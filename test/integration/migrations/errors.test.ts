import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { debianPostgres, startPostgres, type Postgres } from '../../support/postgres.ts';
import { migrate, newDatabase, status, words, type Place } from './harness.ts';

let server: Postgres;
let place: Place;

beforeAll(async () => {
  server = await startPostgres({ binaries: debianPostgres() });
});
afterAll(async () => server?.remove());
beforeEach(async () => {
  place = await newDatabase(server);
});

describe('what a file makes is there already', () => {
  const makes = { '1_a.sql': 'CREATE TABLE a ();', '2_b.sql': 'CREATE TABLE b ();' };

  test('nothing is recorded: the baseline that is named has an effect', async () => {
    await place.sql('CREATE TABLE a ()');
    place.write(makes);
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/42P07[\s\S]*--baseline VERSION takes over from there/);
    expect(status((await migrate(place, { baseline: '1' })).outcome)).toBe(0);
  });

  test('a file before it is recorded: no baseline, and what is named has an effect', async () => {
    await place.sql('CREATE TABLE b ()');
    place.write(makes);
    for (const _start of ['the first', 'the next']) {
      const { outcome } = await migrate(place);
      expect(words(outcome)).not.toContain('--baseline');
      expect(words(outcome)).toMatch(/42P07[\s\S]*--accept done:2 records it without running it/);
    }
    expect(status((await migrate(place, { baseline: '2' })).outcome)).toBe(69);
    const accepted = await migrate(place, { accept: [{ kind: 'done', version: '2' }] });
    expect(status(accepted.outcome), words(accepted.outcome)).toBe(0);
  });

  test('outside a transaction, and in a repeatable file that ran before', async () => {
    await place.sql('CREATE TABLE b ()');
    place.write({ 'V1__b.sql': '-- initbox:no-transaction\nCREATE TABLE b ();', 'R__v.sql': 'SELECT 1;' });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/42P07[\s\S]*--accept done:1 records it/);
    expect(status((await migrate(place, { accept: [{ kind: 'done', version: '1' }] })).outcome)).toBe(0);
    place.write({ 'R__v.sql': 'CREATE TABLE b ();' });
    expect(words((await migrate(place)).outcome)).not.toMatch(/--baseline|--accept/);
  });
});

describe('an error of the server', () => {
  test.each<[string, string, number, RegExp]>([
    [
      'syntax, with its line',
      'CREATE TABLE a ();\r\n\r\nINSERT INTO a\r\n  VALEUS (1);\r\n',
      1,
      /^2_x\.sql:4: syntax error at or near "VALEUS" \(SQLSTATE 42601\)/,
    ],
    [
      'a position behind characters of several bytes',
      "SELECT '😀 ü',\n nope;",
      1,
      /^2_x\.sql:2: column "nope" does not exist \(SQLSTATE 42703\)/,
    ],
    [
      'no position: the statement’s line',
      '-- head\nCREATE TABLE t (id int PRIMARY KEY);\n\nINSERT INTO t VALUES (1), (1);\n',
      1,
      /^2_x\.sql:4: duplicate key .*23505[\s\S]*in: INSERT INTO t VALUES …[\s\S]*detail: Key \(id\)=\(1\)/,
    ],
    [
      'inside a function: where',
      "DO $$ BEGIN\n RAISE EXCEPTION 'no %', 1;\nEND $$;",
      1,
      /^2_x\.sql:1: no 1 \(SQLSTATE P0001\)[\s\S]*where: PL\/pgSQL function inline_code_block line 2 at RAISE/,
    ],
    [
      'a deferred constraint at COMMIT',
      'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO c VALUES (1);',
      1,
      /^2_x\.sql at its COMMIT: insert or update on table "c" violates foreign key/,
    ],
    [
      'rights: 69',
      'CREATE TABLE pg_catalog.x ();',
      69,
      /^2_x\.sql:1: permission denied .*42501[\s\S]*give the role what it lacks/,
    ],
    [
      'not to be run in a transaction, though nobody could tell',
      'DISCARD ALL;',
      1,
      /^2_x\.sql:1: DISCARD ALL cannot run inside a transaction block[\s\S]*-- initbox:no-transaction/,
    ],
    [
      'a procedure that commits',
      'CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p();',
      1,
      /^2_x\.sql:2: invalid transaction termination[\s\S]*-- initbox:no-transaction/,
    ],
    [
      'a new enum value used in the transaction that the file makes itself',
      "BEGIN;\nALTER TYPE mood ADD VALUE 'odd';\nCREATE TABLE m (m mood DEFAULT 'odd');\nINSERT INTO m DEFAULT VALUES;\nCOMMIT;",
      1,
      /^2_x\.sql:3: unsafe use of new value[\s\S]*put its use in the next file/,
    ],
    [
      'its own record taken away',
      "DELETE FROM initbox.sql_migrations WHERE version = '2';",
      1,
      /^2_x\.sql cannot be recorded: its own statements removed or changed its row in initbox\.sql_migrations/,
    ],
    [
      'its own record changed',
      "UPDATE initbox.sql_migrations SET state = 'done' WHERE version = '2';",
      1,
      /^2_x\.sql cannot be recorded: its own statements removed or changed its row/,
    ],
    [
      'the table of records taken away',
      'DROP SCHEMA initbox CASCADE;',
      1,
      /^2_x\.sql cannot be recorded: its own statements made that impossible: relation "initbox\.sql_migrations" does not exist \(SQLSTATE 42P01\)/,
    ],
    [
      'read only in the end, though nobody could tell',
      "SELECT set_config('transaction_read_only', 'on', true);",
      1,
      /^2_x\.sql cannot be recorded: its own statements made that impossible: cannot execute UPDATE in a read-only transaction \(SQLSTATE 25006\)[\s\S]*or to its transaction/,
    ],
  ])('%s', async (_name, sql, exit, expected) => {
    place.write({
      '1_first.sql': "CREATE TABLE first (); CREATE TYPE mood AS ENUM ('sad');",
      '2_x.sql': sql,
    });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(expected);
    expect(words(outcome)).toMatch(/the whole file was rolled back/);
    expect(words(outcome)).toMatch(/1 of 2 migrations ran, the last of them 1_first\.sql/);
    expect(status(outcome)).toBe(exit);
    expect(await place.records()).toEqual(['1 done 2']);
    // Mended, it goes on from there.
    place.write({ '2_x.sql': 'SELECT 1' });
    expect(words((await migrate(place)).outcome)).toMatch(/^2_x\.sql ran/);
  });
});

test('an enum value alone is added in a transaction, exactly once', async () => {
  place.write({
    '1_a.sql': "CREATE TYPE mood AS ENUM ('sad');",
    '2_b.sql': "ALTER TYPE mood ADD VALUE 'odd';",
    '3_c.sql': "CREATE TABLE m (m mood DEFAULT 'odd'); INSERT INTO m DEFAULT VALUES;",
  });
  const { outcome, log } = await migrate(place);
  expect(status(outcome)).toBe(0);
  expect(log).not.toMatch(/outside a transaction/);
});

test('an enum value that is used in its own file: the file fails, and is not run again without its transaction', async () => {
  await place.sql('CREATE SCHEMA tenant AUTHORIZATION app');
  place.write({
    '1_a.sql': "CREATE TYPE tenant.mood AS ENUM ('a'); CREATE TABLE tenant.m (m tenant.mood);",
    '2_b.sql':
      "SET LOCAL search_path = tenant, public;\nALTER TYPE mood ADD VALUE 'b';\nCREATE TABLE orders (m mood);\nINSERT INTO orders VALUES ('b');",
  });
  const { outcome, log } = await migrate(place);
  expect(words(outcome)).toMatch(
    /^2_b\.sql:4: unsafe use of new value[\s\S]*the whole file was rolled back[\s\S]*put its use in the next file, or add the line "-- initbox:no-transaction"/,
  );
  expect(status(outcome)).toBe(1);
  expect(log).not.toMatch(/outside a transaction/);
  const left = await place.sql(
    "SELECT (SELECT count(*)::int FROM pg_class WHERE relname = 'orders') AS tables, (SELECT count(*)::int FROM pg_enum WHERE enumlabel = 'b') AS labels",
  );
  expect(left).toEqual([{ tables: 0, labels: 0 }]);
  expect(await place.records()).toEqual(['1 done 2']);
  // What it says to do works.
  place.write({
    '2_b.sql': "ALTER TYPE tenant.mood ADD VALUE 'b';",
    '3_c.sql': "SET LOCAL search_path = tenant;\nINSERT INTO m VALUES ('b');",
  });
  expect(words((await migrate(place)).outcome)).toMatch(/3_c\.sql, ran/);
  place.write({
    '4_d.sql':
      "-- initbox:no-transaction\nALTER TYPE tenant.mood ADD VALUE 'c'; INSERT INTO tenant.m VALUES ('c'); SELECT 1/0;",
  });
  const failed = await migrate(place);
  expect(words(failed.outcome)).toMatch(
    /^4_d\.sql:2: division by zero[\s\S]*2 of 3 statements ended and stay/,
  );
  expect(await place.records()).toContain('4 running 2');
});

test.each([
  [
    'a procedure that commits',
    'CREATE TABLE before ();\nDO $$ BEGIN COMMIT; END $$;',
    /:2: invalid transaction termination/,
  ],
  [
    'a function that runs what no transaction may hold',
    "CREATE TABLE before ();\nDO $$ BEGIN EXECUTE 'VACUUM'; END $$;",
    /:2: VACUUM cannot run inside a transaction block/,
  ],
])('what fails in its transaction stays undone: %s', async (_name, sql, expected) => {
  place.write({ '1_a.sql': sql });
  const { outcome } = await migrate(place);
  expect(words(outcome)).toMatch(expected);
  expect(status(outcome)).not.toBe(0);
  expect(await place.sql("SELECT 1 FROM pg_class WHERE relname = 'before'")).toEqual([]);
});

test('a file outside a transaction that takes its own record away: the lock was not lost', async () => {
  place.write({
    '1_a.sql': '-- initbox:no-transaction\nCREATE TABLE a ();\nDELETE FROM initbox.sql_migrations;',
  });
  const { outcome } = await migrate(place);
  expect(status(outcome)).toBe(1);
  expect(words(outcome)).toMatch(
    /^1_a\.sql cannot be recorded: its own statements removed or changed its row[\s\S]*all its statements \(2\) ended, and what they did stays; its record is gone, and unless that comes back the next start takes the file for one that has not run/,
  );
});

test.each([
  'BEGIN READ WRITE;\nSELECT 1;\nCOMMIT;',
  'SET LOCAL transaction_read_only = off;',
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;',
])('%s takes writes, and so it runs', async (sql) => {
  place.write({ '1_a.sql': sql });
  expect(words((await migrate(place)).outcome)).toMatch(/^1_a\.sql ran/);
});

test.each([
  "SELECT set_config('search_path', 'public', false);",
  "SELECT pg_catalog.set_config('search_path', 'a,true', false);",
  'BEGIN; SET LOCAL lock_timeout = 1; SELECT pg_advisory_xact_lock(7); COMMIT AND NO CHAIN;',
  'BEGIN; SELECT 1; COMMIT AND CHAIN; CREATE TABLE chained (); COMMIT;',
  'CREATE TEMP TABLE x (i int) ON COMMIT PRESERVE ROWS;',
])('outside a transaction %s means what it says, and runs', async (sql) => {
  place.write({ '1_a.sql': `-- initbox:no-transaction\n${sql}` });
  expect(words((await migrate(place)).outcome)).toMatch(/^1_a\.sql ran/);
  const chained = await place.sql("SELECT 1 FROM pg_class WHERE relname = 'chained'");
  expect(chained.length).toBe(sql.includes('chained') ? 1 : 0);
});

test('a read-only transaction of a file that runs outside one is its own affair', async () => {
  place.write({ '1_a.sql': '-- initbox:no-transaction\nBEGIN READ ONLY;\nSELECT 1;\nCOMMIT;' });
  expect(words((await migrate(place)).outcome)).toMatch(/^1_a\.sql ran/);
});

describe('a file that cannot be run as it is: nothing runs, not even the files before it', () => {
  test.each<[string, string | Uint8Array, RegExp]>([
    ...[
      'SET TRANSACTION READ ONLY',
      'set transaction isolation level serializable, read only',
      'SET LOCAL TRANSACTION READ ONLY',
      'SET transaction_read_only = on',
      "SET LOCAL transaction_read_only TO 'true'",
    ].map((sql): [string, string, RegExp] => [
      sql,
      `SELECT 1;\n${sql};`,
      /2_x\.sql:2: SET .* makes the transaction read only, and the file's record is written in the same one/i,
    ]),
    ...['START TRANSACTION READ ONLY', 'begin isolation level repeatable read, read only'].map(
      (sql): [string, string, RegExp] => [
        sql,
        `-- x\n${sql};\nSELECT 1;\nCOMMIT;`,
        /2_x\.sql:2: (START|begin) .* makes the transaction read only/,
      ],
    ),
    [
      'SET LOCAL beside what runs outside a transaction',
      'SET LOCAL search_path = tenant;\nCREATE INDEX CONCURRENTLY i ON orders (id);',
      /2_x\.sql:1: SET LOCAL search_path … has no effect outside a transaction, where this file runs \(CREATE INDEX CONCURRENTLY/,
    ],
    [
      'SET LOCAL in a file that says so itself',
      '-- initbox:no-transaction\nSELECT 1;\nSET LOCAL search_path = tenant;\nCREATE TABLE orders ();',
      /2_x\.sql:3: SET LOCAL .* has no effect outside a transaction/,
    ],
    ...['COMMIT AND CHAIN', 'ROLLBACK AND CHAIN', 'END WORK AND CHAIN', 'abort transaction and chain'].map(
      (sql): [string, string, RegExp] => [
        `${sql} at the end`,
        `-- initbox:no-transaction\nBEGIN;\nCREATE TABLE before ();\n${sql};\nCREATE TABLE after ();`,
        /2_x\.sql:4: the transaction that begins here is never ended/,
      ],
    ),
    [
      'COMMIT AND CHAIN without the directive',
      'BEGIN;\nCREATE TABLE before ();\nCOMMIT AND CHAIN;\nCREATE TABLE after ();',
      /2_x\.sql:3: the transaction that begins here is never ended/,
    ],
    ...[
      "SELECT set_config('search_path', 'tenant', true)",
      "select pg_catalog.set_config('app.it''s', a.b, 'on') FROM a",
      'SELECT pg_advisory_xact_lock(7)',
      'SELECT pg_try_advisory_xact_lock_shared(7)',
      'CREATE TEMP TABLE x (i int) ON COMMIT DROP',
      'CREATE TEMPORARY TABLE x ON COMMIT DELETE ROWS AS SELECT 1 AS i',
    ].map((sql): [string, string, RegExp] => [
      `${sql} where there is no transaction`,
      `-- initbox:no-transaction\nSELECT 1;\n${sql};`,
      /2_x\.sql:3: .* has no effect outside a transaction, where this file runs/,
    ]),
    [
      'SET CONSTRAINTS outside',
      'SET CONSTRAINTS ALL DEFERRED;\nVACUUM;',
      /2_x\.sql:1: SET CONSTRAINTS .* has no effect outside a transaction/,
    ],
    [
      'a mark in a literal',
      "SELECT '\n-- Down Migration\n';",
      /2_x\.sql:1: the string that begins here is never closed/,
    ],
    [
      'a mark of an unknown tool',
      'SELECT 1;\n-- +micrate Down\nSELECT 2;',
      /2_x\.sql:2: this line looks like/,
    ],
    ['an empty file', '', /2_x\.sql is empty/],
    ['blanks', ' \r\n\t', /2_x\.sql is empty/],
    ['comments', '-- nothing yet\n', /2_x\.sql holds no statement .*SELECT 1/],
    ['UTF-16', Buffer.from('\uFEFFSELECT 1;', 'utf16le'), /2_x\.sql is UTF-16/],
    ['Latin-1', Buffer.from("SELECT 1;\nSELECT 'ü';", 'latin1'), /2_x\.sql:2: not UTF-8/],
    ['a zero byte', "SELECT 1;\n\nSELECT '\0';", /2_x\.sql:3: a zero byte/],
    ['psql', '\\i other.sql', /2_x\.sql:1: \\i is a command of psql/],
    ['COPY', 'COPY first FROM stdin;\n\\.\n', /2_x\.sql:1: COPY … FROM stdin/],
    ['an open quote', "SELECT 1;\nSELECT 'a", /2_x\.sql:2: the string/],
    [
      'index and table',
      'CREATE TABLE x (id int);\nCREATE INDEX CONCURRENTLY i ON x (id);',
      /2_x\.sql:2: CREATE INDEX CONCURRENTLY i ON x … cannot run in a transaction, but the file also holds CREATE TABLE x … \(line 1\).*two files/,
    ],
    [
      'REINDEX (CONCURRENTLY) and table',
      'CREATE TABLE x (id int);\nREINDEX (CONCURRENTLY) TABLE x;',
      /2_x\.sql:2: REINDEX .* cannot run in a transaction, but the file also holds CREATE TABLE x/,
    ],
    [
      'COMMIT on its way',
      'CREATE TABLE x ();\nBEGIN;\nCOMMIT;',
      /2_x\.sql:2: the file ends transactions of its own/,
    ],
    [
      'two transactions',
      'BEGIN;\nCOMMIT;\nBEGIN;\nCOMMIT;',
      /2_x\.sql:1: the file ends transactions of its own/,
    ],
    [
      'an open transaction',
      'BEGIN;\nSELECT 1;',
      /2_x\.sql:1: the transaction that begins here is never ended/,
    ],
    [
      'a template of tern’s',
      "CREATE TABLE x ();\nSELECT '{{.schema}}';\n---- create above / drop below ----\nDROP TABLE x;",
      /2_x\.sql:2: tern would replace \{\{\.schema\}\}; templates are not supported/,
    ],
    [
      'one in a comment and over lines',
      '-- {{ template\n"shared.sql" . }}\nCREATE TABLE x ();\n---- create above / drop below ----\n',
      /2_x\.sql:1: tern would replace \{\{ template; templates/,
    ],
    ['COMMIT alone', 'SELECT 1;\nCOMMIT;', /2_x\.sql:2: there is no transaction to end here/],
    ['a prepared transaction', "BEGIN; PREPARE TRANSACTION 'x';", /2_x\.sql:1: a prepared transaction/],
    ['an encoding', "SET client_encoding = 'LATIN1';", /2_x\.sql:1: .*client_encoding must stay UTF8/],
    ['an unknown directive', '-- initbox:fast\nSELECT 1', /2_x\.sql:1: "-- initbox:fast" is not known/],
    [
      'a down part of some tool',
      'CREATE TABLE x ();\n\n-- //@UNDO\nDROP TABLE x;',
      /2_x\.sql:3: this line looks like the start of a part that undoes/,
    ],
  ])('%s', async (_name, content, expected) => {
    place.write({ '1_first.sql': 'CREATE TABLE first ();', '2_x.sql': content });
    const error = await migrate(place).catch((reason: unknown) => reason as Error);
    expect(error).toMatchObject({ name: 'UsageError', message: expect.stringMatching(expected) });
    expect(
      await place.sql("SELECT to_regclass('first') AS first, to_regnamespace('initbox') AS schema"),
    ).toEqual([{ first: null, schema: null }]);
  });
});

test('long texts of the server are cut, or withheld with their length; the SQLSTATE stays', async () => {
  place.write({
    '1_a.sql': `DO $$ BEGIN RAISE WARNING '%', repeat(E'A\\x1b\\n', 3000000); RAISE WARNING '%', repeat('w', 9000); END $$;
      DO $$ BEGIN RAISE EXCEPTION '%', repeat('m', 9000) USING DETAIL = repeat(E'd\\n', 33000), HINT = repeat('h', 3000); END $$;`,
  });
  const { outcome, log } = await migrate(place);
  expect(log).toMatch(/Postgres warns: \(a text of 8\.6 ?MiB by the server, which is not shown/);
  expect(log).toContain(`Postgres warns: ${'w'.repeat(2000)}…`);
  expect(words(outcome)).toContain(`${'m'.repeat(2000)}… (SQLSTATE P0001)`);
  expect(words(outcome)).toContain('detail: (a text of');
  expect(words(outcome)).toContain(`${'h'.repeat(2000)}…`);
  expect(Math.max(...log.split('\n').map((line) => line.length))).toBeLessThan(5000);
});
