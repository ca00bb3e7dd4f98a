import type { Context } from '../../core/context.ts';
import { secret } from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { namesServer, readConnection, type ConnectionSettings } from './connection-string.ts';

/** What every command that talks to Postgres takes. */
export const connectionOptions = {
  'database-url': secret({
    description: 'the file that holds the database’s URL; unset, DATABASE_URL, then libpq’s PG* variables',
  }),
};

/**
 * Finds the settings of the connection: the file, then DATABASE_URL, then the PG* variables. A URL takes from the
 * variables what it does not say itself.
 * @throws UsageError
 */
export function connectionFrom(
  file: Secret | undefined,
  context: Pick<Context, 'environment' | 'redactor' | 'log'>,
  names: { readonly flag: string; readonly variable: string } = {
    flag: '--database-url-file',
    variable: 'DATABASE_URL',
  },
): ConnectionSettings {
  const { environment, redactor } = context;
  const variable = environment[names.variable];
  const source = file
    ? { url: file, origin: names.flag }
    : variable
      ? { url: redactor.secret(variable), origin: names.variable }
      : undefined;
  if (source === undefined && !namesServer(environment)) {
    throw new UsageError(
      `no database was named; set ${names.variable}, ${names.flag}, or PGHOST with PGUSER, PGPASSWORD and PGDATABASE`,
    );
  }
  const settings = readConnection(source, environment, redactor);
  for (const warning of settings.warnings) context.log.warn(warning);
  return settings;
}
