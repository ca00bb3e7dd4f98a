import { describe, expect, test } from 'vitest';

import { derElement, derObjectId, derSequence, derSetOf } from '../../../../src/clients/x509/der.ts';
import { whyNotIssuer } from '../../../../src/clients/x509/distinguished-name.ts';

const named = (tag: number, bytes: Uint8Array): Buffer =>
  derSequence(derSetOf(derSequence(derObjectId('2.5.4.3'), derElement(tag, bytes))));

describe('the name of an authority', () => {
  test.each<readonly [string, number, Buffer]>([
    ['UTF8String', 0x0c, Buffer.from('Corp Ü')],
    ['PrintableString', 0x13, Buffer.from("Corp (A&B), O'Hare *.test")],
    ['IA5String', 0x16, Buffer.from('a@b_c.test')],
    ['NumericString', 0x12, Buffer.from('12 34')],
    ['T61String', 0x14, Buffer.from('Corp \u00dc', 'latin1')],
    ['BMPString', 0x1e, Buffer.from('Corp', 'utf16le').swap16()],
    ['an empty UTF8String', 0x0c, Buffer.of()],
  ])('in %s is read by all', (_, tag, bytes) => {
    expect(whyNotIssuer(named(tag, bytes))).toBeUndefined();
  });

  test.each<readonly [string, number, Buffer]>([
    ['UniversalString', 0x1c, Buffer.from([0, 0, 0, 65])],
    ['VisibleString', 0x1a, Buffer.from('Corp')],
    ['a string of octets', 0x04, Buffer.from('Corp')],
    ['a PrintableString with more than its letters', 0x13, Buffer.from('a_b@c')],
    ['a UTF8String that is none', 0x0c, Buffer.from([0xff, 0xfe])],
    ['an IA5String beyond ASCII', 0x16, Buffer.from([0xdc])],
    ['a NumericString with letters', 0x12, Buffer.from('1a')],
    ['half a letter of a BMPString', 0x1e, Buffer.from([0, 65, 0])],
    ['a letter of a BMPString that needs two', 0x1e, Buffer.from('\u{1f600}', 'utf16le').swap16()],
  ])('in %s is not', (_, tag, bytes) => {
    expect(whyNotIssuer(named(tag, bytes))).toContain('encoded in a way that not all programs read');
  });

  test('must be one', () => {
    expect(whyNotIssuer(derSequence())).toContain('has no subject');
    expect(whyNotIssuer(derSequence(derSetOf(derSequence(derObjectId('2.5.4.3')))))).toContain('encoded');
  });
});
