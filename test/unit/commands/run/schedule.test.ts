import { describe, expect, test } from 'vitest';

import { runSteps, type Perform } from '../../../../src/commands/run/schedule.ts';
import type { Step } from '../../../../src/commands/run/step.ts';
import { longestChain } from '../../../../src/commands/run/timeline.ts';
import { sleep } from '../../../../src/core/clock.ts';
import { done, failed, SignalReceived } from '../../../../src/core/outcome.ts';
import { FakeClock } from '../../fake-clock.ts';

interface Part {
  readonly needs?: readonly string[];
  readonly takes: number;
  readonly fails?: boolean;
  readonly leftOut?: string;
}

/** Runs steps that take a while each, as the clock has it. */
function start(parts: Readonly<Record<string, Part>>, { keepGoing = false } = {}) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const at = { line: 1, column: 1 };
  const steps = Object.entries(parts).map(([name, { needs = [], leftOut }]): Step => ({
    name,
    at,
    needs: needs.map((need) => ({ name: need, at })),
    when: leftOut === undefined ? undefined : { written: 'X', words: '', leftOut, later: [] },
    user: undefined,
    retries: 0,
    retryPause: undefined,
    tryLimit: 0,
    limit: 0,
    limitOrigin: '',
    work: { kind: 'any', command: ['x'], written: ['x'], grace: 0 },
  }));
  const perform: Perform = async ({ name }, signal) => {
    const part = parts[name] as Part;
    try {
      await sleep(clock, part.takes, signal);
    } catch {
      return { outcome: failed(143, 'stopped'), tries: 1 };
    }
    return { outcome: part.fails ? failed(7, `${name} is broken`) : done(name), tries: 1 };
  };
  const ran = runSteps(steps, perform, keepGoing, { clock, signal: stop.signal });
  return { clock, stop, ran };
}

const table = async (ran: ReturnType<typeof start>['ran']) =>
  (await ran).map(({ step, state, start: from, end }) => [step.name, state, from, end]);

describe('steps', () => {
  test('start at once, or when all that they need is done', async () => {
    const { clock, ran } = start({
      migrate: { needs: ['db', 'secrets'], takes: 50 },
      db: { takes: 100 },
      secrets: { takes: 30 },
      owner: { needs: ['secrets'], takes: 10 },
    });
    await clock.advance(1000);
    expect(await table(ran)).toEqual([
      ['migrate', 'done', 100, 150],
      ['db', 'done', 0, 100],
      ['secrets', 'done', 0, 30],
      ['owner', 'done', 30, 40],
    ]);
    expect(longestChain(await ran).map(({ step }) => step.name)).toEqual(['db', 'migrate']);
  });

  test('are stopped when one fails; what needs it never starts', async () => {
    const { clock, ran } = start({
      slow: { takes: 100 },
      broken: { takes: 30, fails: true },
      after: { needs: ['broken'], takes: 10 },
      later: { needs: ['slow'], takes: 10 },
      quick: { takes: 10 },
    });
    await clock.advance(30);
    expect(await table(ran)).toEqual([
      ['slow', 'stopped', 0, 30],
      ['broken', 'failed', 0, 30],
      ['after', 'not run', undefined, undefined],
      ['later', 'not run', undefined, undefined],
      ['quick', 'done', 0, 10],
    ]);
  });

  test('go on with keepGoing, but for what needs the one that failed, however far', async () => {
    const { clock, ran } = start(
      {
        slow: { takes: 100 },
        broken: { takes: 30, fails: true },
        after: { needs: ['broken'], takes: 10 },
        last: { needs: ['after', 'slow'], takes: 10 },
        later: { needs: ['slow'], takes: 10 },
      },
      { keepGoing: true },
    );
    await clock.advance(1000);
    expect((await table(ran)).map(([name, state]) => [name, state])).toEqual([
      ['slow', 'done'],
      ['broken', 'failed'],
      ['after', 'not run'],
      ['last', 'not run'],
      ['later', 'done'],
    ]);
  });

  test('that a variable leaves out never start; what needs them runs', async () => {
    const { clock, ran } = start({
      unset: { takes: 10, leftOut: 'X is not set' },
      set: { takes: 10 },
      after: { needs: ['unset', 'set'], takes: 10 },
    });
    await clock.advance(100);
    expect((await ran).map(({ state, leftOut }) => [state, leftOut])).toEqual([
      ['left out', 'X is not set'],
      ['done', undefined],
      ['done', undefined],
    ]);
  });

  test('end with the whole', async () => {
    const { clock, stop, ran } = start({ a: { takes: 100 }, b: { needs: ['a'], takes: 10 } });
    await clock.advance(40);
    stop.abort(new SignalReceived('SIGINT'));
    await clock.advance(0);
    expect(await table(ran)).toEqual([
      ['a', 'stopped', 0, 40],
      ['b', 'not run', undefined, undefined],
    ]);
  });
});
