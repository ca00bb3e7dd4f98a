import { createResolver } from '../../clients/dns/resolver.ts';
import type { ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import { lockKeyFrom } from '../../clients/postgres/lock-key.ts';
import { checkConnectionFrom, connectionFrom } from '../../clients/postgres/options.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import type { Context, Environment } from '../../core/context.ts';
import { UsageError, type Outcome } from '../../core/outcome.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import type { migrateWithLockOptions } from './options.ts';
import { readRequest } from './request.ts';

const directNames = { flag: '--direct-database-url-file', variable: 'DIRECT_DATABASE_URL' } as const;

/** Shows or changes records, tries the files, or does the work under the lock. */
export async function runMigrateWithLock(
  { options, command }: Input<typeof migrateWithLockOptions, unknown>,
  context: Context,
): Promise<Outcome> {
  const request = readRequest(options, command);
  const key = lockKeyFrom(options);
  const connection = readLockConnection(options, context);
  const client = {
    resolve: createResolver(context),
    clock: context.clock,
    redactor: context.redactor,
  };
  if (request.kind !== 'work') {
    const { forget, showStatus } = await import('./status.ts');
    return request.kind === 'status'
      ? showStatus(connection, key, context, client)
      : forget(connection, key, request.key, context, client);
  }
  if (request.work.kind === 'sql' && request.work.dryRun) {
    const { dryRun } = await import('./dry-run.ts');
    return dryRun(request.work, connection, key, options['lock-timeout'], context, client);
  }
  const { runUnderLock } = await import('./under-lock.ts');
  return runUnderLock(
    request.work,
    request.once,
    {
      connection,
      key,
      timing: { heartbeat: options.heartbeat, grace: options.grace },
      lockTimeout: options['lock-timeout'],
      commandTimeout: options['command-timeout'],
      sessionPooling: options['allow-session-pooling'],
    },
    context,
    client,
  );
}

/**
 * Checks where the database is, as far as it can be told without a file.
 * @throws UsageError, as runMigrateWithLock does for the same
 */
export function checkDatabase(
  { options }: Input<typeof migrateWithLockOptions, unknown>,
  { environment, redactor }: Surroundings,
): void {
  if (environment === undefined) return;
  const { file, names } = urlOf(options, environment);
  const connection = checkConnectionFrom(file, { environment, redactor }, names);
  if (connection !== undefined) refuseStandby(connection);
}

interface Urls {
  readonly 'database-url': Secret | undefined;
  readonly 'direct-database-url': Secret | undefined;
}

function urlOf(options: Urls, environment: Environment) {
  const file = options['direct-database-url'];
  const direct = file !== undefined || Boolean(environment[directNames.variable]);
  return direct ? { file, names: directNames } : { file: options['database-url'] };
}

function refuseStandby({ attributes, origin }: Pick<ConnectionSettings, 'attributes' | 'origin'>): void {
  if (attributes === 'standby' || attributes === 'read-only')
    throw new UsageError(
      `target_session_attrs=${attributes} in ${origin} asks for a standby, and a lock is the primary’s`,
    );
}

/** The lock's own connection: the direct URL where there is one. */
function readLockConnection(options: Urls, context: Context): ConnectionSettings {
  const { file, names } = urlOf(options, context.environment);
  const connection = connectionFrom(file, context, names);
  refuseStandby(connection);
  // Of several servers one is the primary: a standby is passed over. A single one is waited for, and said to be one.
  return connection.hosts.length > 1 ? { ...connection, attributes: primaryOf(connection) } : connection;
}

function primaryOf({ attributes }: ConnectionSettings): ConnectionSettings['attributes'] {
  return attributes === 'read-write' ? 'read-write' : 'primary';
}
