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

  const leaving = {
    'in the group': (work: string) => `sh -c '${work}' &`,
    'in a session of its own': (work: string) => `setsid sh -c '${work}' &`,
    'as a daemon, after a second fork': (work: string) => `(setsid sh -c '${work}' & exit 0) &`,
    'as a daemon that ignores what it can': (work: string) =>
      `(setsid nohup sh -c 'trap "" TERM HUP INT; ${work}' & exit 0) &`,
  };

  test.each(
    Object.keys(leaving).flatMap((how) =>
      ([0, 1, 'cut'] as const).map((end) => [how as keyof typeof leaving, end] as const),
    ),
  )('what a try leaves %s is ended with the try (%s)', async (how, end) => {
    const { path: folder } = temporaryDirectory('wait-exec-left');
    const script = join(folder, 'check');
    const work = `echo $$ >> ${folder}/pids; exec sleep 600 > /dev/null 2>&1`;
    // It counts as started once it has written who it is.
    const started = `n=$(wc -l < ${folder}/tries); until [ "$(wc -l < ${folder}/pids)" -ge $n ]; do sleep 0.02; done`;
    const last = end === 'cut' ? 'sleep 600' : `[ $n -ge 3 ] && exit 0; exit ${end}`;
    writeFileSync(
      script,
      `#!/bin/sh\ntouch ${folder}/pids\necho try >> ${folder}/tries\n${leaving[how](work)}\n${started}\n${last}\n`,
    );
    chmodSync(script, 0o755);
    const time = end === 'cut' ? '&attempt-timeout=2s' : '';
    const step = { name: 'wait', uses: 'wait', targets: [`exec:${script}#interval=50ms${time}`] };
    const pids = (): number[] =>
      existsSync(`${folder}/pids`)
        ? readFileSync(`${folder}/pids`, 'utf8').trim().split('\n').filter(Boolean).map(Number)
        : [];
    if (end === 'cut') {
      const waiting = await startPlan([step]);
      await waitUntil(() => pids().length >= 2, { timeout: 60_000, what: 'a second try' });
      await waitUntil(() => !alive(pids()[0] as number), { what: 'the end of what the first try left' });
      waiting.kill('SIGTERM');
      expect(await waiting.exit).toMatchObject({ status: 143 });
    } else {
      // The next step comes after all of it.
      const { status, stderr } = await runPlan([
        step,
        {
          name: 'then',
          needs: ['wait'],
          command: sh(
            `for p in $(cat ${folder}/pids); do kill -0 $p && grep -q "^State:.[^Z]" /proc/$p/status && echo "left $p" && exit 9; done; exit 0`,
          ),
        },
      ]);
      expect({ status, stderr }).toMatchObject({ status: 0 });
      expect(pids().length).toBeGreaterThanOrEqual(end === 0 ? 1 : 3);
    }
    await waitUntil(() => !pids().some(alive), { what: 'the end of what all tries left' });
  });

  test.each([
    ['the whole wait', { timeout: '2s' }, '', 'a longer --timeout waits for it'],
    [
      'one try',
      { timeout: '3s' },
      '#interval=50ms&attempt-timeout=500ms',
      '--attempt-timeout gives it longer',
    ],
  ])('the hint names what has cut it: %s', async (_what, step, options, helps) => {
    const { status, stderr } = await runPlan([
      { name: 'wait', uses: 'wait', targets: [`exec:sleep 600${options}`], ...step },
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain(`hint: the command had not ended: if it is only slow, ${helps}`);
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
