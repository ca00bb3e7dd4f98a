import { describe, expect, test } from 'vitest';

import { bounded, paced } from '../../../src/wait/attempt-timeout.ts';
import { notYet, satisfied, type Answer, type Probe } from '../../../src/wait/attempt.ts';
import { waitFor, type WaitPlan } from '../../../src/wait/loop.ts';
import { fixed, proportional } from '../../../src/wait/schedule.ts';
import { once } from '../../../src/wait/target-state.ts';
import { fakeContext } from '../fake-context.ts';

const plan: WaitPlan = { schedule: proportional(), policy: once };

/** What hangs until it is cut, or until it answers after so many milliseconds. */
function slow(context: ReturnType<typeof fakeContext>, after = Infinity, phase = 'waiting for a response') {
  const self = {
    name: 'api',
    starts: [] as number[],
    under: 0,
    most: 0,
    attempt(probe: Probe): Promise<Answer> {
      self.starts.push(context.clock.now());
      self.most = Math.max(self.most, ++self.under);
      probe.phase(phase);
      return new Promise((resolve) => {
        const settle = (answer: Answer): void => {
          self.under--;
          resolve(answer);
        };
        if (after < Infinity) context.clock.after(after, () => settle(satisfied('answered')));
        probe.signal.addEventListener('abort', () => settle(notYet('cut')), { once: true });
      });
    },
  };
  return self;
}

describe('paced attempts', () => {
  test('a server that hangs: one new attempt a second, at most five at once, each lives five seconds', async () => {
    const context = fakeContext({ timeout: 60_000 });
    const api = slow(context);
    const waiting = waitFor([bounded(api, 5_000, context.clock)], paced(plan, 5_000), context);
    await context.clock.advance(60_000);
    const report = await waiting;
    expect(report.result).toBe('deadline');
    expect(api.most).toBe(5);
    expect(api.starts.length).toBeGreaterThanOrEqual(58);
    expect(api.starts.length).toBeLessThanOrEqual(62);
    expect(report.targets[0]?.words).toMatch(/^waiting for a response: no answer (within 5s|yet)$/);
  });

  test('a server that takes four seconds for each answer is ready after four seconds', async () => {
    const context = fakeContext();
    const waiting = waitFor(
      [bounded(slow(context, 4_000), 5_000, context.clock)],
      paced(plan, 5_000),
      context,
    );
    await context.clock.advance(4_100);
    expect(await waiting).toMatchObject({ result: 'satisfied', waited: 4_000 });
  });

  test('a server that stops hanging is seen within a second, although older attempts still hang', async () => {
    const context = fakeContext();
    const api = slow(context);
    const target = {
      name: 'api',
      attempt: (probe: Probe) =>
        context.clock.now() >= 2_500 ? Promise.resolve(satisfied('up')) : api.attempt(probe),
    };
    const waiting = waitFor([bounded(target, 5_000, context.clock)], paced(plan, 5_000), context);
    await context.clock.advance(3_600);
    const report = await waiting;
    expect(report.result).toBe('satisfied');
    expect(report.waited).toBeLessThanOrEqual(3_500);
  });

  test('a server that answers at once is asked by the schedule, not by the pace', async () => {
    const context = fakeContext({ timeout: 1_000 });
    const starts: number[] = [];
    const target = {
      name: 'api',
      attempt: async () => {
        starts.push(context.clock.now());
        return notYet('503');
      },
    };
    const waiting = waitFor([bounded(target, 5_000, context.clock)], paced(plan, 5_000), context);
    await context.clock.advance(1_000);
    await waiting;
    expect(starts.slice(0, 4)).toEqual([0, 100, 200, 300]);
  });

  test('an answer that ends a hang lets the next attempt start at once, not at the pace', async () => {
    const context = fakeContext({ timeout: 3_000 });
    const starts: number[] = [];
    const target = {
      name: 'api',
      attempt: () =>
        new Promise<Answer>((resolve) => {
          starts.push(context.clock.now());
          context.clock.after(starts.length === 1 ? 450 : 0, () => resolve(notYet('503')));
        }),
    };
    const waiting = waitFor([bounded(target, 5_000, context.clock)], paced(plan, 5_000), context);
    await context.clock.advance(3_000);
    await waiting;
    expect(starts[1]).toBe(450);
    expect(starts[2]).toBe(550);
  });

  test('the last attempt before the deadline is made also while older ones hang', async () => {
    const context = fakeContext({ timeout: 2_000 });
    const api = slow(context);
    const waiting = waitFor([bounded(api, 5_000, context.clock)], paced(plan, 5_000), context);
    await context.clock.advance(2_000);
    await waiting;
    expect(api.starts).toEqual([0, 1_000, 1_750]);
  });

  test('no limit: one attempt at a time, for as long as it takes', async () => {
    const context = fakeContext();
    const api = slow(context, 100_000);
    const waiting = waitFor(
      [bounded(api, 0, context.clock)],
      paced({ ...plan, schedule: fixed(100) }, 0),
      context,
    );
    await context.clock.advance(100_001);
    expect(await waiting).toMatchObject({ result: 'satisfied' });
    expect(api.starts).toEqual([0]);
  });

  test('nothing is left behind when it ends', async () => {
    const context = fakeContext({ timeout: 7_000 });
    const waiting = waitFor([bounded(slow(context), 5_000, context.clock)], paced(plan, 5_000), context);
    await context.clock.advance(7_100);
    await waiting;
    expect(context.clock.pending).toBe(0);
  });

  test.each([
    ['the wait ends before an attempt had all of its time', 3_000, 5_000, 'a longer --timeout waits for it'],
    ['an attempt had all of its time', 12_000, 5_000, '--attempt-timeout gives it longer'],
    ['nothing limits an attempt', 3_000, 0, 'a longer --timeout waits for it'],
  ])('%s: what would help is named', async (_when, timeout, limit, helps) => {
    for (const phase of ['waiting for a response', 'running']) {
      const context = fakeContext({ timeout });
      const waiting = waitFor(
        [bounded(slow(context, Infinity, phase), limit, context.clock)],
        paced(plan, limit),
        context,
      );
      await context.clock.advance(timeout + 100);
      const hint = (await waiting).targets[0]?.hint;
      expect(hint).toContain(`if it is only slow, ${helps}`);
    }
  });
});
