import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Outcome } from '../../../src/core/outcome.ts';
import { debianPostgres, startPostgres, type Postgres } from '../../support/postgres.ts';
import { migrate, newDatabase, status, words, type Place } from './harness.ts';

let server: Postgres;
let place: Place;

beforeAll(async () => {
  server = await startPostgres({ binaries: debianPostgres() });
});
afterAll(async () => server?.remove());

async function names(of: Place): Promise<string[]> {
  const rows = await of.sql(
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY oid",
  );
  return rows.map((row) => String(row['relname']));
}

describe('each convention', () => {
  test.each<[string, Record<string, string>, string[]]>([
    [
      'golang-migrate',
      {
        '000001_users.up.sql': 'BEGIN;\nCREATE TABLE users (id int);\nCOMMIT;\n',
        '000001_users.down.sql': 'DROP TABLE users;',
        '000002_posts.up.sql': 'CREATE TABLE posts (id int)',
        '000010_tags.up.sql': 'CREATE TABLE tags (id int);',
        '000010_tags.down.sql': 'DROP TABLE tags;',
      },
      ['users', 'posts', 'tags'],
    ],
    [
      'dbmate',
      {
        '20240101000000_users.sql':
          '-- migrate:up\nCREATE TABLE users (id int);\n\n-- migrate:down\nDROP TABLE users;\n',
        '20240102000000_index.sql':
          '-- migrate:up transaction:false\nCREATE TABLE posts (id int);\nCREATE INDEX CONCURRENTLY i ON posts (id);\n-- migrate:down\nDROP TABLE posts;\n',
      },
      ['users', 'posts'],
    ],
    [
      'goose',
      {
        '00001_users.sql':
          '-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE users (id int);\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;\n-- +goose StatementEnd\nCREATE TABLE posts (id int);\n-- +goose Down\nDROP TABLE users;\n',
        '00002_index.sql':
          '-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY i ON users (id);\nCREATE TABLE tags (id int);\n-- +goose Down\nDROP INDEX i;',
      },
      ['users', 'posts', 'tags'],
    ],
    [
      'Flyway',
      {
        'V1__users.sql': 'CREATE TABLE users (id int);',
        'V1.10__tags.sql': 'CREATE TABLE tags (id int);',
        'V1_2__posts.sql': 'CREATE TABLE posts (id int);',
        'U1__users.sql': 'DROP TABLE users;',
        'R__view.sql': 'CREATE OR REPLACE VIEW v AS SELECT * FROM tags;',
        'V2__more.sql': 'CREATE TABLE more (id int); CREATE INDEX CONCURRENTLY m ON more (id);',
        'V2__more.sql.conf': '# as it is\nexecuteInTransaction=false\n',
      },
      ['users', 'posts', 'tags', 'more'],
    ],
    [
      'node-pg-migrate',
      {
        '1700000000000_users.sql':
          '-- Up Migration\nCREATE TABLE users (id int);\n-- Down Migration\nDROP TABLE users;\n',
        '1700000000001_posts.sql': 'CREATE TABLE posts (id int);\n',
      },
      ['users', 'posts'],
    ],
    [
      'tern',
      {
        '001_users.sql':
          'CREATE TABLE users (id int);\n---- create above / drop below ----\nDROP TABLE users;\n',
        '002_posts.sql':
          '---- tern: disable-tx ----\nCREATE TABLE posts (id int);\nCREATE INDEX CONCURRENTLY i ON posts (id);',
      },
      ['users', 'posts'],
    ],
    [
      'sql-migrate',
      {
        '1_users.sql': '-- +migrate Up\nCREATE TABLE users (id int);\n-- +migrate Down\nDROP TABLE users;\n',
        '2_posts.sql':
          '-- +migrate Up notransaction\nCREATE TABLE posts (id int);\n-- +migrate Down\nDROP TABLE posts;\n',
      },
      ['users', 'posts'],
    ],
    [
      'plain',
      {
        '1_users.sql': 'CREATE TABLE users (id int);',
        '2-posts.sql': 'CREATE TABLE posts (id int);',
        '10 tags.sql': '-- initbox:no-transaction\nCREATE TABLE tags (id int);\nVACUUM tags;',
        '10.1.sql': 'CREATE TABLE more (id int);',
        'README.md': 'not SQL',
      },
      ['users', 'posts', 'tags', 'more'],
    ],
  ])('%s', async (_name, files, tables) => {
    place = await newDatabase(server);
    place.write(files);
    const first = await migrate(place);
    expect(words(first.outcome)).toMatch(/ran in/);
    expect(await names(place)).toEqual(tables);
    const second = await migrate(place);
    expect(words(second.outcome)).toMatch(/^nothing to migrate/);
    const records = await place.records();
    expect(records.every((record) => record.includes(' done '))).toBe(true);
  });
});

describe('a directive of initbox in text is text', () => {
  test('it does not let the part that undoes run', async () => {
    place = await newDatabase(server);
    place.write({
      '1_users.sql':
        "CREATE TABLE users (id int);\nSELECT 'a\n-- initbox:no-undo-part\nb';\n-- how to undo this migration:\nDROP TABLE users;",
    });
    await expect(migrate(place)).rejects.toThrow(/^1_users\.sql:5: this line looks like the start of a part/);
    expect(await names(place)).toEqual([]);
  });

  test('it does not take the transaction away', async () => {
    place = await newDatabase(server);
    place.write({
      '1_users.sql':
        'CREATE TABLE users (id int);\n/* /* */\n-- initbox:no-transaction\n*/\nCREATE TABLE users (id int);',
    });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/the whole file was rolled back/);
    expect(await names(place)).toEqual([]);
  });

  test('what goes with a schema is seen to go', async () => {
    place = await newDatabase(server);
    place.write({
      '1_schema.sql': 'CREATE SCHEMA shop;',
      '2_users.sql':
        'SET search_path = shop;\nCREATE TABLE users (id int);\n-- unmigrating:\nDROP SCHEMA shop CASCADE;',
    });
    await expect(migrate(place)).rejects.toThrow(/^2_users\.sql:3: this line looks like the start of a part/);
  });
});

describe('what undoes in a way of another tool does not run', () => {
  const made = 'ALTER TABLE users ALTER email SET STATISTICS 500;\n';
  test.each<[string, Record<string, string>]>([
    ['Mojo::Pg', { '1_a.sql': `-- 1 up (statistics)\n${made}-- 1 down (comment freely)\nDROP TABLE users;` }],
    ['MyBatis', { '1_a.sql': `-- // statistics\n${made}-- //@UNDO for the table\nDROP TABLE users;` }],
    ['Play', { '1_a.sql': `-- Users !Ups x\n${made}-- Users !Downs x\nDROP TABLE users;` }],
    ['rambler', { '1_a.sql': `-- rambler up\n${made}-- rambler down all\nDROP TABLE users;` }],
    ['tern', { '1_a.sql': `${made.trim()} ---- create above / drop below ----\nDROP TABLE users;` }],
    [
      'tern in a literal',
      { '1_a.sql': "COMMENT ON TABLE users IS '---- create above / drop below ----';\nDROP TABLE users;" },
    ],
    ['an unknown one', { '1_a.sql': `-- acme up 42\n${made}-- acme down 42\nDROP TABLE users;` }],
    ['pg-migrator', { '1-2.sql': made, '2-1.sql': 'DROP TABLE users;' }],
    [
      'Atlas',
      { '1_a.sql': `-- atlas:txtar\n\n-- migration.sql --\n${made}-- down.sql --\nDROP TABLE users;` },
    ],
    ['a directive misspelled', { '1_a.sql': `-- Initbox:no-transaction\n${made}` }],
  ])('%s', async (_name, files) => {
    place = await newDatabase(server);
    await place.sql('CREATE TABLE users (email text)');
    place.write(files);
    await expect(migrate(place)).rejects.toMatchObject({ name: 'UsageError' });
    expect(await names(place)).toEqual(['users']);
  });
});

test('a repeatable file runs again when it changes, and only then', async () => {
  place = await newDatabase(server);
  place.write({ 'V1__t.sql': 'CREATE TABLE t (n int);', 'R__log.sql': 'INSERT INTO t VALUES (1);' });
  await migrate(place);
  await migrate(place);
  place.write({ 'R__log.sql': 'INSERT INTO t VALUES (2);' });
  const { outcome } = await migrate(place);
  expect(words(outcome)).toMatch(/^R__log\.sql ran/);
  expect(await place.sql('SELECT n FROM t ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }]);
});

test('line ends and a BOM are neither trouble nor drift', async () => {
  place = await newDatabase(server);
  place.write({
    '1_a.sql': "\uFEFFCREATE TABLE a (t text);\r\nINSERT INTO a VALUES ($$one\r\ntwo; it's$$);\r\n",
    '2_b.sql':
      '\uFEFF-- migrate is only a word here\r\nCREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $f$\r\nBEGIN\r\n  RETURN $$;$$;\r\nEND;\r\n$f$;\r\n',
  });
  expect(status((await migrate(place)).outcome)).toBe(0);
  expect(await place.sql('SELECT t, f() FROM a')).toEqual([{ t: "one\r\ntwo; it's", f: ';' }]);
  place.write({ '1_a.sql': "CREATE TABLE a (t text);\nINSERT INTO a VALUES ($$one\ntwo; it's$$);\n" });
  expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
});

test('nothing that a file sets reaches the next file or the record', async () => {
  place = await newDatabase(server);
  await place.sql('CREATE SCHEMA other AUTHORIZATION app');
  await place.sql('CREATE ROLE limited');
  await place.sql('GRANT limited TO app; GRANT CREATE ON SCHEMA public TO limited');
  place.write({
    '1_a.sql':
      "SET search_path = other; SET statement_timeout = '50ms'; CREATE TEMP TABLE s (); CREATE TABLE here (); SET ROLE limited; CREATE TABLE public.by_limited ();",
    '2_b.sql': 'SELECT pg_sleep(0.2); CREATE TABLE here (); CREATE TABLE s ();',
  });
  const { outcome } = await migrate(place);
  expect(words(outcome)).toMatch(/2 migrations/);
  expect(
    await place.sql(
      "SELECT relnamespace::regnamespace::text || '.' || relname AS name, relowner::regrole::text AS owner FROM pg_class WHERE relname IN ('here', 's', 'by_limited') ORDER BY oid",
    ),
  ).toEqual([
    { name: 'other.here', owner: 'app' },
    { name: 'public.by_limited', owner: 'limited' },
    { name: 'public.here', owner: 'app' },
    { name: 'public.s', owner: 'app' },
  ]);
});

test('a server that takes a backslash in a plain string as an escape', async () => {
  place = await newDatabase(server);
  await server.sql(`ALTER DATABASE ${place.name} SET standard_conforming_strings = off`, [], 'postgres');
  place.write({
    '1_a.sql':
      "CREATE TABLE a (t text); INSERT INTO a VALUES ('it\\'s; one'); SET standard_conforming_strings = on; INSERT INTO a VALUES ('\\');",
  });
  expect(status((await migrate(place)).outcome)).toBe(0);
  expect(await place.sql('SELECT t FROM a')).toEqual([{ t: "it's; one" }, { t: '\\' }]);
});

describe('standard_conforming_strings changed by what the splitter cannot see', () => {
  const ways = [
    "SELECT set_config('standard_conforming_strings', 'off', false);",
    'DO $$ BEGIN SET standard_conforming_strings = off; END $$;',
    "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings';",
  ];
  // With a backslash that escapes, the COMMIT is a statement of its own.
  const rest = "CREATE TABLE a (); SELECT 'x\\', '; COMMIT; SELECT '--';\nCREATE TABLE b ();";
  const tables = async (): Promise<unknown[]> =>
    (
      await place.sql(
        "SELECT relname FROM pg_class WHERE relname IN ('a', 'b') AND relkind = 'r' ORDER BY relname",
      )
    ).map((row) => row['relname']);
  const messageOf = (outcome: Outcome): string => (outcome.kind === 'failed' ? outcome.what : outcome.kind);

  test.each(ways)('%s: no COMMIT runs that is text', async (way) => {
    place = await newDatabase(server);
    place.write({ '1_a.sql': `${way}\n${rest}` });
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(1);
    expect(messageOf(outcome)).toContain('1_a.sql:2: standard_conforming_strings is off here');
    expect(outcome).toMatchObject({ details: expect.arrayContaining(['the whole file was rolled back']) });
    expect(await tables()).toEqual([]);
    expect(await place.records()).toEqual([]);
  });

  test('outside a transaction, what ran is said', async () => {
    place = await newDatabase(server);
    place.write({
      '1_a.sql': `-- initbox:no-transaction\nCREATE TABLE b ();\nSET standard_conforming_strings = off;\nRESET ALL;\nSELECT E'\\n';`,
    });
    const { outcome } = await migrate(place);
    expect(messageOf(outcome)).toContain('1_a.sql:5: standard_conforming_strings is on here');
    expect(outcome).toMatchObject({
      details: expect.arrayContaining([expect.stringContaining('3 of 4 statements ended and stay')]),
    });
    expect(await tables()).toEqual(['b']);
    expect(await place.records()).toEqual(['1 running 3']);
  });

  test.each(ways)('%s: without a backslash after it, nothing is otherwise', async (way) => {
    place = await newDatabase(server);
    place.write({ '1_a.sql': `SELECT '\\';\n${way}\nCREATE TABLE a ();`, '2_b.sql': "SELECT '\\';" });
    expect(status((await migrate(place)).outcome)).toBe(0);
    expect(await tables()).toEqual(['a']);
  });
});
