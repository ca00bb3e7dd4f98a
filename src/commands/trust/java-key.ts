import type { DerElement } from '../../clients/x509/der.ts';
import {
  bitsOf,
  checkObjectId,
  checkSmallNumber,
  damaged,
  dottedOf,
  hexOf,
  javaTags as tags,
  NotForJava,
  onlyElement,
  DerParts,
  tagged,
} from './java-der.ts';

/** An AlgorithmIdentifier (RFC 5280, 4.1.1.2). Java takes NULL for nothing. */
interface Algorithm {
  /** In hex. */
  readonly id: string;
  readonly dotted: string;
  readonly parameters: DerElement | undefined;
}

function algorithmOf({ tag, body }: DerElement, what: string): Algorithm {
  if (tag !== tags.sequence) throw damaged(what);
  const parts = new DerParts(body, what);
  const id = parts.next();
  checkObjectId(id, what);
  const parameters = parts.left > 0 ? parts.next() : undefined;
  parts.end();
  const isNull = parameters?.tag === tags.null;
  if (isNull && parameters.body.length > 0) throw damaged(what);
  return { id: hexOf(id), dotted: dottedOf(id), parameters: isNull ? undefined : parameters };
}

/** 1.2.840.113549.1.1.10: RSASSA-PSS, of signatures and of keys. */
const pss = '2a864886f70d01010a';
/** 1.2.643: GOST and what else Russia gave a number. No Java reads their parameters, and providers can be added that do. */
const foreign = '2a8503';

/** @throws NotForJava */
export function checkSignatureAlgorithm(element: DerElement): void {
  const what = 'the algorithm of its signature';
  const { id, parameters } = algorithmOf(element, what);
  if (id === pss) checkPss(parameters);
  else if (parameters !== undefined && !id.startsWith(foreign)) throw damaged(what);
}

/** Whether two say the same, as `AlgorithmId.equals` has it. */
export function sameAlgorithm(one: DerElement, other: DerElement): boolean {
  const [a, b] = [one, other].map((each) => algorithmOf(each, 'the algorithm of its signature'));
  const bytes = (each: Algorithm | undefined): Uint8Array => each?.parameters?.whole ?? new Uint8Array();
  return a?.id === b?.id && Buffer.compare(bytes(a), bytes(b)) === 0;
}

/** SHA-1, and 2.16.840.1.101.3.4.2.1 to 6: SHA-2. */
const digests: ReadonlySet<string> = new Set([
  '2b0e03021a',
  ...['01', '02', '03', '04', '05', '06'].map((last) => `6086480165030402${last}`),
]);
/** 1.2.840.113549.1.1.8 */
const mgf1 = '2a864886f70d010108';

/** `sun.security.rsa.PSSParameters`. */
function checkPss(parameters: DerElement | undefined): void {
  if (parameters === undefined) return;
  const what = 'the parameters of RSASSA-PSS';
  if (parameters.tag !== tags.sequence) throw damaged(what);
  const parts = new DerParts(parameters.body, what);
  const digest = parts.optional(tagged(0));
  if (digest !== undefined) checkDigest(onlyElement(digest.body, tags.sequence, what), what);
  const mask = parts.optional(tagged(1));
  if (mask !== undefined) {
    const function_ = algorithmOf(onlyElement(mask.body, tags.sequence, what), what);
    if (function_.id !== mgf1 || function_.parameters === undefined) throw damaged(what);
    checkDigest(function_.parameters, what);
  }
  const salt = parts.optional(tagged(2));
  if (salt !== undefined) checkSmallNumber(onlyElement(salt.body, tags.integer, what).body, what);
  const trailer = parts.optional(tagged(3));
  if (trailer !== undefined && hexOf(onlyElement(trailer.body, tags.integer, what)) !== '01')
    throw damaged(what);
  parts.end();
}

function checkDigest(element: DerElement, what: string): void {
  const { id, parameters } = algorithmOf(element, what);
  if (!digests.has(id) || parameters !== undefined) throw damaged(what);
}

/** Bytes of a coordinate of each curve that Java names (`sun.security.util.CurveDB`). */
const curves: ReadonlyMap<string, number> = new Map([
  // 1.2.840.10045.3.1.1 to 7: prime192v1 to prime256v1
  ...[24, 24, 24, 30, 30, 30, 32].map((size, index) => [`2a8648ce3d03010${index + 1}`, size] as const),
  // 1.3.132.0.N: secp…
  ...Object.entries({
    6: 14,
    7: 14,
    8: 20,
    9: 20,
    10: 32,
    28: 16,
    29: 16,
    30: 20,
    31: 24,
    32: 28,
    33: 28,
  }).map(secg),
  ...Object.entries({ 34: 48, 35: 66 }).map(secg),
  // sect…
  ...Object.entries({ 1: 21, 2: 21, 3: 30, 4: 15, 5: 15, 15: 21, 16: 36, 17: 36, 22: 17, 23: 17 }).map(secg),
  ...Object.entries({ 24: 25, 25: 25, 26: 30, 27: 30, 36: 52, 37: 52, 38: 72, 39: 72 }).map(secg),
  // 1.3.36.3.3.2.8.1.1.N: brainpoolP…r1
  ...Object.entries({ 1: 20, 3: 24, 5: 28, 7: 32, 9: 40, 11: 48, 13: 64 }).map(
    ([last, size]) => [`2b240303020801010${Number(last).toString(16)}`, size] as const,
  ),
]);

function secg([last, size]: readonly [string, number]): readonly [string, number] {
  return [`2b810400${Number(last).toString(16).padStart(2, '0')}`, size];
}

/** Bytes of the keys that are nothing but bytes: X25519, X448, Ed25519, Ed448 (RFC 8410); ML-DSA-44, -65, -87 (FIPS 204). */
const plainKeys: ReadonlyMap<string, number> = new Map([
  ['2b656e', 32],
  ['2b656f', 56],
  ['2b6570', 32],
  ['2b6571', 57],
  ['608648016503040311', 1312],
  ['608648016503040312', 1952],
  ['608648016503040313', 2592],
]);

/** 1.2.840.113549.1.1.1, 1.2.840.10045.2.1, 1.2.840.10040.4.1 */
const [rsa, ec, dsa] = ['2a864886f70d010101', '2a8648ce3d0201', '2a8648ce380401'] as const;

/** @throws NotForJava */
export function checkPublicKey({ tag, body }: DerElement): void {
  const what = 'its public key';
  if (tag !== tags.sequence) throw damaged(what);
  const parts = new DerParts(body, what);
  const { id, dotted, parameters } = algorithmOf(parts.next(), what);
  const { bytes, unused } = bitsOf(parts.next(tags.bits).body, what);
  parts.end();
  if (id.startsWith(foreign)) return;
  if (unused > 0) throw damaged(what);
  if (id === ec) return checkEcKey(bytes, parameters);
  if (id === dsa) return checkDsaKey(bytes, parameters);
  if (id === pss) checkPss(parameters);
  if (id === pss || (id === rsa && parameters === undefined)) return checkRsaKey(bytes);
  const size = id === rsa ? 0 : plainKeys.get(id);
  if (size === undefined)
    throw new NotForJava(`its public key is of a kind that Java may not read (${dotted})`);
  if (bytes.length !== size || parameters !== undefined) throw damaged(what);
}

function checkEcKey(point: Uint8Array, parameters: DerElement | undefined): void {
  if (parameters?.tag === tags.sequence)
    throw new NotForJava('its key has the parameters of its curve instead of the curve’s name');
  if (parameters?.tag === tags.objectId) checkObjectId(parameters, 'its public key');
  const size = parameters?.tag === tags.objectId ? curves.get(hexOf(parameters)) : undefined;
  if (size === undefined) {
    const name = parameters?.tag === tags.objectId ? ` (${dottedOf(parameters)})` : '';
    throw new NotForJava(`its key is on a curve that Java does not know${name}`);
  }
  if (point[0] === 2 || point[0] === 3) throw new NotForJava('the point of its key is compressed');
  if (point[0] !== 4 || point.length !== 1 + 2 * size) throw damaged('its public key');
}

/** `RSAKeyFactory.checkRSAProviderKeyLengths`, and `RSAPublicKeyImpl.checkExponentRange`. */
function checkRsaKey(bytes: Uint8Array): void {
  const what = 'its public key';
  const parts = new DerParts(onlyElement(bytes, tags.sequence, what).body, what);
  const modulus = numberOf(parts.next(tags.integer));
  const exponent = numberOf(parts.next(tags.integer));
  parts.end();
  const size = bitLength(modulus);
  if (size < 512 || size > 16_384)
    throw new NotForJava(`its RSA key has ${size} bits, and Java takes 512 to 16,384`);
  if (exponent < 3n || exponent >= modulus || (size > 3072 && bitLength(exponent) > 64))
    throw new NotForJava('the exponent of its RSA key is one that Java refuses');
}

function checkDsaKey(bytes: Uint8Array, parameters: DerElement | undefined): void {
  const what = 'its public key';
  if (parameters?.tag !== tags.sequence) throw damaged(what);
  const parts = new DerParts(parameters.body, what);
  const numbers = [1, 2, 3].map(() => parts.next(tags.integer));
  parts.end();
  numbers.push(onlyElement(bytes, tags.integer, what));
  if (numbers.some((each) => numberOf(each) === 0n)) throw damaged(what);
}

/** Java takes what has a sign for positive as well. */
function numberOf(element: DerElement): bigint {
  // Far more than any key has: numbers of megabytes take long.
  if (element.body.length === 0 || element.body.length > 4096) throw damaged('its public key');
  return BigInt(`0x${hexOf(element)}`);
}

function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}
