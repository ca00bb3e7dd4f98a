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
