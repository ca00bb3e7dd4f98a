import type { Paths } from '../../core/context.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import { explainDnsError } from './dns-errors.ts';
import { addressesFromHosts } from './hosts.ts';
import { isIP } from './ip-address.ts';
import { lookUp } from './lookup.ts';
import { readResolvConf, type ResolverConfig } from './resolv-conf.ts';

/** Resolves a host as a pod does: a literal is itself, then the hosts file, then the search list. */
export function createResolver(paths: Pick<Paths, 'hosts' | 'resolvConf'>): ResolveAddresses {
  let config: ResolverConfig | undefined;
  return async (host, probe) => {
    if (isIP(host)) return { state: 'found', addresses: [host] };
    const known = addressesFromHosts(paths.hosts, host);
    if (known.length > 0) return { state: 'found', addresses: known };
    config ??= readResolvConf(paths.resolvConf);
    probe.phase(`resolving ${host}`);
    const { found, asked } = await lookUp(host, config, {
      types: ['A', 'AAAA'],
      hasty: true,
      signal: probe.signal,
    });
    if (found === undefined) return explainDnsError(asked);
    return { state: 'found', addresses: [...found.records.values()].flat() };
  };
}
