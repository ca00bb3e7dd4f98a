import { readFileSync, writeFileSync } from 'node:fs';
import {
  createSecureServer,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';

import { afterAll, describe, expect, test } from 'vitest';

import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { serve, serveSockets } from './servers.ts';

const authority = await createCertificateAuthority();
const place = temporaryDirectory('http2');
afterAll(() => {
  authority.remove();
  place.remove();
});
const trusted = ['--ca-file', authority.certificateFile];

type Listener = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

async function listening(server: Server): Promise<{ port: number } & AsyncDisposable> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

const up: Listener = (_request, response) => response.end('{"status":"UP"}');

describe('h2c', () => {
  test('is ready by what its answer says; headers, a body and a status go and come', async () => {
    const seen: string[] = [];
    await using api = await listening(
      createServer((request, response) => {
        let body = '';
        request.on('data', (part: Buffer) => (body += part.toString()));
        request.on('end', () => {
          seen.push(
            `${request.method} ${request.url} ${request.authority} ${String(request.headers['x-key'])} ${body}`,
          );
          response.writeHead(201, { 'X-Version': '7' }).end('{"status":"UP"}');
        });
      }),
    );
    const headers = join(place.path, 'headers');
    writeFileSync(headers, 'X-Key: key-canary\nConnection-Hint: hint-canary\n');
    const body = join(place.path, 'body');
    writeFileSync(body, 'sent');
    const url = `h2c://127.0.0.1:${api.port}/debug/ready?x=1`;
    const given = ['--header-file', headers, '--request-body-file', body, '--expect-header', 'X-Version: 7'];
    const { status, stderr } = await runInitbox(['wait-http', url, ...given, '--json', '/status=UP']);
    expect(stderr).toContain(`${url} answered 201 (127.0.0.1:${api.port})`);
    expect(status).toBe(0);
    expect(seen).toEqual([`POST /debug/ready?x=1 127.0.0.1:${api.port} key-canary sent`]);
  });

  test('redirects stay in HTTP/2 on the same origin, and leave it for another', async () => {
    await using other = await serve((_request, response) => response.end('other'));
    await using api = await listening(
      createServer((request, response) => {
        if (request.url === '/new') return response.end('new');
        const to = request.url === '/old' ? '/new' : other.url;
        return response.writeHead(302, { location: to }).end();
      }),
    );
    const ask = (path: string, body: string) =>
      runInitbox([
        'wait-http',
        `h2c://127.0.0.1:${api.port}${path}`,
        '--redirects',
        '1',
        '--cross-origin',
        '--body',
        body,
      ]);
    expect((await ask('/old', 'new')).status).toBe(0);
    expect((await ask('/away', 'other')).status).toBe(0);
  });

  test.each([
    ['429', /answered 429, not 200-299 .*, asked to wait 30s \(Retry-After\)/],
    ['reset', /the server ended the request without an answer \(NGHTTP2_REFUSED_STREAM\)/],
    ['hang', /waiting for a response from 127\.0\.0\.1:\d+: no answer/],
    ['endless', /the body has more than the limit of 256 KiB/],
    ['half', /receiving the body \(4 B\): no answer|ended inside the body, after 4 B/],
  ])('a server that answers with %s is waited for, in words', async (what, words) => {
    await using api = await listening(
      createServer((_request, response) => {
        if (what === '429') response.writeHead(429, { 'retry-after': '30' }).end();
        else if (what === 'reset') response.stream.close(7);
        else if (what === 'endless') response.end(Buffer.alloc(300 * 1024, 0x20));
        else if (what === 'half') response.write('half');
      }),
    );
    const url = `h2c://127.0.0.1:${api.port}/`;
    const { status, stderr } = await runToDeadline(['wait-http', url, '--body', 'x', '--timeout', '1500ms'], {
      answered: (said) => words.test(said),
    });
    expect(stderr).toMatch(words);
    expect(status).toBe(124);
  });

  test('SIGTERM cuts it, and the command after -- gets nothing of it', async () => {
    await using api = await listening(
      createServer((request, response) => void (request.url === '/up' ? response.end() : undefined)),
    );
    const url = `h2c://127.0.0.1:${api.port}`;
    const waiting = await startInitbox(['wait-http', `${url}/hang`, '--attempt-timeout', '500ms']);
    await waiting.waitForStderr(/waiting for a response/);
    waiting.kill('SIGTERM');
    expect((await within(promptly, waiting.exit)).status).toBe(143);
    const script =
      'for f in /proc/self/fd/*; do case ${f##*/} in 0|1|2) ;; *) readlink $f;; esac; done; exit 7';
    const after = await runInitbox(['wait-http', `${url}/up`, '--', '/bin/sh', '-c', script]);
    expect(after.status).toBe(7);
    expect(after.stdout).not.toContain('socket');
  });

  test('where HTTP/1.1 or something else is spoken, and the other way round, the words say so', async () => {
    await using one = await serve((_request, response) => response.end());
    await using ssh = await serveSockets((socket) => void socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
    for (const { port } of [one, ssh]) {
      const found = await runToDeadline(['wait-http', `h2c://127.0.0.1:${port}/`, '--timeout', '1s']);
      expect(found.stderr).toContain('what answers there does not speak HTTP/2');
      expect(found.stderr).toContain(`is it http://127.0.0.1:${port}`);
    }
    await using two = await listening(createServer(up));
    const found = await runToDeadline(['wait-http', `http://127.0.0.1:${two.port}/`, '--timeout', '1s']);
    expect(found.stderr).toContain('what answers there does not speak HTTP/1.1 (it speaks HTTP/2)');
    expect(found.stderr).toContain('h2c://');
  });

  test('no proxy is asked for it', async () => {
    await using api = await listening(createServer(up));
    const hosts = { '/etc/hosts': '127.0.0.1 api.example localhost\n' };
    const env = { HTTP_PROXY: 'http://127.0.0.1:1', HTTPS_PROXY: 'socks5://127.0.0.1:1' };
    const { status } = await runInitbox(['wait-http', `h2c://api.example:${api.port}/`], {
      env,
      files: hosts,
    });
    expect(status).toBe(0);
  });
});

describe('https servers that speak HTTP/2 alone', () => {
  /** By TLS's alert where nothing is in common, as nginx and Go do it; or by a refusal in HTTP/1.1, as Node does it. */
  async function start(how: string, listener: Listener): Promise<{ port: number } & AsyncDisposable> {
    const { key, certificate: cert } = await authority.server();
    if (how === 'a refusal') return listening(createSecureServer({ key, cert, allowHTTP1: false }, listener));
    const inner = createServer(listener);
    return listening(
      createTlsServer(
        { key, cert, ALPNProtocols: ['h2'] },
        (socket) => void inner.emit('connection', socket),
      ),
    );
  }

  test.each(['an alert', 'a refusal'])('are asked in it (%s)', async (how) => {
    await using api = await start(how, up);
    const url = `https://localhost:${api.port}/`;
    const ready = await runInitbox([
      'wait-http',
      url,
      ...trusted,
      '--json',
      '/status=UP',
      '--timeout',
      '20s',
    ]);
    expect({ status: ready.status, stderr: ready.stderr }).toMatchObject({ status: 0 });
    const to = join(place.path, 'fetched');
    const fetched = await runInitbox(['fetch-config', url, '--to', to, ...trusted, '--timeout', '20s']);
    expect({ status: fetched.status, stderr: fetched.stderr }).toMatchObject({ status: 0 });
    expect(readFileSync(to, 'utf8')).toBe('{"status":"UP"}');
  });

  test.each(['an alert', 'a refusal'])('are verified before they are asked (%s)', async (how) => {
    const asked: string[] = [];
    await using api = await start(how, (request, response) => {
      asked.push(request.url);
      response.end();
    });
    const { status, stderr } = await runToDeadline([
      'wait-http',
      `https://localhost:${api.port}/`,
      '--timeout',
      '1s',
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain('comes from an authority that is not trusted here');
    expect(asked).toEqual([]);
  });

  test('a 403 that a server without ALPN means is what it says', async () => {
    const { key, certificate: cert } = await authority.server();
    await using api = await serve((_request, response) => response.writeHead(403).end(), {
      tls: { key, cert, ALPNProtocols: [] },
    });
    const given = ['wait-http', api.url, ...trusted, '--timeout', '20s', '--status', '403'];
    expect((await runInitbox(given)).status).toBe(0);
  });
});
