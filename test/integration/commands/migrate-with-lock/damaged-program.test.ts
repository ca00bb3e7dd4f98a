// A migration whose program cannot run: libc's execvp would give the file to a shell, which ends with 0 for zeros.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { startReplica } from './contenders.ts';

let postgres: Postgres;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.remove());

const foreign = Buffer.from(readFileSync(process.execPath).subarray(0, 4096));
// e_machine in elf(5): of a processor that nobody has.
foreign.writeUInt16LE(0xfeed, 18);

/** The records of that key; none where nobody has made their table yet. */
async function recorded(key: string): Promise<Record<string, unknown>[]> {
  const [table] = await postgres.sql("SELECT to_regclass('initbox.once') IS NOT NULL AS made");
  if (table?.['made'] !== true) return [];
  return postgres.sql(
    `SELECT state, exit_status, finished IS NOT NULL AS ended FROM initbox.once WHERE once_key = '${key}'`,
  );
}

test.each([
  ['zeros, as of a damaged volume', Buffer.alloc(100_000)],
  ['a program of another architecture', foreign],
  ['no bytes at all', Buffer.alloc(0)],
  ['text without a #! line', 'exit 0\n'],
  ['a lone comment', '# nothing\n'],
  ['lines without words', '\n\n\n'],
  ['4 KiB of blanks', ' '.repeat(4096)],
  ['compressed data without a NUL', '\x1f\x8b\x08rest'],
  ['a byte order mark before #!', '\uFEFF#!/bin/sh\nexit 0\n'],
  ['a #! line without an interpreter', '#!\n'],
  ['a #! line of blanks', '#!   \n#x'],
  ['a #! line that the kernel cuts', `#!/${'./'.repeat(150)}bin/sh\nexit 0\n`],
  ['a directory as the interpreter', '#!/tmp\n'],
  ['no interpreter', '#!/no/such\n'],
])('%s: 126, and nothing is recorded as done', async (name, content) => {
  const program = join(temporaryDirectory('damaged').path, 'migrate');
  const run = async () => (await startReplica(postgres, ['--once', name, '--', program])).exit;
  writeFileSync(program, content);
  chmodSync(program, 0o755);
  const failed = await run();
  expect(failed.stderr).toContain(`cannot run ${program}`);
  expect(failed.status).toBe(126);
  expect(await recorded(name)).toEqual([]);
  // Whole again, it is not taken for done.
  writeFileSync(program, '#!/bin/sh\necho migrated\n');
  const done = await run();
  expect(done.stdout).toContain('migrated');
  expect(done.status).toBe(0);
  expect((await run()).stderr).toContain('nothing to do');
});

describe('a command that cannot be started after its start was recorded is recorded as failed', () => {
  const many = ['x'.repeat(100_000), 'x'.repeat(100_000), 'x'.repeat(100_000)];
  const cases: Readonly<
    Record<
      string,
      {
        readonly words: string;
        readonly status: number;
        readonly extra: readonly string[];
        hinder(program: string, pid: number): Disposable;
      }
    >
  > = {
    'open for writing': {
      words: 'it is open for writing (ETXTBSY)',
      status: 126,
      extra: [],
      hinder(program) {
        const descriptor = openSync(program, 'r+');
        return { [Symbol.dispose]: () => closeSync(descriptor) };
      },
    },
    'too many arguments': {
      words: 'its arguments and environment are too large (E2BIG)',
      status: 126,
      extra: many,
      hinder(_program, pid) {
        // A quarter of the stack is for the arguments (execve(2)).
        execFileSync('prlimit', ['--pid', String(pid), `--stack=${512 * 1024}:`]);
        return { [Symbol.dispose]() {} };
      },
    },
    'damaged while it waited': {
      words: 'is empty',
      status: 126,
      extra: [],
      hinder(program) {
        truncateSync(program);
        return { [Symbol.dispose]: () => copyFileSync('/bin/sh', program) };
      },
    },
    'taken away while it waited': {
      words: 'was not found',
      status: 127,
      extra: [],
      hinder(program) {
        renameSync(program, `${program}.away`);
        return { [Symbol.dispose]: () => renameSync(`${program}.away`, program) };
      },
    },
  };
  test.each(Object.entries(cases))('%s', async (name, { words, status, extra, hinder }) => {
    const program = join(temporaryDirectory('refused').path, 'migrate');
    // A program, not a script: of a script, the kernel opens the interpreter to run it.
    copyFileSync('/bin/sh', program);
    chmodSync(program, 0o755);
    const command = ['--once', name, '--lock-name', name, '--', program, '-c', 'echo migrated', ...extra];
    const release = `${program}.release`;
    const hold = `echo held; until [ -e '${release}' ]; do sleep 0.05; done`;
    const holder = await startReplica(postgres, ['--lock-name', name, '--', '/bin/sh', '-c', hold]);
    await holder.waitForStdout(/held/);
    const waiter = await startReplica(postgres, command);
    await waiter.waitForStderr(/held by pod/);
    {
      using _hindered = hinder(program, waiter.pid);
      writeFileSync(release, '');
      const failed = await waiter.exit;
      expect(failed.stderr).toContain(words);
      expect(failed.status).toBe(status);
    }
    expect((await holder.exit).stderr).not.toContain('lost');
    expect(await recorded(name)).toEqual([{ state: 'failed', exit_status: status, ended: true }]);
    const rows = await postgres.sql(
      `SELECT released IS NOT NULL AS released FROM initbox.locks WHERE lock_name = '${name}'`,
    );
    expect(rows).toEqual([{ released: true }]);
    const waiting = await runInitbox(
      ['wait-postgres', '--migrated', name, '--lock-name', name, '--timeout', '1s'],
      { env: { DATABASE_URL: postgres.url() } },
    );
    expect(waiting.stderr).toContain(`failed on pod with status ${status}`);
    const done = await (await startReplica(postgres, command)).exit;
    expect(done.stdout).toContain('migrated');
    expect(done.stderr).not.toContain('waiting');
    expect(done.status).toBe(0);
    expect(await recorded(name)).toEqual([{ state: 'done', exit_status: 0, ended: true }]);
  });
});

test('migrations that are gone when the lock is there are recorded as failed', async () => {
  const name = 'migrations taken away';
  const folder = temporaryDirectory('migrations').path;
  const directory = join(folder, 'sql');
  mkdirSync(directory);
  writeFileSync(join(directory, '1_x.sql'), 'SELECT 1;\n');
  const command = ['--once', name, '--lock-name', name, '--sql', directory];
  const release = join(folder, 'release');
  const hold = `echo held; until [ -e '${release}' ]; do sleep 0.05; done`;
  const holder = await startReplica(postgres, ['--lock-name', name, '--', '/bin/sh', '-c', hold]);
  await holder.waitForStdout(/held/);
  const waiter = await startReplica(postgres, command);
  await waiter.waitForStderr(/held by pod/);
  renameSync(directory, `${directory}.away`);
  writeFileSync(release, '');
  const { status } = await waiter.exit;
  expect(status).not.toBe(0);
  expect(await recorded(name)).toEqual([{ state: 'failed', exit_status: status, ended: true }]);
  renameSync(`${directory}.away`, directory);
  expect((await (await startReplica(postgres, command)).exit).status).toBe(0);
});
