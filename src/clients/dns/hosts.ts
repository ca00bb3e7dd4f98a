import { readFileSync } from 'node:fs';

import { isIP } from './ip-address.ts';

/** RFC 6761, 6.3: localhost is the loopback, whatever a server says. */
const loopback = ['127.0.0.1', '::1'];

/** The addresses that the hosts file gives a name, in its order; empty where it gives none. */
export function addressesFromHosts(path: string, name: string): readonly string[] {
  const wanted = name.toLowerCase().replace(/\.$/, '');
  const found = new Set<string>();
  for (const line of readLines(path)) {
    const [address, ...names] = line.replace(/#.*$/, '').trim().split(/\s+/);
    // The name first: whether something is an IPv6 address is dear to ask (see isIP).
    if (address && names.some((other) => other.toLowerCase() === wanted) && isIP(address)) found.add(address);
  }
  if (found.size === 0 && wanted === 'localhost') return loopback;
  return [...found];
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split(/\r?\n/);
  } catch {
    return [];
  }
}
