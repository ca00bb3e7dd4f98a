// What the command starts and lets out of its group and session is waited for and stopped with it.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

import { beforeAll, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { liveProcess } from '../../../support/process-table.ts';
import {
  canRunAsPid1,
  programCommand,
  runAsPid1,
  runInitbox,
  startInitbox,
} from '../../../support/program.ts';
import { findInPath, requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { dropTo, serverAccount } from '../../../support/unprivileged.ts';
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

describe('what is born while it is looked for', () => {
  /** Each process starts the next one in a session of its own and ends: none is there for long. */
  const chain = 'date +%s%3N >>"$1"; sleep "$2"; [ "$(date +%s)" -lt "$3" ] && setsid sh "$0" "$@" & exit 0';
  const daemon = '(setsid sh -c "sh \\"$1\\" &" &); exit 0';

  test.each(['0.01', '0.05', '0.5'])('a chain of processes, %s s each', async (pause) => {
    const { began, stays } = ground();
    const script = stays.replace('.sh', '.chain');
    writeFileSync(script, chain);
    const until = String(Math.ceil(Date.now() / 1000) + 30);
    const { status, stderr } = await runInitbox(
      ['migrate-with-lock', '--heartbeat', '1s', '--grace', '500ms', '--lock-name', script].concat(
        '--',
        'sh',
        '-c',
        'setsid sh "$0" "$@" & sleep 0.3',
        script,
        began,
        pause,
        until,
      ),
      { env: { DATABASE_URL: postgres.url() } },
    );
    const ended = Date.now();
    expect(stderr).toContain('left processes at work, which were ended: ');
    expect(status).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const last = Number(readFileSync(began, 'utf8').trim().split('\n').at(-1));
    expect(last).toBeLessThanOrEqual(ended);
  });

  test('a daemon that is made as the command ends', async () => {
    for (let time = 0; time < 8; time++) {
      const { lock, stays } = ground();
      const result = await runInitbox(
        ['migrate-with-lock', '--heartbeat', '1s', '--grace', '300ms', '--lock-name', lock].concat(
          '--',
          'sh',
          '-c',
          daemon,
          'sh',
          stays,
        ),
        { env: { DATABASE_URL: postgres.url() } },
      );
      expect(result.status, result.stderr).toBe(1);
      // Whoever still had it would keep the file locked.
      expect(spawnSync('flock', ['-n', lock, 'true']).status).toBe(0);
    }
  });
});

describe('what is none of the command’s', () => {
  // As the kubelet gives them to everything in the container.
  const container = { HOSTNAME: 'api-0', KUBERNETES_SERVICE_HOST: '10.96.0.1', APP: 'shop' };

  test('a helper of the entrypoint that makes a daemon meanwhile', async () => {
    const { lock, began } = ground();
    const initbox = programCommand()
      .map((word) => `'${word}'`)
      .join(' ');
    const entrypoint = `(while [ ! -s ${began} ]; do sleep 0.05; done; (setsid sleep 47 >/dev/null 2>&1 &); echo >${began}.made) & exec ${initbox} migrate-with-lock --heartbeat 1s --grace 500ms --lock-name ${lock} -- sh -c 'echo >${began}; while [ ! -e ${began}.made ]; do sleep 0.05; done'`;
    const result = spawnSync('sh', ['-c', entrypoint], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...container, DATABASE_URL: postgres.url() },
      timeout: 100_000,
    });
    const helpers = spawnSync('pkill', ['-KILL', '-fx', 'sleep 47']);
    expect(result.status, result.stderr).toBe(0);
    expect(helpers.status, 'the helper lives on').toBe(0);
  });

  test('processes without an environment, as a server of databases has them, that begin all the time', async () => {
    const begun: ChildProcess[] = [];
    const begin = setInterval(
      () => begun.push(spawn('/bin/sleep', ['20'], { env: {}, stdio: 'ignore' })),
      15,
    );
    try {
      for (let run = 0; run < 3; run++) {
        const { status, stderr } = await runInitbox(
          ['migrate-with-lock', '--heartbeat', '1s', '--grace', '0s', '--', 'sleep', '0.2'],
          { env: { DATABASE_URL: postgres.url() } },
        );
        expect(status, stderr).toBe(0);
      }
    } finally {
      clearInterval(begin);
      for (const child of begun) child.kill('SIGKILL');
    }
  });
});

test.skipIf(process.getuid?.() !== 0)('one that became another user is waited for, with words', async () => {
  // As a set-user-ID program does that takes on its owner wholly: nobody may send it a signal then.
  const becomesRoot = join(folder.path, 'becomes-root');
  copyFileSync(findInPath('setpriv') ?? '/usr/bin/setpriv', becomesRoot);
  chmodSync(becomesRoot, 0o4755);
  chmodSync(folder.path, 0o755);
  const script = `${becomesRoot} --reuid=0 --regid=0 --clear-groups sleep 5 & sleep 0.5; exit 0`;
  const args = ['migrate-with-lock', '--heartbeat', '1s', '--grace', '200ms', '--', 'sh', '-c', script];
  const { status, stderr } = await runInitbox(args, {
    env: { DATABASE_URL: postgres.url() },
    prefix: dropTo(serverAccount()),
  });
  expect(status, stderr).toBe(1);
  expect(stderr).toMatch(/waiting for processes that could not be ended: \d+ \(sleep\); the lock is kept/);
  expect(stderr).toMatch(/which could not be ended, and were waited for: \d+ \(sleep\)/);
});
