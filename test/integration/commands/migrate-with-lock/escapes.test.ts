// What the command starts and lets out of its group and session is waited for and stopped with it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { liveProcess } from '../../../support/process-table.ts';
import { canRunAsPid1, runAsPid1, runInitbox, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let postgres: Postgres;
const folder = temporaryDirectory('escapes');
beforeAll(async () => {
  postgres = await startPostgres();
  return async () => {
    await postgres.remove();
    folder.remove();
  };
});

let number = 0;

/** A file that each escaped process locks for as long as it lives, and where it says that it began. */
function ground(): { readonly began: string; readonly lock: string; readonly stays: string } {
  const base = join(folder.path, String(++number));
  for (const name of ['began', 'lock']) writeFileSync(`${base}.${name}`, '');
  const stays = `${base}.sh`;
  // Takes 4 s to end after a TERM, which is longer than the grace.
  writeFileSync(
    stays,
    `exec 9>>${base}.lock; flock 9; trap 'sleep 4' TERM; echo $$ >>${base}.began; sleep 60 & wait $!; sleep 60\n`,
  );
  return { began: `${base}.began`, lock: `${base}.lock`, stays };
}

/** How programs get out. The first word is the script that stays. */
const ways: readonly (readonly [string, string])[] = [
  ['timeout makes a group of its own', 'timeout 300 sh $0'],
  ['setsid', 'setsid sh $0 & sleep 60'],
  ['a second fork', '(setsid sh -c "sh $0 &" &); sleep 60'],
  ['without its environment', '(env -i setsid sh -c "sh $0 &" &); sleep 60'],
];

describe.each(ways)('%s', (_name, script) => {
  const run = (stays: string) => ['--', 'sh', '-c', script, stays];
  const args = ['migrate-with-lock', '--heartbeat', '1s', '--grace', '500ms'];

  test('the next one begins when all of it is gone', async () => {
    const { began, lock, stays } = ground();
    const env = { DATABASE_URL: postgres.url() };
    const first = await startInitbox([...args, '--lock-name', lock, ...run(stays)], { env });
    await waitUntil(() => readFileSync(began, 'utf8') !== '', { what: 'the process that leaves' });
    const next = startInitbox([...args, '--lock-name', lock, '--', 'flock', '-n', lock, 'echo', 'alone'], {
      env,
    });
    first.kill('SIGTERM');
    const ended = await first.exit;
    expect(ended.status, ended.stderr).toBe(143);
    const { status, stdout, stderr } = await (await next).exit;
    expect(stdout, stderr).toBe('alone\n');
    expect(status).toBe(0);
  });

  test('what is left when the command ends is stopped before the lock is released', async () => {
    const { began, lock, stays } = ground();
    const env = { DATABASE_URL: postgres.url() };
    const short = script.replace('sleep 60', `while [ ! -s ${began} ]; do sleep 0.05; done`);
    if (!short.includes('while')) return;
    const { status, stderr } = await runInitbox(
      [...args, '--lock-name', lock, '--', 'sh', '-c', short, stays],
      {
        env,
      },
    );
    expect(status, stderr).toBe(1);
    expect(stderr).toContain('left processes at work, which were ended: ');
    const pid = readFileSync(began, 'utf8').trim();
    expect(liveProcess(Number(pid))).toBeUndefined();
  });

  test.skipIf(requireOrSkip('PID 1', canRunAsPid1()))('as PID 1', async () => {
    const { lock, stays } = ground();
    const env = { DATABASE_URL: postgres.url() };
    const result = await runAsPid1(
      [...args, '--command-timeout', '1500ms', '--lock-name', lock, ...run(stays)],
      {
        env,
      },
    );
    expect(result.status, result.stderr).toBe(124);
    expect(result.stderr).toContain('the command was stopped');
  });
});

test('in a plan, beside another command', async () => {
  const { began, lock, stays } = ground();
  const plan = join(folder.path, 'plan.yaml');
  writeFileSync(
    plan,
    JSON.stringify({
      steps: [
        {
          name: 'other',
          command: ['sh', '-c', 'setsid sleep 8 & sleep 60'],
        },
        {
          name: 'migrate',
          uses: 'migrate-with-lock',
          'lock-name': lock,
          heartbeat: '1s',
          grace: '500ms',
          command: [
            'sh',
            '-c',
            `(setsid sh -c "sh ${stays} &" &); while [ ! -s ${began} ]; do sleep 0.05; done`,
          ],
        },
      ],
    }),
  );
  const { status, stderr } = await runInitbox(['run', plan], { env: { DATABASE_URL: postgres.url() } });
  expect(status, stderr).toBe(1);
  expect(stderr).toMatch(/left processes at work, which were ended: \d+ \(sh\)/);
  expect(liveProcess(Number(readFileSync(began, 'utf8').trim()))).toBeUndefined();
});
