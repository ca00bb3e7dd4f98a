// kafka:// on a real broker, and on what only says that it is one.
import { createServer, type Server } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import {
  canUseKafka,
  freeKafkaPorts,
  makeKafkaTopic,
  startKafka,
  startKafkaPair,
} from '../../../support/kafka.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const notYet = (target: string, said: RegExp) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) });

describe.skipIf(requireOrSkip('wait for Kafka', canUseKafka()))('wait for Kafka', () => {
  // One broker, which takes a minute to start on a busy machine.
  test('a broker that comes up later, and all that it says', async () => {
    using authority = await createCertificateAuthority();
    const ports = await freeKafkaPorts();
    const waiting = await startInitbox(['wait', `kafka://127.0.0.1:1,127.0.0.1:${ports.plain}?topic=orders`]);
    await waiting.waitForStderr(/connection refused/);
    await using server = await startKafka({ ports, tls: await authority.server(['localhost']) });
    await waiting.waitForStderr(/has no topic "orders" .*stage assertion \(passed tcp, protocol\)/, 120_000);
    await makeKafkaTopic(server.ports.plain, 'orders');
    expect(await waiting.exit).toMatchObject({ status: 0 });
    const sasl = (user: string, rest = '') => `kafka://${user}@127.0.0.1:${ports.sasl}${rest}`;
    for (const target of [
      `kafka://127.0.0.1:${ports.plain}?topic=orders&partitions=3&in-sync=1`,
      sasl('app:hunter2', '?topic=orders'),
      sasl('app:hunter2', '?sasl-mechanism=SCRAM-SHA-256'),
      `kafkas://localhost:${ports.tls}?ca-file=${authority.certificateFile}`,
    ]) {
      const { status, stderr } = await runInitbox(['wait', target]);
      expect({ status, stderr }).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/answers, with 1 broker \(/),
      });
      expect(stderr).not.toContain('hunter2');
    }
    for (const [target, said] of [
      [sasl('app:wrong'), /Authentication failed.* \(58, .*stage login \(passed tcp, protocol\)/s],
      [sasl('app:wrong', '?sasl-mechanism=SCRAM-SHA-256'), /Authentication failed.* \(58, /],
      [
        sasl('app:hunter2', '?sasl-mechanism=SCRAM-SHA-512'),
        /takes no login by SCRAM-SHA-512, but by .*PLAIN/,
      ],
      [`kafka://app:hunter2@127.0.0.1:${ports.plain}`, /takes no logins at this port/],
      [`kafkas://localhost:${ports.tls}`, /certificate.*stage tls/s],
    ] as const) {
      const { status, stderr } = await runInitbox(['wait', target]);
      expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(said) });
    }
    for (const [target, said] of [
      [`kafka://127.0.0.1:${ports.plain}?brokers=3`, /has 1 of 3 brokers/],
      [`kafka://127.0.0.1:${ports.plain}?topic=orders&partitions=4`, /has 3 of 4 partitions/],
      [`kafka://127.0.0.1:${ports.plain}?topic=orders&in-sync=2`, /has 1 of 2 replicas in sync/],
      [`kafka://127.0.0.1:${ports.plain}?topic=later`, /has no topic "later"/],
      [`kafka://127.0.0.1:${ports.sasl}`, /closes the connection instead of an answer/],
    ] as const) {
      const { status, stderr } = await notYet(target, said);
      expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    }
  });
});

describe.skipIf(requireOrSkip('two brokers of Kafka', canUseKafka()))('two brokers', () => {
  test('a topic of two replicas while one broker dies and comes back: its leaders move', async () => {
    await using pair = await startKafkaPair();
    const at = `kafka://${pair.ports.map((port) => `127.0.0.1:${port}`).join(',')}`;
    const there = async (options: string): Promise<void> => {
      const { status, stderr } = await runInitbox(['wait', `${at}?${options}`]);
      expect({ status, stderr }).toMatchObject({ status: 0 });
    };
    await there('brokers=2');
    await makeKafkaTopic(pair.ports[0], 'orders');
    await there('topic=orders&partitions=3&in-sync=2&brokers=2');
    await pair.killSecond();
    // Until its death is noticed, partitions have a leader that nobody reaches; then the other broker leads them.
    const first = `kafka://127.0.0.1:${pair.ports[0]}?topic=orders&partitions=3`;
    const moved = await runInitbox(['wait', first]);
    expect(moved).toMatchObject({ status: 0, stderr: expect.stringMatching(/answers, with 1 broker/) });
    for (const [options, said] of [
      ['&in-sync=2', /partition \d of the topic "orders" has 1 of 2 replicas in sync/],
      ['&brokers=2', /has 1 of 2 brokers/],
    ] as const) {
      const { status, stderr } = await notYet(`${first}${options}`, said);
      expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    }
    const back = await startInitbox(['wait', `${first}&in-sync=2&brokers=2`]);
    await back.waitForStderr(/has 1 of 2/);
    await pair.startSecond();
    expect(await back.exit).toMatchObject({ status: 0 });
  });
});

describe('what says that it is Kafka', () => {
  const answer = (key: number, body: string): Buffer => {
    const bytes = Buffer.from(body, 'latin1');
    return Buffer.concat([Buffer.from([0, 0, 0, bytes.length + 4, 0, 0, 0, key]), bytes]);
  };
  const versions = answer(18, '\x00\x00\x00\x00\x00\x00');

  test.each([
    ['another protocol', [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], /is not Kafka .*stage protocol/],
    [
      'bytes without end',
      [Buffer.from(`\x00\x10\x00\x00${'x'.repeat(5_000_000)}`, 'latin1')],
      /is not Kafka/,
    ],
    [
      'a list without end',
      [versions, answer(3, '\x00\x00\x00\x00\x7f\xff\xff\xff')],
      /is not Kafka .*stage assertion/,
    ],
    ['an answer that ends too soon', [versions, answer(3, '\x00')], /is not Kafka/],
    [
      'a broker that nobody can reach',
      [
        versions,
        answer(
          3,
          `\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x07\x00\x09127.0.0.1\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00\x00\x07\x00\x00\x00\x00`,
        ),
      ],
      /broker 7 tells clients to use 127\.0\.0\.1:1: connection refused/,
    ],
    ['nothing', [], /connection closed/],
  ])('%s', async (_, answers, said) => {
    const server = createServer((socket) => {
      let sent = 0;
      socket.on('error', () => {});
      socket.on('data', () => {
        const next = answers[sent];
        sent += 1;
        if (next === undefined) socket.end();
        else socket.write(next);
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { status, stderr } = await notYet(`kafka://127.0.0.1:${port}`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });

  const number = (...values: number[]): string =>
    values.map((value) => String.fromCharCode(0, 0, 0, value)).join('');
  const text = (value: string): string => `\x00${String.fromCharCode(value.length)}${value}`;
  test.each([
    ['brokers=2', /has 1 of 2 brokers/],
    ['topic=t&partitions=2', /has 1 of 2 partitions/],
    ['topic=t&in-sync=2', /has 1 of 2 replicas in sync/],
  ])('what is named twice is one: %s', async (options, said) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      let asked = 0;
      socket.on('data', () => {
        asked += 1;
        if (asked === 1) return socket.write(versions);
        const { port } = server.address() as { port: number };
        const broker = `${number(7)}${text('127.0.0.1')}\x00\x00${String.fromCharCode(port >> 8, port & 255)}\xff\xff`;
        const partition = `\x00\x00${number(0, 7, 2, 7, 7, 2, 7, 7)}`;
        const topic = `\x00\x00${text('t')}\x00${number(2)}${partition}${partition}`;
        const topics = options.startsWith('topic') ? `${number(1)}${topic}` : number(0);
        return socket.write(answer(3, `${number(0, 2)}${broker}${broker}\xff\xff${number(7)}${topics}`));
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { status, stderr } = await notYet(`kafka://127.0.0.1:${port}?${options}`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });
});
