import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Stage } from '../../../../src/commands/copy/stage.ts';
import { Directory } from '../../../../src/fs/directory/directory.ts';
import { createNamer } from '../../../../src/fs/publish/file-names.ts';
import { GrowingFile } from '../../../../src/fs/publish/growing-file.ts';
import { markInUse } from '../../../../src/fs/publish/in-use.ts';
import { removeLeftovers } from '../../../../src/fs/publish/leftovers.ts';
import { FakeClock } from '../../fake-clock.ts';

let base: string;
let clock: FakeClock;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'initbox-in-use-'));
  clock = new FakeClock();
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

/** Hours pass, in steps each of which leaves the marks the time to be written: then the next ones are due. */
async function passHours(hours: number): Promise<void> {
  const { pending } = clock;
  for (let step = 0; step < hours * 12; step++) {
    await clock.advance(5 * 60_000);
    await expect.poll(() => clock.pending, { interval: 1 }).toBe(pending);
  }
}

/** What another pod's run would remove by now. */
async function removeAsAnotherPod(): Promise<string[]> {
  using directory = Directory.open(base);
  const [namer, now] = [createNamer(Math.random, () => clock.date()), clock.date().getTime()];
  await removeLeftovers(directory, { namer, alone: false, now });
  return readdirSync(base);
}

/** Whatever was just made is as old as the clock of the test says. */
function madeNow(): void {
  for (const name of readdirSync(base)) utimesSync(join(base, name), clock.date(), clock.date());
}

const openDescriptors = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      return [readlinkSync(`/proc/self/fd/${name}`)].filter((path) => path.startsWith(base));
    } catch {
      return [];
    }
  });

describe('what a run of many hours prepares', () => {
  it('a copy: another pod leaves it, and removes it two hours after the run was killed', async () => {
    using directory = Directory.open(base);
    {
      using stage = new Stage(directory, createNamer(Math.random, () => clock.date()).copy(), clock);
      madeNow();
      await passHours(3);
      expect(await removeAsAnotherPod()).toEqual([stage.name]);
    }
    await passHours(1);
    expect(await removeAsAnotherPod()).toHaveLength(1);
    await passHours(2);
    expect(await removeAsAnotherPod()).toEqual([]);
  });

  it('a download that waits for its server: the same', async () => {
    const context = { clock, signal: new AbortController().signal, random: Math.random };
    const file = await GrowingFile.begin(join(base, 'file'), { memoryOnly: false }, context);
    madeNow();
    await passHours(3);
    expect(await removeAsAnotherPod()).toHaveLength(1);
    await file[Symbol.asyncDispose]();
    await expect.poll(openDescriptors).toEqual([]);
  });
});

describe('a mark', () => {
  it('comes each five minutes, and ends with its run', async () => {
    const file = join(base, 'file');
    const descriptor = openSync(file, 'w');
    utimesSync(file, 1, 1);
    {
      using _ = markInUse(descriptor, clock);
      await clock.advance(4 * 60_000);
      expect(statSync(file).mtimeMs).toBe(1000);
      await clock.advance(60_000);
      await expect.poll(() => statSync(file).mtimeMs).toBe(clock.date().getTime());
    }
    utimesSync(file, 1, 1);
    await passHours(1);
    expect(statSync(file).mtimeMs).toBe(1000);
    closeSync(descriptor);
    await expect.poll(openDescriptors).toEqual([]);
  });

  it('of a descriptor that was closed meanwhile touches no other file', async () => {
    const descriptor = openSync(join(base, 'file'), 'w');
    const marks = markInUse(descriptor, clock);
    closeSync(descriptor);
    const other = openSync(join(base, 'other'), 'w');
    utimesSync(join(base, 'other'), 1, 1);
    await passHours(1);
    expect(statSync(join(base, 'other')).mtimeMs).toBe(1000);
    marks[Symbol.dispose]();
    closeSync(other);
  });
});
