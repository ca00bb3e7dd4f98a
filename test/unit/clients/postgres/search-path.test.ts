import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../../../src');

/** Whatever talks to Postgres. */
const files = globSync(
  ['clients/postgres/**/*.ts', 'migrations/**/*.ts', 'commands/{migrate-with-lock,wait-postgres}/**/*.ts'],
  {
    cwd: root,
  },
);

/** The program's statements, and parts of such, as its sources write them: with `?` where something is filled in. */
function statementsOf(source: string): string[] {
  const texts = [...source.matchAll(/`((?:[^`\\]|\\.)*)`|'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"/g)].map(
    ([, template, single, double]) => (template ?? single ?? double ?? '').replaceAll(/\$\{[^{}]*\}/g, '?'),
  );
  // Sentences for people hold such words too, but neither begin with them nor with these.
  return texts.filter((text) =>
    /^\s*(?:\?; )?(?:SELECT (?!1$)|INSERT INTO |UPDATE |DELETE FROM |CREATE (?:TABLE|SCHEMA) IF |FROM |extract\(|\(?EXISTS|\? AND | AND )|^\(?\w+\.\w+ (?:OPERATOR|=)|^pg_catalog\./.test(
      text,
    ),
  );
}

const keywords =
  'SELECT|ARRAY|VALUES|EXISTS|ANY|AND|OR|NOT|ON|WHERE|FILTER|CHECK|KEY|AS|FROM|CONFLICT|OPERATOR|extract|coalesce|substring';
const wrong: readonly [what: string, pattern: RegExp][] = [
  ['a function', new RegExp(`(?<![.\\w?]|\\$\\{)(?!(?:${keywords})\\b)[A-Za-z_]\\w*(?=\\()`)],
  ['an operator', /(?:<>|[<>!]=|\|\||!?~|[=<>+%^&|#@])/],
  ['a minus or a division', /(?<=\s)[-/](?=\s)/],
  [
    'an operator that is looked up by a keyword',
    /\b(?:NOT )?(?:IN|LIKE|ILIKE|BETWEEN|SIMILAR)\s+[('?$\w]|\bDISTINCT FROM\b|\bUSING\s*\(|\bNULLIF\s*\(/,
  ],
  ['a type', /::(?!pg_catalog\.|int\b|bigint\b|boolean\b|numeric\b)/],
  [
    'a type of a column',
    /(?<![.\w])(?:text|timestamptz|inet|float8|int8|int4|oid|json|name)(?= NOT NULL| PRIMARY|,|\))/,
  ],
  [
    'a relation',
    /\b(?:FROM|JOIN|INTO|UPDATE|EXISTS(?= \w+\.?\w* \())\s+(?!pg_catalog\.|initbox\.|\?|\(|ROWS FROM|SET\b|pg_catalog\b)[a-z_]\w*/,
  ],
];

/** What of a statement the search path decides. */
function unqualified(statement: string): string[] {
  let text = statement
    .replaceAll(/'(?:[^']|'')*'/g, "''")
    .replaceAll(/OPERATOR\(pg_catalog\.[^\w\s)]+\)/g, ',')
    .replaceAll('%s', '?');
  // An assignment is no operator, and `(epoch FROM x)` names no relation.
  text = text.replaceAll(/\bextract\(epoch FROM /g, 'extract(');
  text = text.replaceAll(/\bsubstring\((\w+) FROM /g, 'substring($1, ');
  text = text.replaceAll(/\bSET (?=\w+ = )[\s\S]*?(?= WHERE |$)/g, (assignments) =>
    assignments.replaceAll(/(SET|,)(\s+\w+) = /g, '$1$2 '),
  );
  const columns = /^\s*CREATE TABLE/.test(statement);
  return wrong
    .filter(([what]) => what !== 'a type of a column' || columns)
    .flatMap(([what, pattern]) => {
      const found = pattern.exec(
        text
          .replaceAll(/\bON CONFLICT \([^)]*\)/g, '')
          .replaceAll(/\b(?:INSERT INTO \S+(?: AS \w+)?|PRIMARY KEY|AS \w) ?\([\w, ]*\)/g, ''),
      );
      return found === null ? [] : [`${what}, ${found[0]}, in: ${statement}`];
    });
}

describe('no statement of the program asks the search path what a word means', () => {
  const statements = files.flatMap((file) =>
    statementsOf(readFileSync(join(root, file), 'utf8')).map((text) => ({ file, text })),
  );

  test('they are found', () => {
    expect(statements.length).toBeGreaterThan(45);
    for (const part of [
      'pg_try_advisory_lock',
      'pg_terminate_backend',
      'INSERT INTO ?.locks',
      'UPDATE ONLY ?.once',
      'to_regclass',
      'txid_current',
      'max_connections',
      'json_object_agg',
      'version_id',
    ])
      expect(
        statements.filter(({ text }) => text.includes(part)),
        part,
      ).not.toEqual([]);
  });

  test('each word is qualified', () => {
    expect(
      statements.flatMap(({ file, text }) => unqualified(text).map((found) => `${file}: ${found}`)),
    ).toEqual([]);
  });

  test.each([
    'SELECT now()',
    'SELECT count(*) FROM pg_catalog.pg_class',
    'SELECT 1 FROM pg_locks',
    'SELECT a.x FROM initbox.a AS a WHERE a.x = 1',
    'SELECT a.x FROM initbox.a AS a WHERE a.x <> 1',
    "SELECT a.x FROM initbox.a AS a WHERE a.x IN ('a')",
    'SELECT a.x FROM initbox.a AS a WHERE a.x IS NOT DISTINCT FROM $1',
    'SELECT a.x FROM initbox.a AS a JOIN initbox.b AS b USING (x)',
    "SELECT a.x || 'b' FROM initbox.a AS a",
    'SELECT a.x::text FROM initbox.a AS a',
    'SELECT a.x - 1 FROM initbox.a AS a',
    "UPDATE initbox.a SET x = 'b', y = $1 WHERE z = 1",
    'UPDATE a SET x = 1',
    'CREATE TABLE IF NOT EXISTS initbox.a (b text NOT NULL)',
  ])('such a word is seen in: %s', (statement) => {
    expect(unqualified(statement)).not.toEqual([]);
  });
});
