import type { Context, Environment } from '../../core/context.ts';
import { secret } from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import { unreadSecret, type Redactor, type Secret } from '../../core/redaction/redactor.ts';
import {
  checkConnection,
  namesServer,
  readConnection,
  type ConnectionSettings,
  type Otherwise,
  type UrlSource,
} from './connection-string.ts';

/** What every command that talks to Postgres takes. */
export const connectionOptions = {
  'database-url': secret({
    description: 'the file that holds the database’s URL; unset, DATABASE_URL, then libpq’s PG* variables',
  }),
};

/** How a command calls the file and the variable of its URL. */
interface UrlNames {
  readonly flag: string;
  readonly variable: string;
}

const usualNames: UrlNames = { flag: '--database-url-file', variable: 'DATABASE_URL' };

/**
 * Finds the settings of the connection: the file, then DATABASE_URL, then the PG* variables. A URL takes from the
 * variables what it does not say itself.
 * @throws UsageError
 */
export function connectionFrom(
  file: Secret | undefined,
  context: Pick<Context, 'environment' | 'redactor' | 'log'>,
  names: UrlNames = usualNames,
  otherwise: Otherwise = {},
): ConnectionSettings {
  const { environment, redactor } = context;
  const source = sourceOf(file, environment, redactor, names);
  const settings = readConnection(source, environment, redactor, otherwise);
  for (const warning of settings.warnings) context.log.warn(warning);
  return settings;
}

/**
 * Checks the same as far as it can be told without a file.
 * @returns undefined where the URL is in a file that is not read yet
 * @throws UsageError
 */
export function checkConnectionFrom(
  file: Secret | undefined,
  { environment, redactor }: { readonly environment: Environment; readonly redactor: Redactor },
  names: UrlNames = usualNames,
  otherwise: Otherwise = {},
): Pick<ConnectionSettings, 'attributes' | 'origin'> | undefined {
  if (file === unreadSecret) return undefined;
  return checkConnection(sourceOf(file, environment, redactor, names), environment, redactor, otherwise);
}

/** @throws UsageError where nothing names a server */
function sourceOf(
  file: Secret | undefined,
  environment: Environment,
  redactor: Redactor,
  names: UrlNames,
): UrlSource | undefined {
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
  return source;
}
