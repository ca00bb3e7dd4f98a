// A child in a process group of its own: how it starts, how it ends, and that nothing of it stays.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { Failure } from '../../../src/core/outcome.ts';
import { startChild, statusOf } from '../../../src/process/child.ts';
import { systemHost } from '../../../src/process/host.ts';
import { systemClock } from '../../../src/process/system-clock.ts';
import { liveGroup, waitUntil } from '../../support/faults.ts';
import { runInitbox } from '../../support/program.ts';
import { within } from '../../support/promptly.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const options = {
  environment: { PATH: '/usr/bin:/bin' },
  grace: 300,
  clock: systemClock,
  host: systemHost,
};

const shell = (script: string): string[] => ['/bin/sh', '-c', script];

describe('a command that cannot be run', () => {
  const statusOfFailure = async (command: string[]): Promise<number> => {
    try {
      const child = await startChild(command, options);
      child.stop('SIGKILL', 0);
      await child.gone;
      return 0;
    } catch (error) {
      expect(error).toBeInstanceOf(Failure);
      return (error as Failure).outcome.status;
    }
  };

  test('is not there: 127; may not be run, names no interpreter, or gets too much: 126', async () => {
    using folder = folderOf({ plain: '#!/bin/sh\n', lost: '#!/no/such/interpreter\n' });
    chmodSync(join(folder.path, 'lost'), 0o755);
    expect(await statusOfFailure(['no-such-command'])).toBe(127);
    expect(await statusOfFailure(['/no/such/command'])).toBe(127);
    expect(await statusOfFailure([join(folder.path, 'plain')])).toBe(126);
    expect(await statusOfFailure([join(folder.path, 'lost')])).toBe(126);
    expect(await statusOfFailure(['true', 'x'.repeat(200_000)])).toBe(126);
  });
});

describe('a file that the kernel cannot run never reaches a shell', () => {
  const program = readFileSync(process.execPath).subarray(0, 4096);
  const foreign = Buffer.from(program);
  // e_machine in elf(5): of a processor that nobody has.
  foreign.writeUInt16LE(0xfeed, 18);
  const cases: Readonly<Record<string, readonly [content: string | Buffer, words: RegExp]>> = {
    'zeros, as of a damaged volume': [Buffer.alloc(100_000), /not an executable for this machine/],
    'a program of another architecture': [foreign, /not an executable for this machine.*/],
    'the beginning of a program': [program.subarray(0, 40), /not an executable for this machine/],
    'a program whose table of segments is cut off': [
      program.subarray(0, 64),
      /not an executable for this machine/,
    ],
    'no bytes at all': ['', /: the file is empty/],
  };
  test.each(Object.entries(cases))('%s: 126', async (_name, [content, words]) => {
    using folder = folderOf({ program: content, script: '' });
    const file = join(folder.path, 'program');
    writeFileSync(join(folder.path, 'script'), `#!${file}\nexit 0\n`);
    for (const name of ['program', 'script']) chmodSync(join(folder.path, name), 0o755);
    const failure = async (command: string[]): Promise<Failure['outcome']> => {
      const ended = startChild(command, options).then(async (child) => statusOf(await child.gone));
      return ended.then(
        (status) => expect.fail(`it ran and ended with ${status}`),
        (error) => (error as Failure).outcome,
      );
    };
    const outcome = await failure([file]);
    expect(outcome.status).toBe(126);
    expect(outcome.what).toMatch(words);
    expect(outcome.what).toContain(`cannot run ${file}`);
    const ofScript = await failure([join(folder.path, 'script')]);
    expect(ofScript.status).toBe(126);
    expect(ofScript.what).toContain(`its interpreter ${file} is not an executable`);
    // The command that takes over is judged alike.
    for (const name of ['program', 'script']) {
      const { status, stderr } = await runInitbox(['wait-dns', '127.0.0.1', '--', join(folder.path, name)]);
      expect(stderr).toContain(name === 'script' ? ofScript.what : outcome.what);
      expect(status).toBe(126);
    }
  });

  test('what it can run, runs: a program, a script with a #! line, one without', async () => {
    using folder = folderOf({ plain: 'exit $1\n', script: '#!/bin/sh\nexit $1\n', blank: '#!\nexit $1\n' });
    for (const name of ['plain', 'script', 'blank']) {
      const file = join(folder.path, name);
      chmodSync(file, 0o755);
      const child = await startChild([file, '7'], options);
      expect(statusOf(await child.gone)).toBe(7);
    }
    const child = await startChild([process.execPath, '-e', 'process.exit(8)'], options);
    expect(statusOf(await child.gone)).toBe(8);
  });
});

function folderOf(files: Readonly<Record<string, string | Buffer>>): { path: string } & Disposable {
  const folder = temporaryDirectory('child');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder.path, name), text);
  return { path: folder.path, [Symbol.dispose]: folder.remove };
}

test.each([
  ['exit 0', 0],
  ['exit 7', 7],
  ['kill -TERM $$', 143],
  ['kill -KILL $$', 137],
])('%s is reported as %i', async (script, status) => {
  const child = await startChild(shell(script), options);
  expect(statusOf(await child.gone)).toBe(status);
});

test('it leads a group of its own, and what it leaves there is ended before it counts as gone', async () => {
  const ready = join(temporaryDirectory('ready').path, 'ready');
  const child = await startChild(
    shell(
      `(trap '' TERM; : > ${ready}; while :; do sleep 0.05; done) & until [ -e ${ready} ]; do sleep 0.05; done; exit 4`,
    ),
    options,
  );
  await waitUntil(() => existsSync(ready));
  const began = performance.now();
  expect(statusOf(await child.gone)).toBe(4);
  // TERM was ignored, so that only the KILL after the grace ended it.
  expect(performance.now() - began).toBeGreaterThan(250);
  expect(liveGroup(child.pid)).toEqual([]);
});

test('a stopped member of the group gets its TERM all the same', async () => {
  const child = await startChild(shell('kill -STOP $$; exit 0'), { ...options, grace: 5000 });
  await waitUntil(() => liveGroup(child.pid)[0]?.state === 'T');
  child.stop('SIGTERM', 60_000);
  expect(statusOf(await within(2000, child.gone))).toBe(143);
});

test('a second stop may bring the KILL forward, never put it off', async () => {
  const child = await startChild(shell("trap '' TERM; sleep 1000 & while :; do sleep 0.05; done"), options);
  // The second process is there only once TERM is ignored.
  await waitUntil(() => liveGroup(child.pid).length >= 2);
  child.stop('SIGTERM', 60_000);
  child.stop('SIGTERM', 200);
  child.stop('SIGTERM', 60_000);
  expect(statusOf(await within(3000, child.gone))).toBe(137);
});
