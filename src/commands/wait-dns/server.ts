import { isIP } from '../../clients/dns/ip-address.ts';
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
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  const [, literal, name, portText] = match ?? [];
  const port = portText === undefined ? dnsPort : Number(portText);
  if (match === null || (literal !== undefined && isIP(literal) !== 6))
    throw new Error(`"${text}" is not a name server; write HOST, HOST:PORT or [IPv6]:PORT`);
  if (port < 1 || port > 65_535)
    throw new Error(`the port in "${text}" is not a whole number from 1 to 65535`);
  return { host: literal ?? parseName(name ?? ''), port };
}

/** As c-ares takes it, and people read it: the usual port is left out. */
export function serverAt(address: string, port: number): string {
  if (port === dnsPort) return address;
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}
