import { builtIndex } from './classify.ts';
import type { Querying } from './history.ts';
import { utf8Of } from './latin1.ts';
import { columnText } from './rows.ts';
import type { Statement } from './split.ts';

/**
 * Names the INVALID indexes that a script's CREATE INDEX CONCURRENTLY left behind: they cost every write and serve no
 * query, and CREATE INDEX … IF NOT EXISTS takes one for the index itself. For a statement that names no index all of its
 * table are named.
 * @param which only those of statements that name their index, or do not
 */
export async function invalidIndexes(
  session: Querying,
  statements: Iterable<Statement>,
  which?: 'named' | 'unnamed',
): Promise<readonly string[]> {
  const names: string[] = [];
  for (const statement of statements) {
    const built = builtIndex(statement);
    if (built === undefined || which === (built.index === undefined ? 'named' : 'unnamed')) continue;
    const table = utf8Of(built.table);
    const index = built.index === undefined ? null : nameOf(utf8Of(built.index));
    const { rows } = await session.query(
      `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) AND NOT i.indisvalid
          AND ($2::pg_catalog.text IS NULL OR c.relname OPERATOR(pg_catalog.=) $2)`,
      [table, index],
    );
    for (const row of rows) names.push(columnText(row, 'name'));
  }
  return [...new Set(names)];
}

/**
 * Names all INVALID indexes of the database: for where the statements are no longer there that may have left one. Those of
 * partitioned tables are left out, since they are INVALID until each partition has its own.
 */
export async function allInvalidIndexes(session: Querying): Promise<readonly string[]> {
  const { rows } = await session.query(
    `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name FROM pg_catalog.pg_index AS i
      JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
      WHERE NOT i.indisvalid AND c.relkind OPERATOR(pg_catalog.=) 'i' AND c.relpersistence OPERATOR(pg_catalog.<>) 't' ORDER BY 1`,
  );
  return rows.map((row) => columnText(row, 'name'));
}

/** A name as the catalog holds it: unquoted ones in lower case, at most 63 bytes. */
function nameOf(written: string): string {
  const name = written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase();
  const bytes = Buffer.from(name);
  return bytes.length <= 63
    ? name
    : bytes
        .subarray(0, 63)
        .toString()
        .replace(/\uFFFD$/, '');
}
