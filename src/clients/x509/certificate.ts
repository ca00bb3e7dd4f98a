import { createHash, X509Certificate } from 'node:crypto';

import { NotDer, readDer, readDerList } from './der.ts';
import { nameAttributes } from './distinguished-name.ts';

/** A certificate that was found, and where. */
export interface FoundCertificate {
  readonly x509: X509Certificate;
  /** As it is encoded (DER). */
  readonly bytes: Buffer;
  /** SHA-256 of the bytes in hex, by which two of them are the same. */
  readonly fingerprint: string;
  /** The subject as it is encoded. */
  readonly subject: Uint8Array;
  /** What people call it: its common name, else what else its subject has; in quotes. */
  readonly shown: string;
  /** The same as a word: small letters, digits and `-`. */
  readonly slug: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  /** Version 1 has no place for "is an authority", so that old roots do not say it. */
  readonly versionOne: boolean;
  /** The file, and the line where it has lines. */
  readonly from: string;
}

/** Bytes that are not a certificate; the message follows where they are. */
export class NotCertificate extends Error {
  override readonly name = 'NotCertificate';
}

/** @param bytes DER @throws NotCertificate */
export function readCertificate(bytes: Uint8Array, from: string): FoundCertificate {
  try {
    const x509 = new X509Certificate(bytes);
    // As OpenSSL writes it: what stood behind it is gone.
    const own = x509.raw;
    const [signed] = readDerList(readDer(own).body);
    if (signed === undefined) throw new NotDer('it has no parts');
    const parts = readDerList(signed.body);
    // RFC 5280, 4.1: [0] version, serialNumber, signature, issuer, validity, subject
    const versionOne = parts[0]?.tag !== 0xa0;
    const subject = parts[versionOne ? 4 : 5];
    if (subject === undefined) throw new NotDer('it has no subject');
    const name = nameIn(subject.whole);
    return {
      x509,
      bytes: own,
      fingerprint: createHash('sha256').update(own).digest('hex'),
      subject: subject.whole,
      shown: JSON.stringify(printable(name)),
      slug: slugOf(name),
      validFrom: timeOf(x509.validFrom, x509.validFromDate),
      validTo: timeOf(x509.validTo, x509.validToDate),
      versionOne,
      from,
    };
  } catch {
    // OpenSSL's words say nothing to people, and may quote what stands there.
    throw new NotCertificate('is not a certificate (X.509)');
  }
}

/** Object identifiers of CN, OU and O (RFC 4519), as they are encoded: the first of these names it. */
const naming = ['0603550403', '060355040b', '060355040a'] as const;

function nameIn(subject: Uint8Array): string {
  const attributes = nameAttributes(subject);
  for (const wanted of naming) {
    const found = attributes.findLast(({ type }) => type === wanted);
    if (found !== undefined && found.text.trim() !== '') return found.text.trim();
  }
  return attributes.map(({ text }) => text).join(', ') || 'without a name';
}

/** Characters of a name that are shown. Those of people have some dozens; X.520 allows 64 for each part. */
const longestName = 300;

/**
 * In a line of a log nothing moves a cursor or turns the direction of what follows; and no name fills a screen. A longer one is
 * described and not cut: the redactor comes later, and does not know the half of a secret.
 */
export function printable(name: string): string {
  if (name.length > longestName) return `(a name of ${name.length} characters)`;
  return name.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

function slugOf(name: string): string {
  return (
    name
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, 40)
      .replace(/^-+|-+$/g, '') || 'certificate'
  );
}

/**
 * A time that is not one is long ago: no program takes it for valid either.
 * @param text what OpenSSL prints of it, which begins with `Bad time value` then; Node's date of such a one is any
 */
function timeOf(text: string, date: Date): Date {
  return text.startsWith('Bad time') || Number.isNaN(date.getTime()) ? new Date(0) : date;
}

/** Why nobody may be able to use it as an authority; the texts follow its name. */
export function doubtsOf(
  { x509, validFrom, validTo, versionOne }: FoundCertificate,
  now: Date,
): readonly string[] {
  const doubts: string[] = [];
  if (validTo < now) doubts.push(`expired on ${dayOf(validTo)}`);
  if (validFrom > now) doubts.push(`is not valid before ${dayOf(validFrom)}`);
  if (!x509.ca && !(versionOne && x509.subject === x509.issuer))
    doubts.push('is not a CA certificate: it makes no other certificate trusted');
  return doubts;
}

export function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/**
 * Names by which Java's programs find certificates in a store. They depend on nothing but the certificate, so that they stay
 * whatever else is added; Java takes small and capital letters for the same.
 */
export function aliasesOf(certificates: readonly FoundCertificate[]): readonly string[] {
  const short = certificates.map(({ slug, fingerprint }) => `${slug}-${fingerprint.slice(0, 12)}`);
  const seen = Map.groupBy(short, (alias) => alias);
  return certificates.map(({ slug, fingerprint }, index) => {
    const alias = short[index] ?? '';
    // Only where somebody searched for two of one beginning.
    return seen.get(alias)?.length === 1 ? alias : `${slug}-${fingerprint}`;
  });
}
