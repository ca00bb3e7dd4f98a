import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { createCertificateAuthority, type CertificateAuthority } from '../../../support/tls.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { respond, startFaultServer, type Behaviour } from './fault-server.ts';

let work: ReturnType<typeof temporaryDirectory>;
let authority: CertificateAuthority;
beforeAll(async () => {
  work = temporaryDirectory('fetch-http');
  authority = await createCertificateAuthority();
});
afterAll(() => {
  work.remove();
  authority.remove();
});

let count = 0;
/** A folder of its own for each test, on disk: what plain http serves is no secret. */
function folder(): string {
  const path = join(work.path, String(count++));
  mkdirSync(path);
  return path;
}

const body = 'setting: 1\nother: "two"\n';
const sum = createHash('sha256').update(body).digest('hex');

describe('content', () => {
  test('is written as it is, with mode 0444, also to a disk, and its sum is checked', async () => {
    await using server = await startFaultServer({ '/app.yaml': respond(200, body) });
    const target = join(folder(), 'app.yaml');
    const result = await runInitbox([
      'fetch-config',
      `${server.url}/app.yaml`,
      '--sha256',
      sum,
      '--to',
      target,
    ]);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(readFileSync(target, 'utf8')).toBe(body);
    expect(statSync(target).mode & 0o7777).toBe(0o444);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]?.line).toBe('GET /app.yaml HTTP/1.1');
  });

  test('a page is taken where a page is wanted', async () => {
    await using server = await startFaultServer({
      '/': respond(200, '<html>', { 'Content-Type': 'text/html' }),
    });
    const target = join(folder(), 'index.html');
    expect((await runInitbox(['fetch-config', `${server.url}/`, '--to', target])).status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('<html>');
  });

  test('an archive is written as it is, also where its server calls the compression an encoding', async () => {
    const gzip = respond(200, body, { 'Content-Encoding': 'gzip' });
    await using server = await startFaultServer({ '/site.tar.gz': gzip, '/f': gzip });
    const place = folder();
    const named = await runInitbox(['fetch-config', `${server.url}/site.tar.gz`, '--to', join(place, 'a')]);
    expect(named.status).toBe(0);
    const summed = ['fetch-config', `${server.url}/f`, '--sha256', sum, '--to', join(place, 'b')];
    expect((await runInitbox(summed)).status).toBe(0);
    expect([readFileSync(join(place, 'a'), 'utf8'), readFileSync(join(place, 'b'), 'utf8')]).toEqual([
      body,
      body,
    ]);
  });

  test.each(['aws-chunked', 'identity, AWS-Chunked', 'utf-8'])(
    'what is called the encoding %s is not encoded',
    async (encoding) => {
      await using server = await startFaultServer({
        '/f': respond(200, body, { 'Content-Encoding': encoding }),
      });
      const target = join(folder(), 'f');
      expect((await runInitbox(['fetch-config', `${server.url}/f`, '--to', target])).status).toBe(0);
      expect(readFileSync(target, 'utf8')).toBe(body);
    },
  );

  test('chunks, a field of a JSON body, and digits that stay', async () => {
    const json = '{"port":1.10,"id":12345678901234567890}';
    await using server = await startFaultServer({
      '/c': (socket) =>
        socket.write(
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n${json.slice(0, 5)}\r\n${(json.length - 5).toString(16)}\r\n${json.slice(5)}\r\n0\r\n\r\n`,
        ),
    });
    const place = folder();
    expect((await runInitbox(['fetch-config', `${server.url}/c#id`, '--to', join(place, 'id')])).status).toBe(
      0,
    );
    expect(readFileSync(join(place, 'id'), 'utf8')).toBe('12345678901234567890');
    expect(
      (
        await runInitbox([
          'fetch-config',
          `${server.url}/c`,
          '--format',
          'properties',
          '--to',
          join(place, 'p'),
        ])
      ).status,
    ).toBe(0);
    expect(readFileSync(join(place, 'p'), 'utf8')).toContain('1.10');
  });
});

describe('a rerun', () => {
  test('with --etag-file downloads nothing that has not changed, and notices what has, here or there', async () => {
    let version = 1;
    const answer: Behaviour = (socket, request) => {
      const etag = `"v${version}"`;
      const known = request.toLowerCase().includes(`if-none-match: ${etag}`);
      const reply = known
        ? respond(304, '', { ETag: etag })
        : respond(200, `body ${version}`, { ETag: etag });
      reply(socket, request);
    };
    await using server = await startFaultServer({ '/f': answer, '/g': answer });
    const place = folder();
    const target = join(place, 'f');
    const run = async (path = '/f') => {
      const { status } = await runInitbox([
        'fetch-config',
        `${server.url}${path}`,
        '--to',
        target,
        '--etag-file',
        join(place, '.etag'),
      ]);
      expect(status).toBe(0);
      return {
        body: readFileSync(target, 'utf8'),
        asked: server.requests.at(-1)?.headers.find((header) => header.startsWith('if-none-match')),
      };
    };
    expect(await run()).toEqual({ body: 'body 1', asked: undefined });
    const before = statSync(target);
    expect(await run()).toEqual({ body: 'body 1', asked: 'if-none-match: "v1"' });
    expect(statSync(target)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    version = 2;
    expect(await run()).toEqual({ body: 'body 2', asked: 'if-none-match: "v1"' });
    rmSync(target);
    writeFileSync(target, 'changed by hand');
    expect(await run()).toEqual({ body: 'body 2', asked: undefined });
    expect((await run('/g')).asked).toBeUndefined();
  });

  test.each(['W/"e1"', ''])(
    'an answer 304 with a weak ETag, or with none (%s), gives the file no other: what changes later still comes',
    async (other) => {
      let gave = 0;
      await using server = await startFaultServer({
        '/f': (socket, request) => {
          const asked = /if-none-match: (.*)/i.exec(request)?.[1];
          const headers = other === '' ? {} : { ETag: other };
          if (asked === undefined) return respond(200, 'one', { ETag: '"e1"' })(socket, request);
          // A cache on the way that mixes two answers up, once.
          if (asked === other || gave++ === 0) return respond(304, '', headers)(socket, request);
          return respond(200, 'two', { ETag: '"e2"' })(socket, request);
        },
      });
      const place = folder();
      const args = ['fetch-config', `${server.url}/f`, '--to', join(place, 'f')];
      const said: string[] = [];
      for (let run = 1; run <= 3; run++) {
        const { status, stderr } = await runInitbox([...args, '--etag-file', join(place, 'etag')]);
        expect(status, stderr).toBe(0);
        said.push(readFileSync(join(place, 'f'), 'utf8'));
      }
      expect(said).toEqual(['one', 'one', 'two']);
    },
  );

  test.each(['"e2"', 'W/"e2"', 'e2'])(
    'an answer 304 about another version (%s) says nothing of the file: it is asked for without a condition',
    async (other) => {
      const asked: (string | undefined)[] = [];
      await using server = await startFaultServer({
        '/f': (socket, request) => {
          const condition = /if-none-match: (.*)/i.exec(request)?.[1];
          asked.push(condition);
          if (asked.length === 1) return respond(200, 'one', { ETag: '"e1"' })(socket, request);
          if (condition === undefined) return respond(200, 'two', { ETag: other })(socket, request);
          return respond(304, '', { ETag: other })(socket, request);
        },
      });
      const place = folder();
      const args = ['fetch-config', `${server.url}/f`, '--to', join(place, 'f')];
      const said: string[] = [];
      for (let run = 1; run <= 3; run++) {
        const { status, stderr } = await runInitbox([...args, '--etag-file', join(place, 'etag')]);
        expect(status, stderr).toBe(0);
        said.push(readFileSync(join(place, 'f'), 'utf8'));
      }
      expect(said).toEqual(['one', 'two', 'two']);
      expect(asked).toEqual([undefined, '"e1"', undefined, other]);
    },
  );

  test('with --sha256 asks for nothing where the file is right already', async () => {
    await using server = await startFaultServer({ '/f': respond(200, body) });
    const target = join(folder(), 'f');
    const args = ['fetch-config', `${server.url}/f`, '--sha256', sum, '--to', target];
    for (let round = 0; round < 3; round++) expect((await runInitbox(args)).status).toBe(0);
    expect(server.requests).toHaveLength(1);
    rmSync(target);
    writeFileSync(target, 'other');
    expect((await runInitbox(args)).status).toBe(0);
    expect(server.requests).toHaveLength(2);
    expect(readFileSync(target, 'utf8')).toBe(body);
  });

  test('an ETag is kept for content alone', async () => {
    const { status, stderr } = await runInitbox(
      ['fetch-config', 'vault:secret/a#b', '--to', '/dev/shm/x', '--etag-file', '/dev/shm/y'],
      { env: { VAULT_ADDR: 'http://127.0.0.1:1', VAULT_TOKEN: 't' } },
    );
    expect(status).toBe(2);
    expect(stderr).toContain('--etag-file is for one http or https source without credentials');
  });
});

describe('what passes is waited for', () => {
  test('a server that comes up later, 503, 429, a reset, half a body: then the file is whole', async () => {
    const half: Behaviour = (socket) => {
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 7)}`);
    };
    await using server = await startFaultServer({
      '/f': [
        respond(503, 'no'),
        respond(429, 'slow down'),
        (socket) => socket.resetAndDestroy(),
        (socket) => socket.destroy(),
        half,
        respond(200, body),
      ],
    });
    const target = join(folder(), 'f');
    const { status, stderr } = await runInitbox([
      'fetch-config',
      `${server.url}/f`,
      '--to',
      target,
      '--log-level',
      'debug',
      '--timeout',
      '20s',
    ]);
    expect(status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe(body);
    expect(stderr).toContain('answered 503');
    expect(stderr).toContain('answered 429');
    expect(stderr).toContain('connection reset');
    expect(stderr).toMatch(/ended inside the body, after 7 B of the 24 B announced/);
    expect(server.requests).toHaveLength(6);
  });

  test('a refused connection', async () => {
    const port = await freePort();
    const target = join(folder(), 'f');
    const waiting = await startInitbox([
      'fetch-config',
      `http://127.0.0.1:${port}/f`,
      '--to',
      target,
      '--timeout',
      '20s',
    ]);
    await waiting.waitForStderr(/connection refused \(127\.0\.0\.1\)/);
    const server = createTcpServer((socket) =>
      socket
        .on('error', () => undefined)
        .once('data', () => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`)),
    );
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const { status } = await waiting.exit;
    server.close();
    expect(status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('ok');
  });
});

describe('a stall is cut by the deadline, and the last words say where', () => {
  const stalls: readonly (readonly [string, RegExp, Behaviour])[] = [
    ['before the headers', /waiting for a response from 127\.0\.0\.1:\d+/, () => undefined],
    [
      'inside the headers',
      /waiting for a response/,
      (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Le'),
    ],
    [
      'inside the body',
      /receiving the body \(3 B of 24 B\)|ended inside the body/,
      (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\nset'),
    ],
    [
      'byte by byte',
      /receiving the body|ended inside the body/,
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n');
        const drip = setInterval(() => socket.write('x'), 50);
        socket.on('close', () => clearInterval(drip));
      },
    ],
  ];
  test.each(stalls)('%s', async (_where, words, behaviour) => {
    await using server = await startFaultServer({ '/f': behaviour });
    const place = folder();
    const log = terminationLog();
    const { status, stderr } = await runToDeadline(
      [
        'fetch-config',
        `${server.url}/f`,
        '--to',
        join(place, 'f'),
        '--timeout',
        '1s',
        '--termination-log',
        log.path,
      ],
      { answered: (said) => words.test(said) },
    );
    expect(status).toBe(124);
    expect(stderr).toMatch(words);
    expect(log.read()).toMatch(words);
    expect(readdirSync(place)).toEqual([]);
  });

  test('in the TLS handshake', async () => {
    const server = createTcpServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { status, stderr } = await runToDeadline(
      ['fetch-config', `https://127.0.0.1:${port}/f`, '--to', join(folder(), 'f'), '--timeout', '1s'],
      { answered: (said) => said.includes('TLS handshake') },
    );
    server.close();
    expect(status).toBe(124);
    expect(stderr).toMatch(/TLS handshake with 127\.0\.0\.1:\d+/);
  });

  test('SIGTERM ends it at once', async () => {
    await using server = await startFaultServer({ '/f': () => undefined });
    const place = folder();
    const running = await startInitbox(['fetch-config', `${server.url}/f`, '--to', join(place, 'f')]);
    await expect.poll(() => server.requests.length, { timeout: 10_000 }).toBe(1);
    running.kill('SIGTERM');
    const { status } = await within(promptly, running.exit);
    expect(status).toBe(143);
    expect(readdirSync(place)).toEqual([]);
  });
});

describe('what stays wrong ends it at once, with 69 and nothing written', () => {
  const huge: Behaviour = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const push = (): void => {
      while (!socket.destroyed && socket.write(chunk));
      socket.once('drain', push);
    };
    push();
  };
  const cases: readonly (readonly [string, Behaviour, readonly string[], RegExp])[] = [
    [
      '10 GB announced',
      (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n'),
      [],
      /has 10 GiB, over the limit of 16 MiB \(--max-size\)/,
    ],
    ['a body without end', huge, [], /has more than the limit of 16 MiB/],
    [
      'a body over --max-size',
      respond(200, 'x'.repeat(2000)),
      ['--max-size', '1Ki'],
      /over the limit of 1 KiB/,
    ],
    ['404', respond(404, 'no'), [], /answered 404/],
    ['401', respond(401, 'no'), [], /answered 401[\s\S]*--header-file/],
    [
      'a login page',
      respond(200, '<html>Sign in', { 'Content-Type': 'text/html; charset=utf-8' }),
      [],
      /a web page[\s\S]*login page/,
    ],
    [
      'another sum',
      respond(200, 'other'),
      ['--sha256', sum],
      /has the SHA-256 d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa, not/,
    ],
    [
      'another type',
      respond(200, '{}', { 'Content-Type': 'application/json' }),
      ['--content-type', 'application/yaml'],
      /with application\/json, not application\/yaml/,
    ],
    ['no HTTP', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), [], /does not speak HTTP/],
    [
      'a redirect to another origin',
      respond(302, '', { Location: 'http://localhost:1/other' }),
      [],
      /302 to http:\/\/localhost:1\/other: not followed, it is another origin/,
    ],
    ['a redirect without end', respond(302, '', { Location: '/f' }), [], /--redirects allows 1/],
    [
      'a redirect to a file',
      respond(302, '', { Location: 'file:///etc/passwd' }),
      ['--cross-origin'],
      /file: is not a web address/,
    ],
    [
      'more than was announced',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsetting: 1\n'),
      [],
      /sent more than the 5 B that it announced/,
    ],
    [
      'chunks that are none',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nset\r\nzz\r\n'),
      [],
      /is not framed as HTTP requires/,
    ],
    [
      'a body that is compressed, though nobody asked for that',
      respond(200, 'abc', { 'Content-Encoding': 'gzip' }),
      [],
      /Content-Encoding gzip, though none was requested[\s\S]*--sha256/,
    ],
    ['truncated JSON', respond(200, '{"a": "b'), ['--format', 'json'], /ends in the middle of the JSON/],
    ['a field of what is no JSON', respond(200, 'plain'), ['FIELD'], /has no field "a": it is not JSON/],
  ];
  test.each(cases)('%s', async (_what, behaviour, flags, words) => {
    await using server = await startFaultServer({ '/f': behaviour });
    const place = folder();
    const field = flags[0] === 'FIELD' ? '#a' : '';
    const { status, stderr, milliseconds } = await runInitbox([
      'fetch-config',
      `${server.url}/f${field}`,
      '--to',
      join(place, 'f'),
      ...flags.filter((flag) => flag !== 'FIELD'),
    ]);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(milliseconds).toBeLessThan(20_000);
    expect(readdirSync(place)).toEqual([]);
  });
});

describe('credentials', () => {
  test('headers from a file and a variable are sent, and make a secret of the body', async () => {
    await using server = await startFaultServer({ '/f': respond(200, 'value-canary-1') });
    const place = folder();
    writeFileSync(join(place, '.headers'), 'Authorization: Bearer token-canary-2\n');
    const args = [
      'fetch-config',
      `${server.url}/f`,
      '--header-file',
      join(place, '.headers'),
      '--header-env',
      'X-Key=API_KEY',
      '--log-level',
      'debug',
    ];
    const env = { API_KEY: 'key-canary-3' };
    const refused = await runInitbox([...args, '--to', join(place, 'f')], { env });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/tmpfs|memory/);
    expect(server.requests).toHaveLength(0);
    const taken = await runInitbox([...args, '--to', join(place, 'f'), '--allow-disk'], { env });
    expect(taken.status).toBe(0);
    expect(server.requests[0]?.headers).toContain('authorization: bearer token-canary-2');
    expect(server.requests[0]?.headers).toContain('x-key: key-canary-3');
    expect(statSync(join(place, 'f')).mode & 0o777).toBe(0o440);
    expect(refused.stderr + taken.stderr).not.toMatch(/canary/);
  });

  test('do not follow a redirect to another origin, unless it is allowed, and then without them', async () => {
    await using other = await startFaultServer({ '/g': respond(200, 'elsewhere') });
    await using server = await startFaultServer({
      '/f': respond(307, '', { Location: `${other.url.replace('127.0.0.1', 'localhost')}/g` }),
    });
    const place = folder();
    writeFileSync(join(place, '.headers'), 'X-Vault-Token: token-canary-4\n');
    const args = [
      'fetch-config',
      `${server.url}/f`,
      '--header-file',
      join(place, '.headers'),
      '--to',
      join(place, 'f'),
      '--allow-disk',
    ];
    expect((await runInitbox(args)).status).toBe(69);
    expect(other.requests).toHaveLength(0);
    expect((await runInitbox([...args, '--cross-origin'])).status).toBe(0);
    expect(other.requests).toHaveLength(1);
    expect(other.requests[0]?.headers.join('\n')).not.toContain('canary');
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('elsewhere');
  });

  test('a user and password in the URL work, are warned about and are nowhere', async () => {
    await using server = await startFaultServer({ '/f': respond(200, 'x-body') });
    const place = folder();
    const { status, stderr } = await runInitbox([
      'fetch-config',
      `${server.url.replace('://', '://app:pass-canary-5@')}/f?sig=sig-canary-6`,
      '--to',
      join(place, 'f'),
      '--allow-disk',
      '--log-level',
      'debug',
    ]);
    expect(status).toBe(0);
    expect(stderr).toContain('holds a password');
    expect(stderr).not.toContain('canary');
    expect(server.requests[0]?.headers).toContain(
      `authorization: basic ${Buffer.from('app:pass-canary-5').toString('base64').toLowerCase()}`,
    );
  });
});

describe('TLS', () => {
  test('a private authority, and a client’s certificate', async () => {
    const pair = await authority.server();
    const client = await authority.client('app');
    await using server = await startFaultServer(
      { '/f': respond(200, 'over tls') },
      {
        cert: pair.certificate,
        key: pair.key,
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: true,
      },
    );
    const place = folder();
    const to = ['--to', join(place, 'f'), '--allow-disk'];
    const untrusted = await runInitbox(['fetch-config', `${server.url}/f`, ...to]);
    expect(untrusted.status).toBe(69);
    expect(untrusted.stderr).toMatch(/authority that is not trusted here[\s\S]*--ca-file/);
    const trusted = ['fetch-config', `${server.url}/f`, ...to, '--ca-file', authority.certificateFile];
    const anonymous = await runInitbox(trusted);
    expect(anonymous.status).toBe(69);
    expect(anonymous.stderr).toMatch(/client certificate/);
    const known = await runInitbox([
      ...trusted,
      '--cert-file',
      client.certificateFile,
      '--key-file',
      client.keyFile,
    ]);
    expect(known.status).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('over tls');
  });

  const broken: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ['a certificate for another name', ['other.example'], 2, /is for another name: .*other\.example/s],
    [
      'a certificate that has expired',
      ['localhost', '127.0.0.1'],
      -1,
      /has expired \(valid from .* to .*\); the clock here says 20/,
    ],
  ];
  test.each(broken)('%s', async (_what, names, days, words) => {
    const pair = await authority.server(names, { days });
    await using server = await startFaultServer(
      { '/f': respond(200, 'x') },
      { cert: pair.certificate, key: pair.key },
    );
    const place = folder();
    const { status, stderr } = await runInitbox([
      'fetch-config',
      `${server.url}/f`,
      '--to',
      join(place, 'f'),
      '--ca-file',
      authority.certificateFile,
    ]);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(existsSync(join(place, 'f'))).toBe(false);
  });

  test('http where https is spoken, and the other way round', async () => {
    const pair = await authority.server();
    const plain = createHttpServer((_request, response) => response.end('x'));
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    await using secure = await startFaultServer(
      { '/f': respond(200, 'x') },
      { cert: pair.certificate, key: pair.key },
    );
    const to = ['--to', join(folder(), 'f'), '--timeout', '5s'];
    const wrong = await runInitbox([
      'fetch-config',
      `https://127.0.0.1:${(plain.address() as { port: number }).port}/f`,
      ...to,
    ]);
    plain.close();
    expect(wrong.stderr).toMatch(/does not speak TLS/);
    expect(wrong.status).toBe(69);
    const other = await runInitbox(['fetch-config', `${secure.url.replace('https:', 'http:')}/f`, ...to]);
    expect([69, 124]).toContain(other.status);
  });
});

describe('a proxy', () => {
  test('takes http by whole URLs and https by CONNECT, with its password', async () => {
    const pair = await authority.server(['config.internal']);
    await using target = await startFaultServer(
      { '/f': respond(200, 'behind') },
      { cert: pair.certificate, key: pair.key },
    );
    const { connect, createServer } = await import('node:net');
    const seen: string[] = [];
    const proxy = createServer((socket) => {
      socket
        .on('error', () => undefined)
        .once('data', (chunk) => {
          seen.push(chunk.toString('latin1'));
          if (!seen.at(-1)?.startsWith('CONNECT '))
            return socket.end('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nvia');
          const onward = connect(target.port, '127.0.0.1', () => {
            socket.write('HTTP/1.1 200 OK\r\n\r\n');
            socket.pipe(onward).pipe(socket);
          });
          return onward.on('error', () => socket.destroy());
        });
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = `http://user:proxy-canary-7@localhost:${(proxy.address() as { port: number }).port}`;
    const env = { HTTPS_PROXY: address, HTTP_PROXY: address };
    const place = folder();
    const plain = await runInitbox(['fetch-config', 'http://config.internal/f', '--to', join(place, 'a')], {
      env,
    });
    const secure = await runInitbox(
      [
        'fetch-config',
        'https://config.internal/f',
        '--to',
        join(place, 'b'),
        '--ca-file',
        authority.certificateFile,
      ],
      { env },
    );
    proxy.close();
    expect(plain.stderr + secure.stderr).not.toContain('canary');
    expect(readFileSync(join(place, 'a'), 'utf8')).toBe('via');
    expect(readFileSync(join(place, 'b'), 'utf8')).toBe('behind');
    expect(seen).toHaveLength(2);
    expect(seen[0]).toMatch(/^GET http:\/\/config\.internal\/f HTTP/);
    expect(seen[1]).toMatch(/^CONNECT config\.internal:443 HTTP/);
    expect(seen[1]).toContain(`Basic ${Buffer.from('user:proxy-canary-7').toString('base64')}`);
  });
});

describe('usage', () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['http://h/a'], /nothing says where to write/],
    [['--to', '/dev/shm/x'], /no source was given/],
    [['gopher://h/a', '--to', '/x'], /unknown scheme "gopher"/],
    [['http://h/a#b#c', '--to', '/x'], /more than one #/],
    [['http://h/a/../b', '--to', '/x'], /the path segment ".."/],
    [['http://h/a/%2e%2E/b', '--to', '/x'], /the path segment ".."/],
    [['http://h/a', '--to', '/x', '--sha256', 'abc'], /not a SHA-256 sum/],
    [['http://h/a', 'http://h/b', '--to', '/x', '--sha256', sum], /sum of one body/],
    [['http://h/a', '--env'], /needs the command/],
    [['http://h/a', '--env', '--to', '/x', '--', 'true'], /cannot be combined/],
    [['http://h/a', '--to', '/x', '--cert-file', '/nope'], /--cert-file needs --key-file/],
    [['http://h/a', '--to', '/x', '--ca-file', '/nope'], /--ca-file: there is no file \/nope/],
    [['http://h/a', '--to', '/x', '--header-env', 'A=NOT_SET_HERE'], /is not set/],
    [['http://h/a', '--to', '/x', '--max-size', 'many'], /is not a size/],
  ];
  test.each(wrong)('%s', async (args, words) => {
    const { status, stderr } = await runInitbox(['fetch-config', ...args]);
    expect(stderr).toMatch(words);
    expect(status).toBe(2);
  });
});
