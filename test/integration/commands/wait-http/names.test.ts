// Names: in TLS, in Host, in certificates, in a Location; and which phase is blamed.
import { execFile } from 'node:child_process';
import type { Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

import { afterAll, describe, expect, test } from 'vitest';

import { canUseIptables, dropTo } from '../../../support/netns.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { serve, serveSockets } from './servers.ts';

const authority = await createCertificateAuthority();
afterAll(() => authority.remove());
const trusted = ['--ca-file', authority.certificateFile];
const noCurl = requireOrSkip('curl', whyMissing('curl', 'curl'));
const curl = (...given: readonly string[]) =>
  new Promise<void>((resolve) => {
    execFile('curl', ['-s', ...given], { env: { PATH: process.env['PATH'] ?? '' } }, () => resolve());
  });

describe('a name with a final dot', () => {
  test('goes to TLS without it and to Host with it, as curl sends them, and its certificate is found', async () => {
    const { key, certificate: cert } = await authority.server(['api.ns.svc.cluster.local']);
    const asked: (string | undefined)[] = [];
    await using api = await serve((_request, response) => response.end(), {
      tls: {
        key,
        cert,
        SNICallback(name, done) {
          asked.push(name);
          done(null);
        },
      },
    });
    const host = 'api.ns.svc.cluster.local.';
    const url = `https://${host}:${api.port}/`;
    const files = { '/etc/hosts': '127.0.0.1 api.ns.svc.cluster.local localhost\n' };
    const found = await runInitbox(['wait-http', url, ...trusted, '--timeout', '20s'], { files });
    expect({ status: found.status, stderr: found.stderr }).toMatchObject({ status: 0 });
    if (!noCurl)
      await curl('--cacert', authority.certificateFile, '--resolve', `${host}:${api.port}:127.0.0.1`, url);
    expect(new Set(asked)).toEqual(new Set(['api.ns.svc.cluster.local']));
    const hosts = api.requests.map(({ request }) => request.headers.host);
    expect(new Set(hosts)).toEqual(new Set([`${host}:${api.port}`]));
    expect(hosts).toHaveLength(noCurl ? 1 : 2);
  });

  test('is found in NO_PROXY', async () => {
    await using api = await serve((_request, response) => response.end());
    const files = { '/etc/hosts': '127.0.0.1 api.ns.svc.cluster.local localhost\n' };
    const env = { HTTP_PROXY: 'http://127.0.0.1:1', NO_PROXY: '.svc.cluster.local' };
    const url = `http://api.ns.svc.cluster.local.:${api.port}/`;
    expect((await runInitbox(['wait-http', url, '--timeout', '20s'], { env, files })).status).toBe(0);
  });
});

test('a Host header names no certificate: that is the name of the URL', async () => {
  const { key, certificate: cert } = await authority.server(['other.internal']);
  await using api = await serve((_request, response) => response.end(), { tls: { key, cert } });
  const env = { NAME: 'other.internal' };
  const url = `https://localhost:${api.port}/`;
  const { status, stderr } = await runToDeadline(
    ['wait-http', url, ...trusted, '--header-env', 'Host=NAME', '--timeout', '1s'],
    { env },
  );
  expect(status).toBe(124);
  expect(stderr).toContain('the certificate of localhost is for another name');
  expect(api.requests).toEqual([]);
});

describe('a Location', () => {
  test.each([
    ['raw UTF-8', '/caf\xc3\xa9.txt?q=\xc3\xa9', '/caf%C3%A9.txt?q=%C3%A9'],
    ['raw Latin-1', '/caf\xe9', '/caf%E9'],
    ['what is encoded already', '/caf%C3%A9', '/caf%C3%A9'],
    ['a relative path', 'next/x', '/a/next/x'],
    ['a path upwards', '../x', '/x'],
    ['a query alone', '?x=1', '/a/b?x=1'],
    ['a fragment', '/x#part', '/x'],
    ['blanks inside', '/a b', '/a%20b'],
    ['blanks around it', '  /x  ', '/x'],
    ['the scheme left out', '//HOST/x', '/x'],
    ['the whole address', 'http://HOST/x', '/x'],
    ['a path with a double slash', '/x//y', '/x//y'],
  ])('with %s', async (_what, location, path) => {
    const asked: string[] = [];
    await using api = await serveSockets((socket: Socket) => {
      socket.once('data', (request) => {
        const [, at = ''] = request.toString('latin1').split(' ');
        asked.push(at);
        const to = location.replace('HOST', `127.0.0.1:${api.port}`);
        const answer = at === '/a/b' ? `302 Found\r\nLocation: ${to}` : '200 OK';
        socket.end(Buffer.from(`HTTP/1.1 ${answer}\r\nContent-Length: 0\r\n\r\n`, 'latin1'));
      });
    });
    const url = `http://127.0.0.1:${api.port}/a/b`;
    const found = await runInitbox(['wait-http', url, '--redirects', '1', '--timeout', '20s']);
    expect({ status: found.status, stderr: found.stderr }).toMatchObject({ status: 0 });
    expect(asked).toEqual(['/a/b', path]);
    if (noCurl) return;
    await curl('-L', url);
    // It writes its escapes in small letters.
    expect(asked.slice(2).map((one) => one.toLowerCase())).toEqual(['/a/b', path.toLowerCase()]);
  });

  test.each(['Location:', 'Location: http://[', 'X: y'])(
    'that leads nowhere is named (%s)',
    async (header) => {
      await using api = await serveSockets((socket) => {
        socket.once('data', () => socket.end(`HTTP/1.1 302 Found\r\n${header}\r\nContent-Length: 0\r\n\r\n`));
      });
      const given = ['wait-http', `http://127.0.0.1:${api.port}/`, '--redirects', '1', '--timeout', '1s'];
      const { status, stderr } = await runToDeadline(given);
      expect(status).toBe(124);
      expect(stderr).toMatch(/302 (without a Location|to something that is not a URL)/);
    },
  );
});

describe('certificates and alerts, in plain words', () => {
  test('one for clients alone', async () => {
    const { key, certificate: cert } = await authority.client('localhost');
    await using api = await serve((_request, response) => response.end(), { tls: { key, cert } });
    const { stderr } = await runToDeadline(['wait-http', api.url, ...trusted, '--timeout', '1s']);
    expect(stderr).toContain(
      'the certificate of 127.0.0.1 is not meant for a server: its key usage or extended key usage does not allow that',
    );
    expect(stderr).toContain('extendedKeyUsage = serverAuth');
  });

  test.each([
    ['unrecognized name', 112, 'the server does not know the name that was asked for', '--tls-server-name'],
    ['protocol version', 70, 'the server speaks no version of TLS from 1.2 on', 'TLS 1.2 or 1.3'],
    ['certificate required', 116, 'the server refused our client certificate, or wants one', '--cert-file'],
  ])('the alert "%s"', async (_name, alert, words, hint) => {
    await using api = await serveSockets((socket) => {
      // RFC 8446, 6: a fatal alert.
      socket.once('data', () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, alert])));
    });
    const { status, stderr } = await runToDeadline([
      'wait-http',
      `https://localhost:${api.port}/`,
      '--timeout',
      '1s',
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain(words);
    expect(stderr).toContain(hint);
    expect(stderr).not.toMatch(/ERR_SSL|EPROTO/);
  });

  test('a server that knows no version of TLS that is safe', async () => {
    const { key, certificate: cert } = await authority.server();
    const server = createTlsServer({
      key,
      cert,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { stderr } = await runToDeadline(['wait-http', `https://localhost:${port}/`, '--timeout', '1s']);
    server.close();
    expect(stderr).toContain('the server speaks no version of TLS from 1.2 on');
  });
});

describe.skipIf(requireOrSkip('iptables', canUseIptables()))('packets that are dropped', () => {
  const files = { '/etc/hosts': '127.77.0.10 api.example\n127.0.0.1 localhost\n' };
  const url = (scheme: string, port: number): string => `${scheme}://api.example:${port}/`;
  const words = /connecting to (the proxy )?api\.example:\d+ \(127\.77\.0\.10\): no/;

  test.each(['http', 'https', 'h2c'])(
    'on the way to a name of the hosts file: not DNS is blamed (%s)',
    async (scheme) => {
      await using api = await serve((_request, response) => response.end(), { host: '127.77.0.10' });
      using _block = dropTo('127.77.0.10', api.port);
      const given = ['wait-http', url(scheme, api.port), '--timeout', '1500ms'];
      const { stderr } = await runToDeadline(given, { files, answered: (said) => words.test(said) });
      expect(stderr).toMatch(words);
      expect(stderr).toContain('NetworkPolicies');
      expect(stderr).not.toContain('resolving');
    },
  );

  test('on the way to a proxy, and to a source of fetch-config', async () => {
    await using api = await serve((_request, response) => response.end(), { host: '127.77.0.10' });
    using _block = dropTo('127.77.0.10', api.port);
    const answered = (said: string): boolean => words.test(said);
    const env = { HTTP_PROXY: url('http', api.port) };
    const via = ['wait-http', 'http://config.internal/', '--timeout', '1500ms'];
    expect((await runToDeadline(via, { env, files, answered })).stderr).toMatch(words);
    const fetched = await runToDeadline(
      ['fetch-config', url('http', api.port), '--to', '/tmp/never', '--timeout', '1500ms'],
      { files, answered },
    );
    expect(fetched.stderr).toMatch(words);
    expect(fetched.stderr).toContain('NetworkPolicies');
  });
});
