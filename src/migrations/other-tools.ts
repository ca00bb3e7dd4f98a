import { textsIn } from '../clients/postgres/answer-row.ts';
import type { Session } from '../clients/postgres/session.ts';
import { isTrusted } from '../clients/postgres/trusted-owner.ts';
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
  /** Whose table or schema it is, where it was not read for that reason. */
  readonly untrustedOwner: string | undefined;
  /** True where the tool says that it failed on its way. */
  readonly dirty: boolean;
}

interface Keeper {
  readonly tool: string;
  readonly table: string;
  /** Columns that tell its table from another tool's of the same name; with `!` those that must not be there. */
  readonly columns: readonly string[];
  /** Its newest version, from the table `%s`. */
  readonly newest: string;
  readonly conventions: readonly (Naming | Marking)[];
  /** True where what the query gives tells that it has migrated, and no file's version. */
  readonly opaque?: true;
}

/** Smaller ones are of PostgreSQL itself (FirstNormalObjectId in access/transam.h). */
const firstUserOid = 16_384;

const keepers: readonly Keeper[] = [
  {
    tool: 'golang-migrate',
    table: 'schema_migrations',
    columns: ['dirty'],
    newest:
      'SELECT pg_catalog.max(version)::pg_catalog.text AS version, pg_catalog.bool_or(dirty) AS dirty FROM %s',
    conventions: ['golang-migrate'],
  },
  {
    tool: 'dbmate',
    table: 'schema_migrations',
    columns: ['!dirty'],
    newest: 'SELECT version::pg_catalog.text AS version FROM %s ORDER BY version::numeric DESC LIMIT 1',
    conventions: ['dbmate'],
  },
  {
    tool: 'goose',
    table: 'goose_db_version',
    columns: ['version_id'],
    newest:
      'SELECT pg_catalog.max(version_id)::pg_catalog.text AS version FROM %s WHERE is_applied AND version_id OPERATOR(pg_catalog.>) 0',
    conventions: ['goose'],
  },
  {
    tool: 'Flyway',
    table: 'flyway_schema_history',
    columns: ['installed_rank'],
    newest:
      'SELECT version::pg_catalog.text AS version FROM %s WHERE success AND version IS NOT NULL ORDER BY installed_rank DESC LIMIT 1',
    conventions: ['flyway'],
  },
  {
    tool: 'node-pg-migrate',
    table: 'pgmigrations',
    columns: ['run_on'],
    newest:
      "SELECT substring(name FROM '^[0-9]+') AS version FROM %s ORDER BY substring(name FROM '^[0-9]+')::numeric DESC LIMIT 1",
    conventions: ['node-pg-migrate', 'none'],
  },
  {
    tool: 'sql-migrate',
    table: 'gorp_migrations',
    columns: ['applied_at'],
    newest: "SELECT substring(id FROM '^[0-9]+') AS version FROM %s ORDER BY id DESC LIMIT 1",
    conventions: ['sql-migrate'],
  },
  {
    tool: 'tern',
    table: 'schema_version',
    columns: ['version'],
    newest: 'SELECT pg_catalog.max(version)::pg_catalog.text AS version FROM %s',
    conventions: ['tern'],
  },
  {
    // packages/drizzle-orm/src/pg-core/dialect.ts: hashes and times, no names.
    tool: 'Drizzle',
    table: '__drizzle_migrations',
    columns: ['hash'],
    newest: 'SELECT pg_catalog.max(created_at)::pg_catalog.text AS version FROM %s',
    conventions: ['none'],
    opaque: true,
  },
  {
    tool: 'Supabase',
    table: 'schema_migrations',
    columns: ['statements'],
    newest: 'SELECT version::pg_catalog.text AS version FROM %s ORDER BY version::numeric DESC LIMIT 1',
    conventions: ['none'],
  },
  {
    tool: 'sqlx',
    table: '_sqlx_migrations',
    columns: ['installed_on'],
    newest:
      'SELECT pg_catalog.max(version)::pg_catalog.text AS version, NOT pg_catalog.bool_and(success) AS dirty FROM %s',
    conventions: ['none', 'golang-migrate'],
  },
  {
    tool: 'refinery',
    table: 'refinery_schema_history',
    columns: ['applied_on'],
    newest: 'SELECT pg_catalog.max(version)::pg_catalog.text AS version FROM %s',
    conventions: ['none', 'flyway'],
  },
  {
    tool: 'Atlas',
    table: 'atlas_schema_revisions',
    columns: ['version'],
    newest: 'SELECT pg_catalog.max(version)::pg_catalog.text AS version FROM %s',
    conventions: ['none'],
  },
  {
    tool: 'Diesel',
    table: '__diesel_schema_migrations',
    columns: ['run_on'],
    newest: 'SELECT pg_catalog.max(version)::pg_catalog.text AS version FROM %s',
    conventions: ['none', 'golang-migrate'],
  },
  {
    tool: 'postgres-migrations',
    table: 'migrations',
    columns: ['executed_at'],
    newest: 'SELECT pg_catalog.max(id)::pg_catalog.text AS version FROM %s',
    conventions: ['none'],
  },
  {
    tool: 'Rambler',
    table: 'migrations',
    columns: ['migration', '!batch'],
    newest: "SELECT substring(migration FROM '^[0-9]+') AS version FROM %s ORDER BY migration DESC LIMIT 1",
    conventions: ['none'],
  },
  {
    tool: 'Liquibase',
    table: 'databasechangelog',
    columns: ['orderexecuted'],
    newest: 'SELECT pg_catalog.max(orderexecuted)::pg_catalog.text AS version FROM %s',
    conventions: ['none'],
    opaque: true,
  },
  {
    tool: 'yoyo',
    table: '_yoyo_migration',
    columns: ['migration_hash'],
    newest: 'SELECT pg_catalog.max(migration_id)::pg_catalog.text AS version FROM %s',
    conventions: ['none'],
    opaque: true,
  },
  {
    tool: 'DbUp',
    table: 'schemaversions',
    columns: ['scriptname'],
    newest: 'SELECT pg_catalog.max(scriptname)::pg_catalog.text AS version FROM %s',
    conventions: ['none'],
    opaque: true,
  },
  {
    tool: 'Prisma',
    table: '_prisma_migrations',
    columns: ['migration_name', 'rolled_back_at'],
    newest:
      "SELECT pg_catalog.max(substring(migration_name FROM '^[0-9]+'))::pg_catalog.text AS version, pg_catalog.bool_or(finished_at IS NULL) AS dirty FROM %s WHERE rolled_back_at IS NULL",
    conventions: ['none'],
  },
  {
    tool: 'db-migrate',
    table: 'migrations',
    columns: ['name', 'run_on'],
    newest: "SELECT pg_catalog.max(substring(name FROM '[0-9]+'))::pg_catalog.text AS version FROM %s",
    conventions: ['none'],
  },
  {
    tool: 'Postgrator',
    table: 'schemaversion',
    columns: ['version', 'md5', 'run_at'],
    newest:
      'SELECT pg_catalog.max(version)::pg_catalog.text AS version FROM %s WHERE version OPERATOR(pg_catalog.>) 0',
    conventions: ['none'],
  },
  {
    tool: 'graphile-migrate',
    table: 'migrations',
    columns: ['previous_hash', 'filename'],
    newest: "SELECT pg_catalog.max(substring(filename FROM '^[0-9]+'))::pg_catalog.text AS version FROM %s",
    conventions: ['none'],
  },
  {
    tool: 'bun',
    table: 'bun_migrations',
    columns: ['group_id', 'migrated_at'],
    newest: "SELECT pg_catalog.max(substring(name FROM '^[0-9]+'))::pg_catalog.text AS version FROM %s",
    conventions: ['none', 'golang-migrate'],
  },
  {
    tool: 'pop',
    table: 'schema_migration',
    columns: ['version'],
    newest: 'SELECT pg_catalog.max(version)::pg_catalog.text AS version FROM %s',
    conventions: ['none', 'golang-migrate'],
  },
  // Programs, of whose names no file's version follows.
  ...(
    [
      ['Knex', 'knex_migrations', ['batch', 'migration_time'], 'name'],
      ['Sequelize', 'SequelizeMeta', ['name'], 'name'],
      ['TypeORM', 'migrations', ['timestamp', 'name', '!batch'], 'name'],
      ['MikroORM', 'mikro_orm_migrations', ['executed_at'], 'name'],
      ['Kysely', 'kysely_migration', ['timestamp'], 'name'],
      ['Alembic', 'alembic_version', ['version_num'], 'version_num'],
      ['Django', 'django_migrations', ['app', 'applied'], 'name'],
      ['Piccolo', 'migration', ['app_name', 'ran_on'], 'name'],
      [
        'Rails or dbmate',
        'schema_migrations',
        ['version', '!dirty', '!statements', '!inserted_at'],
        'version',
      ],
      ['Ecto', 'schema_migrations', ['version', 'inserted_at'], 'version'],
      ['Laravel', 'migrations', ['migration', 'batch'], 'migration'],
      ['Sqitch', 'changes', ['change_id', 'planner_email'], 'change_id'],
    ] as const
  ).map(([tool, table, columns, name]): Keeper => ({
    tool,
    table,
    columns,
    newest: `SELECT pg_catalog.max(${name})::pg_catalog.text AS version FROM %s`,
    conventions: ['none'],
    opaque: true,
  })),
];

/** More tables of these names than any database has for a good reason. */
const mostTables = 200;

/**
 * Looks for the record that the directory's own tool keeps: with one there and none here, everything would run again.
 * Only a table of a trusted owner is read (trusted-owner.ts): another one's runs its owner's code when a query on it is
 * planned.
 */
export async function foreignRecord(
  session: Session,
  convention: Naming | Marking,
): Promise<ForeignRecord | undefined> {
  const mine = keepers.filter((keeper) => keeper.conventions.includes(convention));
  const { rows } = await session.query(
    `SELECT c.relname::pg_catalog.text AS table, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, pg_catalog.pg_get_userbyid(c.relowner) AS owner,
        pg_catalog.pg_get_userbyid(n.nspowner) AS schema_owner,
        ${isTrusted('c.relowner')} AS trusted, ${isTrusted('n.nspowner')} AS schema_trusted,
        NOT c.relrowsecurity AND NOT c.relhassubclass AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.atttypid OPERATOR(pg_catalog.>=) ${firstUserOid}) AS plain,
        ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped) AS columns
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
      WHERE c.relname OPERATOR(pg_catalog.=) ANY ($1) AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog."char"[]) AND n.nspname OPERATOR(pg_catalog.!~) '^pg_'
      ORDER BY trusted DESC, c.oid LIMIT ${mostTables}`,
    [[...new Set(mine.map(({ table }) => table))]],
  );
  for (const keeper of mine) {
    for (const row of rows) {
      if (columnText(row, 'table') !== keeper.table || !fits(keeper, textsIn(row, 'columns'))) continue;
      const record = await recordIn(session, keeper, row);
      if (record !== undefined) return record;
    }
  }
  return undefined;
}

function fits({ columns }: Keeper, found: readonly string[]): boolean {
  return columns.every((column) =>
    column.startsWith('!') ? !found.includes(column.slice(1)) : found.includes(column),
  );
}

/** @returns undefined for an empty table: it has migrated nothing, so that nothing can run twice */
async function recordIn(
  session: Session,
  keeper: Keeper,
  row: Readonly<Record<string, unknown>>,
): Promise<ForeignRecord | undefined> {
  const table = columnText(row, 'name');
  const common = { tool: keeper.tool, table };
  // In a schema of another role's the name can mean another table at the next look.
  const strange =
    row['trusted'] !== true
      ? columnText(row, 'owner')
      : row['schema_trusted'] !== true
        ? columnText(row, 'schema_owner')
        : undefined;
  if (strange !== undefined) return { ...common, untrustedOwner: strange, version: undefined, dirty: false };
  // The role may not be allowed to read it, and what it holds may be odd: that it is there is what counts.
  const found =
    row['plain'] === true
      ? await session.query(keeper.newest.replace('%s', () => `ONLY ${table}`)).then(
          (result) => result.rows,
          () => undefined,
        )
      : undefined;
  if (found !== undefined && (found[0]?.['version'] ?? null) === null) return undefined;
  return {
    ...common,
    untrustedOwner: undefined,
    version: found === undefined || keeper.opaque === true ? undefined : columnText(found[0], 'version'),
    dirty: columnText(found?.[0], 'dirty') === 'true',
  };
}
