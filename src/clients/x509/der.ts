/**
 * The few parts of DER (ITU-T X.690) that stores of certificates are made of. Everything that is hard about certificates
 * and keys (their parsing, signatures and ciphers) is left to OpenSSL, by node:crypto.
 */
const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  null: 0x05,
  objectId: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmp: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

export const derTags = {
  ...tags,
  numeric: 0x12,
  printable: 0x13,
  t61: 0x14,
  ia5: 0x16,
  universal: 0x1c,
  visible: 0x1a,
} as const;

/** One element with its contents. */
export function derElement(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOctets(body.length), body]);
}

export function derSequence(...parts: readonly Uint8Array[]): Buffer {
  return derElement(tags.sequence, ...parts);
}

/** A SET OF, whose elements DER has in ascending order (X.690, 11.6). */
export function derSetOf(...parts: readonly Uint8Array[]): Buffer {
  return derElement(tags.set, ...parts.toSorted(Buffer.compare));
}

export function derOctets(bytes: Uint8Array): Buffer {
  return derElement(tags.octets, bytes);
}

export const derNull = derElement(tags.null);

export const derTrue = derElement(tags.boolean, Buffer.from([0xff]));

/**
 * Bits, the first one the highest of the first byte.
 * @param unused how many of the last byte's lowest bits are none
 */
export function derBits(bytes: Uint8Array, unused = 0): Buffer {
  return derElement(tags.bits, Buffer.from([unused]), bytes);
}

export function derUtf8String(text: string): Buffer {
  return derElement(tags.utf8, Buffer.from(text));
}

/** A time of a certificate, in seconds: two digits for the year until 2049 (RFC 5280, 4.1.2.5). */
export function derTime(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050
    ? derElement(tags.utcTime, Buffer.from(digits.slice(2)))
    : derElement(tags.generalizedTime, Buffer.from(digits));
}

/** A number that is not negative. */
export function derInteger(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(value, 1);
  const first = bytes.findIndex((byte, index) => byte !== 0 || index === 4);
  // The highest bit would be a sign.
  const from = ((bytes[first] ?? 0) & 0x80) === 0 ? first : first - 1;
  return derElement(tags.integer, bytes.subarray(from));
}

/** @param dotted `1.2.840.113549.1.7.1` */
export function derObjectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  return derElement(tags.objectId, Buffer.from([first * 40 + second, ...others.flatMap(base128)]));
}

/** UTF-16, its high byte first. */
export function derBmpString(text: string): Buffer {
  return derElement(tags.bmp, Buffer.from(text, 'utf16le').swap16());
}

/** `[number] EXPLICIT`, also `[number] IMPLICIT` of what has parts. */
export function derTagged(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return derElement(0xa0 | number, ...parts);
}

function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return Buffer.from([0x80 | digits.length, ...digits]);
}

function base128(value: number): number[] {
  const digits = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128))
    digits.unshift(0x80 | (rest % 128));
  return digits;
}

/** One element as it was read. */
export interface DerElement {
  readonly tag: number;
  /** Its contents. */
  readonly body: Uint8Array;
  /** With its tag and length. */
  readonly whole: Uint8Array;
}

/** What is not DER, or ends before its time. */
export class NotDer extends Error {
  override readonly name = 'NotDer';
}

/** Reads the element at the start. What comes after it is not looked at. @throws NotDer */
export function readDer(bytes: Uint8Array): DerElement {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) throw new NotDer('it ends too soon');
  let [length, at] = [first, 2];
  if (first >= 0x80) {
    const digits = first & 0x7f;
    if (digits === 0 || digits > 4) throw new NotDer('its length is not DER');
    length = 0;
    for (const end = at + digits; at < end; at++) length = length * 256 + (bytes[at] ?? Number.NaN);
  }
  if (!(at + length <= bytes.length)) throw new NotDer('it ends too soon');
  return { tag, body: bytes.subarray(at, at + length), whole: bytes.subarray(0, at + length) };
}

/** Reads elements until the end. @throws NotDer */
export function readDerList(bytes: Uint8Array): DerElement[] {
  const found: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const element = readDer(bytes.subarray(at));
    found.push(element);
    at += element.whole.length;
  }
  return found;
}
