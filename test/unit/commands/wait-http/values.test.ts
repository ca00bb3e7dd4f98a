import { expect, test } from 'vitest';

import { hasMoreValues } from '../../../../src/commands/wait-http/values.ts';

test.each([
  ['1', 1],
  ['[]', 1],
  ['[ { } ]', 2],
  ['[1,2,3]', 4],
  ['{"a":1,"b":[{},{}]}', 5],
  ['"a,[{"', 1],
  ['"\\",\\\\"', 1],
  [String.raw`["\\",1,"\\\",[",2]`, 5],
  ['"never closed,,,', 1],
  ['{"a,b":"c,\\"d,"}', 2],
])('%s has %i values at most', (text, values) => {
  expect(hasMoreValues(text, values)).toBe(false);
  expect(hasMoreValues(text, values - 1)).toBe(true);
});

test('a string of backslashes takes no time that grows with its square', () => {
  const began = performance.now();
  hasMoreValues(`["${'\\'.repeat(2 ** 20)}"]`, 1_000_000);
  hasMoreValues(`["${'\\"'.repeat(2 ** 19)}"]`, 1_000_000);
  expect(performance.now() - began).toBeLessThan(1000);
});
