import { createPublicKey, type KeyObject, sign } from 'node:crypto';

import { derBits, derInteger, derObjectId, derSequence, derSetOf, derTagged } from './der.ts';
import { extensionIds } from './extensions.ts';
import { extension, derCommonName, signingOf } from './issue.ts';

/**
 * A request for a certificate (PKCS #10, RFC 2986), by which an authority elsewhere signs for a key that it never sees.
 * @param names elements of the subjectAltName, DER
 * @returns DER
 * @throws CannotSign
 */
export function signingRequest(key: KeyObject, commonName: string, names: readonly Uint8Array[]): Buffer {
  const { algorithm, hash } = signingOf(key);
  const wanted = derSequence(extension(extensionIds.alternativeNames, false, derSequence(...names)));
  const request = derSequence(
    derInteger(0),
    derCommonName(commonName),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    derTagged(0, derSequence(derObjectId(extensionRequest), derSetOf(wanted))),
  );
  return derSequence(request, algorithm, derBits(sign(hash, request, key)));
}

/** RFC 2985, 5.4.2 */
const extensionRequest = '1.2.840.113549.1.9.14';
