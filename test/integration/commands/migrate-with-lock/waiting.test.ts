// Many contenders at once, and what a waiter must not do to others.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { killGroup } from '../../../support/faults.ts';
import { freePort } from '../../../support/ports.ts';
import { preparePostgres, startPostgres, startStandby, type Postgres } from '../../../support/postgres.ts';
import { runToDeadline } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { startHostile } from '../../clients/postgres/server.ts';
import { connections, createJournal, holders, quick, startRelay, startReplica } from './contenders.ts';

let postgres: Postgres;

beforeAll(async () => {
  postgres = await startPostgres({ settings: { max_connections: 100 } });
});
afterAll(() => postgres.remove());
beforeEach(async () => {
  await postgres.sql('DROP SCHEMA IF EXISTS initbox CASCADE');
});

describe('100 contenders at max_connections = 100', () => {
  /** Reads a number from a file, waits, and writes it back with one more: overlapping runs lose counts. */
  async function contend(
    extra: readonly string[],
  ): Promise<{ counter: number; queried: number; statuses: (number | null)[] }> {
    const folder = temporaryDirectory('counter');
    const counter = join(folder.path, 'counter');
    const queried = join(folder.path, 'queried');
    writeFileSync(counter, '0');
    writeFileSync(queried, '');
    const script = `n=$(cat ${counter}); psql -Atc 'SELECT 1' "$DATABASE_URL" >>${queried} || exit 9; echo $((n + 1)) >${counter}`;
    const replicas = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        startReplica(postgres, [...extra, '--', '/bin/sh', '-c', script], {
          env: { HOSTNAME: `pod-${index}` },
          timeout: 170_000,
        }),
      ),
    );
    const results = await Promise.all(replicas.map(({ exit }) => exit));
    const outcome = {
      counter: Number(readFileSync(counter, 'utf8')),
      queried: readFileSync(queried, 'utf8').split('\n').filter(Boolean).length,
      statuses: [...new Set(results.map(({ status }) => status))],
    };
    folder.remove();
    return outcome;
  }

  test(
    'without --once exactly 100 runs in turn, each with a connection to be had',
    { timeout: 180_000 },
    async () => {
      expect(await contend([])).toEqual({ counter: 100, queried: 100, statuses: [0] });
    },
  );

  test('with --once exactly one', { timeout: 180_000 }, async () => {
    expect(await contend(['--once', 'sha256:1'])).toEqual({ counter: 1, queried: 1, statuses: [0] });
  });
});

test('CREATE INDEX CONCURRENTLY in the child finishes with 20 waiters', async () => {
  await postgres.sql(
    'DROP TABLE IF EXISTS big; CREATE TABLE big AS SELECT g FROM generate_series(1, 20000) g',
  );
  await postgres.sql('ALTER TABLE big OWNER TO app');
  const folder = temporaryDirectory('go');
  const go = join(folder.path, 'go');
  const first = await startReplica(postgres, [
    '--command-timeout',
    '30s',
    '--',
    '/bin/sh',
    '-c',
    `while [ ! -e ${go} ]; do sleep 0.05; done; psql -c 'DROP INDEX IF EXISTS big_g' -c 'CREATE INDEX CONCURRENTLY big_g ON big (g)' "$DATABASE_URL"`,
  ]);
  await first.waitForStderr(/holding the lock/);
  const waiters = await Promise.all(
    Array.from({ length: 20 }, () => startReplica(postgres, ['--', 'true'], { timeout: 60_000 })),
  );
  await Promise.all(waiters.map((waiter) => waiter.waitForStderr(/held by/, 30_000)));
  writeFileSync(go, '');
  const result = await first.exit;
  expect(result.status).toBe(0);
  const [index] = await postgres.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'big_g'::regclass");
  expect(index).toEqual({ indisvalid: true });
  const statuses = await Promise.all(waiters.map(async ({ exit }) => (await exit).status));
  expect(new Set(statuses)).toEqual(new Set([0]));
  folder.remove();
});

test('SIGTERM while waiting: 143 at once, and no connection is left', async () => {
  const holder = await startReplica(postgres, ['--', 'sleep', '60']);
  await holder.waitForStderr(/holding the lock/);
  const waiter = await startReplica(postgres, ['--', 'true']);
  await waiter.waitForStderr(/held by/);
  const before = (await connections(postgres)).length;
  waiter.kill();
  expect((await within(promptly, waiter.exit)).status).toBe(143);
  await waitUntil(async () => (await connections(postgres)).length < before);
  holder.kill();
  await holder.exit;
});

test('idle_session_timeout on the role does not throw a quiet holder out', async () => {
  await postgres.sql("ALTER ROLE app SET idle_session_timeout = '1s'");
  try {
    const replica = await startReplica(postgres, ['--', 'sleep', '4']);
    expect((await replica.exit).status).toBe(0);
  } finally {
    await postgres.sql('ALTER ROLE app RESET idle_session_timeout');
  }
});

test('a role whose server writes dates in another way', async () => {
  await postgres.sql("ALTER ROLE app SET DateStyle = 'German'; ALTER ROLE app SET TimeZone = 'Asia/Kolkata'");
  const folder = temporaryDirectory('flag');
  const flag = join(folder.path, 'flag');
  const args = [
    ...quick,
    '--once',
    'v9',
    '--',
    '/bin/sh',
    '-c',
    `echo group $$; [ -e ${flag} ] || exec sleep 60`,
  ];
  try {
    const holder = await startReplica(postgres, args);
    const group = Number((await holder.waitForStdout(/group (\d+)/))[1]);
    const waiter = await startReplica(postgres, args);
    await waiter.waitForStderr(/held by pod since 20\d\d-\d\d-\d\dT[\d:.]+Z/);
    const { stdout } = await (await startReplica(postgres, ['--status'])).exit;
    const { holder: seen, once } = JSON.parse(stdout) as {
      holder: { since: string };
      once: { started: string; finished: null }[];
    };
    expect(Math.abs(Date.now() - Date.parse(seen.since))).toBeLessThan(60_000);
    expect(Math.abs(Date.now() - Date.parse(once[0]?.started ?? ''))).toBeLessThan(60_000);
    writeFileSync(flag, '');
    holder.kill('SIGKILL');
    killGroup(group);
    const heir = await waiter.exit;
    expect(heir.stderr).toContain('waiting 1.5s for its work to end');
    expect(heir.status).toBe(0);
    const again = await (await startReplica(postgres, args)).exit;
    expect(again.stderr).toMatch(/"v9" was done by pod at 20\d\d-/);
  } finally {
    await postgres.sql('ALTER ROLE app RESET DateStyle; ALTER ROLE app RESET TimeZone');
    folder.remove();
  }
});

test('a command that drops or replaces the records is done all the same, once', async () => {
  const drop = ['--', 'psql', '-qc', 'DROP SCHEMA initbox CASCADE', postgres.url()];
  const plain = await (await startReplica(postgres, drop)).exit;
  expect(plain.status).toBe(0);
  expect(plain.stderr).toContain('the lock’s record could not be written');
  const once = await (await startReplica(postgres, ['--once', 'k', ...drop])).exit;
  expect(once.status, once.stderr).toBe(0);
  const again = await (await startReplica(postgres, ['--once', 'k', ...drop])).exit;
  expect(again.stderr).toContain('nothing to do: "k" was done');
  // As a restored dump of long ago: with records of its own.
  const restore = [
    '--',
    'psql',
    '-qc',
    "UPDATE initbox.once SET token = 1, state = 'failed'",
    postgres.url(),
  ];
  const restored = await (await startReplica(postgres, ['--once', 'r', ...restore])).exit;
  expect(restored.status, restored.stderr).toBe(0);
  const after = await (await startReplica(postgres, ['--once', 'r', ...restore])).exit;
  expect(after.stderr).toContain('nothing to do: "r" was done');
  expect(await holders(postgres)).toEqual([]);
});

test('all connections taken: it waits, says so, and runs when one is free', async () => {
  const clients = [];
  await postgres.sql('ALTER ROLE app CONNECTION LIMIT 0');
  try {
    const replica = await startReplica(postgres, ['--', 'true']);
    await replica.waitForStderr(/too many connections for role "app" \(53300/);
    await postgres.sql('ALTER ROLE app CONNECTION LIMIT -1');
    expect((await replica.exit).status).toBe(0);
    const superusers = 97;
    for (let index = 0; index < superusers; index += 1) clients.push(await postgres.connect());
    const starved = await startReplica(postgres, ['--', 'true']);
    await starved.waitForStderr(/\(53300/);
    for (const client of clients.splice(0)) await client.end();
    expect((await starved.exit).status).toBe(0);
  } finally {
    await postgres.sql('ALTER ROLE app CONNECTION LIMIT -1');
    for (const client of clients) await client.end();
  }
});

test('the server is not up yet: it waits', async () => {
  await using later = await preparePostgres({ port: await freePort() });
  const replica = await startReplica(later, ['--', 'true']);
  await replica.waitForStderr(/connection refused/);
  await later.start();
  expect((await replica.exit).status).toBe(0);
});

test('a standby grants nothing: it waits until the promotion', { timeout: 90_000 }, async () => {
  await using standby = await startStandby(postgres);
  const replica = await startReplica(standby, ['--', 'true']);
  await replica.waitForStderr(/a standby, which grants locks of its own/);
  await standby.promote();
  expect((await replica.exit).status).toBe(0);
});

test(
  'a standby does not say who holds the lock, forgets nothing, and warns of both in a dry run',
  { timeout: 90_000 },
  async () => {
    await using standby = await startStandby(postgres);
    const folder = temporaryDirectory('migrations');
    writeFileSync(join(folder.path, '1_a.sql'), 'SELECT 1');
    const run = async (args: readonly string[]) => (await startReplica(standby, args)).exit;
    expect(await run(['--status'])).toMatchObject({
      status: 69,
      stdout: '',
      stderr: expect.stringMatching(
        /a standby does not know the locks of its primary \(.*\).*hint: name the primary/s,
      ) as unknown,
    });
    expect(await run(['--forget', 'k'])).toMatchObject({
      status: 69,
      stderr: expect.stringContaining('the server takes no writes (') as unknown,
    });
    const rehearsed = await run(['--sql', folder.path, '--dry-run']);
    expect(rehearsed.stderr).toContain('a standby does not know the locks of its primary');
    expect(rehearsed.status, rehearsed.stderr).toBe(0);
    folder.remove();
  },
);

test('a primary that takes no writes forgets nothing either', async () => {
  await postgres.sql('ALTER ROLE app SET default_transaction_read_only = on');
  try {
    const result = await (await startReplica(postgres, ['--forget', 'k'])).exit;
    expect(result).toMatchObject({ status: 69 });
    expect(result.stderr).toContain('the server takes no writes (');
    expect((await (await startReplica(postgres, ['--status'])).exit).status).toBe(0);
  } finally {
    await postgres.sql('ALTER ROLE app RESET default_transaction_read_only');
  }
});

test.each([
  ['a command', ['--timeout', '1500ms', '--', 'true'], ''],
  ['a command, sslmode=disable', ['--timeout', '1500ms', '--', 'true'], '?sslmode=disable'],
  ['--status', ['--timeout', '1500ms', '--status'], ''],
  ['a login that is given up', ['--timeout', '2500ms', '--', 'true'], '?connect_timeout=1'],
])(
  '%s: a server that accepts and says nothing is named, and told from dropped packets',
  async (_what, args, query) => {
    await using silent = await startHostile(() => () => Buffer.alloc(0));
    const { status, stderr } = await runToDeadline(['migrate-with-lock', ...args], {
      env: { DATABASE_URL: `${silent.url}${query}` },
      answered: (said) => said.includes('hint: it accepts'),
    });
    expect(status).toBe(124);
    expect(stderr).toMatch(
      new RegExp(
        `gave up after .*((connected|logging in) to 127\\.0\\.0\\.1:${silent.port}: no answer yet|no answer \\(127\\.0\\.0\\.1:${silent.port}\\))`,
      ),
    );
    expect(stderr).toContain('hint: it accepts connections and then falls silent');
    expect(stderr).not.toContain('packets are dropped');
  },
);

test(
  'of several servers the standby is passed over, whatever the URL says of it',
  { timeout: 90_000 },
  async () => {
    await using standby = await startStandby(postgres);
    const both = postgres
      .url()
      .replace(`127.0.0.1:${postgres.port}`, `127.0.0.1:${standby.port},127.0.0.1:${postgres.port}`);
    for (const attributes of [
      '',
      '?target_session_attrs=prefer-standby',
      '?target_session_attrs=read-write',
    ]) {
      const url = `${both}${attributes}`;
      const holder = await startReplica(postgres, ['--once', `k${attributes}`, '--', 'sleep', '1'], { url });
      await holder.waitForStderr(/holding the lock/);
      const status = await (await startReplica(postgres, ['--status'], { url })).exit;
      expect(JSON.parse(status.stdout)).toMatchObject({ holder: { role: 'app', host: 'pod' } });
      expect((await holder.exit).status).toBe(0);
      const forgotten = await (await startReplica(postgres, ['--forget', `k${attributes}`], { url })).exit;
      expect(forgotten.stderr).toContain('(it was done)');
    }
  },
);

test('a server that says yes and keeps no lock is found out', async () => {
  // The program asks for the server's own function by its full name.
  await postgres.sql(
    `ALTER FUNCTION pg_catalog.pg_try_advisory_lock(bigint) RENAME TO real_lock;
     CREATE FUNCTION pg_catalog.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'`,
  );
  try {
    const result = await (await startReplica(postgres, ['--', 'echo', 'ran'])).exit;
    expect(result.status).toBe(69);
    expect(result.stderr).toContain('the server granted the lock but does not hold it');
    expect(result.stdout).toBe('');
  } finally {
    await postgres.sql(
      `DROP FUNCTION pg_catalog.pg_try_advisory_lock(bigint);
       ALTER FUNCTION pg_catalog.real_lock(bigint) RENAME TO pg_try_advisory_lock`,
    );
  }
});

test('a command that waits for its own parent’s lock is told of', async () => {
  const replica = await startReplica(postgres, [
    '--lock-id',
    '4711',
    ...quick,
    '--command-timeout',
    '4s',
    '--',
    '/bin/sh',
    '-c',
    'exec psql -c "SELECT pg_advisory_lock(4711)" "$DATABASE_URL"',
  ]);
  await replica.waitForStderr(
    /the backend \d+ \(initbox:[0-9a-f]{16}:\d+:job\) waits for this same lock, 4711: .* give it another --lock-id/,
  );
  const result = await replica.exit;
  expect(result.status).toBe(124);
  expect(result.stderr.match(/waits for this same lock/g)).toHaveLength(1);
  expect(await holders(postgres)).toEqual([]);
});

test('a --lock-timeout shorter than the wait for a dead holder’s work still lets the next one through', async () => {
  const holder = await startReplica(postgres, [...quick, '--', 'sleep', '1']);
  await holder.waitForStderr(/holding the lock/);
  holder.kill('SIGKILL');
  await waitUntil(async () => (await holders(postgres)).length === 0);
  const next = await (await startReplica(postgres, ['--lock-timeout', '1s', '--', 'echo', 'ran'])).exit;
  expect(next.stderr).toContain('waiting 1.5s for its work to end');
  expect(next.status).toBe(0);
  expect(next.stdout).toBe('ran\n');
});

test('a token grows past the last one, even where the server’s own numbers have gone back', async () => {
  await (
    await startReplica(postgres, ['--', 'true'])
  ).exit;
  // As after a restore by pg_dump into a new cluster.
  await postgres.sql('UPDATE initbox.locks SET token = 4503599627370496');
  const tokens = [];
  for (let turn = 0; turn < 2; turn += 1) {
    const { stdout } = await (
      await startReplica(postgres, ['--', '/bin/sh', '-c', 'echo $INITBOX_LOCK_TOKEN'])
    ).exit;
    tokens.push(stdout);
  }
  expect(tokens).toEqual(['4503599627370497\n', '4503599627370498\n']);
});

test('a lock that another program holds under the same number is waited for and named', async () => {
  const client = await postgres.connect();
  await client.query("SET application_name = 'psql'; SELECT pg_advisory_lock(42)");
  const replica = await startReplica(postgres, ['--lock-id', '42', '--', 'true']);
  await replica.waitForStderr(/held by another program \(backend \d+, role postgres, application "psql"\)/);
  await client.end();
  expect((await replica.exit).status).toBe(0);
});

test('two locks of one database do not meet, and both make the tables at once', async () => {
  const replicas = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      startReplica(postgres, ['--lock-name', `part-${index}`, '--once', 'k', '--', 'sleep', '0.2']),
    ),
  );
  const results = await Promise.all(replicas.map(({ exit }) => exit));
  expect(results.map(({ status }) => status)).toEqual(results.map(() => 0));
});

/** The records of a key; the hash is that of the command, and of the seal while it runs. */
function onceRows(key: string): Promise<Record<string, unknown>[]> {
  return postgres
    .sql("SELECT to_regclass('initbox.once') IS NOT NULL AS made", [], 'app')
    .then(async ([table]) =>
      table?.['made'] === true
        ? postgres.sql(
            'SELECT state, command_hash AS hash FROM initbox.once WHERE once_key = $1',
            [key],
            'app',
          )
        : [],
    );
}

describe('--once', () => {
  test('what failed runs again, what is done does not, and tokens grow', async () => {
    using journal = createJournal();
    const run = async (extra: readonly string[]) =>
      (await startReplica(postgres, ['--once', 'v1', '--', ...extra])).exit;
    const command = journal.child('a', '[ -e "$FLAG" ]');
    const flag = `${journal.path}.flag`;
    const env = { FLAG: flag };
    const first = await (await startReplica(postgres, ['--once', 'v1', '--', ...command], { env })).exit;
    expect(first.status).toBe(1);
    writeFileSync(flag, '');
    const second = await (await startReplica(postgres, ['--once', 'v1', '--', ...command], { env })).exit;
    expect(second.status).toBe(0);
    const third = await (await startReplica(postgres, ['--once', 'v1', '--', ...command], { env })).exit;
    expect(third.status).toBe(0);
    expect(third.stderr).toMatch(/nothing to do: "v1" was done by pod at/);
    expect(journal.entries().filter(({ what }) => what === 'begin')).toHaveLength(2);
    const tokens = [first, second].map(({ stderr }) => BigInt(/token (\d+)/.exec(stderr)?.[1] ?? 0));
    expect(tokens[1]).toBeGreaterThan(tokens[0] ?? 0n);
    const other = await run(['true']);
    expect(other.status).toBe(2);
    expect(other.stderr).toContain('the key "v1" stands for another command');
  });

  test('a key whose command failed, or was killed, takes the corrected one', async () => {
    const run = async (key: string, script: string) =>
      (await startReplica(postgres, [...quick, '--once', key, '--', '/bin/sh', '-c', script])).exit;
    expect((await run('mend1', 'exit 3')).status).toBe(3);
    const corrected = await run('mend1', 'true');
    expect(corrected.status, corrected.stderr).toBe(0);
    // Done, it stands for that command alone.
    expect((await run('mend1', 'exit 3')).status).toBe(2);
    const killed = await startReplica(postgres, [
      ...quick,
      '--once',
      'mend2',
      '--',
      '/bin/sh',
      '-c',
      'echo group $$; sleep 60',
    ]);
    const group = Number((await killed.waitForStdout(/group (\d+)/))[1]);
    killed.kill('SIGKILL');
    killGroup(group);
    const after = await run('mend2', 'true');
    expect(after.status, after.stderr).toBe(0);
  });

  test('a command that was told to end is never marked as done, even if it ends with 0', async () => {
    const replica = await startReplica(postgres, [
      '--once',
      'v2',
      '--',
      '/bin/sh',
      '-c',
      "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    ]);
    await replica.waitForStdout(/ready/);
    replica.kill();
    expect((await replica.exit).status).toBe(143);
    const status = await (await startReplica(postgres, ['--status'])).exit;
    expect(JSON.parse(status.stdout)).toMatchObject({
      holder: null,
      once: [{ key: 'v2', state: 'failed', exitStatus: 143 }],
    });
  });

  test('a holder that is killed leaves "running", and the next one does the work', async () => {
    const holder = await startReplica(postgres, [...quick, '--once', 'v3', '--', '/bin/sh', '-c', 'sleep 1']);
    await holder.waitForStderr(/holding the lock/);
    await waitUntil(
      async () => (await postgres.sql("SELECT 1 FROM initbox.once WHERE once_key = 'v3'")).length === 1,
    );
    const asked = await (await startReplica(postgres, ['--forget', 'v3'])).exit;
    expect(asked.status).toBe(69);
    expect(asked.stderr).toContain('is being worked on by pod');
    holder.kill('SIGKILL');
    const next = await (
      await startReplica(postgres, [...quick, '--once', 'v3', '--', '/bin/sh', '-c', 'sleep 1'])
    ).exit;
    expect(next.status).toBe(0);
    expect(next.stderr).toContain('did not release the lock');
    const [record] = await postgres.sql("SELECT state FROM initbox.once WHERE once_key = 'v3'");
    expect(record).toEqual({ state: 'done' });
    const forgotten = await (await startReplica(postgres, ['--forget', 'v3'])).exit;
    expect(forgotten.stderr).toContain('forgot "v3" (it was done)');
    const twice = await (await startReplica(postgres, ['--forget', 'v3'])).exit;
    expect(twice.stderr).toContain('there is no record of "v3"');
    expect(twice.status).toBe(0);
  });

  test('who waits is told by the release that the work is done, and asks the server nothing more', async () => {
    /** @returns what the one who waits sends after it was told */
    const round = async (name: string): Promise<string | undefined> => {
      const folder = temporaryDirectory('told');
      const go = join(folder.path, 'go');
      const args = ['--once', name, '--', '/bin/sh', '-c', `while [ ! -e ${go} ]; do sleep 0.05; done`];
      const holder = await startReplica(postgres, args);
      await waitUntil(async () => (await onceRows(name)).length === 1);
      // While it runs, the record holds the seal behind the hash of the command.
      expect(await onceRows(name)).toEqual([
        { state: 'running', hash: expect.stringMatching(/^[\da-f]{64}\.[\da-f]{64}$/) },
      ]);
      await using relay = await startRelay(postgres);
      const waiter = await startReplica(postgres, args, { url: relay.url });
      await waiter.waitForStderr(/held by/);
      // Some tries later the next one is a second away: hardly one is under way when the work ends.
      const tries = (): number => relay.sent().split('pg_try_advisory_lock').length - 1;
      const before = tries();
      await waitUntil(() => tries() >= before + 4);
      await waitUntil(() => relay.idle());
      writeFileSync(go, '');
      const [first, second] = await Promise.all([holder.exit, waiter.exit]);
      expect(first.status, first.stderr).toBe(0);
      expect(second.status, second.stderr).toBe(0);
      expect(second.stderr).toMatch(new RegExp(`nothing to do: "${name}" was done by pod at 20`));
      const [record] = await onceRows(name);
      expect(record).toEqual({ state: 'done', hash: expect.stringMatching(/^[\da-f]{64}$/) });
      folder.remove();
      return relay.sentAfter(/initbox_[\da-f]+\0[\da-f]{32}\0/);
    };
    // A try that crosses the news on its way was sent before it came; of three rounds not each has one.
    const sent: (string | undefined)[] = [];
    for (const name of ['told-1', 'told-2', 'told-3']) {
      sent.push(await round(name));
      if (sent.at(-1) === 'X\0\0\0\x04') break;
    }
    expect(sent.at(-1)).toBe('X\0\0\0\x04');
  });

  test('a stranger’s notification proves nothing: who waits goes on, and does the work of a holder that was killed', async () => {
    using journal = createJournal();
    const flag = `${journal.path}.flag`;
    const work = journal.child('a', `echo group $$; [ -e ${flag} ] || exec sleep 60`);
    const args = [...quick, '--once', 'forged', '--', ...work];
    const holder = await startReplica(postgres, args);
    const group = Number((await holder.waitForStdout(/group (\d+)/))[1]);
    const [record] = await onceRows('forged');
    const waiter = await startReplica(postgres, args);
    await waiter.waitForStderr(/held by/);
    const [hash = '', seal = ''] = String(record?.['hash']).split('.');
    const [listening] = await postgres.sql(
      "SELECT DISTINCT 'initbox_' || split_part(application_name, ':', 2) AS channel FROM pg_stat_activity WHERE application_name LIKE 'initbox:%:wait'",
      [],
      'app',
    );
    for (const word of ['', seal, hash, `${hash}.${seal}`, 'done', '0'.repeat(32)])
      await postgres.sql('SELECT pg_notify($1, $2)', [String(listening?.['channel']), word], 'app');
    writeFileSync(flag, '');
    holder.kill('SIGKILL');
    killGroup(group);
    const heir = await waiter.exit;
    expect(heir.status, heir.stderr).toBe(0);
    expect(heir.stderr).toContain('holding the lock');
    expect(journal.entries().filter(({ what }) => what === 'begin')).toHaveLength(2);
  });

  test('a record that a restore brought back proves nothing either, though its word was told long ago', async () => {
    const args = [...quick, '--once', 'restored', '--', 'true'];
    expect((await (await startReplica(postgres, args)).exit).status).toBe(0);
    const word = '1'.repeat(32);
    await postgres.sql(
      `UPDATE initbox.once SET state = 'running', finished = NULL, exit_status = NULL,
         command_hash = command_hash || '.' || encode(sha256($1::bytea), 'hex') WHERE once_key = 'restored'`,
      [word],
      'app',
    );
    const other = await startReplica(postgres, [...quick, '--once', 'another', '--', 'sleep', '60']);
    await other.waitForStderr(/holding the lock/);
    const waiter = await startReplica(postgres, args);
    await waiter.waitForStderr(/held by/);
    const [listening] = await postgres.sql(
      "SELECT DISTINCT 'initbox_' || split_part(application_name, ':', 2) AS channel FROM pg_stat_activity WHERE application_name LIKE 'initbox:%:wait'",
      [],
      'app',
    );
    for (let time = 0; time < 3; time++)
      await postgres.sql('SELECT pg_notify($1, $2)', [String(listening?.['channel']), word], 'app');
    await new Promise((resolve) => setTimeout(resolve, 300));
    other.kill('SIGTERM');
    await other.exit;
    const { status, stderr } = await waiter.exit;
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('holding the lock');
    expect(stderr).not.toContain('nothing to do');
  });

  test('--status while it is held names the holder', async () => {
    const holder = await startReplica(postgres, ['--lock-name', 'orders', '--', 'sleep', '60']);
    await holder.waitForStderr(/holding the lock/);
    const { stdout, status } = await (
      await startReplica(postgres, ['--status', '--lock-name', 'orders'])
    ).exit;
    expect(status).toBe(0);
    const [backend] = await holders(postgres);
    expect(JSON.parse(stdout)).toMatchObject({
      lock: { name: 'orders' },
      holder: { backend, role: 'app', host: 'pod' },
      last: { released: false },
      once: [],
    });
    holder.kill();
    await holder.exit;
  });
});
