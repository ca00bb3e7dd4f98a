import { remembered } from '../../clients/dns/remembered.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { findAccepting } from '../../clients/postgres/accepting.ts';
import { connectPostgres } from '../../clients/postgres/connect.ts';
import {
  checkConnection,
  forStatements,
  readConnection,
  type ConnectionSettings,
  type Otherwise,
  type UrlSource,
} from '../../clients/postgres/connection-string.ts';
import { lockKeyFrom } from '../../clients/postgres/lock-key.ts';
import type { ConnectContext } from '../../clients/postgres/login.ts';
import { checkConnectionFrom, connectionFrom } from '../../clients/postgres/options.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { shownHostPort } from '../../core/host-port.ts';
import type { Values } from '../../core/options/option.ts';
import { everyOne, UsageError, type Outcome } from '../../core/outcome.ts';
import { bounded, paced } from '../../wait/attempt-timeout.ts';
import { satisfied, type Answer, type Probe, type Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import { requirementOf, type Demands } from './check.ts';
import type { databaseOptions, waitPostgresOptions } from './options.ts';

/** Logs in to every database until all meet the demands. */
export async function runWaitPostgres(
  { options, positionals: urls }: Input<typeof waitPostgresOptions, readonly UrlSource[]>,
  context: Context,
): Promise<Outcome> {
  const limit = options['attempt-timeout'];
  checkDemands(options, urls);
  const targetOf = databaseTargets(options, limit, context);
  const targets = databasesOf(options, urls, context).map((settings) =>
    bounded(targetOf(settings), limit, context.clock),
  );
  return waitOutcome(await waitFor(targets, paced(waitPlanOf(options, targets.length), limit), context));
}

/**
 * Finds where the databases are; without URLs, the one that the file or the variables name.
 * @throws UsageError
 */
export function databasesOf(
  options: Values<typeof databaseOptions>,
  urls: readonly UrlSource[],
  context: Pick<Context, 'environment' | 'redactor' | 'log'>,
): readonly ConnectionSettings[] {
  if (urls.length === 0)
    return [connectionFrom(options['database-url'], context, undefined, otherwiseOf(options))];
  const databases = urls.map((source) =>
    readConnection(source, context.environment, context.redactor, otherwiseOf(options)),
  );
  warnOf(databases, context);
  return databases;
}

/**
 * Makes of a database what logs in to it.
 * @param limit milliseconds that one attempt may take; 0 where there is no limit
 */
export function databaseTargets(
  options: Values<typeof databaseOptions>,
  limit: number,
  context: Pick<Context, 'paths' | 'host' | 'clock' | 'redactor'>,
): (settings: ConnectionSettings) => Target {
  const demands: Demands = {
    primary: options.primary,
    tables: options.table,
    query: options.query,
    migrated:
      options.migrated === undefined ? undefined : { lock: lockKeyFrom(options), key: options.migrated },
    statementTimeout: limit,
  };
  const client = {
    resolve: remembered(createResolver(context), context.clock),
    clock: context.clock,
    redactor: context.redactor,
    limit,
  };
  return (settings) => ({
    name: nameOf(settings),
    attempt: (probe) =>
      options.accepting
        ? findAccepting(settings, client, probe)
        : attemptLogin(settings, demands, client, probe),
  });
}

/**
 * Checks where the databases are, as far as it can be told without a file.
 * @throws UsageError, as runWaitPostgres does for the same
 */
export function checkDatabases(
  {
    options,
    positionals: urls,
  }: {
    readonly options: Values<typeof databaseOptions>;
    readonly positionals: readonly UrlSource[];
  },
  { environment, redactor }: Pick<Surroundings, 'environment' | 'redactor'>,
): void {
  checkDemands(options, urls);
  if (environment === undefined) return;
  if (urls.length === 0)
    checkConnectionFrom(options['database-url'], { environment, redactor }, undefined, otherwiseOf(options));
  everyOne(urls, (source) => checkConnection(source, environment, redactor, otherwiseOf(options)));
}

/** Without a login nobody need be named. */
function otherwiseOf({ accepting }: Pick<Values<typeof databaseOptions>, 'accepting'>): Otherwise {
  return accepting ? { user: 'initbox' } : {};
}

function checkDemands(options: Values<typeof databaseOptions>, urls: readonly UrlSource[]): void {
  const needing = (
    [
      ['--primary', options.primary],
      ['--table', options.table.length > 0],
      ['--query', options.query !== undefined],
      ['--migrated', options.migrated !== undefined],
    ] as const
  ).find(([, given]) => given);
  if (options.accepting && needing !== undefined)
    throw new UsageError(`${needing[0]} needs a login, and --accepting makes none; use one of the two`);
  if (urls.length > 0 && options['database-url'] !== undefined)
    throw new UsageError('URLs and --database-url-file were given; use one, not both');
}

function warnOf(databases: readonly ConnectionSettings[], { log }: Pick<Context, 'log'>): void {
  for (const warning of new Set(databases.flatMap(({ warnings }) => warnings))) log.warn(warning);
}

/** `db:5432/app`, or `a:5432,b:5432/app` */
function nameOf({ hosts, database }: ConnectionSettings): string {
  const shown = hosts.map(({ host, port }) =>
    host.startsWith('/') ? `${host}:${port}` : shownHostPort(host, port),
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
  const answer = await connectPostgres(
    demands.query === undefined ? settings : forStatements(settings),
    client,
    probe,
    requirementOf(demands, probe),
  );
  if (answer.state !== 'connected') return answer;
  const { peer } = answer.session;
  // Not waited for: the answer is known, and the server may take its time.
  void answer.session.end();
  return satisfied(`answers queries (${peer})`);
}
