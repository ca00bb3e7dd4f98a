import { expect, test } from 'vitest';

import { Headroom } from '../../../../src/fs/tree/memory-reclaim.ts';

/** Pages that the kernel gave this process in so many looks at the clock. */
function pagesGiven(limit: number | undefined, looks: number): number {
  const headroom = new Headroom({ memoryLimit: () => limit });
  const before = process.resourceUsage().minorPageFault;
  for (let i = 0; i < looks; i++) headroom.keep();
  return process.resourceUsage().minorPageFault - before;
}

test('under a small limit, fresh pages are asked for again and again: none is kept', () => {
  expect(pagesGiven(96 << 20, 160)).toBeGreaterThanOrEqual(10 * 512 * 0.9);
});

test('without a limit, or under a large one, none are', () => {
  for (const limit of [undefined, 1 << 30]) expect(pagesGiven(limit, 160)).toBeLessThan(512);
});
