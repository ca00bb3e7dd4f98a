import { spawn } from 'node:child_process';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { Session } from '../../../src/clients/postgres/session.ts';
import { exitStatus } from '../../../src/core/exit-status.ts';
import { Failure, failed, SignalReceived } from '../../../src/core/outcome.ts';
import { systemClock } from '../../../src/process/system-clock.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { within } from '../../support/promptly.ts';
import { nodePath } from '../../support/tools.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { migrate, newDatabase, open, status, words, type Place } from './harness.ts';

let server: Postgres;
let place: Place;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => server?.remove());
beforeEach(async () => {
  place = await newDatabase(server);
});

/** The backends that run something like this now. */
async function running(pattern: string): Promise<number[]> {
  const rows = await place.sql(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE $1",
    [pattern],
  );
  return rows.map((row) => Number(row['pid']));
}

describe('outside a transaction', () => {
  test('an index that fails is named, reported again, and goes on by choice', async () => {
    place.write({
      '1_t.sql': 'CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);',
      '2_i.sql': 'CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);',
      '3_u.sql': 'CREATE TABLE u ();',
    });
    const first = await migrate(place);
    expect(status(first.outcome)).toBe(1);
    expect(words(first.outcome)).toMatch(
      /^2_i\.sql:1: could not create unique index "t_id" \(SQLSTATE 23505\)[\s\S]*0 of 1 statements ended[\s\S]*INVALID index left behind: public\.t_id/,
    );
    const second = await migrate(place);
    expect(status(second.outcome)).toBe(69);
    expect(words(second.outcome)).toMatch(
      /^2_i\.sql began outside a transaction at .* and did not end: its one statement[\s\S]*DROP INDEX CONCURRENTLY public\.t_id[\s\S]*again:2/,
    );
    await place.sql('DELETE FROM t');
    await place.sql('DROP INDEX t_id');
    const third = await migrate(place, { accept: [{ kind: 'again', version: '2' }] });
    expect(words(third.outcome)).toMatch(/^2 migrations, the last 3_u\.sql, ran/);
    expect(await place.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass")).toEqual([
      { indisvalid: true },
    ]);
  });

  test('an INVALID index that IF NOT EXISTS passes over is not taken for done', async () => {
    await place.sql('CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1); ALTER TABLE t OWNER TO app');
    await place.sql('CREATE UNIQUE INDEX CONCURRENTLY "Odd Name" ON t (id)').catch(() => undefined);
    place.write({ '1_i.sql': 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "Odd Name" ON public.t (id);' });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(
      /^1_i\.sql: all statements ran, but the index public\."Odd Name" is INVALID/,
    );
    expect(await place.records()).toEqual(['1 running 1']);
  });

  test.each([
    ['an INVALID index of somebody else is none of an unnamed one', 'CREATE INDEX CONCURRENTLY ON tt (b);'],
    ['nor of one with another name', 'CREATE INDEX CONCURRENTLY mine ON tt (b);'],
    ['nor of two', 'CREATE INDEX CONCURRENTLY ON tt (b); CREATE UNIQUE INDEX CONCURRENTLY ON tt (b, a);'],
  ])('%s', async (_name, sql) => {
    await place.sql(
      'CREATE TABLE tt (a int, b int); INSERT INTO tt VALUES (1, 1), (1, 2); ALTER TABLE tt OWNER TO app',
    );
    await place.sql('CREATE UNIQUE INDEX CONCURRENTLY stranger ON tt (a)').catch(() => undefined);
    place.write({ '1_i.sql': sql });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/^1_i\.sql ran/);
    // One that fails names what it left, and not the other one.
    place.write({ '2_i.sql': 'CREATE UNIQUE INDEX CONCURRENTLY ON tt (a);' });
    const second = await migrate(place);
    expect(words(second.outcome)).toMatch(/INVALID index left behind: public\.tt_a_idx /);
    expect(words(second.outcome)).not.toMatch(/stranger/);
  });

  test('what failed whole at its first statement is simply tried again', async () => {
    place.write({ '1_x.sql': '-- initbox:no-transaction\nCREATE TABLE nowhere.t ();\nCREATE TABLE u ();' });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(
      /^1_x\.sql:2: schema "nowhere" does not exist[\s\S]*nothing of it is left/,
    );
    await place.sql('CREATE SCHEMA nowhere AUTHORIZATION app');
    expect(status((await migrate(place)).outcome)).toBe(0);
  });

  test('a transaction of its own in the file is rolled back and counted as not run', async () => {
    place.write({
      '1_x.sql':
        '-- initbox:no-transaction\nBEGIN;\nCREATE TABLE a ();\nCOMMIT;\nBEGIN;\nCREATE TABLE b ();\nSELECT 1/0;\nCOMMIT;\n',
    });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/^1_x\.sql:7: division by zero[\s\S]*3 of 7 statements ended and stay/);
    expect(words((await migrate(place)).outcome)).toMatch(/3 of 7 statements are known to have ended/);
    expect(await place.sql("SELECT to_regclass('a')::text AS a, to_regclass('b') AS b")).toEqual([
      { a: 'a', b: null },
    ]);
    const { outcome: finished } = await migrate(place, { accept: [{ kind: 'done', version: '1' }] });
    expect(status(finished)).toBe(0);
    expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
  });
});

/** A way to the server that swallows the answer to a statement with `cutHere` in it, and then ends the connection. */
async function cutting(how: 'FIN' | 'RST'): Promise<{ readonly url: string } & Disposable> {
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const upstream = connect(server.port, server.host);
    let cut = false;
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}));
    client.on('data', (bytes) => {
      cut ||= bytes.includes('cutHere');
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!cut) client.write(bytes);
      else if (how === 'FIN') client.end();
      else client.resetAndDestroy();
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = new URL(place.url);
  url.port = String((proxy.address() as AddressInfo).port);
  return {
    url: url.href,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  };
}

describe('the answer is lost with the connection', () => {
  test.each(['FIN', 'RST'] as const)(
    'of a statement outside a transaction, by %s: it counts as cut off, and is not run again by itself',
    async (how) => {
      await place.sql('CREATE TABLE log (x int); GRANT ALL ON log TO app');
      place.write({
        '1_a.sql': '-- initbox:no-transaction\nINSERT INTO log SELECT 1 AS "cutHere";',
      });
      {
        using way = await cutting(how);
        const { outcome } = await migrate(place, { url: way.url });
        expect(status(outcome)).not.toBe(0);
        expect(words(outcome)).not.toMatch(/nothing of it is left|SQLSTATE E/);
      }
      expect(await place.records()).toEqual(['1 running 0']);
      const again = await migrate(place);
      expect(status(again.outcome)).toBe(69);
      expect(words(again.outcome)).toMatch(/^1_a\.sql began outside a transaction at .* and did not end/);
      expect(await place.sql('SELECT count(*)::int AS n FROM log')).toEqual([{ n: 1 }]);
    },
  );

  test.each(['FIN', 'RST'] as const)(
    'in a transaction, by %s: it is not called an error of a statement',
    async (how) => {
      await place.sql('CREATE TABLE log (x int); GRANT ALL ON log TO app');
      place.write({ '1_a.sql': 'INSERT INTO log SELECT 1 AS "cutHere";' });
      {
        using way = await cutting(how);
        const { outcome } = await migrate(place, { url: way.url });
        expect(status(outcome)).not.toBe(0);
        expect(words(outcome)).not.toMatch(/SQLSTATE E/);
      }
      expect(status((await migrate(place)).outcome)).toBe(0);
      expect(await place.sql('SELECT count(*)::int AS n FROM log')).toEqual([{ n: 1 }]);
    },
  );
});

describe('the end comes on the way', () => {
  const long = {
    '1_a.sql': 'CREATE TABLE a ();',
    '2_b.sql': 'CREATE TABLE b (); SELECT pg_sleep(60) AS long;',
    '3_c.sql': 'CREATE TABLE c ();',
  };

  test('SIGTERM: rolled back, the backend gone, and how far it got is told', async () => {
    place.write(long);
    const ended = new AbortController();
    const run = migrate(place, { signal: ended.signal });
    await waitUntil(async () => (await running('%AS long%')).length > 0);
    ended.abort(new SignalReceived('SIGTERM'));
    const { outcome } = await within(1000, run);
    expect(await running('%AS long%')).toEqual([]);
    expect(status(outcome)).toBe(143);
    expect(words(outcome)).toMatch(
      /^ended by SIGTERM\n1 of 3 migrations ran, the last of them 1_a\.sql\n2_b\.sql was cut off and rolled back/,
    );
    expect(await place.records()).toEqual(['1 done 1']);
    place.write({ '2_b.sql': 'CREATE TABLE b ();' });
    expect(words((await migrate(place)).outcome)).toMatch(/^2 migrations/);
  });

  test('SIGTERM during CREATE INDEX CONCURRENTLY: reported on the next run', async () => {
    place.write({
      '1_t.sql': 'CREATE TABLE t AS SELECT 1 AS id;',
      '2_i.sql': 'CREATE INDEX CONCURRENTLY t_id ON t (id);',
    });
    await migrate(place).then(({ outcome }) => expect(status(outcome)).toBe(0));
    place.write({ '3_i.sql': 'CREATE INDEX CONCURRENTLY t_id2 ON t (id);' });
    const blocker = await server.connect(place.name);
    try {
      await blocker.query('BEGIN; INSERT INTO t VALUES (2)');
      const ended = new AbortController();
      const run = migrate(place, { signal: ended.signal });
      await waitUntil(async () => (await running('CREATE INDEX CONCURRENTLY t_id2%')).length > 0);
      ended.abort(new SignalReceived('SIGTERM'));
      expect(words((await run).outcome)).toMatch(/3_i\.sql was cut off outside a transaction/);
      expect(await running('CREATE INDEX%')).toEqual([]);
      const { outcome } = await migrate(place);
      expect(words(outcome)).toMatch(/the index public\.t_id2 is INVALID/);
    } finally {
      await blocker.end();
    }
  });

  test('the backend of the work is terminated', async () => {
    place.write(long);
    const run = migrate(place);
    const [pid] = await waitUntil(async () => {
      const pids = await running('%AS long%');
      return pids.length > 0 ? pids : undefined;
    });
    await place.sql('SELECT pg_terminate_backend($1)', [pid]);
    const { outcome } = await run;
    expect(status(outcome)).toBe(1);
    expect(words(outcome)).toMatch(
      /^2_b\.sql: the connection ended \(terminating connection[\s\S]*nothing of it is left/,
    );
  });

  test('the lock is lost: the work dies with it', async () => {
    place.write(long);
    const lost = new AbortController();
    const run = migrate(place, {
      signal: lost.signal,
      onLock: (lock) =>
        void lock.ended.then(() => lost.abort(new Failure(failed(exitStatus.lockLost, 'the lock was lost')))),
    });
    await waitUntil(async () => (await running('%AS long%')).length > 0);
    await place.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    const { outcome } = await run;
    expect(status(outcome)).toBe(75);
    await waitUntil(async () => (await running('%AS long%')).length === 0);
    expect(await place.records()).toEqual(['1 done 1']);
  });

  test('the lock is lost unnoticed: nothing is committed', async () => {
    place.write({ '1_a.sql': 'CREATE TABLE a (); SELECT pg_sleep(1) AS short;' });
    let session: Session | undefined;
    const run = migrate(place, { onLock: (lock) => void (session = lock) });
    await waitUntil(async () => (await running('%AS short%')).length > 0);
    await session?.query('SELECT pg_advisory_unlock_all()');
    const { outcome } = await run;
    expect(status(outcome)).toBe(75);
    expect(words(outcome)).toMatch(/the lock was lost before 1_a\.sql could be recorded/);
    expect(await place.sql("SELECT to_regclass('a') AS a")).toEqual([{ a: null }]);
  });

  test('without a lock nothing runs', async () => {
    place.write(long);
    expect(status((await migrate(place, { locked: false })).outcome)).toBe(75);
  });
});

test('a file that waits for a lock says for whom', async () => {
  await place.sql('CREATE TABLE t (id int); ALTER TABLE t OWNER TO app');
  place.write({ '1_t.sql': 'SELECT 1;\nALTER TABLE t ADD COLUMN name text;' });
  const blocker = await open(place.url);
  try {
    await blocker.query("SET application_name = 'a long report'; BEGIN; SELECT * FROM t");
    const run = migrate(place, {
      clock: {
        ...systemClock,
        after: (milliseconds, action) => systemClock.after(milliseconds / 50, action),
      },
    });
    await waitUntil(async () => (await running('ALTER TABLE t%')).length > 0);
    await new Promise((resolve) => void setTimeout(resolve, 500));
    await blocker.query('COMMIT');
    const { outcome, log } = await run;
    expect(status(outcome)).toBe(0);
    expect(log).toMatch(
      /1_t\.sql: statement 2 of 2 \(line 2: ALTER TABLE t ADD COLUMN name text\), \d+ms so far; it waits for a lock that backend \d+ of "a long report" holds, idle in transaction, its transaction [\d:]+ old/,
    );
  } finally {
    await blocker.end();
  }
});

describe('exactly once', () => {
  const count = 8;
  const files = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `${index + 2}_n.sql`,
      `INSERT INTO log VALUES (${index + 2}); SELECT pg_sleep(0.02); INSERT INTO log VALUES (${-index - 2});`,
    ]),
  );

  async function once(): Promise<void> {
    const rows = await place.sql('SELECT n, count(*)::int AS times FROM log GROUP BY n');
    expect(rows).toHaveLength(2 * count);
    expect(rows.every((row) => row['times'] === 1)).toBe(true);
  }

  test('kill -9 at any moment', async () => {
    place.write({ '1_log.sql': 'CREATE TABLE log (n int);', ...files });
    let kills = 0;
    for (let round = 1; ; round++) {
      const child = spawn(
        nodePath(),
        [join(import.meta.dirname, 'child.ts'), place.url, place.folder, String(round)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      const end = new Promise((resolve) => child.once('close', resolve));
      // From the moment it has begun: 1 ms later with each round, so that every place in a file is met.
      await Promise.race([
        end,
        waitUntil(async () => (await running('%')).length > 0, { interval: 1 }).catch(() => undefined),
      ]);
      const timer = setTimeout(() => child.kill('SIGKILL'), round * 3);
      await end;
      clearTimeout(timer);
      if (child.signalCode === 'SIGKILL') {
        kills++;
        continue;
      }
      expect(said).toMatch(/ran in|nothing to migrate/);
      break;
    }
    expect(kills).toBeGreaterThan(3);
    await once();
  });

  test('many runners at once under the lock', async () => {
    place.write({ '1_log.sql': 'CREATE TABLE log (n int);', ...files });
    const runs = await Promise.all(Array.from({ length: 6 }, () => migrate(place)));
    expect(runs.map(({ outcome }) => words(outcome).replace(/ in .*/, '')).toSorted()).toEqual([
      `${count + 1} migrations, the last ${count + 1}_n.sql, ran`,
      ...Array.from({ length: 5 }, () => expect.stringMatching(/^nothing to migrate/)),
    ]);
    await once();
  });

  test('two runners of which neither sees the other’s lock', async () => {
    place.write({ '1_log.sql': 'CREATE TABLE log (n int);', ...files });
    // As after a failover: both hold a lock, of which the other knows nothing.
    const own = async (key: number): Promise<string> => {
      const { outcome } = await migrate(place, { lockKey: key });
      return words(outcome);
    };
    const said = await Promise.all([own(1), own(2)]);
    expect(said.filter((text) => /ran in/.test(text)).length).toBeLessThanOrEqual(1);
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(0);
    await once();
  });
});
