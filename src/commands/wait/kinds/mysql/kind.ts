import type { TlsSettings } from '../../../../clients/http/tls.ts';
import { attemptMysql, type MysqlDemands, type MysqlTable } from '../../../../clients/mysql/attempt.ts';
import type { Environment } from '../../../../core/context.ts';
import { flag, list, text, value, type Values } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { endpointName } from '../../../wait-tcp/target.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';
import {
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../server-url.ts';

/** How far TLS is asked for, as mysql's own client has it. */
const modes = ['disabled', 'preferred', 'required', 'verify-ca', 'verify-identity'] as const;

const { insecure: _, ...fileOptions } = tlsTargetOptions;

const mysqlOptions = {
  ...credentialOptions,
  primary: flag({ description: 'it must take writes: read_only is off' }),
  table: list({
    description: 'a table or view that must be there, and on which the user has some right',
    placeholder: '[DATABASE.]TABLE',
    parse: parseMysqlTable,
  }),
  query: text({
    description: 'query that must return 1; it runs in a read-only transaction',
    placeholder: 'SQL',
  }),
  'ssl-mode': value({
    description:
      'whether TLS is used and what is verified; unset, verify-identity where ca-file is given, else preferred',
    placeholder: modes.join('|'),
    parse: parseMode,
    choices: modes,
  }),
  ...fileOptions,
  'get-server-public-key': flag({
    description:
      'without TLS, send the password encrypted by the key that the server sends, which nobody has verified',
  }),
};

type MysqlOptions = Values<typeof mysqlOptions>;

/** mysql's own (https://mariadb.com/kb/en/mariadb-environment-variables/). */
const variables = { password: 'MYSQL_PWD' };

export const mysql = defineKind({
  options: mysqlOptions,
  limit: 5000,
  read({ address, options }, around) {
    const url = readServerUrl(address, { port: 3306 }, around);
    if (url.path.includes('/') || url.path.includes('\0'))
      throw new Error(
        'what follows the host of a mysql URL is one database, as mysql://USER@HOST:3306/DATABASE',
      );
    const database = url.path === '' ? undefined : url.path;
    const [endpoint] = url.endpoints;
    const { user } = readCredentials(url, options, around, variables);
    if (user === undefined)
      throw new UsageError('the mysql URL names no user; write mysql://USER@HOST:PORT/DATABASE, or user');
    if (Buffer.byteLength(user) > 200 || user.includes('\0'))
      throw new UsageError('the user is not a valid name');
    checkMode(options);
    const unplaced = options.table.find((table) => table.database === undefined);
    if (unplaced !== undefined && database === undefined)
      throw new UsageError(`table: the URL names no database; write DATABASE.${unplaced.table}`);
    const name = `${endpointName(endpoint)}${database === undefined ? '' : `/${database}`}`;
    return {
      name,
      open(context) {
        const { password } = readCredentials(url, options, context, variables);
        const mode = modeOf(options);
        const tls = tlsOf(options, context.environment);
        const demands: MysqlDemands = {
          endpoint,
          tls,
          tlsOptional: mode === 'preferred',
          user,
          password,
          database,
          fetchKey: options['get-server-public-key'],
          primary: options.primary,
          tables: options.table,
          query: options.query,
        };
        const tools = serverTools(context);
        const stages = serverStages([endpoint], {
          tls: tls !== undefined && mode !== 'preferred',
          login: true,
          assertion: options.primary || options.table.length > 0 || options.query !== undefined,
        });
        return { name, stages, attempt: (probe) => attemptMysql(demands, tools, probe) };
      },
    };
  },
});

function modeOf(options: MysqlOptions): (typeof modes)[number] {
  return options['ssl-mode'] ?? (options['ca-file'] === undefined ? 'preferred' : 'verify-identity');
}

/** @throws UsageError where somebody may believe that something is verified or shown */
function checkMode(options: MysqlOptions): void {
  const mode = modeOf(options);
  if (!mode.startsWith('verify'))
    for (const name of ['ca-file', 'tls-server-name'] as const)
      if (options[name] !== undefined)
        throw new UsageError(`${name} has no effect with ssl-mode=${mode}; write ssl-mode=verify-identity`);
  if ((options['cert-file'] === undefined) !== (options['key-file'] === undefined))
    throw new UsageError('cert-file and key-file need each other; give both');
  if (options['cert-file'] !== undefined && mode === 'disabled')
    throw new UsageError('cert-file has no effect with ssl-mode=disabled');
}

function tlsOf(options: MysqlOptions, environment: Environment): TlsSettings | undefined {
  const mode = modeOf(options);
  if (mode === 'disabled') return undefined;
  const read = readTls({ ...options, insecure: !mode.startsWith('verify') }, environment);
  return mode === 'verify-ca' ? { ...read, anyName: true } : read;
}

function parseMode(given: string): (typeof modes)[number] {
  // mysql's client writes VERIFY_IDENTITY.
  const mode = given.toLowerCase().replaceAll('_', '-');
  const found = modes.find((known) => known === mode);
  if (found === undefined) throw new Error(`"${given}" is not one of ${modes.join(', ')}`);
  return found;
}

/** @throws Error that says what is accepted */
function parseMysqlTable(given: string): MysqlTable {
  const parts = given.split('.');
  const [first = '', second] = parts;
  if (parts.length > 2 || parts.some((part) => part === '' || part.length > 64 || /[`"\0/\\]/.test(part)))
    throw new Error(`${JSON.stringify(given)} is not the name of a table; write TABLE or DATABASE.TABLE`);
  return second === undefined ? { database: undefined, table: first } : { database: first, table: second };
}
