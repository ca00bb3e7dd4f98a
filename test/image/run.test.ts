import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { docker, runImage, startContainer, startListener, waitUntil, type Container } from './docker.ts';

/** What the strictest pod security standard asks, and more. */
const locked = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];

let listener: Container;
let joined: string[];

beforeAll(async () => {
  listener = await startListener();
  joined = ['--network', `container:${listener.id}`];
});
afterAll(() => listener[Symbol.asyncDispose]());

describe('permissions', () => {
  test.each(['12345:12345', '0:0', '65532:65532', '1000800000:0'])(
    'as user %s, read-only, without capabilities',
    async (user) => {
      const { status, stderr } = await runImage(
        [...joined, ...locked, '--user', user],
        ['wait-tcp', '127.0.0.1:5432'],
      );
      expect({ status, stderr }).toMatchObject({
        status: 0,
        stderr: expect.stringContaining('open') as string,
      });
    },
  );

  test('nothing is written anywhere', async () => {
    await using container = await startContainer(
      ['--user', '0'],
      ['wait-tcp', '127.0.0.1:1', '--timeout', '300ms'],
    );
    expect(await container.status()).toBe(124);
    expect((await docker(['diff', container.id])).stdout).toBe('');
  });

  test('a name from /etc/hosts is found without a name server', async () => {
    await using named = await startListener(0, ['--add-host', 'postgres-service:127.0.0.1']);
    const { status, stderr } = await runImage(
      ['--network', `container:${named.id}`],
      ['wait-tcp', 'postgres-service:5432', '--timeout', '5s'],
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
  });
});

describe('memory', () => {
  test.each(['32m', '24m'])('wait-tcp waits and passes under a limit of %s', async (limit) => {
    await using late = await startListener(2_000);
    const memory = ['--memory', limit, '--memory-swap', limit, ...locked];
    await using waiting = await startContainer(
      ['--network', `container:${late.id}`, ...memory],
      ['wait-tcp', '127.0.0.1:5432', '--timeout', '30s'],
    );
    const status = await waiting.status();
    const killed = (await docker(['inspect', '--format', '{{.State.OOMKilled}}', waiting.id])).stdout.trim();
    expect({ status, killed, logs: await waiting.logs() }).toMatchObject({ status: 0, killed: 'false' });
  });
});

describe('SIGTERM', () => {
  /**
   * Runs where Docker's processes are seen: sends the signal and measures until the process is gone, without
   * the docker client's own time in it.
   */
  const killer = `
    const { readFileSync } = require('fs');
    const pid = Number(process.argv[1]);
    const nap = new Int32Array(new SharedArrayBuffer(4));
    const alive = () => {
      try { return !/\\) [ZX] /.test(readFileSync('/proc/' + pid + '/stat', 'latin1')); } catch { return false; }
    };
    if (!alive()) throw new Error(pid + ' is not there');
    const started = performance.now();
    process.kill(pid, 'SIGTERM');
    while (alive() && performance.now() - started < 10000) Atomics.wait(nap, 0, 0, 1);
    console.log(performance.now() - started);
  `;

  async function millisecondsToEnd(container: Container): Promise<number> {
    const pid = await container.pid();
    const { stdout, stderr } = await runImage(
      ['--pid', 'host', '--user', '0', '--entrypoint', '/initbox/bin/node'],
      ['-e', killer, String(pid)],
    );
    expect(stderr).toBe('');
    return Number(stdout);
  }

  test.each([
    ['a port that refuses', ['wait-tcp', '127.0.0.1:1'], /refused/],
    [
      'a name without a name server',
      ['wait-dns', 'db.default.svc.cluster.local', '--server', '127.0.0.1:53'],
      /db/,
    ],
    ['a name server that never answers', ['wait-dns', 'db.example', '--server', '127.0.0.1:5300'], /db/],
  ])('as PID 1, waiting for %s, it ends within 200 ms with 143', async (_, args, sign) => {
    await using silent = await startContainer(
      ['--entrypoint', '/initbox/bin/node'],
      ['-e', "require('dgram').createSocket('udp4').bind(5300, '127.0.0.1')"],
    );
    await using waiting = await startContainer(
      ['--network', `container:${silent.id}`, ...locked],
      [...args, '--timeout', '0'],
    );
    await waitUntil(async () => sign.test(await waiting.logs()));
    const milliseconds = await millisecondsToEnd(waiting);
    console.log(`SIGTERM to the end of PID 1, ${args[0]}: ${milliseconds.toFixed(1)} ms`);
    expect(await waiting.status()).toBe(143);
    expect(milliseconds).toBeLessThanOrEqual(200);
  });

  test('docker stop does not have to kill it', async () => {
    await using waiting = await startContainer([], ['wait-tcp', '127.0.0.1:1', '--timeout', '0']);
    await waitUntil(async () => /refused/.test(await waiting.logs()));
    const { milliseconds } = await docker(['stop', '--time', '30', waiting.id]);
    expect(await waiting.status()).toBe(143);
    expect(milliseconds).toBeLessThan(5_000);
  });
});

describe('the termination log', () => {
  let folder: string;
  let file: string;
  let mounted: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'initbox-log-'));
    file = join(folder, 'log');
    await writeFile(file, 'left by an earlier run');
    // As the kubelet makes it: for any user to write to.
    await chmod(file, 0o666);
    mounted = ['--volume', `${file}:/dev/termination-log`, ...locked];
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('says why it failed', async () => {
    const args = ['wait-tcp', '127.0.0.1:1', '--timeout', '400ms'];
    expect((await runImage(mounted, args)).status).toBe(124);
    const words = await readFile(file, 'utf8');
    expect(words).toContain('127.0.0.1:1');
    expect(words).toContain('connection refused');
    expect(words).not.toContain('earlier run');
    expect((await stat(file)).size).toBeLessThanOrEqual(4096);
  });

  test('says what was done', async () => {
    await runImage([...joined, ...mounted], ['wait-tcp', '127.0.0.1:5432']);
    expect(await readFile(file, 'utf8')).toMatch(/^initbox wait-tcp: .*127\.0\.0\.1:5432/);
  });

  test('is left empty for the command that takes over', async () => {
    const args = ['wait-tcp', '127.0.0.1:5432', '--', '/initbox/bin/node', '-e', 'process.exit(7)'];
    expect((await runImage([...joined, ...mounted], args)).status).toBe(7);
    expect(await readFile(file, 'utf8')).toBe('');
  });

  test('is not made where there is none', async () => {
    const script = "process.exit(require('fs').existsSync('/dev/termination-log') ? 9 : 0)";
    const args = ['wait-tcp', '127.0.0.1:5432', '--', '/initbox/bin/node', '-e', script];
    expect((await runImage(joined, args)).status).toBe(0);
  });
});

test('the command after -- has PID 1 and its status is the container’s', async () => {
  const { status, stdout } = await runImage(joined, [
    'wait-tcp',
    '127.0.0.1:5432',
    '--',
    '/initbox/bin/node',
    '-e',
    'console.log(process.pid); process.exit(42)',
  ]);
  expect({ status, stdout }).toEqual({ status: 42, stdout: '1\n' });
});

test('standard output holds the version and nothing else', async () => {
  const { stdout, stderr } = await runImage([], ['version']);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^initbox \d+\.\d+\.\d+\n$/);
});

test('a usage error is told with status 2', async () => {
  const { status, stderr } = await runImage([], ['wait-tcp', 'db']);
  expect(status).toBe(2);
  expect(stderr).toContain('db');
});
