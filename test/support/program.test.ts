import { describe, expect, test } from 'vitest';

import { groupGone } from './faults.ts';
import { canRunAsPid1, runAsPid1, runInitbox, startAsPid1, startInitbox, terminationLog } from './program.ts';
import { everythingIsRequired, nodePath, requireOrSkip } from './tools.ts';

// The runner is what is tested here: what it runs is a small script.
const script = (text: string) => ({ program: [nodePath(), '-e', text] });

test('gives status, streams, input and a clean environment', async () => {
  const result = await runInitbox(['one two'], {
    ...script(`
      const input = require('fs').readFileSync(0, 'utf8');
      console.log(JSON.stringify([process.argv[1], input, Object.keys(process.env).sort()]));
      console.error('failed');
      process.exitCode = 7`),
    env: { GIVEN: '1' },
    stdin: 'text',
  });
  expect(result).toMatchObject({ status: 7, signal: null, stderr: 'failed\n' });
  expect(JSON.parse(result.stdout)).toEqual(['one two', 'text', ['GIVEN', 'HOME', 'PATH']]);
});

test('waits for a line, sends a signal, and says which one ended it', async () => {
  const running = await startInitbox([], script(`console.error('ready 5'); setInterval(() => {}, 1000)`));
  expect((await running.waitForStderr(/ready (\d)/))[1]).toBe('5');
  running.kill('SIGTERM');
  expect(await running.exit).toMatchObject({ status: null, signal: 'SIGTERM' });
  await expect(running.waitForStderr(/never/)).rejects.toThrow(/ended without/);
});

test('ends a program that hangs, with its children', async () => {
  const running = await startInitbox([], {
    ...script(
      `require('child_process').spawn('sleep', ['60'], { stdio: 'inherit' }); setInterval(() => {}, 1000)`,
    ),
    timeout: 300,
  });
  await expect(running.exit).rejects.toThrow(/did not end within 300 ms/);
  await groupGone(running.pid);
});

test('an empty termination log can be written by anyone', () => {
  const log = terminationLog();
  expect(log.read()).toBe('');
});

describe.skipIf(requireOrSkip('PID namespaces', canRunAsPid1()))('as root', () => {
  test('is PID 1, and ignores what it does not handle', async () => {
    const result = await runAsPid1([], script('console.log(process.pid); process.exit(3)'));
    expect(result).toMatchObject({ status: 3, stdout: '1\n' });

    const running = await startAsPid1(
      [],
      script(
        `process.on('SIGINT', () => process.exit(130)); console.error('ready'); setInterval(() => {}, 1000)`,
      ),
    );
    await running.waitForStderr(/ready/);
    // PID 1 has no default action for a signal.
    running.kill('SIGTERM');
    running.kill('SIGINT');
    expect(await running.exit).toMatchObject({ status: 130 });
  });

  test('sees other files and runs as another user without capabilities', async () => {
    const result = await runInitbox([], {
      ...script(`
        const { readFileSync } = require('fs');
        const caps = /CapBnd:\\s*(\\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1];
        console.log(readFileSync('/etc/hosts', 'utf8') + process.getuid() + ' ' + process.getgroups() + ' ' + caps)`),
      files: { '/etc/hosts': '127.0.0.9 elsewhere\n' },
      user: { uid: 12345, gid: 23456, groups: [777] },
    });
    expect(result.stdout).toBe('127.0.0.9 elsewhere\n12345 777,23456 0000000000000000\n');
  });
});

test('a missing tool fails where everything is required, and is printed elsewhere', () => {
  expect(requireOrSkip('nothing', undefined)).toBe(false);
  const before = process.env['INITBOX_TEST_REQUIRE'];
  process.env['INITBOX_TEST_REQUIRE'] = 'all';
  try {
    expect(everythingIsRequired()).toBe(true);
    expect(() => requireOrSkip('a tool', 'it is not installed')).toThrow(/a tool: it is not installed/);
  } finally {
    if (before === undefined) delete process.env['INITBOX_TEST_REQUIRE'];
    else process.env['INITBOX_TEST_REQUIRE'] = before;
  }
});
