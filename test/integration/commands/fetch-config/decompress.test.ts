// A single compressed file by --decompress, held against gunzip and zstd.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';

import { canMount, mountTmpfs } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { runInitbox } from '../../../support/program.ts';
import { within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(...answers: readonly Answer[]) {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(ranges.length, answers.length - 1)] as Answer;
    ranges.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/config.json.gz`,
    ranges,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const text = Buffer.from('{"db":{"password":"a password of a test"}}\n');
const large = Buffer.concat([randomBytes(2 << 20), Buffer.alloc(1 << 20, 'x')]);
const sumOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const gives =
  (bytes: Uint8Array, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    void response.writeHead(200, headers).end(bytes);

const fetch = (url: string, to: string, ...flags: readonly string[]) =>
  runInitbox(['fetch-config', url, '--decompress', '--to', to, '--timeout', '60s', ...flags]);

function skippable(first: number, size: number): Buffer {
  const frame = Buffer.alloc(8 + size, 'x');
  Buffer.from([first, 0x2a, 0x4d, 0x18]).copy(frame);
  frame.writeUInt32LE(size, 4);
  return frame;
}

describe('one compressed file', () => {
  const two = Buffer.concat([gzipSync('one '), gzipSync('two')]);
  test.each<[string, Buffer, Buffer]>([
    ['gzip', gzipSync(text), text],
    ['zstd', zstdCompressSync(text), text],
    // As pzstd writes it: the size of the next frame (RFC 8878, 3.1.2).
    [
      'zstd frames behind skippable ones',
      Buffer.concat([skippable(0x50, 4), zstdCompressSync(text), skippable(0x5f, 9)]),
      text,
    ],
    ['of several members', two, Buffer.from('one two')],
    [
      'of several frames',
      Buffer.concat([zstdCompressSync('one '), zstdCompressSync('two')]),
      Buffer.from('one two'),
    ],
    ['with zeros behind it', Buffer.concat([gzipSync(text), Buffer.alloc(4096)]), text],
    ['with 2 MiB of zeros behind it', Buffer.concat([gzipSync(text), Buffer.alloc(2 << 20)]), text],
    ['large, with zeros behind it', Buffer.concat([gzipSync(large), Buffer.alloc(2 << 20)]), large],
    ['of nothing', gzipSync(''), Buffer.alloc(0)],
    ['larger than what is kept in memory', gzipSync(large), large],
    ['twice compressed, once unpacked', gzipSync(gzipSync(text)), gzipSync(text)],
  ])('%s', async (what, body, content) => {
    await using server = await serve(gives(body, { 'Content-Encoding': 'gzip' }));
    const to = join(temporaryDirectory('decompress').path, 'config.json');
    const { status, stderr } = await fetch(server.url, to, '--sha256', sumOf(body));
    expect(status, stderr).toBe(0);
    expect(readFileSync(to).equals(content)).toBe(true);
    if (what.includes('frames') || what === 'zstd') return;
    expect(execFileSync('gunzip', { input: body, maxBuffer: 1 << 26 }).equals(content)).toBe(true);
  });

  test.each<[string, Buffer, string]>([
    ['truncated', gzipSync(text).subarray(0, -3), 'ends in the middle: it is truncated'],
    ['truncated in its header', gzipSync(text).subarray(0, 6), 'ends in the middle: it is truncated'],
    ['a second member truncated', two.subarray(0, -5), 'ends in the middle: it is truncated'],
    ['large and truncated', gzipSync(large).subarray(0, -3), 'ends in the middle: it is truncated'],
    ['zstd, truncated', zstdCompressSync(text).subarray(0, -2), 'ends in the middle: it is truncated'],
    ['with garbage behind it', Buffer.concat([gzipSync(text), Buffer.from('garbage')]), 'is damaged'],
    [
      'with zeros and garbage behind it',
      Buffer.concat([gzipSync(text), Buffer.alloc(512), Buffer.from('garbage')]),
      'has bytes behind its end',
    ],
    [
      'with 2 MiB of zeros and garbage behind it',
      Buffer.concat([gzipSync(large), Buffer.alloc(2 << 20), Buffer.from('garbage')]),
      'has bytes behind its end',
    ],
    ['with 2 MiB of noise behind it', Buffer.concat([gzipSync(text), randomBytes(2 << 20)]), 'is damaged'],
    [
      'zstd with garbage behind it',
      Buffer.concat([zstdCompressSync(text), Buffer.from('garbage')]),
      'has bytes behind its end',
    ],
    ['a wrong CRC', Buffer.concat([gzipSync(text).subarray(0, -6), Buffer.alloc(6)]), 'is damaged'],
    ['not compressed', text, 'is not compressed by gzip or zstd'],
    ['empty', Buffer.alloc(0), 'is not compressed by gzip or zstd: it is empty'],
    [
      'xz',
      Buffer.from('fd377a585a000004', 'hex'),
      'is not compressed by gzip or zstd: it is compressed by xz',
    ],
    ['bzip2', Buffer.from('BZh91AY'), 'is not compressed by gzip or zstd: it is compressed by bzip2'],
    ['a bomb', gzipSync(Buffer.alloc(20 << 20)), 'unpacks to more than 16 MiB (--max-size)'],
    ['a bomb of zstd', zstdCompressSync(Buffer.alloc(20 << 20)), 'unpacks to more than 16 MiB (--max-size)'],
  ])('refused: %s', async (_what, body, words) => {
    await using server = await serve(gives(body));
    const folder = temporaryDirectory('decompress').path;
    const { status, stderr } = await fetch(server.url, join(folder, 'config.json'));
    expect(stderr).toContain(words);
    expect(status).toBe(69);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a wrong sum is told before what is wrong inside, and nothing is written', async () => {
    await using server = await serve(gives(gzipSync(text).subarray(0, -3)));
    const to = join(temporaryDirectory('decompress').path, 'config.json');
    const { status, stderr } = await fetch(server.url, to, '--sha256', sumOf(text));
    expect(stderr).toContain('has the SHA-256');
    expect(status).toBe(69);
    expect(existsSync(to)).toBe(false);
  });

  test('cut off: it goes on where it was, or begins anew', async () => {
    const body = gzipSync(large);
    const cutAt = body.length >> 1;
    const cut =
      (headers: Record<string, string>): Answer =>
      (_request, response) => {
        response.writeHead(200, { 'Content-Length': body.length, ...headers });
        response.write(body.subarray(0, cutAt), () => response.destroy());
      };
    const rest: Answer = ({ headers }, response) => {
      const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? Number.NaN);
      if (Number.isNaN(from)) return void response.end(body);
      const range = `bytes ${from}-${body.length - 1}/${body.length}`;
      return void response.writeHead(206, { ETag: '"one"', 'Content-Range': range }).end(body.subarray(from));
    };
    for (const headers of [{ ETag: '"one"' }, { ETag: 'W/"one"' }, {}] as Record<string, string>[]) {
      await using server = await serve(cut(headers), rest);
      const to = join(temporaryDirectory('decompress').path, 'config.json');
      const { status, stderr } = await fetch(server.url, to, '--sha256', sumOf(body));
      expect(status, stderr).toBe(0);
      expect(server.ranges).toHaveLength(2);
      expect(server.ranges[1]?.startsWith('bytes=')).toBe(headers['ETag'] === '"one"' ? true : undefined);
      expect(readFileSync(to).equals(large)).toBe(true);
    }
  });

  test('--etag-file: what has not changed is not downloaded, and stays unpacked', async () => {
    const body = gzipSync(large);
    let sent = 0;
    await using server = await serve(({ headers }, response) => {
      if (headers['if-none-match'] === '"v1"') return void response.writeHead(304).end();
      sent++;
      return void response.writeHead(200, { ETag: '"v1"' }).end(body);
    });
    const { path } = temporaryDirectory('decompress');
    const to = join(path, 'config.json');
    const flags = ['--etag-file', join(path, 'etag')];
    for (const more of [[], [], ['--sha256', sumOf(body)]]) {
      // A run that waited for its own turn to write in that folder took 10 s.
      const { status, stderr } = await within(5000, fetch(server.url, to, ...flags, ...more));
      expect(status, stderr).toBe(0);
      expect(readFileSync(to).equals(large)).toBe(true);
      expect(sent).toBe(1);
    }
    // The same file as it is: what it was unpacked to is not that.
    const plain = await runInitbox(['fetch-config', server.url, '--to', to, ...flags]);
    expect(plain.status, plain.stderr).toBe(0);
    expect(readFileSync(to).equals(body)).toBe(true);
    expect((await fetch(server.url, to, ...flags)).status).toBe(0);
    expect(readFileSync(to).equals(large)).toBe(true);
  });

  test('a file, a field of one, and what does not go with it', async () => {
    const { path } = temporaryDirectory('decompress');
    writeFileSync(join(path, 'config.json.gz'), gzipSync(text));
    const to = join(path, 'out');
    const source = `file:${join(path, 'config.json.gz')}`;
    expect((await fetch(source, to, '--public')).status).toBe(0);
    expect(readFileSync(to, 'utf8')).toBe(text.toString());
    expect((await fetch(`${source}#db.password`, to, '--public')).status).toBe(0);
    expect(readFileSync(to, 'utf8')).toBe('a password of a test');
    for (const [args, words] of [
      [
        ['env:HOME'],
        '--decompress takes one compressed file by https, http, s3, gs, azure-blob or file, not env:HOME',
      ],
      [[source, source], '--decompress takes one compressed file'],
      [[source, '--unpack'], '--unpack and --decompress cannot be combined'],
    ] as const) {
      const { status, stderr } = await runInitbox(['fetch-config', ...args, '--decompress', '--to', to]);
      expect(stderr).toContain(words);
      expect(status).toBe(2);
    }
  });

  test('a secret of which no value reaches the log', async () => {
    await using server = await serve(gives(gzipSync(text)));
    const source = `${server.url}#db.password`;
    const to = join(temporaryDirectory('decompress').path, 'db');
    const args = ['--secret', '--allow-disk', '--log-level', 'debug'];
    const { status, stdout, stderr } = await fetch(source, to, ...args);
    expect(status, stderr).toBe(0);
    expect(stdout + stderr).not.toContain('a password of a test');
  });
});

const noLimit = (): string | undefined => {
  using limit = limitMemory(64 << 20);
  return limit === undefined ? 'no control group can be made here' : undefined;
};

describe.skipIf(requireOrSkip('a large file within 64 MiB', noLimit()))('within 64 MiB', () => {
  test('300 MB', async () => {
    const piece = gzipSync(Buffer.concat([randomBytes(1 << 20), Buffer.alloc(2 << 20, 'x')]));
    const times = 100;
    await using server = await serve((_request, response) => {
      response.writeHead(200);
      let left = times;
      const more = (): void => {
        while (left-- > 0) if (!response.write(piece)) return void response.once('drain', more);
        response.end();
      };
      more();
    });
    const to = join(temporaryDirectory('decompress').path, 'large');
    using limit = limitMemory(64 << 20);
    const { status, stderr } = await runInitbox(
      ['fetch-config', server.url, '--decompress', '--to', to, '--max-size', '1Gi'],
      { prefix: limit?.prefix ?? [] },
    );
    expect(status, stderr).toBe(0);
    expect(statSync(to).size).toBe(times * (3 << 20));
  }, 120_000);
});

describe.skipIf(requireOrSkip('a full volume', canMount()))('a volume that is full', () => {
  test('is told, and nothing is left', async () => {
    using volume = mountTmpfs({ size: '2m' });
    await using server = await serve(gives(gzipSync(large)));
    const { status, stderr } = await fetch(server.url, join(volume.path, 'config.json'));
    expect(stderr).toContain('ENOSPC');
    expect(status).toBe(1);
    expect(readdirSync(volume.path)).toEqual([]);
  });
});
