import { isIP } from '../../clients/dns/ip-address.ts';
import { portIn, quotedHostPort, shownHostPort, splitHostPort } from '../../core/host-port.ts';
import { parseName } from './name.ts';

/** A name server: an address, or a name that is resolved as the pod does before it is asked. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

const dnsPort = 53;

/**
 * Reads `HOST[:PORT]`.
 * @throws Error that says what is accepted
 */
export function parseServer(text: string): Server {
  if (isIP(text)) return { host: text, port: dnsPort };
  const parts = splitHostPort(text);
  if (
    parts === undefined ||
    parts.host === '' ||
    /\D/.test(parts.port ?? '0') ||
    (parts.literal !== undefined && isIP(parts.literal) !== 6)
  )
    throw new Error(
      `${quotedHostPort(text) || 'that '}is not a name server; write HOST, HOST:PORT or [IPv6]:PORT`,
    );
  const port = parts.port === undefined ? dnsPort : portIn(parts.port);
  if (port === undefined)
    throw new Error(`the port in ${quotedHostPort(text) || 'it '}is not a whole number from 1 to 65535`);
  return { host: parts.literal ?? parseName(parts.host), port };
}

/** As c-ares takes it, and people read it: the usual port is left out. */
export function serverAt(address: string, port: number): string {
  if (port === dnsPort) return address;
  return shownHostPort(address, port);
}
