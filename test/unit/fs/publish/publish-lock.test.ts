import { describe, expect, it } from 'vitest';

import { takeTurn } from '../../../../src/fs/publish/publish-lock.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';
import { FakeClock } from '../../fake-clock.ts';

const name = `test-${process.pid}`;

const context = { signal: new AbortController().signal, clock: systemClock };

describe('a turn', () => {
  it('is taken by one at a time, and passed on', async () => {
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3, 4].map(async (number) => {
        using turn = await takeTurn(`${name}-order`, context);
        expect(turn.alone).toBe(true);
        order.push(number);
        await new Promise((resolve) => setTimeout(resolve, 5));
        order.push(-number);
      }),
    );
    expect(order).toHaveLength(8);
    for (let index = 0; index < 8; index += 2) expect(order[index]).toBe(-(order[index + 1] ?? 0));
  });

  it('of another directory is another', async () => {
    using one = await takeTurn(`${name}-one`, context);
    using two = await takeTurn(`${name}-two`, context);
    expect([one.alone, two.alone]).toEqual([true, true]);
  });

  it('is not waited for without end: whoever holds it for 10 s is passed by', async () => {
    using held = await takeTurn(`${name}-held`, context);
    expect(held.alone).toBe(true);
    const clock = new FakeClock();
    let settled = false;
    const second = takeTurn(`${name}-held`, { ...context, clock }).finally(() => (settled = true));
    for (let step = 0; step < 9; step++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      await clock.advance(1000);
    }
    expect(settled).toBe(false);
    await clock.advance(1001);
    using turn = await second;
    expect(turn.alone).toBe(false);
  });

  it('is given up when the command must end', async () => {
    using held = await takeTurn(`${name}-ended`, context);
    expect(held.alone).toBe(true);
    const controller = new AbortController();
    const waiting = takeTurn(`${name}-ended`, { ...context, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('received SIGTERM')), 20);
    await expect(waiting).rejects.toThrow('received SIGTERM');
  });
});
