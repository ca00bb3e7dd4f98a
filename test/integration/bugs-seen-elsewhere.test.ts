// One test for each bug or trap that users of other waiting tools reported, so that it never becomes one of ours.
// Elsewhere: a connection left open, and a blackholed attempt that eats the whole timeout (wait-tcp.test.ts); one body
// for every attempt, expectations that can never match, certificates that are not verified (wait-http/); flags that are
// documented and do not exist (unit/docs.test.ts: the README is generated from the program).
import { createServer } from 'node:net';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { startDnsServer } from '../support/dns-server.ts';
import { freePort } from '../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../support/program.ts';

const connections: Date[] = [];
const server = createServer((socket) => {
  connections.push(new Date());
  socket.on('error', () => {});
});
let open = '';
let closed = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open = `127.0.0.1:${(server.address() as { port: number }).port}`;
  closed = `127.0.0.1:${await freePort()}`;
});
afterAll(() => void server.close());

test('the command runs although the wait failed (vishnubob/wait-for-it without -s)', async () => {
  const { status, stdout } = await runToDeadline([
    'wait-tcp',
    closed,
    '--timeout',
    '300ms',
    '--',
    'echo',
    'ran',
  ]);
  expect(stdout).toBe('');
  expect(status).toBe(124);
});

test("the command's exit status is lost (wait4x, initium, clarketm/wait-for-it)", async () => {
  expect((await runInitbox(['wait-tcp', open, '--', '/bin/sh', '-c', 'exit 42'])).status).toBe(42);
});

test('SIGTERM does not reach the command (dockerize)', async () => {
  const started = await startInitbox([
    'wait-tcp',
    open,
    '--',
    '/bin/sh',
    '-c',
    'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.1; done',
  ]);
  await started.waitForStdout(/ready/);
  started.kill('SIGTERM');
  expect(await started.exit).toMatchObject({ status: 5, stdout: 'ready\ngot it\n' });
});

test('SIGTERM is ignored while waiting (every shell and Node waiter as PID 1)', async () => {
  const waiting = await startInitbox(['wait-tcp', closed]);
  await waiting.waitForStderr(/refused/);
  waiting.kill();
  expect((await waiting.exit).status).toBe(143);
});

test('sleeps on after success (kubernetes-entrypoint)', async () => {
  expect((await runInitbox(['wait-tcp', open, '--interval', '10s'])).milliseconds).toBeLessThan(9_000);
});

test('the first pause is twice the interval (wait4x)', async () => {
  const before = connections.length;
  await runInitbox(['wait-tcp', open, '--successes', '3', '--interval', '1s']);
  const [first, second, third] = connections.slice(before).map((at) => at.getTime());
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThan(750);
  expect((second ?? 0) - (first ?? 0)).toBeLessThan(1_900);
  expect((third ?? 0) - (second ?? 0)).toBeLessThan(1_900);
});

test('an inverted check counts the deadline as success (wait4x)', async () => {
  const { status, stderr } = await runToDeadline(['wait-tcp', open, '--invert', '--timeout', '300ms']);
  expect(stderr).toContain('still there: open');
  expect(status).toBe(124);
});

test('gives up early when the next pause would pass the deadline (initium)', async () => {
  const result = await runToDeadline([
    'wait-tcp',
    closed,
    '--timeout',
    '2s',
    '--interval',
    '1500ms',
    '--log-level',
    'debug',
  ]);
  // The exact times of attempts are a unit test's, on a clock of its own.
  expect(result.stderr.match(/attempt \d+: connection refused/g)?.length).toBeGreaterThanOrEqual(2);
  expect(result.milliseconds).toBeGreaterThan(1_950);
});

test('the last error is dropped (initium), and debug lines cannot be had', async () => {
  const log = terminationLog();
  const { stderr } = await runToDeadline([
    'wait-tcp',
    closed,
    '--timeout',
    '400ms',
    '--log-level',
    'debug',
    '--termination-log',
    log.path,
  ]);
  expect(log.read()).toContain('connection refused (127.0.0.1)');
  expect(stderr).toContain('debug');
});

test('the password is masked in postgres:// but not in postgresql:// (wait4x)', async () => {
  for (const scheme of ['postgres', 'postgresql', 'mysql', 'redis', 'amqp', 'made-up']) {
    const log = terminationLog();
    const { stdout, stderr } = await runToDeadline([
      'wait-tcp',
      `${scheme}://u:hunter2@${closed}/x`,
      '--timeout',
      '300ms',
      '--log-level',
      'debug',
      '--termination-log',
      log.path,
    ]);
    expect(stdout + stderr + log.read()).not.toContain('hunter2');
  }
});

test('an unknown name is fatal instead of waited for (wait-port, bitnami/wait-for-port)', async () => {
  await using dns = await startDnsServer({ address: '127.0.0.56', port: 53 });
  const { status, stderr } = await runToDeadline(['wait-tcp', 'nobody.example:1', '--timeout', '400ms'], {
    files: { '/etc/resolv.conf': 'nameserver 127.0.0.56\n' },
  });
  expect(stderr).toContain('NXDOMAIN');
  expect(dns.queries.length).toBeGreaterThan(0);
  expect(status).toBe(124);
});

test('localhost means ::1 alone, or 127.0.0.1 alone (wait-on)', async () => {
  const hosts = '127.0.0.1 localhost\n::1 localhost\n';
  expect(
    (
      await runInitbox(['wait-tcp', open.replace('127.0.0.1', 'localhost')], {
        files: { '/etc/hosts': hosts },
      })
    ).status,
  ).toBe(0);
  const six = createServer();
  await new Promise<void>((resolve) => six.listen(0, '::1', resolve));
  expect(
    (
      await runInitbox(['wait-tcp', `localhost:${(six.address() as { port: number }).port}`], {
        files: { '/etc/hosts': hosts },
      })
    ).status,
  ).toBe(0);
  six.close();
});

test('IPv6 literals are mangled (wait-on, wait-for-it, waitforit)', async () => {
  const six = createServer();
  await new Promise<void>((resolve) => six.listen(0, '::1', resolve));
  expect(
    (await runInitbox(['wait-tcp', `http://[::1]:${(six.address() as { port: number }).port}/`])).status,
  ).toBe(0);
  six.close();
});

test('"60" without a unit is an error in one place and 60 s in another', async () => {
  const waiting = await startInitbox(['wait-tcp', closed, '--timeout', '60']);
  await waiting.waitForStderr(/refused/);
  waiting.kill();
  expect((await waiting.exit).status).toBe(143);
  expect((await runInitbox(['wait-tcp', closed, '--timeout', '1'])).stderr).toContain('gave up after 1s');
});

test('a timeout that never fires (wait-port): 0.3 s is 0.3 s, with an attempt that hangs too', async () => {
  const result = await runToDeadline(['wait-tcp', closed, '--timeout', '300ms']);
  expect(result.milliseconds).toBeLessThan(20_000);
});

test('"-timeout 30s" as one argument is taken for something else', async () => {
  expect((await runInitbox(['wait-tcp', closed, '--timeout 30s'])).stderr).toContain('is one argument');
});

test('exit statuses other than documented (wait-port): usage 2, deadline 124, signal 143', async () => {
  expect((await runInitbox(['wait-tcp'])).status).toBe(2);
  expect((await runToDeadline(['wait-tcp', closed, '--timeout', '200ms'])).status).toBe(124);
});
