// The end of a file outside a transaction is to be written down, and that waits in the server: deadline and signals hold.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { runInitbox, startInitbox, type ProgramResult, type RunningProgram } from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { newDatabase, type Place } from './harness.ts';

let server: Postgres;
let place: Place;
const env = (): Record<string, string> => ({ DATABASE_URL: place.url });
const args = (...more: string[]): string[] => [
  'migrate-with-lock',
  '--heartbeat',
  '2s',
  '--grace',
  '1s',
  '--once',
  'k',
  '--sql',
  place.folder,
  ...more,
];

/** Milliseconds: the wait for the answer, and the end of what waits, by a new connection. */
const bound = 4_000;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => server?.remove());
beforeEach(async () => {
  place = await newDatabase(server);
  place.write({ '1_a.sql': 'CREATE TABLE a ();' });
  expect((await runInitbox(args(), { env: env() })).status).toBe(0);
  await place.sql("DELETE FROM initbox.once WHERE once_key = 'k'");
  place.write({ '2_b.sql': '-- initbox:no-transaction\nCREATE TABLE b ();\nSELECT pg_sleep(2) AS long;' });
});
const standby = async (setting: string): Promise<void> => {
  await server.sql('SET synchronous_commit = local');
  await server.sql(`ALTER SYSTEM ${setting}`);
  await server.sql('SELECT pg_reload_conf()');
};
afterEach(async () => standby('RESET synchronous_standby_names'));

const seen = (condition: string): Promise<unknown> =>
  waitUntil(
    async () =>
      (
        await place.sql(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${condition}`,
        )
      ).length > 0,
    { timeout: 20_000, what: condition },
  );

/** Starts it, and returns once its last words wait. */
async function heldUp(
  how: 'a locked table' | 'a standby',
  more: string[],
): Promise<AsyncDisposable & { readonly program: RunningProgram }> {
  const program = await startInitbox(args(...more), { env: env() });
  const other = await server.connect(place.name);
  await seen("state = 'active' AND query LIKE '%AS long%'");
  if (how === 'a standby') await standby("SET synchronous_standby_names = 'nobody'");
  else await other.query('BEGIN; LOCK TABLE initbox.sql_migrations');
  await seen(how === 'a standby' ? "wait_event = 'SyncRep'" : "wait_event_type = 'Lock'");
  return { program, [Symbol.asyncDispose]: () => other.end() };
}

function expectUnknown({ status, stderr }: ProgramResult, expected: number): void {
  expect(status, stderr).toBe(expected);
  expect(stderr).toMatch(
    /2_b\.sql ran to its end outside a transaction, and whether that is recorded is not known; the next run sees it/,
  );
  expect(stderr).toMatch(/the lock could not be released; it goes with its connection/);
  expect(stderr).not.toMatch(/lock was lost|own statements/);
}

describe.each(['a locked table', 'a standby'] as const)('it waits for %s', (how) => {
  test('SIGTERM: 143, and in time', async () => {
    await using held = await heldUp(how, []);
    held.program.kill();
    expectUnknown(await within(bound + promptly, held.program.exit), 143);
  });

  test.each([
    ['--timeout', 'the deadline'],
    ['--command-timeout', 'the time for the work'],
  ])('%s: 124, and in time', async (option) => {
    await using held = await heldUp(how, [option, '8s']);
    expectUnknown(await within(8_000 + bound + promptly, held.program.exit), 124);
    expect(await place.sql("SELECT state FROM initbox.once WHERE once_key = 'k'")).toEqual([
      { state: 'running' },
    ]);
  });
});

test('the table is free again after the server has given up its wait: recorded, and done', async () => {
  await using held = await heldUp('a locked table', ['--timeout', '5m']);
  await held.program.waitForStderr(/2_b\.sql ran, and is not recorded yet, since that waits: .*57014/);
  await held[Symbol.asyncDispose]();
  const { status, stderr } = await held.program.exit;
  expect(status, stderr).toBe(0);
  expect(await place.records()).toEqual(['1 done 1', '2 done 2']);
});
