import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';

import {
  derBits,
  derElement,
  derInteger,
  derNull,
  derObjectId,
  derOctets,
  derSequence,
  derSetOf,
  derTagged,
  derTags,
  derTime,
  derTrue,
  derUtf8String,
  readDerList,
  readDer,
} from './der.ts';
import { extensionIds } from './extensions.ts';

/** Who signs a certificate: its name and key identifier as its own certificate has them, DER. */
export interface Signer {
  readonly subject: Uint8Array;
  readonly keyId: Uint8Array;
  readonly key: KeyObject;
}

/** What a certificate is to say. */
export interface CertificateRequest {
  /** The private key that it is for. */
  readonly key: KeyObject;
  /** At most 64 characters (RFC 5280, ub-common-name). */
  readonly commonName: string;
  /** Elements of the subjectAltName, DER; none for an authority. */
  readonly names: readonly Uint8Array[];
  readonly from: Date;
  readonly to: Date;
  /** Whether it may sign certificates, or is a server's and a client's. */
  readonly authority: boolean;
  /** Undefined: itself. */
  readonly signer: Signer | undefined;
}

/** A key of a kind that nothing here signs by. */
export class CannotSign extends Error {
  override readonly name = 'CannotSign';
}

/** How a kind of key signs: the algorithm as certificates name it, and as node:crypto does. */
interface Signing {
  readonly algorithm: Buffer;
  readonly hash: string | null;
}

/** RFC 5758, 3.2; RFC 4055, 5; RFC 8410, 3 */
const ecdsa: Readonly<Record<string, readonly [id: string, hash: string]>> = {
  prime256v1: ['1.2.840.10045.4.3.2', 'sha256'],
  secp384r1: ['1.2.840.10045.4.3.3', 'sha384'],
  secp521r1: ['1.2.840.10045.4.3.4', 'sha512'],
};

/** Least bits of an RSA key: what OpenSSL takes at its usual security level. */
const leastBits = 2048;

/** @throws CannotSign, whose message follows what the key is of */
export function signingOf(key: KeyObject): Signing {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519') return { algorithm: derSequence(derObjectId('1.3.101.112')), hash: null };
  if (type === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    if (bits < leastBits) throw new CannotSign(`is an RSA key of ${bits} bits, which programs refuse`);
    return { algorithm: derSequence(derObjectId('1.2.840.113549.1.1.11'), derNull), hash: 'sha256' };
  }
  const known = type === 'ec' ? ecdsa[details?.namedCurve ?? ''] : undefined;
  if (known === undefined)
    throw new CannotSign('is of another kind than RSA, EC (P-256, P-384, P-521) and Ed25519');
  return { algorithm: derSequence(derObjectId(known[0])), hash: known[1] };
}

/**
 * Makes a certificate of version 3 and signs it. Of the same request no two are the same: each has a serial number of its own.
 * @returns DER
 * @throws CannotSign
 */
export function issueCertificate(request: CertificateRequest): Buffer {
  const publicKey = createPublicKey(request.key).export({ type: 'spki', format: 'der' });
  const subject = derCommonName(request.commonName);
  const keyId = keyIdOf(publicKey);
  const signer = request.signer ?? { subject, keyId, key: request.key };
  const { algorithm, hash } = signingOf(signer.key);
  const signed = derSequence(
    derTagged(0, derInteger(2)),
    derElement(derTags.integer, serialNumber()),
    algorithm,
    signer.subject,
    derSequence(derTime(request.from), derTime(request.to)),
    subject,
    publicKey,
    derTagged(3, derSequence(...extensionsOf(request, keyId, signer.keyId))),
  );
  return derSequence(signed, algorithm, derBits(sign(hash, signed, signer.key)));
}

/** 126 random bits, positive and always of the same length: RFC 5280, 4.1.2.2 allows 20 bytes. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

/** A name with a common name alone, DER. */
export function derCommonName(commonName: string): Buffer {
  return derSequence(derSetOf(derSequence(derObjectId('2.5.4.3'), derUtf8String(commonName))));
}

/** The first 160 bits of the SHA-256 of the key itself (RFC 7093, 2). @param publicKey SubjectPublicKeyInfo, DER */
export function keyIdOf(publicKey: Uint8Array): Buffer {
  const bits = readDerList(readDer(publicKey).body).at(-1)?.body ?? Buffer.of();
  return createHash('sha256').update(bits.subarray(1)).digest().subarray(0, 20);
}

/** Bits of keyUsage from its first on (RFC 5280, 4.2.1.3), and how many of the byte are none. */
const usages = {
  authority: derBits(Buffer.of(0b0000_0110), 1), // keyCertSign, cRLSign
  signing: derBits(Buffer.of(0b1000_0000), 7), // digitalSignature
  rsa: derBits(Buffer.of(0b1010_0000), 5), // and keyEncipherment, for TLS 1.2 without a key exchange
} as const;

const serverAuth = derObjectId('1.3.6.1.5.5.7.3.1');
const clientAuth = derObjectId('1.3.6.1.5.5.7.3.2');

function extensionsOf(
  { key, names, authority }: CertificateRequest,
  keyId: Uint8Array,
  signerId: Uint8Array,
): readonly Buffer[] {
  const { basicConstraints, keyUsage, extendedKeyUsage, alternativeNames, subjectKeyId, authorityKeyId } =
    extensionIds;
  const ids = [
    extension(subjectKeyId, false, derOctets(keyId)),
    extension(authorityKeyId, false, derSequence(derElement(0x80, signerId))),
  ];
  if (authority)
    return [
      // It signs no further authorities.
      extension(basicConstraints, true, derSequence(derTrue, derInteger(0))),
      extension(keyUsage, true, usages.authority),
      ...ids,
    ];
  const usage = key.asymmetricKeyType === 'rsa' ? usages.rsa : usages.signing;
  return [
    extension(basicConstraints, true, derSequence()),
    extension(keyUsage, true, usage),
    extension(extendedKeyUsage, false, derSequence(serverAuth, clientAuth)),
    extension(alternativeNames, false, derSequence(...names)),
    ...ids,
  ];
}

export function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
  return derSequence(derObjectId(id), ...(critical ? [derTrue] : []), derOctets(value));
}
