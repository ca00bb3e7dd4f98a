import { describe, expect, test } from 'vitest';

import { applyDelta, resultSizeOf } from '../../../../src/clients/git/delta.ts';

const base = Buffer.from('0123456789');

describe('applyDelta', () => {
  test.each([
    ['inserts', [10, 3, 3, 97, 98, 99], 'abc'],
    ['copies', [10, 3, 0x91, 2, 3], '234'],
    ['copies from the start', [10, 4, 0x90, 4], '0123'],
    ['both', [10, 4, 0x91, 8, 2, 2, 97, 98], '89ab'],
    ['nothing', [10, 0], ''],
  ])('%s', (_, delta, result) => {
    expect(applyDelta(base, Buffer.from(delta)).toString()).toBe(result);
    expect(resultSizeOf(Buffer.from(delta))).toBe(result.length);
  });

  test.each([
    ['of another base', [9, 0]],
    ['beyond the base', [10, 3, 0x91, 8, 3]],
    ['a copy of 64 KiB, which no size means', [10, 3, 0x80]],
    ['longer than it says', [10, 2, 3, 97, 98, 99]],
    ['shorter than it says', [10, 4, 3, 97, 98, 99]],
    ['cut in an insert', [10, 3, 3, 97]],
    ['cut in a copy', [10, 3, 0x91, 2]],
    ['the reserved command', [10, 3, 0]],
    ['cut in its head', [10]],
    ['a size without end', Array.from({ length: 20 }, () => 0xff)],
    ['empty', []],
  ])('refuses what is %s', (_, delta) =>
    expect(() => applyDelta(base, Buffer.from(delta))).toThrow(/delta that is not valid/),
  );
});
