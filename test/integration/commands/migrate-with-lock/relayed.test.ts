// Behind a proxy that works on TCP: the server's keepalive tells of the proxy, not of the holder.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { groupGone, killGroup, waitUntil } from '../../../support/faults.ts';
import { canUseHaproxy, startHaproxy, type Haproxy } from '../../../support/haproxy.ts';
import { canUseNetns, createNetnsPair, type NetnsPair } from '../../../support/netns.ts';
import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { type RunningProgram } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { createJournal, holders, startReplica } from './contenders.ts';

const why = canUseNetns() ?? canUseHaproxy();

describe.skipIf(requireOrSkip('HAProxy in a network namespace', why))('behind HAProxy', () => {
  let pair: NetnsPair;
  let postgres: Postgres;
  let proxy: Haproxy;
  beforeAll(async () => {
    pair = createNetnsPair();
    postgres = await startPostgres({ listen: [pair.b.address], prefix: pair.b.prefix });
    proxy = await startHaproxy({
      upstream: { host: pair.b.address, port: postgres.port },
      listen: pair.b.address,
      prefix: pair.b.prefix,
    });
  });
  afterAll(async () => {
    await proxy?.stop();
    await postgres?.remove();
    pair?.remove();
  });

  // The work is over 3 s after a loss; a holder that is silent for 4.5 s is taken for gone.
  const timing = ['--heartbeat', '1s', '--grace', '1s'];
  const through = (): string => postgres.url().replace(`:${postgres.port}/`, `:${proxy.port}/`);

  async function hold(command: readonly string[]): Promise<{ holder: RunningProgram; group: number }> {
    const holder = await startReplica(
      postgres,
      [...timing, '--', '/bin/sh', '-c', 'echo group $$; exec "$@"', 'sh', ...command],
      { url: through(), prefix: pair.a.prefix },
    );
    const group = Number((await holder.waitForStdout(/group (\d+)/))[1]);
    return { holder, group };
  }

  test('the holder, killed with its command while its network drops everything: ended by who waits, which says so', async () => {
    using journal = createJournal();
    const { holder, group } = await hold(journal.child('first', 'sleep 120'));
    expect(holder.stderr).toMatch(/a proxy may be in between/);
    await waitUntil(() => journal.entries().length === 1);
    pair.partition();
    holder.kill('SIGKILL');
    killGroup(group);
    await groupGone(group, 20_000);
    const deaths = new Map([['first', Date.now() / 1000]]);
    const next = await startReplica(postgres, [...timing, '--', ...journal.child('second', 'true')], {
      prefix: pair.b.prefix,
    });
    const result = await next.exit;
    pair.heal();
    expect(result.status, result.stderr).toBe(0);
    expect(result.stderr).toMatch(
      /ended the holder’s session \(backend \d+, token \d+\), which has been silent for \S+ behind a proxy/,
    );
    expect(result.stderr).toMatch(/did not release the lock; waiting 3s/);
    journal.assertNoOverlap(deaths);
    expect(journal.entries().map(({ name, what }) => `${name} ${what}`)).toContain('second end');
  });

  test('killed with its command, and the network works: the proxy hands the end on, and nobody waits for a silence', async () => {
    const { holder, group } = await hold(['sleep', '120']);
    holder.kill('SIGKILL');
    killGroup(group);
    await waitUntil(async () => (await holders(postgres)).length === 0, { timeout: 30_000 });
    const next = await startReplica(postgres, [...timing, '--', 'true'], { prefix: pair.b.prefix });
    const result = await next.exit;
    expect(result.status, result.stderr).toBe(0);
    expect(result.stderr).not.toContain('behind a proxy');
  });

  test('the holder and its command are stopped (SIGSTOP): ended; when it goes on, it stops its command', async () => {
    const { holder, group } = await hold(['sleep', '120']);
    holder.kill('SIGSTOP');
    process.kill(-group, 'SIGSTOP');
    const next = await startReplica(postgres, [...timing, '--', 'true'], {
      url: through(),
      prefix: pair.b.prefix,
    });
    const result = await next.exit;
    expect(result.status, result.stderr).toBe(0);
    expect(result.stderr).toMatch(/ended the holder’s session/);
    holder.kill('SIGCONT');
    expect((await holder.exit).status).toBe(75);
    await groupGone(group, 20_000);
  });

  test('the holder alone is stopped, and its command is at work in the database: the lock stays', async () => {
    const { holder, group } = await hold(['psql', through(), '-Atc', 'SELECT pg_sleep(20)']);
    await waitUntil(
      async () =>
        (
          await postgres.sql(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(20)%' AND state = 'active'",
          )
        ).length === 1,
    );
    holder.kill('SIGSTOP');
    const next = await startReplica(postgres, [...timing, '--lock-timeout', '12s', '--', 'true'], {
      prefix: pair.b.prefix,
    });
    const result = await next.exit;
    expect(result.status, result.stderr).toBe(124);
    expect(result.stderr).toMatch(/; silent for \S+ behind a proxy/);
    expect(result.stderr).not.toContain('ended the holder’s session');
    holder.kill('SIGCONT');
    killGroup(group);
    await holder.exit;
  });

  test('a holder that lives is never ended, however long it works', async () => {
    const { holder } = await hold(['sleep', '12']);
    const next = await startReplica(postgres, [...timing, '--', 'true'], {
      url: through(),
      prefix: pair.b.prefix,
    });
    expect((await holder.exit).status).toBe(0);
    const result = await next.exit;
    expect(result.status).toBe(0);
    expect(result.stderr).not.toContain('ended the holder’s session');
  });

  test('a cut between holder and proxy: the command is stopped before the lock is given away', async () => {
    using journal = createJournal();
    const { holder, group } = await hold(journal.child('first', 'sleep 120'));
    const next = await startReplica(postgres, [...timing, '--', ...journal.child('second', 'true')], {
      prefix: pair.b.prefix,
    });
    await next.waitForStderr(/held by/);
    pair.partition();
    await groupGone(group, 60_000);
    const deaths = new Map([['first', Date.now() / 1000]]);
    const result = await next.exit;
    pair.heal();
    expect(result.status, result.stderr).toBe(0);
    expect(result.stderr).toMatch(/ended the holder’s session/);
    expect((await holder.exit).status).toBe(75);
    journal.assertNoOverlap(deaths);
  });
});

describe('without a proxy', () => {
  test('a holder that is stopped is not ended, and nobody speaks of a proxy', async () => {
    await using postgres = await startPostgres();
    const holder = await startReplica(postgres, [
      '--heartbeat',
      '500ms',
      '--grace',
      '500ms',
      '--',
      'sleep',
      '60',
    ]);
    await holder.waitForStderr(/holding the lock/);
    holder.kill('SIGSTOP');
    const next = await startReplica(postgres, [
      '--heartbeat',
      '500ms',
      '--grace',
      '500ms',
      '--lock-timeout',
      '8s',
      '--',
      'true',
    ]);
    const result = await next.exit;
    expect(result.status, result.stderr).toBe(124);
    expect(result.stderr).not.toContain('proxy');
    expect(holder.stderr).not.toContain('proxy');
    holder.kill('SIGCONT');
    holder.kill('SIGTERM');
    await holder.exit;
  });
});
