// What servers say that are not at hand, or seldom say it: played byte by byte.
import { createServer, type Server, type Socket } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { runInitbox, runToDeadline } from '../../../support/program.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function playing(
  answer: (asked: Buffer) => string | Buffer | undefined,
  host = '127.0.0.1',
  greeting?: Buffer,
): Promise<number> {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {});
    if (greeting !== undefined) socket.write(greeting);
    socket.on('data', (bytes: Buffer) => {
      const said = answer(bytes);
      if (said !== undefined) socket.write(said);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as { port: number }).port;
}

async function expectSaid(target: string, status: number, said: RegExp): Promise<void> {
  const ended = await (status === 124
    ? runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) })
    : runInitbox(['wait', target, '--timeout', '30s']));
  expect({ status: ended.status, stderr: ended.stderr }).toMatchObject({
    status,
    stderr: expect.stringMatching(said),
  });
}

const redis = (asked: Buffer): string => {
  if (asked.includes('PING')) return '+PONG\r\n';
  return asked.includes('ROLE') ? '*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n' : ':1\r\n';
};

test.each(['::1', '[::1]', ''])('Redis: a node of a cluster at "%s", in MOVED', async (written) => {
  const there = await playing(redis, '::1');
  const here = await playing(
    (asked) => (asked.includes('EXISTS') ? `-MOVED 15495 ${written}:${there}\r\n` : redis(asked)),
    '::1',
  );
  await expectSaid(`redis://[::1]:${here}?key=a`, 0, /answers PING/);
});

test('Redis: ASK with an IPv6 address', async () => {
  const port = await playing((asked) =>
    asked.includes('EXISTS') ? '-ASK 15495 ::1:30602\r\n' : redis(asked),
  );
  await expectSaid(`redis://127.0.0.1:${port}?key=a`, 124, /moves between nodes/);
});

test('Redis: a Sentinel names an IPv6 address', async () => {
  const there = await playing(redis, '::1');
  const port = await playing(() => `*2\r\n$3\r\n::1\r\n$${String(there).length}\r\n${there}\r\n`);
  await expectSaid(`redis://127.0.0.1:${port}?sentinel-master=main`, 0, /answers PING/);
});

test('Redis before version 6 knows no users', async () => {
  const port = await playing(() => "-ERR wrong number of arguments for 'auth' command\r\n");
  await expectSaid(`redis://app:secret99@127.0.0.1:${port}`, 69, /before Redis 6 know no users/);
});

test.each([
  [1524, /plugin is not loaded/],
  [3955, /blocked after too many failed logins/],
])('MySQL: error %d is final, with a hint', async (code, said) => {
  const payload = Buffer.concat([Buffer.from([0xff, code & 0xff, code >> 8]), Buffer.from('#HY000refused')]);
  const port = await playing(
    () => undefined,
    '127.0.0.1',
    Buffer.concat([Buffer.from([payload.length, 0, 0, 0]), payload]),
  );
  await expectSaid(`mysql://app@127.0.0.1:${port}`, 69, said);
});

test.each([
  [-4, /error -4 \(ConnectionLoss\) for "\/a".*lost its quorum/s],
  [-112, /\(SessionExpired\)/],
  [-118, /\(SessionMoved\)/],
  [-127, /\(Throttled\)/],
  [-999, /error -999 for "\/a"/],
])('ZooKeeper: error %d by its name', async (code, said) => {
  const port = await playing((asked) => {
    if (asked.length === 49) {
      const session = Buffer.alloc(4 + 37);
      session.writeInt32BE(37, 0);
      session.writeInt32BE(10_000, 8);
      session.writeInt32BE(16, 20);
      return session;
    }
    const answer = Buffer.alloc(20);
    answer.writeInt32BE(16, 0);
    answer.writeInt32BE(1, 4);
    answer.writeInt32BE(code, 16);
    return answer;
  });
  await expectSaid(`zookeeper://127.0.0.1:${port}?node=/a`, 124, said);
});

/** Numbers of 1, 2 or 4 bytes, and texts behind two bytes of length, as Kafka has them. */
function kafka(...fields: readonly (readonly [number, 1 | 2 | 4] | string)[]): Buffer {
  const parts = fields.map((field) => {
    if (typeof field === 'string') {
      const head = Buffer.alloc(2);
      head.writeInt16BE(field.length);
      return Buffer.concat([head, Buffer.from(field)]);
    }
    const bytes = Buffer.alloc(field[1]);
    bytes.writeIntBE(field[0], 0, field[1]);
    return bytes;
  });
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(4);
  head.writeInt32BE(body.length);
  return Buffer.concat([head, body]);
}

test.each([
  ['a leader that is not listed', 7, 0, undefined, /has no leader for 1 of 1 partitions/],
  ['an error 5', 1, 5, undefined, /has no leader for 1 of 1 partitions/],
  ['an empty host', 1, 0, '', /broker 1 tells clients to use no host/],
])('Kafka: %s', async (_what, leader, error, advertised, said) => {
  let port = 0;
  port = await playing((asked) => {
    const key = asked.readInt16BE(4);
    if (key === 18) return kafka([18, 4], [0, 2]);
    return kafka(
      ...([[3, 4], [0, 4], [1, 4], [1, 4], advertised ?? '127.0.0.1', [port, 4], [-1, 2]] as const),
      ...([[-1, 2], [1, 4], [1, 4], [0, 2], 'orders', [0, 1]] as const),
      ...([
        [1, 4],
        [error, 2],
        [0, 4],
        [leader, 4],
        [1, 4],
        [1, 4],
        [1, 4],
        [1, 4],
      ] as const),
    );
  });
  await expectSaid(`kafka://127.0.0.1:${port}?topic=orders`, 124, said);
});

test('AMQP: a server with EXTERNAL alone', async () => {
  const mechanisms = Buffer.from('EXTERNAL');
  const size = (bytes: Buffer): Buffer => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(bytes.length);
    return Buffer.concat([head, bytes]);
  };
  const payload = Buffer.concat([
    Buffer.from([0, 10, 0, 10, 0, 9]),
    size(Buffer.alloc(0)),
    size(mechanisms),
    size(Buffer.from('en_US')),
  ]);
  const frame = Buffer.concat([Buffer.from([1, 0, 0]), size(payload), Buffer.from([0xce])]);
  const port = await playing(() => frame);
  await expectSaid(`amqp://127.0.0.1:${port}`, 69, /EXTERNAL logs in by the client’s certificate/);
});
