import type { Clock } from '../../kernel/clock.ts';
import type { Addresses, ResolveAddresses } from '../../kernel/names.ts';

/** Milliseconds for which addresses are used again. */
const lifetime = 1000;

/**
 * Asks for a name's addresses at most once a second while connects to them fail: with ten attempts a second and a
 * search list of four, a thousand pods would otherwise send the cluster's DNS 80,000 queries a second. Only addresses
 * are remembered, never their absence.
 */
export function remembered(resolve: ResolveAddresses, clock: Clock): ResolveAddresses {
  let last: { readonly addresses: Addresses; readonly until: number } | undefined;
  return async (host, probe) => {
    if (last !== undefined && clock.now() < last.until) return last.addresses;
    const answer = await resolve(host, probe);
    last = answer.state === 'found' ? { addresses: answer, until: clock.now() + lifetime } : undefined;
    return answer;
  };
}
