import { explainDnsError } from '../../clients/dns/dns-errors.ts';
import { addressesFromHosts } from '../../clients/dns/hosts.ts';
import { isIP } from '../../clients/dns/ip-address.ts';
import { lookUp } from '../../clients/dns/lookup.ts';
import { namesNoTarget, type RecordType } from '../../clients/dns/query.ts';
import type { ResolverConfig } from '../../clients/dns/resolv-conf.ts';
import { notYet, satisfied, type Answer, type Probe } from '../../wait/attempt.ts';

/** What must be true of a name. */
export interface Expectation {
  readonly types: readonly RecordType[];
  readonly minAddresses: number;
  /** Records that must all be among the answers. */
  readonly expected: readonly string[];
}

const shown = 8;

/** One attempt at one name. `hosts` is undefined where only name servers are to be asked. */
export async function attemptLookup(
  name: string,
  expectation: Expectation,
  config: ResolverConfig,
  hosts: string | undefined,
  probe: Probe,
): Promise<Answer> {
  const known = isIP(name) ? [name] : hosts === undefined ? [] : addressesFromHosts(hosts, name);
  const wanted = byFamily(known.filter((address) => expectation.types.includes(familyOf(address))));
  if (wanted.size > 0) {
    probe.reached?.('dns');
    return judge('', wanted, expectation);
  }
  probe.phase(`asking ${config.servers.join(', ')}`);
  const { found, asked } = await lookUp(name, config, { types: expectation.types, signal: probe.signal });
  if (found === undefined) return explainDnsError(asked);
  probe.reached?.('dns');
  // The name itself stands before what is said; another one is of the search list.
  return judge(same(found.name, name) ? '' : `as ${found.name} `, found.records, expectation);
}

function familyOf(address: string): 'A' | 'AAAA' {
  return isIP(address) === 6 ? 'AAAA' : 'A';
}

function byFamily(addresses: readonly string[]): ReadonlyMap<RecordType, readonly string[]> {
  return Map.groupBy(addresses, familyOf);
}

function judge(
  as: string,
  found: ReadonlyMap<RecordType, readonly string[]>,
  expectation: Expectation,
): Answer {
  const records = [...found.values()].flat();
  const said = `${records.slice(0, shown).join(', ')}${records.length > shown ? ` and ${records.length - shown} more` : ''}`;
  const missing = expectation.expected.filter((record) => !records.some((other) => same(other, record)));
  if (missing.length > 0) return notYet(`${as}is ${said}, without ${missing.join(', ')}`);
  if (expectation.expected.length === 0 && records.every(namesNoTarget))
    return notYet(`${as}is ${said}, which says that there is no server for it`, {
      hint: 'the root as the target of SRV or MX stands for none (RFC 2782, RFC 7505); --expect . waits for such a record of MX',
      absent: true,
    });
  // By type: in a cluster of two address families every pod has one address of each.
  const count = Math.max(...[...found.values()].map((list) => new Set(list).size));
  if (count < expectation.minAddresses) {
    const what = found.size > 1 ? 'addresses of one family' : 'addresses';
    return notYet(`${as}has ${count} of ${expectation.minAddresses} ${what}: ${said}`, {
      hint: 'a headless Service lists the pods that are ready: are there as many replicas, and are they Ready?',
    });
  }
  return satisfied(`is ${said}`);
}

/** Names compare without case or trailing dot, IPv6 addresses by value. */
function same(a: string, b: string): boolean {
  return canonical(a) === canonical(b);
}

function canonical(record: string): string {
  if (isIP(record) === 6) return new URL(`http://[${record}]`).hostname;
  return record.toLowerCase().replace(/\.$/, '');
}
