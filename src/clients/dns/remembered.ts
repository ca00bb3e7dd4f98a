import type { Clock } from '../../core/clock.ts';
import type { Addresses, ResolveAddresses } from '../../wait/name-lookup.ts';

/** Milliseconds for which addresses are used again. */
const lifetime = 1000;

/** Names remembered at once: a server's redirects must not fill the memory. */
const most = 100;

/**
 * Asks for a name's addresses at most once a second while connects to them fail: with ten attempts a second and a
 * search list of four, a thousand pods would otherwise send the cluster's DNS 80,000 queries a second. Only addresses
 * are remembered, never their absence.
 */
export function remembered(resolve: ResolveAddresses, clock: Clock): ResolveAddresses {
  const known = new Map<string, { readonly addresses: Addresses; readonly until: number }>();
  return async (host, probe) => {
    const last = known.get(host);
    if (last !== undefined && clock.now() < last.until) {
      probe.reached?.('dns');
      if (last.addresses.suspicion !== undefined) probe.suspect?.(last.addresses.suspicion);
      return last.addresses;
    }
    known.delete(host);
    const answer = await resolve(host, probe);
    if (answer.state !== 'found') return answer;
    probe.reached?.('dns');
    if (known.size >= most) known.clear();
    known.set(host, { addresses: answer, until: clock.now() + lifetime });
    return answer;
  };
}
