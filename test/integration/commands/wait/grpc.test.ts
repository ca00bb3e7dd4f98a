// grpc:// on a real server of gRPC, and on what only says that it is one.
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { canUseGrpc, startGrpc } from '../../../support/grpc.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server | ReturnType<typeof createHttp2>): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

const notYet = (target: string, said: RegExp, env: Record<string, string> = {}) =>
  runToDeadline(['wait', '--timeout', '1s', target], { env, answered: (stderr) => said.test(stderr) });

describe.skipIf(requireOrSkip('wait for gRPC', canUseGrpc()))('wait for gRPC', () => {
  test('a server that comes up later, and then serves', async () => {
    const port = await freePort();
    const waiting = await startInitbox(['wait', `grpc://127.0.0.1:${port}`]);
    await waiting.waitForStderr(/connection refused/);
    await using server = await startGrpc(['-states==NOT_SERVING', '-then==SERVING'], port);
    await waiting.waitForStderr(/the health is NOT_SERVING .*stage assertion \(passed tcp, protocol\)/);
    server.goOn();
    const { status, stderr } = await waiting.exit;
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/is SERVING \(127\.0\.0\.1:/),
    });
  });

  test('the health of one service', async () => {
    await using server = await startGrpc(['-states=shop.Orders=SERVING,shop.Carts=UNKNOWN']);
    const at = `grpc://127.0.0.1:${server.port}`;
    for (const rest of ['?service=shop.Orders', '/shop.Orders'])
      expect(await runInitbox(['wait', `${at}${rest}`])).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/\d\/shop\.Orders is SERVING/),
      });
    for (const [rest, said] of [
      ['?service=shop.Carts', /the health of "shop\.Carts" is UNKNOWN/],
      ['?service=shop.Nothing', /no health of "shop\.Nothing" \(SERVICE_UNKNOWN/],
    ] as const)
      expect(await notYet(`${at}${rest}`, said)).toMatchObject({
        status: 124,
        stderr: expect.stringMatching(said),
      });
    expect(await runInitbox(['wait', `${at}?service=shop.Nothing&invert`])).toMatchObject({ status: 0 });
  });

  test('a refusal ends it, with what to do', async () => {
    await using bare = await startGrpc(['-bare']);
    await using guarded = await startGrpc(['-token=hunter2-token']);
    for (const [target, env, said] of [
      [bare, {}, /UNIMPLEMENTED "unknown service grpc\.health\.v1\.Health".*tcp:\/\/HOST:PORT/s],
      [guarded, {}, /UNAUTHENTICATED "no token".*header-env=Authorization=VARIABLE/s],
      [guarded, { AUTH: 'Bearer wrong-token' }, /PERMISSION_DENIED "wrong token .*look at the credentials/s],
    ] as const) {
      const header = 'AUTH' in env ? '?header-env=Authorization=AUTH' : '';
      const { status, stderr } = await runInitbox(['wait', `grpc://127.0.0.1:${target.port}${header}`], {
        env,
      });
      expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(said) });
      expect(stderr).not.toContain('wrong-token');
    }
    expect(
      await runInitbox(['wait', `grpc://127.0.0.1:${guarded.port}?header-env=Authorization%3DAUTH`], {
        env: { AUTH: 'Bearer hunter2-token' },
      }),
    ).toMatchObject({ status: 0 });
  });

  test('a refusal that may pass is waited for', async () => {
    await using server = await startGrpc(['-code=14']);
    const said = /answered UNAVAILABLE "as it was told, 100 % of the time: ä"/;
    const { status, stderr } = await notYet(`grpc://127.0.0.1:${server.port}`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });

  test('TLS', async () => {
    using authority = await createCertificateAuthority();
    const { certificateFile, keyFile } = await authority.server(['localhost']);
    await using server = await startGrpc([`-certificate=${certificateFile}`, `-key=${keyFile}`]);
    await using open = await startGrpc();
    const ca = `?ca-file=${authority.certificateFile}`;
    const named = `${ca}&tls-server-name=localhost`;
    for (const rest of [`localhost:${server.port}${ca}`, `127.0.0.1:${server.port}${named}`])
      expect(await runInitbox(['wait', `grpcs://${rest}`])).toMatchObject({ status: 0 });
    for (const [target, said] of [
      [`grpcs://localhost:${server.port}`, /authority that is not trusted.*stage tls/s],
      [`grpcs://127.0.0.1:${server.port}${ca}`, /is for another name/],
    ] as const) {
      const { status, stderr } = await runInitbox(['wait', target]);
      expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(said) });
    }
    for (const [target, said] of [
      [`grpc://localhost:${server.port}`, /is not gRPC|without an answer|connection (?:reset|closed)/],
      [`grpcs://localhost:${open.port}${ca}`, /does not speak TLS|TLS handshake/],
    ] as const)
      expect(await notYet(target, said)).toMatchObject({
        status: 124,
        stderr: expect.stringMatching(said),
      });
  });
});

describe('a mistake in the target', () => {
  test.each([
    ['grpc://api', /no port/],
    ['grpc://app:hunter2@api:50051', /has no user and password; .*header-env/],
    ['grpc://api:50051?ca-file=/ca.crt', /ca-file has no effect for grpc:\/\/; write grpcs:\/\//],
    ['grpc://api:50051/shop.Orders?service=shop.Orders', /by the URL and by service/],
    ['grpc://api:50051?service=shop%20Orders', /not the name of a service/],
    ['grpc://api:50051?header-env=Te%3DPATH', /the header Te is set by initbox itself/],
  ])('%s', async (target, said) => {
    const { status, stderr } = await runInitbox(['wait', target]);
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('hunter2');
  });
});

/** HTTP/2's frame. */
function frame(type: number, flags: number, id: number, payload = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}
const settings = frame(4, 0, 0);

describe('what says that it is gRPC', () => {
  test.each<[string, (socket: Socket) => void, RegExp]>([
    ['HTTP/1.1', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), /is not gRPC .*stage protocol/],
    ['a banner', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), /is not gRPC/],
    ['nothing', (socket) => socket.end(), /without an answer|connection (?:closed|reset)/],
    ['silence', () => {}, /asking 127\.0\.0\.1:\d+ for the health: no answer within 500ms/],
    [
      'a broken frame',
      (socket) => socket.write(Buffer.concat([settings, frame(0, 0, 0)])),
      /is not gRPC|without an answer/,
    ],
    [
      'goodbye',
      (socket) => socket.write(Buffer.concat([settings, frame(7, 0, 0, Buffer.alloc(8))])),
      /without an answer/,
    ],
  ])('%s', async (_, speak, said) => {
    const port = await listening(
      createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => speak(socket));
      }),
    );
    const { status, stderr } = await notYet(`grpc://127.0.0.1:${port}?attempt-timeout=500ms`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });

  const grpc = { ':status': 200, 'content-type': 'application/grpc' };
  const message = (bytes: Uint8Array): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  };
  const answer = (stream: ServerHttp2Stream, bytes: Buffer, trailers: Record<string, string>): void => {
    stream.respond(grpc, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(bytes);
  };
  const ok = { 'grpc-status': '0' };

  test.each<[string, (stream: ServerHttp2Stream) => void, RegExp]>([
    [
      'a page',
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'text/html' });
        stream.end('<html>');
      },
      /is not gRPC/,
    ],
    [
      'a gateway without a backend',
      (stream) => stream.respond({ ':status': 503 }, { endStream: true }),
      /answered HTTP 503, and not gRPC/,
    ],
    [
      'a route that is not there',
      (stream) => stream.respond({ ...grpc, 'grpc-status': '12' }, { endStream: true }),
      /answered UNIMPLEMENTED \(/,
    ],
    [
      'no trailers',
      (stream) => {
        stream.respond(grpc);
        stream.end(message(Buffer.from([8, 1])));
      },
      /is not gRPC/,
    ],
    ['a reset', (stream) => stream.close(8), /without an answer \(CANCEL\)/],
    [
      'a reset within the answer',
      (stream) => {
        stream.respond(grpc);
        stream.write(message(Buffer.from([8, 1])));
        setTimeout(() => stream.close(2), 20);
      },
      /is not gRPC|without an answer/,
    ],
    ['bytes without end', (stream) => answer(stream, Buffer.alloc(1 << 20), ok), /is not gRPC/],
    [
      'a length that is not true',
      (stream) => answer(stream, Buffer.from([0, 0, 0, 9, 0, 8, 1]), ok),
      /is not gRPC/,
    ],
    [
      'a compressed answer',
      (stream) => answer(stream, Buffer.from([1, 0, 0, 0, 2, 8, 1]), ok),
      /is not gRPC/,
    ],
    ['no message', (stream) => answer(stream, message(Buffer.from([0xff, 0xff])), ok), /is not gRPC/],
    [
      'a state that nobody knows',
      (stream) => answer(stream, message(Buffer.from([8, 9])), ok),
      /is not gRPC/,
    ],
    [
      'a field that ends too soon',
      (stream) => answer(stream, message(Buffer.from([0x0a, 0x7f, 1])), ok),
      /is not gRPC/,
    ],
    ['an empty answer', (stream) => answer(stream, message(Buffer.alloc(0)), ok), /the health is UNKNOWN/],
    [
      'a status that is no number',
      (stream) => answer(stream, message(Buffer.from([8, 1])), { 'grpc-status': 'fine' }),
      /is not gRPC/,
    ],
    [
      'words that are wrongly encoded',
      (stream) => answer(stream, Buffer.alloc(0), { 'grpc-status': '14', 'grpc-message': '%zz\u0007' }),
      /answered UNAVAILABLE|is not gRPC|without an answer/,
    ],
  ])('%s', async (_, respond, said) => {
    const port = await listening(
      createHttp2().on('stream', (stream: ServerHttp2Stream) => {
        stream.on('error', () => {});
        respond(stream);
      }),
    );
    const { status, stderr } = await notYet(`grpc://127.0.0.1:${port}`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });

  test('a field that nobody knows is passed over', async () => {
    const port = await listening(
      createHttp2().on('stream', (stream: ServerHttp2Stream) =>
        answer(stream, message(Buffer.from([0x12, 1, 0x41, 0x1d, 1, 2, 3, 4, 8, 1])), ok),
      ),
    );
    expect(await runInitbox(['wait', `grpc://127.0.0.1:${port}`])).toMatchObject({ status: 0 });
  });
});
