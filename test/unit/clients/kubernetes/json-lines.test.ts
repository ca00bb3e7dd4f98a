import { expect, test } from 'vitest';

import { BrokenLine, JsonLines } from '../../../../src/clients/kubernetes/json-lines.ts';

test.each([1, 2, 3, 7, 100])('lines in pieces of %d bytes', (size) => {
  const taken: unknown[] = [];
  const lines = new JsonLines((value) => taken.push(value));
  const bytes = Buffer.from('{"a":"é"}\n\n{"b":[1,2]}\n{"half":');
  for (let at = 0; at < bytes.length; at += size) {
    lines.add(bytes.subarray(at, at + size));
    while (lines.takeSome());
  }
  expect(taken).toEqual([{ a: 'é' }, { b: [1, 2] }]);
});

const taking = (text: string | Buffer) => {
  const lines = new JsonLines(() => {});
  lines.add(Buffer.from(text as string));
  return lines.takeSome();
};

test('what is no JSON is said to be none, and not shown', () => {
  expect(() => taking('{"secret"\n')).toThrow(BrokenLine);
  expect(() => taking(Buffer.alloc(5 * 2 ** 20, 0x20))).toThrow(/does not end/);
  expect(() => taking(`"${'x'.repeat(5 * 2 ** 20)}"\n`)).toThrow(/is too long/);
  expect(taking(`"${'x'.repeat(2 ** 20)}"\n`)).toBe(true);
});

test('of many lines at once, only some are taken at once', () => {
  let count = 0;
  const lines = new JsonLines(() => void (count += 1));
  lines.add(Buffer.from('1\n'.repeat(1000)));
  expect(lines.takeSome()).toBe(true);
  expect(count).toBeLessThan(100);
  // More comes meanwhile.
  lines.add(Buffer.from('2\n{"half'));
  while (lines.takeSome());
  expect(count).toBe(1001);
  lines.add(Buffer.from(`":1}\n${'\n'.repeat(100_000)}3\n`));
  expect(lines.takeSome()).toBe(true);
  while (lines.takeSome());
  expect(count).toBe(1003);
});
