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
  primitive,
  tagged,
} from './java-der.ts';
import { checkGeneralNames, checkSubtreeName } from './java-general-names.ts';

const what = 'its extensions';

/**
 * Checks a certificate's extensions as `sun.security.x509.CertificateExtensions` reads them: a damaged one is passed over
 * unless it is critical and of a kind that Java knows.
 * @throws NotForJava
 * @returns whether a critical subjectAltName says who the subject is
 */
export function checkExtensions(body: Uint8Array): { readonly namesSubject: boolean } {
  const seen = new Set<string>();
  let namesSubject = false;
  const parts = new DerParts(onlyElement(body, tags.sequence, what).body, what);
  for (const extension of parts.rest(tags.sequence)) {
    const fields = new DerParts(extension.body, what);
    const id = fields.next();
    checkObjectId(id, what);
    const flag = fields.optional(tags.boolean);
    if (flag !== undefined && flag.body.length !== 1) throw damaged(what);
    const value = fields.next(tags.octets);
    fields.end();
    const [hex, dotted] = [hexOf(id), dottedOf(id)];
    if (seen.has(hex)) throw new NotForJava(`it has the extension ${dotted} twice`);
    seen.add(hex);
    if (flag === undefined || flag.body[0] === 0) continue;
    checkCritical(hex, dotted, value.body);
    if (hex === subjectAltName) namesSubject = true;
  }
  return { namesSubject };
}

type Check = (value: Uint8Array, what: string) => void;

const subjectAltName = '551d11';

/** What Java reads of those that are critical in practice, by their object identifiers (2.5.29.N is `551d`, N). */
const known: ReadonlyMap<string, readonly [name: string, check: Check]> = new Map([
  ['551d0e', ['subjectKeyIdentifier', (value, name) => void onlyElement(value, tags.octets, name)]],
  ['551d0f', ['keyUsage', checkBits]],
  [subjectAltName, ['subjectAltName', checkAlternatives]],
  ['551d12', ['issuerAltName', checkAlternatives]],
  ['551d13', ['basicConstraints', checkBasicConstraints]],
  ['551d1e', ['nameConstraints', checkNameConstraints]],
  ['551d1f', ['cRLDistributionPoints', checkDistributionPoints]],
  ['551d20', ['certificatePolicies', checkPolicies]],
  ['551d21', ['policyMappings', checkMappings]],
  ['551d23', ['authorityKeyIdentifier', checkAuthorityKey]],
  ['551d24', ['policyConstraints', checkPolicyConstraints]],
  ['551d25', ['extendedKeyUsage', checkUsages]],
  ['551d36', ['inhibitAnyPolicy', checkInhibit]],
  // 2.16.840.1.113730.1.1
  ['6086480186f8420101', ['nsCertType', checkBits]],
]);

/** 2.5.29 and 1.3.6.1.5.5.7: where Java knows, or may come to know, others. */
const standard = ['551d', '2b0601050507'] as const;

function checkCritical(hex: string, dotted: string, value: Uint8Array): void {
  const [name, check] = known.get(hex) ?? [];
  if (name === undefined || check === undefined) {
    // Java keeps what it does not know as bytes.
    if (!standard.some((arc) => hex.startsWith(arc))) return;
    throw new NotForJava(`its extension ${dotted} is critical, which Java may not take`);
  }
  check(value, `its critical extension ${name} (${dotted})`);
}

function sequenceIn(value: Uint8Array, name: string): DerParts {
  return new DerParts(onlyElement(value, tags.sequence, name).body, name);
}

function checkBits(value: Uint8Array, name: string): void {
  bitsOf(onlyElement(value, tags.bits, name).body, name);
}

function checkAlternatives(value: Uint8Array, name: string): void {
  checkGeneralNames(onlyElement(value, tags.sequence, name).body, name);
}

function checkBasicConstraints(value: Uint8Array, name: string): void {
  const parts = sequenceIn(value, name);
  const authority = parts.optional(tags.boolean);
  if (authority !== undefined && authority.body.length !== 1) throw damaged(name);
  const length = parts.optional(tags.integer);
  if (length !== undefined) checkSmallNumber(length.body, name);
  parts.end();
}

function checkNameConstraints(value: Uint8Array, name: string): void {
  const parts = sequenceIn(value, name);
  const subtrees = [parts.optional(tagged(0)), parts.optional(tagged(1))];
  parts.end();
  for (const each of subtrees) {
    if (each === undefined) continue;
    for (const { body } of new DerParts(each.body, name).rest(tags.sequence)) {
      const subtree = new DerParts(body, name);
      checkSubtreeName(subtree.next(), name);
      for (const number of [0, 1]) {
        const distance = subtree.optional(primitive(number));
        if (distance !== undefined) checkSmallNumber(distance.body, name);
      }
      subtree.end();
    }
  }
}

function checkDistributionPoints(value: Uint8Array, name: string): void {
  for (const { body } of sequenceIn(value, name).rest(tags.sequence)) {
    const point = new DerParts(body, name);
    // A full name alone: what else there can be is not seen in practice.
    const names = onlyElement(point.next(tagged(0)).body, tagged(0), name);
    point.end();
    checkGeneralNames(names.body, name);
  }
}

function checkPolicies(value: Uint8Array, name: string): void {
  for (const { body } of sequenceIn(value, name).rest(tags.sequence)) {
    const policy = new DerParts(body, name);
    checkObjectId(policy.next(), name);
    const qualifiers = policy.optional(tags.sequence);
    policy.end();
    if (qualifiers === undefined) continue;
    const each = new DerParts(qualifiers.body, name);
    if (each.left === 0) throw damaged(name);
    for (const { body: pair } of each.rest(tags.sequence)) {
      const qualifier = new DerParts(pair, name);
      checkObjectId(qualifier.next(), name);
      qualifier.next();
      qualifier.end();
    }
  }
}

function checkMappings(value: Uint8Array, name: string): void {
  for (const { body } of sequenceIn(value, name).rest(tags.sequence)) {
    const mapping = new DerParts(body, name);
    checkObjectId(mapping.next(), name);
    checkObjectId(mapping.next(), name);
    mapping.end();
  }
}

function checkAuthorityKey(value: Uint8Array, name: string): void {
  const parts = sequenceIn(value, name);
  parts.optional(primitive(0));
  const issuer = parts.optional(tagged(1));
  if (issuer !== undefined) checkGeneralNames(issuer.body, name);
  const serial = parts.optional(primitive(2));
  if (serial?.body.length === 0) throw damaged(name);
  parts.end();
}

function checkPolicyConstraints(value: Uint8Array, name: string): void {
  const parts = sequenceIn(value, name);
  for (const number of [0, 1]) {
    const skip = parts.optional(primitive(number));
    if (skip !== undefined) checkSmallNumber(skip.body, name);
  }
  parts.end();
}

function checkUsages(value: Uint8Array, name: string): void {
  for (const usage of sequenceIn(value, name).rest()) checkObjectId(usage, name);
}

function checkInhibit(value: Uint8Array, name: string): void {
  checkSmallNumber(onlyElement(value, tags.integer, name).body, name);
}
