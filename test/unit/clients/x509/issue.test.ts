import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { hasNames, parseAlternativeName } from '../../../../src/clients/x509/alternative-names.ts';
import { maySign, ownKeyId } from '../../../../src/clients/x509/extensions.ts';
import { CannotSign, issueCertificate, keyIdOf } from '../../../../src/clients/x509/issue.ts';

const p256 = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const names = ['shop.prod', '::1'].map(parseAlternativeName);
const from = new Date('2026-01-01T00:00:00Z');
const usual = { commonName: 'shop', names, from, to: new Date('2027-01-01T00:00:00Z') } as const;

describe('an authority and what it signs', () => {
  test.each<[string, () => KeyObject]>([
    ['P-256', p256],
    ['P-384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey],
    ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
    ['Ed25519', () => generateKeyPairSync('ed25519').privateKey],
  ])('%s', (_, make) => {
    const key = make();
    const request = { ...usual, commonName: 'authority', names: [], key, authority: true, signer: undefined };
    const root = issueCertificate(request);
    const ca = new X509Certificate(root);
    expect(ca.ca).toBe(true);
    expect(maySign(root)).toBe(true);
    expect(ca.checkIssued(ca) && ca.verify(ca.publicKey)).toBe(true);
    const [keyId, own] = [ownKeyId(root), p256()];
    expect(keyId).toEqual(keyIdOf(ca.publicKey.export({ type: 'spki', format: 'der' })));
    // The subject of version 3 is the sixth part; the authority's is that of its own request.
    const subject = subjectOf(ca);
    const leaf = issueCertificate({
      ...usual,
      names: names.map(({ element }) => element),
      key: own,
      authority: false,
      signer: { subject, keyId: keyId!, key },
    });
    const x509 = new X509Certificate(leaf);
    expect(x509.checkIssued(ca) && x509.verify(ca.publicKey) && x509.checkPrivateKey(own)).toBe(true);
    expect(x509.ca).toBe(false);
    expect(maySign(leaf)).toBe(false);
    expect(x509.subjectAltName).toBe('DNS:shop.prod, IP Address:0:0:0:0:0:0:0:1');
    expect(hasNames(leaf, names.toReversed())).toBe(true);
    expect(hasNames(leaf, names.slice(1))).toBe(false);
    expect(hasNames(root, [])).toBe(true);
  });
});

function subjectOf(certificate: X509Certificate): Buffer {
  const text = /^CN=(.*)$/.exec(certificate.subject)?.[1] ?? '';
  const at = certificate.raw.indexOf(Buffer.from(text));
  // SEQUENCE, SET, SEQUENCE, OBJECT IDENTIFIER (5), UTF8String: lengths of one byte.
  return certificate.raw.subarray(at - 13, at + text.length);
}

test('times are in two digits for the year until 2049, and in four afterwards', () => {
  const key = p256();
  const to = new Date('2050-01-01T00:00:00.900Z');
  const made = issueCertificate({ ...usual, names: [], to, key, authority: true, signer: undefined });
  expect(made.includes(Buffer.from('\u0017\r260101000000Z'))).toBe(true);
  expect(made.includes(Buffer.from('\u0018\u000f20500101000000Z'))).toBe(true);
  expect(new X509Certificate(made).validToDate.toISOString()).toBe('2050-01-01T00:00:00.000Z');
});

test('serial numbers are positive, long and never the same', () => {
  const key = p256();
  const serials = Array.from(
    { length: 200 },
    () =>
      new X509Certificate(issueCertificate({ ...usual, names: [], key, authority: true, signer: undefined }))
        .serialNumber,
  );
  expect(new Set(serials).size).toBe(200);
  for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
});

test.each<[string, () => KeyObject, string]>([
  ['RSA of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey, '1024 bits'],
  ['RSA-PSS', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey, 'another kind'],
  ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, 'another kind'],
  ['X25519', () => generateKeyPairSync('x25519').privateKey, 'another kind'],
])('a key that nothing here signs by: %s', (_, make, said) => {
  const request = { ...usual, names: [], key: make(), authority: true, signer: undefined };
  expect(() => issueCertificate(request)).toThrow(CannotSign);
  expect(() => issueCertificate(request)).toThrow(said);
});
