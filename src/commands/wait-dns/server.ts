import { isIP } from '../../kernel/address.ts';

/**
 * Reads `HOST[:PORT]` of a name server into what c-ares takes. An address: a name would need a name server.
 * @throws Error that says what is accepted
 */
export function parseServer(text: string): string {
  const accepted = 'write an address, ADDRESS:PORT or [IPv6]:PORT';
  if (isIP(text)) return text;
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = match?.[3] === undefined ? 53 : Number(match[3]);
  if (!isIP(host) && host !== 'localhost')
    throw new Error(`"${text}" is not the address of a name server; ${accepted}`);
  if (port < 1 || port > 65_535)
    throw new Error(`the port in "${text}" is not a whole number from 1 to 65535`);
  const address = host === 'localhost' ? '127.0.0.1' : host;
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}
