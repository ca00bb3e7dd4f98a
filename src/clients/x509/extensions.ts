import type { X509Certificate } from 'node:crypto';

import { derObjectId, NotDer, readDer, readDerList } from './der.ts';

/** Extensions of certificates by their object identifiers (RFC 5280, 4.2.1). */
export const extensionIds = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

/** The context tag of the extensions in a certificate (RFC 5280, 4.1). */
const extensionsTag = 0xa3;

/**
 * What an extension of a certificate holds.
 * @param certificate DER
 * @returns undefined where it has no such extension
 * @throws NotDer
 */
export function extensionOf(certificate: Uint8Array, id: string): Uint8Array | undefined {
  const [signed] = readDerList(readDer(certificate).body);
  if (signed === undefined) throw new NotDer('it has no parts');
  const wrapped = readDerList(signed.body).find(({ tag }) => tag === extensionsTag);
  if (wrapped === undefined) return undefined;
  const wanted = derObjectId(id);
  for (const extension of readDerList(readDer(wrapped.body).body)) {
    const parts = readDerList(extension.body);
    // Between the two may stand whether it is critical.
    if (parts[0] !== undefined && wanted.equals(parts[0].whole))
      return readDer(parts.at(-1)?.whole ?? Buffer.of()).body;
  }
  return undefined;
}

/**
 * The identifier of a certificate's key that it names itself, by which those that it signs must name it.
 * @returns undefined where it names none
 * @throws NotDer
 */
export function ownKeyId(certificate: Uint8Array): Uint8Array | undefined {
  const found = extensionOf(certificate, extensionIds.subjectKeyId);
  return found === undefined ? undefined : readDer(found).body;
}

/**
 * Whether the usages of a certificate's key let it sign others: what does not name any lets it.
 * @throws NotDer
 */
export function maySign(certificate: Uint8Array): boolean {
  const found = extensionOf(certificate, extensionIds.keyUsage);
  if (found === undefined) return true;
  // The first byte counts bits that are none; of the next one the sixth is keyCertSign (RFC 5280, 4.2.1.3).
  return ((readDer(found).body[1] ?? 0) & 0b0000_0100) !== 0;
}

/** id-kp-serverAuth and anyExtendedKeyUsage (RFC 5280, 4.2.1.12). */
const ofServers = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'];

/** Whether the purposes of a certificate let a server show it: one that names none may be for any. */
export function mayServe({ keyUsage: purposes }: X509Certificate): boolean {
  return purposes === undefined || ofServers.some((purpose) => purposes.includes(purpose));
}
