// Versions in the record that no file can have: named, and nothing runs.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { migrate, newDatabase, status, words, type Place } from './harness.ts';

let server: Postgres;
let place: Place;

beforeAll(async () => {
  server = await startPostgres();
  place = await newDatabase(server);
  place.write({ '1_a.sql': 'CREATE TABLE a ();' });
  expect(status((await migrate(place)).outcome)).toBe(0);
});
afterAll(async () => server?.remove());

test.each(['abc', '', '-1', '01', '1.0', '1.00', '1.', '.1', '1_1', ' 1', '1 ', '1\n', 'R__', 'V1', 'r__a'])(
  'the version %j',
  async (version) => {
    await place.sql('UPDATE initbox.sql_migrations SET version = $1', [version]);
    for (const dryRun of [false, true]) {
      const { outcome } = await migrate(place, { dryRun });
      expect(words(outcome)).toContain(
        `the row of initbox.sql_migrations where lock_name = 'migrate' AND version = '${version}' holds what initbox cannot have written: version is ${version}`,
      );
      expect(status(outcome)).toBe(69);
    }
    await place.sql("UPDATE initbox.sql_migrations SET version = '1'");
    expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
  },
);

test('each version that a file can have is none of these', async () => {
  for (const version of ['0', '2', '10.20.3', '20240101120000', '1.0.1', '9'.repeat(200), 'R__a b.c', 'R__é'])
    await place.sql(
      `INSERT INTO initbox.sql_migrations SELECT lock_name, $1, file, sha256, state, statements, finished, token, started_at, applied_at, duration_ms
       FROM initbox.sql_migrations WHERE version = '1'`,
      [version],
    );
  const { outcome } = await migrate(place, { accept: [{ kind: 'missing', version: 'all' }] });
  expect(status(outcome), words(outcome)).toBe(0);
});
