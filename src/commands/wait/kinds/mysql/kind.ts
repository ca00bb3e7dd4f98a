import { endpointName } from '../../../../clients/connection/endpoint.ts';
import { attemptMysql, type MysqlDemands, type MysqlTable } from '../../../../clients/mysql/attempt.ts';
import { mysqlSslMode, mysqlUrlOptions, readMysqlUrl } from '../../../../clients/mysql/url.ts';
import { quoted } from '../../../../core/misplaced-secret.ts';
import { flag, list, text } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';

const { user, password, 'password-env': passwordEnv, ...tlsAndKey } = mysqlUrlOptions;

const mysqlOptions = {
  user,
  password,
  'password-env': passwordEnv,
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
  ...tlsAndKey,
};

export const mysql = defineKind({
  options: mysqlOptions,
  limit: 5000,
  read({ address, options }, around) {
    const { endpoint, database, open } = readMysqlUrl(address, options, around);
    const unplaced = options.table.find((table) => table.database === undefined);
    if (unplaced !== undefined && database === undefined)
      throw new UsageError(`table: the URL names no database; write DATABASE.${unplaced.table}`);
    const name = `${endpointName(endpoint)}${database === undefined ? '' : `/${database}`}`;
    return {
      name,
      open(context) {
        const server = open(context);
        const demands: MysqlDemands = {
          ...server,
          primary: options.primary,
          tables: options.table,
          query: options.query,
        };
        const tools = serverTools(context);
        const stages = serverStages([endpoint], {
          tls: server.tls !== undefined && mysqlSslMode(options) !== 'preferred',
          login: true,
          assertion: options.primary || options.table.length > 0 || options.query !== undefined,
        });
        return { name, stages, attempt: (probe) => attemptMysql(demands, tools, probe) };
      },
    };
  },
});

/** @throws Error that says what is accepted */
function parseMysqlTable(given: string): MysqlTable {
  const parts = given.split('.');
  const [first = '', second] = parts;
  if (parts.length > 2 || parts.some((part) => part === '' || part.length > 64 || /[`"\0/\\]/.test(part)))
    throw new Error(`${quoted(given)} is not the name of a table; write TABLE or DATABASE.TABLE`);
  return second === undefined ? { database: undefined, table: first } : { database: first, table: second };
}
