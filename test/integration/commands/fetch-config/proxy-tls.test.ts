import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import {
  connect,
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runInitbox, runToDeadline } from '../../../support/program.ts';
import {
  createCertificateAuthority,
  type Certificate,
  type CertificateAuthority,
} from '../../../support/tls.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { respond, startFaultServer, type FaultServer } from './fault-server.ts';

let work: ReturnType<typeof temporaryDirectory>;
let authority: CertificateAuthority;
let ofProxy: Certificate;
let target: FaultServer;
beforeAll(async () => {
  work = temporaryDirectory('proxy-tls');
  authority = await createCertificateAuthority();
  ofProxy = await authority.server(['localhost']);
  const pair = await authority.server(['config.internal']);
  target = await startFaultServer(
    { '/f': respond(200, 'behind') },
    { cert: pair.certificate, key: pair.key },
  );
});
afterAll(async () => {
  await target[Symbol.asyncDispose]();
  authority.remove();
  work.remove();
});

let count = 0;
function folder(): string {
  const path = join(work.path, String(count++));
  mkdirSync(path);
  return path;
}

interface Proxy extends Disposable {
  readonly port: number;
  /** `CONNECT host:port` or `GET url`, with the Proxy-Authorization that came. */
  readonly seen: string[];
  /** What came over the wire, as it came. */
  readonly wire: Buffer[];
}

/** A proxy over TLS, or in clear text; every CONNECT leads to the target. */
async function startProxy(tls: Certificate | undefined): Promise<Proxy> {
  const seen: string[] = [];
  const wire: Buffer[] = [];
  const note = ({ method, url, headers }: IncomingMessage): void =>
    void seen.push(`${method} ${url} ${headers['proxy-authorization'] ?? 'nobody'}`);
  const listener = (request: IncomingMessage, response: { end(text: string): void }): void => {
    note(request);
    response.end('via');
  };
  const inner =
    tls === undefined
      ? createServer(listener)
      : createSecureServer({ cert: tls.certificate, key: tls.key }, listener);
  inner.on('connect', (request: IncomingMessage, socket: Socket) => {
    note(request);
    const onward = connect(target.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
  });
  const open = new Set<Socket>();
  const outer = createTcpServer((socket) => {
    open.add(socket);
    const onward = connect((inner.address() as AddressInfo).port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => wire.push(chunk));
    socket.on('error', () => onward.destroy()).on('close', () => onward.destroy());
    onward.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  const listen = (server: Server) =>
    new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  await listen(inner);
  await listen(outer);
  return {
    port: (outer.address() as AddressInfo).port,
    seen,
    wire,
    [Symbol.dispose]() {
      for (const socket of open) socket.destroy();
      outer.close();
      inner.close();
    },
  };
}

const pass = `Basic ${Buffer.from('user:proxy-canary').toString('base64')}`;

describe('a proxy at an https:// address', () => {
  const address = ({ port }: Proxy, host = 'localhost') => `https://user:proxy-canary@${host}:${port}`;
  const both = (url: string) => ({ HTTP_PROXY: url, HTTPS_PROXY: url });
  const fetchConfig = (url: string, env: Record<string, string>, ...flags: string[]) => {
    const to = join(folder(), 'f');
    return runInitbox(['fetch-config', url, '--to', to, '--timeout', '10s', ...flags], { env }).then(
      (result) => ({ ...result, to }),
    );
  };

  test('gets requests for http and https by TLS alone, by its own name and the authorities that were given', async () => {
    using proxy = await startProxy(ofProxy);
    const env = both(address(proxy));
    const trusted = ['--ca-file', authority.certificateFile];
    const plain = await fetchConfig('http://config.internal/f', env, ...trusted);
    expect({ status: plain.status, body: readFileSync(plain.to, 'utf8') }).toEqual({
      status: 0,
      body: 'via',
    });
    const secure = await fetchConfig('https://config.internal/f', env, ...trusted);
    expect({ status: secure.status, body: readFileSync(secure.to, 'utf8') }).toEqual({
      status: 0,
      body: 'behind',
    });
    const byVariable = await fetchConfig('https://config.internal/f', {
      ...env,
      SSL_CERT_FILE: authority.certificateFile,
    });
    expect(byVariable.status).toBe(0);
    expect(proxy.seen).toEqual([
      `GET http://config.internal/f ${pass}`,
      `CONNECT config.internal:443 ${pass}`,
      `CONNECT config.internal:443 ${pass}`,
    ]);
    expect(Buffer.concat(proxy.wire).toString('latin1')).not.toMatch(/Proxy-Authorization|CONNECT|GET /i);
    expect(target.requests.flatMap(({ headers }) => headers).join('\n')).not.toContain('proxy-authorization');
    expect(plain.stderr + secure.stderr).not.toContain('canary');
  });

  test.each(['http', 'https'])('is verified before it gets a password (%s target)', async (scheme) => {
    using proxy = await startProxy(ofProxy);
    const url = `${scheme}://config.internal/f`;
    for (const more of [{}, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }]) {
      const untrusted = await fetchConfig(url, { ...both(address(proxy)), ...more });
      expect(untrusted.status).toBe(69);
      expect(untrusted.stderr).toContain(
        `the certificate of the proxy localhost:${proxy.port} comes from an authority that is not trusted here`,
      );
    }
    const misnamed = await fetchConfig(
      url,
      both(address(proxy, '127.0.0.1')),
      '--ca-file',
      authority.certificateFile,
    );
    expect(misnamed.status).toBe(69);
    expect(misnamed.stderr).toContain(
      `the certificate of the proxy 127.0.0.1:${proxy.port} is for another name: DNS:localhost`,
    );
    expect(misnamed.stderr).not.toContain('--tls-server-name');
    expect(proxy.seen).toEqual([]);
    expect(Buffer.concat(proxy.wire).toString('latin1')).not.toMatch(/Proxy-Authorization/i);
  });

  test.each(['http', 'https'])('that speaks no TLS gets nothing (%s target)', async (scheme) => {
    using proxy = await startProxy(undefined);
    const { status, stderr } = await fetchConfig(`${scheme}://config.internal/f`, both(address(proxy)));
    expect(proxy.seen).toEqual([]);
    expect(status).toBe(69);
    expect(stderr).toContain(`the proxy localhost:${proxy.port} does not speak TLS`);
    expect(stderr).toContain(`http://localhost:${proxy.port}`);
    expect(Buffer.concat(proxy.wire).toString('latin1')).not.toMatch(/Proxy-Authorization/i);
  });

  test('--insecure and --tls-server-name: the first is for it too, the second is not', async () => {
    using proxy = await startProxy(ofProxy);
    const env = both(address(proxy));
    for (const url of ['http://config.internal/f', 'https://config.internal/f']) {
      expect((await runInitbox(['wait-http', url, '--insecure', '--timeout', '5s'], { env })).status).toBe(0);
      const named = ['--ca-file', authority.certificateFile, '--tls-server-name', 'config.internal'];
      expect((await runInitbox(['wait-http', url, ...named, '--timeout', '5s'], { env })).status).toBe(0);
    }
  });

  test('an expired certificate of its own, while wait-http waits', async () => {
    using proxy = await startProxy(await authority.server(['localhost'], { days: -1 }));
    const trusted = ['--ca-file', authority.certificateFile, '--timeout', '1s'];
    const { status, stderr } = await runToDeadline(['wait-http', 'https://config.internal/f', ...trusted], {
      env: both(address(proxy)),
    });
    expect(status).toBe(124);
    expect(stderr).toMatch(/the certificate of the proxy localhost:\d+ has expired \(valid from/);
  });

  test('AWS goes through it as well', async () => {
    using proxy = await startProxy(ofProxy);
    const run = (env: Record<string, string>) =>
      runToDeadline(
        ['fetch-config', 'aws-sm:text', '--to', join(folder(), 'f'), '--allow-disk', '--timeout', '3s'],
        {
          env: {
            AWS_REGION: 'eu-central-1',
            AWS_ACCESS_KEY_ID: 'k',
            AWS_SECRET_ACCESS_KEY: 's',
            AWS_ENDPOINT_URL_SECRETS_MANAGER: 'https://config.internal',
            ...both(address(proxy)),
            ...env,
          },
        },
      );
    const unknown = await run({});
    expect(unknown.stderr).toContain(`the proxy localhost:${proxy.port}`);
    expect(proxy.seen).toEqual([]);
    await run({ AWS_CA_BUNDLE: authority.certificateFile });
    expect(proxy.seen[0]).toBe(`CONNECT config.internal:443 ${pass}`);
  });
});

describe('settings that nobody can follow: 2, and nothing is asked', () => {
  test.each(['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY'])('%s that names a SOCKS proxy', async (name) => {
    const scheme = name === 'HTTPS_PROXY' ? 'https' : 'http';
    for (const command of [
      ['fetch-config', `${scheme}://config.internal/f`, '--to', join(folder(), 'f')],
      ['wait-http', `${scheme}://config.internal/f`],
    ]) {
      const env = { [name]: 'socks5://user:proxy-canary@127.0.0.1:1' };
      const { status, stderr } = await runToDeadline([...command, '--timeout', '2s'], { env });
      expect(status).toBe(2);
      expect(stderr).toContain(`${name} names a proxy by socks5://; http:// and https:// are accepted`);
      expect(stderr).toContain('NO_PROXY');
      expect(stderr).not.toContain('canary');
    }
  });

  test('a SOCKS proxy that NO_PROXY makes needless is not looked at', async () => {
    const env = {
      HTTPS_PROXY: 'socks5://127.0.0.1:1',
      HTTP_PROXY: 'socks5h://127.0.0.1:1',
      NO_PROXY: '127.0.0.0/8',
    };
    const to = join(folder(), 'f');
    const trusted = ['--ca-file', authority.certificateFile, '--tls-server-name', 'config.internal'];
    expect(
      (await runInitbox(['fetch-config', `${target.url}/f`, '--to', to, ...trusted], { env })).status,
    ).toBe(0);
    expect((await runInitbox(['wait-http', `${target.url}/f`, ...trusted], { env })).status).toBe(0);
  });

  test.each(['us%25er:p%25ss', 'us%er:p%ss'])('a % in %s, encoded or not, is a %%', async (written) => {
    using proxy = await startProxy(undefined);
    const to = join(folder(), 'f');
    const { status } = await runInitbox(['fetch-config', 'http://config.internal/f', '--to', to], {
      env: { HTTP_PROXY: `http://${written}@localhost:${proxy.port}` },
    });
    expect(status).toBe(0);
    expect(proxy.seen[0]).toContain(`Basic ${Buffer.from('us%er:p%ss').toString('base64')}`);
  });

  test('Proxy-Authorization as a header would reach the target', async () => {
    const place = folder();
    writeFileSync(join(place, 'headers'), 'Proxy-Authorization: Basic canary\n');
    for (const command of [
      ['fetch-config', `${target.url}/f`, '--to', join(place, 'f')],
      ['wait-http', `${target.url}/f`],
    ]) {
      const { status, stderr } = await runInitbox([...command, '--header-file', join(place, 'headers')]);
      expect(status).toBe(2);
      expect(stderr).toContain('Proxy-Authorization');
      expect(stderr).toContain('HTTPS_PROXY');
      expect(stderr).not.toContain('canary');
    }
  });
});
