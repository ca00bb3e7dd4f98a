// wait as a step of a plan, and commands that are waited for, which plans alone have.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { freePort } from '../../../support/ports.ts';
import { runInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { listen, runPlan, sh, startPlan } from '../run/plans.ts';

describe('a step', () => {
  test('waits for targets of several kinds, one of which another step makes', async () => {
    const { path: folder } = temporaryDirectory('wait-plan');
    await using open = await listen();
    const { status, stderr } = await runPlan([
      { name: 'make', command: sh(`sleep 0.5; echo done > ${folder}/ready`) },
      {
        name: 'wait',
        uses: 'wait',
        targets: [open.target, `file:${folder}/ready?contains=done`, 'dns:localhost'],
        'max-attempts': 1000,
      },
    ]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain('ready holds what it must');
  });

  test('each mistake is told before anything runs', async () => {
    const { path: folder } = temporaryDirectory('wait-plan-bad');
    const { status, stderr } = await runPlan([
      { name: 'first', command: sh(`touch ${folder}/ran`) },
      {
        name: 'wait',
        uses: 'wait',
        targets: ['db', 'db:1?invrt', 'redis://:hunter2x@cache', 'redis://cache/x'],
      },
    ]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/plan-\d+\.json:1:\d+: targets: .*a password/);
    expect(stderr).not.toContain('hunter2x');
    expect(existsSync(join(folder, 'ran'))).toBe(false);
    const other = await runPlan([
      { name: 'wait', uses: 'wait', targets: ['db', 'db:1?invrt', 'redis://cache/x'] },
    ]);
    expect(other.status).toBe(2);
    for (const said of [/"db" has no port/, /unknown option invrt/, /the number of a database/])
      expect(other.stderr).toMatch(said);
  });
});

describe('exec:', () => {
  test('a command that exits with 0 at its third try', async () => {
    const { path: folder } = temporaryDirectory('wait-exec');
    const script = join(folder, 'check me');
    writeFileSync(
      script,
      `#!/bin/sh\necho "$1" >> ${folder}/tries\n[ "$(wc -l < ${folder}/tries)" -ge 3 ]\n`,
    );
    chmodSync(script, 0o755);
    const { status, stderr } = await runPlan([
      { name: 'wait', uses: 'wait', targets: [`exec:"${script}" 'a b'#interval=100ms`] },
    ]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toMatch(/exec:check me exits with 0/);
    expect(readFileSync(join(folder, 'tries'), 'utf8')).toBe('a b\na b\na b\n');
  });

  test('a try that takes too long is killed with what it started; tries do not overlap', async () => {
    const { path: folder } = temporaryDirectory('wait-exec-slow');
    const script = join(folder, 'slow');
    writeFileSync(
      script,
      `#!/bin/sh\ntrap '' TERM\nmkdir ${folder}/running || echo overlap >> ${folder}/overlaps\nsleep 600 & echo $! >> ${folder}/pids\nwait\n`,
    );
    chmodSync(script, 0o755);
    const waiting = await startPlan([
      { name: 'wait', uses: 'wait', targets: [`exec:${script}#interval=50ms&attempt-timeout=500ms`] },
    ]);
    await waiting.waitForStderr(/no answer within 500ms/);
    const first = Number(readFileSync(join(folder, 'pids'), 'utf8').split('\n')[0]);
    await waitUntil(() => !alive(first), { what: 'the end of what the first try started' });
    waiting.kill('SIGTERM');
    expect(await within(promptly, waiting.exit)).toMatchObject({ status: 143 });
    const all = readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number);
    await waitUntil(() => !all.some(alive), { what: 'the end of all tries' });
  });

  test('a command that is not there is final', async () => {
    const { status, stderr } = await runPlan([
      { name: 'wait', uses: 'wait', targets: ['exec:/not/there --x', `127.0.0.1:${await freePort()}`] },
    ]);
    expect(status).toBe(127);
    expect(stderr).toContain('/not/there');
  });

  test('not on a command line', async () => {
    const { status, stderr } = await runInitbox(['wait', 'exec:true']);
    expect(status).toBe(2);
    expect(stderr).toContain('exec: is for the steps of a plan');
  });
});

function alive(pid: number): boolean {
  try {
    // A zombie is over: nobody reaps here.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
