import { expect, test } from 'vitest';

import { startPatience } from '../../../src/core/deadline.ts';
import { DeadlinePassed, SignalReceived } from '../../../src/core/outcome.ts';
import { FakeClock } from '../fake-clock.ts';

function patience(limit: number) {
  const clock = new FakeClock();
  const stop = new AbortController();
  return { clock, stop, patience: startPatience(clock, stop, limit, 'in silence') };
}

test('patience lasts as long as something comes, and ends where nothing has come for so long', async () => {
  const { clock, patience: held } = patience(300_000);
  for (let i = 0; i < 20; i++) {
    await clock.advance(200_000);
    held.renew();
  }
  expect(held.signal.aborted).toBe(false);
  expect(held.at).toBe(clock.now() + 300_000);
  await clock.advance(299_999);
  expect(held.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(held.signal.reason).toBeInstanceOf(DeadlinePassed);
  expect((held.signal.reason as Error).message).toBe('gave up after 5m (in silence)');
  held.renew();
  expect(clock.pending).toBe(0);
});

test('patience ends with what bounds it, also after it was renewed, and leaves no timer', async () => {
  const { clock, stop, patience: held } = patience(300_000);
  await clock.advance(10_000);
  held.renew();
  stop.abort(new SignalReceived('SIGTERM'));
  expect(held.signal.reason).toBeInstanceOf(SignalReceived);
  held[Symbol.dispose]();
  expect(clock.pending).toBe(0);
});

test('without a limit there is none', async () => {
  const { clock, patience: held } = patience(0);
  held.renew();
  await clock.advance(1e9);
  expect(held.signal.aborted).toBe(false);
  expect(held.at).toBeUndefined();
});
