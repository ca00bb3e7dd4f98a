import type { RecordsTable } from './trusted-owner.ts';

/**
 * For the RETURNING of a statement that writes a record: its commit is on disk before the server answers. Where the role,
 * the database or the server has `synchronous_commit = off`, a crash would take back what the answer said: the next holder
 * would find the one before it released, and be given its token again
 * (https://www.postgresql.org/docs/current/wal-async-commit.html). Stays off elsewhere, and behind poolers: it is for this
 * transaction alone. Weaker settings than `on` that survive a crash of this server (`local`, `remote_write`) are kept.
 */
export const durably = `pg_catalog.set_config('synchronous_commit', CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
  THEN 'on' ELSE pg_catalog.current_setting('synchronous_commit') END, true)`;

/**
 * For the same RETURNING, as `triggers`, of a table by its name or alias: whether the table has any, which may change what was written or take it back after
 * that. Who has put them there is trusted; what was written is then read again.
 */
export function hasTriggers(table: RecordsTable | 'h'): string {
  return `(SELECT c.relhastriggers FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) ${table}.tableoid) AS triggers`;
}
