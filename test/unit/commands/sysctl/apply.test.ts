// What is raised beside others that raise it, on files that stand for the kernel's and a clock that is moved by hand.
import { openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { applySettings } from '../../../../src/commands/sysctl/apply.ts';
import { parseSetting } from '../../../../src/commands/sysctl/setting.ts';
import { meets, presentIn } from '../../../../src/commands/sysctl/value.ts';
import type { Context } from '../../../../src/core/context.ts';
import { SignalReceived } from '../../../../src/core/outcome.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { fakeContext } from '../../fake-context.ts';

function judged(text: string, is: string) {
  const path = join(temporaryDirectory('setting').path, 'value');
  const set = (value: string): void => writeFileSync(path, `${value}\n`);
  const value = (): string => readFileSync(path, 'utf8').trim();
  set(is);
  const setting = parseSetting(text);
  const present = presentIn(`${is}\n`, path);
  const file = {
    stat: statSync(path),
    read: () => readFileSync(path, 'utf8'),
    openToWrite: () => openSync(path, 'r+'),
    [Symbol.dispose]: () => undefined,
  };
  return { set, value, change: { setting, file, present, right: meets(setting, present) } };
}

function begin(changes: readonly ReturnType<typeof judged>[]) {
  const fake = fakeContext();
  const context = { ...fake, host: { uid: 0 } } as unknown as Context;
  const applied = applySettings(
    changes.map(({ change }) => change),
    context,
  );
  return { ...fake, applied };
}

const until = (is: () => boolean) => waitUntil(() => is() || undefined, { what: 'the value' });

describe('what was raised', () => {
  test('and is lowered by another run right afterwards is raised again, and looked at once more', async () => {
    const one = judged('vm.x>=3000', '1000');
    const { clock, applied } = begin([one]);
    for (const lowered of ['2000', '2500']) {
      await until(() => one.value() === '3000' && clock.pending > 0);
      one.set(lowered);
      await clock.advance(100);
    }
    await until(() => one.value() === '3000' && clock.pending > 0);
    await clock.advance(100);
    expect(await applied).toEqual({ written: [one.change] });
    expect(one.value()).toBe('3000');
  });

  test('and stays lower is an error in the end', async () => {
    const one = judged('vm.nr_hugepages>=3000', '1000');
    const { clock, applied } = begin([one]);
    for (let round = 0; round < 5; round++) {
      await until(() => one.value() === '3000' && clock.pending > 0);
      one.set('2000');
      await clock.advance(100);
    }
    expect(await applied).toMatchObject({
      failure: {
        status: 1,
        what: 'vm.nr_hugepages was set to 3000, and the kernel made it 2000',
        hint: expect.stringContaining('too fragmented') as string,
      },
    });
  });

  test('a signal meanwhile ends it', async () => {
    const one = judged('vm.x>=3000', '1000');
    const { clock, stop, applied } = begin([one]);
    await until(() => clock.pending > 0);
    stop.abort(new SignalReceived('SIGTERM'));
    expect(await applied).toMatchObject({
      failure: {
        status: 143,
        what: 'ended by SIGTERM while vm.x was to be set',
        details: ['vm.x set to 3000 (it was 1000)'],
      },
    });
  });
});

test('what somebody else has raised since the first look is not lowered', async () => {
  const one = judged('vm.x>=3000', '1000');
  one.set('4000');
  const { clock, applied } = begin([one]);
  await until(() => clock.pending > 0);
  await clock.advance(100);
  expect(await applied).toEqual({ written: [] });
  expect(one.value()).toBe('4000');
});

test('an exact value is not waited for', async () => {
  const one = judged('vm.x=2000', '3000');
  const { applied } = begin([one]);
  expect(await applied).toEqual({ written: [one.change] });
  expect(one.value()).toBe('2000');
});
