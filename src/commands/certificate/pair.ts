import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';

import { type AlternativeName, hasNames } from '../../clients/x509/alternative-names.ts';
import { dayOf, type FoundCertificate } from '../../clients/x509/certificate.ts';
import { NotDer } from '../../clients/x509/der.ts';
import { mayServe } from '../../clients/x509/extensions.ts';
import { issueCertificate } from '../../clients/x509/issue.ts';
import { isOfKind, type KeyKind, makePrivateKey } from '../../clients/x509/make-key.ts';
import { chainOf, privateKeyIn, warnOfOpenKey } from '../../clients/x509/private-key.ts';
import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import { type OwnPublished, readOwnPublished } from '../../fs/publish/own-published.ts';
import { type Authority, backdated, largestPem, signerOf } from './authority.ts';
import { commonNameOf } from './certificate-names.ts';
import { certificatesOf, NoCertificates } from './certificates-of.ts';
import type { CertificateOptions, keyTypes } from './options.ts';

/** A private key and its certificate. */
export interface KeyPair {
  readonly certificate: FoundCertificate;
  readonly key: KeyObject;
  /** Of one that an issuer elsewhere signed, those above it, each one's issuer after it. */
  readonly above: readonly FoundCertificate[];
}

/** What is asked of them. */
export interface WantedPair {
  readonly names: readonly AlternativeName[];
  readonly authority: Authority | undefined;
  /** Whether an issuer elsewhere signs, whose certificates are known by what it gave before. */
  readonly isIssued: boolean;
  /** Whether a new authority is made where that one ends too soon. */
  readonly renewsAuthority: boolean;
  readonly now: Date;
}

type Asked = Pick<
  CertificateOptions,
  'duration' | 'renew-before' | 'key-type' | 'owner' | 'base-name' | 'mode'
>;

const kinds: Readonly<Record<(typeof keyTypes)[number], KeyKind>> = {
  'ec-p256': { type: 'ec', namedCurve: 'P-256' },
  'ec-p384': { type: 'ec', namedCurve: 'P-384' },
  'rsa-2048': { type: 'rsa', modulusLength: 2048 },
  'rsa-3072': { type: 'rsa', modulusLength: 3072 },
  'rsa-4096': { type: 'rsa', modulusLength: 4096 },
};

/** What an earlier run left, or why it is not kept; that text follows "since". */
export type EarlierPair = { readonly kept: KeyPair } | { readonly why: string; readonly planted?: true };

/** Looks at what an earlier run left, and whether it is what is wanted now. @throws Failure, LinkInPath */
export function earlierPair(
  folder: string,
  wanted: WantedPair,
  options: Asked,
  context: Context,
): EarlierPair {
  const names = [
    ...['crt', 'key'].map((ending) => `${options['base-name']}.${ending}`),
    ...(wanted.isIssued ? ['ca.crt'] : []),
  ];
  const [cert, key, root] = readOwnPublished(folder, names, largestPem, options.owner);
  if (cert?.kind === 'absent' && key?.kind === 'absent') return { why: 'there was none' };
  const path = (index: number): string => join(folder, names[index] ?? '');
  for (const [index, one] of [cert, key, root].entries())
    if (one?.kind === 'refused') return { why: `${path(index)} ${one.why}`, planted: true };
  const [certBytes, keyBytes] = [bytesOf(cert), bytesOf(key)];
  if (certBytes === undefined || keyBytes === undefined)
    return { why: `${path(certBytes === undefined ? 0 : 1)} was missing` };
  const rootBytes = bytesOf(root);
  if (wanted.isIssued && rootBytes === undefined) return { why: `${path(2)} was missing` };
  const pair = readPair(certBytes, keyBytes, rootBytes, path, context);
  if (!('certificate' in pair)) return pair;
  if (key?.kind === 'own') warnOfOpenKey(`--to: ${path(1)}`, key.mode, options.mode ?? 0, context);
  const why = whyNotKept(pair, wanted, options);
  return why === undefined ? { kept: pair } : { why };
}

function bytesOf(one: OwnPublished | undefined): Buffer | undefined {
  return one?.kind === 'own' ? one.bytes : undefined;
}

function readPair(
  cert: Buffer,
  key: Buffer,
  root: Buffer | undefined,
  path: (index: number) => string,
  context: Pick<Context, 'redactor'>,
): KeyPair | { readonly why: string } {
  try {
    const [certificate, ...others] = certificatesOf(cert, path(0));
    const given = { text: path(1), origin: '--to', password: undefined, passwordFlags: undefined };
    const read = privateKeyIn(key, given, context);
    if (certificate?.x509.checkPrivateKey(read) === true) {
      const roots = root === undefined ? [] : certificatesOf(root, path(2));
      const [, ...above] = chainOf(read, [certificate, ...others, ...roots])?.certificates ?? [];
      return { certificate, key: read, above: root === undefined ? [] : above };
    }
    return { why: `${path(1)} is not the key of ${path(0)}` };
  } catch (error) {
    if (error instanceof NoCertificates) return { why: error.message };
    if (error instanceof UsageError) return { why: `${path(1)} holds no private key that can be read` };
    throw error;
  }
}

/** The authority above a certificate that ends first, where that is before the certificate's own end. */
export function endsBefore(
  certificate: FoundCertificate,
  above: readonly FoundCertificate[],
): FoundCertificate | undefined {
  const [first] = above.toSorted((a, b) => a.validTo.getTime() - b.validTo.getTime());
  return first !== undefined && first.validTo < certificate.validTo ? first : undefined;
}

/** Seconds are all that a certificate's times have, in milliseconds. */
const second = 1000;

/** @returns undefined where it is what is wanted */
function whyNotKept(
  { certificate, key, above }: KeyPair,
  wanted: WantedPair,
  options: Asked,
): string | undefined {
  const { x509, bytes, validFrom, validTo } = certificate;
  const now = wanted.now.getTime();
  const { own } = wanted.authority ?? { own: certificate };
  const shorter = wanted.isIssued ? endsBefore(certificate, above) : undefined;
  if (wanted.isIssued) {
    if (above.length === 0) return 'it was not signed by the authority in ca.crt';
    if (shorter !== undefined && shorter.validTo.getTime() <= now)
      return `${shorter.shown} above it has expired`;
  } else if (!isIssuedBy(certificate, own))
    return wanted.authority === undefined
      ? 'it was signed by an authority, not by itself'
      : `it was not signed by ${own.shown}`;
  if (x509.ca) return 'it was an authority’s, which some programs do not take for a server’s';
  if (!mayServe(x509)) return 'its purposes were not those of a server';
  if (!namesMatch(bytes, wanted.names)) return 'it was for other names';
  if (!isOfKind(key, kinds[options['key-type']])) return 'its key was of another kind than --key-type';
  const lifetime = validTo.getTime() - validFrom.getTime();
  if (isLongerThan(options.duration, lifetime)) return 'it was valid for longer than --duration';
  if (validFrom.getTime() > now) return `it is not valid before ${dayOf(validFrom)}`;
  // With those above it, it is worth nothing once the first of them ends.
  const end = shorter?.validTo ?? validTo;
  const worth = end.getTime() - validFrom.getTime();
  const before = options['renew-before'] ?? Math.max(0, worth - backdated) / 3;
  const left = end.getTime() - now;
  if (left > before) return undefined;
  if (shorter !== undefined) return `${shorter.shown} above it ends on ${dayOf(end)}`;
  // A new one would end no later, since the authority ends then.
  if (left > 0 && !wanted.renewsAuthority && endOf(wanted, options) <= validTo.getTime() + second)
    return undefined;
  return left > 0 ? `it ended on ${dayOf(validTo)}` : `it had expired on ${dayOf(validTo)}`;
}

/** @param lifetime in milliseconds, as the duration */
export function isLongerThan(duration: number, lifetime: number): boolean {
  return lifetime > duration + backdated + second;
}

function isIssuedBy({ x509, bytes }: FoundCertificate, issuer: FoundCertificate): boolean {
  try {
    // Of one that may not sign others OpenSSL does not say that it signed itself.
    const named = issuer.bytes.equals(bytes) ? x509.subject === x509.issuer : x509.checkIssued(issuer.x509);
    return named && x509.verify(issuer.x509.publicKey);
  } catch {
    return false; // a kind of key that OpenSSL does not know
  }
}

function namesMatch(certificate: Uint8Array, names: readonly AlternativeName[]): boolean {
  try {
    return hasNames(certificate, names);
  } catch (error) {
    if (error instanceof NotDer) return false;
    throw error;
  }
}

/** When a certificate that is made now ends: not after its authority, or it would not be taken. */
export function endOf(
  { authority, now }: WantedPair,
  { duration }: Pick<CertificateOptions, 'duration'>,
): number {
  const asked = now.getTime() + duration;
  return Math.min(asked, authority?.own.validTo.getTime() ?? asked);
}

/** Makes a private key of the kind that is asked for. @throws the signal's reason */
export function newKey(
  options: Pick<CertificateOptions, 'key-type'>,
  context: Pick<Context, 'signal' | 'redactor'>,
): Promise<KeyObject> {
  return makePrivateKey(kinds[options['key-type']], context);
}

/** Makes a new pair. @returns it as it is encoded @throws the signal's reason */
export async function makePair(
  wanted: WantedPair,
  options: Asked,
  context: Pick<Context, 'signal' | 'redactor'>,
): Promise<{ readonly certificate: Buffer; readonly key: KeyObject }> {
  const key = await newKey(options, context);
  const { names, authority, now } = wanted;
  // Not before its authority: some programs look at both.
  const from = Math.max(now.getTime() - backdated, authority?.own.validFrom.getTime() ?? 0);
  const certificate = issueCertificate({
    key,
    commonName: commonNameOf(names),
    names: names.map(({ element }) => element),
    from: new Date(from),
    to: new Date(endOf(wanted, options)),
    authority: false,
    signer: authority === undefined ? undefined : signerOf(authority),
  });
  return { certificate, key };
}
