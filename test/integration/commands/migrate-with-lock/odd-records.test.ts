// Rows of the schema initbox that hold what initbox cannot have written: said at once, with the statement that mends them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox, type ProgramResult } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

let postgres: Postgres;
const folder = temporaryDirectory('odd');
const quick = ['migrate-with-lock', '--grace', '0s', '--heartbeat', '1s', '--timeout', '5m'];
const run = (...args: string[]): Promise<ProgramResult> =>
  runInitbox(args, { env: { DATABASE_URL: postgres.url() } });
const change = (statements: string) => postgres.sql(statements, [], 'app');

beforeAll(async () => {
  postgres = await startPostgres();
  writeFileSync(join(folder.path, '001_a.sql'), 'CREATE TABLE made (id int);');
});
afterAll(async () => {
  await postgres?.remove();
  folder.remove();
});
beforeEach(async () => {
  await change('DROP SCHEMA IF EXISTS initbox CASCADE; DROP TABLE IF EXISTS made');
  expect((await run(...quick, '--once', 'it’s', '--sql', folder.path)).status).toBe(0);
  // What keeps such values out.
  for (const table of ['locks', 'once', 'sql_migrations'])
    for (const { name } of await change(
      `SELECT conname AS name FROM pg_constraint WHERE conrelid = 'initbox.${table}'::regclass AND contype IN ('c', 'n') AND NOT EXISTS (
         SELECT FROM pg_index i WHERE i.indrelid = conrelid AND i.indisprimary AND conkey <@ i.indkey::int2[])`,
    ))
      await change(`ALTER TABLE initbox.${table} DROP CONSTRAINT "${String(name)}"`);
});

/** What is said is final, and comes at once. */
function expectNamed({ status, stderr }: ProgramResult, what: RegExp, expected: number): string {
  expect(stderr.replace(', or what nothing can come after', '')).toMatch(what);
  expect(stderr).not.toMatch(/connection broke|out of range|unexpected error/);
  expect(status, stderr).toBe(expected);
  return /(?:such as: |, run: )((?:UPDATE|DELETE) [^;\n]*)/.exec(stderr)?.[1] ?? '';
}

describe.each([
  ["started = 'infinity'", /started is infinity/],
  ["started = '-infinity'", /started is -infinity/],
  ["started = '294276-12-31'", /started is 294276-12-31/],
  ["started = '4713-01-01 BC'", /started is 4713-01-01/],
  ['started = NULL', /started is NULL/],
  ['settle_ms = 9223372036854775807', /settle_ms is 9223372036854775807/],
  ['token = 9223372036854775807', /token is 9223372036854775807/],
  ['token = 9223090561878065152', /token is 9223090561878065152/],
  ['token = -5', /token is -5/],
  ['host = NULL', /host is NULL/],
  ["released = 'infinity'", /released is infinity/],
])('locks: %s', (set, what) => {
  test('the lock works without it, and --once and --sql end; the statement mends it', async () => {
    await change(`UPDATE initbox.locks SET ${set}`);
    const said = new RegExp(
      `initbox\\.locks where lock_id = -?\\d+ holds what initbox cannot have written: ${what.source}`,
    );
    expectNamed(await run(...quick, '--', 'true'), said, 0);
    expectNamed(await run(...quick, '--once', 'k', '--', 'true'), said, 69);
    const status = await run('migrate-with-lock', '--status');
    expectNamed(status, said, 0);
    expect(JSON.parse(status.stdout)).toMatchObject({ last: null, once: [{ key: 'it’s', state: 'done' }] });
    await change(expectNamed(await run(...quick, '--sql', folder.path), said, 69));
    expect((await run(...quick, '--once', 'k', '--', 'true')).status).toBe(0);
  });
});

describe.each([
  ["started = 'infinity'", /started is infinity/],
  ["finished = '-infinity'", /finished is -infinity/],
  ["state = 'odd'", /state is odd/],
  ['state = NULL', /state is NULL/],
  ['token = -1', /token is -1/],
  ['command_hash = NULL', /command_hash is NULL/],
  ['exit_status = 2147483647', /exit_status is 2147483647/],
])('once: %s', (set, what) => {
  test('its key is refused, --forget takes it away, and the statement mends it', async () => {
    await change(`UPDATE initbox.once SET ${set}`);
    const said = new RegExp(
      `initbox\\.once where lock_id = -?\\d+ AND once_key = 'it’s' holds what initbox cannot have written: ${what.source}`,
    );
    const mend = expectNamed(await run(...quick, '--once', 'it’s', '--sql', folder.path), said, 69);
    expectNamed(await run('wait-postgres', '--migrated', 'it’s', '--timeout', '5m'), said, 69);
    expectNamed(await run('migrate-with-lock', '--status'), said, 0);
    // Another key's rows are not its own.
    expect((await run(...quick, '--once', 'k', '--', 'true')).status).toBe(0);
    await change(mend);
    expect((await run('wait-postgres', '--migrated', 'it’s', '--timeout', '5m')).status).toBe(0);
    await change(`UPDATE initbox.once SET ${set}`);
    expect((await run('migrate-with-lock', '--forget', 'it’s')).status).toBe(0);
    expect((await run(...quick, '--once', 'it’s', '--sql', folder.path)).status).toBe(0);
  });
});

test.each([
  ["state = 'odd'", /state is odd/],
  ['state = NULL', /state is NULL/],
  ['sha256 = NULL', /sha256 is NULL/],
  ['statements = -1', /statements is -1/],
  ['finished = NULL', /finished is NULL/],
  ["started_at = 'infinity'", /started_at is infinity/],
  ["applied_at = 'infinity'", /applied_at is infinity/],
  ['applied_at = NULL', /applied_at is NULL/],
  ['token = -5', /token is -5/],
  ['token = NULL', /token is NULL/],
  ['token = 9223372036854775807', /token is 9223372036854775807/],
  ['duration_ms = -5', /duration_ms is -5/],
  ['duration_ms = 9223372036854775807', /duration_ms is 9223372036854775807/],
])('sql_migrations: %s', async (set, what) => {
  await change(`UPDATE initbox.sql_migrations SET ${set}`);
  const said = new RegExp(
    `initbox\\.sql_migrations where lock_name = 'migrate' AND version = '1' holds what initbox cannot have written: ${what.source}`,
  );
  expectNamed(await run('migrate-with-lock', '--sql', folder.path, '--dry-run'), said, 69);
  const mend = expectNamed(await run(...quick, '--sql', folder.path), said, 69);
  // A checksum that is unknown is not the file's.
  if (set.startsWith('sha256')) return;
  await change(mend);
  expect((await run(...quick, '--sql', folder.path)).status).toBe(0);
});

test('the largest token is followed by one more, with which all is recorded', async () => {
  const largest = '9223090561878065151';
  await change(`UPDATE initbox.locks SET token = ${largest}`);
  writeFileSync(join(folder.path, '002_b.sql'), 'SELECT 1;');
  const { status, stderr } = await run(...quick, '--once', 'k', '--sql', folder.path);
  expect(status, stderr).toBe(0);
  expect(await change('SELECT token::text FROM initbox.locks')).toEqual([
    { token: String(BigInt(largest) + 1n) },
  ]);
  const after = await run(...quick, '--sql', folder.path);
  expect(after.stderr).toMatch(/or what nothing can come after: token is 9223090561878065152/);
  await change(expectNamed(after, /initbox\.locks/, 69));
  expect((await run(...quick, '--once', 'k', '--sql', folder.path)).status).toBe(0);
  expect((await run(...quick, '--sql', folder.path)).status).toBe(0);
});
