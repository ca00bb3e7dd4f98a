import { describe, expect, test } from 'vitest';

import { lineAt, split } from '../../../src/migrations/split.ts';

function pieces(text: string, standardStrings = true): string[] {
  const latin1 = Buffer.from(text).toString('latin1');
  return [...split(latin1, 'x.sql', standardStrings)].map(({ start, end }) =>
    Buffer.from(latin1.slice(start, end), 'latin1').toString(),
  );
}

describe('split', () => {
  test.each<[string, string, string[]]>([
    ['two statements', 'SELECT 1; SELECT 2;', ['SELECT 1', 'SELECT 2']],
    ['no last semicolon', 'SELECT 1;\nSELECT 2', ['SELECT 1', 'SELECT 2']],
    ['empty statements', ';; ;SELECT 1;;\n;', ['SELECT 1']],
    ['only comments', '-- a;\n/* b; */', []],
    ['comments around', '/* a */ SELECT /* ; */ 1 -- ;\n;', ['SELECT /* ; */ 1']],
    ['a semicolon in a string', "SELECT 'a;b';", ["SELECT 'a;b'"]],
    ['a doubled quote', "SELECT 'it''s;', 'x';", ["SELECT 'it''s;', 'x'"]],
    ['a backslash in a plain string', "SELECT 'a\\'; SELECT 2;", ["SELECT 'a\\'", 'SELECT 2']],
    ['a backslash in an escape string', "SELECT E'a\\';b'; SELECT 2;", ["SELECT E'a\\';b'", 'SELECT 2']],
    ['a name that ends in e', "SELECT nice'a\\'; SELECT 2;", ["SELECT nice'a\\'", 'SELECT 2']],
    ['an escape string continued', "SELECT e'a'\n'b\\';c'; SELECT 2", ["SELECT e'a'\n'b\\';c'", 'SELECT 2']],
    [
      'a string not continued on the same line',
      "SELECT E'a' 'b\\'; SELECT 2",
      ["SELECT E'a' 'b\\'", 'SELECT 2'],
    ],
    ['a quoted name', 'SELECT ";""x;";', ['SELECT ";""x;"']],
    ['a dollar quote', 'SELECT $$a;b$$; SELECT 1', ['SELECT $$a;b$$', 'SELECT 1']],
    [
      'dollar quotes nested by tag',
      'DO $a$ x; $b$ ; $b$ $$;$$ $a$; SELECT 1',
      ['DO $a$ x; $b$ ; $b$ $$;$$ $a$', 'SELECT 1'],
    ],
    [
      'a parameter is no dollar quote',
      'PREPARE p AS SELECT $1; SELECT $1$;$1$',
      ['PREPARE p AS SELECT $1', 'SELECT $1$', '$1$'],
    ],
    ['a dollar inside a name', 'SELECT a$b$; SELECT 2', ['SELECT a$b$', 'SELECT 2']],
    ['a tag with other letters', 'SELECT $ü$;$ü$; SELECT 2', ['SELECT $ü$;$ü$', 'SELECT 2']],
    ['nested comments', '/* a /* b; */ ; */ SELECT 1; SELECT 2', ['SELECT 1', 'SELECT 2']],
    ['a quote in a comment', "SELECT 1 -- it's\n; SELECT 2", ['SELECT 1', 'SELECT 2']],
    [
      'a comment behind an operator',
      'SELECT 1+--;\n2; SELECT 3*/*;*/4',
      ['SELECT 1+--;\n2', 'SELECT 3*/*;*/4'],
    ],
    ['CRLF', "SELECT 1;\r\n-- x;\r\nSELECT 'a\r\nb';\r\n", ['SELECT 1', "SELECT 'a\r\nb'"]],
    ['a comment ended by CR alone', 'SELECT 1 -- ;\r; SELECT 2', ['SELECT 1', 'SELECT 2']],
    [
      'a rule of several statements',
      'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3',
      ['CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)', 'SELECT 3'],
    ],
    [
      'END as a name in a standard body',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 2 AS end; SELECT 3 end; SELECT t.end FROM t; END; SELECT 3',
      [
        'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 2 AS end; SELECT 3 end; SELECT t.end FROM t; END',
        'SELECT 3',
      ],
    ],
    [
      'CASE and END as names in a standard body',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END end, CASE b WHEN 1 THEN CASE WHEN c THEN 2 END END AS case, 1 case; SELECT 2; END; SELECT 3',
      [
        'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END end, CASE b WHEN 1 THEN CASE WHEN c THEN 2 END END AS case, 1 case; SELECT 2; END',
        'SELECT 3',
      ],
    ],
    [
      'a function named begin with a standard body',
      'CREATE FUNCTION begin() RETURNS int LANGUAGE sql BEGIN /* … */ ATOMIC SELECT 1 AS begin; END; SELECT 3',
      [
        'CREATE FUNCTION begin() RETURNS int LANGUAGE sql BEGIN /* … */ ATOMIC SELECT 1 AS begin; END',
        'SELECT 3',
      ],
    ],
    [
      'a function named begin',
      "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT 3",
      ["CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1'", 'SELECT 3'],
    ],
    [
      'an empty standard body',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC END; SELECT 3',
      ['CREATE FUNCTION f() RETURNS int BEGIN ATOMIC END', 'SELECT 3'],
    ],
    [
      'a standard body',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3',
      ['CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END', 'SELECT 3'],
    ],
    [
      'CASE in a standard body',
      'CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3',
      [
        'CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END',
        'SELECT 3',
      ],
    ],
    [
      'BEGIN as a transaction',
      'BEGIN; CREATE TABLE t (); END; SELECT 1',
      ['BEGIN', 'CREATE TABLE t ()', 'END', 'SELECT 1'],
    ],
    ['a table named begin', 'CREATE TABLE begin (); SELECT 1', ['CREATE TABLE begin ()', 'SELECT 1']],
    [
      'other letters',
      "INSERT INTO tàble VALUES ('ü;', '日本;語', '😀'); SELECT 2",
      ["INSERT INTO tàble VALUES ('ü;', '日本;語', '😀')", 'SELECT 2'],
    ],
    [
      'U& strings',
      'SELECT U&\'\\0441;\', U&"d\\0061;"; SELECT 2',
      ['SELECT U&\'\\0441;\', U&"d\\0061;"', 'SELECT 2'],
    ],
    [
      'bit and national strings',
      "SELECT B'1;0', X'1;F', N'a;'; SELECT 2",
      ["SELECT B'1;0', X'1;F', N'a;'", 'SELECT 2'],
    ],
    [
      'non-standard strings by SET',
      "SET standard_conforming_strings = off; SELECT 'a\\';b'; SET standard_conforming_strings TO on; SELECT '\\'; SELECT 2",
      [
        'SET standard_conforming_strings = off',
        "SELECT 'a\\';b'",
        'SET standard_conforming_strings TO on',
        "SELECT '\\'",
        'SELECT 2',
      ],
    ],
    [
      'statement-breakpoint comments',
      'CREATE TABLE a ();\n--> statement-breakpoint\nCREATE TABLE b ();',
      ['CREATE TABLE a ()', 'CREATE TABLE b ()'],
    ],
    ['a closing parenthesis too many', 'SELECT 1); SELECT 2', ['SELECT 1)', 'SELECT 2']],
  ])('%s', (_name, text, expected) => {
    expect(pieces(text)).toEqual(expected);
  });

  test('takes a backslash as an escape where the server does', () => {
    expect(pieces("SELECT 'a\\';b'; SELECT 2", false)).toEqual(["SELECT 'a\\';b'", 'SELECT 2']);
  });

  test.each<[string, string, RegExp]>([
    ['a string', "SELECT 1;\nSELECT 'a", /^x\.sql:2: the string that begins here is never closed/],
    ['an escape string', "\n\nSELECT E'a\\'", /^x\.sql:3: the string/],
    ['a quoted name', 'SELECT "a', /^x\.sql:1: the quoted name/],
    ['a dollar quote', 'SELECT 1;\n\nDO $x$ $$', /^x\.sql:3: the text quoted by \$x\$/],
    ['a comment', 'SELECT 1; /* /* */', /^x\.sql:1: the comment/],
    [
      'parentheses',
      'SELECT 1;\nSELECT (1;\nSELECT 2;',
      /^x\.sql:2: the statement that begins here ends inside parentheses/,
    ],
    [
      'a body',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;',
      /^x\.sql:1: the statement .* inside its body/,
    ],
    ['a psql command', 'SELECT 1;\n\\connect other\n', /^x\.sql:2: \\connect is a command of psql/],
    ['restrict of pg_dump', '--\n\\restrict abc\n', /^x\.sql:2: \\restrict is a command of psql/],
    [
      'COPY from stdin',
      'SELECT 1;\nCOPY t (a, b) FROM stdin;\n1\t2\n\\.\n',
      /^x\.sql:2: COPY … FROM stdin needs a client/,
    ],
    ['COPY to stdout', 'COPY (SELECT 1) TO STDOUT', /^x\.sql:1: COPY … TO stdout/],
  ])('refuses %s', (_name, text, expected) => {
    expect(() => pieces(text)).toThrow(expected);
  });

  test('COPY of a server file is no matter of the client', () => {
    expect(pieces("COPY t FROM '/tmp/stdin'; SELECT 1")).toHaveLength(2);
  });
});

test('lines are counted from 1', () => {
  expect([0, 1, 2, 3].map((offset) => lineAt('a\nb\n', offset))).toEqual([1, 1, 2, 2]);
});
