import type { FetchAnswer, ReadSource, SourceAddress } from '../../config/source.ts';
import { openAnswer, textList } from '../../config/text-list.ts';
import type { Paths } from '../../core/context.ts';
import { isDnsName } from '../../core/dns-name.ts';
import { portIn, splitHostPort } from '../../core/host-port.ts';
import { notYet } from '../../wait/attempt.ts';
import { explainDnsError } from './dns-errors.ts';
import { addressesFromHosts } from './hosts.ts';
import { isIP } from './ip-address.ts';
import { lookUp } from './lookup.ts';
import { namesNoTarget, type RecordType } from './query.ts';
import { readResolvConf, type ResolverConfig } from './resolv-conf.ts';

const addressTypes = ['A', 'AAAA'] as const;

/**
 * Reads `dns:NAME`, the records of a name as a pod resolves it: sorted and each once, since servers answer in a new order each
 * time. A name that does not exist, or has too few records, is waited for, as wait-dns does.
 */
export function dnsReader(
  address: SourceAddress,
  { paths }: { readonly paths: Pick<Paths, 'hosts' | 'resolvConf'> },
  saidSecret: boolean | undefined,
): ReadSource {
  const { path: name, options } = address;
  const type = options.get('type')?.toUpperCase() as RecordType | undefined;
  const types: readonly RecordType[] = type === undefined ? addressTypes : [type];
  const least = Number(options.get('min') ?? 1);
  let config: ResolverConfig | undefined;
  return async (probe) => {
    const own = ownAddresses(name, types, paths.hosts);
    if (own.length > 0) return judge(own);
    config ??= readResolvConf(paths.resolvConf);
    probe.phase(`asking ${config.servers.join(', ')}`);
    const { found, asked } = await lookUp(name, config, { types, signal: probe.signal });
    if (found === undefined) return explainDnsError(asked);
    // Half of a list would be another text at the next run.
    const replies = asked.at(-1)?.replies;
    const missing = types.filter((one) => {
      const kind = replies?.get(one)?.kind;
      return kind === undefined || kind === 'failed' || kind === 'silent';
    });
    if (missing.length > 0)
      return notYet(
        `has ${[...found.records.keys()].join(', ')} records, and no answer for ${missing.join(', ')}`,
        {
          hint: `where that family of addresses is not used, ask for the other one alone: ?type=${[...found.records.keys()].join()}`,
        },
      );
    return judge([...found.records.values()].flat());
  };

  function judge(records: readonly string[]): FetchAnswer {
    if (records.every(namesNoTarget))
      return notYet('says that there is no server for it', {
        hint: 'the root as the target of SRV stands for none (RFC 2782)',
      });
    // A server, or who answers in its place, may send any bytes; these end in a file that others read.
    if (!records.every(type === 'SRV' ? isTarget : isIP))
      return notYet('has a record that names no host and port', {
        hint: 'a target of SRV has letters, digits, hyphens and underscores (RFC 1035, 2.3.4): look at the record',
      });
    const list = [...new Set(records.map(canonical))].toSorted(inNumbers);
    const count = Math.max(...[...Map.groupBy(list, isIP).values()].map(({ length }) => length));
    if (count < least)
      return notYet(`has ${count} of ${least} records`, {
        hint: 'a headless Service lists the pods that are ready, and with publishNotReadyAddresses: true those that are still in their init containers: are there as many replicas?',
      });
    return openAnswer(
      { kind: 'value', value: textList(list, address), name: 'addresses' },
      address,
      saidSecret,
    );
  }
}

function ownAddresses(name: string, types: readonly RecordType[], hosts: string): readonly string[] {
  const known = isIP(name) ? [name] : addressesFromHosts(hosts, name);
  return known.filter((one) => types.includes(isIP(one) === 6 ? 'AAAA' : 'A'));
}

function isTarget(record: string): boolean {
  const { host = '', port = '' } = splitHostPort(record) ?? {};
  return isDnsName(host) && portIn(port) !== undefined;
}

/** In small letters and without the root's dot: servers may repeat a question's spelling. */
function canonical(record: string): string {
  return record.toLowerCase().replace(/\.(?=:|$)/, '');
}

/** Runs of digits by their number, so that `web-2` and `10.0.0.2` stand before `web-10` and `10.0.0.10`; IPv4 before IPv6. */
function inNumbers(a: string, b: string): number {
  const families = isIP(a) - isIP(b);
  if (families !== 0) return families;
  const [one, other] = [a, b].map((text) => text.replace(/\d+/g, (digits) => digits.padStart(20, '0')));
  return one! < other! ? -1 : one! > other! ? 1 : 0;
}
