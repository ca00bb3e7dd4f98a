// A record on whose table somebody has put what the program's own statements do not get past: that is said, not the file blamed.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { migrate, newDatabase, status, words } from './harness.ts';

let server: Postgres;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => server?.remove());

const table = 'initbox.sql_migrations';

test.each([
  [
    'a generated column',
    `ALTER TABLE ${table} DROP duration_ms; ALTER TABLE ${table} ADD duration_ms bigint GENERATED ALWAYS AS (1) STORED`,
    /the server makes the values of its columns \(duration_ms\)/,
  ],
  ['a unique index', `CREATE UNIQUE INDEX "U" ON ${table} (state)`, /more than its key must be unique in it/],
  ['a unique constraint', `ALTER TABLE ${table} ADD UNIQUE (state)`, /more than its key must be unique/],
  [
    'a CHECK',
    `ALTER TABLE ${table} ADD CONSTRAINT "C" CHECK (token < 5) NOT VALID`,
    /it has constraints that initbox does not make \("C"\)/,
  ],
  [
    'a CHECK of the state alone',
    `ALTER TABLE ${table} ADD CONSTRAINT c CHECK (state <> 'running')`,
    /constraints that initbox does not make \(c\)/,
  ],
  [
    'a foreign key',
    `CREATE TABLE f (n text PRIMARY KEY); INSERT INTO f SELECT file FROM ${table}; ALTER TABLE ${table} ADD CONSTRAINT k FOREIGN KEY (file) REFERENCES f`,
    /constraints that initbox does not make \(k\)/,
  ],
  [
    'a column that needs a value',
    `ALTER TABLE ${table} ALTER duration_ms SET NOT NULL`,
    /must have a value that is not there while work runs \(duration_ms\)/,
  ],
])('%s: 69 at once, and the statement that is named mends it', async (_name, change, said) => {
  const place = await newDatabase(server);
  place.write({ '1_a.sql': 'CREATE TABLE a ();' });
  expect(status((await migrate(place)).outcome)).toBe(0);
  await place.sql(change);
  place.write({ '2_b.sql': 'CREATE TABLE b ();' });
  const { outcome } = await migrate(place);
  expect(words(outcome)).toMatch(said);
  expect(words(outcome)).not.toContain('2_b.sql');
  expect(status(outcome)).toBe(69);
  const mend = /run as its owner: (.*)/.exec(words(outcome))?.[1] ?? '';
  await place.sql(mend);
  const mended = await migrate(place);
  expect(status(mended.outcome), words(mended.outcome)).toBe(0);
});

test('what does no harm is no trouble', async () => {
  const place = await newDatabase(server);
  place.write({ '1_a.sql': 'CREATE TABLE a ();' });
  expect(status((await migrate(place)).outcome)).toBe(0);
  await place.sql(`CREATE INDEX ON ${table} (state); CREATE UNIQUE INDEX ON ${table} (version, token, lock_name);
    ALTER TABLE ${table} ALTER started_at DROP DEFAULT; ALTER TABLE ${table} ADD own text GENERATED ALWAYS AS ('x') STORED`);
  place.write({ '2_b.sql': 'CREATE TABLE b ();' });
  const { outcome } = await migrate(place);
  expect(status(outcome), words(outcome)).toBe(0);
});
