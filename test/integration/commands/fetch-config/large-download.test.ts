import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';

import { describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, underStrace } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const body = randomBytes(3 << 20);
const sum = createHash('sha256').update(body).digest('hex');

function noLimit(): string | undefined {
  using limit = limitMemory(64 << 20);
  return limit === undefined ? 'no control group can be made here' : undefined;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Answers with the given functions in turn, the last one again and again. */
async function serve(...answers: readonly Answer[]) {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(ranges.length, answers.length - 1)] as Answer;
    ranges.push(request.headers.range);
    void answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/large.bin`,
    ranges,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const etag = '"one"';

const cut =
  (bytes: Buffer, headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response.writeHead(200, { 'Content-Length': body.length, ...headers });
    response.write(bytes, () => response.destroy());
  };

const whole: Answer = (_request, response) => void response.writeHead(200, { ETag: etag }).end(body);

/** The rest, to whoever has the right ETag. */
const rest: Answer = (request, response) => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
  if (Number.isNaN(from) || request.headers['if-range'] !== etag) return whole(request, response);
  const range = `bytes ${from}-${body.length - 1}/${body.length}`;
  response.writeHead(206, { ETag: etag, 'Content-Range': range }).end(body.subarray(from));
};

const otherPart: Answer = (request, response) => {
  if (request.headers.range === undefined) return whole(request, response);
  response.writeHead(206, { 'Content-Range': `bytes 0-9/${body.length}` }).end('0123456789');
};

/** The rest of another version, from whoever does not heed If-Range; then all of it. */
const restOfAnother =
  (...tags: readonly string[]): Answer =>
  (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
    if (Number.isNaN(from)) return whole(request, response);
    const range = `bytes ${from}-${body.length - 1}/${body.length}`;
    response.writeHead(206, { 'Content-Range': range, ...(tags.length > 0 && { ETag: [...tags] }) });
    return void response.end(body.subarray(from));
  };

const fetch = (url: string, to: string, ...flags: readonly string[]) =>
  runInitbox(['fetch-config', url, '--to', to, ...flags]);

describe('a download that is too large for memory', () => {
  test('cut off twice: it goes on from there, and only the rest is asked for', async () => {
    const { path } = temporaryDirectory('large');
    const half = body.length >> 1;
    const again: Answer = (request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
      const range = `bytes ${from}-${body.length - 1}/${body.length}`;
      response.writeHead(206, {
        ETag: etag,
        'Content-Range': range,
        'Content-Length': body.length - from,
      });
      response.write(body.subarray(from, from + 100_000), () => response.destroy());
    };
    await using server = await serve(cut(body.subarray(0, half), { ETag: etag }), again, rest);
    const { status, stderr } = await fetch(server.url, join(path, 'f'), '--sha256', sum);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(path, 'f')).equals(body)).toBe(true);
    expect(server.ranges[0]).toBeUndefined();
    for (const range of server.ranges.slice(1)) expect(range).toMatch(/^bytes=[1-9]\d+-$/);
    expect(readdirSync(path)).toEqual(['f']);
  });

  test.skipIf(requireOrSkip('a rename that takes long', whyMissing('strace', 'strace')))(
    'what has its name can be run at once',
    async () => {
      const { path } = temporaryDirectory('large');
      const file = join(path, 'f');
      await using server = await serve(whole);
      const prefix = underStrace('inject=rename:delay_exit=1500000');
      const running = await startInitbox(['fetch-config', server.url, '--to', file, '--mode', '0755'], {
        prefix,
      });
      await waitUntil(() => existsSync(file), { timeout: 60_000, what: 'the file' });
      // Its bytes are no program of any machine's: that is said only once it could be opened to run.
      const { error }: { error?: NodeJS.ErrnoException } = spawnSync(file);
      expect(error?.code).not.toBe('ETXTBSY');
      const { status, stderr } = await running.exit;
      expect(status, stderr).toBe(0);
    },
  );

  test.each([
    ['a weak ETag', { ETag: 'W/"one"' }, whole],
    ['no ETag', {}, whole],
    ['it is another by now', { ETag: '"old"' }, rest],
    ['the server answers with another part', { ETag: etag }, otherPart],
    ['the rest is of another version', { ETag: etag }, restOfAnother('"two"')],
    ['the rest names no version', { ETag: etag }, restOfAnother()],
    ['the rest names its version weakly', { ETag: etag }, restOfAnother('W/"one"')],
    ['the rest names two versions', { ETag: etag }, restOfAnother(etag, '"two"')],
  ])('cut off, from the start again: %s', async (_what, headers, then) => {
    const { path } = temporaryDirectory('large');
    const other = randomBytes(2 << 20);
    await using server = await serve(cut(other, headers), then);
    const { status, stderr } = await fetch(server.url, join(path, 'f'));
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(path, 'f')).equals(body)).toBe(true);
  });

  test('parts of two versions under one ETag do not have the sum: from the start again', async () => {
    const { path } = temporaryDirectory('large');
    await using server = await serve(cut(randomBytes(1 << 20), { ETag: etag }), rest, whole);
    const { status, stderr } = await fetch(server.url, join(path, 'f'), '--sha256', sum);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(path, 'f')).equals(body)).toBe(true);
  });

  test('another sum: nothing is seen; the right one: written once', async () => {
    const { path } = temporaryDirectory('large');
    const file = join(path, 'f');
    writeFileSync(file, 'old');
    await using server = await serve(whole);
    const wrong = await fetch(server.url, file, '--sha256', '1'.repeat(64));
    expect(wrong.status).toBe(69);
    expect(wrong.stderr).toContain(`has the SHA-256 ${sum}`);
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(path)).toEqual(['f']);
    expect(await fetch(server.url, file, '--sha256', sum)).toMatchObject({ status: 0 });
    const { ino, mode } = statSync(file);
    expect(mode & 0o7777).toBe(0o444);
    expect((await fetch(server.url, file)).stderr).toContain('1 file unchanged');
    expect(statSync(file).ino).toBe(ino);
    const before = server.ranges.length;
    expect((await fetch(server.url, file, '--sha256', sum)).stderr).toContain('1 file unchanged');
    expect(server.ranges).toHaveLength(before);
    // Other bits are no reason to believe less, but the file is made anew with them.
    expect(await fetch(server.url, file, '--sha256', sum, '--mode', '0640')).toMatchObject({ status: 0 });
    expect(statSync(file).mode & 0o7777).toBe(0o640);
  });

  test('with --etag-file it is not downloaded again', async () => {
    const { path } = temporaryDirectory('large');
    const asked: (string | undefined)[] = [];
    await using server = await serve((request, response) => {
      asked.push(request.headers['if-none-match']);
      if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
      else void whole(request, response);
    });
    const args = [join(path, 'f'), '--etag-file', join(path, 'etag')] as const;
    expect(await fetch(server.url, ...args)).toMatchObject({ status: 0 });
    expect((await fetch(server.url, ...args)).stderr).toContain('1 file unchanged');
    writeFileSync(join(path, 'f'), 'changed');
    expect(await fetch(server.url, ...args)).toMatchObject({ status: 0 });
    expect(asked).toEqual([undefined, etag, undefined]);
    expect(readFileSync(join(path, 'f')).equals(body)).toBe(true);
  });

  // What was judged before the request is not what stands there when the answer comes.
  test.each<[string, (file: string) => void]>([
    ['is gone', (file) => rmSync(file)],
    [
      'is another file',
      (file) => {
        renameSync(file, `${file}.old`);
        writeFileSync(file, 'of others', { mode: 0o444 });
      },
    ],
    ['has another mode', (file) => chmodSync(file, 0o666)],
    ['has other content', (file) => writeFileSync(file, randomBytes(body.length))],
  ])(
    'with --etag-file, where the file %s by the time of the answer: it comes anew',
    async (_name, change) => {
      const { path } = temporaryDirectory('large');
      const file = join(path, 'f');
      const asked: (string | undefined)[] = [];
      await using server = await serve((request, response) => {
        asked.push(request.headers['if-none-match']);
        if (request.headers['if-none-match'] !== etag) return whole(request, response);
        change(file);
        response.writeHead(304).end();
      });
      const flags = ['--etag-file', join(path, 'etag')];
      expect(await fetch(server.url, file, ...flags)).toMatchObject({ status: 0 });
      const { status, stderr } = await fetch(server.url, file, ...flags);
      expect(status, stderr).toBe(0);
      expect(stderr).toContain('1 file written');
      expect(asked).toEqual([undefined, etag, undefined]);
      expect(readFileSync(file).equals(body)).toBe(true);
      expect(statSync(file).mode & 0o7777).toBe(0o444);
    },
  );

  test.each([['--etag-file'], ['--sha256']])('--dry-run of what %s finds there tells it', async (flag) => {
    const { path } = temporaryDirectory('large');
    await using server = await serve((request, response) => {
      if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
      else return whole(request, response);
    });
    const flags = [flag, flag === '--sha256' ? sum : join(path, 'etag')];
    expect(await fetch(server.url, join(path, 'f'), ...flags)).toMatchObject({ status: 0 });
    const { status, stdout } = await fetch(server.url, join(path, 'f'), ...flags, '--dry-run');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      files: [{ path: join(path, 'f'), size: body.length, mode: '0444' }],
    });
  });

  test.skipIf(requireOrSkip('a volume that is full', canMount()))(
    'the volume becomes full in the middle: said, and nothing is left',
    async () => {
      using volume = mountTmpfs({ size: '2m' });
      await using server = await serve(whole);
      const { status, stderr } = await fetch(server.url, join(volume.path, 'f'), '--timeout', '60s');
      expect(stderr).toContain('the volume is full (ENOSPC)');
      expect(status).toBe(1);
      expect(readdirSync(volume.path)).toEqual([]);
    },
  );

  test.each(['SIGTERM', 'SIGKILL'] as const)('%s in the middle', async (signal) => {
    const { path } = temporaryDirectory('large');
    await using server = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': body.length });
      response.write(body.subarray(0, 2 << 20));
    }, whole);
    const running = await startInitbox(['fetch-config', server.url, '--to', join(path, 'f')]);
    await waitUntil(() => readdirSync(path).length > 0);
    running.kill(signal);
    await running.exit;
    expect(readdirSync(path)).toHaveLength(signal === 'SIGTERM' ? 0 : 1);
    expect(await fetch(server.url, join(path, 'f'))).toMatchObject({ status: 0 });
    expect(readdirSync(path)).toEqual(['f']);
  });

  test.skipIf(requireOrSkip('a memory limit', noLimit()))('200 MB within a limit of 64 MiB', async () => {
    using limit = limitMemory(64 << 20);
    const { path } = temporaryDirectory('large');
    const block = randomBytes(1 << 20);
    const hash = createHash('sha256');
    for (let index = 0; index < 200; index++) hash.update(block);
    await using server = await serve(async (_request, response) => {
      for (let index = 0; index < 200; index++)
        if (!response.write(block)) await new Promise((resolve) => response.once('drain', resolve));
      response.end();
    });
    const { status, stderr } = await runInitbox(
      [
        'fetch-config',
        server.url,
        '--to',
        join(path, 'f'),
        '--max-size',
        '1Gi',
        '--sha256',
        hash.digest('hex'),
      ],
      { prefix: [...(limit?.prefix ?? [])] },
    );
    expect(status, stderr).toBe(0);
    expect(statSync(join(path, 'f')).size).toBe(200 << 20);
  });
});

/** Random sizes, by a small generator, so that a failure comes again. */
function piecesOf(bytes: Buffer, most: number): Buffer[] {
  const pieces: Buffer[] = [];
  let state = 1;
  for (let at = 0; at < bytes.length; at += pieces.at(-1)?.length ?? 0) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    pieces.push(bytes.subarray(at, at + 1 + ((state >>> 8) % most)));
  }
  return pieces;
}

describe('a large body is written as it was sent', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n';
  const chunk = (piece: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${piece.length.toString(16)};x=y\r\n`), piece, Buffer.from('\r\n')]);
  const large = randomBytes((5 << 20) + 12_345);
  const framings = {
    'with its length': [`${head}Content-Length: ${large.length}\r\n\r\n`, ...piecesOf(large, 300_000)],
    'with its length, in small pieces': [
      `${head}Content-Length: ${large.length}\r\n\r\n`,
      ...piecesOf(large, 3000),
    ],
    'until the connection ends': [`${head}\r\n`, ...piecesOf(large, 300_000)],
    'in chunks': [
      `${head}Transfer-Encoding: chunked\r\n\r\n`,
      ...piecesOf(large, 100_000).map(chunk),
      '0\r\nA: trailer\r\n\r\n',
    ],
    'in chunks of a few bytes': [
      `${head}Transfer-Encoding: chunked\r\n\r\n`,
      Buffer.concat(piecesOf(large, 64).map(chunk)),
      '0\r\n\r\n',
    ],
    'behind an interim answer': [
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
      `${head}Content-Length: ${large.length}\r\n\r\n`,
      ...piecesOf(large, 300_000),
    ],
  };

  test.for([
    ...Object.entries(framings).map(([how, parts]) => ({ how, parts, secure: false })),
    ...Object.entries(framings)
      .filter(([how]) => /length|chunks$/.test(how))
      .map(([how, parts]) => ({ how: `${how}, by TLS`, parts, secure: true })),
  ])('$how', async ({ parts, secure }) => {
    const { path } = temporaryDirectory('large');
    using authority = secure ? await createCertificateAuthority() : undefined;
    const talk = (socket: Socket): void => {
      socket.on('error', () => {});
      const answer = async (): Promise<void> => {
        for (const part of parts)
          if (!socket.write(part)) await new Promise((resolve) => socket.once('drain', resolve));
        socket.end();
      };
      socket.once('data', () => void answer());
    };
    const shown = await authority?.server();
    const server = shown
      ? createTlsServer({ cert: shown.certificate, key: shown.key }, talk)
      : createTcpServer(talk);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const flags = ['--ca-file', authority?.certificateFile ?? ''].slice(0, secure ? 2 : 0);
      const result = await fetch(`http${secure ? 's' : ''}://127.0.0.1:${port}/f`, join(path, 'f'), ...flags);
      expect(result.status, result.stderr).toBe(0);
      // Not by toEqual, which would print them.
      expect(readFileSync(join(path, 'f')).equals(large)).toBe(true);
    } finally {
      server.close();
    }
  });

  test('cut off in the middle of a write, three times', async () => {
    const { path } = temporaryDirectory('large');
    const requests: string[] = [];
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (request: Buffer) => {
        requests.push(/^Range: (.*)$/m.exec(request.toString('latin1'))?.[1] ?? '');
        const from = Number(/\d+/.exec(requests.at(-1) ?? '')?.[0] ?? 0);
        const to = requests.length < 4 ? Math.min(large.length, from + 1_500_001) : large.length;
        const first =
          from === 0
            ? `${head}ETag: "1"\r\nContent-Length: ${large.length}\r\n\r\n`
            : `HTTP/1.1 206 x\r\nETag: "1"\r\nContent-Range: bytes ${from}-${large.length - 1}/${large.length}\r\nContent-Length: ${large.length - from}\r\n\r\n`;
        socket.write(first);
        socket.end(large.subarray(from, to));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const result = await fetch(`http://127.0.0.1:${port}/f`, join(path, 'f'));
      expect(result.status, result.stderr).toBe(0);
      expect(readFileSync(join(path, 'f')).equals(large)).toBe(true);
      expect(requests).toEqual(['', 'bytes=1500001-', 'bytes=3000002-', 'bytes=4500003-']);
    } finally {
      server.close();
    }
  });
});

describe('the rest of a body is all of the rest', () => {
  const large = randomBytes(3 << 20);
  const half = large.length >> 1;
  const tail = large.subarray(half);
  const begin = (headers: string): string => `HTTP/1.1 206 Partial Content\r\nETag: "v1"\r\n${headers}\r\n`;
  const range = (first: number, last: number, size: number): string =>
    `Content-Range: bytes ${first}-${last}/${size}\r\n`;
  const right = range(half, large.length - 1, large.length);
  const close = 'Connection: close\r\n';
  const chunked = (bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n0\r\n\r\n')]);
  const some = tail.subarray(0, 1000);
  const more = Buffer.concat([tail, Buffer.from('more')]);

  /** Answers with half a body, then with these bytes, then with what is asked for. */
  async function serveHalf(second: readonly (string | Buffer)[]) {
    const ranges: string[] = [];
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (request: Buffer) => {
        const asked = /^Range: bytes=(\d+)-/m.exec(request.toString('latin1'))?.[1];
        ranges.push(asked ?? '');
        const from = Number(asked ?? 0);
        const all = `Content-Length: ${large.length}\r\n`;
        if (ranges.length === 1) {
          socket.write(`HTTP/1.1 200 OK\r\nETag: "v1"\r\n${all}\r\n`);
          socket.end(large.subarray(0, half));
        } else if (ranges.length === 2) {
          for (const part of second) socket.write(part);
          socket.end();
        } else {
          const missing = large.subarray(from);
          if (asked === undefined) socket.write(`HTTP/1.1 200 OK\r\nETag: "v1"\r\n${all}\r\n`);
          else
            socket.write(
              begin(`${range(from, large.length - 1, large.length)}Content-Length: ${missing.length}\r\n`),
            );
          socket.end(missing);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return {
      url: `http://127.0.0.1:${port}/f`,
      ranges,
      async [Symbol.asyncDispose]() {
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  test.for<[string, (string | Buffer)[], string]>([
    ['cut off where the connection ends', [begin(`${right}${close}`), some], String(half + 1000)],
    [
      'short in chunks',
      [begin(`${right}Transfer-Encoding: chunked\r\n`), chunked(some)],
      String(half + 1000),
    ],
    ['of a length that is not its range', [begin(`${right}Content-Length: 1000\r\n`), some], ''],
    [
      'of a smaller whole',
      [begin(`${range(half, half + 999, half + 1000)}Content-Length: 1000\r\n`), some],
      '',
    ],
    [
      'of a larger whole',
      [begin(`${range(half, large.length + 3, large.length + 4)}Content-Length: ${more.length}\r\n`), more],
      '',
    ],
    ['longer than its range', [begin(`${right}${close}`), more], ''],
    ['longer in chunks', [begin(`${right}Transfer-Encoding: chunked\r\n`), chunked(more)], ''],
    [
      'in parts',
      [begin(`${right}Content-Type: multipart/byteranges; boundary=x\r\n${close}`), '--x\r\n', tail],
      '',
    ],
  ])('%s', async ([, second, third]) => {
    const { path } = temporaryDirectory('large');
    await using server = await serveHalf(second);
    const result = await fetch(server.url, join(path, 'f'));
    expect(result.status, result.stderr).toBe(0);
    expect(readFileSync(join(path, 'f')).equals(large)).toBe(true);
    expect(server.ranges).toEqual(['', String(half), third]);
  });

  test('asked of the origin that a redirect leads to', async () => {
    const { path } = temporaryDirectory('large');
    await using server = await serveHalf([begin(`${right}Content-Length: ${tail.length}\r\n`), tail]);
    await using front = await serve((request, response) => {
      // The ETag is that of the other one.
      expect(request.headers['if-range']).toBeUndefined();
      response.writeHead(302, { Location: server.url }).end();
    });
    const result = await fetch(front.url, join(path, 'f'), '--cross-origin');
    expect(result.status, result.stderr).toBe(0);
    expect(readFileSync(join(path, 'f')).equals(large)).toBe(true);
    expect(server.ranges).toEqual(['', String(half)]);
  });
});

describe('--sha256 with the address of a list', () => {
  const listed =
    (text: string): Answer =>
    (request, response) => {
      if (request.url === '/SHA256SUMS') response.end(text);
      else void whole(request, response);
    };

  test.each([
    ['the right sum', `${sum} *large.bin\n`, 0, '1 file written'],
    ['another sum', `${'1'.repeat(64)}  large.bin\n`, 69, `not ${'1'.repeat(64)}`],
    ['none for this file', `${sum}  small.bin\n`, 69, 'has no sum for "large.bin"'],
  ])('%s', async (_what, text, status, words) => {
    const { path } = temporaryDirectory('list');
    await using server = await serve(listed(text));
    const list = server.url.replace('large.bin', 'SHA256SUMS');
    const result = await fetch(server.url, join(path, 'f'), '--sha256', list);
    expect(result.stderr).toContain(words);
    expect(result.status).toBe(status);
    expect(readdirSync(path)).toEqual(status === 0 ? ['f'] : []);
  });

  test('credentials do not go to another origin', async () => {
    const { path } = temporaryDirectory('list');
    const seen: (string | undefined)[] = [];
    await using other = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end(`SHA256 (large.bin) = ${sum}\n`);
    });
    await using server = await serve(whole);
    const env = { TOKEN: 'Bearer abcdefgh12345678' };
    const result = await runInitbox(
      [
        'fetch-config',
        server.url,
        '--to',
        join(path, 'f'),
        '--allow-disk',
        '--header-env',
        'Authorization=TOKEN',
        '--sha256',
        other.url.replace('large.bin', 'SHA256SUMS'),
      ],
      { env },
    );
    expect(result.status, result.stderr).toBe(0);
    expect(seen).toEqual([undefined]);
    expect(statSync(join(path, 'f')).mode & 0o7777).toBe(0o440);
  });
});
