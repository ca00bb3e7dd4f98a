import { describe, expect, test } from 'vitest';

import {
  derBmpString,
  derInteger,
  derObjectId,
  derOctets,
  derSequence,
  derSetOf,
  NotDer,
  readDer,
  readDerList,
} from '../../../../src/clients/x509/der.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('what is written', () => {
  test.each([
    [0, '020100'],
    [127, '02017f'],
    [128, '02020080'],
    [10_000, '02022710'],
    [65_535, '020300ffff'],
    [0xffff_ffff, '020500ffffffff'],
  ])('the number %i', (value, expected) => expect(hex(derInteger(value))).toBe(expected));

  test.each([
    ['1.2.840.113549.1.7.1', '06092a864886f70d010701'],
    ['2.5.29.37.0', '0604551d2500'],
    ['2.16.840.1.113894.746875.1.1', '060c6086480186f966adca7b0101'],
  ])('the object identifier %s', (dotted, expected) => expect(hex(derObjectId(dotted))).toBe(expected));

  test.each([
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_536, '0483010000'],
  ])('a length of %i', (length, head) =>
    expect(hex(derOctets(Buffer.alloc(length))).slice(0, head.length)).toBe(head),
  );

  test('a set is in order, whatever order it was given in', () => {
    const parts = [derInteger(300), derInteger(2), derOctets(Buffer.from('a')), derInteger(1)];
    expect(hex(derSetOf(...parts))).toBe('310d0201010201020202012c040161');
    expect(derSetOf(...parts.toReversed())).toEqual(derSetOf(...parts));
  });

  test('a text in UTF-16', () => expect(hex(derBmpString('aé'))).toBe('1e04006100e9'));
});

describe('what is read', () => {
  test('what was written', () => {
    const long = derOctets(Buffer.alloc(300, 7));
    const [first, second] = readDerList(readDer(derSequence(derInteger(5), long)).body);
    expect(first).toMatchObject({ tag: 2, body: Buffer.from([5]) });
    expect(second?.whole).toEqual(long);
  });

  test.each([
    ['nothing', ''],
    ['a tag alone', '30'],
    ['contents that are cut', '30030201'],
    ['a length that is cut', '308201'],
    ['a length without a number', '3080'],
    ['a length of five bytes', '30850000000001'],
  ])('%s is refused', (_name, text) => expect(() => readDer(Buffer.from(text, 'hex'))).toThrow(NotDer));
});
