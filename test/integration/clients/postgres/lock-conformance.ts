// What every lock back end must do, whatever it is made of: reused by each implementation's own test file.
import { describe, expect, test } from 'vitest';

import type { Acquired, Held, LockBackend } from '../../../../src/clients/lock.ts';
import { within } from '../../../support/promptly.ts';
import { waitUntil } from '../../../support/wait-until.ts';

/** One implementation, on a server of its own. */
export interface LockUnderTest {
  /** Another contender for the lock of that name, in a session of its own. */
  open(name: string): LockBackend;
  /** Takes the lock away from whoever holds it, as an operator or a failure would. */
  takeAway(name: string): Promise<void>;
  /** Milliseconds within which a holder must know that its lock was taken away. */
  readonly noticed: number;
  /** Milliseconds within which a waiter must be told of a release. */
  readonly woken: number;
}

const patient = new AbortController().signal;
const probe = { signal: patient, phase(): void {} };

/** Tries until it has the lock. */
async function acquire(backend: LockBackend): Promise<Held> {
  const answer = await waitUntil(
    async () => {
      const tried = await backend.tryAcquire(probe);
      if (tried.state === 'never') throw new Error(tried.reason);
      return tried.state === 'acquired' ? tried : undefined;
    },
    { interval: 20, what: 'the lock' },
  );
  return answer.held;
}

export function describeLock(name: string, subject: () => LockUnderTest): void {
  describe(`${name} is a lock`, () => {
    let number = 0;
    const freshName = (): string => {
      number += 1;
      return `conformance-${number}`;
    };

    test('one at a time; the others are told who has it', async () => {
      const lock = freshName();
      await using a = subject().open(lock);
      await using b = subject().open(lock);
      const held = await acquire(a);
      const answer = await b.tryAcquire(probe);
      expect(answer.state).toBe('not-yet');
      expect((answer as { reason: string }).reason).toMatch(/^(held by|was just taken)/);
      expect(await held.verify()).toBe(true);
      expect(await held.release(true)).toBe('released');
      const next = await acquire(b);
      expect(await next.release(true)).toBe('released');
    });

    test('locks of different names do not meet', async () => {
      await using a = subject().open(freshName());
      await using b = subject().open(freshName());
      const [one, other] = [await acquire(a), await acquire(b)];
      expect(await one.release(true)).toBe('released');
      expect(await other.release(true)).toBe('released');
    });

    test('of many that try at once exactly one gets it', async () => {
      const lock = freshName();
      const contenders = Array.from({ length: 8 }, () => subject().open(lock));
      const answers = await Promise.all(contenders.map((one) => one.tryAcquire(probe)));
      const got = answers.filter(({ state }) => state === 'acquired') as Acquired[];
      expect(got).toHaveLength(1);
      expect(await got[0]?.held.release(true)).toBe('released');
      for (const one of contenders) await one[Symbol.asyncDispose]();
    });

    test('tokens grow from holder to holder', async () => {
      const lock = freshName();
      let last = 0n;
      for (let turn = 0; turn < 4; turn += 1) {
        await using one = subject().open(lock);
        const held = await acquire(one);
        await held.takeOver(patient);
        expect(held.token).toBeGreaterThan(last);
        expect(held.environment({})).toMatchObject({ INITBOX_LOCK_TOKEN: String(held.token) });
        last = held.token;
        expect(await held.release(true)).toBe('released');
      }
    });

    test('a release wakes who waits', async () => {
      const lock = freshName();
      await using a = subject().open(lock);
      await using b = subject().open(lock);
      const held = await acquire(a);
      await b.tryAcquire(probe);
      const told = Promise.withResolvers<string>();
      const stop = b.wakeUps(() => told.resolve('woken'));
      await held.release(true);
      expect(await within(subject().woken, told.promise)).toBe('woken');
      stop();
      await (await acquire(b)).release(true);
    });

    test('a lock that is taken away is noticed, and its release says so', async () => {
      const lock = freshName();
      await using a = subject().open(lock);
      const held = await acquire(a);
      await held.takeOver(patient);
      await subject().takeAway(lock);
      const loss = await within(subject().noticed, held.lost);
      expect(loss.reason).not.toBe('');
      expect(await held.verify()).toBe(false);
      expect(await held.release(true)).toBe('was-lost');
    });

    test('after a holder that did not release, the next one waits before it works', async () => {
      const lock = freshName();
      await using a = subject().open(lock);
      const dead = await acquire(a);
      await dead.takeOver(patient);
      await subject().takeAway(lock);
      await dead.lost;
      await dead.abandon();
      await using b = subject().open(lock);
      const heir = await acquire(b);
      const began = performance.now();
      await heir.takeOver(patient);
      expect(performance.now() - began).toBeGreaterThan(1000);
      expect(heir.token).toBeGreaterThan(dead.token);
      expect(await heir.release(true)).toBe('released');
    });

    test('giving up a wait leaves nothing behind', async () => {
      const lock = freshName();
      const a = subject().open(lock);
      const stopped = new AbortController();
      const answer = a.tryAcquire({ ...probe, signal: stopped.signal });
      stopped.abort(new Error('enough'));
      await answer;
      await a[Symbol.asyncDispose]();
      await using b = subject().open(lock);
      const held = await acquire(b);
      expect(await held.release(true)).toBe('released');
    });

    test('a take-over is given up when it is told to', async () => {
      const lock = freshName();
      await using a = subject().open(lock);
      const dead = await acquire(a);
      await dead.takeOver(patient);
      await subject().takeAway(lock);
      await dead.lost;
      await dead.abandon();
      await using b = subject().open(lock);
      const heir = await acquire(b);
      await expect(heir.takeOver(AbortSignal.timeout(100))).rejects.toThrow();
      expect(await heir.release(true)).toBe('released');
    });
  });
}
