import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';

import { expect, test } from 'vitest';

import {
  derElement,
  derInteger,
  derNull,
  derObjectId,
  derOctets,
  derSequence,
  derSetOf,
  derTagged,
} from '../../../../src/clients/x509/der.ts';
import { whyNotForJava } from '../../../../src/commands/trust/java-certificate.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const text = (tag: number, value: string): Buffer => derElement(tag, Buffer.from(value, 'latin1'));
const bits = (content: Uint8Array): Buffer => derElement(0x03, Buffer.from([0]), content);
const yes = bytes('0101ff');

const named = (value = text(0x0c, 'x')): Buffer =>
  derSequence(derSetOf(derSequence(derObjectId('2.5.4.3'), value)));
const nobody = derSequence();
const ecdsa = derSequence(derObjectId('1.2.840.10045.4.3.2'));
const p256 = derObjectId('1.2.840.10045.3.1.7');
const point = Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)]);
const key = (id: string, parameters: readonly Buffer[], content: Uint8Array): Buffer =>
  derSequence(derSequence(derObjectId(id), ...parameters), bits(content));
const ec = (curve: Buffer, content: Uint8Array = point): Buffer => key('1.2.840.10045.2.1', [curve], content);
const number = (size: number): Buffer =>
  derElement(0x02, Buffer.concat([Buffer.from([0]), Buffer.alloc(size, 0xff)]));
const rsa = (modulus: Buffer, exponent: Buffer, parameters = derNull): Buffer =>
  key('1.2.840.113549.1.1.1', [parameters], derSequence(modulus, exponent));
const day = text(0x17, '260101000000Z');
const extension = (id: string, critical: boolean, value: Uint8Array): Buffer =>
  derSequence(derObjectId(id), ...(critical ? [yes] : []), derOctets(value));
const authority = extension('2.5.29.19', true, derSequence(yes));
const broken = bytes('0500');
const alternatives = (critical: boolean, ...names: readonly Buffer[]): Buffer =>
  extension('2.5.29.17', critical, derSequence(...names));

interface Fields {
  readonly version?: Buffer;
  readonly serial?: Buffer;
  readonly inner?: Buffer;
  readonly outer?: Buffer;
  readonly issuer?: Buffer;
  readonly dates?: readonly Buffer[];
  readonly subject?: Buffer;
  readonly publicKey?: Buffer;
  readonly ids?: readonly Buffer[];
  readonly extensions?: readonly Buffer[] | undefined;
  readonly more?: readonly Buffer[];
  readonly signature?: Buffer;
  readonly behind?: readonly Buffer[];
}

function certificate(fields: Fields = {}): Buffer {
  const extensions = 'extensions' in fields ? fields.extensions : [authority];
  return derSequence(
    derSequence(
      fields.version ?? derTagged(0, derInteger(2)),
      fields.serial ?? derInteger(1),
      fields.inner ?? ecdsa,
      fields.issuer ?? named(),
      derSequence(...(fields.dates ?? [day, day])),
      fields.subject ?? named(),
      fields.publicKey ?? ec(p256),
      ...(fields.ids ?? []),
      ...(extensions === undefined ? [] : [derTagged(3, derSequence(...extensions))]),
      ...(fields.more ?? []),
    ),
    fields.outer ?? ecdsa,
    fields.signature ?? bits(bytes('3000')),
    ...(fields.behind ?? []),
  );
}

const versionOne = { version: Buffer.alloc(0), extensions: undefined } as const;
const withNull = derSequence(derObjectId('1.2.840.10045.4.3.2'), derNull);
const id = derElement(0x81, bytes('00ff'));

test.each<[string, Fields]>([
  ['as most are', {}],
  ['version 1', versionOne],
  ['version 1 that says so', { version: derTagged(0, derInteger(0)), extensions: undefined }],
  ['version 3 without extensions', { extensions: undefined }],
  [
    'version 2 with a unique identifier',
    { ids: [id], version: derTagged(0, derInteger(1)), extensions: undefined },
  ],
  ['a negative serial number', { serial: bytes('0201fb') }],
  ['a serial number of 40 bytes', { serial: number(40) }],
  ['NULL here and nothing there', { inner: withNull }],
  [
    'an empty subject with a critical subjectAltName',
    { subject: nobody, extensions: [alternatives(true, text(0x82, 'a_b.example'))] },
  ],
  ['a damaged extension that is not critical', { extensions: [extension('2.5.29.17', false, broken)] }],
  ['a critical extension that nobody knows', { extensions: [extension('1.2.3.4', true, broken)] }],
  [
    'a time without seconds and with an offset',
    { dates: [text(0x17, '2601010000+0100'), text(0x18, '20260101000000.5Z')] },
  ],
  ['a day that its month does not have', { dates: [text(0x17, '260231000000Z'), day] }],
  ['an RSA key of 512 bits', { publicKey: rsa(number(64), derInteger(3)) }],
  [
    'a key of GOST',
    { publicKey: key('1.2.643.7.1.1.1.1', [derSequence(derObjectId('1.2.643.2.2.35.1'))], point) },
  ],
])('%s: Java reads it', (_name, fields) => expect(whyNotForJava(certificate(fields))).toBeUndefined());

const critical = (name: string, value: Uint8Array): Fields => ({
  extensions: [extension(name, true, value)],
});
const hugeExponent = { publicKey: rsa(number(512), number(9)) };

test.each<[string, Fields, RegExp]>([
  ['an empty issuer', { issuer: nobody }, /issuer is empty/],
  ['an issuer that is not a name', { issuer: derSequence(derSequence()) }, /its issuer cannot be read/],
  ['a name with half a character', { subject: named(bytes('1e02d800')) }, /its subject cannot/],
  ['an empty subject', { subject: nobody }, /subject is empty/],
  ['an empty subject in version 1', { ...versionOne, subject: nobody }, /subject is empty/],
  [
    'an empty subject, its names not critical',
    { subject: nobody, extensions: [alternatives(false, text(0x82, 'x'))] },
    /subject is empty/,
  ],
  [
    'no alternative names',
    { extensions: [alternatives(true)] },
    /subjectAltName \(2\.5\.29\.17\) cannot be read/,
  ],
  ['explicit parameters', { publicKey: ec(derSequence(derInteger(1))) }, /parameters of its curve/],
  ['no parameters', { publicKey: key('1.2.840.10045.2.1', [], point) }, /curve that Java does not know$/],
  [
    'a curve of SM2',
    { publicKey: ec(derObjectId('1.2.156.10197.1.301')) },
    /does not know \(1\.2\.156\.10197\.1\.301\)/,
  ],
  ['a compressed point', { publicKey: ec(p256, Buffer.alloc(33, 2)) }, /compressed/],
  ['a point of another curve', { publicKey: ec(p256, Buffer.alloc(97, 4)) }, /public key cannot/],
  ['a short RSA key', { publicKey: rsa(number(63), derInteger(3)) }, /504 bits/],
  ['a long RSA key', { publicKey: rsa(number(2049), derInteger(3)) }, /16392 bits/],
  ['an RSA key of a megabyte', { publicKey: rsa(number(1 << 20), derInteger(3)) }, /public key cannot/],
  [
    'a curve whose number is a megabyte',
    { publicKey: ec(derElement(0x06, Buffer.alloc(1 << 20, 1))) },
    /public key cannot/,
  ],
  ['an exponent of 1', { publicKey: rsa(number(64), derInteger(1)) }, /exponent/],
  ['an exponent over the modulus', { publicKey: rsa(number(64), number(65)) }, /exponent/],
  ['a long exponent', hugeExponent, /exponent/],
  [
    'an RSA key with parameters',
    { publicKey: rsa(number(64), derInteger(3), derSequence()) },
    /public key cannot/,
  ],
  [
    'a key of Ed25519 that is too short',
    { publicKey: key('1.3.101.112', [], Buffer.alloc(31)) },
    /public key cannot/,
  ],
  [
    'a kind of key that nobody knows',
    { publicKey: key('1.2.3', [], point) },
    /kind that Java may not read \(1\.2\.3\)/,
  ],
  ['an extension twice', { extensions: [authority, authority] }, /2\.5\.29\.19 twice/],
  [
    'an unknown extension twice',
    { extensions: [1, 2].map(() => extension('1.2.3.4', false, broken)) },
    /1\.2\.3\.4 twice/,
  ],
  ['extensions in version 1', { version: Buffer.alloc(0) }, /extensions, which certificates of version 1/],
  ['extensions in version 2', { version: derTagged(0, derInteger(1)) }, /version 2/],
  ['a unique identifier in version 1', { ...versionOne, ids: [id] }, /version 1 do not have/],
  ['version 4', { version: derTagged(0, derInteger(3)) }, /its version cannot/],
  ['no serial number', { serial: bytes('0200') }, /serial number cannot/],
  ['two algorithms', { inner: derSequence(derObjectId('1.2.840.10045.4.3.3')) }, /two different algorithms/],
  ['a month 13', { dates: [day, text(0x17, '261301000000Z')] }, /last date/],
  ['a date of letters', { dates: [text(0x17, 'XXXXXXXXXXXXZ'), day] }, /first date/],
  ['a date that is a text', { dates: [text(0x0c, '260101000000Z'), day] }, /first date/],
  ['a second 60', { dates: [text(0x17, '260101000060Z'), day] }, /first date/],
  ['one date', { dates: [day] }, /structure/],
  ['bytes behind', { behind: [derNull] }, /structure/],
  ['bytes behind the extensions', { more: [derNull] }, /structure/],
  ['a signature of no bits', { signature: bytes('0300') }, /its signature cannot/],
  ['a length in more digits than it needs', { serial: bytes('02810101') }, /structure/],
  ['damaged basicConstraints', critical('2.5.29.19', broken), /basicConstraints/],
  ['a path length below zero', critical('2.5.29.19', bytes('30060101ff0201ff')), /basicConstraints/],
  ['damaged keyUsage', critical('2.5.29.15', broken), /keyUsage/],
  ['keyUsage with bytes behind', critical('2.5.29.15', bytes('0302010600')), /keyUsage/],
  ['damaged extendedKeyUsage', critical('2.5.29.37', bytes('3003020105')), /extendedKeyUsage/],
  [
    'nameConstraints with a URI',
    critical('2.5.29.30', bytes('300fa00d300b8609687474703a2f2f782f')),
    /nameConstraints/,
  ],
  [
    'nameConstraints with a mask of an odd length',
    critical('2.5.29.30', bytes('300ba009300787050a0000ff00')),
    /nameConstraints/,
  ],
  ['damaged policies', critical('2.5.29.32', bytes('3005300306002a')), /certificatePolicies/],
  ['damaged policyConstraints', critical('2.5.29.36', broken), /policyConstraints/],
  ['damaged inhibitAnyPolicy', critical('2.5.29.54', broken), /inhibitAnyPolicy/],
  [
    'a critical extension of the standard that is not looked into',
    critical('2.5.29.28', broken),
    /2\.5\.29\.28 is critical/,
  ],
])('%s: Java does not', (_name, fields, why) => expect(whyNotForJava(certificate(fields))).toMatch(why));

test('all roots that Node brings are for Java', () => {
  const refused = rootCertificates.filter((one) => whyNotForJava(new X509Certificate(one).raw) !== undefined);
  expect(refused).toEqual([]);
});

test('a certificate that was cut or changed anywhere has an answer', () => {
  const whole = certificate();
  for (let at = 0; at < whole.length; at++) {
    expect(whyNotForJava(whole.subarray(0, at))).toBeDefined();
    for (const value of [0, 0x80, 0xff]) {
      const other = Buffer.from(whole);
      other[at] = value;
      expect(() => whyNotForJava(other)).not.toThrow();
    }
  }
});
