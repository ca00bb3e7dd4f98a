import type { Session } from '../clients/postgres/session.ts';
import type { Naming } from './discover.ts';
import type { Marking } from './markers.ts';
import { columnText } from './rows.ts';

/** Another tool's record in this database. */
export interface ForeignRecord {
  readonly tool: string;
  /** Schema and table, for people. */
  readonly table: string;
  /** Up to where it says it has migrated; undefined where that cannot be read. */
  readonly version: string | undefined;
  /** True where the tool says that it failed on its way. */
  readonly dirty: boolean;
}

interface Keeper {
  readonly tool: string;
  readonly table: string;
  /** A column that tells its table from another tool's of the same name; with `!` one that must not be there. */
  readonly column: string;
  /** Its newest version, from the table `%s`. */
  readonly newest: string;
  readonly conventions: readonly (Naming | Marking)[];
}

/** Smaller ones are of PostgreSQL itself (FirstNormalObjectId in access/transam.h). */
const firstUserOid = 16_384;

const keepers: readonly Keeper[] = [
  {
    tool: 'golang-migrate',
    table: 'schema_migrations',
    column: 'dirty',
    newest:
      'SELECT pg_catalog.max(version)::pg_catalog.text AS version, pg_catalog.bool_or(dirty) AS dirty FROM %s',
    conventions: ['golang-migrate'],
  },
  {
    tool: 'dbmate',
    table: 'schema_migrations',
    column: '!dirty',
    newest: 'SELECT version::pg_catalog.text AS version FROM %s ORDER BY version::numeric DESC LIMIT 1',
    conventions: ['dbmate'],
  },
  {
    tool: 'goose',
    table: 'goose_db_version',
    column: 'version_id',
    newest:
      'SELECT pg_catalog.max(version_id)::pg_catalog.text AS version FROM %s WHERE is_applied AND version_id OPERATOR(pg_catalog.>) 0',
    conventions: ['goose'],
  },
  {
    tool: 'Flyway',
    table: 'flyway_schema_history',
    column: 'installed_rank',
    newest:
      'SELECT version::pg_catalog.text AS version FROM %s WHERE success AND version IS NOT NULL ORDER BY installed_rank DESC LIMIT 1',
    conventions: ['flyway'],
  },
  {
    tool: 'node-pg-migrate',
    table: 'pgmigrations',
    column: 'run_on',
    newest:
      "SELECT substring(name FROM '^[0-9]+') AS version FROM %s ORDER BY substring(name FROM '^[0-9]+')::numeric DESC LIMIT 1",
    conventions: ['node-pg-migrate', 'none'],
  },
  {
    tool: 'sql-migrate',
    table: 'gorp_migrations',
    column: 'applied_at',
    newest: "SELECT substring(id FROM '^[0-9]+') AS version FROM %s ORDER BY id DESC LIMIT 1",
    conventions: ['sql-migrate'],
  },
  {
    tool: 'tern',
    table: 'schema_version',
    column: 'version',
    newest: 'SELECT pg_catalog.max(version)::pg_catalog.text AS version FROM %s',
    conventions: ['tern'],
  },
];

/**
 * Looks for the record that the directory's own tool keeps: with one there and none here, everything would run again.
 */
export async function foreignRecord(
  session: Session,
  convention: Naming | Marking,
): Promise<ForeignRecord | undefined> {
  const mine = keepers.filter((keeper) => keeper.conventions.includes(convention));
  for (const keeper of mine) {
    const { rows } = await session.query(
      `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
          NOT c.relrowsecurity AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.atttypid OPERATOR(pg_catalog.>=) ${firstUserOid}) AS plain
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        WHERE c.relname OPERATOR(pg_catalog.=) $1 AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog."char"[]) AND n.nspname OPERATOR(pg_catalog.!~) '^pg_'
          AND EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname OPERATOR(pg_catalog.=) $2 AND NOT a.attisdropped) OPERATOR(pg_catalog.=) $3
        ORDER BY c.oid LIMIT 1`,
      [keeper.table, keeper.column.replace('!', ''), !keeper.column.startsWith('!')],
    );
    if (rows.length === 0) continue;
    const table = columnText(rows[0], 'name');
    // The role may not be allowed to read it, and what it holds may be odd: that it is there is what counts. A policy
    // or a type that its owner made would run that owner's functions with this role's rights.
    const found =
      rows[0]?.['plain'] === true
        ? await session.query(keeper.newest.replace('%s', () => table)).then(
            (result) => result.rows,
            () => undefined,
          )
        : undefined;
    // An empty one has migrated nothing: nothing can run twice.
    if (found !== undefined && (found[0]?.['version'] ?? null) === null) continue;
    return {
      tool: keeper.tool,
      table,
      version: found === undefined ? undefined : columnText(found[0], 'version'),
      dirty: columnText(found?.[0], 'dirty') === 'true',
    };
  }
  return undefined;
}
