// The look at the records after the last file: only what the server says of them counts, and a look that comes to nothing holds nothing up.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { SignalReceived } from '../../../src/core/outcome.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { promptly, within } from '../../support/promptly.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { migrate, newDatabase, status, words, type Place, type Ran, type RunOptions } from './harness.ts';

let server: Postgres;
let place: Place;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => server?.remove());
beforeEach(async () => {
  place = await newDatabase(server);
  place.write({ '1_a.sql': 'CREATE TABLE a ();' });
  expect(status((await migrate(place)).outcome)).toBe(0);
  place.write({ '2_b.sql': 'CREATE TABLE b (); SELECT pg_sleep(1) AS long;' });
});

/** Until a backend is seen that waits for a lock on a table, so many times. */
const waiters = (count: number): Promise<unknown> =>
  waitUntil(
    async () =>
      (
        await place.sql(
          "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
      ).length >= count,
    { timeout: 20_000 },
  );

/** Runs the files while the record's table is locked from the COMMIT of the last one on. */
async function lockedOut(
  options: RunOptions,
  meanwhile: () => Promise<unknown> = async () => {},
): Promise<Ran> {
  const other = await server.connect(place.name);
  try {
    const run = migrate(place, options);
    await waitUntil(
      async () =>
        (
          await place.sql(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%AS long%'",
          )
        ).length > 0,
      { timeout: 20_000 },
    );
    // It gets the table when the file's transaction, which writes to it, has ended.
    await other.query('BEGIN');
    await other.query('LOCK TABLE initbox.sql_migrations');
    await meanwhile();
    return await run;
  } finally {
    await other.end();
  }
}

const unknown =
  /all files ran and were recorded; whether something has taken a record back since then is not known/;

async function expectDone({ outcome, log }: Ran): Promise<void> {
  expect(status(outcome), words(outcome)).toBe(0);
  expect(log).toMatch(unknown);
  expect(await place.records()).toEqual(['1 done 1', '2 done 2']);
  expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
}

test('it runs into a time-out: done, with a warning', async () => {
  await place.sql(`ALTER ROLE app IN DATABASE ${place.name} SET lock_timeout = '300ms'`);
  await expectDone(await lockedOut({}));
});

test('it is canceled: done, with a warning', async () => {
  await expectDone(
    await lockedOut({}, async () => {
      await waiters(1);
      await place.sql(
        "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      );
    }),
  );
});

test('its connection is ended: done, with a warning', async () => {
  await expectDone(
    await lockedOut({}, async () => {
      await waiters(1);
      await place.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      );
    }),
  );
});

test('a signal comes meanwhile: done, at once, with a warning', async () => {
  const signal = new AbortController();
  let told!: () => void;
  const aborted = new Promise<void>((resolve) => (told = resolve));
  const run = lockedOut({ signal: signal.signal }, async () => {
    await waiters(1);
    signal.abort(new SignalReceived('SIGTERM'));
    told();
  });
  await aborted;
  await expectDone(await within(2_000 + promptly, run));
});

test('the table is gone: said so', async () => {
  place.write({
    '3_c.sql': `CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      SET CONSTRAINTS ALL DEFERRED;
      IF NEW.id < 3 THEN INSERT INTO t VALUES (NEW.id + 1); ELSE ALTER TABLE initbox.sql_migrations RENAME TO was; END IF; RETURN NULL; END $$;
      CREATE TABLE t (id int);
      CREATE CONSTRAINT TRIGGER c AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION act();`,
    '4_d.sql': 'INSERT INTO t VALUES (1);',
  });
  const { outcome } = await migrate(place);
  expect(words(outcome)).toMatch(
    /^2_b\.sql, 3_c\.sql,? (and )?4_d\.sql ran, and the record of that is gone from initbox\.sql_migrations, or was changed \(relation/,
  );
  expect(status(outcome)).toBe(1);
});
