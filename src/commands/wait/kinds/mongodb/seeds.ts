import type { Endpoint } from '../../../../clients/connection/endpoint.ts';
import { explainDnsError } from '../../../../clients/dns/dns-errors.ts';
import { lookUp } from '../../../../clients/dns/lookup.ts';
import { namesNoTarget, type RecordType } from '../../../../clients/dns/query.ts';
import type { ResolverConfig } from '../../../../clients/dns/resolv-conf.ts';
import type { FindMongodbSeeds, MongodbSeeds } from '../../../../clients/mongodb/attempt.ts';
import type { Clock } from '../../../../core/clock.ts';
import { exitStatus } from '../../../../core/exit-status.ts';
import { portIn, splitHostPort } from '../../../../core/host-port.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../../../wait/attempt.ts';

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
    if (namesNoTarget(record)) continue;
    const parts = splitHostPort(record);
    if (parts === undefined || !/^[\w.-]{1,253}$/.test(parts.host))
      return wrongRecord(`the SRV record of ${name} names a server that is not a host name`);
    const port = portIn(parts.port ?? '');
    if (port === undefined)
      return wrongRecord(`the SRV record of ${name} names port ${parts.port ?? ''} of ${parts.host}`);
    if (!isBelow(parts.host, host))
      return wrongRecord(`the SRV record of ${name} names ${parts.host}, which is in another domain`);
    endpoints.push({ kind: 'tcp', host: parts.host, port });
  }
  if (endpoints.length === 0)
    return notYet(`the SRV record of ${name} has the target ".": there is no such service`, {
      hint: 'whoever has the DNS zone says so (RFC 2782): is it the right name, or is the cluster still to come?',
      absent: true,
    });
  const options = readText(host, texts?.records.get('TXT') ?? []);
  return 'state' in options ? options : { endpoints, ...options };
}

/** Drivers refuse it, so that nobody with this URL could connect. */
function wrongRecord(what: string): Never {
  return never(exitStatus.refused, what, 'drivers refuse that: is the record right, or the name in the URL?');
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

/** What a TXT record may say, and drivers take from it. */
const textOptions = new Set(['authsource', 'replicaset', 'loadbalanced']);

/** @returns Never where drivers refuse what stands there */
function readText(
  host: string,
  records: readonly string[],
): Pick<MongodbSeeds, 'source' | 'replicaSet'> | Never {
  if (records.length > 1)
    return wrongRecord(`${host} has ${records.length} TXT records, and one is supported`);
  const options = [...new URLSearchParams(records[0])];
  const other = options.find(([name]) => !textOptions.has(name.toLowerCase()));
  if (other !== undefined) {
    const shown = /^[\w.-]{1,40}$/.test(other[0]) ? other[0] : 'something else';
    return wrongRecord(
      `the TXT record of ${host} has ${shown}; only authSource, replicaSet and loadBalanced are supported from DNS`,
    );
  }
  const valueOf = (name: string) =>
    options.find(([given]) => given.toLowerCase() === name.toLowerCase())?.[1] || undefined;
  return { source: valueOf('authSource'), replicaSet: valueOf('replicaSet') };
}
