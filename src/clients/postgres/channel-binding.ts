import { X509Certificate } from 'node:crypto';

import { signatureAlgorithmHashFromCertificate } from 'pg/lib/crypto/cert-signatures.js';

import type { ChannelBinding } from './connection-string.ts';
import { FinalRefusal, type Transport } from './socket.ts';

/** What ties a login by SCRAM to the TLS connection (tls-server-end-point of RFC 5929, 4.1). */
export interface Binding {
  readonly encrypted: boolean;
  /** The server's, in DER; undefined where the login is not tied to it. */
  readonly certificate: Buffer | undefined;
  /** True where a login that is not tied to it is refused. */
  readonly required: boolean;
}

export const noBinding: Binding = { encrypted: false, certificate: undefined, required: false };

/** What the driver can compute, and calls so: MD5 and SHA-1 give way to SHA-256. */
const hashes: ReadonlySet<string> = new Set(['MD5', 'SHA-1', 'SHA-256', 'SHA-384', 'SHA-512']);

/**
 * What a login over the connection can be tied to. With `prefer`, a certificate that cannot be used leaves it as it is,
 * where libpq ends.
 * @throws FinalRefusal where it must be tied and cannot
 */
export function bindingOf({ encrypted, stream }: Transport, wanted: ChannelBinding): Binding {
  const required = wanted === 'require';
  if (!encrypted || !('getPeerCertificate' in stream)) {
    if (required)
      throw new FinalRefusal(
        'channel_binding=require, and the connection has no TLS',
        'set sslmode=require; over a Unix socket there is nothing to bind to',
      );
    return noBinding;
  }
  const certificate = wanted === 'disable' ? undefined : stream.getPeerCertificate().raw;
  const problem = certificate && whyUnusable(certificate);
  if (required && problem !== undefined)
    throw new FinalRefusal(
      `channel_binding=require, and the server’s certificate cannot be bound to: ${problem}`,
      'give the server a certificate signed by RSA or ECDSA with SHA-256, or set channel_binding=prefer',
    );
  return { encrypted, certificate: problem === undefined ? certificate : undefined, required };
}

/** PostgreSQL itself has no hash for Ed25519 and Ed448 (X509_get_signature_info gives none). */
function whyUnusable(certificate: Buffer): string | undefined {
  const { signatureAlgorithm = 'an unknown algorithm' } = new X509Certificate(certificate);
  if (/^ed\d/i.test(signatureAlgorithm)) return `it is signed with ${signatureAlgorithm}`;
  let hash: string | undefined;
  try {
    hash = signatureAlgorithmHashFromCertificate(certificate);
  } catch {
    // It has no word for its hash.
  }
  return hash !== undefined && hashes.has(hash)
    ? undefined
    : `it is signed with ${signatureAlgorithm}${hash === undefined ? '' : ` and ${hash}`}`;
}
