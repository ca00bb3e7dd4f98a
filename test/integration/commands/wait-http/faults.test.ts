import type { Socket } from 'node:net';

import { afterAll, describe, expect, test } from 'vitest';

import { canUseIptables, dropTo } from '../../../support/netns.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { serve, serveSockets } from './servers.ts';

const authority = await createCertificateAuthority();
afterAll(() => authority.remove());
const trusted = ['--ca-file', authority.certificateFile];

/** Says so much of an answer, and no more. */
function says(text: string): (socket: Socket) => void {
  return (socket) => void socket.once('data', () => socket.write(text));
}

const hangs: [what: string, behave: (socket: Socket) => void, scheme: string, words: RegExp][] = [
  ['in the TLS handshake', () => {}, 'https', /TLS handshake with 127\.0\.0\.1:\d+: no answer/],
  ['before the status', () => {}, 'http', /waiting for a response from 127\.0\.0\.1:\d+: no answer/],
  ['in the headers', says('HTTP/1.1 200 OK\r\nX: '), 'http', /waiting for a response from .*: no answer/],
  [
    'in the body',
    says('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nready'),
    'http',
    /receiving the body \(5 B of 1000 B\): no answer/,
  ],
  [
    'in an endless body, a byte at a time',
    (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        const timer = setInterval(() => socket.write('x'), 50);
        socket.once('close', () => clearInterval(timer));
      });
    },
    'http',
    /receiving the body \(\d+ B\): no answer/,
  ],
];

describe.each(hangs)('a server that hangs %s', (_what, behave, scheme, words) => {
  const body = ['--body', 'never there'];

  test('is cut by the deadline, and the last words say where it stood', async () => {
    await using server = await serveSockets(behave);
    const log = terminationLog();
    const result = await runToDeadline(
      [
        'wait-http',
        `${scheme}://127.0.0.1:${server.port}/`,
        ...body,
        '--timeout',
        '1500ms',
        // What cuts it is not the attempt's own end.
        '--attempt-timeout',
        '1h',
        '--termination-log',
        log.path,
      ],
      { answered: (said) => words.test(said) },
    );
    expect(result.status).toBe(124);
    expect(log.read()).toMatch(words);
  });

  test('is cut by SIGTERM within 200 ms', async () => {
    await using server = await serveSockets(behave);
    const url = `${scheme}://127.0.0.1:${server.port}/`;
    const waiting = await startInitbox([
      'wait-http',
      url,
      ...body,
      '--log-level',
      'debug',
      '--attempt-timeout',
      '500ms',
    ]);
    await waiting.waitForStderr(words);
    waiting.kill('SIGTERM');
    expect((await within(promptly, waiting.exit)).status).toBe(143);
  });

  test('does not hold up the next attempt: seen within a second of its coming round', async () => {
    let healthy = false;
    await using server = await serveSockets((socket) => {
      if (!healthy) return behave(socket);
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nnever there'));
      return undefined;
    });
    // What hangs in TLS comes round as nothing at all: there it is the number of attempts that counts.
    const waiting = await startInitbox([
      'wait-http',
      `${scheme}://127.0.0.1:${server.port}/`,
      ...body,
      '--timeout',
      '20s',
    ]);
    const third = waitUntil(() => server.connections >= 3, { what: 'a third attempt' });
    expect(await within(4_900, third)).toBe(true);
    if (scheme === 'https') {
      waiting.kill('SIGTERM');
      expect((await waiting.exit).status).toBe(143);
      return;
    }
    healthy = true;
    expect((await within(4_000, waiting.exit)).status).toBe(0);
  });
});

test('a server that hangs gets at most five requests at once, and one a second', async () => {
  let most = 0;
  await using server = await serveSockets((socket) => {
    // Unread, a socket does not tell that the other end has closed it.
    socket.resume();
    most = Math.max(most, server.open.size);
  });
  const { status } = await runInitbox(['wait-http', `http://127.0.0.1:${server.port}/`, '--timeout', '8s']);
  expect(status).toBe(124);
  expect(most).toBeLessThanOrEqual(5);
  expect(server.connections).toBeGreaterThanOrEqual(7);
  expect(server.connections).toBeLessThanOrEqual(10);
});

test('an answer that takes three seconds is waited for, and --attempt-timeout can forbid that', async () => {
  await using api = await serve((_request, response) => setTimeout(() => response.end('slow'), 3_000));
  const found = await runInitbox(['wait-http', api.url, '--timeout', '10s']);
  expect(found.status).toBe(0);
  const cut = await runInitbox([
    'wait-http',
    api.url,
    '--timeout',
    '4s',
    '--attempt-timeout',
    '1s',
    '--log-level',
    'debug',
  ]);
  expect(cut.status).toBe(124);
  expect(cut.stderr).toMatch(/waiting for a response from .*: no answer within 1s/);
});

test('without an expectation for it no body is waited for: endless, cut and 10 GB bodies', async () => {
  for (const head of ['', 'Content-Length: 10737418240\r\n', 'Transfer-Encoding: chunked\r\n']) {
    await using server = await serveSockets(says(`HTTP/1.1 200 OK\r\n${head}\r\n`));
    const found = await runInitbox(['wait-http', `http://127.0.0.1:${server.port}/`]);
    expect(found.status).toBe(0);
  }
});

test.each([
  ['announced', 'Content-Length: 10737418240\r\n', 'the body has 10 GiB, over the limit of 256 KiB'],
  ['sent without end', '', 'the body has more than the limit of 256 KiB'],
])('a 10 GB body, %s: not read beyond the limit', async (_what, head, words) => {
  let sent = 0;
  await using server = await serveSockets((socket) => {
    const chunk = Buffer.alloc(65_536, 0x20);
    const pour = (): void => {
      while (!socket.destroyed && sent < 10 * 2 ** 30) {
        sent += chunk.length;
        if (!socket.write(chunk)) return void socket.once('drain', pour);
      }
    };
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n`);
      pour();
    });
  });
  const { status, stderr } = await runInitbox([
    'wait-http',
    `http://127.0.0.1:${server.port}/`,
    '--body',
    'x',
    '--timeout',
    '3s',
    '--interval',
    '1s',
  ]);
  expect(stderr).toContain(words);
  expect(status).toBe(124);
  // Each attempt may leave the kernel's buffers full, and no more.
  expect(sent).toBeLessThan(200 * 2 ** 20);
});

test.each([
  [
    'resets the connection',
    (socket: Socket) => void socket.once('data', () => socket.resetAndDestroy()),
    /connection reset/,
  ],
  [
    'closes it without a word',
    (socket: Socket) => void socket.once('data', () => socket.end()),
    /connection reset|socket hang up/,
  ],
  [
    'cuts the body',
    (socket: Socket) =>
      void socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')),
    /the connection ended inside the body, after 4 B of the 100 B announced/,
  ],
  [
    'cuts a chunked body',
    (socket: Socket) =>
      void socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf'),
      ),
    /the connection ended inside the body, after 4 B/,
  ],
  ['speaks no HTTP', (socket: Socket) => void socket.write('220 mail ESMTP\r\n'), /does not speak HTTP/],
  [
    'sends headers without end',
    (socket: Socket) =>
      void socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(80_000)}`)),
    /more than 300 KiB of headers/,
  ],
  [
    'forges log lines in a header',
    (socket: Socket) =>
      void socket.once('data', () => socket.end('HTTP/1.1 302 Found\r\nLocation: /\u001b[2Jx\r\n\r\n')),
    /answered 302|does not speak HTTP/,
  ],
])('a server that %s is waited for, in words', async (_what, behave, words) => {
  await using server = await serveSockets(behave);
  const { status, stderr } = await runToDeadline([
    'wait-http',
    `http://127.0.0.1:${server.port}/`,
    '--body',
    'half',
    '--timeout',
    '1500ms',
  ]);
  expect(stderr).toMatch(words);
  expect(stderr).not.toContain('\u001b');
  expect(status).toBe(124);
});

test('a pattern that backtracks for years holds up neither the deadline nor SIGTERM', async () => {
  await using api = await serve((_request, response) => response.end(`${'a'.repeat(100_000)}!`));
  const given = ['wait-http', api.url, '--body-matches', '^(a+)+$'];
  const late = await runToDeadline([...given, '--timeout', '1s']);
  expect(late.status).toBe(124);
  expect(late.stderr).toContain('/^(a+)+$/u took longer than 100ms');
  expect(late.milliseconds).toBeLessThan(20_000);
  const waiting = await startInitbox(given);
  await waiting.waitForStderr(/took longer/);
  waiting.kill('SIGTERM');
  expect((await within(promptly, waiting.exit)).status).toBe(143);
});

describe('TLS', () => {
  const unverified = { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } };

  test('an authority that is not trusted: not yet, whatever NODE_TLS_REJECT_UNAUTHORIZED says (wait-on: no verification)', async () => {
    const { key, certificate: cert } = await authority.server();
    await using api = await serve((_request, response) => response.end(), { tls: { key, cert } });
    for (const options of [{}, unverified]) {
      const { status, stderr } = await runToDeadline(['wait-http', api.url, '--timeout', '1s'], options);
      expect(status).toBe(124);
      expect(stderr).toContain('comes from an authority that is not trusted here');
      expect(stderr).toContain('--ca-file');
    }
    expect(api.requests).toHaveLength(0);
    expect(await runInitbox(['wait-http', api.url, ...trusted])).toMatchObject({ status: 0 });
    const byVariable = { env: { SSL_CERT_FILE: authority.certificateFile } };
    expect(await runInitbox(['wait-http', api.url], byVariable)).toMatchObject({ status: 0 });
  });

  test('--insecure accepts it, and says what that means', async () => {
    const { key, certificate: cert } = await authority.server();
    await using api = await serve((_request, response) => response.end(), { tls: { key, cert } });
    const { status, stderr } = await runInitbox(['wait-http', api.url, '--insecure']);
    expect(status).toBe(0);
    expect(stderr).toContain('warn  wait-http: --insecure is on: whoever answers is taken for the server');
  });

  test('a certificate for another name, and --tls-server-name', async () => {
    const { key, certificate: cert } = await authority.server(['api.internal']);
    await using api = await serve((_request, response) => response.end(), { tls: { key, cert } });
    const { status, stderr } = await runToDeadline(['wait-http', api.url, ...trusted, '--timeout', '1s']);
    expect(status).toBe(124);
    expect(stderr).toContain('the certificate of 127.0.0.1 is for another name');
    const named = await runInitbox(['wait-http', api.url, ...trusted, '--tls-server-name', 'api.internal']);
    expect(named).toMatchObject({ status: 0 });
  });

  test('an expired certificate is waited for: it is renewed meanwhile', async () => {
    const old = await authority.server(undefined, { days: -1 });
    const port = await freePort();
    const expired = await serve((_request, response) => response.end(), {
      port,
      tls: { key: old.key, cert: old.certificate },
    });
    const waiting = await startInitbox(['wait-http', `https://127.0.0.1:${port}/`, ...trusted]);
    await waiting.waitForStderr(
      /the certificate of 127\.0\.0\.1 has expired \(valid from .* to .*\); the clock here says/,
    );
    await expired.close();
    const fresh = await authority.server();
    await using _api = await serve((_request, response) => response.end(), {
      port,
      tls: { key: fresh.key, cert: fresh.certificate },
    });
    expect((await waiting.exit).status).toBe(0);
  });

  test('mutual TLS', async () => {
    const { key, certificate: cert } = await authority.server();
    const tls = { key, cert, ca: authority.certificate, requestCert: true, rejectUnauthorized: true };
    await using api = await serve((_request, response) => response.end(), { tls });
    const without = await runToDeadline(['wait-http', api.url, ...trusted, '--timeout', '1500ms']);
    expect(without.status).toBe(124);
    expect(without.stderr).toMatch(/the server refused our client certificate, or wants one/);
    const client = await authority.client();
    const given = ['--cert-file', client.certificateFile, '--key-file', client.keyFile];
    expect(await runInitbox(['wait-http', api.url, ...trusted, ...given])).toMatchObject({ status: 0 });
  });

  test('a redirect away from https is not followed', async () => {
    const { key, certificate: cert } = await authority.server();
    await using plain = await serve((_request, response) => response.end());
    await using api = await serve(
      (_request, response) => response.writeHead(302, { Location: plain.url }).end(),
      {
        tls: { key, cert },
      },
    );
    const { status, stderr } = await runToDeadline([
      'wait-http',
      api.url,
      ...trusted,
      '--redirects',
      '1',
      '--cross-origin',
      '--timeout',
      '1s',
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain('it leaves https');
    expect(plain.requests).toHaveLength(0);
  });

  test('https where http is spoken, and the other way round: the hint names the other', async () => {
    await using plain = await serve((_request, response) => response.end());
    const swapped = await runToDeadline(['wait-http', `https://127.0.0.1:${plain.port}/`, '--timeout', '1s']);
    expect(swapped.stderr).toContain('the server does not speak TLS there');
    expect(swapped.stderr).toContain(`is it http://127.0.0.1:${plain.port}`);
    const { key, certificate: cert } = await authority.server();
    await using secure = await serve((_request, response) => response.end(), { tls: { key, cert } });
    const other = await runToDeadline(['wait-http', `http://127.0.0.1:${secure.port}/`, '--timeout', '1s']);
    expect(other.status).toBe(124);
    expect(other.stderr).toMatch(/connection reset|socket hang up|does not speak HTTP/);
  });
});

describe('a proxy', () => {
  test('is used by HTTP_PROXY, left out by NO_PROXY, and one that wants a password ends the wait', async () => {
    await using api = await serve((_request, response) => response.end('api'), { host: '127.0.0.2' });
    const seen: string[] = [];
    await using proxy = await serve((request, response) => {
      seen.push(request.url ?? '');
      response.end('proxy');
    });
    const hosts = { '/etc/hosts': '127.0.0.2 api.example\n127.0.0.1 localhost\n' };
    const url = `http://api.example:${api.port}/x`;
    const env = { HTTP_PROXY: proxy.url };
    expect(await runInitbox(['wait-http', url, '--body', 'proxy'], { env, files: hosts })).toMatchObject({
      status: 0,
    });
    expect(seen).toEqual([url]);
    const direct = { env: { ...env, NO_PROXY: '.example' }, files: hosts };
    expect(await runInitbox(['wait-http', url, '--body', 'api'], direct)).toMatchObject({ status: 0 });
    await using strict = await serveSockets(says('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
    const refused = await runInitbox(['wait-http', `https://api.example:${api.port}/`], {
      env: { HTTPS_PROXY: strict.url },
      files: hosts,
    });
    expect(refused.status).toBe(69);
    expect(refused.stderr).toContain('answered 407 to CONNECT');
  });
});

describe.skipIf(requireOrSkip('iptables', canUseIptables()))('dropped packets', () => {
  test('a connect that was dropped is found again within about a second of the network coming back', async () => {
    await using api = await serve((_request, response) => response.end(), { host: '127.77.0.9' });
    using block = dropTo('127.77.0.9', api.port);
    const waiting = await startInitbox(['wait-http', api.url, '--timeout', '30s']);
    await waiting.waitForStderr(/connecting to .*: no(thing for 3s| answer)/);
    block.remove();
    expect((await within(3_900, waiting.exit)).status).toBe(0);
  });
});

test('the command after -- takes over with its status, and nothing of the request stays open', async () => {
  await using api = await serve((_request, response) => response.end());
  const script =
    'for f in /proc/self/fd/*; do case ${f##*/} in 0|1|2) ;; *) readlink $f;; esac; done; exit 7';
  const { status, stdout } = await runInitbox(['wait-http', api.url, '--', '/bin/sh', '-c', script]);
  expect(status).toBe(7);
  expect(stdout).not.toContain('socket');
});
