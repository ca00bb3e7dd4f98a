import { explainDnsError } from '../../../../clients/dns/dns-errors.ts';
import { lookUp } from '../../../../clients/dns/lookup.ts';
import type { RecordType } from '../../../../clients/dns/query.ts';
import type { ResolverConfig } from '../../../../clients/dns/resolv-conf.ts';
import type { FindMongodbSeeds, MongodbSeeds } from '../../../../clients/mongodb/attempt.ts';
import type { Endpoint } from '../../../../clients/tcp.ts';
import type { Clock } from '../../../../core/clock.ts';
import { exitStatus } from '../../../../core/exit-status.ts';
import { portIn, splitHostPort } from '../../../../core/host-port.ts';
import { never, type Never, type NotYet, type Probe } from '../../../../wait/attempt.ts';

/** Milliseconds for which what was found is used again, as addresses are. */
const lifetime = 1000;

/**
 * Looks a cluster up (https://github.com/mongodb/specifications/blob/master/source/initial-dns-seedlist-discovery/initial-dns-seedlist-discovery.md).
 * @param service the first label of the SRV record, `mongodb` unless told otherwise
 */
export function mongodbSeeds(
  host: string,
  service: string,
  config: () => ResolverConfig,
  clock: Clock,
): FindMongodbSeeds {
  let known: { readonly seeds: MongodbSeeds; readonly until: number } | undefined;
  return async (probe) => {
    if (known !== undefined && clock.now() < known.until) return known.seeds;
    const found = await find(host.replace(/\.$/, ''), service, config(), probe);
    if (!('state' in found)) known = { seeds: found, until: clock.now() + lifetime };
    return found;
  };
}

async function find(
  host: string,
  service: string,
  config: ResolverConfig,
  probe: Probe,
): Promise<MongodbSeeds | NotYet | Never> {
  const name = `_${service}._tcp.${host}`;
  probe.phase(`asking ${config.servers.join(', ')} for the SRV records of ${name}`);
  const ask = (of: string, type: RecordType) =>
    // With a dot: no driver looks through the search list for them.
    lookUp(`${of}.`, config, { types: [type], signal: probe.signal });
  const [{ found: servers, asked }, { found: texts, asked: askedForText }] = await Promise.all([
    ask(name, 'SRV'),
    ask(host, 'TXT'),
  ]);
  if (servers === undefined) return explainDnsError(asked);
  const [text] = askedForText;
  const kind = text?.replies.get('TXT')?.kind;
  // Without an answer nobody knows whether there is one that counts.
  if (kind === 'failed' || kind === 'silent') return explainDnsError(askedForText);
  const endpoints: Endpoint[] = [];
  for (const record of servers.records.get('SRV') ?? []) {
    const parts = splitHostPort(record);
    const port = portIn(parts?.port ?? '');
    if (parts === undefined || port === undefined) continue;
    if (!isBelow(parts.host, host))
      return never(
        exitStatus.refused,
        `the SRV record of ${name} names ${parts.host}, which is in another domain`,
        'drivers refuse that: is the record right, or the name in the URL?',
      );
    endpoints.push({ kind: 'tcp', host: parts.host, port });
  }
  return { endpoints, ...readText(texts?.records.get('TXT') ?? []) };
}

/** Whether a server is in the domain of the name that was asked for, as drivers want it. */
function isBelow(server: string, host: string): boolean {
  const labels = host.toLowerCase().split('.');
  const domain = labels.length < 3 ? labels : labels.slice(1);
  return server
    .toLowerCase()
    .replace(/\.$/, '')
    .endsWith(`.${domain.join('.')}`);
}

function readText(records: readonly string[]): Pick<MongodbSeeds, 'source' | 'replicaSet'> {
  // Others may have TXT records at the same name; a driver refuses several.
  const options = new URLSearchParams(records.find((record) => /^(?:authSource|replicaSet)=/i.test(record)));
  const valueOf = (name: string) =>
    [...options].find(([given]) => given.toLowerCase() === name.toLowerCase())?.[1] || undefined;
  return { source: valueOf('authSource'), replicaSet: valueOf('replicaSet') };
}
