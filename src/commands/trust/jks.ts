import { createHash, createHmac } from 'node:crypto';

import { derNull, derObjectId, derOctets, derSequence } from '../../clients/x509/der.ts';
import type { KeyEntry, TrustEntry } from './store.ts';

// Java's own format until Java 9 (sun.security.provider.JavaKeyStore). Numbers have their high byte first.

export const jksMagic = 0xfeed_feed;
export const jksVersion = 2;
export const jksKinds = { key: 1, trusted: 2 } as const;

/** What the digest over a store begins with, after the password. */
const phrase = 'Mighty Aphrodite';

/** A truststore. The same entries and password give the same bytes. */
export function jksTrustStore(entries: readonly TrustEntry[], password: string): Buffer {
  const parts = entries.map(({ alias, certificate, date }) =>
    Buffer.concat([number32(jksKinds.trusted), text(alias), dateOf(date), encoded(certificate)]),
  );
  return signed(parts, password);
}

/** A keystore with one key. The same entry and password give the same bytes. */
export function jksKeyStore({ alias, key, chain, date }: KeyEntry, password: string): Buffer {
  const hidden = hiddenKey(key, password);
  const part = Buffer.concat([
    number32(jksKinds.key),
    text(alias),
    dateOf(date),
    number32(hidden.length),
    hidden,
    number32(chain.length),
    ...chain.map(encoded),
  ]);
  return signed([part], password);
}

function signed(parts: readonly Buffer[], password: string): Buffer {
  const content = Buffer.concat([number32(jksMagic), number32(jksVersion), number32(parts.length), ...parts]);
  const digest = createHash('sha1').update(wide(password)).update(phrase).update(content).digest();
  return Buffer.concat([content, digest]);
}

/** `sun.security.provider.KeyProtector`: the key under a stream of SHA-1 digests, and a digest to check the password. */
const protector = derSequence(derObjectId('1.3.6.1.4.1.42.2.17.1.1'), derNull);

function hiddenKey(key: Uint8Array, password: string): Buffer {
  const secret = wide(password);
  const sha1 = (...parts: readonly Uint8Array[]): Buffer =>
    parts.reduce((digest, part) => digest.update(part), createHash('sha1')).digest();
  // Of the key itself, which nobody can guess: the same key gives the same bytes, another one another stream.
  const salt = createHmac('sha1', key).update('initbox JKS salt').update(secret).digest();
  const hidden = Buffer.from(key);
  for (let at = 0, digest: Buffer = salt; at < hidden.length; at += digest.length) {
    digest = sha1(secret, digest);
    for (const [index, byte] of digest.entries())
      if (at + index < hidden.length) hidden[at + index] = (hidden[at + index] ?? 0) ^ byte;
  }
  return derSequence(protector, derOctets(Buffer.concat([salt, hidden, sha1(secret, key)])));
}

function encoded(certificate: Uint8Array): Buffer {
  return Buffer.concat([text('X.509'), number32(certificate.length), certificate]);
}

/** Of ASCII, for which Java's own UTF-8 is UTF-8. */
function text(ascii: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(ascii.length);
  return Buffer.concat([length, Buffer.from(ascii, 'latin1')]);
}

function dateOf(date: Date): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(date.getTime()));
  return bytes;
}

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Two bytes for each character. */
function wide(password: string): Buffer {
  return Buffer.from(password, 'utf16le').swap16();
}
