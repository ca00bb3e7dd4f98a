// A file outside a transaction that did not end is half done, whatever became of the file since.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { migrate, newDatabase, status, words, type Place } from './harness.ts';

let server: Postgres;
let place: Place;
const half = 'CREATE UNIQUE INDEX CONCURRENTLY lu ON l (a);\n';

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => server?.remove());
beforeEach(async () => {
  place = await newDatabase(server);
  place.write({ '1_l.sql': 'CREATE TABLE l (a int); INSERT INTO l VALUES (1), (1);', '2_lu.sql': half });
  expect(status((await migrate(place)).outcome)).toBe(1);
  expect(await place.records()).toEqual(['1 done 2', '2 running 0']);
});

const indexes = async (): Promise<unknown[]> =>
  (await place.sql("SELECT indisvalid FROM pg_index WHERE indrelid = 'l'::regclass")).map(
    (row) => row['indisvalid'],
  );

const accept = (kind: 'missing' | 'done' | 'again', version = '2') => ({ accept: [{ kind, version }] });

describe.each<[string, Record<string, string>]>([
  ['an older release starts', {}],
  ['newer files are there', { '3_c.sql': 'CREATE TABLE c ();' }],
])('its file is gone, and %s', (_name, more) => {
  beforeEach(() => {
    place.remove('2_lu.sql');
    place.write(more);
  });

  test.each([undefined, accept('missing'), accept('missing', 'all')])(
    'nothing runs, and it is told as half done, with the index: %j',
    async (accepted) => {
      const { outcome } = await migrate(place, accepted ?? {});
      expect(words(outcome)).toMatch(
        /^2_lu\.sql began outside a transaction at .* and did not end: its one statement is not known to have ended; its file is gone since\n/,
      );
      expect(words(outcome)).toContain('INVALID in this database, and perhaps left by 2_lu.sql: public.lu');
      expect(words(outcome)).not.toMatch(/has run|ran before/);
      expect(status(outcome)).toBe(69);
      expect(await place.records()).toEqual(['1 done 2', '2 running 0']);
      const { stdout } = await migrate(place, { ...accepted, dryRun: true });
      expect(JSON.parse(stdout)).toMatchObject({
        record: [],
        problems: [{ kind: 'half-done', version: '2' }],
      });
    },
  );

  test('finished by hand, it is done, and is nothing half done when it comes back', async () => {
    await place.sql('DROP INDEX lu; DELETE FROM l; CREATE UNIQUE INDEX lu ON l (a)');
    const { outcome } = await migrate(place, accept('done'));
    expect(status(outcome), words(outcome)).toBe(0);
    expect(await place.records()).toContain(Object.keys(more).length > 0 ? '2 retired 1' : '2 done 1');
    expect(status((await migrate(place)).outcome)).toBe(0);
    place.write({ '2_lu.sql': half });
    expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
  });

  test('undone by hand, it is forgotten, and runs when it comes back', async () => {
    await place.sql('DROP INDEX lu; DELETE FROM l');
    const { outcome } = await migrate(place, accept('again'));
    expect(status(outcome), words(outcome)).toBe(0);
    expect((await place.records()).join()).not.toMatch(/2 /);
    expect(status((await migrate(place)).outcome)).toBe(0);
    place.write({ '2_lu.sql': half });
    const back = await migrate(place, { accept: [{ kind: 'late', version: '2' }] });
    expect(status(back.outcome), words(back.outcome)).toBe(0);
    expect(await indexes()).toEqual([true]);
  });
});

test('a file that was retired while it was half done, and comes back, is half done', async () => {
  await place.sql(
    "UPDATE initbox.sql_migrations SET state = 'retired', applied_at = now() WHERE version = '2'",
  );
  place.remove('2_lu.sql');
  place.write({ '3_c.sql': 'CREATE TABLE c ();' });
  expect(status((await migrate(place)).outcome)).toBe(0);
  place.write({ '2_lu.sql': half });
  const { outcome } = await migrate(place);
  expect(words(outcome)).toMatch(/^2_lu\.sql began outside[\s\S]*the index public\.lu is INVALID/);
  expect(status(outcome)).toBe(69);
  await place.sql('DROP INDEX lu; DELETE FROM l');
  expect(status((await migrate(place, accept('again'))).outcome)).toBe(0);
  expect(await indexes()).toEqual([true]);
});

test('a file that was changed since does not hide the index that it left', async () => {
  place.write({ '2_lu.sql': 'SELECT 1;\n' });
  const { outcome } = await migrate(place);
  expect(words(outcome)).toMatch(/the file has changed since\n[\s\S]*perhaps left by 2_lu\.sql: public\.lu/);
  expect(status(outcome)).toBe(69);
});

test('a repeatable file that is half done and gone', async () => {
  place = await newDatabase(server);
  place.write({
    'V1__l.sql': 'CREATE TABLE l (a int); INSERT INTO l VALUES (1), (1);',
    'R__lu.sql': half,
  });
  expect(status((await migrate(place)).outcome)).toBe(1);
  place.remove('R__lu.sql');
  const { outcome } = await migrate(place);
  expect(words(outcome)).toMatch(/^R__lu\.sql began outside[\s\S]*its file is gone since[\s\S]*public\.lu/);
  expect(status(outcome)).toBe(69);
  expect(status((await migrate(place, accept('again', 'R__lu'))).outcome)).toBe(0);
});
