import { longestMysqlPassword } from '../../../clients/mysql/password-hash.ts';
import { parseMysqlUrl, type MysqlUrl } from '../../../clients/mysql/url.ts';
import type { Context } from '../../../core/context.ts';
import type { ReadSecret } from '../../../core/options/resolve-options.ts';
import { UsageError } from '../../../core/outcome.ts';
import type { Secret } from '../../../core/redaction/redactor.ts';
import { mysqlGrant } from '../grant.ts';
import { checkMysqlName } from '../object-name.ts';
import type { CreateDatabaseOptions } from '../options.ts';
import { refuseOptionsOf } from '../other-options.ts';
import type { WantedMysql } from './wanted.ts';

type Around = Pick<Context, 'environment' | 'redactor'>;

/**
 * Reads what there is to be, and the URL.
 * @param readSecret undefined where files must not be read yet
 * @throws UsageError
 */
export function readMysql(
  options: CreateDatabaseOptions,
  database: string,
  around: Around,
  readSecret?: ReadSecret,
): { readonly wanted: WantedMysql; readonly url: MysqlUrl } {
  return { url: mysqlUrlOf(options, around, readSecret), wanted: wantedMysql(options, database) };
}

function mysqlUrlOf(
  options: CreateDatabaseOptions,
  { environment, redactor }: Around,
  readSecret: ReadSecret | undefined,
): MysqlUrl {
  const file = options['database-url'];
  const text = file?.reveal() ?? environment['DATABASE_URL'] ?? '';
  const origin = file === undefined ? 'DATABASE_URL' : '--database-url-file';
  if (!/^\s*(?:mysql|mariadb):\/\//i.test(text))
    throw new UsageError(`${origin}: a MySQL or MariaDB server is written mysql://USER:PASSWORD@HOST:PORT`);
  return parseMysqlUrl(file ?? redactor.secret(text), origin, { environment, redactor }, readSecret);
}

/** Databases of the server itself: whoever has rights on them has the server. */
const systemDatabases = /^(?:mysql|sys|information_schema|performance_schema)$/i;

/** @throws UsageError for what MySQL and MariaDB do not have */
function wantedMysql(options: CreateDatabaseOptions, database: string): WantedMysql {
  refuseOptionsOf(
    options,
    ['maintenance-database', 'extension', 'template', 'locale'],
    'PostgreSQL',
    'MySQL or MariaDB',
  );
  const grants = options.grant.map(mysqlGrant);
  checkMysqlName(database, 64);
  for (const user of [options.owner, ...grants.map((grant) => grant.user)])
    if (user !== undefined) checkMysqlName(user, 128);
  if (systemDatabases.test(database))
    throw new UsageError(`${database} is the server’s own; name the database that is to be made`);
  return {
    database,
    owner: options.owner,
    userHost: options['user-host'] ?? '%',
    plugin: options['auth-plugin'],
    grants,
    encoding: options.encoding,
    collation: options.collation,
  };
}

/** @throws UsageError for a password with which nobody could log in, or everybody */
export function checkMysqlPassword(password: Secret | undefined): void {
  const text = password?.reveal();
  if (text === undefined) return;
  if (text === '') throw new UsageError('the owner’s password is empty: anybody could log in');
  if (text.includes('\0')) throw new UsageError('the owner’s password has a NUL character');
  if (Buffer.byteLength(text) > longestMysqlPassword)
    throw new UsageError(
      `the owner’s password is longer than the ${longestMysqlPassword} bytes that MySQL takes`,
    );
}
