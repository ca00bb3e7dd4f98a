import { describe, expect, test } from 'vitest';

import { ByteQueue } from '../../../src/core/byte-queue.ts';

const piece = (size: number): Buffer => Buffer.alloc(size, 'x');

async function rest(queue: ByteQueue): Promise<number[]> {
  const sizes: number[] = [];
  for await (const bytes of queue.taken()) sizes.push(bytes.length);
  return sizes;
}

describe('a queue of bytes', () => {
  test('gives in order, from where the last taking ended', async () => {
    const queue = new ByteQueue();
    for (const size of [1, 2, 3]) expect(queue.write(piece(size))).toBeUndefined();
    queue.end();
    for await (const bytes of queue.taken()) {
      expect(bytes).toHaveLength(1);
      break;
    }
    expect(await rest(queue)).toEqual([2, 3]);
  });

  test('what is given may be changed afterwards', async () => {
    const queue = new ByteQueue();
    const given = Buffer.from('one');
    void queue.write(given);
    given.write('two');
    void queue.write(given);
    queue.end();
    const taken: string[] = [];
    for await (const bytes of queue.taken()) taken.push(Buffer.from(bytes).toString());
    expect(taken).toEqual(['one', 'two']);
  });

  test.each([
    ['large pieces', 1 << 18, 4],
    ['bytes that come one by one', 1, 5000],
  ])('has the giver wait: %s', async (_what, size, count) => {
    const queue = new ByteQueue();
    let waits: Promise<void> | undefined;
    for (let at = 0; at < count; at++) waits = queue.write(piece(size)) ?? waits;
    expect(waits).toBeInstanceOf(Promise);
    queue.end();
    const taken = rest(queue);
    await waits;
    expect(await taken).toHaveLength(count);
  });

  test('waits for what comes, and ends when it is closed; then nobody waits', async () => {
    const queue = new ByteQueue();
    const taken = rest(queue);
    void queue.write(piece(7));
    await Promise.resolve();
    const waits = queue.write(piece(2 << 20));
    queue.close();
    await waits;
    await taken;
    expect(queue.isClosed).toBe(true);
    expect(queue.write(piece(2 << 20))).toBeUndefined();
    expect(await rest(queue)).toEqual([]);
  });
});
