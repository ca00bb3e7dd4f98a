import { isAscii, isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';

import { derElement, derSetOf, derSequence, derTags, NotDer, readDer, readDerList } from './der.ts';

/** One attribute of a name, such as CN. */
export interface NameAttribute {
  /** The object identifier, as it is encoded, in hex: `0603550403` for CN. */
  readonly type: string;
  readonly text: string;
}

/** How the strings of a name become text; others are not text (RFC 5280, appendix A.1, and BMPString and IA5String). */
const decoders: ReadonlyMap<number, (bytes: Buffer) => string> = new Map([
  [derTags.utf8, (bytes: Buffer) => bytes.toString()],
  [derTags.bmp, fromBmp],
  [derTags.universal, fromUniversal],
  // OpenSSL takes T.61 for Latin-1, as those who write it do.
  ...[derTags.printable, derTags.t61, derTags.ia5, derTags.visible].map(
    (tag) => [tag, (bytes: Buffer) => bytes.toString('latin1')] as const,
  ),
]);

/** The texts of a name, in its order. @param name as it is encoded @throws NotDer */
export function nameAttributes(name: Uint8Array): readonly NameAttribute[] {
  return readDerList(readDer(name).body)
    .flatMap(({ body }) => readDerList(body))
    .flatMap(({ body }) => {
      const [type, value] = readDerList(body);
      const decode = value && decoders.get(value.tag);
      if (type === undefined || value === undefined || decode === undefined) return [];
      return [{ type: Buffer.from(type.whole).toString('hex'), text: decode(Buffer.from(value.body)) }];
    });
}

/**
 * What all programs read of the strings of names: Go and Java refuse a certificate with others (`parseASN1String` of
 * crypto/x509, `DerValue` and `X500Name` of the JDK).
 */
const readByAll: ReadonlyMap<number, (bytes: Buffer) => boolean> = new Map([
  [derTags.utf8, (bytes: Buffer) => isUtf8(bytes)],
  [derTags.printable, (bytes: Buffer) => /^[A-Za-z0-9 '()+,./:=?*&-]*$/.test(bytes.toString('latin1'))],
  [derTags.ia5, (bytes: Buffer) => isAscii(bytes)],
  [derTags.numeric, (bytes: Buffer) => /^[\d ]*$/.test(bytes.toString('latin1'))],
  [derTags.t61, () => true],
  [derTags.bmp, (bytes: Buffer) => bytes.length % 2 === 0 && !/[\ud800-\udfff]/.test(fromBmp(bytes))],
]);

/**
 * Why some programs would not read a certificate with this name as its issuer; the text follows the certificate's name.
 * @param name as it is encoded
 * @returns undefined where all read it
 * @throws NotDer
 */
export function whyNotIssuer(name: Uint8Array): string | undefined {
  const attributes = readDerList(readDer(name).body).flatMap(({ body }) => readDerList(body));
  if (attributes.length === 0) return 'has no subject: programs do not read what has such an issuer';
  const odd = attributes.some(({ body }) => {
    const [type, value, ...others] = readDerList(body);
    if (type === undefined || value === undefined || others.length > 0) return true;
    return readByAll.get(value.tag)?.(Buffer.from(value.body)) !== true;
  });
  return odd ? 'has a subject whose text is encoded in a way that not all programs read' : undefined;
}

/**
 * The name of a certificate's file in an OpenSSL hash folder, without its number: `X509_NAME_hash_ex` of OpenSSL 1.0 and
 * later, the first four bytes of SHA-1 over the name in canonical encoding, the lowest first (crypto/x509/x509_cmp.c).
 * @param name as it is encoded
 * @throws NotDer
 */
export function subjectHash(name: Uint8Array): string {
  const digest = createHash('sha1');
  for (const part of readDerList(readDer(name).body))
    digest.update(derSetOf(...readDerList(part.body).map(({ body }) => canonicalAttribute(body))));
  return digest.digest().readUInt32LE().toString(16).padStart(8, '0');
}

/** `asn1_string_canon` (crypto/x509/x_name.c): texts become UTF-8; all else stays as it is encoded. */
function canonicalAttribute(attribute: Uint8Array): Buffer {
  const [type, value, ...others] = readDerList(attribute);
  if (type === undefined || value === undefined || others.length > 0)
    throw new NotDer('an attribute of a name is not a pair');
  const decode = decoders.get(value.tag);
  const canonical =
    decode === undefined
      ? value.whole
      : derElement(derTags.utf8, Buffer.from(canonicalText(decode(Buffer.from(value.body)))));
  return derSequence(type.whole, canonical);
}

/** Blanks (of ASCII, as isspace(3) has them) at the ends go, others become one; letters of ASCII become small. */
function canonicalText(text: string): string {
  return text
    .replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '')
    .replace(/[ \t\n\v\f\r]+/g, ' ')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function fromBmp(bytes: Buffer): string {
  return Buffer.from(bytes.subarray(0, bytes.length & ~1))
    .swap16()
    .toString('utf16le');
}

function fromUniversal(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const point = bytes.readUInt32BE(at);
    text += String.fromCodePoint(point > 0x10_ffff ? 0xfffd : point);
  }
  return text;
}
