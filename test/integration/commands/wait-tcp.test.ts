import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { startDnsServer } from '../../support/dns-server.ts';
import { canUseIptables, canUseNetns, createNetns, dropTo } from '../../support/netns.ts';
import { freePort } from '../../support/ports.ts';
import { startPostgres } from '../../support/postgres.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';
import { waitUntil } from '../../support/wait-until.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(port = 0, host = '127.0.0.1'): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}));
  servers.push(server);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  return (server.address() as { port: number }).port;
}

describe('wait-tcp', () => {
  test('an open port: exit 0, nothing on standard output, one line on standard error', async () => {
    const port = await listen();
    const result = await runInitbox(['wait-tcp', `127.0.0.1:${port}`]);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(result.stderr).toMatch(
      new RegExp(`^\\S+ info  wait-tcp: 127.0.0.1:${port} open \\(127.0.0.1\\) after \\S+\\n$`),
    );
  });

  test('a Postgres that comes up later, by its URL; the password is nowhere', async () => {
    const port = await freePort();
    const waiting = await startInitbox([
      'wait-tcp',
      `postgres://app:hunter2@127.0.0.1:${port}/app`,
      '--timeout',
      '30s',
      '--log-level',
      'debug',
    ]);
    await waiting.waitForStderr(/connection refused \(127\.0\.0\.1\)/);
    await using postgres = await startPostgres({ port });
    const { status, stderr } = await waiting.exit;
    expect(postgres.running()).toBe(true);
    expect(status).toBe(0);
    expect(stderr).toContain('holds a password');
    expect(stderr).not.toContain('hunter2');
  });

  test('a password is not shown where the target is no URL', async () => {
    for (const target of ['app:hunter2@db', 'root:hunter2@tcp(mysql:3306)/app', 'host=db password=hunter2']) {
      const log = terminationLog();
      const { status, stdout, stderr } = await runInitbox([
        'wait-tcp',
        target,
        '--log-level',
        'debug',
        '--termination-log',
        log.path,
      ]);
      expect(status).toBe(2);
      expect(stdout + stderr + log.read()).not.toContain('hunter2');
    }
  });

  test('several targets: all must be up, and the log says which is not', async () => {
    const [up, down] = [await listen(), await freePort()];
    const log = terminationLog();
    const { status, stderr } = await runToDeadline([
      'wait-tcp',
      `127.0.0.1:${up}`,
      `127.0.0.1:${down}`,
      '--timeout',
      '700ms',
      '--termination-log',
      log.path,
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain(`1/2 ready; 127.0.0.1:${down} connection refused (127.0.0.1) for`);
    expect(log.read()).toMatch(
      /gave up after \S+ \(--timeout\): 1 of 2 not ready\n.*connection refused.*attempts\nhint: .*endpointslices/i,
    );
  });

  test('--any: one is enough', async () => {
    const [up, down] = [await listen(), await freePort()];
    expect(await runInitbox(['wait-tcp', `127.0.0.1:${down}`, `127.0.0.1:${up}`, '--any'])).toMatchObject({
      status: 0,
    });
  });

  test('IPv6 literals, and a name with two families of which one is open', async () => {
    const port = await listen(0, '::1');
    expect(await runInitbox(['wait-tcp', `[::1]:${port}`])).toMatchObject({ status: 0 });
    const hosts = '127.0.0.1 both\n::1 both\n';
    const { status, stderr } = await runInitbox(['wait-tcp', `both:${port}`], {
      files: { '/etc/hosts': hosts },
    });
    expect(stderr).toContain('open (::1)');
    expect(status).toBe(0);
  });

  test('a unix socket', async () => {
    const path = join(temporaryDirectory('socket').path, 'app.sock');
    const missing = await runToDeadline(['wait-tcp', `unix:${path}`, '--timeout', '300ms']);
    expect(missing.stderr).toContain('no such socket');
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(existsSync(path)).toBe(true);
    expect(await runInitbox(['wait-tcp', `unix:${path}`])).toMatchObject({ status: 0 });
  });

  test('--invert: until nothing listens', async () => {
    const port = await listen();
    const waiting = await startInitbox(['wait-tcp', `127.0.0.1:${port}`, '--invert', '--timeout', '20s']);
    await waiting.waitForStderr(/still there: open/);
    for (const server of servers.splice(0)) server.close();
    const { status, stderr } = await waiting.exit;
    expect(stderr).toContain('gone: connection refused');
    expect(status).toBe(0);
  });

  test('--stable-for and --successes', async () => {
    const port = await listen();
    const result = await runInitbox([
      'wait-tcp',
      `127.0.0.1:${port}`,
      '--stable-for',
      '600ms',
      '--successes',
      '3',
    ]);
    expect(result.status).toBe(0);
    expect(result.milliseconds).toBeGreaterThan(600);
  });

  test('the connection is closed after success', async () => {
    let closed!: (value: string) => void;
    const ended = new Promise<string>((resolve) => (closed = resolve));
    const server = createServer((socket) =>
      socket
        .on('end', () => closed('ended'))
        .on('error', (error) => closed(error.message))
        .resume(),
    );
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const waiting = await startInitbox([
      'wait-tcp',
      `127.0.0.1:${port}`,
      '--stable-for',
      '30s',
      '--interval',
      '10s',
    ]);
    expect(await ended).toBe('ended');
    waiting.kill('SIGTERM');
    expect((await waiting.exit).status).toBe(143);
  });

  test('a connect that meets itself is not a listener', async () => {
    // A range of one port makes the kernel give the connecting end the very port that it connects to.
    const { status, stderr } = await runToDeadline(
      ['wait-tcp', '127.0.0.1:45555', '--timeout', '400ms', '--log-level', 'debug'],
      {
        prefix: [
          'unshare',
          '--net',
          '--',
          '/bin/sh',
          '-euc',
          'ip link set lo up; echo "45555 45555" > /proc/sys/net/ipv4/ip_local_port_range; exec "$@"',
          'sh',
        ],
      },
    );
    expect(stderr).toContain('attempt 1: nothing listens (connected to itself)');
    expect(status).toBe(124);
  });

  test('10,000 targets: every one is told apart, in bounded time and descriptors', async () => {
    const port = await freePort();
    const targets = Array.from(
      { length: 10_000 },
      (_, index) => `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}:${port}`,
    );
    const log = terminationLog();
    const { status, stderr } = await runInitbox(
      ['wait-tcp', ...targets, '--timeout', '4s', '--termination-log', log.path],
      { prefix: ['/bin/sh', '-c', 'ulimit -n 1024; exec "$@"', 'sh'] },
    );
    expect(status).toBe(124);
    expect(Buffer.byteLength(log.read())).toBeLessThanOrEqual(4_096);
    expect(log.read()).toMatch(
      /^initbox wait-tcp: gave up after 4s .*\n(.*\n)+hint: nothing listens there yet/,
    );
    expect(stderr).toContain('10000 of 10000 not ready');
    expect(stderr).toContain('and 9990 more');
  });
});

describe.skipIf(requireOrSkip('a network namespace', canUseNetns()))('an unreachable network', () => {
  test('is waited for, in words', async () => {
    using lonely = createNetns();
    const { status, stderr } = await runToDeadline(['wait-tcp', '192.0.2.1:5432', '--timeout', '400ms'], {
      prefix: lonely.prefix,
    });
    expect(status).toBe(124);
    expect(stderr).toContain('network unreachable (192.0.2.1)');
  });
});

describe.skipIf(requireOrSkip('iptables', canUseIptables()))('dropped packets', () => {
  test('a SYN that was dropped does not hold up the next attempt', async () => {
    const port = await listen(0, '127.0.0.1');
    const address = '127.77.0.2';
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    using block = dropTo(address, port);
    const waiting = await startInitbox(['wait-tcp', `${address}:${port}`, '--timeout', '30s']);
    await waiting.waitForStderr(
      new RegExp(`no answer( yet)? .*${address}|connecting to ${address}: no answer yet`),
    );
    block.remove();
    const { status } = await within(3_000, waiting.exit);
    expect(status).toBe(0);
    // The kernel's own third SYN would come 7 s after the first.
  });

  test('SIGTERM during a connect that nothing answers: out within 200 ms', async () => {
    const address = '127.77.0.4';
    using _block = dropTo(address, 5432);
    const waiting = await startInitbox([
      'wait-tcp',
      `${address}:5432`,
      '--interval',
      '1h',
      '--log-level',
      'debug',
    ]);
    // 127.77.0.4:5432, in SYN_SENT.
    await waitUntil(() => / 04004D7F:1538 02 /.test(readFileSync('/proc/net/tcp', 'utf8')), {
      what: 'a connect that nothing answers',
    });
    waiting.kill('SIGTERM');
    const { status, stderr } = await within(promptly, waiting.exit);
    expect(status).toBe(143);
    expect(stderr).toContain('ended by SIGTERM');
  });

  test('silence of a moment is no reason to suspect the network', async () => {
    const address = '127.77.0.5';
    using _block = dropTo(address, 5432);
    const { status, stderr } = await runToDeadline(['wait-tcp', `${address}:5432`, '--timeout', '100ms'], {
      answered: (said) => said.includes(`no answer (${address})`),
    });
    expect(status).toBe(124);
    expect(stderr).toContain(`no answer (${address})`);
    expect(stderr).not.toContain('NetworkPolicies');
  });

  test('the deadline cuts a connect, and the last words say what was tried', async () => {
    const address = '127.77.0.3';
    using _block = dropTo(address, 5432);
    const log = terminationLog();
    const result = await runToDeadline(
      ['wait-tcp', `${address}:5432`, '--timeout', '1s', '--termination-log', log.path],
      { answered: (said) => said.includes('NetworkPolicies') },
    );
    expect(result.status).toBe(124);
    expect(log.read()).toContain(`${address}:5432 no answer (${address})`);
    expect(log.read()).toContain('NetworkPolicies');
  });
});

describe('names', () => {
  test('an unknown name is waited for until it is there', async () => {
    const port = await listen();
    await using dns = await startDnsServer({ address: '127.0.0.53', port: 53 });
    const files = {
      '/etc/resolv.conf':
        'search shop.svc.cluster.local svc.cluster.local\nnameserver 127.0.0.53\noptions ndots:5\n',
    };
    const waiting = await startInitbox(['wait-tcp', `db:${port}`, '--timeout', '20s'], { files });
    await waiting.waitForStderr(/NXDOMAIN for db\.shop\.svc\.cluster\.local, db\.svc\.cluster\.local, db /);
    dns.answer('db.shop.svc.cluster.local', 'A', ['127.0.0.1']);
    const { status, stderr } = await waiting.exit;
    expect(stderr).toContain('open (127.0.0.1)');
    expect(status).toBe(0);
  });

  test('addresses are asked for at most once a second while connects fail', async () => {
    const port = await freePort();
    await using dns = await startDnsServer({ address: '127.0.0.53', port: 53 });
    dns.answer('db.example', 'A', ['127.0.0.1']);
    await runToDeadline(['wait-tcp', `db.example:${port}`, '--timeout', '2500ms'], {
      files: { '/etc/resolv.conf': 'nameserver 127.0.0.53\n' },
    });
    expect(dns.count('db.example', 'A')).toBeLessThanOrEqual(4);
    expect(dns.count('db.example', 'A')).toBeGreaterThanOrEqual(2);
  });
});
