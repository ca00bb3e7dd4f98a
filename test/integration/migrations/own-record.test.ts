// What takes a file's record away after it is complete: triggers that wait for COMMIT, and triggers of the record's own table.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { migrate, newDatabase, status, words, type Place } from './harness.ts';

let server: Postgres;
let place: Place;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => server?.remove());
beforeEach(async () => {
  place = await newDatabase(server);
});

const makes = async (table: string): Promise<boolean> =>
  (await place.sql('SELECT to_regclass($1) IS NOT NULL AS made', [`public.${table}`]))[0]?.['made'] === true;

const acts = {
  'takes it away': "DELETE FROM initbox.sql_migrations WHERE version = '2'",
  'sets it back': "UPDATE initbox.sql_migrations SET state = 'running' WHERE version = '2'",
  'gives it another token': "UPDATE initbox.sql_migrations SET token = -1 WHERE version = '2'",
};

/** A table on which each change calls, once it is to be committed, what `body` says. */
const deferred = (body: string): string => `CREATE TABLE t (id int);
CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER c AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION act();`;

// What only sets it back does nothing before the record is complete.
const spoiling = Object.entries(acts).filter(([name]) => name !== 'sets it back');

describe.each(spoiling)('a deferred trigger %s', (_name, act) => {
  test.each([
    [
      'of an older file',
      { '1_a.sql': deferred(act), '2_b.sql': 'CREATE TABLE b (); INSERT INTO t VALUES (1);' },
    ],
    [
      'of the file itself, in a transaction of its own',
      {
        '1_a.sql': 'SELECT 1',
        '2_b.sql': `BEGIN;\nCREATE TABLE b ();\n${deferred(act)}\nINSERT INTO t VALUES (1);\nCOMMIT;`,
      },
    ],
  ])('%s: 1, and the file is undone', async (_whose, files) => {
    place.write(files);
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(
      /^2_b\.sql cannot be recorded: its own statements removed or changed its row in initbox\.sql_migrations, or triggers did[\s\S]*the whole file was rolled back/,
    );
    expect(status(outcome)).toBe(1);
    expect(await makes('b')).toBe(false);
    expect((await place.records()).map((row) => row.slice(0, 6))).toEqual(['1 done']);
  });
});

test.each(Object.entries(acts))(
  'a trigger that puts itself off until the COMMIT, and then %s: 1',
  async (_name, act) => {
    place.write({
      '1_a.sql': deferred(
        `SET CONSTRAINTS ALL DEFERRED; IF NEW.id < 3 THEN INSERT INTO t VALUES (NEW.id + 1); ELSE ${act}; END IF`,
      ),
      '2_b.sql': 'INSERT INTO t VALUES (1);',
    });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(
      /^2_b\.sql ran, and the record of that is gone from initbox\.sql_migrations, or was changed\nwhat the file did stays, and the next start goes by what the record says then; --dry-run shows it/,
    );
    expect(status(outcome)).toBe(1);
  },
);

describe('a trigger of the record’s own table', () => {
  const onRecord = (when: string, body: string): string => `
    CREATE FUNCTION public.act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.state = 'done' THEN ${body}; END IF; RETURN NEW; END $$;
    CREATE ${when.includes('CONSTRAINT') ? 'CONSTRAINT ' : ''}TRIGGER c ${when.replace('CONSTRAINT', '')} FOR EACH ROW EXECUTE FUNCTION public.act();`;
  const deletes = 'DELETE FROM initbox.sql_migrations WHERE version = NEW.version';

  test.each([
    ['before it is written', onRecord('BEFORE UPDATE ON initbox.sql_migrations', "NEW.state := 'running'")],
    ['after it is written', onRecord('AFTER UPDATE ON initbox.sql_migrations', deletes)],
    [
      'at COMMIT',
      onRecord('CONSTRAINT AFTER UPDATE ON initbox.sql_migrations DEFERRABLE INITIALLY DEFERRED', deletes),
    ],
  ])('%s: 1, and the file is undone', async (_when, trigger) => {
    place.write({ '1_a.sql': 'CREATE TABLE a ();' });
    expect(status((await migrate(place)).outcome)).toBe(0);
    await place.sql(trigger);
    place.write({ '2_b.sql': 'CREATE TABLE b ();' });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/^2_b\.sql cannot be recorded: .*or triggers did/);
    expect(status(outcome)).toBe(1);
    expect(await makes('b')).toBe(false);
  });

  test('outside a transaction: 1, and its statements stay', async () => {
    place.write({ '1_a.sql': 'CREATE TABLE a ();' });
    expect(status((await migrate(place)).outcome)).toBe(0);
    await place.sql(
      onRecord('CONSTRAINT AFTER UPDATE ON initbox.sql_migrations DEFERRABLE INITIALLY DEFERRED', deletes),
    );
    place.write({ '2_b.sql': '-- initbox:no-transaction\nCREATE TABLE b ();' });
    const { outcome } = await migrate(place);
    expect(status(outcome), words(outcome)).toBe(1);
    expect(words(outcome)).toMatch(/did stays/);
    expect(await makes('b')).toBe(true);
  });

  test.each([
    ['the checksum', "NEW.sha256 := repeat('a', 64)"],
    ['how far it came', 'NEW.finished := 0'],
    ['its time', 'NEW.applied_at := NULL'],
    ['the file', "NEW.file := '9_z.sql'"],
    ['the statements', 'NEW.statements := 7'],
  ])('that changes %s: 1, and the file is undone', async (_what, body) => {
    place.write({ '1_a.sql': 'CREATE TABLE a ();' });
    expect(status((await migrate(place)).outcome)).toBe(0);
    await place.sql(onRecord('BEFORE UPDATE ON initbox.sql_migrations', body));
    place.write({ '2_b.sql': 'CREATE TABLE b ();' });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/^2_b\.sql cannot be recorded: .*or triggers did/);
    expect(status(outcome)).toBe(1);
    expect(await makes('b')).toBe(false);
  });

  test.each([
    [
      'sets it back',
      "NEW.state := 'running'",
      /says that it has not ended, and the next start reports it as half done/,
      69,
    ],
    [
      'changes its checksum',
      "NEW.sha256 := repeat('a', 64)",
      /its record was changed, and the next start goes by what stands there/,
      69,
    ],
  ])(
    'that %s, outside a transaction: 1, and what the next start does is true',
    async (_what, body, said, next) => {
      place.write({ '1_a.sql': 'CREATE TABLE a ();' });
      expect(status((await migrate(place)).outcome)).toBe(0);
      await place.sql(onRecord('BEFORE UPDATE ON initbox.sql_migrations', body));
      place.write({ '2_b.sql': '-- initbox:no-transaction\nCREATE TABLE b ();\nSELECT 1;' });
      const { outcome } = await migrate(place);
      expect(status(outcome)).toBe(1);
      expect(words(outcome)).toMatch(/all its statements \(2\) ended, and what they did stays/);
      expect(words(outcome)).toMatch(said);
      const again = await migrate(place);
      expect(status(again.outcome)).toBe(next);
      expect(words(again.outcome)).not.toMatch(/0 of 2 statements/);
    },
  );

  test('that only keeps a journal is no trouble', async () => {
    place.write({ '1_a.sql': 'CREATE TABLE a (); CREATE TABLE journal (version text, state text);' });
    expect(status((await migrate(place)).outcome)).toBe(0);
    await place.sql(`${onRecord('AFTER UPDATE ON initbox.sql_migrations', 'INSERT INTO public.journal VALUES (NEW.version, NEW.state)')}
      ALTER FUNCTION public.act() SECURITY DEFINER`);
    place.write({ '2_b.sql': 'CREATE TABLE b ();' });
    const { outcome } = await migrate(place);
    expect(status(outcome), words(outcome)).toBe(0);
    expect(await place.sql('SELECT * FROM journal')).toEqual([{ version: '2', state: 'done' }]);
  });
});

test('what is deferred runs once, as the role that the file took, and honest files are not harmed', async () => {
  await place.sql(
    'CREATE TABLE said (role text, path text); GRANT INSERT ON said TO PUBLIC; CREATE SCHEMA s AUTHORIZATION app',
  );
  place.write({
    '1_a.sql': deferred('INSERT INTO public.said VALUES (current_user, current_setting($a$search_path$a$))'),
    '2_b.sql': `CREATE TABLE p (id int PRIMARY KEY);
      CREATE TABLE c (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED);
      INSERT INTO c VALUES (1); INSERT INTO p VALUES (1);
      INSERT INTO t VALUES (1);
      SET search_path = s, public;
      SET ROLE pg_read_all_stats;`,
  });
  await place.sql('GRANT pg_read_all_stats TO app');
  const { outcome } = await migrate(place);
  expect(status(outcome), words(outcome)).toBe(0);
  expect(await place.sql('SELECT path FROM said')).toEqual([{ path: 's, public' }]);
});
