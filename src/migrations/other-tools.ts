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
  /** The newest version that is applied now; undefined where there is none, or it cannot be read. */
  readonly version: string | undefined;
  /** Whose table or schema it is, where it was not read for that reason. */
  readonly untrustedOwner: string | undefined;
  /** The version at which it failed by its own words, and that nobody has looked at since. */
  readonly failed: string | undefined;
}

interface Keeper {
  readonly tool: string;
  readonly table: string;
  /** Columns that tell its table from another tool's of the same name; with `!` those that must not be there. */
  readonly columns: readonly string[];
  /** It has no others. */
  readonly exact?: true;
  /**
   * From the table `%s`, the newest `version` that is applied now, so that those that were undone or failed do not count;
   * and `failed`, of a tool that writes that down.
   */
  readonly newest: string;
  readonly conventions: readonly (Naming | Marking)[];
  /** True where what the query gives tells that it has migrated, and no file's version. */
  readonly opaque?: true;
}

/** Smaller ones are of PostgreSQL itself (FirstNormalObjectId in access/transam.h). */
const firstUserOid = 16_384;

/** The number that begins a text, for people. */
const numberOf = (text: string): string => `substring(${text} FROM '^[0-9]+')::pg_catalog.numeric`;
const greatest = (number: string): string => `pg_catalog.max(${number})::pg_catalog.text`;

/**
 * Of a record with rows for what was tried, `success` or not: each version counts as its last row leaves it.
 * @param order the column by which rows follow each other
 * @param name what a row without a version is named by
 * @param undone of a row by which its version is no longer applied
 */
const byLastRows = (order: string, name: string, undone: string): string => {
  const one = `coalesce(nullif(version, ''), ${name})`;
  const parts = `CASE WHEN version OPERATOR(pg_catalog.~) '^[0-9]+([.][0-9]+)*$' THEN pg_catalog.string_to_array(version, '.')::pg_catalog.numeric[] END`;
  return `SELECT (pg_catalog.array_agg(version::pg_catalog.text ORDER BY ${parts} DESC NULLS LAST) FILTER (WHERE success AND NOT (${undone}) AND version OPERATOR(pg_catalog.<>) ''))[1] AS version,
      (pg_catalog.array_agg(${one}::pg_catalog.text ORDER BY ${order} DESC) FILTER (WHERE NOT success))[1] AS failed
    FROM (SELECT DISTINCT ON (${one}) * FROM %s ORDER BY ${one}, ${order} DESC) AS last`;
};

/** CoreMigrationType of flyway-core: UNDO_SQL and its like, and DELETE of `repair` for what has no file any more. */
const flyway = byLastRows('installed_rank', 'script', `type OPERATOR(pg_catalog.~) '^(UNDO_|DELETE$)'`);

const keepers: readonly Keeper[] = [
  {
    // database/postgres/postgres.go of golang-migrate: one row; -1 (NilVersion) is the way down from the first version.
    tool: 'golang-migrate',
    table: 'schema_migrations',
    columns: ['dirty'],
    newest: `SELECT ${greatest('CASE WHEN NOT dirty THEN version END')} AS version, ${greatest('CASE WHEN dirty THEN version END')} AS failed
      FROM (SELECT version::pg_catalog.int8 AS version, dirty FROM %s) AS row WHERE dirty OR version OPERATOR(pg_catalog.>=) 0`,
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
    // It writes a row for each way, up or down, and the last one of a version counts.
    tool: 'goose',
    table: 'goose_db_version',
    columns: ['version_id'],
    newest: `SELECT ${greatest('version_id')} AS version
      FROM (SELECT DISTINCT ON (version_id) version_id, is_applied FROM %s ORDER BY version_id, id DESC) AS last
      WHERE is_applied AND version_id OPERATOR(pg_catalog.>) 0`,
    conventions: ['goose'],
  },
  {
    tool: 'Flyway',
    table: 'flyway_schema_history',
    columns: ['installed_rank'],
    newest: flyway,
    conventions: ['flyway'],
  },
  {
    // Before version 5, by its createMetaDataTable.sql.
    tool: 'Flyway',
    table: 'schema_version',
    columns: ['installed_rank', 'script', 'installed_by', 'success'],
    newest: flyway,
    conventions: ['flyway'],
  },
  {
    // Dialect/PostgreSQL/PostgreSQLMetadataTable.cs; a new schema is written down as version 0.
    tool: 'Evolve',
    table: 'changelog',
    columns: ['type', 'version', 'checksum', 'installed_by', 'installed_on', 'success'],
    newest: byLastRows('id', 'name', "version OPERATOR(pg_catalog.=) '0'"),
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
    newest: `SELECT ${greatest(numberOf('id'))} AS version FROM %s`,
    conventions: ['sql-migrate'],
  },
  {
    tool: 'tern',
    table: 'schema_version',
    columns: ['version', '!installed_rank'],
    newest: `SELECT ${greatest('version')} AS version FROM %s WHERE version OPERATOR(pg_catalog.>) 0`,
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
      'SELECT (pg_catalog.max(version) FILTER (WHERE success))::pg_catalog.text AS version, (pg_catalog.min(version) FILTER (WHERE NOT success))::pg_catalog.text AS failed FROM %s',
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
    // cmd/atlas/internal/migrate: `type & 4` was set by hand (RevisionTypeResolved); a name with a dot is no version.
    tool: 'Atlas',
    table: 'atlas_schema_revisions',
    columns: ['version'],
    newest: `SELECT ${greatest(`CASE WHEN NOT failed THEN ${numberOf('version')} END`)} AS version, ${greatest(`CASE WHEN failed THEN ${numberOf('version')} END`)} AS failed
      FROM (SELECT version, applied OPERATOR(pg_catalog.<) total AND (type OPERATOR(pg_catalog.&) 4) OPERATOR(pg_catalog.=) 0 AS failed FROM %s) AS row`,
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
    // Its own table is version 0.
    newest: `SELECT ${greatest('id')} AS version FROM %s WHERE id OPERATOR(pg_catalog.>) 0`,
    conventions: ['none'],
  },
  {
    tool: 'Rambler',
    table: 'migrations',
    columns: ['migration', '!batch'],
    newest: `SELECT ${greatest(numberOf('migration'))} AS version FROM %s`,
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
    // With objectQuotingStrategy="QUOTE_ALL_OBJECTS".
    tool: 'Liquibase',
    table: 'DATABASECHANGELOG',
    columns: ['ORDEREXECUTED', 'EXECTYPE', 'MD5SUM'],
    newest: 'SELECT pg_catalog.max("ORDEREXECUTED")::pg_catalog.text AS version FROM %s',
    conventions: ['none'],
    opaque: true,
  },
  {
    tool: 'Liquibase',
    table: 'DATABASECHANGELOG',
    columns: ['orderexecuted', 'exectype', 'md5sum'],
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
    newest: `SELECT ${greatest(`CASE WHEN finished_at IS NOT NULL THEN ${numberOf('migration_name')} END`)} AS version,
        pg_catalog.min(CASE WHEN finished_at IS NULL THEN coalesce(substring(migration_name FROM '^[0-9]+'), migration_name) END)::pg_catalog.text AS failed
      FROM %s WHERE rolled_back_at IS NULL`,
    conventions: ['none'],
  },
  {
    tool: 'db-migrate',
    table: 'migrations',
    columns: ['name', 'run_on'],
    newest: `SELECT ${greatest("substring(name FROM '[0-9]+')::pg_catalog.numeric")} AS version FROM %s`,
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
    newest: `SELECT ${greatest(numberOf('filename'))} AS version FROM %s`,
    conventions: ['none'],
  },
  {
    tool: 'bun',
    table: 'bun_migrations',
    columns: ['group_id', 'migrated_at'],
    newest: `SELECT ${greatest(numberOf('name'))} AS version FROM %s`,
    conventions: ['none', 'golang-migrate'],
  },
  {
    // framework/src/play-jdbc-evolutions of Play: what is under way, or failed there, has another state.
    tool: 'Play',
    table: 'play_evolutions',
    columns: ['id', 'apply_script', 'revert_script', 'state', 'last_problem'],
    newest:
      "SELECT (pg_catalog.max(id) FILTER (WHERE state OPERATOR(pg_catalog.=) 'applied'))::pg_catalog.text AS version, (pg_catalog.min(id) FILTER (WHERE state OPERATOR(pg_catalog.<>) 'applied'))::pg_catalog.text AS failed FROM %s",
    conventions: ['none'],
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
      // HistoryRepository.cs of EF Core.
      ['EF Core', '__EFMigrationsHistory', ['MigrationId', 'ProductVersion'], '"MigrationId"'],
      // TableMetadataStorageConfiguration.php of doctrine/migrations.
      ['Doctrine', 'doctrine_migration_versions', ['version', 'executed_at', 'execution_time'], 'version'],
      // PdoAdapter::createSchemaTable of Phinx, which CakePHP uses too.
      ['Phinx', 'phinxlog', ['version', 'migration_name', 'start_time', 'end_time'], 'version'],
      // aerich/models.py.
      ['Aerich', 'aerich', ['version', 'app', 'content'], 'version'],
      // Gormigrate.createMigrationTableIfNotExists.
      ['gormigrate', 'migrations', ['id'], 'id', true],
    ] as readonly (readonly [string, string, readonly string[], string, true?])[]
  ).map(([tool, table, columns, name, exact]): Keeper => ({
    tool,
    table,
    columns,
    ...(exact && { exact }),
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

function fits({ columns, exact }: Keeper, found: readonly string[]): boolean {
  if (exact && found.length !== columns.length) return false;
  return columns.every((column) =>
    column.startsWith('!') ? !found.includes(column.slice(1)) : found.includes(column),
  );
}

/** @returns undefined where nothing is applied and nothing failed: nothing can run twice */
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
  if (strange !== undefined)
    return { ...common, untrustedOwner: strange, version: undefined, failed: undefined };
  // The role may not be allowed to read it, and what it holds may be odd: that it is there is what counts.
  const found =
    row['plain'] === true
      ? await session.query(keeper.newest.replace('%s', () => `ONLY ${table}`)).then(
          (result) => result.rows,
          () => undefined,
        )
      : undefined;
  const told = (name: string): string | undefined =>
    (found?.[0]?.[name] ?? null) === null ? undefined : columnText(found?.[0], name);
  const [version, failed] = [told('version'), told('failed')];
  if (found !== undefined && version === undefined && failed === undefined) return undefined;
  return {
    ...common,
    untrustedOwner: undefined,
    version: keeper.opaque === true ? undefined : version,
    failed,
  };
}
