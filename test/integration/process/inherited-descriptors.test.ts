// Descriptors that it was started with: none reaches a command of somebody else's.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { runInitbox } from '../../support/program.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';
import { listen, planFile, sh } from '../commands/run/plans.ts';

const folder = temporaryDirectory('descriptors').path;
const private_ = join(folder, 'private');
writeFileSync(private_, 'for root alone\n');
chmodSync(private_, 0o600);

/** Opens the numbers before the program starts. Node's own look at its start ends before 17 where that is a gap. */
const holding = (...numbers: number[]): readonly string[] => [
  '/bin/bash',
  '-c',
  `${numbers.map((number) => `exec ${number}<>${private_};`).join(' ')} exec "$@"`,
  'bash',
];
const numbers = [3, 17, 30, 250, 1000];
const show = 'for fd in /proc/self/fd/*; do readlink $fd; done | grep private; echo shown';

describe('descriptors above 2 that it was started with', () => {
  test('do not reach the command that takes over', async () => {
    await using port = await listen();
    const { stdout, stderr } = await runInitbox(['wait-tcp', port.target, '--', ...sh(show)], {
      prefix: holding(...numbers),
    });
    expect(stdout).toBe('shown\n');
    expect(stderr).not.toContain('Warning');
  });

  test('do not reach a step, its output aside', async () => {
    const { stdout } = await runInitbox(['run', planFile([{ name: 'look', command: sh(show) }])], {
      prefix: holding(...numbers),
    });
    expect(stdout).toBe('shown\n');
  });

  test.skipIf(
    requireOrSkip('steps as other users', process.getuid?.() === 0 ? undefined : 'only root becomes another'),
  )('do not reach a step of another user, nor what takes over after it', async () => {
    const plan = planFile([{ name: 'look', command: sh(show), user: '1000:1000' }]);
    const { stdout } = await runInitbox(['run', plan, '--', ...sh(show)], { prefix: holding(...numbers) });
    expect(stdout).toBe('shown\nshown\n');
  });

  test('may be what a plan is read from', async () => {
    const plan = join(folder, 'plan.yaml');
    writeFileSync(plan, `steps: [{name: look, command: [/bin/sh, -c, '${show}']}]\n`);
    const { stdout } = await runInitbox(['run', '/dev/fd/250'], {
      prefix: ['/bin/bash', '-c', `exec 250<${plan}; exec "$@"`, 'bash'],
    });
    expect(stdout).toBe('shown\n');
  });
});
