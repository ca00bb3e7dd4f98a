// amqp:// on a real RabbitMQ, and on what only says that it is one.
import { createServer, type Server } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { canUseRabbitmq, startRabbitmq } from '../../../support/rabbitmq.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const notYet = (target: string, said: RegExp) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) });

describe.skipIf(requireOrSkip('wait for RabbitMQ', canUseRabbitmq()))('wait for RabbitMQ', () => {
  // One server, which takes a minute to start on a busy machine.
  test('a server that comes up later, and all that it says', async () => {
    using authority = await createCertificateAuthority();
    const { certificateFile, keyFile } = await authority.server(['localhost']);
    const [port, secure] = [await freePort(), await freePort()];
    const waiting = await startInitbox(['wait', `amqp://app:hunter2@127.0.0.1:${port}?queue=orders`]);
    await waiting.waitForStderr(/connection refused/);
    await using server = await startRabbitmq({
      port,
      tls: { port: secure, authority: authority.certificateFile, certificate: certificateFile, key: keyFile },
    });
    expect(await waiting.exit).toMatchObject({ status: 0 });
    const at = (user: string, rest = '') => `amqp://${user}@127.0.0.1:${server.port}${rest}`;
    const ca = `?ca-file=${authority.certificateFile}`;
    for (const target of [
      at('app:hunter2', '/%2F?queue=orders&exchange=events&exchange=amq.topic'),
      at('app:hunter2', '/shop'),
      `amqps://app:hunter2@localhost:${secure}${ca}`,
    ]) {
      const { status, stderr } = await runInitbox(['wait', target]);
      expect({ status, stderr }).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/opens the virtual host "(\/|shop)" \(/),
      });
      expect(stderr).not.toContain('hunter2');
    }
    for (const [target, said] of [
      [at('app:wrong'), /ACCESS_REFUSED .*\(403, .*stage login \(passed tcp, protocol\)/s],
      [at('app:hunter2', '/nosuch'), /vhost nosuch not found \(530, /],
      [at('reader:hunter2', '/shop'), /access to vhost 'shop' refused .*\(530, /],
      [`amqps://app:hunter2@127.0.0.1:${secure}${ca}`, /certificate.*stage tls/s],
    ] as const) {
      const { status, stderr } = await runInitbox(['wait', target]);
      expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(said) });
    }
    for (const [rest, said] of [
      ['?queue=orders&queue=later', /has no queue "later" in the virtual host "\/" .*stage assertion/],
      ['/shop?exchange=events', /has no exchange "events" in the virtual host "shop"/],
    ] as const) {
      const { status, stderr } = await notYet(at('app:hunter2', rest), said);
      expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    }
  });
});

describe('what says that it is AMQP', () => {
  test.each([
    ['another version', 'AMQP\x00\x01\x00\x00', /is not AMQP 0-9-1 .*stage protocol/],
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n', /is not AMQP 0-9-1/],
    ['bytes without end', '\x01'.repeat(500_000), /is not AMQP 0-9-1/],
    ['a frame without its end', '\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0aX', /is not AMQP 0-9-1/],
    ['a method that ends too soon', '\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a\xce', /is not AMQP 0-9-1/],
    ['nothing', '', /connection closed/],
  ])('%s', async (_, bytes, said) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(Buffer.from(bytes, 'latin1')));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { status, stderr } = await notYet(`amqp://app:hunter2@127.0.0.1:${port}`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('hunter2');
  });
});
