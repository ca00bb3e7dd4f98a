// The whole program: `initbox migrate-with-lock --sql`.
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../support/program.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { newDatabase, type Place } from './harness.ts';

let server: Postgres;
let place: Place;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => server?.remove());
beforeEach(async () => {
  place = await newDatabase(server);
});

const sql = (...more: string[]): string[] => ['migrate-with-lock', '--sql', place.folder, ...more];
const env = (): Record<string, string> => ({ DATABASE_URL: place.url });

/** A successor waits for twice the heartbeat and the grace of a holder that was killed. */
const quick = ['--heartbeat', '500ms', '--grace', '500ms'];

async function backends(pattern: string): Promise<number> {
  const rows = await place.sql(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE $1",
    [pattern],
  );
  return Number(rows[0]?.['n']);
}

test('ten replicas at once: each file once, all of them end well', async () => {
  place.write({
    '1_log.sql': 'CREATE TABLE log (n int);',
    '2_a.sql': 'INSERT INTO log VALUES (2); SELECT pg_sleep(0.1);',
    '3_i.sql': 'CREATE INDEX CONCURRENTLY log_n ON log (n);',
    '4_b.sql': 'BEGIN; INSERT INTO log VALUES (4); COMMIT;',
  });
  const runs = await Promise.all(Array.from({ length: 10 }, () => runInitbox(sql(), { env: env() })));
  expect(runs.map((run) => [run.status, run.stdout])).toEqual(runs.map(() => [0, '']));
  expect(runs.filter((run) => run.stderr.includes('4_b.sql, ran in'))).toHaveLength(1);
  expect(runs.filter((run) => run.stderr.includes('nothing to migrate'))).toHaveLength(9);
  expect(await place.sql('SELECT n FROM log ORDER BY n')).toEqual([{ n: 2 }, { n: 4 }]);
  expect(
    await place.sql("SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 'log_n'::regclass"),
  ).toEqual([{ valid: true }]);
});

test('a directory that cannot be used is told before any server is asked', async () => {
  place.write({ '1_a.sql': 'SELECT 1', '01_b.sql': 'SELECT 1' });
  const run = await runInitbox(sql(), { env: { DATABASE_URL: 'postgres://app:x@127.0.0.1:1/app' } });
  expect(run.status).toBe(2);
  expect(run.stderr).toMatch(/01_b\.sql and 1_a\.sql are both version 1/);
});

test('last words: the file, the line, the SQLSTATE, how far it got', async () => {
  place.write({ '1_a.sql': 'CREATE TABLE a ();', '2_b.sql': 'SELECT 1;\n\nSELECT nope;' });
  const log = terminationLog();
  const run = await runInitbox(sql('--termination-log', log.path), { env: env() });
  expect(run.status).toBe(1);
  expect(log.read()).toMatch(
    /^initbox migrate-with-lock: 2_b\.sql:3: column "nope" does not exist \(SQLSTATE 42703\)\n {2}in: SELECT nope\n[\s\S]*1 of 2 migrations ran/,
  );
});

test('SIGTERM in a file: 143, rolled back, the backend gone before the lock', async () => {
  place.write({ '1_a.sql': 'CREATE TABLE a (); SELECT pg_sleep(60) AS long;' });
  const first = await startInitbox(sql(), { env: env() });
  await waitUntil(async () => (await backends('%AS long%')) > 0);
  const second = await startInitbox(sql('--lock-timeout', '30s'), { env: env() });
  await second.waitForStderr(/held by/);
  place.write({ '1_a.sql': 'CREATE TABLE a ();' });
  first.kill('SIGTERM');
  const ended = await first.exit;
  expect(ended.status).toBe(143);
  expect(ended.stderr).toMatch(/1_a\.sql was cut off and rolled back/);
  expect(await backends('%AS long%')).toBe(0);
  expect((await second.exit).status).toBe(0);
  expect(await place.records()).toEqual(['1 done 1']);
});

test('kill -9 in a file: the next one goes on, exactly once', async () => {
  place.write({
    '1_log.sql': 'CREATE TABLE log (n int);',
    '2_a.sql': 'INSERT INTO log VALUES (2); SELECT pg_sleep(60) AS long;',
  });
  const first = await startInitbox(sql(...quick), { env: env() });
  await waitUntil(async () => (await backends('%AS long%')) > 0);
  first.kill('SIGKILL');
  await first.exit;
  place.write({ '2_a.sql': 'INSERT INTO log VALUES (2);' });
  const second = await runInitbox(sql(...quick), { env: env() });
  expect([second.status, second.stderr]).toEqual([0, expect.stringMatching(/2_a\.sql ran in/)]);
  expect(await backends('%AS long%')).toBe(0);
  expect(await place.sql('SELECT n FROM log')).toEqual([{ n: 2 }]);
});

test('kill -9 while an index is built: its backend is ended, and the next one names what is left', async () => {
  place.write({ '1_t.sql': 'CREATE TABLE t AS SELECT 1 AS id;' });
  expect((await runInitbox(sql(...quick), { env: env() })).status).toBe(0);
  place.write({ '2_i.sql': 'CREATE INDEX CONCURRENTLY t_id ON t (id);' });
  const writer = await server.connect(place.name);
  try {
    await writer.query('BEGIN; INSERT INTO t VALUES (2)');
    const first = await startInitbox(sql(...quick), { env: env() });
    await waitUntil(async () => (await backends('CREATE INDEX CONCURRENTLY%')) > 0);
    first.kill('SIGKILL');
    await first.exit;
    const second = await runInitbox(sql(...quick), { env: env() });
    expect([second.status, second.stderr]).toEqual([
      69,
      expect.stringMatching(/2_i\.sql began outside a transaction[^]*the index public\.t_id is INVALID/),
    ]);
    expect(await backends('CREATE INDEX CONCURRENTLY%')).toBe(0);
  } finally {
    await writer.end();
  }
  await place.sql('DROP INDEX t_id');
  expect((await runInitbox(sql('--accept', 'again:2'), { env: env() })).status).toBe(0);
});

test('more replicas than the server has connections', async () => {
  await using small = await startPostgres({
    settings: { max_connections: 12, superuser_reserved_connections: 3 },
  });
  place = await newDatabase(small);
  place.write({
    '1_log.sql': 'CREATE TABLE log (n int);',
    '2_a.sql': 'INSERT INTO log VALUES (2); SELECT pg_sleep(1);',
  });
  const runs = await Promise.all(Array.from({ length: 20 }, () => runInitbox(sql(), { env: env() })));
  expect(runs.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual(runs.map(() => 0));
  expect(await place.sql('SELECT n FROM log')).toEqual([{ n: 2 }]);
});

test('the lock’s backend is terminated in a file: 75, and the work is gone', async () => {
  place.write({ '1_a.sql': 'CREATE TABLE a (); SELECT pg_sleep(60) AS long;' });
  const run = await startInitbox(sql(), { env: env() });
  await waitUntil(async () => (await backends('%AS long%')) > 0);
  await place.sql(
    "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() WHERE l.locktype = 'advisory'",
  );
  const ended = await run.exit;
  expect(ended.status).toBe(75);
  expect(ended.stderr).toMatch(/0 of 1 migrations ran[^]*1_a\.sql was cut off and rolled back/);
  expect(await backends('%AS long%')).toBe(0);
  expect(await place.sql("SELECT to_regclass('a') AS a")).toEqual([{ a: null }]);
});

test('--command-timeout: 124, and how far it got', async () => {
  place.write({ '1_a.sql': 'CREATE TABLE a ();', '2_b.sql': 'SELECT pg_sleep(60) AS long;' });
  const run = await runInitbox(sql('--command-timeout', '1s'), { env: env() });
  expect(run.status).toBe(124);
  expect(run.stderr).toMatch(/1 of 2 migrations ran, the last of them 1_a\.sql/);
  expect(await backends('%AS long%')).toBe(0);
});

test('--dry-run waits for nobody and leaves nothing behind', async () => {
  place.write({ '1_a.sql': 'CREATE TABLE a ();' });
  const left = () =>
    place.sql(
      "SELECT to_regclass('a') AS a, to_regnamespace('initbox') AS schema, count(*)::int AS locks FROM pg_locks WHERE locktype = 'advisory'",
    );
  const alone = await runInitbox(sql('--dry-run'), { env: env() });
  expect(alone.status).toBe(0);
  expect(JSON.parse(alone.stdout)).toMatchObject({ pending: [{ file: '1_a.sql' }], problems: [] });
  expect(await left()).toEqual([{ a: null, schema: null, locks: 0 }]);
  const holder = await startInitbox(['migrate-with-lock', '--', 'sleep', '60'], { env: env() });
  await holder.waitForStderr(/holding the lock/);
  const beside = await runToDeadline(sql('--dry-run', '--lock-timeout', '2s'), { env: env() });
  expect(beside.status).toBe(0);
  expect(beside.stderr).toMatch(/the lock is held \(backend \d+\): what its holder does may change this/);
  expect(JSON.parse(beside.stdout)).toMatchObject({ pending: [{ file: '1_a.sql' }] });
  place.write({ '2_b.sql': "SELECT 'open" });
  const wrong = await runInitbox(sql('--dry-run'), { env: env() });
  expect([wrong.status, wrong.stdout]).toEqual([2, '']);
  expect(wrong.stderr).toMatch(/2_b\.sql:1: the string/);
  holder.kill();
  await holder.exit;
});

test('a file that undoes the one of its number is left out and named; one that ran is never called gone for its name', async () => {
  place.write({
    '1_log.sql': 'CREATE TABLE log ();',
    '1_log_down.sql': 'DROP TABLE log;',
    '2_undo_history.sql': 'CREATE TABLE undo_history ();',
    '3_scale_down.sql': 'CREATE TABLE scale_down ();',
  });
  const dry = await runInitbox(sql('--dry-run'), { env: env() });
  expect(JSON.parse(dry.stdout)).toMatchObject({
    leftOut: ['1_log_down.sql'],
    pending: [{ file: '1_log.sql' }, { file: '2_undo_history.sql' }, { file: '3_scale_down.sql' }],
  });
  const run = await runInitbox(sql(), { env: env() });
  expect(run.status).toBe(0);
  expect(run.stderr).toContain('left out, since they undo a migration: 1_log_down.sql');
  place.write({ '4_history.sql': 'CREATE TABLE history ();' });
  expect(await runInitbox(sql(), { env: env() })).toMatchObject({ status: 0 });
  place.write({ '5_scale.sql': 'CREATE TABLE scale ();' });
  const refused = await runInitbox(sql(), { env: env() });
  expect(refused.status).toBe(2);
  expect(refused.stderr).toMatch(
    /3_scale_down\.sql is named like a file that undoes a migration; .* rename it/,
  );
});

test('--dry-run, --baseline and --accept', async () => {
  place.write({ '1_a.sql': 'CREATE TABLE a ();', '2_b.sql': 'CREATE TABLE b ();' });
  const dry = await runInitbox(sql('--dry-run', '--baseline', '1'), { env: env() });
  expect(dry.status).toBe(0);
  expect(JSON.parse(dry.stdout)).toMatchObject({ pending: [{ file: '2_b.sql' }] });
  expect((await runInitbox(sql('--baseline', '1'), { env: env() })).status).toBe(0);
  place.write({ '2_b.sql': 'CREATE TABLE b (id int);' });
  const drift = await runInitbox(sql(), { env: env() });
  expect([drift.status, drift.stderr]).toEqual([69, expect.stringContaining('--accept changed:2')]);
  expect((await runInitbox(sql('--accept', 'changed:2'), { env: env() })).status).toBe(0);
  expect((await runInitbox(sql(), { env: env() })).status).toBe(0);
  expect(await place.sql("SELECT to_regclass('a') AS a, to_regclass('b')::text AS b")).toEqual([
    { a: null, b: 'b' },
  ]);
});

describe('50 MB', () => {
  /** As a load of data is: many statements, some of them large. */
  function load(): { text: string; rows: number } {
    const parts = ['CREATE TABLE items (id int PRIMARY KEY, name text, note text);\n'];
    let size = 0;
    let rows = 0;
    while (size < 50 * 1024 * 1024) {
      rows++;
      const line = `INSERT INTO items (id, name, note) VALUES (${rows}, 'name ${rows}', 'it''s a note; with ünï and some more text so that a row has a size, ${'x'.repeat(60)}');\n`;
      size += Buffer.byteLength(line);
      parts.push(line);
    }
    return { text: parts.join(''), rows };
  }

  test('runs in bounded time and memory, and a failure at its end leaves nothing', async () => {
    const { text, rows } = load();
    place.write({ '1_load.sql': text });
    const time = join('/usr/bin', 'time');
    const good = await runInitbox(sql(), {
      env: env(),
      prefix: [time, '-f', 'peak %M kB'],
      timeout: 300_000,
    });
    expect(good.stderr).toMatch(/1_load\.sql ran in/);
    expect(await place.sql('SELECT count(*)::int AS n FROM items')).toEqual([{ n: rows }]);
    const peak = Number(/peak (\d+) kB/.exec(good.stderr)?.[1]) / 1024;
    console.log(
      `50 MB, ${rows} statements: ${Math.round(good.milliseconds)} ms, peak ${Math.round(peak)} MiB`,
    );
    expect(peak).toBeLessThan(700);

    const next = await runInitbox(sql(), { env: env() });
    console.log(`again: ${Math.round(next.milliseconds)} ms`);
    expect(next.stderr).toMatch(/nothing to migrate/);

    place.write({ '2_more.sql': `${text.replaceAll('items', 'others')}INSERT INTO others VALUES (1);\n` });
    const bad = await runInitbox(sql(), { env: env(), timeout: 300_000 });
    expect(bad.status).toBe(1);
    expect(bad.stderr).toMatch(
      /2_more\.sql:\d+: duplicate key[\s\S]*in one of \d+ statements that were sent together, lines \d+ to \d+/,
    );
    expect(await place.sql("SELECT to_regclass('others') AS t")).toEqual([{ t: null }]);
  }, 300_000);
});
