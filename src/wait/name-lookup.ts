import type { NotYet, Probe } from './attempt.ts';

export interface Addresses {
  readonly state: 'found';
  /** IPv4 and IPv6 addresses, in the order in which to try them. */
  readonly addresses: readonly string[];
  /** What to look at should nothing be there, where the name tells. */
  readonly suspicion?: string;
}

/**
 * Finds a host's addresses as a pod would, in one attempt. Clients that connect take this as a parameter, so that the
 * resolver is one and cancellable: getaddrinfo is neither, and exit waits for it.
 */
export type ResolveAddresses = (host: string, probe: Probe) => Promise<Addresses | NotYet>;
