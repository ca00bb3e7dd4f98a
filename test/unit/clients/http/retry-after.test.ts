import { describe, expect, test } from 'vitest';

import { busyOf } from '../../../../src/clients/http/retry-after.ts';

const now = new Date('2026-11-26T12:00:00Z');
const pause = (headers: Record<string, string>): number | undefined =>
  busyOf({ status: 503, headers }, now)?.pause;

describe('Retry-After', () => {
  test.each([
    ['1', 1_000],
    [' 120 ', 120_000],
    ['1.5', 1_500],
    ['1000000000', 1e12],
    ['Thu, 26 Nov 2026 12:00:30 GMT', 30_000],
    ['Thursday, 26-Nov-26 12:00:30 GMT', 30_000],
    ['Thu Nov 26 12:00:30 2026', 30_000],
  ])('%s', (value, expected) => expect(pause({ 'retry-after': value })).toBe(expected));

  test.each([
    '',
    '0',
    '-1',
    '+1',
    'NaN',
    'Infinity',
    '1e9',
    '0x10',
    'soon',
    'soon 1',
    '5 minutes',
    '1, 2',
    '9'.repeat(400),
    'Thu, 26 Nov 2026 11:59:59 GMT',
    'Thu, 99 Nov 2026 12:00:30 GMT',
    '2026-11-26T12:00:30Z',
    'Thu, 26 Nov 2026 12:00:30 +0200',
  ])('%j asks for nothing', (value) => expect(pause({ 'retry-after': value })).toBeUndefined());

  test('a date is taken by the clock that wrote it, where that is told', () => {
    const at = 'Thu, 26 Nov 2026 12:00:30 GMT';
    expect(pause({ 'retry-after': at, date: 'Thu, 26 Nov 2026 12:00:20 GMT' })).toBe(10_000);
    expect(pause({ 'retry-after': at, date: 'whenever' })).toBe(30_000);
    expect(pause({ 'retry-after': '7', date: 'Thu, 26 Nov 2020 12:00:20 GMT' })).toBe(7_000);
  });

  test('milliseconds in AWS’s own header', () => {
    expect(pause({ 'x-amz-retry-after': '1500' })).toBe(1_500);
    expect(pause({ 'x-amz-retry-after': 'soon' })).toBeUndefined();
    expect(pause({ 'x-amz-retry-after': '1500', 'retry-after': '1' })).toBe(1_500);
  });
});

test('429 alone says that it is too busy; other statuses only with a time', () => {
  expect(busyOf({ status: 429, headers: {} }, now)).toEqual({});
  expect(busyOf({ status: 429, headers: { 'retry-after': 'soon' } }, now)).toEqual({});
  expect(busyOf({ status: 503, headers: {} }, now)).toBeUndefined();
  expect(busyOf({ status: 202, headers: { 'retry-after': '3' } }, now)).toEqual({ pause: 3_000 });
});
