// What a server sends must not end the container at the memory limit that the pages name.
import { createServer, type Server, type Socket } from 'node:net';

import { describe, expect, test } from 'vitest';

import { limitMemory, type MemoryLimit } from '../../../support/memory-limit.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { promptly, within as endsWithin } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { serve } from './servers.ts';

const documented = 96 << 20;
const probe = limitMemory(documented);
probe?.[Symbol.dispose]();

const small = `{"status":[${'{},'.repeat(80_000)}1]}`;
const many = `{"status":[${'{},'.repeat(349_000)}1]}`;
const within = `{"status":[${'{},'.repeat(32_000)}1]}`;
const text = 'é€x'.repeat(174_000);

describe.skipIf(requireOrSkip('a memory limit', probe === undefined ? 'no cgroup can be made' : undefined))(
  'within 96 MiB',
  () => {
    test.each([
      ['1 MB of small JSON values', many, 1, ['--json', '/status=UP'], /the body has .*limit of 256 KiB/],
      [
        'the same with a higher --max-size',
        many,
        1,
        ['--json', '/status=UP', '--max-size', '1Mi'],
        /more than 50000 values/,
      ],
      [
        'small JSON values within --max-size, at five URLs',
        small,
        5,
        ['--json', '/status=UP'],
        /more than 32768 values/,
      ],
      [
        'as many JSON values as are taken, at five URLs',
        within,
        5,
        ['--json', '/status=UP'],
        /a list of 32001, not "UP"/,
      ],
      ['1 MB of text at twenty URLs', text, 20, ['--body', 'UP'], /limit of 256 KiB/],
      ['250 kB of text at twenty URLs', text.slice(0, 125_000), 20, ['--body', 'UP'], /a body without "UP"/],
    ])('%s', async (_what, body, urls, flags, words) => {
      await using server = await serve((_request, response) => response.end(body));
      using limit = limitMemory(documented) as MemoryLimit;
      const targets = Array.from({ length: urls }, (_, index) => `${server.url}/${index}`);
      const { status, stderr } = await runInitbox(['wait-http', ...targets, ...flags, '--timeout', '4s'], {
        prefix: limit.prefix,
      });
      expect(stderr).toMatch(words);
      expect(status).toBe(124);
    });
  },
);

/** Written by hand: what Node's server writes are larger chunks. */
async function serveBytewise(bytes: number): Promise<Server & AsyncDisposable> {
  const chunks = Buffer.from('1\r\ny\r\n'.repeat(10_000));
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    let left = bytes;
    const more = (): void => {
      for (; left > 0; left -= 10_000) if (socket.destroyed || !socket.write(chunks)) return;
      socket.end('0\r\n\r\n');
    };
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      more();
      socket.on('drain', () => {
        left -= 10_000;
        more();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(server, {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

const portOf = (server: Server): number => (server.address() as { port: number }).port;

test.skipIf(requireOrSkip('a memory limit', probe === undefined ? 'no cgroup can be made' : undefined))(
  'endless bodies of chunks of a byte each take no more where nothing limits V8',
  async () => {
    await using server = await serveBytewise(Number.POSITIVE_INFINITY);
    // More than any machine has: it only counts.
    using limit = limitMemory(2 ** 42) as MemoryLimit;
    const url = `http://127.0.0.1:${portOf(server)}/`;
    const waiting = await startInitbox(['wait-http', url, '--body', 'x', '--timeout', '6s'], {
      prefix: limit.prefix,
    });
    expect(await waiting.exit).toMatchObject({ status: 124 });
    expect(limit.peak()).toBeLessThan(documented);
  },
);

test('SIGTERM is obeyed in time while a server sends many small JSON values', async () => {
  await using server = await serve((_request, response) => response.end(many));
  const waiting = await startInitbox(['wait-http', server.url, '--json', '/status=UP', '--max-size', '1Mi']);
  await waiting.waitForStderr(/more than 50000 values/);
  waiting.kill();
  expect((await endsWithin(promptly, waiting.exit)).status).toBe(143);
});
