import { describe, expect, test } from 'vitest';

import { SignalReceived } from '../../../src/core/outcome.ts';
import { never, notYet, satisfied, type Answer, type Probe, type Target } from '../../../src/wait/attempt.ts';
import { waitFor, type WaitPlan } from '../../../src/wait/loop.ts';
import { waitOutcome } from '../../../src/wait/outcome.ts';
import { fixed, growing, proportional } from '../../../src/wait/schedule.ts';
import { once } from '../../../src/wait/target-state.ts';
import { fakeContext } from '../fake-context.ts';

const plan: WaitPlan = { schedule: proportional(), policy: once };

function target(
  name: string,
  attempt: (probe: Probe, number: number) => Answer | Promise<Answer>,
): Target & { attempts: number } {
  const self = {
    name,
    attempts: 0,
    attempt: async (probe: Probe) => attempt(probe, self.attempts++),
  };
  return self;
}

/** An attempt that nothing ever answers; settles when it is cut. */
function hangs(probe: Probe): Promise<Answer> {
  return new Promise((resolve) => probe.signal.addEventListener('abort', () => resolve(notYet('no answer'))));
}

describe('proportional polling', () => {
  test.each([0, 0.5, 0.999])(
    'after 100 s of waiting: at most 250 attempts, at most 1.1 s late (jitter %d)',
    async (random) => {
      const context = fakeContext({ random });
      const up = 100_000;
      const slow = target('db', () => (context.clock.now() >= up ? satisfied('open') : notYet('refused')));
      const waiting = waitFor([slow], plan, context);
      await context.clock.advance(up + 1_100);
      const report = await waiting;
      expect(report.result).toBe('satisfied');
      expect(slow.attempts).toBeLessThanOrEqual(250);
      expect(report.waited - up).toBeLessThanOrEqual(1_100);
    },
  );

  test.each([0, 0.999])('up after 2 to 8 s: seen within 160 ms (jitter %d)', async (random) => {
    for (let up = 2_000; up <= 8_000; up += 371) {
      const context = fakeContext({ random });
      const waiting = waitFor(
        [target('db', () => (context.clock.now() >= up ? satisfied('open') : notYet('refused')))],
        plan,
        context,
      );
      await context.clock.advance(up + 161);
      expect((await waiting).waited - up).toBeLessThanOrEqual(160);
    }
  });

  test('a fixed interval is kept to the millisecond', async () => {
    const context = fakeContext({ random: 0.7 });
    const db = target('db', () => notYet('refused'));
    waitFor([db], { ...plan, schedule: fixed(250) }, context).catch(() => undefined);
    await context.clock.advance(10_000);
    expect(db.attempts).toBe(41);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });

  test('10,000 targets start no more than about 2,000 attempts a second', async () => {
    const context = fakeContext({ level: 'error' });
    let attempts = 0;
    const many = Array.from({ length: 10_000 }, (_, index) =>
      target(`db${index}`, () => (attempts++, notYet('refused'))),
    );
    const waiting = waitFor(many, { ...plan, schedule: proportional(many.length) }, context).catch(
      () => undefined,
    );
    await context.clock.advance(5_000 - 1);
    expect(attempts).toBe(10_000);
    context.stop.abort(new SignalReceived('SIGTERM'));
    await context.clock.advance(50);
    await waiting;
  });

  test('a growing schedule starts at its first pause and never passes its last', () => {
    const schedule = growing(250, 5_000);
    expect(schedule(0, 0)).toBe(250);
    expect(schedule(4_000, 0)).toBe(2_000);
    expect(schedule(1e6, 0)).toBe(5_000);
  });
});

describe('attempts that hang', () => {
  test('do not hold up new ones: seen within one pause of coming up', async () => {
    const context = fakeContext();
    const up = 5_000;
    const dropped = target('db', (probe) => (context.clock.now() >= up ? satisfied('open') : hangs(probe)));
    const waiting = waitFor([dropped], plan, context);
    await context.clock.advance(up + 200);
    expect((await waiting).waited).toBeLessThanOrEqual(up + 200);
  });

  test('are bounded in number, and none is cut before it is 2 s old', async () => {
    const context = fakeContext();
    let open = 0;
    let most = 0;
    const ages: number[] = [];
    const dropped = target('db', async (probe) => {
      const began = context.clock.now();
      most = Math.max(most, ++open);
      const answer = await hangs(probe);
      open--;
      ages.push(context.clock.now() - began);
      return answer;
    });
    const waiting = waitFor([dropped], { ...plan, schedule: fixed(50), overlap: 5 }, context).catch(
      () => undefined,
    );
    await context.clock.advance(20_000);
    expect(most).toBeLessThanOrEqual(6);
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(2_000);
    context.stop.abort(new SignalReceived('SIGTERM'));
    await context.clock.advance(50);
    await waiting;
  });

  test('say where they stand, in progress and in the end', async () => {
    const context = fakeContext({ timeout: 12_000 });
    const waiting = waitFor(
      [
        target('db:5432', (probe) => {
          probe.phase('connecting to 10.0.0.4');
          return new Promise(() => {});
        }),
      ],
      { ...plan, overlap: 1 },
      context,
    );
    await context.clock.advance(12_050);
    const report = await waiting;
    expect(context.lines[0]).toMatch(
      /^info {2}0\/1 ready; db:5432 connecting to 10.0.0.4: no answer yet for 5s, \d+ attempts?$/,
    );
    expect(waitOutcome(report)).toMatchObject({ kind: 'failed', status: 124 });
  });

  test('one that the end cuts in its first second does not hide what the one before was told', async () => {
    const context = fakeContext({ timeout: 3_000 });
    const db = target('db', (probe, number) => (number < 3 ? notYet('starting up') : hangs(probe)));
    const waiting = waitFor([db], { ...plan, schedule: fixed(900) }, context);
    await context.clock.advance(3_000);
    expect((await waiting).targets[0]).toMatchObject({ words: 'starting up', attempts: 5 });
  });

  test('one that hung for longer does tell', async () => {
    const context = fakeContext({ timeout: 3_000 });
    const db = target('db', (probe, number) => (number < 1 ? notYet('starting up') : hangs(probe)));
    const waiting = waitFor([db], { ...plan, schedule: fixed(900) }, context);
    await context.clock.advance(3_000);
    expect((await waiting).targets[0]).toMatchObject({ words: 'no answer', held: 2_100 });
  });

  test('one that does not listen to its signal does not hold up the end', async () => {
    const context = fakeContext({ timeout: 1_000 });
    const waiting = waitFor([target('deaf', () => new Promise(() => {}))], plan, context);
    await context.clock.advance(1_025);
    expect((await waiting).result).toBe('deadline');
  });
});

describe('what counts', () => {
  test('all: each target once; a target that is ready is not asked again', async () => {
    const context = fakeContext();
    const first = target('a', () => satisfied('open'));
    const second = target('b', (_probe, number) => (number >= 3 ? satisfied('open') : notYet('refused')));
    const waiting = waitFor([first, second], plan, context);
    await context.clock.advance(1_000);
    expect((await waiting).result).toBe('satisfied');
    expect(first.attempts).toBe(1);
    expect(second.attempts).toBe(4);
  });

  test('any: the first one ends it; "never" of one does not', async () => {
    const context = fakeContext();
    const wrong = target('a', () => never(69, 'denied'));
    const late = target('b', (_probe, number) => (number >= 2 ? satisfied('open') : notYet('refused')));
    const waiting = waitFor([wrong, late], { ...plan, policy: { ...once, any: true } }, context);
    await context.clock.advance(1_000);
    expect((await waiting).result).toBe('satisfied');
  });

  test('never: ends at once with the status it asks for', async () => {
    const context = fakeContext();
    const waiting = waitFor(
      [
        target('a', () => notYet('refused')),
        target('b', () => never(69, 'password wrong', 'look at the Secret')),
      ],
      plan,
      context,
    );
    await context.clock.advance(0);
    expect(waitOutcome(await waiting)).toEqual({
      kind: 'failed',
      status: 69,
      what: 'b password wrong; waiting will not change that',
      details: ['b password wrong for 0ms, 1 attempt'],
      hint: 'look at the Secret',
    });
  });

  test('successes in a row: a failure starts the count again', async () => {
    const context = fakeContext();
    const answers = [true, true, false, true, true, true];
    const flapping = target('a', (_probe, number) =>
      answers[number] ? satisfied('open') : notYet('refused'),
    );
    const waiting = waitFor([flapping], { ...plan, policy: { ...once, successes: 3 } }, context);
    await context.clock.advance(2_000);
    expect((await waiting).result).toBe('satisfied');
    expect(flapping.attempts).toBe(6);
    expect((await waiting).waited, 'pauses are kept between successes').toBe(500);
  });

  test('stable-for: a failure in between starts the time again', async () => {
    const context = fakeContext();
    const flapping = target('a', () =>
      context.clock.now() >= 900 && context.clock.now() < 1_050 ? notYet('refused') : satisfied('open'),
    );
    const waiting = waitFor([flapping], { ...plan, policy: { ...once, stableFor: 2_000 } }, context);
    await context.clock.advance(10_000);
    const { waited } = await waiting;
    expect(waited).toBeGreaterThanOrEqual(3_050);
    expect(waited).toBeLessThanOrEqual(3_250);
  });

  test('an old attempt that fails late does not undo a newer success', async () => {
    const context = fakeContext();
    const flaky = target('a', (probe, number) => (number === 0 ? hangs(probe) : satisfied('open')));
    const waiting = waitFor(
      [flaky],
      { ...plan, policy: { ...once, stableFor: 3_000 }, overlap: 20 },
      context,
    );
    await context.clock.advance(3_400);
    expect((await waiting).waited).toBeLessThanOrEqual(3_300);
  });

  test('inverted: proof of absence counts; silence and the deadline do not', async () => {
    const context = fakeContext({ timeout: 3_000 });
    const gone = target('gone', (_probe, number) =>
      number < 2 ? satisfied('open') : notYet('connection refused', { absent: true }),
    );
    const silent = target('silent', hangs);
    const waiting = waitFor([gone, silent], { ...plan, inverted: true }, context);
    await context.clock.advance(3_050);
    const report = await waiting;
    expect(report.result).toBe('deadline');
    expect(report.targets.map(({ state }) => state)).toEqual(['satisfied', 'waiting']);
  });
});

describe('the end', () => {
  test('a last attempt starts before the deadline, also when the next one would have come after it', async () => {
    const context = fakeContext({ timeout: 10_000 });
    const starts: number[] = [];
    const db = target('db', () => (starts.push(context.clock.now()), notYet('refused')));
    const waiting = waitFor([db], { ...plan, schedule: fixed(6_000) }, context);
    await context.clock.advance(10_050);
    await waiting;
    expect(starts).toEqual([0, 6_000, 9_750]);
  });

  test('no timeout: waits for days, and timers beyond 24 days work', async () => {
    const context = fakeContext({ timeout: 1_000 * 3_600_000, level: 'error' });
    const db = target('db', () => notYet('refused'));
    const waiting = waitFor([db], { ...plan, schedule: fixed(3_600_000) }, context);
    await context.clock.advance(999 * 3_600_000);
    expect(db.attempts).toBe(1_000);
    await context.clock.advance(3_600_000 + 50);
    expect((await waiting).result).toBe('deadline');
  });

  test('a signal ends it at once, with nothing left behind', async () => {
    const context = fakeContext();
    const waiting = waitFor([target('a', hangs), target('b', () => notYet('refused'))], plan, context);
    const ended = waiting.catch((error: unknown) => error);
    await context.clock.advance(700);
    context.stop.abort(new SignalReceived('SIGTERM'));
    await context.clock.advance(20);
    expect(await ended).toBeInstanceOf(SignalReceived);
    expect(context.clock.pending).toBe(0);
  });

  test('an attempt that throws ends it with that error', async () => {
    const context = fakeContext();
    const waiting = waitFor([target('a', () => Promise.reject(new Error('a bug')))], plan, context);
    const ended = waiting.catch((error: unknown) => error);
    await context.clock.advance(0);
    expect(await ended).toMatchObject({ message: 'a bug' });
    expect(context.clock.pending).toBe(0);
  });

  test('a wake-up cuts the pause short', async () => {
    const context = fakeContext();
    let wake = (): void => {};
    const lock = target('lock', (_probe, number) => (number > 0 ? satisfied('free') : notYet('held')));
    const waiting = waitFor(
      [lock],
      {
        ...plan,
        schedule: fixed(60_000),
        wakeUps: (call) => {
          wake = call;
          return () => {};
        },
      },
      context,
    );
    await context.clock.advance(1_000);
    wake();
    await context.clock.advance(0);
    expect((await waiting).waited).toBe(1_000);
  });
});

describe('progress', () => {
  test('a line when what is wrong changes, one every five seconds else, no line twice in a second', async () => {
    const context = fakeContext({ timeout: 60_000 });
    const db = target('db:5432', () =>
      notYet(context.clock.now() < 7_000 ? 'connection refused (10.0.0.4)' : 'NXDOMAIN'),
    );
    const cache = target('cache:6379', () => satisfied('open (10.0.0.5)'));
    const waiting = waitFor([db, cache], plan, context);
    await context.clock.advance(12_500);
    expect(context.lines).toEqual([
      'info  cache:6379 open (10.0.0.5) after 0ms, 1 attempt',
      'info  1/2 ready; db:5432 connection refused (10.0.0.4) for 100ms, 2 attempts',
      'info  1/2 ready; db:5432 connection refused (10.0.0.4) for 5.1s, 51 attempts',
      expect.stringMatching(/^info {2}1\/2 ready; db:5432 NXDOMAIN for 100ms, \d+ attempts$/),
      expect.stringMatching(/^info {2}1\/2 ready; db:5432 NXDOMAIN for 5.1s, \d+ attempts$/),
    ]);
    context.stop.abort(new SignalReceived('SIGTERM'));
    await expect(Promise.all([waiting, context.clock.advance(50)])).rejects.toThrow();
  });

  test('what flaps with every attempt is told once a second', async () => {
    const context = fakeContext();
    void waitFor(
      [target('db', (_probe, number) => notYet(number % 2 ? 'refused' : 'no route'))],
      plan,
      context,
    ).catch(() => undefined);
    await context.clock.advance(4_950);
    expect(context.lines.length).toBeLessThanOrEqual(6);
    context.stop.abort(new SignalReceived('SIGTERM'));
  });
});
