import { isIPv4, isIPv6 } from 'node:net';

/**
 * 4, 6, or 0 for what is no IP address, as net.isIP. Colons decide first: compiling Node's pattern for IPv6 costs
 * 6 ms at start-up, and only an IPv6 address has two of them.
 */
export function isIP(text: string): 0 | 4 | 6 {
  if (text.indexOf(':') !== text.lastIndexOf(':')) return isIPv6(text) ? 6 : 0;
  return isIPv4(text) ? 4 : 0;
}
