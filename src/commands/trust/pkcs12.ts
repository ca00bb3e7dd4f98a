import { createCipheriv, createHash, createHmac, hash, pbkdf2Sync } from 'node:crypto';

import {
  derBmpString,
  derElement,
  derInteger,
  derNull,
  derOctets,
  derSequence,
  derSetOf,
  derTagged,
} from '../../clients/x509/der.ts';
import { pkcs12Ids as ids } from './pkcs12-ids.ts';
import type { KeyEntry, TrustEntry } from './store.ts';

// PKCS #12 (RFC 7292) with the algorithms that OpenSSL 3 and Java 17 choose: PBES2 with PBKDF2, HMAC-SHA-256 and
// AES-256-CBC, and HMAC-SHA-256 over all of it. Java reads them from 8u301, 11.0.12 and 16 on (JDK-8076190).

/** As many as Java's keytool takes, for the key and for the check (jdk.security.pkcs12 properties in java.security). */
const iterations = 10_000;

/** A truststore. The same entries and password give the same bytes. */
export function pkcs12TrustStore(entries: readonly TrustEntry[], password: string): Buffer {
  const bags = entries.map(({ alias, certificate }) =>
    certificateBag(
      certificate,
      attribute(ids.friendlyName, derBmpString(alias)),
      attribute(ids.trustedKeyUsage, ids.anyUsage),
    ),
  );
  const contents = derSequence(...bags);
  const protection = protectionOf(password, contents);
  return sealed([encryptedContents(contents, protection)], protection);
}

/** A keystore with one key. The same entry and password give the same bytes. */
export function pkcs12KeyStore({ alias, key, chain }: KeyEntry, password: string): Buffer {
  // What ties the key to its certificate: as OpenSSL makes it.
  const local = createHash('sha1')
    .update(chain[0] ?? Buffer.alloc(0))
    .digest();
  const named = [attribute(ids.friendlyName, derBmpString(alias)), attribute(ids.localKey, derOctets(local))];
  const certificates = derSequence(
    ...chain.map((certificate, index) => certificateBag(certificate, ...(index === 0 ? named : []))),
  );
  const protection = protectionOf(password, key, certificates);
  const { algorithm, bytes } = protection.encrypted('key', key);
  const keyBag = derSequence(
    ids.keyBag,
    derTagged(0, derSequence(algorithm, derOctets(bytes))),
    derSetOf(...named),
  );
  return sealed(
    [plainContents(derSequence(keyBag)), encryptedContents(certificates, protection)],
    protection,
  );
}

function certificateBag(certificate: Uint8Array, ...attributes: readonly Buffer[]): Buffer {
  return derSequence(
    ids.certificateBag,
    derTagged(0, derSequence(ids.x509, derTagged(0, derOctets(certificate)))),
    ...(attributes.length === 0 ? [] : [derSetOf(...attributes)]),
  );
}

function attribute(id: Buffer, value: Buffer): Buffer {
  return derSequence(id, derSetOf(value));
}

function plainContents(contents: Buffer): Buffer {
  return derSequence(ids.data, derTagged(0, derOctets(contents)));
}

function encryptedContents(contents: Buffer, protection: Protection): Buffer {
  const { algorithm, bytes } = protection.encrypted('certificates', contents);
  // encryptedContent is [0] IMPLICIT OCTET STRING.
  const content = derSequence(ids.data, algorithm, derElement(0x80, bytes));
  return derSequence(ids.encryptedData, derTagged(0, derSequence(derInteger(0), content)));
}

/** The whole file, with the code that its readers check. */
function sealed(parts: readonly Buffer[], protection: Protection): Buffer {
  const safe = derSequence(...parts);
  const { salt, code } = protection.check(safe);
  const digest = derSequence(derSequence(ids.sha256, derNull), derOctets(code));
  return derSequence(
    derInteger(3),
    plainContents(safe),
    derSequence(digest, derOctets(salt), derInteger(iterations)),
  );
}

/** What a password makes of one store's content. */
interface Protection {
  encrypted(part: string, bytes: Uint8Array): { readonly algorithm: Buffer; readonly bytes: Buffer };
  check(bytes: Uint8Array): { readonly salt: Buffer; readonly code: Buffer };
}

/**
 * Salts and initialisation vectors come of the password and the content, so that the same ones give the same bytes; other
 * content has others. They stand in the file: whoever tries passwords by them has as much work for each as with the file's
 * own check.
 */
function protectionOf(password: string, ...contents: readonly Uint8Array[]): Protection {
  const digest = createHash('sha256');
  for (const content of contents) digest.update(createHash('sha256').update(content).digest());
  const seed = pbkdf2Sync(password, digest.digest(), iterations, 32, 'sha256');
  const derived = (what: string, length: number): Buffer =>
    createHmac('sha256', seed).update(`initbox PKCS12 ${what}`).digest().subarray(0, length);
  return {
    encrypted(part, bytes) {
      const salt = derived(`${part} salt`, 16);
      const vector = derived(`${part} vector`, 16);
      const cipher = createCipheriv(
        'aes-256-cbc',
        pbkdf2Sync(password, salt, iterations, 32, 'sha256'),
        vector,
      );
      const derivation = derSequence(
        ids.pbkdf2,
        derSequence(
          derOctets(salt),
          derInteger(iterations),
          derInteger(32),
          derSequence(ids.hmacSha256, derNull),
        ),
      );
      const scheme = derSequence(ids.aes256Cbc, derOctets(vector));
      return {
        algorithm: derSequence(ids.pbes2, derSequence(derivation, scheme)),
        bytes: Buffer.concat([cipher.update(bytes), cipher.final()]),
      };
    },
    check(bytes) {
      const salt = derived('check salt', 20);
      const code = createHmac('sha256', checkKey(password, salt)).update(bytes).digest();
      return { salt, code };
    },
  };
}

/** The length of a block of SHA-256, in bytes: `v` of RFC 7292. */
const block = 64;

/** The key of the check (RFC 7292, appendix B.2, with ID 3): as long as one digest, so that one round makes it. */
function checkKey(password: string, salt: Buffer): Buffer {
  const text = Buffer.from(`${password}\0`, 'utf16le').swap16();
  let digest = Buffer.concat([Buffer.alloc(block, 3), repeated(salt), repeated(text)]);
  for (let round = 0; round < iterations; round++) digest = hash('sha256', digest, 'buffer');
  return digest;
}

/** Repeated until it fills blocks. */
function repeated(bytes: Buffer): Buffer {
  return Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes);
}
