import { isIP } from '../../../../clients/dns/ip-address.ts';
import type { ConnectionSettings, UrlSource } from '../../../../clients/postgres/connection-string.ts';
import { parseUrl } from '../../../../clients/postgres/parameters.ts';
import { shownHostPort } from '../../../../core/host-port.ts';
import type { Values } from '../../../../core/options/option.ts';
import type { WaitStage } from '../../../../wait/stage.ts';
import { databaseOptions } from '../../../wait-postgres/options.ts';
import { checkDatabases, databasesOf, databaseTargets } from '../../../wait-postgres/run.ts';
import { parseUrlArgument } from '../../../wait-postgres/url.ts';
import { defineKind } from '../../kind.ts';

export const postgres = defineKind({
  options: databaseOptions,
  foreignParameters: true,
  limit: 5000,
  read({ address, options, limit }, around) {
    // `postgres:` alone is the database of the file or the variables.
    const urls = address.includes('://') ? [parseUrlArgument(address, around.secret)] : [];
    if (urls.length === 0 && address !== 'postgres:')
      throw new Error(
        'a database is written postgres://USER@HOST:PORT/DATABASE; postgres: alone is that of DATABASE_URL or the PG* variables',
      );
    checkDatabases({ options, positionals: urls }, around);
    return {
      name: nameOf(urls[0]),
      async open(context) {
        const [settings] = databasesOf(options, urls, context);
        if (settings === undefined) throw new Error('no database was read');
        return { ...databaseTargets(options, limit, context)(settings), stages: stagesOf(settings, options) };
      },
    };
  },
});

/** `db:5432/app`, as far as the URL alone tells. */
function nameOf(url: UrlSource | undefined): string {
  if (url === undefined) return 'the database of DATABASE_URL or the PG* variables';
  const { parameters } = parseUrl(url.url.reveal(), url.origin);
  const of = (name: string): string => parameters.get(name)?.text ?? '';
  const ports = of('port').split(',');
  const hosts = (of('host') || of('hostaddr')).split(',').map((host, index) => {
    const port = ports[index] || (ports.length === 1 && ports[0]) || '5432';
    return host.startsWith('/') ? `${host}:${port}` : shownHostPort(host, port);
  });
  return `${hosts.join(',')}/${of('dbname') || of('user')}`;
}

function stagesOf(
  { hosts, tls: { mode } }: ConnectionSettings,
  options: Values<typeof databaseOptions>,
): readonly WaitStage[] {
  const stages: WaitStage[] = hosts.some(
    ({ host, address }) => !address && !host.startsWith('/') && !isIP(host),
  )
    ? ['dns', 'tcp']
    : ['tcp'];
  if (mode === 'require' || mode.startsWith('verify')) stages.push('tls');
  stages.push('protocol');
  if (options.accepting) return stages;
  stages.push('login');
  const { primary, table, query, migrated } = options;
  if (primary || table.length > 0 || query !== undefined || migrated !== undefined) stages.push('assertion');
  return stages;
}
