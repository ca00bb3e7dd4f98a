// What bounds the statements of the lock's own session: a table that somebody locks, a server that falls silent.
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { holders, startReplica } from './contenders.ts';

let postgres: Postgres;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.remove());
beforeEach(async () => {
  await postgres.sql('DROP SCHEMA IF EXISTS initbox CASCADE');
  expect((await (await startReplica(postgres, ['--', 'true'])).exit).status).toBe(0);
});

/** Locks a table of the records against everybody, until the scope ends. */
async function lockTable(table: 'locks' | 'once'): Promise<AsyncDisposable> {
  const client = await postgres.connect();
  await client.query(`BEGIN; LOCK TABLE initbox.${table} IN ACCESS EXCLUSIVE MODE`);
  return { [Symbol.asyncDispose]: () => client.end() };
}

const lockFree = (): Promise<unknown> =>
  waitUntil(async () => (await holders(postgres)).length === 0, { what: 'the lock to be free' });

/** Until the replica waits for the table that is locked. */
const heldUp = (): Promise<unknown> =>
  waitUntil(
    async () =>
      (await postgres.sql("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'")).length > 0,
    { what: 'a replica that waits for a table' },
  );

/** Above what is left to the end of the work, which is 2 s, by what a loaded machine adds. */
const withinTheBound = 2_000 + promptly;

describe('after the command', () => {
  test('the deadline passes while the release waits for a table: done, and in time', async () => {
    const replica = await startReplica(postgres, ['--timeout', '6s', '--', 'sleep', '2']);
    await replica.waitForStderr(/holding the lock/);
    await using _ = await lockTable('locks');
    const result = await within(6_000 + promptly, replica.exit);
    // Its work is done, and nothing was to be written down that the next start needs.
    expect(result.status).toBe(0);
    expect(result.stderr).toContain('the lock could not be released;');
    await lockFree();
  });

  test('SIGTERM while the release waits for a table: done, and in time', async () => {
    const replica = await startReplica(postgres, ['--', 'sleep', '1']);
    await replica.waitForStderr(/holding the lock/);
    await using _ = await lockTable('locks');
    await heldUp();
    replica.kill();
    expect((await within(withinTheBound, replica.exit)).status).toBe(0);
    await lockFree();
  });

  test('the deadline passes while the record of --once waits for its table: 124, and the next start runs it again', async () => {
    const args = ['--once', 'one', '--', 'sh', '-c', 'sleep 2; echo ran'];
    const replica = await startReplica(postgres, ['--timeout', '6s', ...args]);
    await replica.waitForStderr(/holding the lock/);
    await sleep(500);
    {
      await using _ = await lockTable('once');
      const result = await within(6_000 + promptly, replica.exit);
      expect(result.stdout).toBe('ran\n');
      expect(result.stderr).toContain('the record could not be written');
      expect(result.status).toBe(124);
      await lockFree();
    }
    const next = await (
      await startReplica(postgres, ['--heartbeat', '500ms', '--grace', '500ms', ...args])
    ).exit;
    expect(next.status).toBe(0);
    expect(next.stdout).toBe('ran\n');
  });

  test('SIGTERM to a command whose record waits for its table: 143, and in time', async () => {
    const replica = await startReplica(postgres, ['--once', 'two', '--', 'sleep', '60']);
    await replica.waitForStderr(/holding the lock/);
    await sleep(500);
    await using _ = await lockTable('once');
    replica.kill();
    expect((await within(withinTheBound, replica.exit)).status).toBe(143);
    await lockFree();
  });
});

describe('before the command', () => {
  const args = ['--once', 'three', '--', 'echo', 'ran'];

  /** Holds up the record of the work alone: it is read, but not written. */
  async function startHeldUp(more: readonly string[]) {
    const client = await postgres.connect();
    await client.query('BEGIN; LOCK TABLE initbox.once IN SHARE MODE');
    const replica = await startReplica(postgres, [...more, ...args]);
    await replica.waitForStderr(/is the advisory lock/);
    await heldUp();
    return { replica, [Symbol.asyncDispose]: () => client.end() };
  }

  test('the deadline passes while the record of --once waits for its table: 124', async () => {
    await using held = await startHeldUp(['--timeout', '3s']);
    const result = await within(3_000 + promptly, held.replica.exit);
    expect(result.status).toBe(124);
    expect(result.stdout).toBe('');
    expect(result.stderr).toContain('gave up after 3s (--timeout)');
    await lockFree();
  });

  test('SIGTERM while the record of --once waits for its table: 143', async () => {
    await using held = await startHeldUp([]);
    held.replica.kill();
    const result = await within(promptly, held.replica.exit);
    expect(result.status).toBe(143);
    expect(result.stdout).toBe('');
    await lockFree();
  });

  test('the server refuses the record of --once: said by what it was for', async () => {
    await postgres.sql(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'no third one' USING ERRCODE = 'check_violation'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON initbox.once
        FOR EACH ROW WHEN (NEW.once_key = 'three') EXECUTE FUNCTION refuse()`);
    const result = await (await startReplica(postgres, args)).exit;
    expect(result.stderr).toMatch(/the start of the work could not be recorded: the server says .*\(23514\)/);
    expect(result.stderr).not.toContain('not foreseen');
    expect(result.status).toBe(1);
    expect(result.stdout).toBe('');
    await lockFree();
  });
});
