import { defineCommand, each } from '../../core/command.ts';
import { waitPostgresOptions } from './options.ts';
import { checkDatabases, runWaitPostgres } from './run.ts';
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
  options: waitPostgresOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkDatabases,
  run: runWaitPostgres,
});
