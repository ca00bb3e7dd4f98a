import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { pump } from '../../../../src/commands/copy/pump.ts';
import { SignalReceived } from '../../../../src/core/outcome.ts';
import { type Libc, openLibc } from '../../../../src/process/libc.ts';

const top = mkdtempSync('/dev/shm/initbox-test-pump-');
afterAll(() => rmSync(top, { recursive: true }));

const never = new AbortController().signal;
const libc = await openLibc();

/** Pieces of data at these places of a file of that size, and holes between them. */
const layouts: readonly (readonly [string, number, readonly (readonly [number, number])[]])[] = [
  ['all data', 9 << 20, [[0, 9 << 20]]],
  ['an odd size', (5 << 20) + 12_345, [[0, (5 << 20) + 12_345]]],
  ['a hole first', 8 << 20, [[6 << 20, 2 << 20]]],
  ['a hole last', 64 << 20, [[0, 5 << 20]]],
  [
    'holes between',
    64 << 20,
    [
      [0, 1 << 20],
      [20 << 20, 3 << 20],
      [63 << 20, 1 << 20],
    ],
  ],
  ['nothing but a hole', 32 << 20, []],
];

function fill(path: string, size: number, pieces: readonly (readonly [number, number])[]): number {
  const descriptor = openSync(path, 'w+');
  ftruncateSync(descriptor, size);
  for (const [at, length] of pieces) writeSync(descriptor, Buffer.alloc(length, `${at} `), 0, length, at);
  return descriptor;
}

function contentOf(descriptor: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(descriptor).size);
  readSync(descriptor, bytes, 0, bytes.length, 0);
  return bytes;
}

/** A library that cannot copy between these two files, as between two file systems. */
const unwilling = (whole: Libc | undefined): Libc | undefined =>
  whole && { ...whole, copyFileRange: () => -1 };

test('the C library can be called', () => expect(libc).toBeDefined());

describe.each([
  ['by the kernel', libc],
  ['by reading and writing, where the kernel will not', unwilling(libc)],
  ['without the C library', undefined],
])('%s', (_how, way) => {
  test.each(layouts)('%s', async (_what, size, pieces) => {
    const from = fill(join(top, 'from'), size, pieces);
    const to = openSync(join(top, 'to'), 'w+');
    await pump(from, to, fstatSync(from), way, never);
    expect(contentOf(to).equals(contentOf(from))).toBe(true);
    expect(fstatSync(to).blocks).toBe(fstatSync(from).blocks);
    closeSync(from);
    closeSync(to);
  });
});

test.runIf(libc)('a file of a terabyte with little in it takes no time', async () => {
  const from = fill(join(top, 'from'), 2 ** 40, [
    [0, 4096],
    [2 ** 39, 4096],
  ]);
  const to = openSync(join(top, 'to'), 'w+');
  const began = performance.now();
  await pump(from, to, fstatSync(from), libc, never);
  expect(performance.now() - began).toBeLessThan(5000);
  expect(fstatSync(to)).toMatchObject({ size: 2 ** 40, blocks: fstatSync(from).blocks });
  const bytes = Buffer.alloc(20);
  readSync(to, bytes, 0, 20, 2 ** 39);
  expect(bytes.toString()).toBe(`${2 ** 39} `.repeat(2).slice(0, 20));
  closeSync(from);
  closeSync(to);
});

test('one that becomes shorter meanwhile ends where it ends', async () => {
  for (const way of [libc, undefined]) {
    const from = fill(join(top, 'from'), 8 << 20, [[0, 8 << 20]]);
    const stat = fstatSync(from);
    truncateSync(join(top, 'from'), 5 << 20);
    const to = openSync(join(top, 'to'), 'w');
    await pump(from, to, stat, way, never);
    expect(statSync(join(top, 'to')).size).toBe(5 << 20);
    closeSync(from);
    closeSync(to);
  }
});

test('a signal is heard between two pieces', async () => {
  const stop = new AbortController();
  const from = fill(join(top, 'from'), 200 << 20, [[0, 200 << 20]]);
  const to = openSync(join(top, 'to'), 'w');
  setImmediate(() => stop.abort(new SignalReceived('SIGTERM')));
  await expect(pump(from, to, fstatSync(from), libc, stop.signal)).rejects.toThrow(SignalReceived);
  expect(statSync(join(top, 'to')).size).toBeLessThan(100 << 20);
  closeSync(from);
  closeSync(to);
});
