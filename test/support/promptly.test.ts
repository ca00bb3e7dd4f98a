import { spawn, type ChildProcess } from 'node:child_process';

import { expect, test } from 'vitest';

import { runToDeadline } from './program.ts';
import { within } from './promptly.ts';
import { nodePath } from './tools.ts';

// What is tested here are the bounds: what they bound is a small script.
const script = (text: string) => ({ program: [nodePath(), '-e', text] });

const endOf = async (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => child.on('close', () => resolve('ended')));

test('what hangs is over its bound on every machine', async () => {
  await expect(within(300, new Promise(() => {}))).rejects.toThrow(
    /^it took longer than 300 ms: \d{3,} ms, in which Node started \d+ times$/,
  );
});

test('what comes or fails in time is passed on', async () => {
  expect(await within(300, Promise.resolve('come'))).toBe('come');
  await expect(within(300, Promise.reject(new Error('failed')))).rejects.toThrow('failed');
});

test('the bound grows with the time that Node takes to start', async () => {
  // As slow as this machine: eight starts of Node, against a bound of nine or more.
  const eight = `for (let n = 0; n < 8; n++) require('child_process').spawnSync(process.execPath, ['-e', '0'])`;
  expect(await within(900, endOf(spawn(nodePath(), ['-e', eight])))).toBe('ended');
});

/** Its attempt takes 500 ms, and it says at its deadline what became of it. */
const program = (late: string) =>
  script(`
    const milliseconds = parseInt(process.argv.at(-1));
    setTimeout(() => {
      console.error(milliseconds < 500 ? 'db:1 ${late}' : 'db:1 connection refused');
      process.exitCode = 124;
    }, Math.min(milliseconds, 500))`);

test('a deadline that an attempt did not see is made longer, and no other', async () => {
  expect(
    await runToDeadline(['wait', '--timeout', '200ms'], program('connecting: no answer yet')),
  ).toMatchObject({
    status: 124,
    stderr: 'db:1 connection refused\n',
    deadline: '800ms',
  });
  expect(await runToDeadline(['wait', '--timeout', '200ms'], program('connection reset'))).toMatchObject({
    stderr: 'db:1 connection reset\n',
    deadline: '200ms',
  });
});
