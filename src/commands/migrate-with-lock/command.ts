import { defineCommand } from '../../core/command.ts';
import { migrateWithLockOptions } from './options.ts';
import { readRequest } from './request.ts';
import { checkDatabase, runMigrateWithLock } from './run.ts';

export const migrateWithLock = defineCommand({
  name: 'migrate-with-lock',
  summary: 'run migrations in one replica at a time',
  description: `Runs a command while holding a lock in the PostgreSQL database that it migrates, so that any migration tool is safe however many replicas start at once. The others wait, and then run it in turn; with --once KEY they find that it is done and go on at once.

The lock is a session's advisory lock, watched over while the command runs: when it is lost, the command's process group is stopped and the exit status is 75. Connections through a pooler are refused: give the server's own URL by --direct-database-url-file.

--once is at least once: a command whose end could not be written down runs again. What holds and what does not is told in docs/locking.md.`,
  examples: [
    'initbox migrate-with-lock -- ./migrate --target=latest',
    'initbox migrate-with-lock --once "$IMAGE_DIGEST" -- ./migrate',
    'initbox migrate-with-lock --sql /migrations',
    'initbox migrate-with-lock --lock-name orders --lock-timeout 10m --command-timeout 5m -- alembic upgrade head',
    'initbox migrate-with-lock --status',
  ],
  options: migrateWithLockOptions,
  afterDashes: 'child',
  timeout: undefined,
  check(input, around) {
    readRequest(input.options, input.command);
    checkDatabase(input, around);
  },
  run: runMigrateWithLock,
});
