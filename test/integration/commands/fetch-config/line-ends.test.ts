// Bytes behind the announced length, line ends among them: a file that was cut off would look whole.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { respond, startFaultServer, type Behaviour } from './fault-server.ts';

const folder = memoryFolders();

/** Announces so many bytes less than there are. */
const short = (body: string, by: number, headers: Record<string, string> = {}): Behaviour =>
  respond(200, body, { ...headers, 'Content-Length': String(body.length - by) });

describe('line ends behind the announced length are refused', () => {
  test.each([
    ['LF', 'abcdefghi\n', 1],
    ['CR LF', 'abcdefghi\r\n', 2],
    ['two LF', 'abcdefghi\n\n', 2],
    ['the LF of a CR LF', 'abcdefghi\r\n', 1],
    ['many', `abcdefghi${'\n'.repeat(1000)}`, 1000],
    ['behind a length of 0', '\n', 1],
    ['a text behind a length of 0', 'abc', 3],
  ])('%s', async (_name, body, by) => {
    await using server = await startFaultServer({ '/f': short(body, by) });
    const to = join(folder(), 'out');
    for (const more of [[], ['--decompress']]) {
      const { status, stderr } = await runInitbox([
        'fetch-config',
        `${server.url}/f`,
        '--to',
        to,
        '--public',
        '--timeout',
        '20s',
        ...more,
      ]);
      expect(stderr).toContain('bytes follow its end');
      expect(status).toBe(69);
      expect(existsSync(to)).toBe(false);
    }
  });

  test('behind chunks', async () => {
    const chunked: Behaviour = (socket) =>
      void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\r\n');
    await using server = await startFaultServer({ '/f': chunked });
    const { status, stderr } = await runInitbox([
      'fetch-config',
      `${server.url}/f`,
      '--to',
      join(folder(), 'out'),
      '--public',
      '--timeout',
      '20s',
    ]);
    expect(stderr).toContain('is not framed as HTTP requires (bytes follow its end)');
    expect(status).toBe(69);
  });

  test('of Vault', async () => {
    await using server = await startFaultServer({
      '/v1/secret/a': short('{"data":{"key":"value"}}\n', 1, { 'Content-Type': 'application/json' }),
    });
    const { status, stderr } = await runInitbox(
      ['fetch-config', 'vault:secret/a?kv=1#key', '--to', join(folder(), 'out'), '--timeout', '20s'],
      { env: { VAULT_ADDR: server.url, VAULT_TOKEN: 'hvs.a-token-that-was-given' } },
    );
    expect(stderr).toContain('bytes follow its end');
    expect(status).toBe(69);
  });

  test('a wait takes no file, and does not mind them', async () => {
    await using server = await startFaultServer({ '/f': short('ok\r\n', 2) });
    const { status } = await runInitbox(['wait-http', `${server.url}/f`, '--body', 'ok', '--timeout', '20s']);
    expect(status).toBe(0);
  });
});

describe('an answer 304 tells nothing of the media type', () => {
  const type = { ETag: '"e1"', 'Content-Type': 'application/json' };
  const serve: Behaviour = (socket, request) =>
    /if-none-match: "e1"/i.test(request)
      ? void socket.write('HTTP/1.1 304 X\r\nETag: "e1"\r\n\r\n')
      : respond(200, '{}', type)(socket, request);

  test('another expectation asks for the body anew', async () => {
    await using server = await startFaultServer({ '/x.json': serve });
    const place = folder();
    const fetch = (...more: string[]) =>
      runInitbox([
        'fetch-config',
        `${server.url}/x.json`,
        '--to',
        join(place, 'out'),
        '--public',
        '--timeout',
        '20s',
        '--etag-file',
        join(place, 'etag'),
        ...more,
      ]);
    const asked = (): boolean => server.requests.at(-1)!.headers.includes('if-none-match: "e1"');
    expect((await fetch()).status).toBe(0);
    expect((await fetch()).status).toBe(0);
    expect(asked()).toBe(true);
    for (let run = 0; run < 2; run++) {
      const { status, stderr } = await fetch('--content-type', 'text/plain');
      expect(stderr).toContain('answered 200 with application/json, not text/plain');
      expect(status).toBe(69);
      expect(asked()).toBe(false);
    }
    expect((await fetch('--content-type', 'application/json')).status).toBe(0);
    expect(asked()).toBe(false);
    expect((await fetch('--content-type', 'Application/JSON')).status).toBe(0);
    expect(asked()).toBe(true);
    expect((await fetch()).status).toBe(0);
    expect(asked()).toBe(false);
    expect(readFileSync(join(place, 'out'), 'utf8')).toBe('{}');
  });
});

test('the rest of a body as a web page is told with its own status', async () => {
  const body = 'x'.repeat(100_000);
  const cut: Behaviour = (socket) =>
    socket.end(
      `HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 60_000)}`,
    );
  const rest: Behaviour = respond(206, body.slice(60_000), {
    ETag: '"v1"',
    'Content-Type': 'text/html',
    'Content-Range': `bytes 60000-${body.length - 1}/${body.length}`,
  });
  await using server = await startFaultServer({ '/f': [cut, rest] });
  const { stderr } = await runInitbox([
    'fetch-config',
    `${server.url}/f`,
    '--to',
    join(folder(), 'out'),
    '--public',
    '--timeout',
    '20s',
  ]);
  expect(stderr).toContain('answered 206 with a web page');
});

test('a webhook is shown without a query that it does not have', async () => {
  const hook = '/services/T04ABCD12/B05EFGH34/aZ9kLmNoPqRsTuVwXyZ12345';
  for (const [query, shown] of [
    ['', '/services/[redacted] '],
    ['?a=b&token=0123456789abcdef', '/services/[redacted]?… '],
  ] as const) {
    const { stderr } = await runInitbox([
      'wait-http',
      `http://127.0.0.1:1${hook}${query}`,
      '--timeout',
      '1s',
    ]);
    expect(stderr).toContain(shown);
    expect(stderr).not.toContain('aZ9kLmNo');
  }
});

test.each(['--tls-server-name', 'VAULT_TLS_SERVER_NAME'])('no final dot goes into SNI: %s', async (by) => {
  const place = folder();
  using authority = await createCertificateAuthority();
  const asked: string[] = [];
  const { key, certificate: cert } = await authority.server(['api.test']);
  await using server = await startFaultServer(
    {
      '/f': respond(200, 'ok'),
      '/v1/secret/a': respond(200, '{"data":{"key":"value"}}', { 'Content-Type': 'application/json' }),
    },
    { key, cert, SNICallback: (name, done) => (asked.push(name), done(null)) },
  );
  const vault = by.startsWith('VAULT');
  const source = vault ? 'vault:secret/a?kv=1#key' : `${server.url}/f`;
  const { status } = await runInitbox(
    [
      'fetch-config',
      source,
      '--to',
      join(place, 'out'),
      '--allow-disk',
      '--timeout',
      '20s',
      ...(vault ? [] : ['--ca-file', authority.certificateFile, by, 'api.test.']),
    ],
    {
      env: vault
        ? {
            VAULT_ADDR: server.url,
            VAULT_TOKEN: 'hvs.a-token-that-was-given',
            VAULT_CACERT: authority.certificateFile,
            [by]: 'api.test.',
          }
        : {},
    },
  );
  expect(status).toBe(0);
  expect(asked).toEqual(['api.test']);
});

test('a password file that looks like a template is refused, and not shown', async () => {
  const place = folder();
  for (const text of ['{{ Xk9vQ2 }}', '$(Xk9vQ2)', '${Xk9vQ2}']) {
    writeFileSync(join(place, 'password'), text);
    const running = await startInitbox(
      [
        'fetch-config',
        'vault:secret/a',
        '--to',
        join(place, 'out'),
        '--vault-user',
        'u',
        '--vault-password-file',
        join(place, 'password'),
      ],
      { env: { VAULT_ADDR: 'http://127.0.0.1:1' } },
    );
    const { status, stderr } = await running.exit;
    expect(stderr).toContain('password (--vault-password-file) cannot be used: a ');
    expect(stderr).not.toContain('Xk9vQ2');
    expect(status).toBe(2);
  }
});
