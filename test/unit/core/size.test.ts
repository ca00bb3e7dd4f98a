import { expect, test } from 'vitest';

import { formatBytes, formatLess, overLimit, parseSize } from '../../../src/core/size.ts';

test.each([
  ['0', 0],
  ['512', 512],
  ['64Ki', 65_536],
  ['16Mi', 16_777_216],
  ['1G', 1e9],
  ['2 GiB', 2_147_483_648],
])('parseSize %s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each(['', '-1', '1.5Mi', '16mi', '16 X', 'toString', '99999999999999999999'])(
  'parseSize refuses %j',
  (text) => {
    expect(() => parseSize(text)).toThrow(/is not a size; write bytes/);
  },
);

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [16_777_216, '16 MiB'],
  [1_610_612_736, '1.5 GiB'],
])('formatBytes %d', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [10 * 2 ** 30, 16 * 2 ** 20, '10 GiB, over the limit of 16 MiB'],
  [2 ** 23 + 1, 2 ** 23, 'more than the limit of 8 MiB'],
  [1001, 1000, '1001 B, over the limit of 1000 B'],
  [undefined, 2 ** 18, 'more than the limit of 256 KiB'],
])('overLimit %s of %d', (bytes, limit, text) => expect(overLimit(bytes, limit)).toBe(text));

test.each([
  [2 ** 20, 2 ** 21, '1 MiB'],
  [2 ** 23 - 1, 2 ** 23, 'less than 8 MiB'],
  [2 ** 23, 2 ** 23, '8 MiB'],
  [1, 2, '1 B'],
])('formatLess %d beside %d', (bytes, other, text) => expect(formatLess(bytes, other)).toBe(text));
