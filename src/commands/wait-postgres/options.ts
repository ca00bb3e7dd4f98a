import { lockKeyOptions } from '../../clients/postgres/lock-key.ts';
import { parseOnceKey } from '../../clients/postgres/once-record.ts';
import { connectionOptions } from '../../clients/postgres/options.ts';
import { flag, list, text, value } from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';
import { attemptOptions } from '../../wait/attempt-timeout.ts';
import { parseTable } from './table.ts';

/** Which database, and what must hold there. */
export const databaseOptions = {
  ...connectionOptions,
  accepting: flag({
    description:
      'it is enough that the server takes logins, as pg_isready sees it: for pods without a password, sends none',
  }),
  primary: flag({ description: 'it must be a primary that takes writes' }),
  table: list({
    description: 'a table or view that must be there, and on which the role has some right',
    placeholder: '[SCHEMA.]TABLE',
    parse: parseTable,
  }),
  query: text({
    description: 'query that must return true; it runs in a read-only transaction',
    placeholder: 'SQL',
  }),
  migrated: value({
    description: 'a key that migrate-with-lock --once must have recorded as done',
    placeholder: 'KEY',
    parse: parseOnceKey,
    // Its own words say what an empty key would do.
    allowEmpty: true,
  }),
  ...lockKeyOptions,
};

export const waitPostgresOptions = { ...databaseOptions, ...attemptOptions, ...waitOptions };
