// A tar file that is unpacked while it comes: cut off, resumed, exchanged, hostile, killed, twice at once.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';

import { canMount, mountTmpfs } from '../../../../support/faults.ts';
import { runInitbox, startInitbox } from '../../../../support/program.ts';
import { requireOrSkip } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';
import { waitUntil } from '../../../../support/wait-until.ts';

interface Packed {
  readonly bytes: Buffer;
  readonly sum: string;
  readonly files: Readonly<Record<string, Buffer>>;
}

/** A tar.gz of three files with these names. */
function pack(...names: readonly string[]): Packed {
  const { path } = temporaryDirectory('packed');
  const files = Object.fromEntries(names.map((name) => [name, randomBytes(1 << 20)]));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  const bytes = execFileSync('tar', ['czf', '-', '-C', path, ...names], { maxBuffer: 1 << 26 });
  return { bytes, sum: sumOf(bytes), files };
}

const sumOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

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
    url: `http://127.0.0.1:${port}/site.tar.gz`,
    ranges,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const whole =
  (bytes: Buffer, etag?: string): Answer =>
  (_request, response) =>
    void response.writeHead(200, etag === undefined ? {} : { ETag: etag }).end(bytes);

const cut =
  (bytes: Buffer, etag?: string, part = 2 / 3): Answer =>
  (_request, response) => {
    response.writeHead(200, {
      'Content-Length': bytes.length,
      ...(etag === undefined ? {} : { ETag: etag }),
    });
    response.write(bytes.subarray(0, Math.floor(bytes.length * part)), () => response.destroy());
  };

/** The rest, whatever version it is of. */
const rest =
  (bytes: Buffer, etag: string, shift = 0): Answer =>
  ({ headers }, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]) + shift;
    if (Number.isNaN(from)) return void response.writeHead(200, { ETag: etag }).end(bytes);
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    return void response.writeHead(206, { ETag: etag, 'Content-Range': range }).end(bytes.subarray(from));
  };

const unpack = (url: string, to: string, ...flags: readonly string[]) =>
  runInitbox(['fetch-config', url, '--unpack', '--to', to, '--timeout', '60s', ...flags]);

function expectTree(to: string, { files }: Packed): void {
  const names = readdirSync(join(to, '..data')).filter((name) => !name.startsWith('..'));
  expect(names.toSorted()).toEqual(Object.keys(files).toSorted());
  for (const [name, content] of Object.entries(files))
    expect(readFileSync(join(to, name)).equals(content), name).toBe(true);
}

const one = pack('a', 'b', 'c');
const two = pack('b', 'd', 'e');
const zeros = Buffer.concat([one.bytes, Buffer.alloc(2 << 20)]);
const padded: Packed = { ...one, bytes: zeros, sum: sumOf(zeros) };

describe('a tar file that comes in parts', () => {
  test.each<[string, readonly Answer[], Packed, readonly boolean[]]>([
    ['the rest of the same', [cut(one.bytes, '"1"'), rest(one.bytes, '"1"')], one, [false, true]],
    [
      'the rest in three parts',
      [
        cut(one.bytes, '"1"', 0.3),
        ({ headers }, response) => {
          const from = Number(/\d+/.exec(headers.range ?? '')?.[0]);
          const range = `bytes ${from}-${one.bytes.length - 1}/${one.bytes.length}`;
          const length = one.bytes.length - from;
          response.writeHead(206, { ETag: '"1"', 'Content-Range': range, 'Content-Length': length });
          response.write(one.bytes.subarray(from, from + (length >> 1)), () => response.destroy());
        },
        rest(one.bytes, '"1"'),
      ],
      one,
      [false, true, true],
    ],
    ['2 MiB of zeros behind it', [whole(padded.bytes)], padded, [false]],
    ['all of it, without an ETag', [cut(one.bytes), whole(one.bytes)], one, [false, false]],
    ['all of it, with a weak one', [cut(one.bytes, 'W/"1"'), whole(one.bytes)], one, [false, false]],
    ['another archive', [cut(one.bytes), whole(two.bytes)], two, [false, false]],
    ['another version', [cut(one.bytes, '"1"'), whole(two.bytes, '"2"')], two, [false, true]],
    [
      'the rest of another version',
      [cut(one.bytes, '"1"'), rest(two.bytes, '"2"'), whole(two.bytes)],
      two,
      [false, true, false],
    ],
    [
      'another range',
      [cut(one.bytes, '"1"'), rest(one.bytes, '"1"', 5), whole(one.bytes)],
      one,
      [false, true, false],
    ],
    [
      '416',
      [cut(one.bytes, '"1"'), (_request, response) => void response.writeHead(416).end(), whole(one.bytes)],
      one,
      [false, true, false],
    ],
    [
      'another archive, after a time in which there was none',
      [cut(one.bytes), (_request, response) => void response.writeHead(503).end(), whole(two.bytes)],
      two,
      [false, false, false],
    ],
  ])('%s', async (_what, answers, packed, ranged) => {
    await using server = await serve(...answers);
    const { path: to } = temporaryDirectory('target');
    const { status, stderr } = await unpack(server.url, to, '--sha256', packed.sum);
    expect(status, stderr).toBe(0);
    expect(server.ranges.map((range) => range !== undefined)).toEqual(ranged);
    expectTree(to, packed);
  });

  test('over a redirect of the same origin it goes on too', async () => {
    await using server = await serve(
      (_request, response) => void response.writeHead(302, { Location: '/other.tar.gz' }).end(),
      cut(one.bytes, '"1"'),
      (_request, response) => void response.writeHead(302, { Location: '/other.tar.gz' }).end(),
      rest(one.bytes, '"1"'),
    );
    const { path: to } = temporaryDirectory('target');
    const { status, stderr } = await unpack(server.url, to, '--sha256', one.sum);
    expect(status, stderr).toBe(0);
    expect(server.ranges[3]).toMatch(/^bytes=/);
    expectTree(to, one);
  });

  test('parts of two versions under one ETag: nothing is shown but the right one', async () => {
    await using server = await serve(cut(one.bytes, '"1"'), rest(two.bytes, '"1"'), whole(two.bytes, '"1"'));
    const { path: to } = temporaryDirectory('target');
    const { status, stderr } = await unpack(server.url, to, '--sha256', two.sum);
    expect(status, stderr).toBe(0);
    expectTree(to, two);
  });
});

describe('what is not shown', () => {
  const evil = gzipSync(
    execFileSync('tar', ['cf', '-', '--transform=s,^,../,', '-P', '-C', '/etc', 'hostname'], {
      maxBuffer: 1 << 26,
    }),
  );
  test.each<[string, Buffer, string, string?]>([
    ['a wrong sum', one.bytes, 'has the SHA-256', '1'.repeat(64)],
    ['truncated', one.bytes.subarray(0, -20), 'truncated'],
    ['truncated in the first member', one.bytes.subarray(0, 1 << 20), 'truncated'],
    ['an entry that leaves the target', evil, 'leaves'],
    ['not an archive', randomBytes(3 << 20), 'is not a known kind of archive'],
    ['a single file', gzipSync(randomBytes(3 << 20)), '--decompress writes it as one file'],
    ['nothing', Buffer.alloc(0), 'it is empty'],
    ['100 bytes', Buffer.alloc(100, 'x'), 'is not a known kind of archive'],
  ])('%s', async (_what, bytes, words, sum) => {
    await using server = await serve(whole(bytes));
    const { path: to } = temporaryDirectory('target');
    const flags = sum === undefined ? [] : ['--sha256', sum];
    const { status, stderr } = await unpack(server.url, to, ...flags);
    expect(stderr).toContain(words);
    expect(status).toBe(69);
    expect(readdirSync(to)).toEqual([]);
  });

  test('an earlier tree stays as it is', async () => {
    const { path: to } = temporaryDirectory('target');
    await using good = await serve(whole(one.bytes));
    expect((await unpack(good.url, to)).status).toBe(0);
    await using bad = await serve(whole(two.bytes.subarray(0, -20)));
    expect((await unpack(bad.url, to, '--sha256', two.sum)).status).toBe(69);
    expectTree(to, one);
    expect(readdirSync(to).filter((name) => name.startsWith('..initbox'))).toHaveLength(1);
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('%s in the middle, and then again', async (signal) => {
    await using server = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': one.bytes.length });
      response.write(one.bytes.subarray(0, one.bytes.length >> 1));
    }, whole(two.bytes));
    const { path: to } = temporaryDirectory('target');
    const args = ['fetch-config', server.url, '--unpack', '--to', to];
    const running = await startInitbox(args);
    await waitUntil(() =>
      readdirSync(to).some((name) => existsSync(join(to, name, 'a')) || existsSync(join(to, name, 'b'))),
    );
    expect(existsSync(join(to, '..data'))).toBe(false);
    running.kill(signal);
    await running.exit;
    if (signal === 'SIGTERM') expect(readdirSync(to)).toEqual([]);
    const { status, stderr } = await unpack(server.url, to);
    expect(status, stderr).toBe(0);
    expectTree(to, two);
    expect(readdirSync(to).filter((name) => name.startsWith('..initbox'))).toHaveLength(1);
  });

  test('two at once: one tree, whole', async () => {
    const { path: to } = temporaryDirectory('target');
    await using server = await serve(whole(one.bytes));
    const ends = await Promise.all([1, 2, 3].map(() => unpack(server.url, to, '--sha256', one.sum)));
    for (const { status, stderr } of ends) expect(status, stderr).toBe(0);
    expectTree(to, one);
    expect(readdirSync(to).filter((name) => name.startsWith('..initbox'))).toHaveLength(1);
  });
});

describe.skipIf(requireOrSkip('a full volume', canMount()))('a volume that is full in the middle', () => {
  test('is told, and nothing is left', async () => {
    using volume = mountTmpfs({ size: '2m' });
    mkdirSync(join(volume.path, 'site'));
    await using server = await serve(whole(one.bytes));
    const { status, stderr } = await unpack(server.url, join(volume.path, 'site'));
    expect(stderr).toContain('the volume is full (ENOSPC)');
    expect(status).toBe(1);
    expect(readdirSync(join(volume.path, 'site'))).toEqual([]);
    expect(server.ranges).toHaveLength(1);
  });
});
