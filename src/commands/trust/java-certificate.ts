import type { DerElement } from '../../clients/x509/der.ts';
import {
  bitsOf,
  checkName,
  damaged,
  javaTags as tags,
  NotForJava,
  onlyElement,
  DerParts,
  primitive,
  tagged,
} from './java-der.ts';
import { checkExtensions } from './java-extensions.ts';
import { checkPublicKey, checkSignatureAlgorithm, sameAlgorithm } from './java-key.ts';

/**
 * Why Java would not read a certificate (sun.security.x509.X509CertImpl of Java 17 and 25), or might not: what is not fully
 * understood here counts as refused. Java reads all of a store or nothing of it, so that one such certificate takes the
 * others with it.
 * @param bytes DER
 * @returns what follows a colon; undefined where Java reads it
 */
export function whyNotForJava(bytes: Uint8Array): string | undefined {
  try {
    checkCertificate(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof NotForJava) return error.message;
    throw error;
  }
}

const what = 'its structure';

function checkCertificate(bytes: Uint8Array): void {
  const parts = new DerParts(onlyElement(bytes, tags.sequence, what).body, what);
  const signed = parts.next(tags.sequence);
  const algorithm = parts.next();
  checkSignatureAlgorithm(algorithm);
  bitsOf(parts.next(tags.bits).body, 'its signature');
  parts.end();
  checkSigned(signed.body, algorithm);
}

/** RFC 5280, 4.1: version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, … */
function checkSigned(body: Uint8Array, algorithm: DerElement): void {
  const parts = new DerParts(body, what);
  const version = versionOf(parts.optional(tagged(0)));
  if (parts.next(tags.integer).body.length === 0) throw damaged('its serial number');
  const signature = parts.next();
  checkSignatureAlgorithm(signature);
  if (!sameAlgorithm(algorithm, signature))
    throw new NotForJava('it names two different algorithms of its signature');
  if (checkName(parts.next(), 'its issuer').empty) throw new NotForJava('its issuer is empty');
  checkValidity(parts.inside(tags.sequence));
  const { empty } = checkName(parts.next(), 'its subject');
  checkPublicKey(parts.next());
  for (const number of [1, 2]) {
    const id = parts.optional(primitive(number));
    if (id === undefined) continue;
    if (version === 1) throw new NotForJava('it has parts that certificates of version 1 do not have');
    bitsOf(id.body, 'its unique identifier');
  }
  const extensions = parts.optional(tagged(3));
  parts.end();
  if (extensions !== undefined && version !== 3)
    throw new NotForJava(`it has extensions, which certificates of version ${version} do not have`);
  const named = extensions !== undefined && checkExtensions(extensions.body).namesSubject;
  if (empty && !named)
    throw new NotForJava('its subject is empty, and no critical subjectAltName names it instead');
}

function versionOf(element: DerElement | undefined): number {
  if (element === undefined) return 1;
  const [number = 3, ...others] = onlyElement(element.body, tags.integer, 'its version').body;
  if (number > 2 || others.length > 0) throw damaged('its version');
  return number + 1;
}

/** `DerValue.getTimeInternal`. Seconds may be missing, and there may be an offset in place of Z. */
const times: ReadonlyMap<number, RegExp> = new Map([
  [tags.utcTime, /^\d\d(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:Z|[+-](\d\d)(\d\d))$/],
  [tags.generalizedTime, /^\d{4}(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d{1,3})?(?:Z|[+-](\d\d)(\d\d))$/],
]);

function checkValidity(parts: DerParts): void {
  for (const name of ['first', 'last']) {
    const { tag, body } = parts.next();
    const found = times.get(tag)?.exec(Buffer.from(body).toString('latin1'));
    const [month = 1, day = 1, hour = 0, minute = 0, second = 0, hours = 0, minutes = 0] = (
      found?.slice(1) ?? ['0']
    ).map((digits: string | undefined) => Number(digits ?? 0));
    const isDate = month >= 1 && month <= 12 && day >= 1 && day <= 31;
    if (!isDate || hour > 23 || minute > 59 || second > 59 || hours > 23 || minutes > 59)
      throw new NotForJava(`its ${name} date is not one`);
  }
  parts.end();
}
