// Partitions, failovers and poolers: the lock where the network does not tell the truth.
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';

import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { groupGone, killGroup, liveGroup, waitUntil } from '../../../support/faults.ts';
import { canUseNetns, createNetnsPair, type NetnsPair } from '../../../support/netns.ts';
import { canUsePgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { startPostgres, startStandby, type Postgres } from '../../../support/postgres.ts';
import { within } from '../../../support/promptly.ts';
import { canInstallPython, pythonPackage } from '../../../support/python-packages.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { createJournal, holders, quick, startReplica } from './contenders.ts';

const sayGroup = 'echo group $$';

async function groupOf(replica: {
  waitForStdout(pattern: RegExp): Promise<RegExpExecArray>;
}): Promise<number> {
  return Number((await replica.waitForStdout(/group (\d+)/))[1]);
}

describe.skipIf(requireOrSkip('partitions', canUseNetns()))('a partition between holder and server', () => {
  let pair: NetnsPair;
  let postgres: Postgres;

  beforeAll(async () => {
    pair = createNetnsPair();
    postgres = await startPostgres({ listen: [pair.b.address], prefix: pair.b.prefix });
  });
  afterAll(async () => {
    await postgres.remove();
    pair.remove();
  });

  /** When the server let the lock go, in seconds of the wall clock. */
  async function freedAt(timeout: number): Promise<number> {
    await waitUntil(async () => (await holders(postgres)).length === 0, {
      timeout,
      interval: 50,
      what: 'the lock to be freed',
    });
    return Date.now() / 1000;
  }

  // Settled after 3 s, freed by the server after about 4.5 s.
  const timing = ['--heartbeat', '1s', '--grace', '1s'];

  test('the child is dead before the server frees the lock', async () => {
    const holder = await startReplica(
      postgres,
      [...timing, '--', '/bin/sh', '-c', `trap '' TERM; ${sayGroup}; while :; do sleep 0.1; done`],
      {
        prefix: pair.a.prefix,
      },
    );
    const group = await groupOf(holder);
    pair.partition();
    const cut = Date.now() / 1000;
    await groupGone(group, 20_000);
    const dead = Date.now() / 1000;
    expect(await holders(postgres)).toHaveLength(1);
    const freed = await freedAt(30_000);
    pair.heal();
    expect((await holder.exit).status).toBe(75);
    expect(dead).toBeLessThan(freed);
    expect(dead - cut).toBeLessThan(3.5);
    expect(freed - cut).toBeLessThan(10);
  });

  test('with data that the server sent and nobody acknowledged, tcp_user_timeout frees it', async () => {
    const holder = await startReplica(postgres, [...timing, '--', '/bin/sh', '-c', `${sayGroup}; sleep 60`], {
      prefix: pair.a.prefix,
    });
    const group = await groupOf(holder);
    // One way at first: the check reaches the server, and its answer stays unacknowledged, which silences keepalive.
    pair.a.run('iptables', '-A', 'INPUT', '-s', pair.b.address, '-j', 'DROP');
    const unacknowledged = (): boolean =>
      /\b10\.111\.2\.2:\d+\s+10\.111\.1\.2:/.test(
        pair.b
          .run('ss', '-tn')
          .split('\n')
          .filter((line) => Number(line.trim().split(/\s+/)[2]) > 0)
          .join('\n'),
      );
    await waitUntil(unacknowledged, { what: () => pair.b.run('ss', '-tn') });
    pair.partition();
    const cut = Date.now() / 1000;
    await groupGone(group, 20_000);
    const dead = Date.now() / 1000;
    const freed = await freedAt(30_000);
    pair.heal();
    pair.a.run('iptables', '-F', 'INPUT');
    expect((await holder.exit).status).toBe(75);
    expect(dead).toBeLessThan(freed);
    expect(freed - cut).toBeLessThan(10);
  });

  test('a waiter behind a partition connects again when it heals', async () => {
    const holder = await startReplica(postgres, [...timing, '--', 'sleep', '8'], { prefix: pair.b.prefix });
    await holder.waitForStderr(/holding the lock/);
    const waiter = await startReplica(postgres, [...timing, '--', 'true'], { prefix: pair.a.prefix });
    await waiter.waitForStderr(/held by/);
    pair.partition();
    expect((await holder.exit).status).toBe(0);
    pair.heal();
    expect((await waiter.exit).status).toBe(0);
  });
});

/** A port whose new connections go wherever `to` says at the time: a Service whose endpoint moves. */
async function startSwitch(to: () => number): Promise<{ port: number; server: Server; cut(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(to(), '127.0.0.1');
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    server,
    port: (server.address() as AddressInfo).port,
    cut() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test(
  'a standby is promoted while the lock is held: the old holder loses within two intervals',
  { timeout: 90_000 },
  async () => {
    await using primary = await startPostgres();
    await using standby = await startStandby(primary);
    let target = primary.port;
    const service = await startSwitch(() => target);
    const url = primary.url().replace(`:${primary.port}/`, `:${service.port}/`);
    const timing = ['--heartbeat', '1s', '--grace', '1s'];
    const holder = await startReplica(primary, [...timing, '--', '/bin/sh', '-c', `${sayGroup}; sleep 60`], {
      url,
    });
    const group = await groupOf(holder);
    await standby.promote();
    target = standby.port;
    await within(5_000, groupGone(group, 60_000));
    const result = await holder.exit;
    expect(result.status).toBe(75);
    expect(result.stderr).toContain('was promoted since');
    // The old primary lives on, and would have said "still yours" forever.
    expect(primary.running()).toBe(true);
    service.cut();
  },
);

/** One statement of somebody else's, on a connection of its own. */
async function askThrough(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

describe.skipIf(requireOrSkip('PgBouncer', canUsePgBouncer()))('poolers', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.remove());

  test.each(['transaction', 'session', 'statement'] as const)(
    '%s mode is refused with a hint',
    async (poolMode) => {
      await using pooler = await startPgBouncer({ upstream: postgres, poolMode });
      const replica = await startReplica(postgres, ['--', 'true'], { url: pooler.url() });
      const result = await replica.exit;
      expect(result.status).toBe(69);
      expect(result.stderr).toContain('a connection pooler is in front of the database');
      expect(result.stderr).toContain('--direct-database-url-file');
      // Nothing was set in the pool's sessions: a later client finds them as they were.
      const settings = await postgres.sql(
        "SELECT application_name FROM pg_stat_activity WHERE usename = 'app' AND application_name LIKE 'initbox:%'",
      );
      expect(settings.length).toBeLessThanOrEqual(1);
    },
  );

  test('the lock goes by the direct URL, the child by the pooler, without options at login', async () => {
    await using pooler = await startPgBouncer({ upstream: postgres, poolMode: 'transaction' });
    const replica = await startReplica(
      postgres,
      ['--', '/bin/sh', '-c', 'psql -Atc "SELECT 7" "$DATABASE_URL"; echo "[$PGOPTIONS]"'],
      { url: pooler.url(), env: { DIRECT_DATABASE_URL: postgres.url() } },
    );
    const result = await replica.exit;
    expect(result.status).toBe(0);
    expect(result.stdout).toBe('7\n[]\n');
  });

  test('what the command gets breaks none of its other connections: a pooler’s, an older server’s', async () => {
    await using pooler = await startPgBouncer({ upstream: postgres, poolMode: 'transaction' });
    await using older = await startPostgres();
    const script = [
      'psql -Atc "SELECT 7" "$DATABASE_URL"',
      'psql -Atc "SELECT 8" "$POOL_URL"',
      'psql -Atc "SELECT 9" "$OTHER_URL"',
      // By libpq's variables alone, too.
      'env PGHOST="$POOL_HOST" PGPORT="$POOL_PORT" PGUSER=app PGPASSWORD=app-password psql -Atc "SELECT 10" app',
      'env | grep -E "^(PG|INITBOX_|DATABASE_URL)" | cut -d= -f1 | sort | tr "\\n" " "; echo "[$PGOPTIONS]"',
    ].join('; ');
    const pool = new URL(pooler.url());
    const env = {
      POOL_URL: pooler.url(),
      POOL_HOST: pool.hostname,
      POOL_PORT: pool.port,
      OTHER_URL: older.url(),
    };
    const result = await (await startReplica(postgres, ['--', '/bin/sh', '-c', script], { env })).exit;
    expect(result.stdout, result.stderr).toBe(
      '7\n8\n9\n10\nDATABASE_URL INITBOX_LOCK_RUN INITBOX_LOCK_TOKEN PGAPPNAME []\n',
    );
  });

  test('the user’s own PGOPTIONS stay as they are, and a PGAPPNAME that is replaced is told of', async () => {
    const env = { PGOPTIONS: '-c work_mem=5MB', PGAPPNAME: 'billing' };
    const args = ['--', '/bin/sh', '-c', 'psql -Atc "SHOW work_mem" "$DATABASE_URL"; echo "[$PGOPTIONS]"'];
    const result = await (await startReplica(postgres, args, { env })).exit;
    expect(result.stdout, result.stderr).toBe('5MB\n[-c work_mem=5MB]\n');
    expect(result.stderr).toMatch(
      /PGAPPNAME is initbox:\S+, by which its connections are found, not billing/,
    );
  });

  test('a server session that the command used through a pooler, and another client uses now, is not ended', async () => {
    await using pooler = await startPgBouncer({
      upstream: postgres,
      poolMode: 'transaction',
      settings: { default_pool_size: 1 },
    });
    // As the server sees it, the pooler comes from another address than the holder.
    const direct = `postgres://app@/app?host=${postgres.socketDirectory}&port=${postgres.port}`;
    const replica = await startReplica(
      postgres,
      ['--', '/bin/sh', '-c', 'psql -Atc "SELECT 7" "$DATABASE_URL"; sleep 60'],
      { url: pooler.url(), env: { DIRECT_DATABASE_URL: direct } },
    );
    await replica.waitForStdout(/7/);
    const app = new Client({ connectionString: pooler.url() });
    app.on('error', () => undefined);
    await app.connect();
    const answer = app.query('SELECT pg_sleep(4)::text, 1 AS one');
    await waitUntil(
      async () =>
        (await postgres.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(4)%'")).length >
        0,
    );
    replica.kill('SIGTERM');
    const result = await replica.exit;
    expect(result.status).toBe(143);
    expect(result.stderr).toMatch(
      /waiting for statements that the command may have left in a pooler’s sessions/,
    );
    expect((await answer).rows).toEqual([{ pg_sleep: '', one: 1 }]);
    await app.end();
  });

  test('session mode by the user’s leave: it works, and a silent holder’s lease runs out', async () => {
    await using pooler = await startPgBouncer({ upstream: postgres, poolMode: 'session' });
    using journal = createJournal();
    const args = ['--allow-session-pooling', ...quick];
    const holder = await startReplica(
      postgres,
      [...args, '--', ...journal.child('first', `${sayGroup}; sleep 30`)],
      {
        url: pooler.url(),
      },
    );
    const group = await groupOf(holder);
    expect(await holders(postgres)).toHaveLength(1);
    const next = await startReplica(postgres, [...args, '--', ...journal.child('second', 'true')], {
      url: pooler.url(),
    });
    await next.waitForStderr(/held by pod/);
    // Its node stops dead: no goodbye, and the pooler goes on for it.
    process.kill(holder.pid, 'SIGSTOP');
    killGroup(group, 'SIGSTOP');
    const result = await next.exit;
    expect(result.status).toBe(0);
    process.kill(holder.pid, 'SIGCONT');
    killGroup(group, 'SIGCONT');
    expect((await holder.exit).status).toBe(75);
    expect(liveGroup(group)).toEqual([]);
  });

  test('leave for session mode, but the pooler shares its sessions: nothing that is set stays for others', async () => {
    await using pooler = await startPgBouncer({
      upstream: postgres,
      poolMode: 'transaction',
      settings: { default_pool_size: 1 },
    });
    const show =
      "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> 'application_name' ORDER BY name";
    const settings = () => askThrough(pooler.url(), show);
    const before = await settings();
    const args = ['--allow-session-pooling', ...quick];
    const held = await (await startReplica(postgres, [...args, '--', 'true'], { url: pooler.url() })).exit;
    expect(held.status, held.stderr).toBe(0);
    expect(await settings()).toEqual(before);
    // The next one finds the mark, and goes: it sets nothing either.
    const next = await startReplica(postgres, [...args, '--', 'true'], { url: pooler.url() });
    expect((await next.exit).status).toBe(69);
    expect(await settings()).toEqual(before);
  });

  test('leave for session mode, the pooler shares its sessions, and the holder is killed: other statements run on', async () => {
    await using pooler = await startPgBouncer({
      upstream: postgres,
      poolMode: 'transaction',
      settings: { default_pool_size: 1 },
    });
    const args = ['--allow-session-pooling', ...quick];
    const holder = await startReplica(postgres, [...args, '--', 'sleep', '60'], { url: pooler.url() });
    await holder.waitForStderr(/holding the lock/);
    holder.kill('SIGKILL');
    expect(await askThrough(pooler.url(), 'SHOW search_path')).toEqual([{ search_path: '"$user", public' }]);
    expect(await askThrough(pooler.url(), 'SHOW statement_timeout')).toEqual([{ statement_timeout: '0' }]);
  });

  test('leave for session mode, but the pooler shares its sessions: refused', async () => {
    await using pooler = await startPgBouncer({ upstream: postgres, poolMode: 'transaction' });
    const args = ['--allow-session-pooling', ...quick];
    const holder = await startReplica(postgres, [...args, '--', 'sleep', '60'], { url: pooler.url() });
    await holder.waitForStderr(/holding the lock/);
    const next = await startReplica(postgres, [...args, '--', 'true'], { url: pooler.url() });
    const result = await next.exit;
    expect(result.status).toBe(69);
    expect(result.stderr).toContain('gives one server session to several clients');
    holder.kill();
    expect([75, 143]).toContain((await holder.exit).status);
  });
});

describe.skipIf(requireOrSkip('asyncpg', canInstallPython()))('a driver that carries no tag', () => {
  test(
    'asyncpg, killed in a long statement: the next holder waits for its backend',
    { timeout: 120_000 },
    async () => {
      const { python, folder } = await pythonPackage('asyncpg==0.30.0');
      await using postgres = await startPostgres();
      await postgres.sql('CREATE TABLE done (at timestamptz); GRANT ALL ON done TO app');
      using journal = createJournal();
      const script = [
        'import asyncio, asyncpg, os',
        'async def main():',
        '    c = await asyncpg.connect(os.environ["DATABASE_URL"])',
        '    print("statement", flush=True)',
        '    await c.execute("INSERT INTO done SELECT clock_timestamp() FROM pg_sleep(6)")',
        'asyncio.run(main())',
      ].join('\n');
      const env = { PYTHONPATH: folder };
      const holder = await startReplica(
        postgres,
        [...quick, '--', '/bin/sh', '-c', `${sayGroup}; exec "$@"`, 'sh', python, '-c', script],
        { env },
      );
      const group = await groupOf(holder);
      await holder.waitForStdout(/statement/);
      await waitUntil(
        async () =>
          (
            await postgres.sql(
              "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT%'",
            )
          ).length === 1,
      );
      holder.kill('SIGKILL');
      killGroup(group);
      const next = await startReplica(postgres, [
        ...quick,
        '--',
        ...journal.child('second', 'psql -Atc "SELECT count(*) FROM done" "$DATABASE_URL"'),
      ]);
      const result = await next.exit;
      expect(result.status).toBe(0);
      expect(result.stderr).toContain('waiting for statements that an earlier holder may have left');
      // The statement landed before the successor ran, not after.
      expect(result.stdout.trim()).toBe('1');
      const [row] = await postgres.sql('SELECT extract(epoch FROM at)::float8 AS at FROM done');
      expect(journal.entries()[0]?.at).toBeGreaterThan(Number(row?.['at']));
    },
  );
});
