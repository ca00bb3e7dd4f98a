import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { liveProcess } from '../../support/faults.ts';
import { freePort } from '../../support/ports.ts';
import { catchesSigterm } from '../../support/process-table.ts';
import {
  canRunAsPid1,
  programCommand,
  runAsPid1,
  runInitbox,
  runToDeadline,
  startAsPid1,
  startInitbox,
  terminationLog,
} from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { nodePath, requireOrSkip, whyMissing } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';
import { waitUntil } from '../../support/wait-until.ts';

const server = createServer((socket) => socket.on('error', () => {}));
let open = '';
let closed = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open = `127.0.0.1:${(server.address() as { port: number }).port}`;
  closed = `127.0.0.1:${await freePort()}`;
});
afterAll(() => void server.close());

const folder = temporaryDirectory('commands').path;
function script(name: string, content: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe('the command after --', () => {
  test('takes over with the same PID, environment and working directory', async () => {
    const started = await startInitbox(
      ['wait-tcp', open, '--', '/bin/sh', '-c', 'echo "$$ $GREETING $PWD"'],
      { env: { GREETING: 'hello' }, cwd: folder },
    );
    const { status, stdout } = await started.exit;
    expect(stdout).toBe(`${started.pid} hello ${folder}\n`);
    expect(status).toBe(0);
  });

  test('takes over also where the program was removed while it waited', async () => {
    const own = temporaryDirectory('removed').path;
    cpSync(dirname(programCommand()[1] ?? ''), join(own, 'dist'), { recursive: true });
    const started = await startInitbox(['wait-tcp', closed, '--', '/bin/echo', 'started'], {
      program: [nodePath(), join(own, 'dist', 'initbox.js')],
    });
    await started.waitForStderr(/refused/, 20_000);
    rmSync(own, { recursive: true });
    const late = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => late.listen(Number(closed.split(':')[1]), '127.0.0.1', resolve));
    const { status, stdout, stderr } = await started.exit;
    late.close();
    expect(stderr).not.toContain('Error');
    expect(stdout).toBe('started\n');
    expect(status).toBe(0);
  });

  test('its exit status is the container’s', async () => {
    expect((await runInitbox(['wait-tcp', open, '--', '/bin/sh', '-c', 'exit 7'])).status).toBe(7);
    expect((await runInitbox(['wait-tcp', open, '--', '/bin/sh', '-c', 'kill -9 $$'])).signal).toBe(
      'SIGKILL',
    );
  });

  test('is found through PATH', async () => {
    script('on-path', '#!/bin/sh\necho "script $1"\n');
    const { stdout } = await runInitbox(['wait-tcp', open, '--', 'on-path', 'x y'], {
      env: { PATH: `${folder}:${process.env['PATH']}` },
    });
    expect(stdout).toBe('script x y\n');
  });

  const plain = script('not-executable', '#!/bin/sh\n', 0o644);
  mkdirSync(join(folder, 'directory'));
  test.each([
    [['no-such-command-anywhere'], 127, /"no-such-command-anywhere" was not found/],
    [[join(folder, 'missing')], 127, /was not found/],
    [[plain], 126, /is not executable/],
    [[join(folder, 'directory')], 126, /is a directory/],
    [[script('no-interpreter', '#!/nowhere/sh\necho x\n')], 126, /its interpreter \/nowhere\/sh is missing/],
    [[script('binary', '\0\0\0not an executable')], 126, /neither a program nor a script with a #! line/],
    [[script('text', 'exit 0\n')], 126, /neither a program nor a script with a #! line/],
  ])('%j ends with %d', async (command, status, message) => {
    const log = terminationLog();
    const result = await runInitbox(['wait-tcp', open, '--termination-log', log.path, '--', ...command]);
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(status);
    expect(log.read()).toMatch(message);
  });

  test('its standard streams are blocking, SIGPIPE and SIGXFSZ at their defaults', async () => {
    // Through a pipe each, as in a container; the successor looks at itself.
    const look = 'for n in 0 1 2; do grep flags /proc/self/fdinfo/$n; done; grep SigIgn /proc/self/status';
    const child = spawn(
      programCommand()[0] ?? '',
      [...programCommand().slice(1), 'wait-tcp', open, '--', '/bin/sh', '-c', look],
      { stdio: 'pipe' },
    );
    let out = '';
    for await (const chunk of child.stdout) out += String(chunk);
    const flags = [...out.matchAll(/flags:\s*(\d+)/g)].map(([, octal]) => Number.parseInt(octal ?? '', 8));
    expect(flags).toHaveLength(3);
    for (const flag of flags.slice(1)) expect(flag & 0o4000, 'O_NONBLOCK').toBe(0);
    expect(out).toMatch(/SigIgn:\s*0000000000000000/);
  });

  test('writes 1 MB to a slow pipe whole', async () => {
    const child = spawn(
      programCommand()[0] ?? '',
      [...programCommand().slice(1), 'wait-tcp', open, '--', '/bin/sh', '-c', 'head -c 1000000 /dev/zero'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let size = 0;
    for await (const chunk of child.stdout) {
      size += (chunk as Buffer).length;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(size).toBe(1_000_000);
  });

  test('finds the termination log empty, with nothing of what came before', async () => {
    const log = terminationLog();
    writeFileSync(log.path, 'words of an earlier run');
    const { stdout } = await runInitbox([
      'wait-tcp',
      open,
      '--termination-log',
      log.path,
      '--',
      '/bin/sh',
      '-c',
      `wc -c < ${log.path}`,
    ]);
    expect(stdout.trim()).toBe('0');
  });

  test('an argument that is not UTF-8 is refused before anything is tried', async () => {
    const { status, stderr } = await runInitbox([], {
      program: [
        '/bin/sh',
        '-c',
        `exec "$0" "$1" wait-tcp ${closed} -- echo "$(printf 'a\\377b')"`,
        ...programCommand(),
      ],
    });
    expect(stderr).toMatch(/is not UTF-8/);
    expect(status).toBe(2);
  });

  test('a variable that is not UTF-8 is named in a warning', async () => {
    const { stderr } = await runInitbox([], {
      program: [
        '/bin/sh',
        '-c',
        `BAD="$(printf 'a\\377b')" exec "$0" "$1" wait-tcp ${open} -- true`,
        ...programCommand(),
      ],
    });
    expect(stderr).toMatch(/the variable BAD is not UTF-8/);
  });
});

describe('last words', () => {
  test('of success say what was done; the file is never created', async () => {
    const log = terminationLog();
    await runInitbox(['wait-tcp', open, '--termination-log', log.path]);
    expect(log.read()).toMatch(new RegExp(`^initbox wait-tcp: ${open} open \\(127.0.0.1\\) after `));
    const missing = join(folder, 'no-such-log');
    expect((await runInitbox(['wait-tcp', open, '--termination-log', missing])).status).toBe(0);
    expect(() => closeSync(openSync(missing, 'r'))).toThrow('ENOENT');
  });

  test('of a usage error, also where the log options cannot be read as a whole', async () => {
    const log = terminationLog();
    const { status, stderr } = await runInitbox([
      'wait-tcp',
      'db',
      '--timeout',
      '5x',
      '--log-format=json',
      '--termination-log',
      log.path,
    ]);
    expect(status).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({
      level: 'error',
      msg: expect.stringContaining('"5x" is not a duration') as string,
    });
    expect(log.read()).toContain('"5x" is not a duration');
  });
});

describe('last words that cannot be written', () => {
  test.each([
    ['a full disk', '/dev/full'],
    ['a directory', folder],
    ['a named pipe that nobody reads', join(folder, 'pipe')],
  ])('to %s: neither the status nor the end changes', async (_, path) => {
    if (path.endsWith('pipe')) execFileSync('mkfifo', [path]);
    const log = ['--termination-log', path];
    expect(await runInitbox(['wait-tcp', open, ...log], { timeout: 10_000 })).toMatchObject({ status: 0 });
    const failed = await runToDeadline(['wait-tcp', closed, '--timeout', '200ms', ...log], {
      timeout: 10_000,
    });
    expect(failed.status).toBe(124);
    expect(failed.stderr).not.toContain('not foreseen');
    expect(
      failed.stderr.match(/ warn {2}the termination message cannot be written to .*: \S+/g),
    ).toHaveLength(1);
    expect(
      (await runInitbox(['wait-tcp', open, ...log, '--', 'echo', 'on'], { timeout: 10_000 })).stdout,
    ).toBe('on\n');
  });

  test.each([
    ['a symlink', 'a symlink stands in its path', (path: string, other: string) => symlinkSync(other, path)],
    [
      'a hard link',
      'the file has a second name (a hard link)',
      (path: string, other: string) => linkSync(other, path),
    ],
  ])('to %s: one line tells, and the other file stays as it is', async (what, words, make) => {
    const other = join(folder, `${what} other`);
    const path = join(folder, what);
    writeFileSync(other, 'precious');
    make(path, other);
    const { status, stderr } = await runInitbox(['wait-tcp', open, '--termination-log', path]);
    expect(stderr).toContain(`the termination message cannot be written to ${path}: ${words}\n`);
    expect(readFileSync(other, 'utf8')).toBe('precious');
    expect(status).toBe(0);
  });

  test('a flag of the command after -- is none of ours, in a usage error either', async () => {
    const theirs = join(folder, 'theirs');
    writeFileSync(theirs, 'precious');
    const { status, stderr } = await runInitbox([
      'wait-tcp',
      'db',
      '--',
      './server',
      '--termination-log',
      theirs,
      '--log-format=json',
    ]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^\S+ error initbox wait-tcp: argument 1: "db" has no port/);
    expect(readFileSync(theirs, 'utf8')).toBe('precious');
  });
});

describe('JSON lines', () => {
  test('each is one event with time, level, command and msg; a failure has status, details and hint', async () => {
    const { stderr } = await runToDeadline([
      'wait-tcp',
      open,
      closed,
      '--timeout',
      '700ms',
      '--log-format',
      'json',
    ]);
    const records = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const record of records) {
      expect(record).toMatchObject({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
        level: expect.stringMatching(/^(info|error)$/) as string,
        command: 'wait-tcp',
        msg: expect.any(String) as string,
      });
    }
    expect(records.filter(({ level }) => level === 'error')).toEqual([
      expect.objectContaining({
        msg: expect.stringMatching(/^gave up after \S+ \(--timeout\): 1 of 2 not ready$/),
        status: 124,
        details: [expect.stringContaining(`${closed} connection refused (127.0.0.1) for`) as string],
        hint: expect.stringContaining('endpointslices') as string,
      }),
    ]);
  });
});

describe('what cannot be run', () => {
  test('no command at all: a usage error, not help and success', async () => {
    const { status, stdout, stderr } = await runInitbox([]);
    expect(stderr).toMatch(/no command was given/);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });

  test('an older Node: one line, and nothing that it could not even read', async () => {
    const pretend = script(
      'older.cjs',
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });",
    );
    const [node = '', program = ''] = programCommand();
    const { status, stdout, stderr } = await runInitbox(['--version'], {
      program: [node, '--require', pretend, program],
    });
    expect(stderr).toMatch(/^initbox needs Node 26 or newer; this is \S+ \(\S+\)\n$/);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    // Explicit resource management came with Node 24.
    expect(/\b(await )?using [\w$]+ ?=/.exec(readFileSync(program, 'utf8'))?.[0]).toBeUndefined();
  });
});

describe('standard error', () => {
  test('closed: no reason to fail', async () => {
    const { status } = await runInitbox([], {
      program: ['/bin/sh', '-c', `exec "$0" "$1" wait-tcp ${open} 2>&-`, ...programCommand()],
    });
    expect(status).toBe(0);
  });

  test('a pipe whose reader is gone: no reason to fail', async () => {
    const { stdout } = await runInitbox([], {
      program: [
        '/bin/bash',
        '-c',
        `{ "$0" "$1" wait-tcp ${closed} --timeout 700ms --log-level debug; echo "status $?" >&3; } 3>&1 2> >(exec true) `,
        ...programCommand(),
      ],
    });
    expect(stdout).toContain('status 124');
  });

  test('a full pipe that nobody reads: SIGTERM ends it in time all the same', async () => {
    // A reader that never reads: the shell's sleep holds the other end.
    const stuck = await startInitbox([], {
      program: [
        '/bin/bash',
        '-c',
        `exec 4> >(exec sleep 60); head -c 65536 /dev/zero >&4; exec "$0" "$1" wait-tcp ${closed} --interval 1ms --log-level debug 2>&4 4>&-`,
        ...programCommand(),
      ],
    });
    await waitUntil(() => catchesSigterm(stuck.pid), { what: 'its handler of SIGTERM' });
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(liveProcess(stuck.pid)).toBeDefined();
    stuck.kill('SIGTERM');
    await within(promptly, new Promise<void>((resolve) => stuck.child.once('exit', () => resolve())));
    expect(stuck.child.exitCode).toBe(143);
    stuck.child.stdout?.destroy();
    stuck.child.stderr?.destroy();
  });
});

test('a command of several words in one argument: says what to write', async () => {
  const { status, stderr } = await runInitbox(['wait-tcp', open, '--', 'echo hi']);
  expect(status).toBe(127);
  expect(stderr).toContain('an argument of its own: -- echo hi, or in a plan: command: [echo, hi]');
});

test.each(['\u2013timeout', '\u2014timeout=3s', '\u2014'])('%s: a dash that is no hyphen', async (word) => {
  const { status, stderr } = await runInitbox(['wait-tcp', open, word]);
  expect(status).toBe(2);
  expect(stderr).toContain(`is not a hyphen (-), as copied text often does; write --${word.slice(1)}`);
});

test('a path that is -: refused, with what to write', async () => {
  const { status, stderr } = await runInitbox(['render', '/etc/hosts', '--to', '-']);
  expect(status).toBe(2);
  expect(stderr).toContain('--to: - does not stand for standard input or output here; write ./- for a file');
});

test.each([
  [['copy', '-', '/tmp/x']],
  [['copy', '/etc/hosts', '-']],
  [['chown', '1:1', '-']],
  [['render', '-', '--to', '/tmp/x']],
  [['install', '-']],
])('%j: a path that is - among the arguments is refused alike', async (words) => {
  const { status, stderr } = await runInitbox(words, { cwd: temporaryDirectory('dash').path });
  expect(stderr).toContain('- does not stand for standard input or output here; write ./- for a file');
  expect(status).toBe(2);
});

test.each([
  [['--termination-log', '-'], {}],
  [['--termination-log=-'], {}],
  [[], { INITBOX_TERMINATION_LOG: '-' }],
  [['--termination-log', '$(LOG)'], {}],
  [['--termination-log', '-', '--termination-log', 'other'], {}],
  [['--termination-log', '--log-format', 'json'], {}],
])('a termination log that is refused is not written: %j %j', async (words, env) => {
  const cwd = temporaryDirectory('refused').path;
  const names = ['-', '$(LOG', '--log-format', 'other'];
  for (const name of names) writeFileSync(join(cwd, name), 'mine');
  const { status, stderr } = await runInitbox(['wait-tcp', open, ...words], { cwd, env });
  expect(stderr).toMatch(/termination.log/i);
  expect(status).toBe(2);
  for (const name of names) expect(readFileSync(join(cwd, name), 'utf8')).toBe('mine');
});

test.each([
  ['--help', 0, /^initbox|Usage/],
  ['copy --help', 0, /SRC/],
  ['copy a.txt b.txt', 2, /the working directory cannot be found \(ENOENT\)/],
])('%s where the working directory was removed', async (words, status, said) => {
  const result = await runInitbox(words.split(' '), {
    prefix: ['/bin/sh', '-c', 'mkdir "$0/gone" && cd "$0/gone" && rmdir "$0/gone" && exec "$@"', folder],
  });
  expect(result.stdout + result.stderr).toMatch(said);
  expect(result.status === 0).toBe(status === 0);
});

test.each(['schema plan', 'completion bash', '--help', '--version'])(
  '%s: standard output that is open for reading alone is an error',
  async (words) => {
    const fifo = join(temporaryDirectory('read-only').path, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const from of ['1</dev/null', '1</etc/hosts', `1<>${fifo} 1<${fifo}`]) {
      const { status, stderr } = await runInitbox([], {
        program: ['/bin/bash', '-c', `"$@" ${words} ${from}`, 'bash', ...programCommand()],
      });
      expect(stderr).toContain('standard output cannot be written (EBADF)');
      expect(status).toBe(1);
    }
  },
);

test('a relative path where the working directory was removed', async () => {
  const { status, stderr } = await runInitbox(['render', '/etc/hosts', '--to', 'y'], {
    prefix: ['/bin/sh', '-c', 'mkdir "$0/gone" && cd "$0/gone" && rmdir "$0/gone" && exec "$@"', folder],
  });
  expect(status).toBe(2);
  expect(stderr).toContain('the working directory cannot be found (ENOENT)');
});

describe('standard output: a full pipe that nobody reads', () => {
  const program = (args: string): readonly string[] => [
    '/bin/bash',
    '-c',
    `exec 4> >(exec sleep 60); head -c 65536 /dev/zero >&4; exec "$0" "$1" ${args} >&4 4>&-`,
    ...programCommand(),
  ];

  test.each(['schema plan', 'completion bash'])('%s ends at its deadline, and says why', async (args) => {
    const stuck = await startInitbox([], { program: program(`${args} --timeout 500ms`) });
    const [line] = await stuck.waitForStderr(/gave up after .*/);
    expect(line).toMatch(
      /^gave up after 500ms \(--timeout\): standard output is full and nobody reads it; \d+ bytes were not written$/,
    );
    if (stuck.child.exitCode === null)
      await new Promise<void>((resolve) => stuck.child.once('exit', () => resolve()));
    expect(stuck.child.exitCode).toBe(124);
    stuck.child.stdout?.destroy();
    stuck.child.stderr?.destroy();
  });

  test.each(['schema plan', '--help', '--version'])('%s obeys SIGTERM', async (args) => {
    const stuck = await startInitbox([], { program: program(args) });
    await waitUntil(() => catchesSigterm(stuck.pid), { what: 'its handler of SIGTERM' });
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(liveProcess(stuck.pid)).toBeDefined();
    stuck.kill('SIGTERM');
    await within(
      promptly,
      stuck.waitForStderr(/ended by SIGTERM: standard output is full and nobody reads it/),
    );
    if (stuck.child.exitCode === null)
      await within(promptly, new Promise<void>((resolve) => stuck.child.once('exit', () => resolve())));
    expect(stuck.child.exitCode).toBe(143);
    stuck.child.stdout?.destroy();
    stuck.child.stderr?.destroy();
  });

  test('a slow reader gets all of it', async () => {
    const whole = await runInitbox(['schema', 'plan']);
    const slow = await runInitbox([], {
      program: [
        '/bin/bash',
        '-c',
        '{ head -c 60000 /dev/zero; "$0" "$1" schema plan; } | { sleep 1; tail -c +60001; }',
        ...programCommand(),
      ],
    });
    expect(slow.stdout).toBe(whole.stdout);
    expect(60_000 + slow.stdout.length).toBeGreaterThan(65_536);
  });
});

/** Folders that are not there, so that looking for a command takes its time. */
const longPath = `${'/x:'.repeat(40_000)}${process.env['PATH']}`;

describe('a signal that comes while the command after -- takes over', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)('%s is not lost', async (signal) => {
    const started = await startInitbox(['wait-tcp', open, '--log-level', 'debug', '--', 'sleep', '5'], {
      env: { PATH: longPath },
    });
    await started.waitForStderr(/handing over to sleep/);
    started.kill(signal);
    const { status, signal: by } = await started.exit;
    expect(by ?? (status ?? 0) - 128).toBe(by === null ? constants.signals[signal] : signal);
  });

  test('at any moment of it', async () => {
    for (let round = 0; round < 24; round += 1) {
      const started = await startInitbox(['wait-tcp', open, '--', 'sleep', '5']);
      await new Promise<void>((resolve) => started.child.stderr?.once('data', () => resolve()));
      const until = performance.now() + round / 6;
      while (performance.now() < until);
      started.kill();
      const { status, signal } = await started.exit;
      expect([143, 'SIGTERM']).toContain(signal ?? status);
    }
  });
});

describe('signals', () => {
  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s between attempts: %d within 200 ms, with last words', async (signal, status) => {
    const log = terminationLog();
    const waiting = await startInitbox([
      'wait-tcp',
      closed,
      '--interval',
      '1h',
      '--termination-log',
      log.path,
    ]);
    await waiting.waitForStderr(/connection refused/);
    waiting.kill(signal);
    expect((await within(promptly, waiting.exit)).status).toBe(status);
    expect(log.read()).toContain(`ended by ${signal}`);
  });

  test('a limit of 1000h does not fire at once', async () => {
    const waiting = await startInitbox(['wait-tcp', closed, '--timeout', '1000h']);
    await waiting.waitForStderr(/0\/1 ready.*for [5-9]/, 15_000);
    waiting.kill();
    expect((await waiting.exit).status).toBe(143);
  });
});

describe.skipIf(requireOrSkip('PID 1', canRunAsPid1()))('as PID 1', () => {
  test('SIGTERM while waiting: 143 within 200 ms', async () => {
    const waiting = await startAsPid1(['wait-tcp', closed]);
    await waiting.waitForStderr(/connection refused/);
    waiting.kill('SIGTERM');
    expect((await within(promptly, waiting.exit)).status).toBe(143);
  });

  test('SIGTERM while the program is being loaded is kept until it listens', async () => {
    const [node = '', program = ''] = programCommand();
    // With this flag, the listener for SIGUSR1 of the program's first lines is the first handler that /proc shows.
    const loading = await startAsPid1(['wait-tcp', closed, '--timeout', '3s'], {
      program: [node, '--disable-sigusr1', program],
    });
    while ((caughtSignals(loading.pid) & (1n << (10n - 1n))) === 0n);
    loading.kill('SIGTERM');
    expect((await loading.exit).status).toBe(143);
  });

  test('the command that takes over is PID 1', async () => {
    expect((await runAsPid1(['wait-tcp', open, '--', '/bin/sh', '-c', 'echo $$'])).stdout).toBe('1\n');
  });
});

/** The signals that a process handles; the lowest bit is signal 1 (proc(5)). */
function caughtSignals(pid: number): bigint {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return BigInt(`0x${mask ?? '0'}`);
}

test('any UID, without an entry in /etc/passwd, without a capability', async () => {
  expect(
    await runInitbox(['wait-tcp', open, '--', 'id', '-u'], { user: { uid: 54_321, gid: 54_321 } }),
  ).toMatchObject({ status: 0, stdout: '54321\n' });
});

describe('standard output that cannot be written', () => {
  const plan = join(folder, 'printed-plan.json');
  writeFileSync(plan, '{"steps":[{"name":"a","command":["true"]}]}');

  test.each([
    ['--help'],
    ['--version'],
    ['wait-tcp --help'],
    ['schema plan'],
    ['completion bash'],
    [`run ${plan} --dry-run`],
  ])(
    '%s: an error on a full disk, and for a pipe whose reader has ended; never an unforeseen one',
    async (words) => {
      const write = async (to: string) =>
        runInitbox([], { program: ['/bin/bash', '-c', `"$@" ${words} ${to}`, 'bash', ...programCommand()] });
      const full = await write('> /dev/full');
      expect(full.stderr).toContain('standard output cannot be written (ENOSPC)');
      expect(full.stderr).not.toContain('hint:');
      expect(full.status).toBe(1);
      const closedPipe = await write('> >(exec true); exit ${PIPESTATUS[0]}');
      // The reader may have had time to take it all.
      if (closedPipe.status !== 0)
        expect(closedPipe.stderr).toContain('standard output cannot be written (EPIPE)');
      expect(closedPipe.stderr).not.toContain('hint:');
    },
  );
});

test('a duration in microseconds, in both spellings of the sign, is read by the bundle too', async () => {
  for (const limit of ['5µs', '5μs'])
    expect((await runInitbox(['wait-tcp', closed, '--timeout', limit])).status).toBe(124);
});

test.each([
  ['wait-tcp', 'localhost:1'],
  ['wait-dns', 'a.'],
])('%s: a limit that ends before anything was asked says so', async (...words) => {
  const { status, stderr } = await runInitbox([...words, '--timeout', '1us']);
  expect(stderr).toContain(`${words[1]} the time was up before anything could be tried`);
  expect(status).toBe(124);
});

describe('options without an effect are warned about', () => {
  const unused = (stderr: string): string[] =>
    [...stderr.matchAll(/ warn .*?: (--\S+) has no effect/g)].map(([, name = '']) => name);

  test('wait-http', async () => {
    const tls = ['--tls-server-name', 'a', '--insecure', '--cross-origin'];
    const ask = async (url: string, ...more: string[]) =>
      unused((await runToDeadline(['wait-http', url, ...tls, ...more, '--timeout', '300ms'])).stderr);
    expect(await ask(`http://${closed}`)).toEqual(['--cross-origin', '--tls-server-name', '--insecure']);
    expect(await ask(`https://${closed}`)).toEqual(['--cross-origin']);
    expect(await ask(`http://${closed}`, '--redirects', '1')).toEqual([]);
  });

  test('fetch-config: what guards one kind of source does not guard another', async () => {
    const from = join(folder, 'from');
    writeFileSync(from, 'x');
    const fetched = async (...flags: string[]) => {
      const words = ['fetch-config', `file:${from}`, '--to', join(folder, 'to'), '--allow-disk', ...flags];
      const { status, stderr } = await runInitbox(words);
      expect(status).toBe(0);
      return unused(stderr);
    };
    expect(await fetched()).toEqual([]);
    expect(await fetched('--expect-role', 'app', '--vault-role', 'app', '--cross-origin')).toEqual([
      '--vault-role',
      '--expect-role',
      '--cross-origin',
    ]);
  });
});

const noStrace = requireOrSkip('the end of a process that has worked', whyMissing('strace', 'strace'));
test.skipIf(noStrace)('what has worked ends without waiting for V8’s threads', async () => {
  const own = temporaryDirectory('end');
  const [from, to, calls] = ['from', 'to', 'calls'].map((name) => join(own.path, name));
  mkdirSync(from!);
  mkdirSync(to!);
  for (let at = 0; at < 3000; at++) writeFileSync(join(from!, `f${at}`), 'x');
  const prefix = ['strace', '-f', '-qq', '-e', 'trace=exit,exit_group', '-o', calls!];
  const { status, stderr } = await runInitbox(['copy', from!, to!], { prefix });
  expect(status, stderr).toBe(0);
  const ends = readFileSync(calls!, 'utf8');
  expect(ends).toMatch(/exit_group\(0\)/);
  // A thread that is waited for ends by itself before.
  expect(ends.slice(0, ends.lastIndexOf('exit_group'))).not.toMatch(/ exit\(0\)/);
});
