import { createHash } from 'node:crypto';
// ws:// and wss:// on a real server (ws), and on what only says that it is one.
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';

import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

const notYet = (target: string, said: RegExp) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) });

describe('wait for a WebSocket', () => {
  test('a server that comes up later, and what it is told', async () => {
    const port = await freePort();
    const waiting = await startInitbox(['wait', `ws://127.0.0.1:${port}/feed?room=1#subprotocol=v1`]);
    await waiting.waitForStderr(/connection refused/);
    const server = new WebSocketServer({ port, host: '127.0.0.1', handleProtocols: () => 'v1' });
    servers.push(server);
    const seen: unknown[] = [];
    server.on('connection', (socket, { url }) =>
      socket.on('close', (code) => seen.push([url, socket.protocol, code])),
    );
    const { status, stderr } = await waiting.exit;
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/ws:\/\/127\.0\.0\.1:\d+\/feed\?room=1 accepts WebSocket/),
    });
    await waitUntil(() => (seen.length > 0 ? true : undefined), { what: 'the server to see its end' });
    expect(seen[0]).toEqual(['/feed?room=1', 'v1', 1000]);
  });

  test('credentials and a message', async () => {
    const port = await freePort();
    const server = new WebSocketServer({
      port,
      host: '127.0.0.1',
      verifyClient: ({ req }: { req: IncomingMessage }) =>
        req.headers.authorization === 'Bearer hunter2-token',
    });
    servers.push(server);
    server.on('connection', (socket) => {
      socket.ping('are you there');
      socket.send('starting');
      socket.on('message', (said: Buffer) => socket.send(`you said ${said.toString()}, é`));
    });
    const at = `ws://127.0.0.1:${port}/`;
    const auth = '#header-env=Authorization%3DAUTH';
    const env = { AUTH: 'Bearer hunter2-token' };
    for (const rest of [
      '',
      '&expect=starting',
      '&send=hi&expect=you said hi, é',
      '&send=hi&matches=^you.*é$',
    ])
      expect(await runInitbox(['wait', `${at}${auth}${rest}`], { env })).toMatchObject({ status: 0 });
    const refused = /answered 401 instead of an upgrade .*stage assertion|answered 401 instead of an upgrade/;
    expect(await notYet(at, refused)).toMatchObject({ status: 124, stderr: expect.stringMatching(refused) });
    const said = /said "starting", without "ready": no answer within 300ms.*stage assertion/;
    const { status, stderr } = await runToDeadline(
      ['wait', '--timeout', '1s', `${at}${auth}&expect=ready&attempt-timeout=300ms`],
      { env, answered: (text) => said.test(text) },
    );
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('hunter2');
  });

  test('TLS', async () => {
    using authority = await createCertificateAuthority();
    const { certificateFile, keyFile } = await authority.server(['localhost']);
    const secure = createSecure({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) });
    servers.push(new WebSocketServer({ server: secure }));
    const port = await listening(secure);
    const at = `wss://localhost:${port}/`;
    expect(await runInitbox(['wait', `${at}#ca-file=${authority.certificateFile}`])).toMatchObject({
      status: 0,
    });
    const { status, stderr } = await runInitbox(['wait', at]);
    expect({ status, stderr }).toMatchObject({
      status: 69,
      stderr: expect.stringMatching(/authority that is not trusted.*stage tls/s),
    });
  });

  test.each([
    ['ws://api/#send=hi', /send has no effect without expect or matches/],
    ['ws://api/#expect=a&matches=b', /expect and matches cannot be combined/],
    ['ws://api/#ca-file=/ca', /write wss:\/\//],
    ['ws://api/#subprotocol=a%20b', /not the name of a subprotocol/],
    ['ws:///feed', /has no host; write ws:\/\/HOST:PORT\/PATH/],
    ['wss://api:70000/', /cannot be read; .*wss:\/\//],
  ])('a mistake: %s', async (target, said) => {
    const { status, stderr } = await runInitbox(['wait', target]);
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringMatching(said) });
  });
});

/** The head of an answer that agrees, less what `leave` names, with `more` lines. */
function agreeing(request: string, more: readonly string[] = [], leave = ''): string {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(request)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`, ...more];
  const kept = lines.filter((line) => leave === '' || !line.startsWith(leave));
  return `HTTP/1.1 101 Switching Protocols\r\n${kept.join('\r\n')}\r\n\r\n`;
}

describe('what says that it is a WebSocket', () => {
  const then = (bytes: number[]) => (request: string, socket: Socket) => {
    socket.write(agreeing(request));
    socket.write(Buffer.from(bytes));
  };
  const text = [...Buffer.from('hello')];
  test.each<[string, (request: string, socket: Socket) => void, RegExp]>([
    [
      'another protocol',
      (_, socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
      /is not WebSocket .*stage protocol/,
    ],
    [
      'a page',
      (_, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
      /answered 200 instead of an upgrade/,
    ],
    [
      'a proxy',
      (_, socket) => socket.end('HTTP/1.0 503 Service Unavailable\r\n\r\n'),
      /answered 503 instead of an upgrade/,
    ],
    [
      'a head without end',
      (_, socket) => socket.write(`HTTP/1.1 101 OK\r\n${'x: y\r\n'.repeat(60_000)}`),
      /is not WebSocket/,
    ],
    [
      'an answer for another request',
      (_, socket) => socket.write(agreeing('sec-websocket-key: other\r')),
      /not for this request/,
    ],
    ['no Upgrade', (request, socket) => socket.write(agreeing(request, [], 'Upgrade')), /is not WebSocket/],
    ['no Accept', (request, socket) => socket.write(agreeing(request, [], 'Sec')), /not for this request/],
    [
      'an extension',
      (request, socket) => socket.write(agreeing(request, ['Sec-WebSocket-Extensions: permessage-deflate'])),
      /is not WebSocket/,
    ],
    [
      'a subprotocol',
      (request, socket) => socket.write(agreeing(request, ['Sec-WebSocket-Protocol: v9'])),
      /is not WebSocket/,
    ],
    [
      'a header that is none',
      (request, socket) => socket.write(agreeing(request, ['no colon'])),
      /is not WebSocket/,
    ],
    ['silence', () => {}, /waiting for 127\.0\.0\.1:\d+ to upgrade to WebSocket: no answer within 500ms/],
    ['an end', (request, socket) => socket.end(agreeing(request)), /connection closed/],
    ['a refusal', then([0x88, 2, 0x03, 0xf5]), /said nothing, without "ready", and ended with 1013/],
    ['a masked frame', then([0x81, 0x85, 1, 2, 3, 4, ...text]), /is not WebSocket/],
    ['reserved bits', then([0xc1, 5, ...text]), /is not WebSocket/],
    ['an operation that nobody knows', then([0x83, 0]), /is not WebSocket/],
    ['a length without bound', then([0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0]), /is not WebSocket/],
    ['a piece without its beginning', then([0x80, 5, ...text]), /is not WebSocket/],
    ['a ping that is too long', then([0x89, 126, 0, 200]), /is not WebSocket/],
    ['a beginning twice', then([0x01, 5, ...text, 0x81, 5, ...text]), /is not WebSocket/],
    [
      'pieces without end',
      then(Array.from({ length: 300_000 }, (_, at) => (at === 0 ? 0x01 : at % 2 === 0 ? 0x00 : 0))),
      /is not WebSocket/,
    ],
    [
      'another message',
      then([0x01, 2, 0x68, 0x65, 0x89, 0, 0x80, 3, 0x6c, 0x6c, 0x6f]),
      /said "hello", without "ready"/,
    ],
  ])('%s', async (_, speak, said) => {
    const port = await listening(
      createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', (bytes) => speak(String(bytes), socket));
      }),
    );
    const { status, stderr } = await notYet(
      `ws://app:hunter2@127.0.0.1:${port}/#expect=ready&attempt-timeout=500ms`,
      said,
    );
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('hunter2');
  });

  test('one that never ends its side does not hold the wait up', async () => {
    const port = await listening(
      createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', (bytes) => socket.write(agreeing(String(bytes))));
      }),
    );
    expect(await runInitbox(['wait', `ws://127.0.0.1:${port}/`])).toMatchObject({ status: 0 });
  });

  test.each([
    ['of which each takes the pattern years', 'matches=(a%2B)%2B%24', `${'a'.repeat(60)}!`],
    ['which are many', 'matches=%5Eb.*c%24', 'b'.repeat(20)],
    ['of which each is looked into for a text', 'expect=ready', 'b'.repeat(20)],
  ])('messages %s do not keep signals and the deadline from their turn', async (_, demand, message) => {
    const flood = Buffer.from([0x81, message.length, ...Buffer.from(message)]);
    let written = false;
    const port = await listening(
      createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', (bytes) => {
          socket.write(agreeing(String(bytes)));
          socket.write(Buffer.concat(Array.from({ length: 2000 }, () => flood)), () => (written = true));
        });
      }),
    );
    const target = `ws://127.0.0.1:${port}/#${demand}&attempt-timeout=0`;
    const waiting = await startInitbox(['wait', target]);
    await waitUntil(() => written || undefined, { what: 'the messages to be sent' });
    waiting.kill('SIGTERM');
    const { status } = await within(promptly, waiting.exit);
    expect(status).toBe(143);
  });

  test('a pattern that takes too long is named', async () => {
    const port = await listening(
      createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', (bytes) => {
          socket.write(agreeing(String(bytes)));
          const message = Buffer.from(`${'a'.repeat(60)}!`);
          const frame = Buffer.from([0x81, message.length, ...message]);
          socket.write(Buffer.concat(Array.from({ length: 1000 }, () => frame)));
        });
      }),
    );
    const said = /\/\(a\+\)\+\$\/u takes longer than 100ms in what it says/;
    const { status, stderr } = await notYet(`ws://127.0.0.1:${port}/#matches=(a%2B)%2B%24`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });
});
