import { createResolver } from '../../clients/dns/resolver.ts';
import { namesServer, type ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import { lockKeyFrom, lockKeyOptions } from '../../clients/postgres/lock-key.ts';
import { parseOnceKey } from '../../clients/postgres/once-record.ts';
import { connectionFrom, connectionOptions } from '../../clients/postgres/options.ts';
import { defineCommand } from '../../core/command.ts';
import type { Context, Environment } from '../../core/context.ts';
import { parseDuration } from '../../core/duration.ts';
import {
  durationOr,
  flag,
  list,
  parseText,
  secret,
  text,
  value,
  valueOr,
} from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { parseAcceptance } from '../../migrations/accept.ts';
import { readRequest } from './request.ts';

const directNames = { flag: '--direct-database-url-file', variable: 'DIRECT_DATABASE_URL' } as const;

export const migrateWithLock = defineCommand({
  name: 'migrate-with-lock',
  summary: 'run migrations in one replica at a time',
  description: `Runs a command while holding a lock in the PostgreSQL database that it migrates, so that any migration tool is safe however many replicas start at once. The others wait, and then run it in turn; with --once KEY they find that it is done and go on at once.

The lock is a session's advisory lock, watched over while the command runs: when it is lost, the command's process group is stopped and the exit status is 75. Connections through a pooler are refused: give the server's own URL by --direct-database-url-file.

--once is at least once: a command whose end could not be written down runs again. What holds and what does not is told in docs/locking.md.`,
  examples: [
    'initbox migrate-with-lock -- ./migrate --target=latest',
    'initbox migrate-with-lock --once "$IMAGE_DIGEST" -- ./migrate',
    'initbox migrate-with-lock --sql /migrations',
    'initbox migrate-with-lock --lock-name orders --lock-timeout 10m --command-timeout 5m -- alembic upgrade head',
    'initbox migrate-with-lock --status',
  ],
  options: {
    ...connectionOptions,
    'direct-database-url': secret({
      description:
        'the file that holds the URL of the server itself, for the lock, where the database’s URL is a pooler’s; unset, DIRECT_DATABASE_URL',
    }),
    'allow-session-pooling': flag({
      description:
        'accept a pooler in session mode; a holder that dies with its node is then noticed by a lease alone',
    }),
    ...lockKeyOptions,
    'lock-timeout': durationOr({
      description: 'how long to wait for the database and the lock; 0 is no limit',
      fallback: '1h',
    }),
    'command-timeout': durationOr({
      description: 'how long the command, or --sql, may take; 0 is no limit',
      fallback: '1h',
    }),
    grace: durationOr({
      description: 'how long the command has to end after a TERM, before its process group is killed',
      fallback: '10s',
    }),
    heartbeat: valueOr({
      description: 'how often the lock is checked, and how long a check may take',
      placeholder: 'DURATION',
      parse: (given: string) => {
        const milliseconds = parseDuration(given);
        if (milliseconds < 100 || milliseconds > 60_000)
          throw new Error(`"${given}" is not between 100ms and 1m`);
        return milliseconds;
      },
      fallback: '5s',
    }),
    once: value({
      description:
        'what the work is known by, such as the image’s digest: a replica that finds it done runs nothing',
      placeholder: 'KEY',
      parse: parseOnceKey,
      // Its own words say what an empty key would do.
      allowEmpty: true,
    }),
    sql: text({ description: 'run this directory’s SQL files instead of a command', placeholder: 'DIR' }),
    baseline: text({
      description: 'with --sql: take the files up to this version for done',
      placeholder: 'VERSION',
    }),
    accept: list({
      description: 'with --sql: accept a difference between the files and what was run, once looked at',
      placeholder: 'KIND:VERSION',
      parse: parseAcceptance,
    }),
    'dry-run': flag({ description: 'with --sql: print as JSON what would be run' }),
    status: flag({ description: 'print as JSON who holds the lock, and what --once has recorded' }),
    forget: value({
      description: 'remove a record of --once',
      placeholder: 'KEY',
      parse: parseText,
    }),
  },
  afterDashes: 'child',
  timeout: undefined,
  check({ options, command }) {
    readRequest(options, command);
  },
  async run({ options, command }, context) {
    const request = readRequest(options, command);
    const key = lockKeyFrom(options);
    const { connection, sameRoute } = readConnections(options, context);
    const client = { resolve: createResolver(context.paths), clock: context.clock };
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
        sameRoute,
      },
      context,
      client,
    );
  },
});

/** The lock's own connection, the direct URL where there is one; and whether the command will come by the same way. */
function readConnections(
  options: {
    readonly 'database-url': Secret | undefined;
    readonly 'direct-database-url': Secret | undefined;
  },
  context: Context,
): { readonly connection: ConnectionSettings; readonly sameRoute: boolean } {
  const { environment } = context;
  const file = options['direct-database-url'];
  const direct = file !== undefined || Boolean(environment[directNames.variable]);
  const connection = direct
    ? connectionFrom(file, context, directNames)
    : connectionFrom(options['database-url'], context);
  if (connection.attributes === 'standby' || connection.attributes === 'read-only') {
    throw new UsageError(
      `target_session_attrs=${connection.attributes} in ${connection.origin} asks for a standby, and a lock is the primary’s`,
    );
  }
  // Of several servers one is the primary: a standby is passed over. A single one is waited for, and said to be one.
  return {
    connection:
      connection.hosts.length > 1 ? { ...connection, attributes: primaryOf(connection) } : connection,
    sameRoute: !direct && isCommandsRoute(options['database-url'], environment),
  };
}

/** False where the environment names another server to the command than the file does to the lock: a pooler, say. */
function isCommandsRoute(file: Secret | undefined, environment: Environment): boolean {
  if (file === undefined) return true;
  const variable = environment['DATABASE_URL'];
  return variable ? variable === file.reveal() : !namesServer(environment);
}

function primaryOf({ attributes }: ConnectionSettings): ConnectionSettings['attributes'] {
  return attributes === 'read-write' ? 'read-write' : 'primary';
}
