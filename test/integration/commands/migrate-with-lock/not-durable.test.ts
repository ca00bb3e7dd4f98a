// Roles that leave their commits to be written later: what the lock says of itself is on disk all the same.
import { describe, expect, test } from 'vitest';

import { killGroup } from '../../../support/faults.ts';
import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { quick, startReplica } from './contenders.ts';

/** As little as can be is on disk that nobody asked for: what a commit leaves to be written later waits for 10 s. */
const settings = { wal_writer_delay: '10000ms', wal_buffers: '16MB' };

/** What is in memory alone is gone. */
async function crash(postgres: Postgres): Promise<void> {
  await postgres.kill();
  await postgres.start();
}

const row = async (postgres: Postgres): Promise<Record<string, unknown>> => {
  const rows = await postgres.sql(
    'SELECT token::text, released IS NOT NULL AS released FROM initbox.locks',
    [],
    'app',
  );
  return rows[0] ?? {};
};

describe.each(['role app', 'database app'])('synchronous_commit = off of the %s', (whose) => {
  test('a crash of the server takes no holder’s row back, and no token', async () => {
    await using postgres = await startPostgres({ settings });
    await postgres.sql(`ALTER ${whose.toUpperCase().replace('APP', 'app')} SET synchronous_commit = off`);
    expect(await (await startReplica(postgres, [...quick, '--', 'true'])).exit).toMatchObject({ status: 0 });
    await postgres.sql('CHECKPOINT');
    const holder = await startReplica(postgres, [
      ...quick,
      '--',
      '/bin/sh',
      '-c',
      'echo token $INITBOX_LOCK_TOKEN, group $$; sleep 100',
    ]);
    const [, token, group] = await holder.waitForStdout(/token (\d+), group (\d+)/);
    await crash(postgres);
    killGroup(holder.pid);
    killGroup(Number(group));
    expect(await row(postgres)).toEqual({ token, released: false });
    const next = await startReplica(postgres, [
      ...quick,
      '--',
      '/bin/sh',
      '-c',
      'echo next $INITBOX_LOCK_TOKEN.',
    ]);
    await next.waitForStderr(/did not release the lock; waiting/);
    const [, later = ''] = await next.waitForStdout(/next (\d+)\./);
    expect(BigInt(later)).toBeGreaterThan(BigInt(token ?? 0));
    expect(await next.exit).toMatchObject({ status: 0 });
  });

  test('nor that something is done, once it was said', async () => {
    await using postgres = await startPostgres({ settings });
    await postgres.sql(`ALTER ${whose.toUpperCase().replace('APP', 'app')} SET synchronous_commit = off`);
    const args = [...quick, '--once', 'r1', '--', 'echo', 'ran'];
    expect(await (await startReplica(postgres, args)).exit).toMatchObject({ status: 0, stdout: 'ran\n' });
    await crash(postgres);
    const again = await (await startReplica(postgres, args)).exit;
    expect(again).toMatchObject({ status: 0, stdout: '' });
  });
});
