import { sqlStateOf } from './server-errors.ts';
import type { QueryOptions } from './session.ts';
import { findRecords, recordsSchema, type Asking, type RecordsTable } from './trusted-owner.ts';

/** SQLSTATEs of two locks' holders that create the tables at once: 23505, 42P06, 42P07, 42710, XX000 (concurrent update). */
const raced: ReadonlySet<string> = new Set(['23505', '42P06', '42P07', '42710', 'XX000']);

/**
 * Makes tables of the records, and their schema where there is none. Call it under the lock: `IF NOT EXISTS` races with
 * itself.
 * @param statements each `CREATE TABLE IF NOT EXISTS`
 * @throws UntrustedRecords, the server's errors
 */
export async function createRecords(
  session: Asking,
  table: RecordsTable,
  statements: readonly string[],
  options: QueryOptions = {},
): Promise<void> {
  const { rows } = await session.query(
    `SELECT pg_catalog.to_regnamespace('${recordsSchema}') IS NOT NULL AS made`,
    undefined,
    options,
  );
  // CREATE SCHEMA IF NOT EXISTS asks for CREATE on the database even where there is nothing to create.
  const schema = rows[0]?.['made'] === true ? [] : [`CREATE SCHEMA IF NOT EXISTS ${recordsSchema}`];
  for (const statement of [...schema, ...statements]) {
    for (let left = 5; ; left -= 1) {
      try {
        // Another role may have made the schema in the meantime.
        await findRecords(session, table, options);
        await session.query(statement, undefined, options);
        break;
      } catch (error) {
        if (left === 0 || !raced.has(sqlStateOf(error) ?? '')) throw error;
      }
    }
  }
}
