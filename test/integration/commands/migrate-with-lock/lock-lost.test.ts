// What must happen when the lock goes away under a running command, or a holder dies: each fault is made for real.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { keyOfName } from '../../../../src/clients/postgres/lock-key.ts';
import {
  freeze,
  groupGone,
  killGroup,
  liveGroup,
  liveProcess,
  thaw,
  waitUntil,
} from '../../../support/faults.ts';
import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { within } from '../../../support/promptly.ts';
import { closedGate, connections, createJournal, holders, quick, startReplica } from './contenders.ts';

let postgres: Postgres;

beforeAll(async () => {
  postgres = await startPostgres({ settings: { max_connections: 60 } });
});
afterAll(() => postgres.remove());
beforeEach(async () => {
  await postgres.sql('DROP SCHEMA IF EXISTS initbox CASCADE');
});

/** The child's process group, which the child has told by its own process id. */
async function groupOf(replica: {
  waitForStdout(pattern: RegExp): Promise<RegExpExecArray>;
}): Promise<number> {
  const match = await replica.waitForStdout(/group (\d+)/);
  return Number(match[1]);
}

/** The living processes of `sleep SECONDS`. */
function sleepers(seconds: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return (
        /^\d/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').endsWith(`sleep\0${seconds}\0`)
      );
    } catch {
      return false;
    }
  });
}

const sayGroup = 'echo group $$';

/** Whether some socket of a local port has bytes that its process has not read (proc_net_tcp.rst). */
function unread(port: number): boolean {
  const rows = readFileSync('/proc/net/tcp', 'ascii')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  return rows.some(
    ([, local = '', , state, queues = '']) =>
      parseInt(local.split(':')[1] ?? '', 16) === port &&
      state === '01' &&
      parseInt(queues.split(':')[1] ?? '', 16) > 0,
  );
}

describe('the holder dies', () => {
  test('killed with its group: the next one waits, ends what is left, and then runs', async () => {
    using journal = createJournal();
    // The server does not notice by itself that this client is gone.
    const work = `${sayGroup}; psql "$DATABASE_URL" -c 'SELECT pg_sleep(300)'`;
    const holder = await startReplica(postgres, [...quick, '--', ...journal.child('first', work)]);
    const group = await groupOf(holder);
    await waitUntil(async () => (await connections(postgres)).some((name) => name.endsWith(':job')));
    const next = await startReplica(postgres, [
      ...quick,
      '--',
      ...journal.child(
        'second',
        `psql -Atc "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%' AND pid <> pg_backend_pid()" "$DATABASE_URL"`,
      ),
    ]);
    await next.waitForStderr(/held by pod since/);
    holder.kill('SIGKILL');
    killGroup(group);
    const died = Date.now() / 1000;
    const result = await next.exit;
    expect(result.stderr).toContain('did not release the lock; waiting 1.5s for its work to end');
    expect(result.stderr).toContain('ending what an earlier holder left in the database');
    expect(result.status).toBe(0);
    expect(result.stdout.trim()).toBe('0');
    journal.assertNoOverlap(new Map([['first', died + 1]]));
    const begin = journal.entries().find(({ name }) => name === 'second')?.at ?? 0;
    expect(begin - died).toBeGreaterThan(1.4);
  });

  test('killed alone: the lock stays with its child until that ends', async () => {
    using journal = createJournal();
    const holder = await startReplica(postgres, [
      ...quick,
      '--',
      ...journal.child('first', `${sayGroup}; sleep 4`),
    ]);
    const group = await groupOf(holder);
    const [backend] = await holders(postgres);
    holder.kill('SIGKILL');
    // Its pipes stay open as long as the child lives.
    await waitUntil(() => liveProcess(holder.pid) === undefined);
    const next = await startReplica(postgres, [...quick, '--', ...journal.child('second', 'true')]);
    await next.waitForStderr(/held by pod since/);
    expect(liveGroup(group)).not.toEqual([]);
    expect(await holders(postgres)).toEqual([backend]);
    expect((await next.exit).status).toBe(0);
    await groupGone(group);
    journal.assertNoOverlap();
    expect(journal.entries().map(({ name, what }) => `${name} ${what}`)).toEqual([
      'first begin',
      'first end',
      'second begin',
      'second end',
    ]);
  });

  test('stopped (SIGSTOP): the lock stays, and a waiter gives up in time', async () => {
    const holder = await startReplica(postgres, [...quick, '--', '/bin/sh', '-c', 'sleep 60']);
    await holder.waitForStderr(/holding the lock/);
    await freeze(holder.pid);
    const next = await startReplica(postgres, [...quick, '--lock-timeout', '5s', '--', 'true']);
    const result = await next.exit;
    expect(result.status).toBe(124);
    expect(result.stderr).toMatch(
      /gave up after 5s \(--lock-timeout\): the lock "migrate" held by pod since/,
    );
    expect(await holders(postgres)).toHaveLength(1);
    thaw(holder.pid);
    holder.kill();
    expect((await holder.exit).status).toBe(143);
  });
});

describe('the lock is lost while the command runs', () => {
  test('the backend is terminated: the group is stopped at once, status 75', async () => {
    const holder = await startReplica(postgres, ['--', '/bin/sh', '-c', `${sayGroup}; sleep 60 & wait`]);
    const group = await groupOf(holder);
    await postgres.sql(`SELECT pg_terminate_backend(${(await holders(postgres))[0]})`);
    await within(4_000, groupGone(group));
    const result = await holder.exit;
    expect(result.status).toBe(75);
    expect(result.stderr).toMatch(/the lock was lost: .*57P01/);
    expect(await holders(postgres)).toEqual([]);
  });

  test('the server restarts as after a crash: the command is stopped, waiters reconnect and run', async () => {
    using journal = createJournal();
    const holder = await startReplica(postgres, [
      ...quick,
      '--',
      ...journal.child('first', `${sayGroup}; sleep 60`),
    ]);
    const group = await groupOf(holder);
    const next = await startReplica(postgres, [...quick, '--', ...journal.child('second', 'true')]);
    await next.waitForStderr(/held by pod since/);
    await postgres.stop('immediate');
    await groupGone(group, 3000);
    const died = Date.now() / 1000;
    expect((await holder.exit).status).toBe(75);
    await next.waitForStderr(/connection refused|starting up/);
    await postgres.start();
    expect((await next.exit).status).toBe(0);
    journal.assertNoOverlap(new Map([['first', died]]));
    expect(journal.entries().at(-1)).toMatchObject({ name: 'second', what: 'end' });
  });

  test('the backend is stopped (SIGSTOP): the check times out, status 75', async () => {
    const holder = await startReplica(postgres, [...quick, '--', '/bin/sh', '-c', `${sayGroup}; sleep 60`]);
    const group = await groupOf(holder);
    const [backend = 0] = await holders(postgres);
    await freeze(backend);
    try {
      const result = await holder.exit;
      expect(result.status).toBe(75);
      expect(result.stderr).toContain('no answer to a statement within 500 ms');
      await groupGone(group, 100);
    } finally {
      thaw(backend);
    }
    await waitUntil(async () => (await holders(postgres)).length === 0);
  });

  test('the holder stands still during a check, for longer than it may take: the answer that came meanwhile counts', async () => {
    const holder = await startReplica(postgres, [...quick, '--', '/bin/sh', '-c', `${sayGroup}; sleep 6`]);
    const group = await groupOf(holder);
    const [backend = 0] = await holders(postgres);
    await freeze(backend);
    await waitUntil(() => unread(postgres.port), { what: 'a check to be sent' });
    await freeze(holder.pid);
    thaw(backend);
    await waitUntil(() => !unread(postgres.port), { what: 'the check to be answered' });
    await sleep(1_000);
    thaw(holder.pid);
    expect((await holder.exit).status).toBe(0);
    expect(liveGroup(group)).toEqual([]);
  });
});

test('what an earlier holder left in another role’s name may not be ended: it is waited for', async () => {
  const { hex } = keyOfName('migrate');
  const client = await postgres.connect();
  await client.query(`SET application_name = 'initbox:${hex}:1:job'`);
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  // A backend whose client is gone ends with its statement; this one's client leaves it then.
  const zombie = client
    .query('SELECT pg_sleep(600)')
    .catch(() => undefined)
    .then(() => client.end());
  using journal = createJournal();
  const replica = await startReplica(postgres, ['--', ...journal.child('next', 'true')]);
  await replica.waitForStderr(/belongs to postgres, and this role may not end it; waiting for it/);
  const ended = Date.now() / 1000;
  await postgres.sql('SELECT pg_cancel_backend($1)', [rows[0]?.pid]);
  await zombie;
  expect((await replica.exit).status).toBe(0);
  expect(journal.entries()[0]?.at).toBeGreaterThan(ended);
});

test('a role whose settings say SET role ends what its own command left', async () => {
  await postgres.sql("CREATE ROLE schema_owner; CREATE ROLE acting LOGIN PASSWORD 'x' IN ROLE schema_owner");
  await postgres.sql(
    'GRANT CREATE ON DATABASE app TO schema_owner; ALTER ROLE acting SET role = schema_owner',
  );
  const url = `postgres://acting:x@${postgres.host}:${postgres.port}/app`;
  const work = `psql "$DATABASE_URL" -c 'SELECT pg_sleep(60)' & sleep 2; kill -KILL $!; exit 3`;
  const result = await (
    await startReplica(postgres, ['--lock-name', 'acting', ...quick, '--', '/bin/sh', '-c', work], { url })
  ).exit;
  expect(result.status, result.stderr).toBe(3);
  expect(result.stderr).not.toContain('may not end it');
  expect(
    await postgres.sql("SELECT 1 FROM pg_stat_activity WHERE usename = 'acting' AND state = 'active'"),
  ).toEqual([]);
});

test('an untagged statement of another role, which this one cannot look into, is waited for', async () => {
  await postgres.sql("DROP ROLE IF EXISTS earlier; CREATE ROLE earlier LOGIN PASSWORD 'app-password'");
  await (
    await startReplica(postgres, ['--', 'true'], { url: postgres.superuserUrl() })
  ).exit;
  await postgres.sql(
    'GRANT USAGE, CREATE ON SCHEMA initbox TO app, earlier; GRANT ALL ON ALL TABLES IN SCHEMA initbox TO app, earlier',
  );
  const url = postgres.url().replace('app:', 'earlier:');
  // As a driver that carries no tag, and whose server does not notice that its client is gone.
  const work = `${sayGroup}; exec env PGAPPNAME=driver psql "$DATABASE_URL" -c 'SELECT pg_sleep(5)'`;
  const holder = await startReplica(postgres, [...quick, '--', '/bin/sh', '-c', work], { url });
  const group = await groupOf(holder);
  const sleeping = async (): Promise<boolean> =>
    (
      await postgres.sql(
        "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(5)' AND state = 'active'",
      )
    ).length > 0;
  await waitUntil(sleeping);
  holder.kill('SIGKILL');
  killGroup(group);
  const next = await startReplica(postgres, [...quick, '--', 'echo', 'ran']);
  await next.waitForStderr(/waiting for statements that an earlier holder may have left .*earlier, driver/);
  expect(await sleeping()).toBe(true);
  await next.waitForStdout(/ran/);
  expect(await sleeping()).toBe(false);
  expect((await next.exit).status).toBe(0);
  await postgres.sql('DROP OWNED BY earlier; DROP ROLE earlier');
});

test('the lock is lost while it is taken over: 75, and nothing was started', async () => {
  const holder = await startReplica(postgres, [...quick, '--', 'sleep', '1']);
  await holder.waitForStderr(/holding the lock/);
  holder.kill('SIGKILL');
  const heir = await startReplica(postgres, [...quick, '--', 'echo', 'ran']);
  await heir.waitForStderr(/waiting 1.5s for its work to end/);
  await postgres.sql(`SELECT pg_terminate_backend(${(await holders(postgres))[0]})`);
  const result = await heir.exit;
  expect(result.status).toBe(75);
  expect(result.stderr).toContain('the lock was lost before the command started');
  expect(result.stdout).toBe('');
});

describe('the command and its group', () => {
  test('TERM while it runs: the child gets it, and the lock goes after the child', async () => {
    using journal = createJournal();
    const holder = await startReplica(postgres, [
      '--',
      '/bin/sh',
      '-c',
      `trap 'sleep 1; echo "first end $(date +%s.%N)" >>${journal.path}; exit 0' TERM; echo "first begin 0" >>${journal.path}; ${sayGroup}; while :; do sleep 0.05; done`,
    ]);
    await groupOf(holder);
    const next = await startReplica(postgres, ['--', ...journal.child('second', 'true')]);
    await next.waitForStderr(/held by/);
    holder.kill();
    const result = await holder.exit;
    // It ended with 0, but it was told to end: nobody may take that for a migration that is done.
    expect(result.status).toBe(143);
    expect((await next.exit).status).toBe(0);
    expect(journal.entries().map(({ name, what }) => `${name} ${what}`)).toEqual([
      'first begin',
      'first end',
      'second begin',
      'second end',
    ]);
  });

  test('a child that ignores TERM, with a grandchild that does too: KILL reaches both', async () => {
    const holder = await startReplica(postgres, [
      '--grace',
      '700ms',
      '--',
      '/bin/sh',
      '-c',
      `trap '' TERM; ${sayGroup}; /bin/sh -c "trap '' TERM; while :; do sleep 0.1; done" & while :; do sleep 0.1; done`,
    ]);
    const group = await groupOf(holder);
    await waitUntil(() => liveGroup(group).length >= 3);
    const began = performance.now();
    holder.kill();
    expect((await holder.exit).status).toBe(143);
    expect(performance.now() - began).toBeGreaterThan(650);
    expect(liveGroup(group)).toEqual([]);
    expect(await holders(postgres)).toEqual([]);
  });

  test('what the child leaves at work is ended before the lock goes, and its success does not count', async () => {
    for (const away of ['', 'setsid ', 'nohup ', 'timeout 300 ']) {
      const holder = await startReplica(postgres, [
        '--grace',
        '1s',
        '--once',
        `left ${away}`,
        '--',
        '/bin/sh',
        '-c',
        `${sayGroup}; ${away}sleep 311 >/dev/null 2>&1 & exit 0`,
      ]);
      const group = await groupOf(holder);
      const result = await holder.exit;
      expect(result.status, result.stderr).toBe(1);
      expect(result.stderr).toMatch(
        // A name that it has before it has become `sleep` counts as well: the shell does not wait for it.
        /left processes at work, which were ended: \d+ \((sh|sleep|timeout|setsid|nohup)\)/,
      );
      expect(liveGroup(group)).toEqual([]);
      expect(sleepers('311')).toEqual([]);
    }
    const [row] = await postgres.sql("SELECT count(*)::int AS done FROM initbox.once WHERE state = 'done'");
    expect(row?.['done']).toBe(0);
  });

  test('what the child leaves and ends by itself within the grace is waited for: done', async () => {
    await postgres.sql('CREATE TABLE late (at timestamptz); GRANT ALL ON late TO app');
    const work = `( sleep 0.5; psql "$DATABASE_URL" -qc 'INSERT INTO late VALUES (now())' ) & exit 0`;
    const result = await (await startReplica(postgres, ['--once', 'late', '--', '/bin/sh', '-c', work])).exit;
    expect(result.status, result.stderr).toBe(0);
    expect(await postgres.sql('SELECT 1 FROM late')).toHaveLength(1);
  });

  test.each(['timeout 300 ', 'setsid ', 'setsid -f ', 'nohup setsid '])(
    'a child that leaves the group by %s is stopped with it, and no two run at once',
    async (by) => {
      using journal = createJournal();
      const pidFile = `${journal.path}.pid`;
      const [, , script = ''] = journal.child(
        'first',
        `trap "" TERM; echo $$ >'${pidFile}'; i=0; while [ $i -lt 80 ]; do sleep 0.1; i=$((i+1)); done`,
      );
      const away = `${by}/bin/sh -c '${script.replaceAll("'", `'\\''`)}'; sleep 20`;
      const first = await startReplica(postgres, [...quick, '--', '/bin/sh', '-c', away]);
      await waitUntil(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n'));
      // The second one looks itself: this process may hear of the first one's end only after the second has begun.
      const looks = `grep '^State:' /proc/$(cat '${pidFile}')/status 2>/dev/null || true`;
      const second = await startReplica(postgres, [...quick, '--', ...journal.child('second', looks)]);
      await second.waitForStderr(/held by/);
      expect(liveProcess(Number(readFileSync(pidFile, 'utf8')))).toBeDefined();
      first.kill('SIGTERM');
      expect((await first.exit).status).toBe(143);
      const { status, stdout } = await second.exit;
      expect(status).toBe(0);
      expect(stdout === '' || /^State:\t[ZX]/.test(stdout), stdout).toBe(true);
      expect(journal.entries().map(({ name, what }) => `${name} ${what}`)).toContain('second begin');
      // It has not come back from the dead.
      expect(journal.entries().filter(({ name, what }) => name === 'first' && what === 'end')).toEqual([]);
    },
  );

  test('a statement that goes on in the server after exit status 0 is ended before the lock goes', async () => {
    await postgres.sql('CREATE TABLE IF NOT EXISTS slow (at timestamptz); GRANT ALL ON slow TO app');
    const work = `timeout -s KILL 1 psql "$DATABASE_URL" -qc 'INSERT INTO slow SELECT now() FROM pg_sleep(30)' || true`;
    const result = await (await startReplica(postgres, ['--', '/bin/sh', '-c', work])).exit;
    expect(result.status, result.stderr).toBe(0);
    expect(
      await postgres.sql(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT INTO slow%' AND state = 'active'",
      ),
    ).toEqual([]);
  });

  test.each([
    ['kill -KILL $$', 137],
    ['kill -SEGV $$', 139],
    ['exit 3', 3],
    ['exit 0', 0],
  ])('%s gives %i', async (script, status) => {
    const replica = await startReplica(postgres, ['--', '/bin/sh', '-c', script]);
    expect((await replica.exit).status).toBe(status);
    expect(await holders(postgres)).toEqual([]);
  });

  test('--command-timeout stops it and gives 124', async () => {
    const replica = await startReplica(postgres, ['--command-timeout', '300ms', '--', 'sleep', '60']);
    const result = await replica.exit;
    expect(result.status).toBe(124);
    expect(result.stderr).toContain('(--command-timeout)');
  });

  test('the child keeps the connection’s descriptor, the token and the tags', async () => {
    const replica = await startReplica(postgres, [
      '--',
      '/bin/sh',
      '-c',
      'readlink /proc/$$/fd/3; echo $INITBOX_LOCK_TOKEN $PGAPPNAME $PGOPTIONS',
    ]);
    const { stdout } = await replica.exit;
    expect(stdout).toMatch(/^socket:\[\d+\]\n(\d+) initbox:[0-9a-f]{16}:\1:job\n$/);
  });
});

test('no connection is left behind by any of it', async () => {
  await expect.poll(() => connections(postgres)).toEqual([]);
});

describe('a row of the records that is not of the last holder says nothing about it', () => {
  /** A command that needs three seconds after SIGTERM: longer than the 1.5 s of `quick`, shorter than the 5 s of `long`. */
  const slow = `trap 'sleep 3; over=1' TERM; echo ready; until [ -n "$over" ]; do sleep 0.1; done`;
  const long = ['--heartbeat', '500ms', '--grace', '4s'] as const;
  const norec = (): string => postgres.url().replace('app:', 'norec:');

  const endLockSession = async (): Promise<void> => {
    await postgres.sql(`SELECT pg_terminate_backend(${(await holders(postgres))[0]})`);
  };

  beforeEach(async () => {
    await postgres.sql("DROP ROLE IF EXISTS norec; CREATE ROLE norec LOGIN PASSWORD 'app-password'");
    // It tells of a clean release.
    const earlier = await (await startReplica(postgres, [...quick, '--', 'true'])).exit;
    expect(earlier.status).toBe(0);
  });

  test('a holder without rights on the records, which a waiter has seen: the waiter waits the full time', async () => {
    using journal = createJournal();
    const first = await startReplica(postgres, [...long, '--', ...journal.child('first', slow)], {
      url: norec(),
    });
    await first.waitForStdout(/ready/);
    const second = await startReplica(postgres, [...long, '--', ...journal.child('second', 'true')]);
    await second.waitForStderr(/held by backend/);
    await endLockSession();
    const result = await second.exit;
    expect((await first.exit).status).toBe(75);
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/left no record; waiting 5s for its work to end/);
    journal.assertNoOverlap();
  });

  test('a stopped holder whose sessions are all ended: with its row unreleased, the next one waits in full', async () => {
    using journal = createJournal();
    const first = await startReplica(postgres, [...long, '--', ...journal.child('first', slow)]);
    await first.waitForStdout(/ready/);
    await freeze(first.pid);
    await postgres.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'initbox:%'",
    );
    await expect.poll(() => holders(postgres)).toEqual([]);
    const second = await startReplica(postgres, [...long, '--', 'true']);
    await second.waitForStderr(/did not release the lock; waiting 5s for its work to end/);
    thaw(first.pid);
    expect((await first.exit).status).toBe(75);
    expect((await second.exit).status).toBe(0);
  });

  test.each(['-5', '0', '199'])(
    'a row with a time that no holder writes, %s ms, tells of no time: the next one waits its own',
    async (settle) => {
      const first = await startReplica(postgres, [...long, '--', 'sh', '-c', `${sayGroup}; sleep 60`]);
      const child = await groupOf(first);
      await postgres.sql(`UPDATE initbox.locks SET settle_ms = ${settle}`);
      killGroup(first.pid);
      killGroup(child);
      await first.exit;
      const second = await startReplica(postgres, [...long, '--', 'true']);
      await second.waitForStderr(/did not release the lock; waiting 5s for its work to end/);
      expect((await second.exit).status).toBe(0);
    },
  );

  test('a row with a shorter time than its holder was seen to tell shortens no wait', async () => {
    const first = await startReplica(postgres, [...long, '--', 'sh', '-c', `${sayGroup}; sleep 60`]);
    const child = await groupOf(first);
    const second = await startReplica(postgres, [...quick, '--', 'true']);
    await second.waitForStderr(/held by pod since/);
    await postgres.sql('UPDATE initbox.locks SET settle_ms = 200');
    killGroup(first.pid);
    killGroup(child);
    await first.exit;
    await second.waitForStderr(/did not release the lock; waiting 5s for its work to end/);
    expect((await second.exit).status).toBe(0);
  });

  test('its own times count, where they are longer than those of who waits', async () => {
    using journal = createJournal();
    const first = await startReplica(postgres, [...long, '--', ...journal.child('first', slow)], {
      url: norec(),
    });
    await first.waitForStdout(/ready/);
    const second = await startReplica(postgres, [...quick, '--', ...journal.child('second', 'true')]);
    await second.waitForStderr(/held by backend/);
    await endLockSession();
    expect((await second.exit).stderr).toMatch(/left no record; waiting 5s/);
    journal.assertNoOverlap();
  });

  test.each([
    ['its role may not connect again', 'ALTER ROLE norec CONNECTION LIMIT 0'],
    ['nobody may connect to the database again', 'REVOKE CONNECT ON DATABASE app FROM PUBLIC'],
  ])('a holder without rights on the records loses its lock, and %s', async (_name, harm) => {
    using journal = createJournal();
    const first = await startReplica(postgres, [...long, '--', ...journal.child('first', slow)], {
      url: norec(),
    });
    await first.waitForStdout(/ready/);
    await using gate = await closedGate(postgres);
    const second = await startReplica(postgres, [...long, '--', ...journal.child('second', 'true')], {
      url: gate.url,
    });
    await gate.waiting;
    await postgres.sql('GRANT CONNECT ON DATABASE app TO app');
    try {
      await postgres.sql(harm);
      await endLockSession();
      gate.open();
      const result = await second.exit;
      expect(result.status).toBe(0);
      expect(result.stderr).toMatch(/left no record; waiting 5s/);
      expect((await first.exit).status).toBe(75);
      journal.assertNoOverlap();
    } finally {
      await postgres.sql('GRANT CONNECT ON DATABASE app TO PUBLIC');
    }
  });

  test('the second connection of a holder without rights on the records is replaced, and goes with the lock', async () => {
    const first = await startReplica(postgres, [...long, '--', 'sleep', '60'], { url: norec() });
    await first.waitForStderr(/holding the lock/);
    const witnesses = async (): Promise<number[]> =>
      (
        await postgres.sql(
          "SELECT pid FROM pg_stat_activity WHERE usename = 'norec' AND application_name LIKE 'initbox:%:lock%' AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')",
        )
      ).map(({ pid }) => Number(pid));
    let known: number[] = [];
    for (let ended = 0; ended < 3; ended++) {
      const before = known;
      await waitUntil(async () => {
        known = await witnesses();
        return known.length === 1 && known[0] !== before[0];
      });
      await postgres.sql(`SELECT pg_terminate_backend(${known[0]})`);
    }
    first.kill();
    expect((await first.exit).status).toBe(143);
    await waitUntil(async () => (await witnesses()).length === 0);
    // Nobody saw it, and its work is over.
    const second = await (await startReplica(postgres, [...long, '--', 'true'])).exit;
    expect(second.status).toBe(0);
    expect(second.stderr).not.toMatch(/left no record/);
  });

  test('one that starts after the lock was lost, and has seen no holder', async () => {
    using journal = createJournal();
    const first = await startReplica(postgres, [...long, '--', ...journal.child('first', slow)], {
      url: norec(),
    });
    await first.waitForStdout(/ready/);
    await using gate = await closedGate(postgres);
    const second = await startReplica(postgres, [...long, '--', ...journal.child('second', 'true')], {
      url: gate.url,
    });
    await gate.waiting;
    await endLockSession();
    await first.waitForStderr(/the lock was lost/);
    await waitUntil(async () => {
      const rows = await postgres.sql(
        "SELECT 1 FROM pg_stat_activity WHERE usename = 'norec' AND application_name LIKE 'initbox:%:lock%'",
      );
      return rows.length > 0;
    });
    gate.open();
    const result = await second.exit;
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/left no record; waiting 5s/);
    journal.assertNoOverlap();
  });

  test.each([
    ['the schema is dropped', 'DROP SCHEMA initbox CASCADE'],
    ['the rows are gone', 'TRUNCATE initbox.locks'],
    [
      'an older row is restored',
      "UPDATE initbox.locks SET token = token - 1, host = 'earlier', released = clock_timestamp(), started = started - interval '1 h'",
    ],
    [
      'a newer token of another cluster is restored',
      "UPDATE initbox.locks SET token = token + 1000000, host = 'other', released = clock_timestamp(), started = started - interval '1 h'",
    ],
    [
      'the row is of another lock',
      'UPDATE initbox.locks SET lock_id = lock_id + 1, released = clock_timestamp()',
    ],
    [
      'there are two rows',
      "ALTER TABLE initbox.locks DROP CONSTRAINT locks_pkey; INSERT INTO initbox.locks SELECT lock_id, lock_name, token - 1, 'earlier', role, address, started, settle_ms, now() FROM initbox.locks",
    ],
  ])('while the lock is held %s', async (_name, harm) => {
    using journal = createJournal();
    const first = await startReplica(postgres, [...long, '--', ...journal.child('first', slow)]);
    await first.waitForStdout(/ready/);
    const second = await startReplica(postgres, [...long, '--', ...journal.child('second', 'true')]);
    await second.waitForStderr(/held by pod since/);
    await postgres.sql(harm);
    await endLockSession();
    await second.exit;
    expect((await first.exit).status).toBe(75);
    expect(journal.entries().map(({ name, what }) => `${name} ${what}`)).toContain('first begin');
    journal.assertNoOverlap();
    await postgres.sql('DROP SCHEMA initbox CASCADE');
  });

  test('a released row of the holder that was seen is believed: nobody waits', async () => {
    const first = await startReplica(postgres, ['--', 'sleep', '1']);
    await first.waitForStderr(/holding the lock/);
    const replicas = await Promise.all([1, 2, 3].map(() => startReplica(postgres, ['--', 'true'])));
    for (const replica of replicas) {
      const result = await replica.exit;
      expect(result.status).toBe(0);
      expect(result.stderr).not.toMatch(/for its work to end/);
    }
  });
});
