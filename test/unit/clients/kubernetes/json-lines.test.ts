import { expect, test } from 'vitest';

import { BrokenLine, JsonLines } from '../../../../src/clients/kubernetes/json-lines.ts';

test.each([1, 2, 3, 7, 100])('lines in pieces of %d bytes', (size) => {
  const taken: unknown[] = [];
  const lines = new JsonLines((value) => taken.push(value));
  const bytes = Buffer.from('{"a":"é"}\n\n{"b":[1,2]}\n{"half":');
  for (let at = 0; at < bytes.length; at += size) lines.add(bytes.subarray(at, at + size));
  expect(taken).toEqual([{ a: 'é' }, { b: [1, 2] }]);
});

test('what is no JSON is said to be none, and not shown', () => {
  const lines = new JsonLines(() => {});
  expect(() => lines.add(Buffer.from('{"secret"\n'))).toThrow(BrokenLine);
  expect(() => new JsonLines(() => {}).add(Buffer.alloc(17 * 2 ** 20, 0x20))).toThrow(/does not end/);
});
