import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { liveDescendants, liveProcess, waitUntil } from '../../../support/faults.ts';
import { freePort } from '../../../support/ports.ts';
import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { canRunAsPid1, startAsPid1, startInitbox, type RunningProgram } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { planFile, sh, startPlan, type PlanStep } from './plans.ts';

const notRoot = requireOrSkip(
  'steps as other users',
  process.getuid?.() === 0 ? undefined : 'only root can become another user',
);
const notPid1 = requireOrSkip('runs as PID 1', canRunAsPid1());

let closed: string;
let postgres: Postgres;
beforeAll(async () => {
  closed = `127.0.0.1:${await freePort()}`;
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

/** Signals it once its standard error says so, and tells how long it took to be gone with all that it had started. */
async function end(
  program: RunningProgram,
  sign: RegExp,
  { signal = 'SIGTERM', bound = promptly }: { signal?: NodeJS.Signals; bound?: number } = {},
) {
  await program.waitForStderr(sign);
  const family = liveDescendants(program.pid).map(({ pid }) => pid);
  const started = performance.now();
  program.kill(signal);
  const result = await within(bound, program.exit);
  const milliseconds = performance.now() - started;
  const left = family.filter((pid) => liveProcess(pid) !== undefined);
  return { ...result, took: milliseconds, family: family.length, left };
}

/** Undefined where it was closed meanwhile. */
function linkOf(pid: number, fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

interface Phase {
  readonly steps: readonly PlanStep[];
  readonly sign: RegExp;
  readonly root?: boolean;
}

const slowText = join(temporaryDirectory('slow').path, 'text');
writeFileSync(slowText, `${'a'.repeat(60)}!`);

const waiting = (name = 'port'): PlanStep => ({ name, uses: 'wait-tcp', targets: closed, timeout: 0 });

const phases: Readonly<Record<string, () => Phase>> = {
  'waiting for a port': () => ({ steps: [waiting()], sign: /refused/ }),
  'a command runs, and children of its': () => ({
    steps: [{ name: 'work', command: sh('sleep 60 & sleep 61 & echo started >&2; wait') }],
    sign: /^started/m,
  }),
  'several things at once': () => ({
    steps: [
      waiting('a'),
      { name: 'b', command: sh('echo started >&2; exec sleep 60') },
      { ...waiting('c'), needs: 'b' },
      waiting('d'),
    ],
    sign: /started[^]*refused|refused[^]*started/,
  }),
  'many patterns of conditions are slow': () => ({
    steps: [
      { name: 'work', command: sh('echo started >&2') },
      ...Array.from({ length: 40 }, (_, index) => ({
        name: `slow-${index}`,
        command: ['true'],
        when: { file: slowText, matches: '^(a+)+$' },
        needs: 'work',
      })),
    ],
    sign: /^started/m,
  }),
  'between two tries': () => ({
    steps: [{ name: 'a', command: ['false'], retries: 1000 }],
    sign: /again in/,
  }),
  'a command runs as another user': () => ({
    steps: [{ name: 'work', command: sh('sleep 60 & echo started >&2; wait'), user: 1234 }],
    sign: /^started/m,
    root: true,
  }),
  'a command of initbox runs as another user': () => ({
    steps: [{ ...waiting(), user: 1234 }],
    sign: /refused/,
    root: true,
  }),
  'a migration runs under the lock': () => ({
    steps: [{ name: 'migrate', uses: 'migrate-with-lock', command: sh('sleep 60 & echo started >&2; wait') }],
    sign: /^started/m,
  }),
  'a migration runs under the lock as another user': () => ({
    steps: [
      {
        name: 'migrate',
        uses: 'migrate-with-lock',
        command: sh('sleep 60 & echo started >&2; wait'),
        user: 1234,
      },
    ],
    sign: /^started/m,
    root: true,
  }),
};

describe.each(Object.entries(phases))('SIGTERM while %s', (_name, make) => {
  const { root } = make();

  test.skipIf(root === true && notRoot)('ends it with 143, and leaves nothing behind', async () => {
    const { steps, sign } = make();
    const program = await startPlan(steps, ['--', 'echo', 'over'], { env: { DATABASE_URL: postgres.url() } });
    // Locks are given back over the network, and the server is waited for.
    const bound = /migrat/.test(_name) ? 2000 : promptly;
    const { status, stdout, stderr, left } = await end(program, sign, { bound });
    expect({ status, stdout, left }, stderr).toEqual({ status: 143, stdout: '', left: [] });
    expect(stderr).toMatch(/initbox run: ended by SIGTERM while [\w, -]+ ran/);
  });
});

describe.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGHUP', 129],
] as const)('%s: a step that ends with 0 when it is told to stop is not done', (signal, status) => {
  test.each([undefined, 1000])('as user %s', async (user) => {
    if (user !== undefined && process.getuid?.() !== 0) return;
    const program = await startPlan([
      {
        name: 'polite',
        command: sh(`trap 'exit 0' TERM INT HUP; echo started >&2; while :; do sleep 0.05; done`),
        ...(user === undefined ? {} : { user }),
      },
    ]);
    const ended = await end(program, /started/, { signal });
    expect(ended.stderr).toContain(`initbox run: ended by ${signal} while polite ran`);
    expect(ended.stderr).not.toContain('1 step done');
    expect(ended.stderr).toMatch(/polite .* stopped/);
    expect(ended.status).toBe(status);
  });
});

describe('SIGTERM', () => {
  test('while the plan is awaited on standard input ends it', async () => {
    // A writer that never ends: the plan is a pipe's.
    const program = await startInitbox([], {
      program: [
        '/bin/sh',
        '-c',
        `sleep 60 | "$0" "$@"`,
        process.execPath,
        'dist/initbox.js',
        'run',
        '-',
        '--log-level',
        'debug',
      ],
    });
    const child = await waitUntil(
      () =>
        liveDescendants(program.pid).find(({ pid }) =>
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(process.execPath),
        ),
      { what: 'the program to run' },
    );
    await waitUntil(
      () =>
        /SigCgt:\s*[0-9a-f]*[4567c-f][0-9a-f]{3}$/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ||
        undefined,
      { what: 'its handler of SIGTERM' },
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    process.kill(child.pid, 'SIGTERM');
    const ended = waitUntil(() => liveProcess(child.pid) === undefined || undefined, {
      what: 'it to end',
      interval: 5,
    });
    expect(await within(promptly, ended)).toBe(true);
    program.child.kill('SIGKILL');
    for (const { pid } of liveDescendants(program.pid)) process.kill(pid, 'SIGKILL');
  });

  test('while the plan comes from a pipe that somebody holds open and does not fill', async () => {
    const fifo = join(temporaryDirectory('run').path, 'plan');
    execFileSync('mkfifo', [fifo]);
    // Opened for reading and writing: it has a writer, which says nothing.
    const program = await startInitbox(['run', '-'], {
      prefix: ['/bin/sh', '-c', 'exec "$@" 0<>"$0"', fifo],
    });
    await waitUntil(
      () =>
        // Standard input, and the one that reads without blocking.
        readdirSync(`/proc/${program.pid}/fd`).filter((fd) => linkOf(program.pid, fd) === fifo).length > 1 ||
        undefined,
      { what: 'it to read the pipe' },
    );
    program.kill('SIGTERM');
    expect((await within(promptly, program.exit)).status).toBe(143);
  });

  test('a command that ignores it is killed after its grace, and waited for', async () => {
    const program = await startPlan([
      {
        name: 'deaf',
        command: sh(`trap '' TERM; echo started >&2; while :; do sleep 1; done`),
        grace: '500ms',
      },
    ]);
    const { status, left, took } = await end(program, /^started/m, { bound: 1500 });
    expect({ status, left }).toEqual({ status: 143, left: [] });
    expect(took).toBeGreaterThan(450);
  });

  test('SIGINT is passed on as what it is', async () => {
    const program = await startPlan([
      { name: 'work', command: sh(`trap 'echo interrupted; exit 1' INT; echo started >&2; sleep 60 & wait`) },
    ]);
    const { status, stdout } = await end(program, /^started/m, { signal: 'SIGINT' });
    expect({ status, stdout }).toEqual({ status: 130, stdout: 'interrupted\n' });
  });

  test.skipIf(notPid1)('as PID 1 too, with orphans that nobody reaps', async () => {
    const program = await startAsPid1([
      'run',
      planFile([
        waiting(),
        { name: 'work', command: sh('(sleep 60 &) ; sleep 61 & echo started >&2; wait') },
      ]),
    ]);
    await program.waitForStderr(/refused/);
    const { status, left } = await end(program, /started/);
    expect({ status, left }).toEqual({ status: 143, left: [] });
  });
});

describe('what a step leaves in its process group', () => {
  test('is gone before the next step starts', async () => {
    const dir = temporaryDirectory('run').path;
    const program = await startPlan([
      { name: 'first', command: sh(`sleep 60 & echo $! >${dir}/pid`) },
      {
        name: 'second',
        command: sh(
          `grep -q '^State:.[^ZX]' /proc/$(cat ${dir}/pid)/status 2>/dev/null && touch ${dir}/alive; true`,
        ),
        needs: 'first',
      },
    ]);
    const { status, stderr } = await program.exit;
    expect(status, stderr).toBe(0);
    expect(existsSync(join(dir, 'alive'))).toBe(false);
  });
});

describe('a failure', () => {
  test('stops a migration under its lock, whose lock is free at once', async () => {
    const dir = temporaryDirectory('run').path;
    const program = await startPlan(
      [
        { name: 'migrate', uses: 'migrate-with-lock', command: sh(`touch ${dir}/started; sleep 60`) },
        { name: 'broken', command: sh(`while ! test -e ${dir}/started; do sleep 0.05; done; exit 7`) },
      ],
      [],
      { env: { DATABASE_URL: postgres.url() } },
    );
    const { status, stderr } = await program.exit;
    expect(status, stderr).toBe(7);
    expect(stderr).toMatch(/stopped with it: migrate/);
    expect(
      await postgres.sql(`select count(*)::int as held from pg_locks where locktype = 'advisory'`),
    ).toEqual([{ held: 0 }]);
  });
});
