import { expect, test } from 'vitest';

import { nextToken } from '../../../../../src/clients/postgres/lock/token.ts';

test.each([
  ['the first holder', 740n, '00000001', undefined, (1n << 48n) + 740n],
  ['a later transaction', 741n, '00000001', (1n << 48n) + 740n, (1n << 48n) + 741n],
  [
    'the same transaction id again, as after a restore',
    700n,
    '00000001',
    (1n << 48n) + 740n,
    (1n << 48n) + 741n,
  ],
  [
    'a promoted standby that had not heard of the last ones',
    500n,
    '00000002',
    (1n << 48n) + 740n,
    (2n << 48n) + 500n,
  ],
  ['a timeline in hexadecimal', 5n, '0000001A', undefined, (26n << 48n) + 5n],
  ['a server that keeps its timeline to itself', 740n, null, undefined, 740n],
  ['such a server after one that did not', 740n, null, (1n << 48n) + 9n, (1n << 48n) + 10n],
  ['a record of an earlier version', 741n, '00000001', 740n, (1n << 48n) + 741n],
])('%s', (_, transaction, timeline, last, expected) => {
  expect(nextToken(transaction, timeline, last)).toBe(expected);
});

test('it fits a bigint of the server, whatever the timeline, and leaves room for those after it', () => {
  const largest = nextToken((1n << 48n) - 1n, 'FFFFFFFF', undefined);
  expect(largest).toBeLessThan(2n ** 63n - 2n ** 48n);
  expect(nextToken(5n, '00000001', largest)).toBeLessThan(2n ** 63n - 2n ** 47n);
});
