// Ports behind a proxy that accepts for a server that is down, and the warning where a mesh's proxy is in the pod.
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { canUseHaproxy, startHaproxy } from '../../support/haproxy.ts';
import { canUseNetns, createNetns } from '../../support/netns.ts';
import { freePort } from '../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../support/program.ts';
import { startServerProcess } from '../../support/server-process.ts';
import { nodePath, requireOrSkip } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(port: number, speak: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    speak(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

describe.skipIf(requireOrSkip('a proxy', canUseHaproxy()))('a proxy whose server is down', () => {
  test('is open at once, unless the connection must stay open', async () => {
    const upstream = await freePort();
    await using proxy = await startHaproxy({ upstream: { host: '127.0.0.1', port: upstream }, check: true });
    const at = `${proxy.host}:${proxy.port}`;
    expect(await runInitbox(['wait-tcp', at])).toMatchObject({ status: 0 });
    const byFlag = await startInitbox(['wait-tcp', at, '--hold', '2s']);
    const byParameter = await startInitbox(['wait', `tcp://${at}?hold=2s`]);
    await byFlag.waitForStderr(/accepted and closed within 2s \(127\.0\.0\.1\)/);
    await byParameter.waitForStderr(/accepted and closed within 2s .*stage assertion \(passed tcp\)/);
    await listen(upstream, () => {});
    for (const waiting of [byFlag, byParameter])
      expect(await waiting.exit).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/open, and stays so for 2s \(127\.0\.0\.1\)/),
      });
  });

  // HAProxy tries a server four times in three seconds before it gives a client up.
  test('also where the proxy takes seconds to give up', async () => {
    const upstream = { host: '127.0.0.1', port: await freePort() };
    await using proxy = await startHaproxy({ upstream });
    const said = /accepted and closed within 30s/;
    const { status, stderr } = await runToDeadline(
      ['wait-tcp', '--timeout', '8s', `${proxy.host}:${proxy.port}`, '--hold', '30s'],
      { answered: (seen) => said.test(seen) },
    );
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('no answer');
  });
});

describe('a connection that must stay open', () => {
  test('what a server says does not matter, its end does', async () => {
    const talker = await listen(0, (socket) => socket.write('220 ready\r\n'));
    expect(await runInitbox(['wait-tcp', `127.0.0.1:${talker}`, '--hold', '200ms'])).toMatchObject({
      status: 0,
    });
    const leaver = await listen(0, (socket) => socket.end('too many connections\r\n'));
    // Not at once: a reset in the moment of the connection is refused like one.
    const breaker = await listen(0, (socket) => void setTimeout(() => socket.resetAndDestroy(), 100));
    for (const port of [leaver, breaker]) {
      const said = /accepted and closed within 20s/;
      const { status, stderr } = await runToDeadline(
        ['wait-tcp', '--timeout', '1s', `127.0.0.1:${port}`, '--hold', '20s'],
        { answered: (seen) => said.test(seen) },
      );
      expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
      expect(stderr).toContain('hint: a proxy or mesh accepts for a server that is down');
    }
    expect(await runInitbox(['wait-tcp', `127.0.0.1:${leaver}`, '--hold', '20s', '--invert'])).toMatchObject({
      status: 0,
    });
  });

  test('at a unix socket, too', async () => {
    const folder = temporaryDirectory('socket');
    const server = createServer((socket) => socket.on('error', () => {}));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(join(folder.path, 's'), () => resolve()));
    expect(await runInitbox(['wait-tcp', `unix:${folder.path}/s`, '--hold', '100ms'])).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('stays so for 100ms'),
    });
  });

  test('the deadline and a signal end it meanwhile', async () => {
    const port = await listen(0, () => {});
    const waiting = await startInitbox([
      'wait-tcp',
      `127.0.0.1:${port}`,
      '--hold',
      '1h',
      '--log-level',
      'debug',
    ]);
    await waiting.waitForStderr(/it must stay open for 1h/);
    waiting.kill('SIGTERM');
    expect(await waiting.exit).toMatchObject({ status: 143 });
    expect(
      await runInitbox(['wait-tcp', `127.0.0.1:${port}`, '--hold', '1h', '--timeout', '1s']),
    ).toMatchObject({
      status: 124,
    });
  });

  test('not together with what it must say', async () => {
    const { status, stderr } = await runInitbox(['wait', '127.0.0.1:25?expect=220&hold=1s']);
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('hold cannot be combined with expect'),
    });
  });
});

describe.skipIf(requireOrSkip('a network namespace', canUseNetns()))(
  'the proxy of a mesh in this pod',
  () => {
    test.each([
      ['Istio', [15_001, 15_006]],
      ['Linkerd', [4140, 4143]],
      ['Consul', [15_001, 20_000]],
      ['none', [15_001, 4140]],
    ])('%s', async (name, ports) => {
      using pod = createNetns();
      const folder = temporaryDirectory('mesh');
      const script = `
      const { execFileSync } = require('node:child_process');
      execFileSync('ip', ['link', 'set', 'lo', 'up']);
      execFileSync('ip', ['address', 'add', '192.0.2.7/32', 'dev', 'lo']);
      let open = 0;
      const all = [5432, ${ports.join(', ')}];
      for (const port of all) require('node:net').createServer().listen(port, () => {
        if ((open += 1) === all.length) console.log('ready');
      });`;
      const server = await startServerProcess({
        command: [...pod.prefix, nodePath(), '-e', script],
        logFile: join(folder.path, 'log'),
        ready: (log) => log.includes('ready'),
      });
      try {
        const run = (...args: string[]) => runInitbox(args, { prefix: pod.prefix });
        const warnings = ({ status, stderr }: { status: number | null; stderr: string }) => ({
          status,
          warnings: stderr.split('\n').filter((line) => line.includes('a proxy of')).length,
        });
        const expected = name === 'none' ? 0 : 1;
        const first = await run('wait-tcp', '192.0.2.7:5432', '192.0.2.7:5432');
        expect(warnings(first)).toEqual({ status: 0, warnings: expected });
        if (expected === 1)
          expect(first.stderr).toContain(`warn  wait-tcp: a proxy of ${name} listens in this pod`);
        expect(warnings(await run('wait', '192.0.2.7:5432', `192.0.2.7:${ports[0]}`))).toEqual({
          status: 0,
          warnings: expected,
        });
        // Nothing is sent to the proxy that stays here, and what must stay open is more than accepted.
        expect(warnings(await run('wait-tcp', '127.0.0.1:5432'))).toEqual({ status: 0, warnings: 0 });
        expect(warnings(await run('wait-tcp', '192.0.2.7:5432', '--hold', '100ms'))).toEqual({
          status: 0,
          warnings: 0,
        });
      } finally {
        await server.stop('SIGKILL');
        folder.remove();
      }
    });
  },
);
