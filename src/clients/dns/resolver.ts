import type { Paths } from '../../core/context.ts';
import type { Host } from '../../core/host.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import { explainDnsError } from './dns-errors.ts';
import { addressesFromHosts } from './hosts.ts';
import { isIP } from './ip-address.ts';
import { lookUp } from './lookup.ts';
import { namespaceFromSearch, readResolvConf, type ResolverConfig } from './resolv-conf.ts';

interface ResolverContext {
  readonly paths: Pick<Paths, 'hosts' | 'resolvConf'>;
  readonly host: Pick<Host, 'interfaceAddresses'>;
}

/** Resolves a host as a pod does: a literal is itself, then the hosts file, then the search list. */
export function createResolver(context: ResolverContext): ResolveAddresses {
  const { paths } = context;
  let config: ResolverConfig | undefined;
  return async (host, probe) => {
    if (isIP(host)) return { state: 'found', addresses: [host] };
    const known = addressesFromHosts(paths.hosts, host);
    if (known.length > 0) {
      const suspicion = suspicionOf(host, known, context);
      if (suspicion === undefined) return { state: 'found', addresses: known };
      probe.suspect?.(suspicion);
      return { state: 'found', addresses: known, suspicion };
    }
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

/**
 * What a name's entry in the hosts file hides: the kubelet gives each pod's own name the pod's own address there, and a
 * Service of that name is then never asked for. Undefined where the file names another host, or the loopback.
 */
function suspicionOf(
  name: string,
  known: readonly string[],
  { paths, host }: ResolverContext,
): string | undefined {
  if (known.every((address) => address.startsWith('127.') || address === '::1')) return undefined;
  const own = host.interfaceAddresses().find(({ address, internal }) => !internal && known.includes(address));
  if (own === undefined) return undefined;
  const short = name.replace(/\.$/, '');
  const meant = short.includes('.')
    ? 'for another host, name it otherwise'
    : `for a Service of that name, write ${short}.${namespaceFromSearch(readResolvConf(paths.resolvConf)) ?? 'NAMESPACE'}`;
  return `the hosts file gives ${name} this pod's own address (${own.address}), as it does with a pod's own name: ${meant}`;
}
