import { expect, test } from 'vitest';

import { valuesWithin, moreValues } from '../../../../src/commands/wait-http/values.ts';

test.each([
  [1, 1],
  [80, 10],
  [256 * 1024, 32_768],
  [16 * 1024 * 1024, 50_000],
])('a body of %i bytes may have %i values', (size, values) => expect(valuesWithin(size)).toBe(values));

test('the words name --max-size where more of it would help', () => {
  expect(moreValues(10)).toBe('more than 10 values, one for every 8 bytes of --max-size');
  expect(moreValues(50_000)).toBe('more than 50000 values');
});
