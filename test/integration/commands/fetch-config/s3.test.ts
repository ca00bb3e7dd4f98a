import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { crc32, gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { canUseMoto, startMoto, type Moto } from '../../../support/moto.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const missing = requireOrSkip('fetch-config from S3', canUseMoto() ?? canMount());

const folder = memoryFolders('64m');
/** What of a folder readers see; the folder itself may have been made. */
const shownIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('..'))
    .map(({ name }) => name);
const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(missing)('an S3 server', () => {
  const large = randomBytes(3 << 20);
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
    const put = async (path: string, body?: string | Buffer, headers = {}) =>
      expect((await moto.objects('PUT', path, body, headers)).status).toBe(200);
    await put(
      '/bucket',
      '<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>',
    );
    await put('/bucket/app.yaml', 'password: object-canary\n');
    await put('/bucket/a%20b/%C3%BC%21%27%28%29%2A%2B.json', '{"user":"api","port":5432}');
    await put('/bucket/large.bin', large);
    await put('/bucket/app.json.gz', gzipSync('{"a":1}'));
    await put('/bucket/page.html', '<html>a page</html>', { 'Content-Type': 'text/html' });
  });
  afterAll(() => moto.stop());

  const fetchConfig = (args: readonly string[], env: Record<string, string> = {}) =>
    runInitbox(['fetch-config', ...args, '--log-level', 'debug', '--timeout', '20s'], {
      env: { ...moto.env, ...env },
    });

  test('an object as it is, a field of one, one with a name that needs encoding, and a large one', async () => {
    const place = folder();
    const one = await fetchConfig(['s3://bucket/app.yaml', '--to', join(place, 'app.yaml')]);
    expect(one.stderr).not.toContain('canary');
    expect(one.status).toBe(0);
    expect(readFileSync(join(place, 'app.yaml'), 'utf8')).toBe('password: object-canary\n');
    const again = await fetchConfig(['s3://bucket/app.yaml', '--to', join(place, 'app.yaml')]);
    expect(again.stderr).toContain('unchanged');
    const field = await fetchConfig(["s3://bucket/a b/ü!'()*+.json#port", '--to', join(place, 'port')]);
    expect(field.status).toBe(0);
    expect(readFileSync(join(place, 'port'), 'utf8')).toBe('5432');
    const whole = await fetchConfig([
      's3://bucket/large.bin',
      '--sha256',
      sha256(large),
      '--to',
      join(place, 'l'),
    ]);
    expect(whole.status).toBe(0);
    expect(readFileSync(join(place, 'l')).equals(large)).toBe(true);
    const page = await fetchConfig(['s3://bucket/page.html', '--to', join(place, 'page')]);
    expect(page.status).toBe(0);
  });

  test('--decompress, and a wrong sum', async () => {
    const place = folder();
    const plain = await fetchConfig([
      's3://bucket/app.json.gz',
      '--decompress',
      '--to',
      join(place, 'app.json'),
    ]);
    expect(plain.status).toBe(0);
    expect(readFileSync(join(place, 'app.json'), 'utf8')).toBe('{"a":1}');
    const wrong = await fetchConfig([
      's3://bucket/app.yaml',
      '--sha256',
      '0'.repeat(64),
      '--to',
      join(place, 'x'),
    ]);
    expect(wrong.status).toBe(69);
    expect(readdirSync(place)).toEqual(['app.json']);
  });

  test.each([
    ['s3://bucket/nope', /s3:\/\/bucket\/nope does not exist in eu-central-1[\s\S]*aws s3 ls/],
    ['s3://nowhere/nope', /has a bucket that does not exist \(404\)/],
  ])('%s', async (source, words) => {
    const place = folder();
    const { status, stderr } = await fetchConfig([source, '--to', join(place, 'f')]);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test('a prefix fills a folder with all objects below it, all at once; the same again changes nothing', async () => {
    const put = async (path: string, body: string | Buffer) =>
      expect((await moto.objects('PUT', path, body)).status).toBe(200);
    for (let n = 0; n < 150; n++) await put(`/bucket/config/many/${n}`, `value ${n}`);
    await put('/bucket/config/app.yaml', 'a: 1\n');
    await put('/bucket/config/', '');
    await put('/bucket/config/empty', '');
    await put('/bucket/config/folder/', '');
    await put('/bucket/config/deep/%C3%BC%20%2B%26%3C%22.txt', 'umlaut');
    await put('/bucket/config/large.bin', large);
    await put('/bucket/configuration', 'not below it');
    const place = folder();
    const to = join(place, 'in');
    const first = await fetchConfig(['s3://bucket/config/', '--to', to]);
    expect(first.stderr).toMatch(/has 154 files \(3.* MiB\) of s3:\/\/bucket\/config\//);
    expect(first.status).toBe(0);
    expect(readFileSync(join(to, 'many/149'), 'utf8')).toBe('value 149');
    expect(readFileSync(join(to, 'deep/ü +&<".txt'), 'utf8')).toBe('umlaut');
    expect(readFileSync(join(to, 'large.bin')).equals(large)).toBe(true);
    expect(readFileSync(join(to, 'empty'), 'utf8')).toBe('');
    expect(readdirSync(join(to, 'folder'))).toEqual([]);
    const modes = ['app.yaml', 'large.bin', 'many', 'many/149', 'folder'].map(
      (name) => statSync(join(to, name)).mode & 0o777,
    );
    expect(modes).toEqual([0o440, 0o440, 0o750, 0o440, 0o750]);
    expect(
      readdirSync(to)
        .filter((name) => !name.startsWith('..'))
        .toSorted(),
    ).toEqual(['app.yaml', 'deep', 'empty', 'folder', 'large.bin', 'many'].toSorted());
    const again = await fetchConfig(['s3://bucket/config/', '--to', to]);
    expect(again.stderr).toContain('has what s3://bucket/config/ holds already');
    await moto.objects('DELETE', '/bucket/config/app.yaml');
    await put('/bucket/config/many/0', 'changed');
    const both = await Promise.all([1, 2].map(() => fetchConfig(['s3://bucket/config/', '--to', to])));
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(readFileSync(join(to, 'many/0'), 'utf8')).toBe('changed');
    expect(readdirSync(to)).not.toContain('app.yaml');
    const none = await fetchConfig(['s3://bucket/nothing/', '--to', join(place, 'other')]);
    expect(none.status).toBe(69);
    expect(none.stderr).toContain('s3://bucket/nothing/ has no object below it in eu-central-1');
    const few = await fetchConfig([
      's3://bucket/config/',
      '--max-entries',
      '100',
      '--to',
      join(place, 'few'),
    ]);
    expect(few.status).toBe(69);
    expect(few.stderr).toContain('has more than 100 objects below it (--max-entries)');
    const size = await fetchConfig([
      's3://bucket/config/',
      '--max-unpacked',
      '1Mi',
      '--to',
      join(place, 'few'),
    ]);
    expect(size.status).toBe(69);
    expect(['few', 'other'].flatMap((name) => shownIn(join(place, name)))).toEqual([]);
  });

  test.each([
    [['s3://bucket/config/', 's3://bucket/app.yaml', '--format', 'json'], 'stands for all objects below it'],
    [['s3://bucket/config/', '--unpack'], 'is a folder, and not an archive'],
    [['s3://bucket/config/', '--format', 'files'], 'leave --format out'],
    [['s3://bucket/config/', '--sha256', '0'.repeat(64)], '--sha256 is about single sources'],
    [['s3://bucket/config/#field'], 'is a folder, which has no fields'],
  ])('%j is refused before anything is asked', async (args, words) => {
    const place = folder();
    const { status, stderr } = await fetchConfig([...args, '--to', join(place, 'x')]);
    expect(stderr).toContain(words);
    expect(status).toBe(2);
    expect(readdirSync(place)).toEqual([]);
  });

  test('--optional leaves out an object that is not there', async () => {
    const place = folder();
    const { status, stderr } = await fetchConfig([
      's3://bucket/nope',
      "s3://bucket/a b/ü!'()*+.json",
      '--optional',
      '--format',
      'json',
      '--to',
      join(place, 'f'),
    ]);
    expect(stderr).toContain('s3://bucket/nope: left out');
    expect(status).toBe(0);
  });
});

/** Answers as S3 might, or as something that took its place. */
async function answering(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<{ env: Record<string, string>; requests: IncomingMessage[] } & Disposable> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    env: {
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'secret-canary',
      AWS_SESSION_TOKEN: 'session-canary',
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    },
    requests,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const refusal = (code: string, message: string, more = ''): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>${more}</Error>`;

const crcOf = (bytes: Buffer): string => {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
};

describe.skipIf(missing)('what answers in its place', () => {
  const body = randomBytes(2 << 20);

  const args = (place: string, source = 's3://bucket/key'): string[] => [
    'fetch-config',
    source,
    '--to',
    join(place, 'f'),
    '--log-level',
    'debug',
    '--timeout',
    '20s',
  ];

  test('a body that is cut off goes on with If-Match, and is compared with the sum that S3 keeps', async () => {
    using server = await answering((request, response, count) => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const head = {
        ETag: '"one"',
        'x-amz-checksum-crc32': crcOf(body),
        'x-amz-checksum-type': 'FULL_OBJECT',
      };
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
    const { status } = await runInitbox(args(place), { env: server.env });
    expect(status).toBe(0);
    expect(readFileSync(join(place, 'f')).equals(body)).toBe(true);
    const [first, second] = server.requests;
    expect(server.requests).toHaveLength(2);
    expect(first?.headers['x-amz-checksum-mode']).toBe('ENABLED');
    expect(second?.headers['if-match']).toBe('"one"');
    expect(second?.headers['if-range']).toBeUndefined();
    expect(second?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/s3\/aws4_request, SignedHeaders=.*if-match.*range.*x-amz-security-token/,
    );
  });

  test('an object that changes while it comes is fetched from the start', async () => {
    using server = await answering((request, response, count) => {
      if (count === 1) {
        response.writeHead(200, { ETag: '"one"', 'Content-Length': body.length });
        response.write(body.subarray(0, 1_500_000), () => response.destroy());
      } else if (request.headers['if-match'] === '"one"')
        response.writeHead(412).end(refusal('PreconditionFailed', 'no'));
      else response.writeHead(200, { ETag: '"two"' }).end('another');
    });
    const place = folder();
    const { status, stderr } = await runInitbox(args(place), { env: server.env });
    expect(stderr).toContain('has changed while it came');
    expect(status).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('another');
  });

  test.each([
    ['three', 'three', 0],
    ['three', 'four', 69],
    ['three', undefined, 69],
    ['null', undefined, 0],
  ])('where the version %s was asked for, an answer with the version %s', async (asked, said, wanted) => {
    using server = await answering((_request, response) =>
      response.writeHead(200, said === undefined ? {} : { 'x-amz-version-id': said }).end('value'),
    );
    const place = folder();
    const { status, stderr } = await runInitbox(args(place, `s3://bucket/key?version=${asked}`), {
      env: server.env,
    });
    if (wanted !== 0)
      expect(stderr).toContain('is not the version that was asked for: its ID is another one');
    expect(status).toBe(wanted);
    expect(readdirSync(place)).toEqual(wanted === 0 ? ['f'] : []);
  });

  test.each(['x-amz-checksum-crc32', 'x-amz-checksum-sha256'])(
    'bytes that do not fit %s never appear',
    async (name) => {
      using server = await answering((_request, response) =>
        response
          .writeHead(200, {
            ETag: '"one"',
            [name]: name.endsWith('crc32') ? crcOf(Buffer.from('x')) : sha256('x').slice(0, 44),
          })
          .end('damaged'),
      );
      const place = folder();
      const { status, stderr } = await runToDeadline([...args(place).slice(0, -1), '1500ms'], {
        env: server.env,
      });
      expect(stderr).toMatch(/came with another (CRC-32|SHA-256) than S3 keeps of it/);
      expect(status).toBe(124);
      expect(readdirSync(place)).toEqual([]);
    },
  );

  test.each([
    [
      'another region',
      301,
      refusal('PermanentRedirect', 'elsewhere'),
      { 'x-amz-bucket-region': 'us-east-2', Location: 'http://127.0.0.1:1/' },
      /is in the region us-east-2, and eu-central-1 was asked \(301\)[\s\S]*\?region=us-east-2/,
    ],
    [
      'another region, by the body',
      400,
      refusal('AuthorizationHeaderMalformed', 'the region is wrong', '<Region>us-east-2</Region>'),
      {},
      /is in the region us-east-2, and eu-central-1 was asked \(400\)/,
    ],
    [
      'a redirect',
      307,
      '',
      { Location: 'http://127.0.0.1:1/' },
      /answered 307, a redirect, and what is signed goes to one place only/,
    ],
    [
      'a denial',
      403,
      refusal('AccessDenied', 'Access Denied session-canary'),
      {},
      /access is denied[\s\S]*"s3:GetObject","Resource":"arn:aws:s3:::bucket\/key"[\s\S]*s3:ListBucket/,
    ],
    [
      'an archive',
      403,
      refusal('InvalidObjectState', 'archived'),
      {},
      /is archived, and cannot be read before it is restored/,
    ],
    ['a wrong key', 403, refusal('SignatureDoesNotMatch', 'no'), {}, /rejected the signature/],
    ['a page', 404, '<html>secret-canary</html>', {}, /gave an answer that is not from S3/],
  ])('%s ends it', async (_name, code, text, headers, words) => {
    using server = await answering((_request, response) => response.writeHead(code, headers).end(text));
    const place = folder();
    const { status, stderr } = await runInitbox(args(place), { env: server.env });
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test('a wrong clock is put right, and fewer requests are asked for when S3 says so', async () => {
    using server = await answering((request, response, count) => {
      response.setHeader('Date', 'Fri, 01 Jan 2027 12:00:00 GMT');
      if (!String(request.headers['x-amz-date']).startsWith('20270101T12'))
        response.writeHead(403).end(refusal('RequestTimeTooSkewed', 'too large'));
      else if (count === 2) response.writeHead(503).end(refusal('SlowDown', 'please'));
      else response.writeHead(200).end('here');
    });
    const place = folder();
    const { status, stderr } = await runInitbox(args(place), { env: server.env });
    expect(stderr).toContain('refused the clock of this node; asking with the time of AWS');
    expect(stderr).toContain('is throttled by AWS (SlowDown)');
    expect(status).toBe(0);
    expect(server.requests).toHaveLength(3);
  });

  test('a body larger than --max-size is not taken; a signal ends it', async () => {
    using server = await answering((_request, response, count) => {
      response.writeHead(200);
      if (count === 1) response.end(body);
    });
    const place = folder();
    const { status, stderr } = await runInitbox([...args(place), '--max-size', '1Mi'], { env: server.env });
    expect(stderr).toContain('--max-size');
    expect(status).toBe(69);
    const program = await startInitbox(args(place), { env: server.env });
    await expect.poll(() => server.requests.length, { timeout: 30_000 }).toBe(2);
    program.kill('SIGTERM');
    expect((await program.exit).status).toBe(143);
    expect(readdirSync(place)).toEqual([]);
  });

  const goesOn = (token: number): string =>
    `<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>`;
  const whole = '<IsTruncated>false</IsTruncated>';
  const listed = (keys: readonly string[], more = whole, etag = '&quot;one&quot;'): string =>
    `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${keys
      .map(
        (key) =>
          `<Contents><Key>${encodeURIComponent(key)}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>${etag}</ETag><Size>5</Size></Contents>`,
      )
      .join('')}${more}</ListBucketResult>`;

  test.each([
    ['../escaped', /leaves the target by ".."/],
    ['a/../../escaped', /leaves the target by ".."/],
    ['/absolute', /is an absolute path/],
    ['a\0b', /has a NUL in its name/],
    ['a/./b', /has the path segment "."/],
    ['a//b', /has an empty path segment/],
    ['folder/', /is named as a folder, and has content/],
    ['x'.repeat(256), /has a name longer than 255 bytes/],
    ['..data', /begins with ".."/],
  ])('the key %j below a prefix is refused, and nothing of it is asked for', async (key, words) => {
    using server = await answering((_request, response) =>
      response.writeHead(200).end(listed(['config/fine', `config/${key}`])),
    );
    const place = folder();
    const { status, stderr } = await runInitbox(args(place, 's3://bucket/config/'), { env: server.env });
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(server.requests).toHaveLength(1);
    expect(shownIn(place)).toEqual([]);
  });

  test.each([
    ['two keys that are one name', ['config/a', 'config/a'], /two entries/],
    ['names that differ in capitals alone', ['config/a', 'config/A'], /differ in nothing but capitals/],
    ['a file that is a folder too', ['config/a', 'config/a/b'], /config/],
  ])('%s are refused', async (_name, keys, words) => {
    using server = await answering((request, response) =>
      response
        .writeHead(200, { ETag: '"one"' })
        .end(request.url?.includes('list-type') ? listed(keys) : 'value'),
    );
    const place = folder();
    const { status, stderr } = await runInitbox(args(place, 's3://bucket/config/'), { env: server.env });
    expect(stderr).toMatch(words);
    expect(status).not.toBe(0);
    expect(shownIn(place)).toEqual([]);
  });

  test.each([
    ['of another prefix', listed(['other/key'])],
    ['without an ETag', listed(['config/a'], whole, '')],
    ['that is a page', '<html></html>'],
    ['that ends early', listed(['config/a']).replace('</ListBucketResult>', '')],
    ['that ends in an object', listed(['config/a', 'config/b']).slice(0, -60)],
    ['with an entity of its own', `<!DOCTYPE x [<!ENTITY e "a">]>${listed(['config/a']).slice(21)}`],
    ['that goes on nowhere', listed(['config/a'], '<IsTruncated>true</IsTruncated>')],
    ['that does not say whether it is whole', listed(['config/a'], '')],
    ['of another bucket', listed(['config/a'], `<Name>other</Name>${whole}`), 'another bucket'],
    ['that says another prefix', listed(['config/a'], `<Prefix>other/</Prefix>${whole}`), 'another prefix'],
    ['of all', listed(['config/a'], `<Prefix/>${whole}`), 'another prefix'],
    ['of fewer than it says', listed(['config/a'], `<KeyCount>2</KeyCount>${whole}`), 'another number'],
    [
      'with one of its objects in a comment',
      listed(['config/a', 'config/b'], `<KeyCount>2</KeyCount>${whole}`).replace(
        /(<Contents>.*?<\/Contents>)/,
        '<!-- $1 -->',
      ),
      'another number',
    ],
    ['with a number that is none', listed(['config/a'], `<KeyCount>x</KeyCount>${whole}`), 'another number'],
    [
      'that is whole and goes on',
      listed(['config/a'], `${whole}<NextContinuationToken>more</NextContinuationToken>`),
      'it says that it is whole, and has a token for the rest',
    ],
    [
      'that says twice whether it is whole',
      listed(['config/a'], `${whole}<IsTruncated>true</IsTruncated>`),
      'it is not a whole list of objects',
    ],
    [
      'whose rest is itself',
      listed([], '<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>'),
      'its token for the rest leads to itself',
    ],
  ])('a list %s is broken', async (_name, text, words = '') => {
    using server = await answering((_request, response) => response.writeHead(200).end(text));
    const place = folder();
    const { status, stderr } = await runToDeadline(
      [...args(place, 's3://bucket/config/').slice(0, -1), '1500ms'],
      {
        env: server.env,
      },
    );
    expect(stderr).toContain('answered 200 with a broken body');
    expect(stderr).toContain(words);
    expect(status).toBe(124);
    expect(shownIn(place)).toEqual([]);
  });

  test.each([
    '<Name>bucket</Name><Prefix>a b/ü/</Prefix><KeyCount>1</KeyCount>',
    '<Name>bucket</Name><EncodingType>url</EncodingType><Prefix>a+b/%C3%BC/</Prefix>',
    '<EncodingType>url</EncodingType><Prefix>a%20b%2F%C3%BC%2F</Prefix>',
    '',
  ])('a list that says of itself %j is taken', async (more) => {
    using server = await answering((request, response) =>
      request.url?.includes('list-type')
        ? response.writeHead(200).end(listed(['a b/ü/x'], `${more}${whole}`))
        : response.writeHead(200, { ETag: '"one"' }).end('value'),
    );
    const place = folder();
    const { status, stderr } = await runInitbox(args(place, 's3://bucket/a b/ü/'), { env: server.env });
    expect(status, stderr).toBe(0);
    expect([...new Set(shownIn(place))]).toEqual(['x']);
  });

  test.each(['s3://bucket/key', 's3://bucket/key?version=1', 's3://bucket/config/'])(
    'a body that ends with its connection is not taken for whole: %s',
    async (source) => {
      using server = await answering((request, response) => {
        if (request.url?.includes('list-type')) response.writeHead(200).end(listed(['config/a']));
        else
          response.socket?.end(
            'HTTP/1.1 200 OK\r\nETag: "one"\r\nx-amz-version-id: 1\r\nConnection: close\r\n\r\nval',
          );
      });
      const place = folder();
      const { status, stderr } = await runToDeadline([...args(place, source).slice(0, -1), '1500ms'], {
        env: server.env,
      });
      expect(stderr).toContain('has no length or sum by which it would be known for whole');
      expect(status).toBe(124);
      expect(shownIn(place)).toEqual([]);
    },
  );

  test('but it is where its sum proves it', async () => {
    using server = await answering((_request, response) => {
      response.socket?.end(
        `HTTP/1.1 200 OK\r\nETag: "one"\r\nx-amz-checksum-crc32: ${crcOf(Buffer.from('value'))}\r\nConnection: close\r\n\r\nvalue`,
      );
    });
    const place = folder();
    const { status, stderr } = await runInitbox(args(place), { env: server.env });
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('value');
  });

  test('a list that is made to take long does not hold up a signal', async () => {
    using server = await answering((_request, response) =>
      response.writeHead(200).end(`<ListBucketResult>${'<Contents>'.repeat(700_000)}`),
    );
    const place = folder();
    const { status, stderr } = await runToDeadline(
      [...args(place, 's3://bucket/config/').slice(0, -1), '2s'],
      {
        env: server.env,
      },
    );
    expect(stderr).toContain('it is not a whole list of objects');
    expect(status).toBe(124);
  });

  test.each([
    ['goes round in a circle', (page: number) => listed([`config/${page}`], goesOn(page % 2)), 'leads back'],
    [
      'begins anew with each token',
      (page: number) => listed(['config/a'], goesOn(page)),
      'an object of an earlier page again',
    ],
  ])('a list that %s is broken, and nothing of it is taken', async (_name, text, words) => {
    let page = 0;
    using server = await answering((_request, response) => response.writeHead(200).end(text((page += 1))));
    const place = folder();
    const { status, stderr } = await runToDeadline(
      [...args(place, 's3://bucket/config/').slice(0, -1), '2s'],
      { env: server.env },
    );
    expect(stderr).toContain(words);
    expect(status).toBe(124);
    expect(shownIn(place)).toEqual([]);
  });

  test('a list without an end, an object that is larger than listed, and one that changed since', async () => {
    let page = 0;
    const end = (token: unknown): string =>
      `<IsTruncated>true</IsTruncated><NextContinuationToken>${String(token)}</NextContinuationToken>`;
    using endless = await answering((_request, response) =>
      response.writeHead(200).end(listed([], end((page += 1)))),
    );
    const place = folder();
    const listing = await runInitbox(args(place, 's3://bucket/config/'), { env: endless.env });
    expect(listing.stderr).toContain('is listed without an end');
    expect(listing.status).toBe(69);
    using lying = await answering((request, response) =>
      response
        .writeHead(200, { ETag: '"one"' })
        .end(request.url?.includes('list-type') ? listed(['config/a']) : 'more than five'),
    );
    const larger = await runInitbox(args(place, 's3://bucket/config/'), { env: lying.env });
    expect(larger.stderr).toContain('s3://bucket/config/a has changed since it was listed');
    expect(larger.stderr).toContain('run it again');
    expect(larger.stderr).not.toContain('--max-size');
    expect(larger.status).toBe(69);
    using short = await answering((request, response) =>
      response
        .writeHead(200, { ETag: '"one"' })
        .end(request.url?.includes('list-type') ? listed(['config/a', 'config/b']) : 'four'),
    );
    const shorter = await runInitbox(args(place, 's3://bucket/config/'), { env: short.env });
    expect(shorter.stderr).toContain('has the object "a", which has changed since it was listed');
    expect(shorter.status).toBe(69);
    using moving = await answering((request, response) => {
      if (request.url?.includes('list-type')) response.writeHead(200).end(listed(['config/a']));
      else response.writeHead(request.headers['if-match'] === '"one"' ? 412 : 500).end();
    });
    const moved = await runInitbox(args(place, 's3://bucket/config/'), { env: moving.env });
    expect(moved.stderr).toContain('s3://bucket/config/a has changed since it was listed');
    expect(moved.status).toBe(69);
    using deaf = await answering((request, response) =>
      response
        .writeHead(200, { ETag: '"two"' })
        .end(request.url?.includes('list-type') ? listed(['config/a']) : 'other'),
    );
    const other = await runInitbox(args(place, 's3://bucket/config/'), { env: deaf.env });
    expect(other.stderr).toContain('has changed since it was listed: its ETag is another one');
    expect(other.status).toBe(69);
    expect(shownIn(place)).toEqual([]);
  });
});
