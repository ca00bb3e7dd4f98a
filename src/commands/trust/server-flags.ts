import { isIP } from '../../clients/dns/ip-address.ts';
import { portIn, splitHostPort } from '../../core/host-port.ts';
import { quoted } from '../../core/misplaced-secret.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

/** A server whose certificates are looked at. */
export interface ShownBy {
  readonly host: string;
  readonly port: number;
}

const httpsPort = 443;

/** Reads `HOST[:PORT]`. @throws Error that says what is accepted */
export function parseShownBy(text: string): ShownBy {
  refuseUnexpanded('name', text, 'the server');
  if (isIP(text)) return { host: text, port: httpsPort };
  const parts = splitHostPort(text);
  if (
    parts === undefined ||
    /\D/.test(parts.port ?? '0') ||
    !/^[\w.-]+$/.test(parts.literal === undefined ? parts.host : '_') ||
    (parts.literal !== undefined && isIP(parts.literal) !== 6)
  )
    throw new Error(`${quoted(text)} is not a server; write HOST, HOST:PORT or [IPv6]:PORT`);
  const port = parts.port === undefined ? httpsPort : portIn(parts.port);
  if (port === undefined)
    throw new Error(`the port in ${quoted(text)} is not a whole number from 1 to 65535`);
  return { host: parts.host, port };
}

/** Reads `sha256:HEX`, with colons between the bytes or not, as openssl prints it. @throws Error that says what is accepted */
export function parsePin(text: string): string {
  const digits = /^sha256:([0-9a-f:]+)$/i.exec(text)?.[1]?.replaceAll(':', '').toLowerCase();
  if (digits?.length !== 64)
    throw new Error(`${quoted(text)} is not sha256: and the 64 digits of a certificate’s SHA-256 in hex`);
  return digits;
}
