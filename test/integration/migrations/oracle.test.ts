// psql is the judge of where a statement ends: what it sends, as the server logs it, is what the splitter must give.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { split } from '../../../src/migrations/split.ts';
import { debianPostgres, startPostgres, superuser, type Postgres } from '../../support/postgres.ts';
import { temporaryDirectory } from '../../support/undo.ts';

let server: Postgres;
let folder: string;
const binaries = debianPostgres();

beforeAll(async () => {
  server = await startPostgres({
    binaries,
    settings: {
      log_line_prefix: '~%a~',
      // Each statement once: by its duration where it succeeds, by its error where not.
      log_min_duration_statement: 0,
      log_min_error_statement: 'error',
    },
  });
  folder = temporaryDirectory('oracle').path;
});
afterAll(async () => server?.remove());

function ours(text: string): string[] {
  return [...split(text, 'x.sql')].map(({ start, end }) =>
    Buffer.from(text.slice(start, end), 'latin1').toString(),
  );
}

let runs = 0;

/** The statements that the server says psql sent, each less what stands around it. */
function psqls(content: Buffer): string[] {
  const file = join(folder, `${++runs}.sql`);
  writeFileSync(file, content);
  const name = `oracle-${runs}`;
  const before = server.logs().length;
  const result = spawnSync(
    join(binaries, 'psql'),
    [
      '-X',
      '-q',
      '-h',
      server.socketDirectory,
      '-p',
      String(server.port),
      '-U',
      superuser.user,
      '-d',
      'postgres',
      '-f',
      file,
    ],
    { env: { ...process.env, PGAPPNAME: name, PGCLIENTENCODING: 'UTF8' }, encoding: 'utf8' },
  );
  expect(result.error).toBeUndefined();
  return server
    .logs()
    .slice(before)
    .split(/^(?=~[^~\n]*~)/m)
    .map((entry) =>
      /^~([^~\n]*)~(?:LOG:  duration: [\d.]+ ms  statement: |STATEMENT:  )([^]*)\n$/.exec(entry),
    )
    .filter((match) => match?.[1] === name)
    .flatMap((match) => {
      // The server sets a tab behind each line end within a message.
      const entry = (match?.[2] ?? '').replaceAll('\n\t', '\n');
      const about = `${JSON.stringify(entry)} of ${JSON.stringify(content.toString())}`;
      let pieces: string[];
      try {
        pieces = ours(Buffer.from(entry.replace(/;\s*$/, '')).toString('latin1'));
      } catch (error) {
        throw new Error(about, { cause: error });
      }
      // What psql sends as one statement must be one here too.
      expect(pieces.length, about).toBeLessThanOrEqual(1);
      return pieces;
    });
}

/** Without blanks: psql leaves out empty lines. */
function dense(text: string): string {
  return text.replaceAll(/\s+/g, '');
}

/** Files of Postgres itself that ask for no psql command and for no COPY from the client. */
function corpus(): string[] {
  const share = join('/usr/share/postgresql', '15');
  const extensions = join(share, 'extension');
  return [
    ...[
      'information_schema.sql',
      'system_functions.sql',
      'system_views.sql',
      'system_constraints.sql',
      'snowball_create.sql',
    ].map((name) => join(share, name)),
    ...readdirSync(extensions)
      .filter((name) => name.endsWith('.sql'))
      .map((name) => join(extensions, name)),
  ].filter((path) => existsSync(path));
}

test('the SQL files that Postgres brings', () => {
  let files = 0;
  let statements = 0;
  for (const path of corpus()) {
    // The guard of extension files is a psql command.
    const content = readFileSync(path, 'latin1').replaceAll(/^\\.*$/gm, '');
    let mine: string[];
    try {
      mine = ours(content);
    } catch (error) {
      if (/COPY/.test(String(error))) continue;
      throw error;
    }
    expect(mine.map(dense), path).toEqual(psqls(Buffer.from(content, 'latin1')).map(dense));
    files++;
    statements += mine.length;
  }
  expect(files).toBeGreaterThan(50);
  expect(statements).toBeGreaterThan(2000);
});

// A digit is followed by a blank: what a letter behind it means has changed between versions.
const pieces = [
  "'a;b'",
  "'it''s;'",
  "E'\\';'",
  "U&'\\0041;'",
  "B'1'",
  "x'1f'",
  "N'n;'",
  '";"',
  '"a"";"',
  'U&"a;"',
  '$$;$$',
  "$a$ $$;' $$ $a$",
  '$1 ',
  'a$b$',
  '$ü$;$ü$',
  'ü',
  '日本',
  'e',
  'E',
  'select',
  'SELECT 1 ',
  'start transaction',
  // Whole, since psql takes every BEGIN, CASE and END of a routine for one of its body, and the server does not.
  'BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 3; END ',
  'create function',
  'CREATE OR REPLACE PROCEDURE p()',
  'CREATE',
  'TABLE',
  '(',
  ')',
  '()',
  '(;)',
  '[1:2]',
  '::int',
  '--;\n',
  "-- it's\r",
  '/* ; */',
  '/* /* ; */ " */',
  '/*\n*/',
  '-',
  '/',
  '*',
  '+--x\n',
  '1 ',
  '1.5e3 ',
  '.',
  ',',
  '=',
  '<>',
  '@',
  '#',
  '|',
  '\n',
  '\r\n',
  '\t',
  ' ',
  ' ',
  ';',
  ';',
  ';\n',
  ';;',
];

test('scripts put together by chance', () => {
  // A fixed sequence, so that a failure can be met again (Numerical Recipes' generator).
  let state = 20_261_122;
  const next = (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  let compared = 0;
  for (let round = 0; round < 600; round++) {
    let text = '';
    for (let left = 5 + next(60); left > 0; left--)
      text += (pieces[next(pieces.length)] ?? '') + (next(2) ? ' ' : '');
    const bytes = Buffer.from(text);
    let mine: string[];
    try {
      mine = ours(bytes.toString('latin1'));
    } catch {
      // An open quote or parenthesis: psql sends such a rest as it is, and the server refuses it.
      continue;
    }
    compared++;
    expect(mine.map(dense), JSON.stringify(text)).toEqual(psqls(bytes).map(dense));
  }
  expect(compared).toBeGreaterThan(50);
  // Each round starts a psql, and nobody else gets a turn: a guard for a machine with much else to do.
}, 300_000);

// psql reads line by line and does not see that such a literal goes on; the server does.
test('an escape string that goes on in the next line, by the server itself', async () => {
  const text = "SELECT e'a' -- c\n  'b\\';c' AS v; SELECT 2 AS v";
  const values = [];
  for (const statement of ours(text)) values.push(...(await server.sql(statement)));
  expect(values).toEqual([{ v: "ab';c" }, { v: 2 }]);
});

// psql takes the first END for the body's; the server does not.
test('names like END in a standard body, by the server itself', async () => {
  const text = `CREATE FUNCTION begin(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC
      SELECT 2 AS end; SELECT 4 end; SELECT t.end FROM (SELECT 1 AS end) AS t;
      SELECT CASE WHEN x = 1 THEN CASE x WHEN 1 THEN 3 END END AS case; SELECT 1 case; SELECT CASE WHEN x = 1 THEN 7 END end;
    END;
    SELECT begin(1) AS v;`;
  const values = [];
  for (const statement of ours(text)) values.push(...(await server.sql(statement, [], 'postgres')));
  expect(values).toEqual([{ v: 7 }]);
});
