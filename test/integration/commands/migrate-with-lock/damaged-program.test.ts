// A migration whose program cannot run: libc's execvp would give the file to a shell, which ends with 0 for zeros.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
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

test.each([
  ['zeros, as of a damaged volume', Buffer.alloc(100_000)],
  ['a program of another architecture', foreign],
  ['no bytes at all', Buffer.alloc(0)],
])('%s: 126, and nothing is recorded as done', async (name, content) => {
  const program = join(temporaryDirectory('damaged').path, 'migrate');
  const run = async () => (await startReplica(postgres, ['--once', name, '--', program])).exit;
  writeFileSync(program, content);
  chmodSync(program, 0o755);
  const failed = await run();
  expect(failed.stderr).toContain(`cannot run ${program}`);
  expect(failed.status).toBe(126);
  // Whole again, it is not taken for done.
  writeFileSync(program, '#!/bin/sh\necho migrated\n');
  const done = await run();
  expect(done.stdout).toContain('migrated');
  expect(done.status).toBe(0);
  expect((await run()).stderr).toContain('nothing to do');
});
