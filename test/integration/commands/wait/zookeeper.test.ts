// zookeeper:// on a real server, on an ensemble without and with a quorum, and on what only says that it is one.
import { createServer, type Server } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { canUseZookeeper, startZookeeper } from '../../../support/zookeeper.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const notYet = (target: string, said: RegExp) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) });

describe.skipIf(requireOrSkip('wait for ZooKeeper', canUseZookeeper()))('wait for ZooKeeper', () => {
  test('a server that comes up later; its nodes; a login', async () => {
    const port = await freePort();
    const waiting = await startInitbox(['wait', `zookeeper://127.0.0.1:${port}?node=/zookeeper/quota`]);
    await waiting.waitForStderr(/connection refused/);
    await using server = await startZookeeper({ port });
    const { status, stderr } = await waiting.exit;
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/grants a session \(127\.0\.0\.1:/),
    });
    const at = `127.0.0.1:${server.port}`;
    expect(await runInitbox(['wait', `zookeeper://app:hunter2@${at}/zookeeper`])).toMatchObject({
      status: 0,
    });
    const said = /has no node "\/kafka\/brokers" .*stage assertion \(passed tcp, protocol\)/;
    const later = await notYet(`zookeeper://${at}/kafka?node=/brokers`, said);
    expect(later).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });

  test('an ensemble without a quorum grants no session', async () => {
    const free = async (): Promise<readonly [number, number]> => [await freePort(), await freePort()];
    const ports = [await free(), await free(), await free()];
    await using first = await startZookeeper({ ensemble: { id: 1, ports }, alone: true });
    const second = await freePort();
    const both = `127.0.0.1:${first.port},127.0.0.1:${second}`;
    const waiting = await startInitbox(['wait', `zookeeper://${both}?quorum=2`]);
    await waiting.waitForStderr(/0 of 2 servers serve: grants no session .*; connection refused/);
    await using other = await startZookeeper({ port: second, ensemble: { id: 2, ports } });
    expect(other.port).toBe(second);
    const { status, stderr } = await waiting.exit;
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/2 of 2 servers serve; grants a session/),
    });
  });
});

describe('what says that it is ZooKeeper', () => {
  test.each([
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n', /is not ZooKeeper .*stage protocol/],
    ['bytes without end', '\x00\x00\x10\x00'.padEnd(500_000, 'x'), /is not ZooKeeper/],
    [
      'a session that is over',
      `\x00\x00\x00\x24${'\x00'.repeat(19)}\x10${'\x00'.repeat(16)}`,
      /is not ZooKeeper/,
    ],
    ['nothing', '', /grants no session/],
  ])('%s', async (_, bytes, said) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(Buffer.from(bytes, 'latin1')));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { status, stderr } = await notYet(`zookeeper://app:hunter2@127.0.0.1:${port}`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('hunter2');
  });
});
