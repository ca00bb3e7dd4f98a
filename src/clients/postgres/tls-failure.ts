import type { SslMode } from './connection-string.ts';

/** Why TLS failed, in words. */
export interface TlsProblem {
  readonly reason: string;
  readonly hint?: string;
  /** True where time alone can mend it. */
  readonly passes?: true;
}

/** What can be wrong with a server's certificate beside its authority, by OpenSSL's codes as Node names them. */
const defects: ReadonlyMap<string, TlsProblem> = new Map([
  [
    'INVALID_PURPOSE',
    {
      reason: 'the server’s certificate is not meant for a server (its key usage does not allow that)',
      hint: 'make a new certificate with extendedKeyUsage = serverAuth',
    },
  ],
  ['CERT_REVOKED', { reason: 'the server’s certificate is revoked' }],
  [
    'CERT_CHAIN_TOO_LONG',
    {
      reason: 'the server’s certificate has a chain of too many authorities',
      hint: 'make a new certificate',
    },
  ],
  [
    'PATH_LENGTH_EXCEEDED',
    {
      reason: 'the server’s certificate comes from an authority below one that allows none (pathlen)',
      hint: 'make a new certificate',
    },
  ],
]);

/** TLS alerts (RFC 8446, 6.2) with which a server refuses the client's certificate, as OpenSSL names them. */
const aboutClient =
  /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_(?:EXPIRED|UNKNOWN|REVOKED|REQUIRED)|UNSUPPORTED_CERTIFICATE|DECRYPT_ERROR|ACCESS_DENIED)/;

const clientHints: Readonly<Record<string, string>> = {
  UNKNOWN_CA:
    'it is not signed by an authority of the server’s ssl_ca_file: is it the certificate for this server?',
  CERTIFICATE_EXPIRED: 'it has expired, or is not valid yet by the server’s clock: renew it',
  CERTIFICATE_REVOKED: 'it is in the server’s ssl_crl_file: make a new one',
  CERTIFICATE_REQUIRED: 'the server asks for one: set sslcert and sslkey',
  UNSUPPORTED_CERTIFICATE: 'it is not meant for clients: make one with extendedKeyUsage = clientAuth',
};

/** @param shows whether a certificate of ours was given */
function refusedClient(words: string, shows: boolean): TlsProblem | undefined {
  const alert = aboutClient.exec(words)?.[1];
  if (alert === undefined) return undefined;
  const told = `TLS alert: ${alert.toLowerCase().replaceAll('_', ' ')}`;
  return {
    reason: shows
      ? `the server refuses the client certificate (${told})`
      : `the server wants a client certificate (${told})`,
    hint: shows
      ? (clientHints[alert] ??
        'sslcert and sslkey must be a certificate that the server’s ssl_ca_file trusts')
      : 'set sslcert and sslkey to a certificate that the server’s ssl_ca_file trusts',
  };
}

/** OpenSSL's reason, which stands in the code, or in the message alone: `…:SSL routines:…:tlsv1 alert unknown ca:…`. */
function openSslWords({ code = '', message }: NodeJS.ErrnoException): string {
  return `${code} ${message}`.toUpperCase().replaceAll(' ', '_');
}

/**
 * What an error of TLS means after the handshake: with TLS 1.3 the server judges our certificate when the handshake is
 * over for us.
 * @returns undefined for an error of another kind
 */
export function alertAfterHandshake(error: unknown, shows: boolean): TlsProblem | undefined {
  if (!(error instanceof Error)) return undefined;
  const words = openSslWords(error);
  if (!/ERR_SSL_|SSL_ROUTINES/.test(words)) return undefined;
  return refusedClient(words, shows) ?? { reason: `TLS failed: ${error.message}` };
}

/** What an error of the handshake means. */
export function handshakeProblem(
  error: NodeJS.ErrnoException,
  host: string,
  mode: SslMode,
  shows: boolean,
): TlsProblem {
  const code = error.code ?? '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      reason: `the server’s certificate is not for ${host}`,
      hint: 'sslmode=verify-full compares the name in the URL with the certificate’s: use a name that it holds',
    };
  }
  if (code === 'CERT_HAS_EXPIRED')
    return {
      reason: 'the server’s certificate has expired',
      hint: 'renew the certificate and reload the server, or set the node’s clock if it is the one that is wrong',
    };
  if (code === 'CERT_NOT_YET_VALID')
    return {
      reason: 'the server’s certificate is not valid yet',
      hint: 'set the node’s clock if it is behind, or the clock of whoever issued the certificate',
      passes: true,
    };
  const defect = defects.get(code);
  if (defect !== undefined) return { ...defect, reason: `${defect.reason} (${code})` };
  const words = openSslWords(error);
  if (/(KEY|DIGEST_ALGORITHM|_MD)_TOO_(WEAK|SMALL)/.test(words))
    return {
      reason: `the server’s certificate is too weak (${error.message})`,
      hint: 'make a new certificate, with an RSA key of at least 2,048 bits or an EC key, and with a SHA-256 signature',
    };
  const client = refusedClient(words, shows);
  if (client !== undefined) return client;
  if (!code.startsWith('ERR_') && /CERT|ISSUER|SIGNATURE|VERIFY|_CA$/.test(code)) {
    return {
      reason: `the server’s certificate is not signed by an authority of sslrootcert (${code})`,
      hint: `sslmode=${mode} trusts what sslrootcert holds: is it the authority of this server?`,
    };
  }
  if (/UNRECOGNIZED_NAME/.test(words))
    return {
      reason: `what answers does not know the name ${host} (TLS alert: unrecognized name)`,
      hint: 'a proxy that chooses the server by its name answered: use the name that it serves',
    };
  if (/NO_APPLICATION_PROTOCOL/.test(words))
    return {
      reason: 'what answers does not know the protocol of PostgreSQL (TLS alert: no application protocol)',
      hint: 'sslnegotiation=direct needs PostgreSQL 17 or newer, or a proxy that hands "postgresql" on (ALPN)',
    };
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(words))
    return {
      reason: 'the server speaks no version of TLS from 1.2 on',
      hint: 'set ssl_min_protocol_version and ssl_max_protocol_version in the server so that TLS 1.2 or 1.3 is among them',
    };
  if (/HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY/.test(words))
    return {
      reason: `the TLS handshake failed: ${error.message}`,
      hint: 'do both ends have a cipher and a curve in common? look at ssl_ciphers in the server',
    };
  return { reason: `the TLS handshake failed: ${error.message}` };
}
