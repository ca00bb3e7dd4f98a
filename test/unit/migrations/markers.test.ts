import { describe, expect, test } from 'vitest';

import { partsOf } from '../../../src/migrations/markers.ts';

function up(text: string): [marking: string, up: string, transaction: false | undefined] {
  const parts = partsOf(text, 'x.sql');
  return [parts.marking, text.slice(parts.from, parts.to).trim(), parts.transaction];
}

describe('the part that migrates up', () => {
  test.each<[string, string, [string, string, false | undefined]]>([
    ['no marks', 'SELECT 1;', ['none', 'SELECT 1;', undefined]],
    ['dbmate', '-- head\n-- migrate:up\nUP\n-- migrate:down\nDOWN', ['dbmate', 'UP', undefined]],
    ['a notice above', '/* Licence\n   text */\n-- migrate:up\nUP\n', ['dbmate', 'UP', undefined]],
    ['dbmate without down', '--migrate:up\nUP\n', ['dbmate', 'UP', undefined]],
    [
      'dbmate outside',
      '-- migrate:up transaction:false\r\nUP\r\n-- migrate:down\r\nDOWN',
      ['dbmate', 'UP', false],
    ],
    ['dbmate, said to be inside', '-- migrate:up transaction:true\nUP', ['dbmate', 'UP', undefined]],
    ['goose', '-- +goose Up\nUP\n-- +goose Down\nDOWN', ['goose', 'UP', undefined]],
    [
      'goose outside, in any case',
      '-- +goose no transaction\n-- +GOOSE UP\nUP\n-- +goose down',
      ['goose', 'UP', false],
    ],
    ['sql-migrate', '-- +migrate Up\nUP\n-- +migrate Down\nDOWN', ['sql-migrate', 'UP', undefined]],
    ['sql-migrate outside', '-- +migrate Up notransaction\nUP', ['sql-migrate', 'UP', false]],
    ['node-pg-migrate', '-- Up Migration\nUP\n-- Down Migration\nDOWN', ['node-pg-migrate', 'UP', undefined]],
    [
      'node-pg-migrate with dashes',
      '---- up migration ----\nUP\n--- down migration',
      ['node-pg-migrate', 'UP', undefined],
    ],
    [
      'node-pg-migrate with the second mark alone',
      'UP\n-- Down Migration\nDOWN',
      ['node-pg-migrate', 'UP', undefined],
    ],
    ['tern', 'UP\n---- create above / drop below ----\nDOWN', ['tern', 'UP', undefined]],
    ['tern outside', '---- tern: disable-tx ----\nUP', ['tern', '---- tern: disable-tx ----\nUP', false]],
    ['the own directive', '-- initbox:no-transaction\nUP', ['none', '-- initbox:no-transaction\nUP', false]],
    [
      'the own directive beside marks',
      '-- migrate:up\n-- initbox:no-transaction\nUP',
      ['dbmate', '-- initbox:no-transaction\nUP', false],
    ],
    [
      'words that are no mark',
      '-- scale down the pool\n-- undo log of orders\nSELECT 1; -- down',
      ['none', '-- scale down the pool\n-- undo log of orders\nSELECT 1; -- down', undefined],
    ],
  ])('%s', (_name, text, expected) => {
    expect(up(text)).toEqual(expected);
  });
});

describe('a comment that merely holds such words cuts nothing and refuses nothing', () => {
  test.each([
    'Up migration of the orders, part two',
    'up migrations are numbered',
    'Up-migration',
    'tear down the old table',
    'this rolls the column down to the child',
    'drop-down menu',
    'down payment',
    'scale down',
    'Down under',
    'no down migration',
    'down migrations are in another repository',
    'rollback: DROP TABLE orders;',
    'rollback DROP TABLE orders;',
    'rollback not required',
    'down: nothing to do',
    'undo log of orders',
    'revert to the old default',
    'downgrade path: see the wiki',
    'backward compatible',
    'what goes up must come down',
    'up',
    'Up',
    'migrate the orders',
    'goose is a bird',
  ])('-- %s', (comment) => {
    const text = `CREATE TABLE a ();\n-- ${comment}\nCREATE TABLE b ();`;
    expect(up(text)).toEqual(['none', text, undefined]);
    const block = `CREATE TABLE a ();\n/* ${comment} */\nCREATE TABLE b ();`;
    expect(up(block)).toEqual(['none', block, undefined]);
    // In the part of a known tool it is as little a mark.
    expect(up(`-- migrate:up\n${text}\n-- migrate:down\nDOWN`)).toEqual(['dbmate', text, undefined]);
  });

  test('a comment beside SQL, and one that holds the part that undoes', () => {
    for (const text of ['SELECT 1; -- down\nSELECT 2;', 'SELECT 1;\n/* DOWN:\nDROP TABLE a;\n*/'])
      expect(up(text)).toEqual(['none', text, undefined]);
  });

  test('with the second mark of node-pg-migrate alone, a comment above it is none', () => {
    expect(up('-- Up migration of the orders\nUP\n-- Down Migration\nDOWN')).toEqual([
      'node-pg-migrate',
      '-- Up migration of the orders\nUP',
      undefined,
    ]);
  });
});

describe('a mark of the part that undoes, of whatever tool, is refused with its line', () => {
  test.each([
    '-- +micrate Down',
    '-- (down)',
    '-- revert',
    '-- migration: down',
    '-- downgrade',
    '-- rambler down',
    '-- @UNDO',
    '-- //@UNDO',
    '--//@UNDO',
    '-- !Downs',
    '# --- !Downs',
    '-- DOWN',
    '--DOWN',
    '  -- Down',
    '-- ==== DOWN ====',
    '-- ––– DOWN –––',
    '-- [down]',
    '-- <rollback>',
    '/* down */',
    '/*\n * ROLLBACK\n */',
    '/**** Down migration ****/',
    '-- rollback',
    '-- Rollback:',
    '-- Roll back',
    '-- goose Down',
    '-- migrate down',
    '  -- migrate:down',
    '-- migration down',
    '-- Down script',
    '-- down part begins here',
    '-- +dbmigrate down transaction:false',
    '-- %down',
    '-- backwards',
    '-- Backward migration',
    '-- reverse',
    '-- undo migration',
    '-- teardown',
    '-- 2. Rollback',
    '-- orders: down',
    '-- Down Migration: drop the orders',
    '-- Down migration of the orders',
  ])('%s', (mark) => {
    const text = Buffer.from(`CREATE TABLE a ();\n\n${mark}\nDROP TABLE a;`).toString('latin1');
    expect(() => partsOf(text, 'x.sql')).toThrow(
      new RegExp(
        `^x\\.sql:3: this line looks like the start of a part that undoes.*"-- migrate:up" and "-- migrate:down".*reword`,
      ),
    );
    // Beside a known tool's marks it is as unclear which part is meant.
    expect(() => partsOf(`-- +goose Up\n${text}`, 'x.sql')).toThrow(/^x\.sql:4: /);
    // Below the known mark it is only a comment.
    expect(partsOf(`-- +goose Up\nA;\n-- +goose Down\n${text}`, 'x.sql').marking).toBe('goose');
  });

  test('in a literal it is text, whatever tool it could be of', () => {
    for (const body of [
      'CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$\n-- down\nSELECT 1 $$;',
      'CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $b_1$ BEGIN\n-- acme:up:1\nPERFORM 1;\n-- acme:down:1\nDROP TABLE a; END $b_1$;',
      "INSERT INTO help VALUES ('it''s\n-- rollback\n');",
      "INSERT INTO help VALUES (E'it\\'s\n/* undo */\n');",
      'CREATE TABLE "a\n-- downgrade\n" ();',
    ]) {
      expect(up(`CREATE TABLE a ();\n${body}`)[0]).toBe('none');
      expect(
        up(
          `-- +goose Up\n-- +goose StatementBegin\n${body}\n-- +goose StatementEnd\n-- +goose Down\nDOWN`,
        )[0],
      ).toBe('goose');
    }
  });

  test('where it is not sure that it stands in a literal, it is refused', () => {
    for (const text of [
      // A backslash before the quote: whether it ends the literal depends on the server.
      "SELECT 'a\\';\n-- down\nSELECT 'b';",
      "SELECT 'never closed\n-- down\n",
      'SELECT a$$b;\n-- down\nSELECT a$$b;',
      "-- don't\n-- down\n-- don't\nSELECT 1;",
      "/* don't /* nested */ */\n\n-- down\n/* don't */ SELECT 1;",
    ])
      expect(() => up(text), text).toThrow(/this line looks like the start of a part that undoes/);
  });

  test('the mark of a known tool in a literal is not one of two tools', () => {
    const text =
      "-- +migrate Up\nINSERT INTO help VALUES ('\n-- migrate:down\n');\n-- +migrate Down\nDELETE FROM help;";
    expect(() => up(text)).toThrow(
      /^x\.sql:3: this line of a literal is a mark of dbmate, and the file is marked for sql-migrate; /,
    );
  });
});

describe('a pair of comments of one shape, one for each direction, is refused with the second', () => {
  test.each([
    [
      '-- ---------- MIGRONDI:UP:1586550686936 ----------',
      '-- ---------- MIGRONDI:DOWN:1586550686936 ----------',
    ],
    ['-- MIGRONDI:UP:1', '-- MIGRONDI:DOWN:2'],
    ['-- acme:up:42', '-- acme:down'],
    ['-- + goose Up', '-- + goose Down'],
    ['-- sqlx up', '-- sqlx down'],
    ['-- on up', '-- on down'],
    ['-- direction=up', '-- direction=down'],
    ['-- name: migrate-up#', '-- name: migrate-down#'],
    ['-- name: create-a-up', '-- name: create-a-down'],
    ['-- Up - create a', '-- Down - drop a'],
    ['-- Up: create the orders', '-- Down: drop the orders'],
    ['-- Install orders', '-- Uninstall orders'],
    ['-- Forward orders', '-- Backward orders'],
    ['-- Apply 1', '-- Roll back 1'],
    ['-- [acme] Deploy', '-- [acme] Revert'],
    ['-- acme.migrate', '-- acme.rollback'],
    ['/* acme up */', '/* acme down */'],
    ['-- migrate up users', '-- migrate down users'],
    ['-- Migration up orders', '-- Migration down orders'],
    ['-- step up 42', '-- step down 42'],
    ['-- forward', '-- back'],
    ['-- Deploy shop:a to pg', '-- Revert shop:a from pg'],
    ['-- Deploy orders to pg', '-- Revert orders from pg'],
    ['-- schema upgrade users', '-- schema downgrade users'],
  ])('%s … %s', (first, second) => {
    const text = `${first}\nCREATE TABLE a ();\n${second}\nDROP TABLE a;`;
    expect(() => partsOf(text, 'x.sql')).toThrow(
      /^x\.sql:3: this line looks like the start of a part.*reword/,
    );
    expect(() => partsOf(`-- +goose Up\n${text}`, 'x.sql')).toThrow(/^x\.sql:4: /);
  });

  test.each([
    ['-- scale up the pool', '-- scale down the pool'],
    ['-- scale up', '-- scale down'],
    ['-- Apply the new names', '-- Drop the old index first'],
    ['-- set up the orders', '-- tear down the old table'],
    ['-- what goes up', '-- must come down'],
    ['-- up-front fee', '-- down payment'],
    ['-- migrate the orders', '-- undo log of orders'],
    ['-- do this', '-- drop-down menu'],
    ['-- step up 42', '-- step down 43'],
    ['-- forward the mail', '-- back to the old names'],
    ['-- migrate up users', '-- migrate down orders of today'],
  ])('prose is none: %s … %s', (first, second) => {
    for (const statement of ['ALTER TABLE b RENAME TO a;', 'DROP INDEX b;']) {
      const text = `${first}\nCREATE TABLE a ();\n${second}\n${statement}`;
      expect(up(text)).toEqual(['none', text, undefined]);
    }
  });

  test('a head that tells of both directions, with no SQL between them, is a comment', () => {
    const text = '-- Up: create a\n-- Down: drop a\nCREATE TABLE a ();';
    expect(up(text)).toEqual(['none', text, undefined]);
    expect(() => up('-- acme:up:1\n-- acme:down:1\nDROP TABLE a;')).toThrow(/^x\.sql:2: this line/);
  });
});

describe('a comment with a word for undoing, below which goes what was made above it, is refused', () => {
  const marks = [
    '-- ---------- MIGRONDI:DOWN:1586550686936 ----------',
    '-- MIGRONDI:DOWN:1586550686936',
    '-- + goose Down',
    '-- sqlx down',
    '-- shmig down',
    '-- pgmigrate down',
    '-- name: migrate-down#',
    '-- name: create-a-down',
    '-- direction=down',
    '-- on down',
    '-- Down 001',
    '-- Down (v1)',
    '-- DOWN: drop',
    '-- Down - drop a',
    '-- Down v2',
    '-- Rollback statements',
    '-- DOWN BELOW',
    '-- acme:down:42',
    '--- create above / drop below ---',
    '-- uninstall',
    '-- acme_revert',
    '-- migrateDown',
    '-- sqlx migrate revert',
    '-- Undo changes',
    '/* sqlx down */',
    '-- undo everything above',
    '-- Undo the above',
    '-- Rollback of 001',
    '-- downgrade to 0',
    '-- Downgrade from 2 to 1',
    '-- Down script for 001',
    '-- DOWN below this line',
    '-- DOWN users table',
    '-- revert version 2 to version 1',
    '\f-- sqlx down',
    '\v--\vsqlx\fdown',
    '\f/* sqlx down */',
    ...[
      'rollback create_users',
      'undo 001_users',
      'down 001_users',
      'create_users rollback',
      '001_users down',
      'Rollback of 001_users',
      'undo everything',
      'undo this',
      'undo the changes',
      'revert this',
      'Revert the migration',
      'rollback all changes',
      'Rollback commands',
      'Rollback steps',
      'Rollback queries',
      'Rollback code',
      'Down commands',
      'rolling back',
      'Reverting migration',
      'To rollback:',
      'For rollback:',
      'below is the rollback',
      'Write your down migration here',
      'This file should undo anything in up.sql',
      "SQL in section 'Down' is executed when this migration is rolled back",
      'SQL in this section is executed when the migration is rolled back.',
      'Rollback: drop users',
      'Drop everything (down)',
      'DOWN users_table',
      'undo order items',
      'uninstall script',
      'back out',
      'Down\u00a0',
      '\u2193 down',
      'ii) rollback',
      'function down()',
    ].map((comment) => `-- ${comment}`),
  ];
  test.each(marks)('%s', (mark) => {
    for (const [made, gone] of [
      ['CREATE TABLE a ();', 'DROP TABLE a;'],
      ['CREATE TABLE a ();', '-- more\n\nBEGIN;\nSET lock_timeout = 1;\nDROP TABLE a;'],
      ['ALTER TABLE a ADD COLUMN b int;', 'ALTER TABLE a DROP COLUMN b;'],
    ]) {
      const text = Buffer.from(`${made}\n\n${mark}\n${gone}`).toString('latin1');
      expect(() => partsOf(text, 'x.sql'), text).toThrow(
        /^x\.sql:3: this line looks like the start of a part.*"-- migrate:up" and "-- migrate:down".*reword/,
      );
    }
  });

  test.each<[string, string]>([
    ['CREATE TABLE IF NOT EXISTS app.users (id int);', 'drop table if exists "app"."users" cascade;'],
    ['CREATE TABLE a (); CREATE TABLE b ();', 'DROP TABLE c, b;'],
    ['CREATE TABLE a ();', 'CREATE TABLE old (); DROP TABLE a;'],
    ['CREATE UNIQUE INDEX CONCURRENTLY i ON a (b);', 'DROP INDEX CONCURRENTLY i;'],
    [
      'CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;',
      'DROP FUNCTION f(int);',
    ],
    ['CREATE MATERIALIZED VIEW v AS SELECT 1;', 'DROP MATERIALIZED VIEW v;'],
    ['CREATE TRIGGER g BEFORE INSERT ON a EXECUTE FUNCTION f();', 'DROP TRIGGER g ON a;'],
    ['ALTER TABLE a ADD b int, ADD c int;', 'ALTER TABLE IF EXISTS ONLY a DROP IF EXISTS c;'],
    ['ALTER TABLE a ADD CONSTRAINT k CHECK (b > 0);', 'ALTER TABLE a DROP CONSTRAINT k;'],
    ['ALTER TABLE a ALTER COLUMN b SET NOT NULL;', 'ALTER TABLE a ALTER COLUMN b DROP NOT NULL;'],
    ['ALTER TABLE a RENAME COLUMN b TO c;', 'ALTER TABLE a RENAME COLUMN c TO b;'],
    ['ALTER TABLE a RENAME TO b;', 'ALTER TABLE b RENAME TO a;'],
    ["INSERT INTO a VALUES ('x');", "DELETE FROM a WHERE b = 'x';"],
    ['INSERT INTO a VALUES (1);', 'TRUNCATE TABLE a;'],
    ['GRANT SELECT ON a TO r;', 'REVOKE SELECT ON a FROM r;'],
  ])('whatever goes: %s … %s', (made, gone) => {
    for (const mark of ['-- rollback steps', '-- to undo', '/* the rollback */'])
      expect(() => up(`${made}\n${mark}\n${gone}`)).toThrow(/^x\.sql:2: this line/);
    // Where it was not made here, the comment is a comment.
    const text = `SELECT 1;\n-- rollback steps\n${gone}`;
    expect(up(text)).toEqual(['none', text, undefined]);
  });

  test.each(['-- down', '--down', '-- sqlx down', '/* undo */'])('behind a statement: %s', (mark) => {
    expect(() => up(`create table a (); ${mark}\ndrop table a;`)).toThrow(/^x\.sql:1: this line/);
    expect(up(`create table b (); ${mark}\ndrop table a;`)[0]).toBe('none');
    expect(up(`select '; ${mark}\n';\ndrop table a;`)[0]).toBe('none');
  });

  test('what is made for the file alone may go', () => {
    for (const text of [
      'CREATE TEMP TABLE a ();\n-- undo the damage of last night\nDROP TABLE a;',
      'CREATE TABLE a (b int);\n-- undo the damage of last night\nALTER TABLE a DROP COLUMN b;',
      '-- undo the damage of last night\nCREATE TABLE a ();\nDROP TABLE a;',
    ])
      expect(up(text)[0]).toBe('none');
  });

  test.each([
    '-- Status values:\n--   up\n--   down\nSELECT 1;',
    '-- Supported actions:\n-- * install\n-- * uninstall\nSELECT 1;',
    'ALTER TABLE e ADD COLUMN d text; -- direction: up/down',
    'CREATE INDEX i2 ON t (a DESC); -- reverse',
    "COMMENT ON TABLE x IS 'y'; -- rollback",
    "INSERT INTO acts VALUES\n (1,'apply'), -- apply\n (2,'revert'); -- revert",
    '-- the price went up\nSELECT 1;\n-- the price went down',
    '-- Apply tax\nSELECT 1;\n-- Revert tax',
    '-- up votes\n-- down votes',
    '-- #up\n-- #down',
    '-- Links up\nCREATE TABLE u();\n-- Links down',
    '-- install\nCREATE TABLE u();\n-- uninstall',
    '-- upgrade users\nCREATE TABLE u();\n-- downgrade users',
    '-- Setup section\nCREATE TABLE u();\n-- Teardown section',
    '-- support undo',
    // Notes of people, above a DROP of what an older file made.
    '-- See PR #123 (rollback)',
    '-- TODO: rollback',
    '-- Rollback: not supported',
    '-- Down: none',
    '-- Tear down',
    '-- Status: up, down',
    "-- 'up' | 'down'",
    '-- enum: up down',
    '-- direction (up/down)',
    '-- Rollback script: DROP TABLE t',
    'CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC\n -- down\n SELECT 1;\nEND;',
  ])('where nothing that was made above goes, a comment is a comment: %j', (comment) => {
    const text = `CREATE TABLE t (id int, a int);\n${comment}\nDROP TABLE IF EXISTS old_t;\nALTER TABLE t DROP COLUMN a;\nDROP INDEX IF EXISTS i;`;
    expect(up(text)).toEqual(['none', text, undefined]);
  });

  test.each([
    'drop-down menu',
    'drop-down',
    'tear down the old table',
    'scale down the column',
    'scale down',
    'down payment',
    'Down under',
    'Drop the old index first',
    'roll back to the old names',
    'no rollback',
    'undo log',
    'servers are down',
    'rollback DROP TABLE a',
    'rollback: DROP TABLE a;',
    'rollback not required',
    'backward compatible',
    'what goes up must come down',
    'undo the damage of last night',
    'UNDO LOG',
    'rollback of the orders is not possible',
    'revert to the old names from 2019 on',
    'down time of the orders',
  ])('prose is none: -- %s', (comment) => {
    for (const statement of ['DROP INDEX b;', 'ALTER TABLE a DROP COLUMN b;', 'ALTER TABLE b RENAME TO a;']) {
      const text = `CREATE TABLE a ();\n-- ${comment}\n${statement}`;
      expect(up(text)).toEqual(['none', text, undefined]);
    }
  });
});

describe('what goes is known by its names, whatever the statements are', () => {
  test.each<[line: number, text: string]>([
    [1, 'create table foo(a int); /* undo foo */ drop table foo;'],
    [2, 'create schema q create table foo(a int);\n-- undo foo\ndrop table q.foo;'],
    [2, 'create table foo(a int); alter table foo rename to bar;\n-- rollback everything\ndrop table bar;'],
    [2, 'select 1 as a into foo;\n-- rollback foo\ndrop table foo;'],
    [2, 'create table s.foo(a int);\n-- undo everything\ndrop schema s cascade;'],
    [2, 'create table foo(a int);\n-- rollback of this\ndo $$ begin drop table foo; end $$;'],
    [2, 'create table U&"f\\006fo"(a int);\n-- undo foo\ndrop table foo;'],
    [2, 'create table foo(a int);\n-- undo foo\ndrop table U&"f!006fo" uescape \'!\';'],
    [2, 'create index on t(x);\n-- undo the index\ndrop index t_x_idx;'],
    [
      2,
      'alter table users add primary key (x);\n-- undo the key\nalter table users drop constraint users_pkey;',
    ],
    [
      2,
      'alter table t enable row level security;\n-- undo security\nalter table t disable row level security;',
    ],
    [
      2,
      'alter table t force row level security;\n-- undo security\nalter table t no force row level security;',
    ],
    [2, 'alter table t attach partition p for values in (1);\n-- undo it\nalter table t detach partition p;'],
    [2, 'alter table a inherit b;\n-- undo it\nalter table a no inherit b;'],
    [
      2,
      'alter default privileges in schema s grant select on tables to r;\n-- undo it\nalter default privileges in schema s revoke select on tables from r;',
    ],
    [2, 'create table t(id serial);\n-- undo ids\ndrop sequence t_id_seq cascade;'],
    [
      2,
      'insert into t values (1);\n-- undo it\nwith d as (delete from t returning 1) select count(*) from d;',
    ],
    [2, 'insert into t values (1);\n-- undo it\nmerge into t using s on t.a = s.a when matched then delete;'],
    [
      2,
      'merge into t using s on t.a = s.a when not matched then insert values (1);\n-- undo it\ndelete from t;',
    ],
    [2, 'update t set a = 2 where a = 1;\n-- undo it\nupdate t set a = 1 where a = 2;'],
    [1, 'create table foo(a int); drop /* undo foo */ table foo;'],
    [2, 'create table foo(a int);\n-- ＤＯＷＮ foo\ndrop table foo;'],
    [2, 'create table foo(a int);\n-- un\u00addo foo\ndrop table foo;'],
    // Of the same kind.
    [2, 'create table foo(a int);\n-- D O W N foo\ndrop table foo;'],
    [
      2,
      'create table foo(a int);\n/* what follows\n * is the rollback of all that stands above */\ndrop table foo;',
    ],
    [
      2,
      `create table foo(a int);\n/* rollback\n${' * It is run by hand, where the release has failed.\n'.repeat(20)} */\ndrop table foo;`,
    ],
    [2, `create table foo(a int);\n-- ${'='.repeat(200)} undo foo\ndrop table foo;`],
    [1, "create table foo(a int);insert into b values ('--'); -- undo foo\ndrop table foo;"],
    [1, 'create table foo(a int) /* a */; select 1 -- undo foo\n; drop table foo;'],
    [2, "create table foo(a int);\n-- undo foo\ndo $$ begin execute 'drop table ' || 'foo'; end $$;"],
    [2, "create table foo(a int);\n-- undo foo\ndo 'begin drop table foo; end';"],
    [2, 'create table foo(a int);\n-- undo foo\ndo $$ begin if true then drop table foo; end if; end $$;'],
    [2, 'do $$ begin create table foo(a int); end $$;\n-- undo foo\ndrop table foo;'],
    [
      2,
      'create table foo(a int);\n-- undo foo\ncreate function f() returns void language sql as $$ drop table foo $$; select f();',
    ],
    [2, 'create table foo(a int);\n-- undo foo\ncall drop_foo();'],
    [
      2,
      "select AddGeometryColumn('t', 'g', 1, 'POINT', 2);\n-- undo it\nselect DropGeometryColumn('t', 'g');",
    ],
    [2, 'create table foo as select 1;\n-- undo foo\nexplain analyze delete from foo;'],
    [2, 'insert into t values (1);\n-- undo it\nprepare p as delete from t; execute p;'],
    [2, 'create type e as enum (\'a\');\n-- undo the type\ndrop type if exists "e";'],
    [2, 'create table FOO(a int);\n-- undo foo\ndrop table "foo";'],
    [2, 'alter table t add column type text;\n-- undo the type\nalter table t drop column type;'],
    [2, 'alter table t add type text;\n-- undo the type\nalter table t drop type;'],
    [2, 'alter table t alter a type bigint;\n-- undo the type\nalter table t alter a type int;'],
    [2, 'alter table t set schema s;\n-- undo it\nalter table s.t set schema public;'],
    [2, 'alter table t set (fillfactor = 70);\n-- undo it\nalter table t reset (fillfactor);'],
    [2, "alter role r set work_mem = '1MB';\n-- undo it\nalter role r reset work_mem;"],
    [2, 'alter table t owner to a;\n-- undo it\nalter table t owner to b;'],
    [2, "alter type e rename value 'a' to 'b';\n-- undo it\nalter type e rename value 'b' to 'a';"],
    [2, 'grant a to b;\n-- undo it\nrevoke a from b;'],
    [2, 'grant select, delete on t to r;\n-- undo it\nrevoke all on table t from r cascade;'],
    [2, 'create extension hstore;\n-- undo it\ndrop extension hstore;'],
    [
      2,
      'create function f() returns int language sql as $$ select 1 $$;\n-- undo it\ndrop routine public.f;',
    ],
    [2, "comment on table t is 'new';\n-- undo it\ncomment on table t is null;"],
    [2, 'create or replace view v as select 2;\n-- undo it\ncreate or replace view v as select 1;'],
    [2, 'alter publication p add table t;\n-- undo it\nalter publication p drop table t;'],
    [2, 'create table a(); create table b();\n-- undo both\ndrop table z, a;'],
    [2, 'alter table t add b int, add c int;\n-- undo both\nalter table t alter z drop default, drop c;'],
    // Made again, in the same form.
    [2, 'drop table foo;\n-- undo it\ncreate table foo(a int);'],
    [2, 'alter table t drop column a;\n-- undo it\nalter table t add column a int;'],
    [2, 'alter table t disable trigger g;\n-- undo it\nalter table t enable trigger g;'],
    [2, 'delete from t;\n-- undo it\ninsert into t values (1);'],
    [2, 'revoke select on t from r;\n-- undo it\ngrant select on t to r;'],
  ])('line %i is refused: %j', (line, written) => {
    const text = Buffer.from(written).toString('latin1');
    expect(() => up(text)).toThrow(
      new RegExp(`^x\\.sql:${line}: this line looks like .*"-- initbox:no-undo-part"`),
    );
    expect(() => up(`-- migrate:up\n${text}\n-- migrate:down\n`)).toThrow(`x.sql:${line + 1}: `);
    // The file's own word that all of it is meant to run.
    expect(up(`-- initbox:no-undo-part\n${text}`)[0]).toBe('none');
  });

  test.each([
    'create table orders as select * from old_orders;\n-- tear down the old table\ndrop table old_orders;',
    'insert into orders select * from orders_old;\n-- tear down the old table\ndrop table orders_old;',
    'create table app.orders(a int);\n-- undo the split of 2019\ndrop table app.old_orders;',
    'alter table t add column c int;\n-- back-fill\nupdate t set c = 1;',
    'alter table t add column c int;\n-- roll the values down to the parts\nupdate t set c = 1;\nalter table t alter c set not null;',
    'alter table a rename to b;\n-- backward compatible\ncreate view a as select * from b;',
    'alter table t drop constraint k;\nupdate t set a = 1;\n-- put the constraint back\nalter table t add constraint k check (a > 0);',
    'create table undo_log(a int);\n-- undo log: who may read it\nrevoke all on undo_log from public;\ngrant select, delete on undo_log to app;',
    'create table a(id int);\n-- roll back with its order\ncreate table b(a int references a on delete cascade on update cascade);',
    'create table a(id int);\n-- a trigger that undoes it\ncreate trigger g before update or delete or truncate on a execute function f();',
    'create table a(id int);\n-- undoes one\ncreate function undo_one() returns void language sql as $$ delete from a $$;',
    'create table a(id int);\n-- who may undo\ncreate policy p on a for delete using (true);',
    'drop table if exists undo_log;\n-- undo log\ncreate table undo_log(a int);',
    'drop function if exists undo_one();\n-- undoes one order\ncreate function undo_one() returns void language sql as $$ select 1 $$;',
    'create table t(a int, b text);\n-- undo the mistake of 003\nalter table t drop column a;',
    "insert into a values ('drop table b');\n-- undo the mistake of 003\ndrop table b;",
    "insert into help values ('x');\n-- scroll down, roll back\ninsert into help values ('-- undo help') on conflict do update set a = 1;",
    'create table a(id int);\n-- undo the mistake of 003\ndrop trigger g on a;',
    'create index i on t(x);\n-- undo the mistake of 003\ndrop index concurrently if exists j;',
    'grant select on a to app;\n-- undo the mistake of 003\nrevoke select on b from app;',
    'create temporary table a(id int);\n-- undo the mistake of 003\ndrop table a;',
    'select a from b where a = 1;\n-- undo the mistake of 003\ndrop table b;',
    'begin; set local lock_timeout = 1;\n-- undo the mistake of 003\nset lock_timeout = 2; drop table b; commit;',
    "create table a(id int);\n-- undo the mistake of 003\ndo $$ begin drop table b; execute 'drop table c'; end $$;",
    'update a set x = 1;\n-- undo the mistake of 003\nupdate b set x = 1;',
    'alter table t alter a set default 1;\n-- undo the mistake of 003\nalter table t alter a set not null;',
    'alter table t attach partition p2 for values in (2);\n-- undo the mistake of 003\nalter table t detach partition p1;',
    'select * from a for update; create table b(x int);\n-- undo\u00e9e\nselect * from b for update;',
  ])('runs: %j', (written) => {
    const text = Buffer.from(written).toString('latin1');
    expect(up(text)).toEqual(['none', text, undefined]);
  });

  // Plain English with such a word in it.
  test.each([
    'lock down the old rows',
    'locks the table down',
    'locked it down',
    'locking-down',
    'narrow down the search',
    'narrowing it down',
    'drop-down list of countries',
    'the dropdown menu',
    'drop down values',
    'write back the sums',
    'written back',
    'there is no way back',
    'backwards compatibility',
    'backward-compatible',
    'Backwards incompatible',
  ])('no word for undoing: %s', (phrase) => {
    for (const gone of ['drop table a;', 'delete from a;', 'drop schema app cascade;']) {
      const text = `create table a(b int);\ninsert into a values (1);\n-- ${phrase}\n${gone}`;
      expect(up(text)).toEqual(['none', text, undefined]);
      // Beside one it hides nothing.
      for (const comment of [`${phrase}, then undo`, `down: ${phrase}`, `${phrase} / back`])
        expect(() => up(text.replace(phrase, comment)), comment).toThrow(/^x\.sql:3: this/);
    }
  });

  test.each(['take back the table', 'unlock down', 'drop down', 'way back', 'block: down', 'lock. Down'])(
    'not the phrase: %s',
    (comment) => {
      const text = `create table a(b int);\n-- ${comment} it\ndrop table a;`;
      expect(() => up(text)).toThrow(/^x\.sql:2: this/);
    },
  );

  // Each form between what is made and what takes it away, and no other word for undoing.
  test.each(
    (
      'reversal reversals reversion reverser reversible reversibly revertible reverter reversing undid undos undoing undone ' +
      'unmigrate unmigrating unmigrated unmigration un-migrate un-migration unapply unapplied unapplying unapplies un-apply ' +
      'undeploy undeployed undeploying undeployment uninstall uninstaller uninstallation deinstallation de-install downward ' +
      'downwards downgrader rollbacked rollbacking rollbackable rollbacks roll-backs teardown teardowns'
    )
      .split(' ')
      .concat('un migrate', 'un migrating', 'rolled back', 'rolling back', 'torn down'),
  )('form of a word for undoing: %s', (word) => {
    for (const comment of [`-- the ${word} of it`, `/* ${word.toUpperCase()}: */`])
      expect(() => up(`create table a(b int);\n${comment}\ndrop table a;`), comment).toThrow(
        /^x\.sql:2: this/,
      );
    const text = `create table a(b int);\n-- the ${word} of it\ndrop table c;`;
    expect(up(text)).toEqual(['none', text, undefined]);
  });

  test.each([
    'undocumented',
    'reverend',
    'download',
    'downtime',
    'unapt',
    'background',
    'rollout',
    'deployment',
  ])('none of its forms: %s', (word) => {
    const text = `create table a(b int);\n-- the ${word} of it\ndrop table a;`;
    expect(up(text)).toEqual(['none', text, undefined]);
  });

  test.each([
    'drop schema app cascade;',
    'drop schema if exists "App", other cascade;',
    'drop owned by app;',
    'drop owned by app, current_user cascade;',
    'drop database shop;',
    'drop database if exists shop with (force);',
    'drop extension hstore cascade;',
    'drop server files cascade;',
    'drop foreign data wrapper files cascade;',
    'do $$ begin if true then drop schema app cascade; end if; end $$;',
    "do $$ begin execute format('drop schema %I cascade', 'app'); end $$;",
  ])('what goes with it is taken away: %s', (gone) => {
    const made = 'set search_path = app;\ncreate table users(id int);';
    expect(() => up(`${made}\n-- how to undo it\n${gone}`)).toThrow(/^x\.sql:3: this line/);
    // Nothing was made above the comment; or all of it is made below.
    expect(up(`set search_path = app;\n-- undo it\n${gone}`)[0]).toBe('none');
    expect(up(`-- undo it\n${gone}\n-- undone\n${made}`)[0]).toBe('none');
  });

  test.each([
    'drop schema app;',
    'drop extension hstore;',
    'drop table c cascade;',
    'drop foreign table c cascade;',
    'alter table c drop owned;',
    'alter table c drop database, drop schema cascade;',
    'alter extension hstore drop schema app;',
  ])('only what it names is taken away: %s', (gone) => {
    expect(up(`create table users(id int);\n-- undo the mistake of 003\n${gone}`)[0]).toBe('none');
  });

  test('a word of another alphabet is another word', () => {
    const text = Buffer.from('create table a ();\n-- вниз, 下, ↓\ndrop table a;').toString('latin1');
    expect(up(text)[0]).toBe('none');
  });
});

describe('a directive of its own is a line comment in the part that runs, or above it', () => {
  const undo = '\n-- how to undo this migration:\nDROP TABLE users;';
  const made = 'CREATE TABLE users ();\n';
  const texts = (name: string): [string, string][] => [
    ['a string', `SELECT 'a\n-- initbox:${name}\nb';`],
    ['a string with a quote in it', `SELECT 'it''s\n-- initbox:${name}\n';`],
    ['an escape string', `SELECT E'it\\'s\n-- initbox:${name}\n';`],
    ['a string of escaped letters', `SELECT U&'a\\0061\n-- initbox:${name}\n';`],
    ['a continued string', `SELECT 'a'\n'\n-- initbox:${name}\n';`],
    ['a continued escape string', `SELECT E'a\\''\n  '\\'\n-- initbox:${name}\n';`],
    ['strings in which a backslash is one', `SELECT 'a\\', '\n-- initbox:${name}\n';`],
    [
      'a string in which it is none',
      `SET standard_conforming_strings = off;\nSELECT 'a\\'\n-- initbox:${name}\n';`,
    ],
    ['a string in parentheses', `INSERT INTO t VALUES (1, '\n  -- initbox:${name}\n');`],
    ['a block comment', `/*\n-- initbox:${name}\n*/ SELECT 1;`],
    ['a nested comment', `/* a /* b */\n-- initbox:${name}\n*/ SELECT 1;`],
    ['a quoted name', `SELECT 1 AS "a\n-- initbox:${name}\n";`],
    ['a quoted name of escaped letters', `SELECT 1 AS U&"a\n-- initbox:${name}\n";`],
    ['a body', `DO $$ BEGIN\n-- initbox:${name}\nPERFORM 1; END $$;`],
    ['a body with a tag', `DO $b_1$ BEGIN\n-- initbox:${name}\nPERFORM 1; END $b_1$;`],
    [
      'a body of statements',
      `CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;\n-- initbox:${name}\nSELECT 2; END;`,
    ],
    ['a line with more', `SELECT 1; -- initbox:${name}\n`],
  ];

  test.each(texts('no-undo-part'))('in %s it does not say that nothing undoes', (_name, text) => {
    expect(() => up(`${made}${text}${undo}`)).toThrow(/this line looks like the start of a part that undoes/);
    expect(() => up(`${text}\n${made}${undo}`)).toThrow(
      /this line looks like the start of a part that undoes/,
    );
  });

  test.each(texts('no-transaction'))('in %s it does not take the transaction away', (_name, text) => {
    for (const written of [text, `${made}${text}`, `-- migrate:up\n${text}\n-- migrate:down\n`])
      expect(up(written)[2], written).toBe(undefined);
  });

  test.each(texts('parallel'))('in %s an unknown one is no error', (_name, text) => {
    expect(up(text)).toEqual(['none', text.trim(), undefined]);
  });

  test.each(texts('no-transaction'))('below %s it counts', (_name, text) => {
    expect(up(`${text}\n  --  initbox:no-transaction\n${made}`)[2]).toBe(false);
    expect(up(`${text.replaceAll('\n', '\r\n')}\r\n-- initbox:no-transaction\r\n${made}`)[2]).toBe(false);
    expect(up(`${text}\n-- initbox:no-undo-part\n${made}${undo}`)[0]).toBe('none');
    expect(() => up(`${text}\n-- initbox:parallel\n${made}`)).toThrow(/"-- initbox:parallel" is not known/);
  });

  test.each([
    ['-- +goose Up\n', '-- +goose Down\n'],
    ['-- migrate:up\n', '-- migrate:down\n'],
    ['-- +migrate Up\n', '-- +migrate Down\n'],
    ['-- Up Migration\n', '-- Down Migration\n'],
    ['', '-- Down Migration\n'],
    ['', '---- create above / drop below ----\n'],
  ])('%j … %j: only above the part that does not run', (first, second) => {
    const parts = (head: string, body: string, below: string): string =>
      `${head}${first}${body}${made}${undo}\n${second}${below}DROP TABLE users;`;
    const directive = '-- initbox:no-undo-part\n-- initbox:no-transaction\n';
    expect(() => up(parts('', '', directive))).toThrow(/looks like the start of a part that undoes/);
    expect(() => up(parts('', '', ''))).toThrow(/looks like the start of a part that undoes/);
    expect(up(parts(directive, '', ''))[2]).toBe(false);
    expect(up(parts('', directive, ''))[2]).toBe(false);
    expect(up(`${first}${made}${second}-- initbox:no-transaction\n`)[2]).toBe(undefined);
    expect(up(`${first}${made}${second}-- initbox:parallel\n`)[2]).toBe(undefined);
    if (first !== '') {
      // What is open where the head ends is no part of what runs.
      expect(() => up(parts(`/*\n${directive}*/\n`, '', ''))).toThrow(/looks like the start of a part/);
      expect(up(parts('/* a /* b */\n', directive, ''))[2]).toBe(false);
    }
  });

  test('between the parts of one statement it is a comment', () => {
    const text = `CREATE TABLE a (\n  -- initbox:no-transaction\n  id int\n);`;
    expect(up(text)[2]).toBe(false);
  });
});

describe('refused with the line', () => {
  test.each<[string, string, RegExp]>([
    ['dbmate without up', 'SELECT 1;\n-- migrate:down\nDOWN', /^x\.sql has marks, but no "-- migrate:up"/],
    ['two ups', '-- migrate:up\n-- migrate:up\n', /^x\.sql:2: a second "-- migrate:up"/],
    ['two downs', '-- +goose Up\n-- +goose Down\n-- +goose Down\n', /^x\.sql:3: a second/],
    [
      'down before up',
      '-- migrate:down\nDOWN\n-- migrate:up\nUP',
      /^x\.sql:1: "-- migrate:down" stands before/,
    ],
    [
      'SQL before up',
      '\nSELECT 1;\n-- +goose Up\n',
      /^x\.sql:2: SQL before "-- \+goose Up" belongs to no part/,
    ],
    ['an unknown mark of dbmate', '-- migrate:sideways\n', /^x\.sql:1: "-- migrate:sideways" is neither/],
    [
      'an unknown option of dbmate',
      '-- migrate:up transaction:maybe\n',
      /^x\.sql:1: "transaction:maybe" is not an option/,
    ],
    [
      'variables of goose',
      '-- +goose ENVSUB ON\n-- +goose Up\n',
      /^x\.sql:1: "-- \+goose ENVSUB ON" is not supported/,
    ],
    [
      'marks of two tools',
      '-- migrate:up\n-- +goose Up\n',
      /^x\.sql is marked for both dbmate \(line 1\) and goose \(line 2\)/,
    ],
    [
      'node-pg-migrate upside down',
      '-- Down Migration\n-- Up Migration\n',
      /^x\.sql:1: "-- Down Migration" stands before/,
    ],
    [
      'SQL above the mark of node-pg-migrate',
      'SELECT 1;\n-- Up Migration\nSELECT 2;',
      /^x\.sql:1: SQL before "-- Up Migration" belongs to no part/,
    ],
    [
      'SQL above what node-pg-migrate would take for its mark',
      'SELECT 1;\n-- Up migration of the orders\nSELECT 2;\n-- Down Migration\nSELECT 3;',
      /^x\.sql:2: node-pg-migrate would leave out what stands above this line/,
    ],
    [
      'a mark in a comment',
      '/*\n-- migrate:up\n*/\nSELECT 1;',
      /^x\.sql:1: SQL before "-- migrate:up" belongs to no part/,
    ],
    [
      'a changeset of Liquibase for one environment',
      '--liquibase formatted sql\n--changeset a:1 context:dev\nSELECT 1;',
      /^x\.sql:2: Liquibase runs this changeset under a condition/,
    ],
    ['an unknown directive', '\n-- initbox:parallel\n', /^x\.sql:2: "-- initbox:parallel" is not known/],
    ['MyBatis', 'A\n-- //@UNDO\nB', /^x\.sql:2: this line looks like the start of a part that undoes/],
    ['a plain word', 'A\n-- DOWN\nB', /^x\.sql:2: this line/],
    ['a plain word with ornaments', 'A\n--- [ rollback ] ---\nB', /^x\.sql:2: this line/],
    ['a word behind a form feed', 'A\n\f-- DOWN\nB', /^x\.sql:2: this line/],
    ['a word behind a vertical tab', 'A\n\v--\vdown\nB', /^x\.sql:2: this line/],
    [
      'goose behind a form feed',
      '\f-- +goose Up\nA\n\v-- +goose Down\n-- +goose Down\nB',
      /^x\.sql:4: a second/,
    ],
    ['dbmate behind a form feed', '-- migrate:up\nA\n\f-- migrate:down\nB', /^x\.sql:3: this line/],
    ['sqitch', '-- Revert shop:a from pg\nBEGIN;', /^x\.sql:1: this line/],
    ['Play', '# --- !Ups\nA\n\n# --- !Downs\nB', /^x\.sql:4: this line/],
  ])('%s', (_name, text, expected) => {
    expect(() => partsOf(text, 'x.sql')).toThrow(expected);
  });
});

describe('a file of Liquibase', () => {
  const head = '--liquibase formatted sql\n';

  test.each<[string, false | undefined]>([
    ['--changeset me:1\nUP', undefined],
    ['--changeset me:1\n-- a comment: two words\n--comment: text\n--comment text\nUP', undefined],
    [
      '--changeset "My Self":"a 1" logicalFilePath:a/b.sql stripComments:false splitStatements:true endDelimiter:; failOnError:true\nUP',
      undefined,
    ],
    ['-- changeset me:1 endDelimiter:";" runAlways:false runOnChange:false ignore:FALSE\nUP', undefined],
    [
      '--changeset me:1 rollbackEndDelimiter:/\n--validCheckSum: 9:any\nUP\n--rollback DROP TABLE a;',
      undefined,
    ],
    ['--changeset me:1\nUP\n--rollback not required\n--changeset me:2\nUP', undefined],
    ['--changeset me:1 runInTransaction:true\nUP', undefined],
    ['--changeset me:1 runInTransaction:false\nUP', false],
    ['--changeset me:1 runInTransaction:false\nUP\n--changeset me:2 runInTransaction:false\nUP', false],
  ])('%j changes nothing', (text, transaction) => {
    expect(up(head + text)[2]).toBe(transaction);
    expect(up(`  -- liquibase formatted sql changeLogId:1-2\n${text}`)[0]).toBe('none');
  });

  test.each<[number, string, string]>([
    [2, '--changeset me:1 ignore:true\nUP', 'ignore:true'],
    [2, '--changeset me:1 runAlways:true\nUP', 'runAlways:true'],
    [2, '--changeset me:1 runOnChange:true\nUP', 'runOnChange:true'],
    [2, '--changeset me:1 failOnError:false\nUP', 'failOnError:false'],
    [2, '--changeset me:1 splitStatements:false\nUP', 'splitStatements:false'],
    [2, '--changeset me:1 endDelimiter:GO\nUP', 'endDelimiter:GO'],
    [2, '--changeset me:1 runWith:psql\nUP', 'runWith:psql'],
    [2, '--changeset me:1 runOrder:last\nUP', 'runOrder:last'],
    [2, '--changeset me:1 tomorrow:"a b"\nUP', 'tomorrow:"a b"'],
    [2, '--changeset me\nUP', '--changeset me'],
    [3, '--changeset me:1\n--ignoreLines:start\nUP\n--ignoreLines:end', '--ignoreLines:start'],
    [3, '--changeset me:1\n  -- ignoreLines:1\nUP', '-- ignoreLines:1'],
    [2, '--property name:t value:a\n--changeset me:1\nUP', '--property name:t value:a'],
    [2, '--include file:b.sql\n--changeset me:1\nUP', '--include file:b.sql'],
    [3, '--changeset me:1\n--tomorrow:a\nUP', '--tomorrow:a'],
    [3, '--changeset me:1\nCREATE TABLE ${t} ();', '${t}'],
  ])('line %i of %j is refused', (line, text, word) => {
    expect(() => up(head + text)).toThrow(
      `x.sql:${line}: Liquibase reads "${word}" in a way of its own, which is not done here; run Liquibase itself`,
    );
  });

  test.each<[string, RegExp]>([
    ['--changeset me:1 context:test\nUP', /^x\.sql:2: Liquibase runs this changeset under a condition/],
    ['--changeset me:1 labels:"a b"\nUP', /^x\.sql:2: Liquibase runs this changeset under a condition/],
    ['--changeset me:1\n--preconditions onFail:HALT\nUP', /^x\.sql:3: Liquibase runs .* a condition/],
    ['--changeset me:1\n--precondition-sql-check x\nUP', /^x\.sql:3: Liquibase runs .* a condition/],
    ['UP', /^x\.sql:2: SQL before the first "--changeset author:id" belongs to no changeset/],
    ['UP\n--changeset me:1\nUP', /^x\.sql:2: SQL before the first "--changeset/],
    [
      '--changeset me:1 runInTransaction:false\nUP\n--changeset me:2\nUP',
      /^x\.sql:4: this changeset runs in a transaction, and the one in line 2 does not; put them in two files/,
    ],
  ])('%j is refused', (text, message) => expect(() => up(head + text)).toThrow(message));

  test.each([
    '--changeset me:1 context:test\nUP',
    'UP;\n-- changeset My Self:1\nUP',
    '--changeset "a":b\nUP',
  ])('without its head: %j', (text) =>
    expect(() => up(text)).toThrow(
      /^x\.sql:[12]: this line begins a changeset of Liquibase, but the file does not begin with "--liquibase formatted sql"/,
    ),
  );

  test('such words in prose and in literals are none', () => {
    for (const text of [
      '-- changeset of the orders\nUP',
      '-- property name:t value:a\nUP',
      "SELECT '\n--changeset me:1\n';",
    ])
      expect(up(text)[0]).toBe('none');
  });
});

describe('a comment behind a statement speaks of that statement too', () => {
  test.each([
    'ALTER TABLE u ADD COLUMN x int; -- up\nALTER TABLE u DROP COLUMN x; -- down\n',
    'CREATE TABLE users(id int);\nDROP TABLE users; -- down\n',
    'CREATE TABLE users(id int); /* up */\nDROP TABLE users; /* down */\nSELECT 1;',
    'CREATE TABLE users(id int);\nDROP TABLE users; -- @undo',
    'CREATE TABLE users(id int);\nDROP TABLE users; -- only needed for a rollback',
    'CREATE TABLE users(id int); -- acme:up:42\nDROP TABLE users; -- acme:down:42',
  ])('%j is refused', (text) =>
    expect(() => up(text)).toThrow(/this line looks like the start of a part that undoes/),
  );

  test.each([
    'DROP TABLE users; -- down',
    'CREATE TABLE directions(d text);\nINSERT INTO directions VALUES (1); -- down',
    'CREATE TABLE a(id int);\nDROP TABLE b; -- tear down the old one',
  ])('%j runs', (text) => expect(up(text)[0]).toBe('none'));
});

test.each([
  'ALTER POLICY pol ON t USING (id>1);\n-- Run by hand in an emergency:\n-- ROLLBACK\nALTER POLICY pol ON t USING (true);',
  'SELECT 1;\n-- Part 2:\n-- DOWN\nSELECT 2;',
])('a mark below a caption is a mark: %j', (text) =>
  expect(() => up(text)).toThrow(/this line looks like the start of a part that undoes/),
);

describe("a known tool's mark is told by that tool's own rule, whatever the statements are", () => {
  const made = 'ALTER TABLE users ALTER email SET STATISTICS 500;\n';
  const gone = 'ALTER SEQUENCE s RESTART 5;';

  test.each<[tool: string, line: number, text: string]>([
    [
      'Mojo::Pg',
      3,
      `-- 1 up (statistics; users comes with the image)\n${made}-- 1 down (...you can comment freely here...)\n`,
    ],
    ['goose', 3, `-- +goose Up\n${made}-- +gooseDown\n`],
    ['goose', 3, `-- +goose Up\n${made}-- Down +goose\n`],
    ['goose', 3, `-- +gooseUp\n${made}-- -- +GOOSEdown --\n`],
    ['goose', 3, `-- +goose Up\n${made}-- Down\u00a0+goose\n`],
    ['goose', 3, `-- +goose Up\n${made}-- Down +goose\u00a0\n`],
    ['goose', 3, `-- +goose Up\n${made}-- Do+goosewn\n`],
    ['goose', 3, `-- +goose Up\n${made}-- D--own+goose\n`],
    ['rambler', 3, `-- rambler up\u00a0\n${made}-- ramblerdown\n`],
    ['rambler', 3, `-- rambler\u000bup\n${made}-- ramblers end\n`],
    ['rambler', 2, `${made}-- ramblerdown\n`],
    ['node-pg-migrate', 3, `--\u00a0Up Migration\n${made}-- Down migrations go here\n`],
    ['node-pg-migrate', 3, `-- Up Migration\n${made}-- Down\u00a0migrationfoo because x\n`],
    ['node-pg-migrate', 3, `-- Up Migration\n${made}-- see the notes\u2028-- Down Migration\n`],
    ['node-pg-migrate', 3, `-- Up Migration\n${made}\u3000-- Down Migration\n`],
    ['node-pg-migrate', 3, `-- Up Migration\n${made}-- Down Migrations for 42\n`],
    ['node-pg-migrate', 3, `-- Up Migration\n${made}-- down migrationscript\n`],
    ['Mojo::Pg', 3, `--1up\n${made}--01Down the tables\n`],
    ['Mojo::Pg', 3, `-- 1 UP - x\n${made}-- 1 DOWN - y\n`],
    ['Mojo::Pg', 3, `-- 1 up\n${made}-- 2 down: remove\n`],
    ['Mojo::Pg', 3, `-- 7 upgrade\n${made}-- 7 downgrade\n`],
    ['Mojo::Pg', 4, `-- 1 up\n${made}SELECT '\n-- 1 down, says the book\n';\n`],
    ['MyBatis Migrations', 3, `-- // statistics\n${made}-- //@UNDO for the base image's table\n`],
    ['MyBatis Migrations', 2, `${made}-- // @UNDO: x\n`],
    ['MyBatis Migrations', 2, `${made}  --// drop users @UNDO\n`],
    ['MyBatis Migrations', 3, `${made}SELECT '\n-- //@UNDO\n';\n`],
    ['MyBatis Migrations', 3, `${made}/*\n-- //@UNDO\n*/\n`],
    ['Play evolutions', 3, `-- Users schema !Ups statistics\n${made}-- Users schema !Downs statistics\n`],
    ['Play evolutions', 2, `${made}--- users !Downs\n`],
    ['Play evolutions', 3, `${made}SELECT '\n# !Downs of users\n';\n`],
    ['rambler', 3, `-- rambler up\n${made}-- rambler down all\n`],
    ['rambler', 3, `-- rambler up\n${made}-- rambler's own words\n`],
    ['rambler', 2, `${made}-- rambler down all\n`],
    ['rambler', 4, `-- rambler up\n${made}SELECT '\n-- rambler stops here\n';\n`],
    ['tern', 1, `${made.trim()} ---- create above / drop below ----\n`],
    ['tern', 2, `${made}COMMENT ON TABLE users IS '---- create above / drop below ----';\n`],
    ['tern', 2, `${made}-- x ---- create above / drop below ----\n`],
    ['tern', 2, `${made}  ---- create above / drop below ----\n`],
    ['tern', 2, `${made}----- create above / drop below -----\n`],
    [
      'tern',
      1,
      `${made.trim()} -- ---- create above / drop below ----\n---- create above / drop below ----\n`,
    ],
    ['node-pg-migrate', 3, `${made}SELECT '\n-- Down migration of the orders\n';\n`],
  ])('%s, line %i of %j', (tool, line, written) => {
    const text = Buffer.from(written).toString('latin1');
    const message = new RegExp(
      `^x\\.sql:${line}: this line looks like the start of a part that undoes .*\\(${tool} .*"-- initbox:no-undo-part"`,
    );
    expect(() => up(`${text}${gone}`)).toThrow(message);
    expect(() => up(`${text}${gone}`.replaceAll('\n', '\r\n'))).toThrow(message);
    expect(() => up(`${text}-- nothing\n`)).toThrow(message);
    const isOfTool = /^--\s(?:\+goose Up|Up Migration)/.test(text);
    if (!isOfTool && text.split('---- create above').length < 3) {
      // The file's own word; and below the mark of the tool whose file it is.
      expect(up(`-- initbox:no-undo-part\n${text}${gone}`)[0]).toBe('none');
      expect(up(`-- +goose Up\nA;\n-- +goose Down\n${text}${gone}`)[0]).toBe('goose');
    }
  });

  test.each([
    '-- 2 down payments per order',
    '-- 1 update the users\nSELECT 1;\n-- 2 down payments per order',
    '-- step 1 up\nSELECT 1;\n-- 2 down payments per order',
    '-- 1 up\n-- 2 up to date',
    '-- // see the undo log',
    '-- the rambler table\n-- ramblers walk',
    '-- rambler up',
    'SELECT 1; -- see "!Downs"',
    'SELECT 1; -- down migration of the orders',
  ])('is none: %j', (comment) => {
    const text = `${made}${comment}\n${gone}`;
    expect(up(text)[0]).toBe('none');
  });
});

describe('the second of two marks of one form counts, whatever words stand behind it', () => {
  const made = 'ALTER TABLE users ALTER email SET STATISTICS 500;\n';
  const pairs: [string, string][] = [
    ['-- +micrate Up', '-- +micrate Down (comment)'],
    ['-- +nomad Up x', '-- +nomad Down y'],
    ['-- + nomad Up', '-- + nomad Down y'],
    ['-- +Up', '-- +Down of users'],
    ['-- ==== UP ====', '-- ==== DOWN ==== users'],
    ['-- *** Apply *** users', '-- *** Roll back *** users'],
    ['-- @up create it', '-- @down drop it'],
    ['-- @do', '-- @undo users'],
    ['-- @forward', '-- @backward of users'],
    ['-- @apply', '-- @undo users'],
    ['-- !up create it', '-- !down drop it'],
    ['-- %up', '-- %down users'],
    ['-- // up', '-- // down users'],
    ['-- //up', '-- //down users'],
    ['-- [up] users', '-- [down] users'],
    ['-- <up> users', '-- <down> users'],
    ['-- {up} users', '-- {down} users'],
    ['-- [acme up] users', '-- [acme down] users'],
    ['-- acme up 42', '-- acme down 42'],
    ['-- acme up v42 of users', '-- acme down v42 of users'],
    ['-- 001_users up', '-- 001_users down it all'],
    ['-- UP: users', '-- DOWN: users'],
    ['-- Up - users', '-- Down - drop them'],
    ['-- Up (users)', '-- Down (users)'],
    ['-- up users', '-- down users'],
    ['-- UP', '-- DOWN: users'],
    ['-- Up:', '-- down users'],
    ['-- ==== UP ====', '-- ==== DOWN users ===='],
    ['-- migrate up users', '-- migrate down users'],
    ['-- acme: up 42', '-- acme: down 42'],
    ['-- acme.up users', '-- acme.down users'],
    ['-- acme/up users', '-- acme/down users'],
    ['/* @up create it */', '/* @down drop it */'],
  ];
  test.each(pairs)('%s … %s', (first, second) => {
    for (const gone of ['DROP TABLE users;', 'ALTER SEQUENCE s RESTART 5;', 'SELECT app.uninstall();']) {
      const text = `${first}\n${made}${second}\n${gone}`;
      expect(() => up(text)).toThrow(/^x\.sql:3: this line looks like the start of a part that undoes/);
      expect(() => up(`-- +goose Up\n${text}`)).toThrow(/^x\.sql:4: /);
      expect(up(`-- initbox:no-undo-part\n${text}`)[0]).toBe('none');
    }
    // The second alone, with words behind it, is a comment; so are two with no SQL between them.
    const above = `${first}\n${second}\nCREATE TABLE b ();`;
    expect(up(above)).toEqual(['none', above, undefined]);
  });

  test.each<[string, string]>([
    ['-- scale up limits', '-- scale down limits'],
    ['-- scale up 2 pools', '-- scale down 2 pools'],
    ['-- clean up old rows', '-- slow down the job'],
    ['-- Links up', '-- Links down'],
    ['-- links go up', '-- links go down'],
    ['-- TODO: apply the rest', '-- TODO: revert this'],
    ['-- Note: up to 5 rows', '-- Note: down to 5 rows'],
    ['-- ! do not touch', '-- ! back up the table first'],
    ['-- // do this first', '-- // roll back by hand'],
    ['-- upgrade users', '-- downgrade users of today'],
    ['-- @up', '-- [down] users'],
    ['-- up users', '-- down orders'],
    ['-- acme up 42', '-- acme down 43'],
    ['-- the rows are set up: all', '-- the rows are torn down: all'],
    ['-- 5 rows up front', '-- scaled down limit'],
    ['-- (what is up)', '-- (what is down) in it'],
  ])('prose is none: %s … %s', (first, second) => {
    for (const below of ['DROP TABLE old;', 'ALTER SEQUENCE s RESTART 5;']) {
      const text = `${first}\n${made}${second}\n${below}`;
      expect(up(text)).toEqual(['none', text, undefined]);
    }
  });

  test.each<[string, string]>([
    ['-- up votes', '-- down votes'],
    ['-- up', '-- down payments'],
    ['-- Up: votes for it', '-- Down: votes against it'],
  ])('nor where what follows makes something: %s … %s', (first, second) => {
    for (const below of [
      'CREATE TABLE b ();',
      'ALTER TABLE t ADD down int;',
      'INSERT INTO b VALUES (1);',
      "COMMENT ON TABLE t IS 'x';",
      'GRANT SELECT ON t TO r;',
    ]) {
      const text = `${first}\n${made}${second}\n${below}`;
      expect(up(text)).toEqual(['none', text, undefined]);
    }
  });

  test('inside a statement it is a comment', () => {
    for (const [first, second] of pairs) {
      const text = `CREATE TABLE t (\n${first}\na int,\n${second}\nb int);`;
      expect(up(text)).toEqual(['none', text, undefined]);
    }
  });
});

test.each([
  'A;\n-- Rollback:\n-- DROP TABLE b;\n-- DROP TABLE a;\n',
  'A;\n\n-- DOWN\n-- DROP TABLE b;\n',
  'A;\n/* Rollback */\n/* DROP TABLE b; */',
  '-- @up\nA;\n-- @down x\n-- DROP TABLE b;\n',
])('with no statement below it, a mark is a comment: %j', (text) => {
  expect(up(text)[0]).toBe('none');
  expect(up(`-- migrate:up\n${text}\n-- migrate:down\nDROP TABLE b;`)[0]).toBe('dbmate');
  expect(() => up(`${text}\nB;`)).toThrow(/looks like the start of a part that undoes/);
});

test.each(['scaled down limit', 'slows down the job', 'scaling it down', 'SLOW-DOWN'])(
  'plain English that undoes nothing: %s',
  (comment) => {
    for (const text of [
      `ALTER TABLE t DROP CONSTRAINT c; -- ${comment}\nALTER TABLE t ADD CONSTRAINT c CHECK (i < 5);`,
      `ALTER TABLE t DROP CONSTRAINT c;\n-- ${comment}\nALTER TABLE t ADD CONSTRAINT c CHECK (i < 5);`,
    ])
      expect(up(text)).toEqual(['none', text, undefined]);
  },
);

describe('what is nearly a directive is refused with the right spelling', () => {
  test.each<[string, string]>([
    ['-- Initbox:no-undo-part', 'no-undo-part'],
    ['-- initbox : no-transaction', 'no-transaction'],
    ['-- initbox :no-transaction', 'no-transaction'],
    ['--- initbox:no-transaction', 'no-transaction'],
    ['-- -- initbox:no-transaction', 'no-transaction'],
    ['-- initbox: no-undo-part', 'no-undo-part'],
    ['-- initbox:\tno-transaction', 'no-transaction'],
    ['-- INITBOX:NO-TRANSACTION', 'no-transaction'],
    ['-- initbox:No-Transaction', 'no-transaction'],
    ['-- initbox:no_transaction', 'no-transaction'],
    ['-- initbox:no transaction', 'no-transaction'],
    ['-- initbox:no-transaction;', 'no-transaction'],
    ['-- initbox:no-transaction because of the index', 'no-transaction'],
    ['-- initbox:noUndoPart', 'no-undo-part'],
    ['-- initbox:no-undo-parts', 'no-undo-part'],
    ['-- initbox=no-transaction', 'no-transaction'],
    ['-- initbox no-transaction', 'no-transaction'],
    ['-- initbox-no-transaction', 'no-transaction'],
    ['-- @initbox:no-transaction', 'no-transaction'],
    ['-- [initbox:no-transaction]', 'no-transaction'],
    ['-- +initbox no-undo-part', 'no-undo-part'],
  ])('%j', (line, name) => {
    expect(() => up(`\n${line}\nSELECT 1;`)).toThrow(
      `x.sql:2: "${line.trim()}" is not spelled as a directive; write "-- initbox:${name}" alone on the line`,
    );
    // Where a directive does not count, it is text.
    expect(up(`SELECT '\n${line}\n';`)[2]).toBe(undefined);
    expect(up(`-- migrate:up\nSELECT 1;\n-- migrate:down\n${line}\n`)[2]).toBe(undefined);
  });

  test.each(['-- INITBOX:no-such', '-- initbox:', '-- initbox : parallel', '-- initbox: see the wiki'])(
    '%j is not known',
    (line) =>
      expect(() => up(`\n${line}\nSELECT 1;`)).toThrow(
        /^x\.sql:2: "-- initbox.*" is not known; the directives are "-- initbox:no-transaction" and "-- initbox:no-undo-part"/i,
      ),
  );

  test.each([
    '-- initbox runs this file',
    '-- run by initbox: see the wiki',
    '-- the initbox directive no-transaction is not needed',
    'SELECT 1; -- Initbox:no-transaction',
  ])('%j is prose', (line) => expect(up(`${line}\nSELECT 1;`)[2]).toBe(undefined));

  test.each(['--initbox:no-transaction', '--\tinitbox:no-transaction', '  -- initbox:no-transaction  '])(
    '%j is one: blanks around it are free',
    (line) => expect(up(`${line}\nSELECT 1;`)[2]).toBe(false),
  );
});

describe('a txtar file of Atlas', () => {
  test.each([
    '-- atlas:txtar\n\n-- migration.sql --\nSELECT 1;',
    '-- atlas:txtar\n\n-- checks/destructive.sql --\n-- atlas:assert DS102\nSELECT false;\n-- migration.sql --\nSELECT 1;',
    '-- licence\n--atlas:txtar\n-- initbox:no-undo-part\n-- migration.sql --\nSELECT 1;\n-- down.sql --\nSELECT 2;',
  ])('%j is refused', (text) =>
    expect(() => up(text)).toThrow(
      /^x\.sql:[12]: Atlas reads this file as several \(checks, migration, down\), which is not done here; .*atlas migrate apply/,
    ),
  );

  test('in a literal and in prose it is text', () => {
    for (const text of ["SELECT '\n-- atlas:txtar\n';", '-- no atlas:txtar file\nSELECT 1;'])
      expect(up(text)[0]).toBe('none');
  });
});

test('a head of many such comments is read once', () => {
  const text = `${'-- @up x\n-- @down x\n-- acme:up:1\n-- acme:down:1\n'.repeat(10_000)}SELECT 1;`;
  expect(up(text)[0]).toBe('none');
});

// Were it read in steps that grow with what was read, this would take hours.
test('a load of data full of dashes is read once', () => {
  const text = `${'-- a comment\n'.repeat(200_000)}SELECT '${'--'.repeat(500_000)}';`;
  expect(up(text)[0]).toBe('none');
});

test('so is one whose comments all look like marks', () => {
  const text = `SELECT '${"''".repeat(100_000)}';\n${'-- sqlx down\n'.repeat(100_000)}${'\n'.repeat(1_000_000)}SELECT 1;`;
  expect(up(text)[0]).toBe('none');
});

test('so is one statement of 10 MB below a comment that could be one', () => {
  const rows = "(1, 'a', (2)), ".repeat(700_000);
  const text = `create table t(a int);\n-- undo log\ninsert into t values ${rows} (1);\n${'-- sqlx down\ndrop table o;\n'.repeat(5_000)}`;
  expect(up(text)[0]).toBe('none');
});

test('so is one with many directives, in text and not', () => {
  const text = `${'-- initbox:no-transaction\n'.repeat(100_000)}${"SELECT '\n-- initbox:none\n';\n".repeat(100_000)}-- initbox:no-undo-part`;
  expect(up(text)[2]).toBe(false);
});

// A script is held as Latin-1.
test.each([
  ['-- migrate:up größe:ja\nUP', /"größe:ja" is not an option of migrate:up/],
  ['-- +goose Zurück\nUP', /"-- \+goose Zurück" is not supported/],
  ['-- initbox:überall\nUP', /"-- initbox:überall" is not known/],
  ['--liquibase formatted sql\n--changeset ä:1 fällt:nie\nUP', /Liquibase reads "fällt:nie"/],
])('a line is quoted as it stands in the file: %s', (text, words) => {
  expect(() => up(Buffer.from(text).toString('latin1'))).toThrow(words);
});
