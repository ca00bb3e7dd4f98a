// A server that sends without end, as a busy feed does, must neither end the container at the memory limit that the pages
// name, nor keep the deadline and signals from their turn.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { limitMemory, type MemoryLimit } from '../../../support/memory-limit.ts';
import { startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const documented = 96 << 20;
const probe = limitMemory(documented);
probe?.[Symbol.dispose]();

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** What a server says first, to what it has heard; undefined where more is to come. */
type Greet = (heard: string) => string | Buffer | undefined;

/** Greets, and then says the same again and again, as fast as it is taken. It hears nothing any more where it is deaf. */
async function flooding(greet: Greet, message: string | Buffer, deaf = false): Promise<number> {
  const one = Buffer.from(message as string);
  const many = Buffer.concat(Array.from({ length: Math.ceil(64_000 / one.length) }, () => one));
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    const flood = (): void => {
      while (!socket.destroyed && socket.write(many)) {}
    };
    let heard = '';
    const begin = (): void => {
      const greeting = greet(heard);
      if (greeting === undefined) return;
      socket.off('data', hear).on('data', () => {});
      if (deaf) socket.pause();
      socket.on('drain', flood).write(greeting);
      flood();
    };
    const hear = (bytes: Buffer): void => {
      heard += bytes.toString('latin1');
      begin();
    };
    socket.on('data', hear);
    begin();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

/** Lets it run for a while within the limit; then SIGTERM must end it at once. */
async function expectEndAtSignal(args: readonly string[], env: Record<string, string> = {}): Promise<void> {
  using limit = limitMemory(documented) as MemoryLimit;
  const started = await startInitbox([...args, '--timeout', '60s'], { prefix: limit.prefix, env });
  const early = await Promise.race([
    started.exit,
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 2500)),
  ]);
  expect(early, 'it ended before it was told to').toBeUndefined();
  started.kill('SIGTERM');
  const { status, signal } = await within(promptly, started.exit);
  expect({ status, signal }).toEqual({ status: 143, signal: null });
}

const atOnce: Greet = () => '';
const onceAsked: Greet = (heard) => (heard === '' ? undefined : '');
const websocket: Greet = (heard) => {
  if (!heard.includes('\r\n\r\n')) return undefined;
  const key = /sec-websocket-key: *(\S+)/i.exec(heard)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
};
const nats: Greet = () => 'INFO {"server_id":"x","version":"2.9"}\r\n';
const inHttp =
  (head: string): Greet =>
  (heard) =>
    heard.includes('\r\n\r\n') ? head : undefined;
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
/** Frames of HTTP/2 (RFC 9113, 4.1): an empty SETTINGS, a PING. */
const http2Settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const http2Ping = Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
const http2: Greet = (heard) => (heard === '' ? undefined : http2Settings);

/** A greeting of MySQL's protocol 10, and OK (https://mariadb.com/kb/en/connection/, https://mariadb.com/kb/en/ok_packet/). */
const mysqlHead = Buffer.concat([
  Buffer.from('\n8.4.6\0\u0001\0\0\0abcdefgh\0', 'latin1'),
  Buffer.from([0xff, 0xf7, 33, 2, 0, 0xff, 0x81, 21, ...Buffer.alloc(10)]),
  Buffer.from('abcdefghijkl\0mysql_native_password\0'),
]);
const mysql: Greet = () => Buffer.concat([Buffer.from([mysqlHead.length, 0, 0, 0]), mysqlHead]);
const mysqlOk = Buffer.from([7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0]);

type Flood = readonly [
  what: string,
  scheme: string,
  rest: string,
  greet: Greet,
  message: string | Buffer,
  deaf?: boolean,
];

const floods: readonly Flood[] = [
  ['texts over WebSocket', 'ws', '/#expect=ready', websocket, Buffer.from('\u0081\u0004nope', 'latin1')],
  ['pings over WebSocket', 'ws', '/#expect=ready', websocket, Buffer.from([0x89, 0])],
  [
    'pings over WebSocket, whose answers nobody reads',
    'ws',
    '/#expect=ready',
    websocket,
    Buffer.concat([Buffer.from([0x89, 125]), Buffer.alloc(125)]),
    true,
  ],
  ['empty fragments over WebSocket', 'ws', '/#expect=ready', websocket, Buffer.from([0, 0])],
  ['NATS: PING', 'nats', '', nats, 'PING\r\n'],
  ['NATS: PING, whose answers nobody reads', 'nats', '', nats, 'PING\r\n', true],
  ['NATS: +OK', 'nats', '', nats, '+OK\r\n'],
  ['NATS: INFO', 'nats', '', nats, 'INFO {}\r\n'],
  ['AMQP: heartbeats', 'amqp', '', onceAsked, Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce])],
  ['Redis: pushes', 'redis', '', onceAsked, '>2\r\n$1\r\na\r\n$1\r\nb\r\n'],
  ['Redis: errors', 'redis', '?key=a', onceAsked, '-LOADING x\r\n'],
  ['Redis: empty lists', 'redis', '?key=a', onceAsked, '*0\r\n'],
  ['Redis: a list without end', 'redis', '', () => '*999999999999999\r\n', '*0\r\n'],
  ['MySQL: OK', 'mysql', '?user=a&query=SELECT%201', mysql, mysqlOk],
  ['ZooKeeper: empty frames', 'zookeeper', '', onceAsked, Buffer.alloc(4)],
  ['Kafka: small frames', 'kafka', '', onceAsked, Buffer.from([0, 0, 0, 4, 0, 0, 0, 0x12])],
  ['Kafka: one frame that is large', 'kafka', '', () => Buffer.from([0, 0x3f, 0xff, 0xff]), Buffer.alloc(4)],
  ['MongoDB: small messages', 'mongodb', '', onceAsked, Buffer.from([16, 0, 0, 0, ...Buffer.alloc(12)])],
  [
    'PostgreSQL: notices',
    'postgres',
    '/x?user=a&sslmode=disable',
    onceAsked,
    Buffer.from([0x4e, 0, 0, 0, 5, 0]),
  ],
  ['gRPC: PING', 'grpc', '', http2, http2Ping],
  ['gRPC: SETTINGS', 'grpc', '', http2, http2Settings],
  ['HTTP: empty lines', 'http', '/', inHttp(''), '\r\n'],
  ['HTTP: interim answers', 'http', '/', inHttp(''), 'HTTP/1.1 100 Continue\r\n\r\n'],
  ['HTTP: headers', 'http', '/', inHttp('HTTP/1.1 200 OK\r\n'), 'A: b\r\n'],
  ['HTTP: chunks', 'http', '/#body=x', inHttp(chunked), '1\r\ny\r\n'],
  ['HTTP/2: PING', 'h2c', '/', http2, http2Ping],
  ['tcp: lines', 'tcp', '?expect=220', atOnce, 'nope\r\n'],
];

describe.skipIf(requireOrSkip('a memory limit', probe === undefined ? 'no cgroup can be made' : undefined))(
  'within 96 MiB',
  () => {
    test.for(floods)('%s', async ([, scheme, rest, greet, message, deaf]) => {
      const port = await flooding(greet, message, deaf);
      await expectEndAtSignal(['wait', `${scheme}://127.0.0.1:${port}${rest}`]);
    });

    const object = { metadata: { name: 'b', resourceVersion: '2' } };
    test.each([
      ['empty lines', 'watch', '\n'],
      ['one endless line', 'watch', 'x'],
      ['events', 'watch', `${JSON.stringify({ type: 'MODIFIED', object })}\n`],
      ['a list without end', 'list', ' '],
      ['a list of many objects', 'list', '{},', '{"metadata":{"resourceVersion":"1"},"items":['],
    ])('Kubernetes: %s', async (_what, where, message, begin = '') => {
      const many = message.repeat(Math.ceil(64_000 / message.length));
      const server = createHttpServer((request, response) => {
        const inWatch = request.url?.includes('watch=') === true;
        if (inWatch !== (where === 'watch'))
          return response.end('{"metadata":{"resourceVersion":"1"},"items":[]}');
        const flood = (): void => {
          while (!response.destroyed && response.write(many)) {}
        };
        response.on('drain', flood).write(begin);
        flood();
        return undefined;
      });
      server.on('connection', (socket: Socket) => void sockets.add(socket));
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      const config = join(temporaryDirectory('floods').path, 'kubeconfig');
      const cluster = { name: 'c', cluster: { server: `http://127.0.0.1:${port}` } };
      const context = { name: 'c', context: { cluster: 'c', user: 'u', namespace: 'default' } };
      const users = [{ name: 'u', user: { token: 'hunter2-hunter2' } }];
      writeFileSync(
        config,
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Config',
          clusters: [cluster],
          contexts: [context],
          users,
          'current-context': 'c',
        }),
      );
      await expectEndAtSignal(['wait-kubernetes', 'job/a'], { KUBECONFIG: config });
    });
  },
);
