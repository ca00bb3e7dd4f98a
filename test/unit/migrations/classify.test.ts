import { describe, expect, test } from 'vitest';

import {
  builtIndex,
  isAllOrNothing,
  kindOf,
  shortText,
  type Kind,
} from '../../../src/migrations/classify.ts';
import { split, type Statement } from '../../../src/migrations/split.ts';

function one(text: string): Statement {
  const [statement] = split(Buffer.from(text).toString('latin1'), 'x.sql');
  if (statement === undefined) throw new Error(text);
  return statement;
}

describe('kinds', () => {
  test.each<[Kind, string[]]>([
    [
      'outside',
      [
        'CREATE INDEX CONCURRENTLY i ON t (a)',
        'create unique index concurrently if not exists i on t (a)',
        'CREATE /* x */ INDEX -- y\n CONCURRENTLY ON t (a)',
        'DROP INDEX CONCURRENTLY i',
        'DROP INDEX CONCURRENTLY IF EXISTS i',
        'REINDEX INDEX CONCURRENTLY i',
        'REINDEX (VERBOSE) TABLE CONCURRENTLY t',
        'REINDEX (VERBOSE, CONCURRENTLY TRUE) TABLE a',
        'REINDEX (CONCURRENTLY ON) TABLE a',
        'reindex (concurrently) index a',
        "REINDEX (CONCURRENTLY 'on', VERBOSE) TABLE a",
        'REINDEX (CONCURRENTLY 1) TABLE a',
        'REINDEX (CONCURRENTLY /* , */ "true") TABLE a',
        'REINDEX (CONCURRENTLY OFF, CONCURRENTLY) TABLE a',
        'REINDEX (VERBOSE) DATABASE d',
        'REINDEX DATABASE d',
        'REINDEX SCHEMA s',
        'VACUUM',
        'VACUUM (ANALYZE) t',
        'CLUSTER',
        'CLUSTER VERBOSE',
        'CREATE DATABASE d',
        'DROP DATABASE IF EXISTS d',
        "ALTER SYSTEM SET work_mem = '1MB'",
        "CREATE TABLESPACE s LOCATION '/x'",
        'DROP TABLESPACE s',
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
        'DROP SUBSCRIPTION s',
        'ALTER SUBSCRIPTION s REFRESH PUBLICATION',
        'ALTER DATABASE d SET TABLESPACE s',
        'ALTER TABLE t DETACH PARTITION p CONCURRENTLY',
        'ALTER TABLE IF EXISTS ONLY "S"."T" DETACH PARTITION p FINALIZE',
      ],
    ],
    [
      'add-value',
      ["ALTER TYPE mood ADD VALUE 'odd'", "alter type s.mood add value if not exists 'odd' before 'sad'"],
    ],
    [
      'plain',
      [
        'CREATE INDEX i ON t (a)',
        'CREATE INDEX concurrently_not ON t (a)',
        'DROP INDEX i',
        'REINDEX TABLE t',
        'REINDEX (CONCURRENTLY FALSE) TABLE a',
        'REINDEX (CONCURRENTLY off, VERBOSE) TABLE a',
        "REINDEX (CONCURRENTLY 'off') TABLE a",
        'REINDEX (CONCURRENTLY 0) TABLE a',
        'REINDEX (TABLESPACE concurrently) TABLE a',
        'REINDEX (VERBOSE) TABLE a',
        'ANALYZE',
        'CLUSTER t USING i',
        "COMMENT ON TABLE t IS 'CREATE INDEX CONCURRENTLY'",
        "ALTER TYPE mood RENAME VALUE 'a' TO 'b'",
        'ALTER TYPE t ADD ATTRIBUTE a int',
        'ALTER TABLE t DETACH PARTITION p',
        'ALTER DATABASE d SET work_mem = 1',
        'SAVEPOINT s',
        'ROLLBACK TO SAVEPOINT s',
        'ROLLBACK WORK TO s',
        'RELEASE s',
        'PREPARE p AS SELECT 1',
        'DO $$ BEGIN END $$',
        'CALL p()',
        '"BEGIN"',
        'SELECT 1',
        'CREATE TABLE database (a int)',
      ],
    ],
    ['setting', ['SET lock_timeout = 1', 'RESET ALL', 'SHOW ALL', "SET LOCAL x.y = 'z'"]],
    ['begin', ['BEGIN', 'begin work', 'START TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'BEGIN READ WRITE']],
    ['commit', ['COMMIT', 'END', 'commit and chain']],
    ['rollback', ['ROLLBACK', 'ABORT', 'rollback work']],
    ['two-phase', ["PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"]],
  ])('%s', (kind, texts) => {
    for (const text of texts) expect([text, kindOf(one(text))]).toEqual([text, kind]);
  });
});

test('what may leave a part behind', () => {
  const may = ['CREATE INDEX CONCURRENTLY i ON t (a)', 'VACUUM', 'CALL p()', 'DO $$ $$', 'REINDEX SCHEMA s'];
  const whole = [
    'CREATE TABLE t ()',
    'CREATE DATABASE d',
    "ALTER TYPE m ADD VALUE 'x'",
    'INSERT INTO t VALUES (1)',
  ];
  expect(may.map((text) => isAllOrNothing(one(text)))).toEqual(may.map(() => false));
  expect(whole.map((text) => isAllOrNothing(one(text)))).toEqual(whole.map(() => true));
});

test.each<[string, string, string | undefined]>([
  ['CREATE INDEX CONCURRENTLY i ON t (a)', 'T', 'I'],
  [
    'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "I x" ON ONLY "S"."T" USING btree (a)',
    '"S"."T"',
    '"I x"',
  ],
  ['CREATE INDEX CONCURRENTLY ON s.t (a)', 'S.T', undefined],
])('the index of %s', (text, table, index) => {
  expect(builtIndex(one(text))).toEqual(index === undefined ? { table } : { table, index });
});

test.each<[string, string]>([
  ['CREATE TABLE users (id int)', 'CREATE TABLE users …'],
  ["ALTER ROLE app PASSWORD 'secret'", 'ALTER ROLE app PASSWORD …'],
  ['CREATE USER app WITH PASSWORD $$secret$$', 'CREATE USER app WITH PASSWORD …'],
  ['SELECT   1', 'SELECT 1'],
  ['DROP TABLE "Größe"', 'DROP TABLE "Größe"'],
  [`SELECT ${'a_long_name '.repeat(20)}`, 'SELECT a_long_name a_long_name a_long_name a_long_name …'],
])('in a few words, without values: %s', (text, expected) => {
  const latin1 = Buffer.from(text).toString('latin1');
  expect(shortText(latin1, one(text))).toBe(expected);
});
