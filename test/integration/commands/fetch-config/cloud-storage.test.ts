import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { slowCrc32c } from '../../../support/fake-google.ts';
import { canMount } from '../../../support/faults.ts';
import { canUseCloudStorage, startCloudStorage, type CloudStorage } from '../../../support/gcs.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const missing = requireOrSkip('fetch-config from Cloud Storage', canUseCloudStorage() ?? canMount());

const folder = memoryFolders('64m');
/** What of a folder readers see; the folder itself may have been made. */
const shownIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('..'))
    .map(({ name }) => name);

describe.skipIf(missing)('a server of Cloud Storage', () => {
  const large = randomBytes(3 << 20);
  let gcs: CloudStorage;
  beforeAll(async () => {
    gcs = await startCloudStorage();
    await gcs.makeBucket('bucket');
    await gcs.put('bucket', 'app.yaml', 'password: object-canary\n');
    await gcs.put('bucket', "a b/ü!'()*+.json", '{"user":"api","port":5432}');
    await gcs.put('bucket', 'large.bin', large);
    await gcs.put('bucket', 'app.json.gz', gzipSync('{"a":1}'));
    await gcs.put('bucket', 'page.html', '<html>a page</html>', 'text/html');
  });
  afterAll(() => gcs[Symbol.asyncDispose]());

  const fetchConfig = (args: readonly string[]) =>
    runInitbox(['fetch-config', ...args, '--log-level', 'debug', '--timeout', '20s'], {
      env: { STORAGE_EMULATOR_HOST: gcs.url },
    });

  test('an object as it is, a field of one, one with a name that needs encoding, and a large one', async () => {
    const place = folder();
    const one = await fetchConfig(['gs://bucket/app.yaml', '--to', join(place, 'app.yaml')]);
    expect(one.stderr).not.toContain('canary');
    expect(one.status).toBe(0);
    expect(readFileSync(join(place, 'app.yaml'), 'utf8')).toBe('password: object-canary\n');
    const again = await fetchConfig(['gs://bucket/app.yaml', '--to', join(place, 'app.yaml')]);
    expect(again.stderr).toContain('unchanged');
    const field = await fetchConfig(["gs://bucket/a b/ü!'()*+.json#port", '--to', join(place, 'port')]);
    expect(field.status).toBe(0);
    expect(readFileSync(join(place, 'port'), 'utf8')).toBe('5432');
    const sum = createHash('sha256').update(large).digest('hex');
    const whole = await fetchConfig(['gs://bucket/large.bin', '--sha256', sum, '--to', join(place, 'l')]);
    expect(whole.status).toBe(0);
    expect(readFileSync(join(place, 'l')).equals(large)).toBe(true);
    expect((await fetchConfig(['gs://bucket/page.html', '--to', join(place, 'page')])).status).toBe(0);
    const plain = ['gs://bucket/app.json.gz', '--decompress', '--to', join(place, 'app.json')];
    expect((await fetchConfig(plain)).status).toBe(0);
    expect(readFileSync(join(place, 'app.json'), 'utf8')).toBe('{"a":1}');
  });

  test('an object that is not there is told, and is left out where it is optional', async () => {
    const place = folder();
    const { status, stderr } = await fetchConfig(['gs://bucket/nope', '--to', join(place, 'f')]);
    expect(stderr).toMatch(/gs:\/\/bucket\/nope does not exist[\s\S]*gcloud storage ls gs:\/\/bucket\/nope/);
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
    const words = ['gs://bucket/nope', "gs://bucket/a b/ü!'()*+.json", '--optional', '--format', 'json'];
    const left = await fetchConfig([...words, '--to', join(place, 'f')]);
    expect(left.stderr).toContain('gs://bucket/nope: left out');
    expect(left.status).toBe(0);
  });

  test('a prefix fills a folder with all objects below it, all at once; the same again changes nothing', async () => {
    for (let n = 0; n < 120; n++) await gcs.put('bucket', `config/many/${n}`, `value ${n}`);
    await gcs.put('bucket', 'config/app.yaml', 'a: 1\n');
    await gcs.put('bucket', 'config/', '');
    await gcs.put('bucket', 'config/empty', '');
    await gcs.put('bucket', 'config/folder/', '');
    await gcs.put('bucket', 'config/deep/ü +&<".txt', 'umlaut');
    await gcs.put('bucket', 'config/large.bin', large);
    await gcs.put('bucket', 'configuration', 'not below it');
    const place = folder();
    const to = join(place, 'in');
    const first = await fetchConfig(['gs://bucket/config/', '--to', to]);
    expect(first.stderr).toMatch(/has 124 files \(3.* MiB\) of gs:\/\/bucket\/config\//);
    expect(first.status).toBe(0);
    expect(readFileSync(join(to, 'many/119'), 'utf8')).toBe('value 119');
    expect(readFileSync(join(to, 'deep/ü +&<".txt'), 'utf8')).toBe('umlaut');
    expect(readFileSync(join(to, 'large.bin')).equals(large)).toBe(true);
    expect(readdirSync(join(to, 'folder'))).toEqual([]);
    const again = await fetchConfig(['gs://bucket/config/', '--to', to]);
    expect(again.stderr).toContain('has what gs://bucket/config/ holds already');
    await gcs.remove('bucket', 'config/app.yaml');
    await gcs.put('bucket', 'config/many/0', 'changed');
    expect((await fetchConfig(['gs://bucket/config/', '--to', to])).status).toBe(0);
    expect(readFileSync(join(to, 'many/0'), 'utf8')).toBe('changed');
    expect(readdirSync(to)).not.toContain('app.yaml');
    const none = await fetchConfig(['gs://bucket/nothing/', '--to', join(place, 'other')]);
    expect(none.status).toBe(69);
    expect(none.stderr).toContain('gs://bucket/nothing/ has no object below it');
    const few = ['gs://bucket/config/', '--max-entries', '100', '--to', join(place, 'few')];
    const many = await fetchConfig(few);
    expect(many.status).toBe(69);
    expect(many.stderr).toContain('has more than 100 objects below it (--max-entries)');
    expect(['few', 'other'].flatMap((name) => shownIn(join(place, name)))).toEqual([]);
  });

  test.each([
    [['gs://bucket/config/', 'gs://bucket/app.yaml', '--format', 'json'], 'stands for all objects below it'],
    [['gs://bucket/config/', '--unpack'], 'is a folder, and not an archive'],
    [['gs://bucket/config/#field'], 'is a folder, which has no fields'],
  ])('%j is refused before anything is asked', async (args, words) => {
    const { status, stderr } = await fetchConfig([...args, '--to', join(folder(), 'x')]);
    expect(stderr).toContain(words);
    expect(status).toBe(2);
  });
});

/** Answers as the JSON API of Cloud Storage is documented, or as something that took its place; it gives a token too. */
async function answering(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<{ env: Record<string, string>; requests: IncomingMessage[] } & Disposable> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/computeMetadata/')) {
      response.writeHead(200, { 'Metadata-Flavor': 'Google' });
      response.end(
        request.url.endsWith('/token')
          ? '{"access_token":"token-canary","expires_in":3599}'
          : 'api@shop.iam.gserviceaccount.com',
      );
      return;
    }
    requests.push(request);
    answer(request, response, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as { port: number }).port}`;
  return {
    env: { GCE_METADATA_HOST: host, CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `http://${host}/storage/v1/` },
    requests,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const crcOf = (bytes: Buffer): string => {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(slowCrc32c(bytes));
  return sum.toString('base64');
};
const md5Of = (bytes: Buffer): string => createHash('md5').update(bytes).digest('base64');
const refusal = (code: number, status: string, message: string, reason = ''): string =>
  JSON.stringify({ error: { code, status, message, errors: [{ reason }] } });

describe.skipIf(missing)('what answers in its place', () => {
  const body = randomBytes(2 << 20);
  const args = (place: string, source = 'gs://bucket/a/key'): string[] => [
    'fetch-config',
    source,
    '--to',
    join(place, 'f'),
    '--log-level',
    'debug',
    '--timeout',
    '20s',
  ];

  test.each([
    ['MD5', `crc32c=AAAAAA==,md5=${md5Of(body)}`],
    ['CRC-32C', `crc32c=${crcOf(body)}`],
  ])('a body that is cut off goes on at its generation, and is compared with its %s', async (_name, sums) => {
    using server = await answering((request, response, count) => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      // The ETag of this API has no quotes.
      const head = { ETag: 'CJ3y', 'x-goog-generation': '17', 'x-goog-hash': sums };
      if (count === 1) {
        response.writeHead(200, { ...head, 'Content-Length': body.length });
        response.write(body.subarray(0, 1_500_000), () => response.destroy());
        return;
      }
      response.writeHead(206, {
        ...head,
        'Content-Range': `bytes ${from}-${body.length - 1}/${body.length}`,
        'Content-Length': body.length - from,
      });
      response.end(body.subarray(from));
    });
    const place = folder();
    const { status, stderr } = await runInitbox(args(place), { env: server.env });
    expect(stderr).not.toContain('canary');
    expect(status).toBe(0);
    expect(readFileSync(join(place, 'f')).equals(body)).toBe(true);
    const [first, second] = server.requests;
    expect(server.requests).toHaveLength(2);
    expect(first?.url).toBe('/storage/v1/b/bucket/o/a%2Fkey?alt=media');
    expect(first?.headers.authorization).toBe('Bearer token-canary');
    expect(second?.url).toContain('ifGenerationMatch=17');
    expect(second?.headers['if-range']).toBeUndefined();
  });

  test('a rest of another generation is not taken, and an object that changes comes from the start', async () => {
    using server = await answering((request, response, count) => {
      const head = { 'x-goog-generation': count < 3 ? `${count}` : '3' };
      if (count === 1) {
        response.writeHead(200, { ...head, 'Content-Length': body.length });
        response.write(body.subarray(0, 1_500_000), () => response.destroy());
      } else if (count === 2)
        response
          .writeHead(206, { ...head, 'Content-Range': `bytes 1500000-${body.length - 1}/${body.length}` })
          .end(body.subarray(1_500_000));
      else if (request.url?.includes('ifGenerationMatch'))
        response.writeHead(412).end(refusal(412, '', 'conditionNotMet'));
      else response.writeHead(200, head).end('another');
    });
    const place = folder();
    const { status, stderr } = await runInitbox(args(place), { env: server.env });
    expect(stderr).toMatch(/answered 206, and not with the rest|has changed while it came/);
    expect(status).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('another');
  });

  test('a version is asked for by its generation', async () => {
    let generation: string | undefined = '1700000000000001';
    using server = await answering((_request, response) =>
      response.writeHead(200, generation === undefined ? {} : { 'x-goog-generation': generation }).end('old'),
    );
    const place = folder();
    const run = () =>
      runInitbox(args(place, 'gs://bucket/key?version=1700000000000001'), { env: server.env });
    for (generation of ['77', undefined]) {
      const { status, stderr } = await run();
      expect(stderr).toContain('is not the version that was asked for: its generation is another one');
      expect(status).toBe(69);
      expect(readdirSync(place)).toEqual([]);
    }
    generation = '1700000000000001';
    expect((await run()).status).toBe(0);
    expect(server.requests[0]?.url).toBe('/storage/v1/b/bucket/o/key?alt=media&generation=1700000000000001');
  });

  test('a body that ends with its connection is not taken for whole', async () => {
    using server = await answering((_request, response) => {
      response.socket?.end('HTTP/1.1 200 OK\r\nx-goog-generation: 1\r\nConnection: close\r\n\r\nval');
    });
    const place = folder();
    const { status, stderr } = await runToDeadline([...args(place).slice(0, -1), '1500ms'], {
      env: server.env,
    });
    expect(stderr).toContain('has no length or sum by which it would be known for whole');
    expect(status).toBe(124);
    expect(readdirSync(place)).toEqual([]);
  });

  test.each(['md5=AAAA', 'crc32c=AAAAAA=='])('bytes that do not fit %s never appear', async (sum) => {
    using server = await answering((_request, response) =>
      response.writeHead(200, { 'x-goog-generation': '1', 'x-goog-hash': sum }).end('damaged'),
    );
    const place = folder();
    const { status, stderr } = await runToDeadline([...args(place).slice(0, -1), '1500ms'], {
      env: server.env,
    });
    expect(stderr).toMatch(/came with another (MD5|CRC-32C) than Cloud Storage keeps of it/);
    expect(status).toBe(124);
    expect(readdirSync(place)).toEqual([]);
  });

  test.each([
    [
      'a denial, told where a body was asked for as a text, and otherwise as JSON',
      403,
      'api@shop does not have storage.objects.get access',
      refusal(
        403,
        '',
        "Permission 'storage.objects.get' denied on resource (or it may not exist).",
        'forbidden',
      ),
      /access is denied \(as api@shop\.iam[\s\S]*--role roles\/storage\.objectViewer --member serviceAccount:api@shop/,
    ],
    [
      'a bucket that is not there',
      404,
      'The specified bucket does not exist.',
      refusal(404, '', 'The specified bucket does not exist.', 'notFound'),
      /has a bucket that does not exist/,
    ],
    [
      'an object that is not there',
      404,
      'No such object: bucket/a/key',
      refusal(404, '', 'No such object', 'notFound'),
      /does not exist \(as/,
    ],
    [
      'a page',
      404,
      '<html>page-canary</html>',
      '<html>page-canary</html>',
      /gave an answer that is not from Cloud Storage/,
    ],
    [
      'a page for the body alone',
      403,
      '<html>page-canary</html>',
      '{}',
      /gave an answer that is not from Cloud Storage/,
    ],
  ])('%s ends it', async (_name, code, media, words, said) => {
    using server = await answering((request, response) =>
      request.url?.includes('alt=media')
        ? response.writeHead(code).end(media)
        : response.writeHead(words === '{}' ? 200 : code).end(words),
    );
    const place = folder();
    const { status, stderr } = await runInitbox(args(place), { env: server.env });
    expect(stderr).toMatch(said);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(69);
    expect(server.requests).toHaveLength(2);
    expect(readdirSync(place)).toEqual([]);
  });

  test('a redirect is not followed, and failures and throttling pass', async () => {
    using away = await answering((_request, response) =>
      response.writeHead(307, { Location: 'http://127.0.0.1:1/' }).end(),
    );
    const redirected = await runInitbox(args(folder()), { env: away.env });
    expect(redirected.stderr).toContain('answered 307, a redirect, and a token goes to one place only');
    expect(redirected.status).toBe(69);
    using busy = await answering((_request, response, count) => {
      if (count === 1) response.writeHead(503).end('no');
      else if (count === 2) response.writeHead(429).end('slow down');
      else response.writeHead(200).end('right');
    });
    const { status, stderr } = await runInitbox(args(folder()), { env: busy.env });
    expect(stderr).toContain('answered 503');
    expect(stderr).toContain('answered 429');
    expect(status).toBe(0);
  });

  const item = (name: string, more = {}) => ({
    name,
    generation: '1',
    size: '2',
    updated: '2026-01-01T00:00:00Z',
    ...more,
  });
  const listing = (items: readonly object[], read: (response: ServerResponse) => void, more = {}) =>
    answering((request, response) => {
      if (request.url?.includes('alt=media')) read(response);
      else response.writeHead(200).end(JSON.stringify({ items, ...more }));
    });

  test.each([
    ['another prefix', [item('other/x')], 124],
    ['no generation', [item('p/x', { generation: 7.5 })], 124],
    ['no size', [item('p/x', { size: undefined })], 124],
    ['names that lead out', [item('p/../../escaped')], 69],
    ['an absolute name', [item('p//etc/passwd')], 69],
    ['half of a character', [item('p/\ud800x')], 69],
    ['the other half in a folder', [item('p/\udc00/x')], 69],
    ['another bucket', [item('p/x', { bucket: 'other' })], 124],
    ['a name that is a folder of others', [item('p/a'), item('p/a/b')], 69],
    ['names that differ in capitals', [item('p/a'), item('p/A')], 69],
  ] as const)('a list with %s writes nothing', async (_name, items, wanted) => {
    using server = await listing(items, (response) =>
      response.writeHead(200, { 'x-goog-generation': '1' }).end('ab'),
    );
    const place = folder();
    const { status } = await runToDeadline(
      [
        'fetch-config',
        'gs://bucket/p/',
        '--to',
        join(place, 'in'),
        '--timeout',
        wanted === 124 ? '1500ms' : '20s',
      ],
      { env: server.env },
    );
    expect(status).toBe(wanted);
    expect(shownIn(place)).toEqual([]);
  });

  test.each([
    [
      'another generation',
      (response: ServerResponse) => response.writeHead(200, { 'x-goog-generation': '2' }).end('ab'),
      /is not the version that was listed/,
    ],
    ['412', (response: ServerResponse) => response.writeHead(412).end(), /has changed since it was listed/],
    [
      'more bytes',
      (response: ServerResponse) => response.writeHead(200, { 'x-goog-generation': '1' }).end('abc'),
      /more than|the body has/,
    ],
  ])('a listed object that is answered with %s ends it', async (_name, read, words) => {
    using server = await listing([item('p/x')], read);
    const place = folder();
    const { status, stderr } = await runInitbox(
      ['fetch-config', 'gs://bucket/p/', '--to', join(place, 'in'), '--timeout', '20s'],
      { env: server.env },
    );
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(server.requests.at(-1)?.url).toContain('ifGenerationMatch=1');
    expect(shownIn(place)).toEqual([]);
  });

  test('pages are read to their end, and one that leads to itself is broken', async () => {
    using server = await answering((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://x');
      if (searchParams.get('alt') === 'media')
        response.writeHead(200, { 'x-goog-generation': '1' }).end('ab');
      else if (searchParams.get('pageToken') === 'a b+c')
        response.writeHead(200).end(JSON.stringify({ items: [item('p/2')] }));
      else response.writeHead(200).end(JSON.stringify({ items: [item('p/1')], nextPageToken: 'a b+c' }));
    });
    const place = folder();
    const run = (env: Record<string, string>, timeout: string) =>
      runToDeadline(['fetch-config', 'gs://bucket/p/', '--to', join(place, 'in'), '--timeout', timeout], {
        env,
      });
    expect((await run(server.env, '20s')).status).toBe(0);
    expect(readdirSync(join(place, 'in')).filter((name) => !name.startsWith('..'))).toEqual(['1', '2']);
    using same = await listing([], () => {}, { nextPageToken: 'x' });
    const { status, stderr } = await run(same.env, '1500ms');
    expect(stderr).toContain('its token for the rest leads to itself');
    expect(status).toBe(124);
  });

  test('to an emulator no token is sent, and none is asked for', async () => {
    using server = await answering((_request, response) => response.writeHead(200).end('right'));
    const host = server.env['GCE_METADATA_HOST'] ?? '';
    const { status } = await runInitbox(args(folder()), {
      env: { STORAGE_EMULATOR_HOST: host, GOOGLE_APPLICATION_CREDENTIALS: '/nonexistent' },
    });
    expect(status).toBe(0);
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
  });
});
