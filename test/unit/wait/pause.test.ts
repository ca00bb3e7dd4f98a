import { describe, expect, test } from 'vitest';

import { SignalReceived } from '../../../src/core/outcome.ts';
import { notYet, satisfied, type Answer, type Probe, type Target } from '../../../src/wait/attempt.ts';
import { waitFor, type WaitPlan } from '../../../src/wait/loop.ts';
import { waitOutcome } from '../../../src/wait/outcome.ts';
import { fixed, proportional } from '../../../src/wait/schedule.ts';
import { once } from '../../../src/wait/target-state.ts';
import { fakeContext } from '../fake-context.ts';

const plan: WaitPlan = { schedule: proportional(), policy: once };
const asked = (pause: number): Answer => notYet('answered 503', { busy: { pause } });
const throttled = notYet('answered 429', { busy: {} });

/** A target that notes when each attempt began. */
function timed(
  context: ReturnType<typeof fakeContext>,
  attempt: (number: number, probe: Probe) => Answer | Promise<Answer>,
  name = 'api',
): Target & { readonly starts: number[] } {
  const starts: number[] = [];
  return {
    name,
    starts,
    attempt: async (probe) => attempt(starts.push(context.clock.now()) - 1, probe),
  };
}

function after(
  context: ReturnType<typeof fakeContext>,
  milliseconds: number,
  answer: Answer,
): Promise<Answer> {
  return new Promise((resolve) => context.clock.after(milliseconds, () => resolve(answer)));
}

describe('a pause that was asked for', () => {
  test.each([0, 0.999])('is kept, and hardly longer than it (jitter %d)', async (random) => {
    const context = fakeContext({ random });
    const api = timed(context, (number) => (number < 2 ? asked(5_000) : satisfied('ready')));
    const waiting = waitFor([api], plan, context);
    await context.clock.advance(12_000);
    expect((await waiting).result).toBe('satisfied');
    const [first = 0, second = 0, third = 0] = api.starts;
    for (const gap of [second - first, third - second]) {
      expect(gap).toBeGreaterThan(5_000);
      expect(gap).toBeLessThanOrEqual(5_600);
    }
    expect(api.starts).toHaveLength(3);
  });

  test('holds against a fixed interval, and against being woken', async () => {
    const context = fakeContext();
    let wake = (): void => {};
    const api = timed(context, () => asked(3_000));
    const wakeUps = (callback: () => void) => {
      wake = callback;
      return () => {};
    };
    waitFor([api], { ...plan, schedule: fixed(100), wakeUps }, context).catch(() => undefined);
    await context.clock.advance(1_000);
    wake();
    await context.clock.advance(1_500);
    expect(api.starts).toEqual([0]);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });

  test('is shorter than the usual interval: that one holds', async () => {
    const context = fakeContext();
    const api = timed(context, () => asked(50));
    waitFor([api], { ...plan, schedule: fixed(1_000) }, context).catch(() => undefined);
    await context.clock.advance(3_500);
    expect(api.starts).toEqual([0, 1_000, 2_000, 3_000]);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });

  test('cannot be gone round by attempts that were under way, nor by newer ones that hang', async () => {
    const context = fakeContext();
    const api = timed(context, () => after(context, 700, asked(2_000)));
    waitFor([api], { ...plan, schedule: fixed(200) }, context).catch(() => undefined);
    await context.clock.advance(6_900);
    // Begun before anybody knew: 0 to 600; the last of them answers at 1300. Then one at a time.
    expect(api.starts).toEqual([0, 200, 400, 600, 3_310, 6_020]);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });

  test('holds while attempts may not be cut for newer ones', async () => {
    const context = fakeContext();
    const api = timed(context, (number) =>
      number === 0 ? after(context, 1_500, asked(4_000)) : satisfied('ready'),
    );
    const waiting = waitFor([api], { ...plan, overlap: 1, patient: true }, context);
    await context.clock.advance(6_000);
    expect((await waiting).result).toBe('satisfied');
    expect(api.starts).toEqual([0, 5_510]);
  });

  test('that ends after the deadline: no further attempt, and 124 says why', async () => {
    const context = fakeContext({ timeout: 10_000 });
    const api = timed(context, () => asked(60_000));
    const waiting = waitFor([api], plan, context);
    await context.clock.advance(10_000);
    const outcome = waitOutcome(await waiting);
    expect(api.starts).toEqual([0]);
    expect(outcome).toMatchObject({
      kind: 'failed',
      status: 124,
      what: expect.stringContaining('api answered 503, asked to wait 1m (Retry-After)'),
      hint: expect.stringContaining('a longer --timeout'),
    });
  });

  test.each([0, 0.999])(
    'that ends shortly before the deadline leaves time for a last attempt',
    async (random) => {
      const context = fakeContext({ timeout: 10_000, random });
      const api = timed(context, (number) => (number === 0 ? asked(9_900) : satisfied('ready')));
      const waiting = waitFor([api], plan, context);
      await context.clock.advance(10_000);
      expect((await waiting).result).toBe('satisfied');
      expect(api.starts).toEqual([0, 9_910]);
    },
  );

  test('of years is cut to an hour, in words', async () => {
    const context = fakeContext({ level: 'error' });
    const api = timed(context, (number) => (number === 0 ? asked(1e12) : satisfied('ready')));
    const waiting = waitFor([api], plan, context);
    await context.clock.advance(3_600_000 + 20);
    expect((await waiting).result).toBe('satisfied');
    const late = fakeContext({ timeout: 1_000 });
    const never_ = waitFor([timed(late, () => asked(1e12))], plan, late);
    await late.clock.advance(1_000);
    expect((await never_).targets[0]?.words).toBe(
      'answered 503, asked to wait more than a year, of which 1h is waited (Retry-After)',
    );
  });

  test('is one target’s own: the others go on', async () => {
    const context = fakeContext();
    const slow = timed(context, () => asked(60_000), 'slow');
    const other = timed(context, () => notYet('refused'), 'other');
    waitFor([slow, other], plan, context).catch(() => undefined);
    await context.clock.advance(5_000);
    expect(slow.starts).toEqual([0]);
    expect(other.starts.length).toBeGreaterThan(40);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });

  test('ends with a signal at once, with nothing left behind', async () => {
    const context = fakeContext();
    const waiting = waitFor([timed(context, () => asked(60_000))], plan, context);
    const ended = waiting.catch((error: unknown) => error);
    await context.clock.advance(700);
    context.stop.abort(new SignalReceived('SIGTERM'));
    await context.clock.advance(0);
    expect(await ended).toBeInstanceOf(SignalReceived);
    expect(context.clock.pending).toBe(0);
  });
});

describe('too many requests, without a time', () => {
  test('the pause grows from 1 s to 30 s, and begins anew after another answer', async () => {
    const context = fakeContext();
    const api = timed(context, (number) => (number === 11 ? notYet('starting up') : throttled));
    waitFor([api], { ...plan, schedule: fixedly(100) }, context).catch(() => undefined);
    await context.clock.advance(180_000);
    const gaps = api.starts
      .slice(1)
      .map((at, index) => Math.round((at - (api.starts[index] ?? 0)) / 100) / 10);
    expect(gaps.slice(0, 14)).toEqual([1, 1.5, 2.3, 3.4, 5.1, 7.6, 11.4, 17.1, 25.6, 30, 30, 0.1, 1, 1.5]);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });

  test('a pause that the user fixed stays, and the last attempt before the deadline is made', async () => {
    const context = fakeContext({ timeout: 3_000 });
    const api = timed(context, () => throttled);
    const waiting = waitFor([api], { ...plan, schedule: fixed(500) }, context);
    await context.clock.advance(3_000);
    expect((await waiting).result).toBe('deadline');
    expect(api.starts).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500, 2_750]);
    const short = fakeContext({ timeout: 2_500 });
    const slowed = timed(short, () => throttled);
    const cut = waitFor([slowed], plan, short);
    await short.clock.advance(2_500);
    await cut;
    expect(slowed.starts.map((at) => Math.round(at / 50) * 50)).toEqual([0, 1_000, 2_250]);
  });

  test('a timer that is a little early counts as on time', async () => {
    const context = fakeContext();
    const { clock } = context;
    const early = {
      now: () => clock.now(),
      date: () => clock.date(),
      after: (milliseconds: number, action: () => void) =>
        clock.after(Math.max(0, milliseconds - 0.6), action),
    };
    const api = timed(context, () => throttled);
    waitFor([api], { ...plan, schedule: fixedly(100) }, { ...context, clock: early }).catch(() => undefined);
    await clock.advance(8_000);
    expect(api.starts.map((at) => Math.round(at / 1_000))).toEqual([0, 1, 2, 5]);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });

  test('several answers to attempts that overlapped count once', async () => {
    const context = fakeContext();
    const api = timed(context, (number) => (number < 4 ? after(context, 450, throttled) : throttled));
    waitFor([api], { ...plan, schedule: fixedly(100) }, context).catch(() => undefined);
    await context.clock.advance(2_200);
    // 0 to 400 began before the first answer at 450; the last of them is answered at 850.
    expect(api.starts.slice(0, 5)).toEqual([0, 100, 200, 300, 400]);
    expect(api.starts).toHaveLength(6);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });
});

/** A short pause that nobody fixed. */
function fixedly(milliseconds: number): WaitPlan['schedule'] {
  return () => milliseconds;
}
