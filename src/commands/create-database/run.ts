import { createResolver } from '../../clients/dns/resolver.ts';
import type { ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import { checkConnectionFrom, connectionFrom } from '../../clients/postgres/options.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { type Outcome, UsageError } from '../../core/outcome.ts';
import { type Secret, unreadSecret } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { postgresGrant } from './grant.ts';
import { checkPostgresName } from './object-name.ts';
import { type createDatabaseOptions, type CreateDatabaseOptions } from './options.ts';
import { refuseOptionsOf } from './other-options.ts';
import { perform } from './postgres/perform.ts';
import type { WantedDatabase } from './postgres/steps.ts';

type CreateDatabaseInput = Input<typeof createDatabaseOptions, string>;
type Around = Pick<Context, 'environment' | 'redactor'>;

/**
 * Checks what can be told without a file.
 * @throws UsageError, as runCreateDatabase does for the same
 */
export async function checkCreateDatabase(
  { options, positionals: database }: CreateDatabaseInput,
  { environment, redactor }: Surroundings,
): Promise<void> {
  checkOwner(options);
  if (environment === undefined) return;
  const around = { environment, redactor };
  ownerPassword(options, around);
  // Which kind of server it is, the URL tells.
  if (options['database-url'] === unreadSecret) return;
  if (isMysql(options, environment)) {
    const { readMysql } = await import('./mysql/read.ts');
    readMysql(options, database, around);
  } else {
    wantedPostgres(options, database);
    const connection = checkConnectionFrom(options['database-url'], around);
    if (connection !== undefined) refuseStandby(connection);
  }
}

/** Makes what is missing. */
export async function runCreateDatabase(
  { options, positionals: database }: CreateDatabaseInput,
  context: Context,
): Promise<Outcome> {
  checkOwner(options);
  if (isMysql(options, context.environment)) {
    const { runMysql } = await import('./mysql/run.ts');
    return runMysql(options, database, ownerPassword(options, context), context);
  }
  const wanted = wantedPostgres(options, database);
  const connection = connectionFrom(options['database-url'], context);
  refuseStandby(connection);
  const password = ownerPassword(options, context);
  const usual = connection.database === database ? 'postgres' : connection.database;
  return perform(
    wanted,
    {
      connection: {
        ...connection,
        database: options['maintenance-database'] ?? usual,
        // Of several servers one is the primary: a standby is passed over.
        attributes: connection.hosts.length > 1 ? 'primary' : connection.attributes,
      },
      password,
      dryRun: options['dry-run'],
    },
    { ...context, resolve: createResolver(context) },
  );
}

/** Which kind of server it is, the URL's scheme tells. */
function isMysql(options: CreateDatabaseOptions, environment: Context['environment']): boolean {
  const url = options['database-url']?.reveal() ?? environment['DATABASE_URL'] ?? '';
  return /^\s*(?:jdbc:)?(?:mysql|mariadb)\w*:/i.test(url);
}

function checkOwner(options: CreateDatabaseOptions): void {
  const hasPassword = options['owner-password'] !== undefined || options['owner-password-env'] !== undefined;
  if (hasPassword && options.owner === undefined)
    throw new UsageError('a password was given, and no --owner that it is for');
}

/** @throws UsageError for what PostgreSQL does not have */
function wantedPostgres(options: CreateDatabaseOptions, database: string): WantedDatabase {
  refuseOptionsOf(options, ['user-host', 'auth-plugin', 'collation'], 'MySQL and MariaDB', 'PostgreSQL');
  const grants = options.grant.map(postgresGrant);
  for (const name of [
    database,
    options.owner,
    options['maintenance-database'],
    options.template,
    ...options.extension,
    ...grants.map(({ role }) => role),
  ])
    if (name !== undefined) checkPostgresName(name);
  // Whoever owns what new databases are copied from decides what is in all of them.
  if (/^template[01]$/.test(database))
    throw new UsageError(
      `${database} is what new databases are copied from; name the database that is to be made`,
    );
  if (options['maintenance-database'] === database)
    throw new UsageError(
      `--maintenance-database is ${database} itself; name another one that is there, such as postgres`,
    );
  return {
    database,
    owner: options.owner,
    extensions: [...new Set(options.extension)],
    grants,
    template: options.template,
    encoding: options.encoding,
    locale: options.locale,
  };
}

/** @throws UsageError where the variable is not set */
function ownerPassword(
  options: CreateDatabaseOptions,
  { environment, redactor }: Around,
): Secret | undefined {
  const variable = options['owner-password-env'];
  if (options['owner-password'] !== undefined) return options['owner-password'];
  if (variable === undefined) return undefined;
  const text = environment[variable];
  if (!text) throw new UsageError(`--owner-password-env: the variable ${variable} is not set, or empty`);
  refuseUnexpanded('secret', text, variable);
  return redactor.secret(text);
}

function refuseStandby({ attributes, origin }: Pick<ConnectionSettings, 'attributes' | 'origin'>): void {
  if (attributes === 'standby' || attributes === 'read-only')
    throw new UsageError(
      `target_session_attrs=${attributes} in ${origin} asks for a standby, on which nothing can be made`,
    );
}
