import { expect, test } from 'vitest';

import { helpersFor } from '../../../../src/fs/tree/worker-pool.ts';

const mebibytes = (count: number) => count * 2 ** 20;

test.each([
  [undefined, 1, 0],
  [undefined, 2, 1],
  [undefined, 64, 3],
  [mebibytes(512), 64, 3],
  [mebibytes(128), 64, 2],
  [mebibytes(96), 64, 1],
  [mebibytes(64), 64, 0],
  [mebibytes(16), 64, 0],
])('in %s bytes, %i processors have %i helpers', (limit, processors, helpers) => {
  expect(helpersFor({ memoryLimit: () => limit }, processors)).toBe(helpers);
});
