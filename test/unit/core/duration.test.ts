import { describe, expect, test } from 'vitest';

import { formatDuration, parseDuration } from '../../../src/core/duration.ts';

describe('parseDuration', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h2m3.5s', 3_723_500],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['60', 60_000],
    ['0', 0],
    ['0s', 0],
    ['0.25', 250],
    ['1000h', 3_600_000_000],
    ['100us', 0.1],
    ['100µs', 0.1],
    ['100μs', 0.1],
    ['1000000ns', 1],
    [' 5s ', 5_000],
    ['+1.5s', 1_500],
  ])('%s is %d ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBeCloseTo(milliseconds, 6);
  });

  test.each([
    '5x',
    '',
    's',
    '5 s',
    '1h30',
    '5d',
    'abc',
    '1e3',
    '1,5s',
    '0x10',
    'Infinity',
    'NaN',
    '--5s',
    '++5s',
    '+',
    '5ss',
  ])('refuses %j and says what is accepted', (text) => {
    expect(() => parseDuration(text)).toThrow(/500ms, 30s, 5m or 1h30m/);
  });

  test('refuses what is negative', () => expect(() => parseDuration('-5s')).toThrow('negative'));
  test('refuses 1e9h and what is beyond 292 years', () => {
    expect(() => parseDuration('1e9h')).toThrow();
    expect(() => parseDuration('1000000000h')).toThrow('292 years');
  });
});

test.each([
  [0, '0ms'],
  [42, '42ms'],
  [999, '999ms'],
  [1_000, '1s'],
  [3_240, '3.2s'],
  [42_000, '42s'],
  [60_000, '1m'],
  [90_000, '1m30s'],
  [300_000, '5m'],
  [3_600_000, '1h'],
  [3_723_500, '1h2m'],
])('formatDuration(%d) is %s', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));
