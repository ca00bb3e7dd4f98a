import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startAzurite, type Azurite } from '../../../support/azurite.ts';
import { accessToken, startFakeAzure, type FakeAzure } from '../../../support/fake-azure.ts';
import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { createCertificateAuthority, type CertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const missing = requireOrSkip('fetch-config from Azure Blob Storage', canMount());

const folder = memoryFolders('64m');
/** What of a folder readers see; the folder itself may have been made. */
const shownIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('..'))
    .map(({ name }) => name);

describe.skipIf(missing)('a server of Blob Storage', () => {
  const large = randomBytes(3 << 20);
  let authority: CertificateAuthority;
  let azure: FakeAzure;
  let azurite: Azurite;
  let tokenFile = '';
  const put = (path: string, body: string | Buffer, type = 'application/octet-stream') =>
    azurite.call('PUT', path, body, { 'x-ms-blob-type': 'BlockBlob', 'Content-Type': type });
  beforeAll(async () => {
    authority = await createCertificateAuthority();
    azure = await startFakeAzure();
    azurite = await startAzurite(authority, accessToken('https://storage.azure.com', 0));
    tokenFile = join(folder(), 'token');
    writeFileSync(tokenFile, 'e30.e30.pod-canary\n');
    await azurite.call('PUT', '/config?restype=container');
    await put('/config/app.yaml', 'password: object-canary\n');
    await put('/config/a%20b/%C3%BC%21%27%28%29%2A%2B.json', '{"user":"api","port":5432}');
    await put('/config/large.bin', large);
    await put('/config/app.json.gz', gzipSync('{"a":1}'));
    await put('/config/page.html', '<html>a page</html>', 'text/html');
  }, 300_000);
  afterAll(async () => {
    await azurite?.[Symbol.asyncDispose]();
    azure[Symbol.dispose]();
    authority.remove();
  });

  const fetchConfig = (args: readonly string[]) =>
    runInitbox(
      [
        'fetch-config',
        ...args,
        '--azure-blob-url',
        azurite.url,
        '--ca-file',
        authority.certificateFile,
        '--log-level',
        'debug',
        '--timeout',
        '30s',
      ],
      { env: { ...azure.env, AZURE_FEDERATED_TOKEN_FILE: tokenFile } },
    );
  const at = (blob: string): string => `azure-blob://${azurite.account}/config/${blob}`;

  test('a blob as it is, a field of one, one with a name that needs encoding, and a large one', async () => {
    const place = folder();
    const one = await fetchConfig([at('app.yaml'), '--to', join(place, 'app.yaml')]);
    expect(one.stderr).toContain('credentials from workload identity');
    expect(one.stderr).not.toContain('canary');
    expect(one.status).toBe(0);
    expect(readFileSync(join(place, 'app.yaml'), 'utf8')).toBe('password: object-canary\n');
    expect((await fetchConfig([at('app.yaml'), '--to', join(place, 'app.yaml')])).stderr).toContain(
      'unchanged',
    );
    const field = await fetchConfig([at("a b/ü!'()*+.json#port"), '--to', join(place, 'port')]);
    expect(field.status).toBe(0);
    expect(readFileSync(join(place, 'port'), 'utf8')).toBe('5432');
    const sum = createHash('sha256').update(large).digest('hex');
    const whole = await fetchConfig([at('large.bin'), '--sha256', sum, '--to', join(place, 'l')]);
    expect(whole.status).toBe(0);
    expect(readFileSync(join(place, 'l')).equals(large)).toBe(true);
    expect((await fetchConfig([at('page.html'), '--to', join(place, 'page')])).status).toBe(0);
    expect((await fetchConfig([at('app.json.gz'), '--decompress', '--to', join(place, 'j')])).status).toBe(0);
    expect(readFileSync(join(place, 'j'), 'utf8')).toBe('{"a":1}');
  });

  test('a blob and a container that are not there are told; a blob is left out where it is optional', async () => {
    const place = folder();
    const { status, stderr } = await fetchConfig([at('nope'), '--to', join(place, 'f')]);
    expect(stderr).toMatch(/config\/nope does not exist \(as aaaaaaaa-[\s\S]*az storage blob list/);
    expect(status).toBe(69);
    const nowhere = `azure-blob://${azurite.account}/nowhere/x`;
    const container = await fetchConfig([nowhere, '--optional', '--to', join(place, 'f')]);
    expect(container.stderr).toContain('has a container that does not exist (404)');
    expect(container.status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
    const words = [at('nope'), at("a b/ü!'()*+.json"), '--optional', '--format', 'json'];
    const left = await fetchConfig([...words, '--to', join(place, 'f')]);
    expect(left.stderr).toContain('config/nope: left out');
    expect(left.status).toBe(0);
  });

  test('a prefix, and a whole container, fill a folder; the same again changes nothing', async () => {
    for (let n = 0; n < 60; n++) await put(`/config/in/many/${n}`, `value ${n}`);
    await put('/config/in/app.yaml', 'a: 1\n');
    await put('/config/in/empty', '');
    await put('/config/in/deep/%C3%BC%20%2B%26%3C%22.txt', 'umlaut');
    await put('/config/in/large.bin', large);
    await put('/config/inside', 'not below it');
    const place = folder();
    const to = join(place, 'in');
    const first = await fetchConfig([at('in/'), '--to', to]);
    expect(first.stderr).toMatch(/has 64 files \(3.* MiB\) of azure-blob:\/\/devstoreaccount1\/config\/in\//);
    expect(first.status).toBe(0);
    expect(readFileSync(join(to, 'many/59'), 'utf8')).toBe('value 59');
    expect(readFileSync(join(to, 'deep/ü +&<".txt'), 'utf8')).toBe('umlaut');
    expect(readFileSync(join(to, 'large.bin')).equals(large)).toBe(true);
    expect((await fetchConfig([at('in/'), '--to', to])).stderr).toContain('holds already');
    await azurite.call('DELETE', '/config/in/app.yaml');
    await put('/config/in/many/0', 'changed');
    expect((await fetchConfig([at('in/'), '--to', to])).status).toBe(0);
    expect(readFileSync(join(to, 'many/0'), 'utf8')).toBe('changed');
    expect(readdirSync(to)).not.toContain('app.yaml');
    const none = await fetchConfig([at('nothing/'), '--to', join(place, 'other')]);
    expect(none.stderr).toContain('config/nothing/ has no object below it');
    expect(none.status).toBe(69);
    const all = await fetchConfig([at(''), '--to', join(place, 'all')]);
    expect(all.status).toBe(0);
    expect(readdirSync(join(place, 'all'))).toContain('inside');
  });
});

/** Answers as Blob Storage is documented, or as something that took its place; it gives a token too. */
async function answering(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<{ env: Record<string, string>; url: string; requests: IncomingMessage[] } & Disposable> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      response.end('{"access_token":"token-canary","expires_in":3599}');
      return;
    }
    requests.push(request);
    answer(request, response, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  return {
    url,
    env: {
      AZURE_AUTHORITY_HOST: url,
      AZURE_TENANT_ID: 'tenant',
      AZURE_CLIENT_ID: 'client',
      AZURE_CLIENT_SECRET: 'secret-canary',
      INITBOX_AZURE_BLOB_URL: url,
    },
    requests,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const refusal = (code: string, message: string): string =>
  `\uFEFF<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}\nRequestId:1</Message></Error>`;

describe.skipIf(missing)('what answers in its place', () => {
  const body = randomBytes(2 << 20);
  const md5 = createHash('md5').update(body).digest('base64');
  const args = (place: string, source = 'azure-blob://shop/config/a/key'): string[] => [
    'fetch-config',
    source,
    '--to',
    join(place, 'f'),
    '--log-level',
    'debug',
    '--timeout',
    '20s',
  ];

  test('a body that is cut off goes on with If-Match, and is compared with its MD5', async () => {
    using server = await answering((request, response, count) => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      if (count === 1) {
        response.writeHead(200, { ETag: '"0x8D1"', 'Content-MD5': md5, 'Content-Length': body.length });
        response.write(body.subarray(0, 1_500_000), () => response.destroy());
        return;
      }
      response.writeHead(206, {
        ETag: '"0x8D1"',
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
    expect(first?.url).toBe('/shop/config/a/key');
    expect(first?.headers.authorization).toBe('Bearer token-canary');
    expect(first?.headers['x-ms-version']).toBe('2021-12-02');
    expect(second?.headers['if-match']).toBe('"0x8D1"');
    expect(second?.headers['if-range']).toBeUndefined();
  });

  test('a blob that changes while it comes is fetched from the start, and a version by its ID', async () => {
    let version = '2026-11-27T20:15:00.1234567Z';
    using server = await answering((request, response, count) => {
      response.setHeader('x-ms-version-id', version);
      if (count === 1) {
        response.writeHead(200, { ETag: '"0x1"', 'Content-Length': body.length });
        response.write(body.subarray(0, 1_500_000), () => response.destroy());
      } else if (request.headers['if-match'] === '"0x1"')
        response.writeHead(412).end(refusal('ConditionNotMet', 'no'));
      else response.writeHead(200, { ETag: '"0x2"' }).end('another');
    });
    const place = folder();
    const source = 'azure-blob://shop/config/key?version=2026-11-27T20:15:00.1234567Z';
    const { status, stderr } = await runInitbox(args(place, source), { env: server.env });
    expect(stderr).toContain('has changed while it came');
    expect(status).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('another');
    expect(server.requests[0]?.url).toBe('/shop/config/key?versionid=2026-11-27T20%3A15%3A00.1234567Z');
    version = '2026-11-27T20:16:00.1234567Z';
    const other = folder();
    const wrong = await runInitbox(args(other, source), { env: server.env });
    expect(wrong.stderr).toContain('is not the version that was asked for: its ID is another one');
    expect(wrong.status).toBe(69);
    expect(readdirSync(other)).toEqual([]);
  });

  test('a body that ends with its connection is not taken for whole', async () => {
    using server = await answering((_request, response) => {
      response.socket?.end('HTTP/1.1 200 OK\r\nETag: "0x1"\r\nConnection: close\r\n\r\nval');
    });
    const place = folder();
    const { status, stderr } = await runToDeadline([...args(place).slice(0, -1), '1500ms'], {
      env: server.env,
    });
    expect(stderr).toContain('has no length or sum by which it would be known for whole');
    expect(status).toBe(124);
    expect(readdirSync(place)).toEqual([]);
  });

  test('bytes that do not fit their MD5 never appear', async () => {
    using server = await answering((_request, response) =>
      response.writeHead(200, { ETag: '"0x1"', 'Content-MD5': md5 }).end('damaged'),
    );
    const place = folder();
    const { status, stderr } = await runToDeadline([...args(place).slice(0, -1), '1500ms'], {
      env: server.env,
    });
    expect(stderr).toContain('came with another MD5 than Blob Storage keeps of it');
    expect(status).toBe(124);
    expect(readdirSync(place)).toEqual([]);
  });

  test.each([
    [
      'a denial that repeats the token',
      403,
      refusal('AuthorizationPermissionMismatch', 'This request is not authorized token-canary'),
      {},
      /access is denied \(as client\): AuthorizationPermissionMismatch: .*\[redacted\][\s\S]*Storage Blob Data Reader/,
    ],
    [
      'a wrong tenant',
      401,
      refusal('InvalidAuthenticationInfo', 'Issuer validation failed'),
      {},
      /Azure rejected the credentials \(as client\)/,
    ],
    [
      'an archive',
      409,
      refusal('BlobArchived', 'archived'),
      {},
      /is archived, and cannot be read before it is rehydrated/,
    ],
    ['a page', 404, '<html>page-canary</html>', {}, /gave an answer that is not from Blob Storage \(404\)/],
    [
      'a redirect',
      302,
      '',
      { Location: 'http://127.0.0.1:1/' },
      /answered 302, a redirect, and a token goes to one place only/,
    ],
    [
      'a code of its header alone',
      404,
      '',
      { 'x-ms-error-code': 'BlobNotFound' },
      /does not exist \(as client\)/,
    ],
  ])('%s ends it', async (_name, code, text, headers, words) => {
    using server = await answering((_request, response) => response.writeHead(code, headers).end(text));
    const place = folder();
    const { status, stderr } = await runInitbox(args(place), { env: server.env });
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  const blob = (name: string, more = ''): string =>
    `<Blob><Name>${name}</Name><Properties><Last-Modified>Fri, 27 Nov 2026 20:00:00 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>2</Content-Length>${more}</Properties></Blob>`;
  const list = (blobs: string, next = ''): string =>
    `\uFEFF<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${blobs}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
  const listing = (text: string, etag = '"0x1"', content = 'ab') =>
    answering((request, response) => {
      if (request.url?.includes('comp=list')) response.writeHead(200).end(text);
      else response.writeHead(200, { ETag: etag }).end(content);
    });
  const fill = (place: string, timeout = '20s'): string[] => [
    'fetch-config',
    'azure-blob://shop/config/p/',
    '--to',
    join(place, 'in'),
    '--timeout',
    timeout,
  ];

  test('pages, names that XML cannot have, and folders of Data Lake', async () => {
    using server = await answering((request, response) => {
      const { searchParams, pathname } = new URL(request.url ?? '', 'http://x');
      if (searchParams.get('comp') !== 'list')
        response.writeHead(200, { ETag: '"0x1"' }).end(pathname.slice(-2));
      else if (searchParams.get('marker') === 'a&b')
        response.writeHead(200).end(list(blob('p/folder/z&amp;')));
      else
        response
          .writeHead(200)
          .end(
            list(
              `${blob('p/folder', '<ResourceType>directory</ResourceType>').replace('>2<', '>0<')}<Blob><Name Encoded="true">p/%EF%BF%BE</Name>${blob('').replace('<Blob><Name></Name>', '')}`,
              'a&amp;b',
            ),
          );
    });
    const place = folder();
    expect((await runInitbox(fill(place), { env: server.env })).status).toBe(0);
    expect(shownIn(join(place, 'in')).includes('z&')).toBe(true);
    expect(
      readdirSync(join(place, 'in'))
        .filter((name) => !name.startsWith('..'))
        .toSorted(),
    ).toEqual(['folder', '\uFFFE']);
  });

  test('what stands in a comment is none, and references to characters are read', async () => {
    using server = await listing(
      list(`<!-- ${blob('p/hidden')} -->${blob('p/a&#252;&#x62;')}${blob('p/<![CDATA[c&]]>')}`),
    );
    const place = folder();
    expect((await runInitbox(fill(place), { env: server.env })).status).toBe(0);
    expect([...new Set(shownIn(join(place, 'in')))].toSorted()).toEqual(['aüb', 'c&']);
  });

  test.each([
    ['another prefix', list(blob('other/x')), 124],
    ['no size', list(blob('p/x').replace('>2<', '>x<')), 124],
    ['no ETag', list(blob('p/x').replace('0x1', '')), 124],
    ['a page', '<html></html>', 124],
    ['an end inside of it', list(blob('p/x')).replace(/<\/Blobs>.*/, ''), 124],
    ['an end inside of its marker', list(blob('p/x')).replace(/(<NextMar)ker>.*/, '$1'), 124],
    ['no marker', list(blob('p/x')).replace('<NextMarker></NextMarker>', ''), 124],
    ['an unknown entity', list(blob('p/&e;')), 124],
    ['a character that XML has not', list(blob('p/a&#0;b')), 124],
    [
      'the name of another container',
      list(blob('p/x')).replace('Results>', 'Results ContainerName="other">'),
      124,
    ],
    ['another prefix said', list(blob('p/x')).replace('<Blobs>', '<Prefix>other/</Prefix><Blobs>'), 124],
    ['names that lead out', list(blob('p/../../escaped')), 69],
    ['names that differ in capitals', list(blob('p/a') + blob('p/A')), 69],
  ] as const)('a list with %s writes nothing', async (_name, text, wanted) => {
    using server = await listing(text);
    const place = folder();
    const { status } = await runToDeadline(
      ['fetch-config', ...fill(place, wanted === 124 ? '1500ms' : '20s').slice(1)],
      { env: server.env },
    );
    expect(status).toBe(wanted);
    expect(shownIn(place)).toEqual([]);
  });

  test.each([
    ['another ETag', '"0x2"', 'ab', /is not the version that was listed/],
    ['more bytes', '"0x1"', 'abc', /the body has/],
  ])('a listed blob that is answered with %s ends it', async (_name, etag, content, words) => {
    using server = await listing(list(blob('p/x')), etag, content);
    const place = folder();
    const { status, stderr } = await runInitbox(fill(place), { env: server.env });
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(server.requests.at(-1)?.headers['if-match']).toBe('"0x1"');
    expect(shownIn(place)).toEqual([]);
  });
});
