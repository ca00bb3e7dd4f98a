// An ETag tells the versions of one resource apart: of another address it says nothing, whoever leads there.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const etag = '"1"';
const old = randomBytes(3 << 20);
const current = randomBytes(3 << 20);

const packed = (content: Buffer): Buffer => {
  const { path } = temporaryDirectory('packed');
  writeFileSync(join(path, 'a'), content);
  return execFileSync('tar', ['czf', '-', '-C', path, 'a'], { maxBuffer: 1 << 26 });
};

interface Form {
  readonly pack: (content: Buffer) => Buffer;
  readonly flags: readonly string[];
  /** Where the content is, below what `--to` names. */
  readonly inside: string;
}

const forms: Readonly<Record<string, Form>> = {
  plain: { pack: (content) => content, flags: [], inside: '' },
  decompressed: { pack: (content) => gzipSync(content), flags: ['--decompress'], inside: '' },
  unpacked: { pack: packed, flags: ['--unpack'], inside: 'a' },
};

/** One step of a server: what is asked of it, and what it does. */
type Step = readonly [path: string, does: 'cut' | 'give' | `to ${string}`];

/**
 * Answers as the steps say, the last one again and again. Two of its names are `here` and `there`. Everything has the
 * same ETag, Range and If-None-Match are heeded everywhere; `/old` has one content, all others have another.
 */
async function serve(pack: Form['pack'], steps: readonly Step[]) {
  const asked: string[] = [];
  const before = pack(old);
  const now = pack(current);
  const server = createServer(({ headers, url = '' }, response) => {
    const [, does] = steps[Math.min(asked.length, steps.length - 1)] as Step;
    const { range = '', host = '' } = headers;
    const ways = ['range', 'if-range', 'if-none-match'].filter((name) => name in headers);
    asked.push([host.startsWith('127.0.0.2') ? `there${url}` : url, ...ways].join(' '));
    if (does.startsWith('to ')) {
      const { port } = server.address() as { port: number };
      const to = does.slice(3).replace(/^there/, `http://127.0.0.2:${port}`);
      return void response.writeHead(302, { Location: to, ETag: etag }).end();
    }
    const bytes = url.startsWith('/old') ? before : now;
    const common = { ETag: etag, 'Accept-Ranges': 'bytes' };
    if (does === 'cut') {
      response.writeHead(200, { ...common, 'Content-Length': bytes.length });
      return void response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
    }
    if (headers['if-none-match'] === etag) return void response.writeHead(304, common).end();
    const from = Number(/\d+/.exec(range)?.[0]);
    if (range === '') return void response.writeHead(200, common).end(bytes);
    const place = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    return void response.writeHead(206, { ...common, 'Content-Range': place }).end(bytes.subarray(from));
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  const { port } = server.address() as { port: number };
  return {
    address: `http://127.0.0.1:${port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const limits = ['--cross-origin', '--redirects', '3', '--timeout', '60s'];
const resumed = 'range if-range';

describe.each(Object.entries(forms))('%s', (_form, { pack, flags, inside }) => {
  test.each<[string, readonly Step[], readonly string[]]>([
    [
      'another path',
      [
        ['/old', 'cut'],
        ['/old', 'to /new'],
        ['/new', 'give'],
      ],
      ['/old', `/old ${resumed}`, '/new'],
    ],
    [
      'another query of the same path',
      [
        ['/', 'to /old?1'],
        ['/old?1', 'cut'],
        ['/', 'to /new?2'],
        ['/new?2', 'give'],
      ],
      ['/', '/old?1', '/', '/new?2'],
    ],
    [
      'another origin',
      [
        ['/old', 'cut'],
        ['/old', 'to there/new'],
        ['/new', 'give'],
      ],
      ['/old', `/old ${resumed}`, 'there/new'],
    ],
    [
      'another release than the first time',
      [
        ['/latest', 'to /old'],
        ['/old', 'cut'],
        ['/latest', 'to /new'],
        ['/new', 'give'],
      ],
      ['/latest', '/old', '/latest', '/new'],
    ],
    [
      'another mirror than the first time',
      [
        ['/latest', 'to there/old'],
        ['/old', 'cut'],
        ['/latest', 'to there/new'],
        ['/new', 'give'],
      ],
      ['/latest', 'there/old', '/latest', 'there/new'],
    ],
    [
      'a path of its own origin after another one’s',
      [
        ['/latest', 'to there/old'],
        ['/old', 'cut'],
        ['/latest', 'to there/old'],
        ['/old', 'to there/new'],
        ['/new', 'give'],
      ],
      ['/latest', 'there/old', '/latest', `there/old ${resumed}`, 'there/new'],
    ],
  ])('the rest is not asked for at %s', async (_what, steps, asked) => {
    await using server = await serve(pack, steps);
    const to = join(temporaryDirectory('redirected').path, 'to');
    if (inside !== '') mkdirSync(to);
    const url = `${server.address}${steps[0]?.[0]}`;
    const args = ['fetch-config', url, '--to', to, ...limits, ...flags];
    const { status, stderr } = await runInitbox(args);
    expect(status, stderr).toBe(0);
    expect(server.asked).toEqual(asked);
    expect(readFileSync(join(to, inside)).equals(current)).toBe(true);
  });

  test('the rest is asked for at the same address, after the same redirects', async () => {
    await using server = await serve(pack, [
      ['/latest', 'to there/new'],
      ['/new', 'cut'],
      ['/latest', 'to there/new'],
      ['/new', 'give'],
    ]);
    const to = join(temporaryDirectory('redirected').path, 'to');
    if (inside !== '') mkdirSync(to);
    const url = `${server.address}/latest`;
    const args = ['fetch-config', url, '--to', to, ...limits, ...flags];
    const { status, stderr } = await runInitbox(args);
    expect(status, stderr).toBe(0);
    expect(server.asked).toEqual(['/latest', 'there/new', '/latest', `there/new ${resumed}`]);
    expect(readFileSync(join(to, inside)).equals(current)).toBe(true);
  });
});

describe.each(['plain', 'decompressed'])('--etag-file: %s', (form) => {
  const { pack, flags } = forms[form] as Form;

  test('an ETag is told to the address that gave it', async () => {
    await using server = await serve(pack, [
      ['/latest', 'to /old'],
      ['/old', 'give'],
      ['/latest', 'to /old'],
      ['/old', 'give'],
      ['/latest', 'to /new'],
      ['/new', 'give'],
      ['/latest', 'to there/new'],
      ['/new', 'give'],
      ['/latest', 'to there/new'],
      ['/new', 'give'],
    ]);
    const { path } = temporaryDirectory('redirected');
    const to = join(path, 'to');
    const args = ['--to', to, ...limits, '--etag-file', join(path, 'etag')];
    for (const content of [old, old, current, current, current]) {
      const { status, stderr } = await runInitbox([
        'fetch-config',
        `${server.address}/latest`,
        ...args,
        ...flags,
      ]);
      expect(status, stderr).toBe(0);
      expect(readFileSync(to).equals(content)).toBe(true);
    }
    expect(server.asked.filter((each) => each !== '/latest')).toEqual([
      '/old',
      '/old if-none-match',
      '/new',
      'there/new',
      'there/new if-none-match',
    ]);
  });
});
