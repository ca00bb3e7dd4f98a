import { leastHeartbeat } from '../../clients/lock.ts';
import { lockKeyOptions } from '../../clients/postgres/lock-key.ts';
import { parseOnceKey } from '../../clients/postgres/once-record.ts';
import { connectionOptions } from '../../clients/postgres/options.ts';
import { parseDuration } from '../../core/duration.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import {
  durationOr,
  flag,
  list,
  parseText,
  secret,
  text,
  value,
  valueOr,
} from '../../core/options/option.ts';
import { parseAcceptance } from '../../migrations/accept.ts';

export const migrateWithLockOptions = {
  ...connectionOptions,
  'direct-database-url': secret({
    description:
      'the file that holds the URL of the server itself, for the lock, where the database’s URL is a pooler’s; unset, DIRECT_DATABASE_URL',
  }),
  'allow-session-pooling': flag({
    description:
      'accept a pooler in session mode; a holder that dies with its node is then noticed by a lease alone',
  }),
  ...lockKeyOptions,
  'lock-timeout': durationOr({
    description: 'how long to wait for the database and the lock; 0 disables it',
    fallback: '1h',
  }),
  'command-timeout': durationOr({
    description: 'how long the command, or --sql, may take; 0 disables it',
    fallback: '1h',
  }),
  grace: durationOr({
    description: 'how long the command has to end after a TERM, before its process group is killed',
    fallback: '10s',
  }),
  heartbeat: valueOr({
    description: 'how often the lock is checked, and how long a check may take',
    placeholder: 'DURATION',
    parse: (given: string) => {
      const milliseconds = parseDuration(given);
      if (milliseconds < leastHeartbeat || milliseconds > 60_000)
        throw new Error(`${quotedValue(given)} is not between 100ms and 1m`);
      return milliseconds;
    },
    fallback: '5s',
  }),
  once: value({
    description: 'the key of the work, such as the image’s digest: a replica that finds it done runs nothing',
    placeholder: 'KEY',
    parse: parseOnceKey,
    // Its own words say what an empty key would do.
    allowEmpty: true,
  }),
  sql: text({ description: 'run this directory’s SQL files instead of a command', placeholder: 'DIR' }),
  baseline: text({
    description: 'with --sql: mark the files up to this version as applied',
    placeholder: 'VERSION',
  }),
  accept: list({
    description: 'with --sql: accept a difference between the files and what was run, once looked at',
    placeholder: 'KIND:VERSION',
    parse: parseAcceptance,
  }),
  'dry-run': flag({ description: 'with --sql: print as JSON what would be run' }),
  status: flag({ description: 'print as JSON who holds the lock, and what --once has recorded' }),
  forget: value({
    description: 'remove a record of --once',
    placeholder: 'KEY',
    parse: parseText,
  }),
};
