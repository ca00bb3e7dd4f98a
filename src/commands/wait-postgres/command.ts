import { remembered } from '../../clients/dns/remembered.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { connectPostgres, type ConnectContext } from '../../clients/postgres/connect.ts';
import { readConnection, type ConnectionSettings } from '../../clients/postgres/connection-string.ts';
import { lockKeyFrom, lockKeyOptions } from '../../clients/postgres/lock-key.ts';
import { parseOnceKey } from '../../clients/postgres/once-record.ts';
import { connectionFrom, connectionOptions } from '../../clients/postgres/options.ts';
import { defineCommand, each } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { flag, list, text, value } from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { attemptOptions, bounded, paced } from '../../wait/attempt-timeout.ts';
import { satisfied, type Answer, type Probe } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import { requirementOf, type Demands } from './check.ts';
import { parseTable } from './table.ts';
import { parseUrlArgument } from './url.ts';

const positionals = {
  usage: '[URL…]',
  name: 'urls',
  description: 'URLs of databases; without any, --database-url-file, DATABASE_URL or the PG* variables',
  parse: each('URL', parseUrlArgument, { min: 0, example: 'postgres://app@postgres-service:5432/app' }),
};

export const waitPostgres = defineCommand({
  name: 'wait-postgres',
  summary: 'wait until PostgreSQL answers queries',
  description: `Waits until a login succeeds and SELECT 1 is answered, and all else that is asked for holds on that same connection: a primary, tables, a query, a migration that is done. Each attempt is a connection of its own.

A server that refuses connections, starts up (57P03) or has none left (53300) is waited for. A wrong password (28P01), a refused role (28000) and a missing database (3D000) end it at once with 69: waiting does not change them.`,
  examples: [
    'initbox wait-postgres',
    'initbox wait-postgres --table public.users',
    'initbox wait-postgres --primary --stable-for 5s -- ./server',
    'initbox wait-postgres --migrated "$IMAGE_DIGEST" --timeout 30m',
    "initbox wait-postgres --query 'SELECT count(*) > 0 FROM settings' --database-url-file /run/secrets/url",
  ],
  positionals,
  options: {
    ...connectionOptions,
    primary: flag({ description: 'it must be a primary that takes writes' }),
    table: list({
      description: 'a table or view that must be there, and on which the role has some right',
      placeholder: '[SCHEMA.]TABLE',
      parse: parseTable,
    }),
    query: text({
      description: 'SQL that must give one true; it runs in a transaction that may only read',
      placeholder: 'SQL',
    }),
    migrated: value({
      description: 'a key that migrate-with-lock --once must have recorded as done',
      placeholder: 'KEY',
      parse: parseOnceKey,
      // Its own words say what an empty key would do.
      allowEmpty: true,
    }),
    ...lockKeyOptions,
    ...attemptOptions,
    ...waitOptions,
  },
  afterDashes: 'successor',
  timeout: '5m',
  async run({ options, positionals: urls }, context) {
    const limit = options['attempt-timeout'];
    if (urls.length > 0 && options['database-url'] !== undefined)
      throw new UsageError('URLs and --database-url-file were given; one of them is taken');
    const demands: Demands = {
      primary: options.primary,
      tables: options.table,
      query: options.query,
      migrated:
        options.migrated === undefined ? undefined : { lock: lockKeyFrom(options), key: options.migrated },
      statementTimeout: limit,
    };
    const databases =
      urls.length > 0
        ? urls.map((source) => readConnection(source, context.environment, context.redactor))
        : [connectionFrom(options['database-url'], context)];
    if (urls.length > 0) warnOf(databases, context);
    const client = {
      resolve: remembered(createResolver(context.paths), context.clock),
      clock: context.clock,
    };
    const targets = databases.map((settings) =>
      bounded(
        {
          name: nameOf(settings),
          attempt: (probe) => attemptLogin(settings, demands, client, probe),
        },
        limit,
        context.clock,
      ),
    );
    return waitOutcome(await waitFor(targets, paced(waitPlanOf(options, targets.length), limit), context));
  },
});

function warnOf(databases: readonly ConnectionSettings[], { log }: Pick<Context, 'log'>): void {
  for (const warning of new Set(databases.flatMap(({ warnings }) => warnings))) log.warn(warning);
}

/** `db:5432/app`, or `a:5432,b:5432/app` */
function nameOf({ hosts, database }: ConnectionSettings): string {
  const shown = hosts.map(({ host, port }) =>
    host.startsWith('/') ? `${host}:${port}` : `${host.includes(':') ? `[${host}]` : host}:${port}`,
  );
  return `${shown.join(',')}/${database}`;
}

/** One login, the questions, and a goodbye. */
async function attemptLogin(
  settings: ConnectionSettings,
  demands: Demands,
  client: ConnectContext,
  probe: Probe,
): Promise<Answer> {
  const answer = await connectPostgres(settings, client, probe, requirementOf(demands, probe));
  if (answer.state !== 'connected') return answer;
  const { peer } = answer.session;
  // Not waited for: the answer is known, and the server may take its time.
  void answer.session.end();
  return satisfied(`answers queries (${peer})`);
}
