import { expect, test } from 'vitest';

import { formatBytes, parseSize } from '../../../src/core/size.ts';

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
