// What is made, taken by the programs that it is for: OpenSSL, curl, Node, Go and a real JVM, by each way to sign.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run as runTool } from '../../../support/build-cache.ts';
import { canGetGo, goTlsClient } from '../../../support/go.ts';
import { canUseJava, connectByJava } from '../../../support/java.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox } from '../../../support/program.ts';
import { type CertificateAuthority, createCertificateAuthority } from '../../../support/tls.ts';
import { needTool, requireOrSkip, whyMissing } from '../../../support/tools.ts';

const noJava = requireOrSkip('certificates in a real JVM', canUseJava());
const noCurl = requireOrSkip('certificates in curl', whyMissing('curl', 'curl'));
const noGo = requireOrSkip('certificates in Go', canGetGo());

const inMemory = memoryFolders();
let authority: CertificateAuthority;
let go: string;
beforeAll(async () => {
  authority = await createCertificateAuthority('Corp Root CA');
  if (!noGo) go = await goTlsClient();
});
afterAll(() => authority.remove());

const openssl = (...args: readonly string[]): Promise<string> =>
  runTool([needTool('openssl', 'openssl'), ...args]);

/** In a pod of the namespace `shop`. */
const pod = { '/etc/resolv.conf': 'nameserver 127.0.0.1\nsearch shop.svc.cluster.local svc.cluster.local\n' };

async function certificate(args: readonly string[]): Promise<string> {
  const { status, stderr } = await runInitbox(['certificate', ...args], { files: pod });
  expect(status, stderr).toBe(0);
  return stderr;
}

type Way = readonly [name: string, args: (at: string) => readonly string[]];

const ways: readonly Way[] = [
  ['signed by itself', () => []],
  ['signed by itself, RSA', () => ['--key-type', 'rsa-2048']],
  ['by an authority that is kept in a folder', (at) => ['--ca-dir', join(at, 'authority')]],
  [
    'by an authority of others, RSA',
    () => ['--ca-cert', authority.certificateFile, '--ca-key', authority.keyFile, '--key-type', 'rsa-3072'],
  ],
  [
    'by an authority of others, P-384',
    () => ['--ca-cert', authority.certificateFile, '--ca-key', authority.keyFile, '--key-type', 'ec-p384'],
  ],
];

describe.each(ways)('a certificate %s', (_, more) => {
  let [to, port] = ['', 0];
  let server: ReturnType<typeof createServer>;
  const seen: (string | undefined)[] = [];
  const at = (name: string): string => join(to, name);

  beforeAll(async () => {
    const folder = inMemory();
    to = join(folder, 'tls');
    mkdirSync(join(folder, 'authority'));
    await certificate(['localhost', '127.0.0.1', '--service', 'web', '--to', to, ...more(folder)]);
    const [key, cert, ca] = ['tls.key', 'tls.crt', 'ca.crt'].map((name) => readFileSync(at(name)));
    server = createServer(
      { key, cert, ca, requestCert: true, rejectUnauthorized: false },
      (request, response) => {
        const { authorized } = request.socket as unknown as { authorized: boolean };
        seen.push(authorized ? 'a client that is trusted' : 'another');
        response.end('hi');
      },
    );
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server?.closeAllConnections();
    server?.close();
  });

  test('in OpenSSL, at its strictest, for each of its names and both uses, and for no others', async () => {
    const verify = (...args: readonly string[]): Promise<string> =>
      openssl('verify', '-x509_strict', ...args, '-CAfile', at('ca.crt'), at('tls.crt'));
    const names = ['localhost', 'web', 'web.shop', 'web.shop.svc', 'web.shop.svc.cluster.local'];
    for (const name of names)
      expect(await verify('-purpose', 'sslserver', '-verify_hostname', name)).toMatch(/: OK\n/);
    expect(await verify('-purpose', 'sslclient', '-verify_ip', '127.0.0.1')).toMatch(/: OK\n/);
    await expect(verify('-verify_hostname', 'web.other')).rejects.toThrow(/mismatch/i);
    await expect(verify('-purpose', 'crlsign')).rejects.toThrow(/unsuitable|purpose/i);
  });

  test.skipIf(noCurl)('in curl, as a server’s and as a client’s', async () => {
    const words = ['curl', '-sS', '--cacert', at('ca.crt'), '--cert', at('tls.crt'), '--key', at('tls.key')];
    expect(await runTool([...words, `https://localhost:${port}/`])).toBe('hi');
    expect(seen.at(-1)).toBe('a client that is trusted');
    await expect(runTool(['curl', '-sS', `https://localhost:${port}/`])).rejects.toThrow();
  });

  test('in Node', async () => {
    const script = `fetch("https://127.0.0.1:${port}/").then((a) => a.text()).then(console.log)`;
    const env = { NODE_EXTRA_CA_CERTS: at('ca.crt') };
    expect(await runTool([process.execPath, '-e', script], { env })).toBe('hi\n');
  });

  test.skipIf(noGo)('in Go, as a server’s and as a client’s', async () => {
    const client = (name: string): Promise<string> =>
      new Promise((resolve) => {
        const args = [at('ca.crt'), name, `127.0.0.1:${port}`, at('tls.crt'), at('tls.key')];
        execFile(go, args, (_error, stdout) => resolve(stdout));
      });
    for (const name of ['localhost', '127.0.0.1', 'web.shop.svc.cluster.local'])
      expect(await client(name)).toBe('trusted\n');
    expect(await client('web.other')).toContain('certificate is valid for');
  });

  test.skipIf(noJava)('in a real JVM, by stores that trust makes of it', async () => {
    const folder = inMemory();
    const [store, keys] = [join(folder, 'trust.p12'), join(folder, 'key.p12')];
    const words = ['--add', at('ca.crt'), '--pkcs12', store, '--key', at('tls.key'), '--cert', at('tls.crt')];
    const env = { PW: 'changeit' };
    const made = await runInitbox(['trust', ...words, '--key-pkcs12', keys, '--password-env', 'PW'], { env });
    expect(made.status, made.stderr).toBe(0);
    const options = {
      trust: { path: store, password: 'changeit' },
      key: { path: keys, password: 'changeit' },
    };
    const { output } = await connectByJava(`https://localhost:${port}/`, options);
    // It was trusted: "hi" is no revocation list.
    expect(output).not.toMatch(/PKIX|SSLHandshake|CertificateException/);
    expect(seen.at(-1)).toBe('a client that is trusted');
    // It had no say: without the store it is not.
    expect((await connectByJava(`https://localhost:${port}/`, {})).output).toMatch(/PKIX/);
  });

  test('the key is a secret, and the certificates are for everybody', () => {
    expect(statSync(at('tls.key')).mode & 0o7777).toBe(0o440);
    for (const name of ['tls.crt', 'ca.crt']) expect(statSync(at(name)).mode & 0o7777).toBe(0o444);
    expect(readFileSync(at('tls.key'), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  });
});

describe('an authority with others above it', () => {
  test('tls.crt has what stands between, ca.crt the root, and both verify without anything else', async () => {
    const folder = inMemory();
    const at = (name: string): string => join(folder, name);
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const [csr, key] = [at('sub.csr'), at('sub.key')];
    await openssl('req', '-new', ...ec, '-subj', '/CN=Issuing CA', '-keyout', key, '-out', csr);
    writeFileSync(at('ext'), 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n');
    const signer = ['-CA', authority.certificateFile, '-CAkey', authority.keyFile, '-set_serial', '77'];
    await openssl(
      'x509',
      '-req',
      '-in',
      csr,
      ...signer,
      '-days',
      '2',
      '-extfile',
      at('ext'),
      '-out',
      at('sub.crt'),
    );
    // In whatever order.
    writeFileSync(at('chain.pem'), authority.certificate + readFileSync(at('sub.crt'), 'utf8'));
    const args = ['web.shop', '--ca-cert', at('chain.pem'), '--ca-key', key, '--to', at('tls'), '--combined'];
    await certificate([...args, '--duration', '24h']);
    expect(readFileSync(at('tls/ca.crt'), 'utf8')).toBe(authority.certificate);
    const verified = await openssl(
      'verify',
      '-x509_strict',
      '-CAfile',
      at('tls/ca.crt'),
      '-untrusted',
      at('tls/tls.crt'),
      at('tls/tls.crt'),
    );
    expect(verified).toMatch(/: OK\n/);
    const [crt, own, pem] = ['tls.crt', 'tls.key', 'tls.pem'].map((name) =>
      readFileSync(at(`tls/${name}`), 'utf8'),
    );
    expect(crt?.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(pem).toBe(`${own}${crt}`);
    expect(await certificate([...args, '--duration', '24h'])).toMatch(/kept .*; 4 files unchanged/);
  });
});

test('a headless Service: its pods by a wildcard, which programs take', async () => {
  const to = inMemory();
  await certificate(['--headless-service', 'kafka.streaming', '--to', to]);
  const text = await openssl('x509', '-in', join(to, 'tls.crt'), '-noout', '-ext', 'subjectAltName');
  expect(text.match(/DNS:[^,\s]+/g)).toEqual([
    'DNS:kafka',
    'DNS:kafka.streaming',
    'DNS:kafka.streaming.svc',
    'DNS:kafka.streaming.svc.cluster.local',
    'DNS:*.kafka.streaming',
    'DNS:*.kafka.streaming.svc',
    'DNS:*.kafka.streaming.svc.cluster.local',
  ]);
  for (const name of ['kafka-0.kafka.streaming', 'kafka-12.kafka.streaming.svc.cluster.local'])
    expect(
      await openssl('verify', '-verify_hostname', name, '-CAfile', join(to, 'ca.crt'), join(to, 'tls.crt')),
    ).toMatch(/: OK\n/);
});

test('a name that is longer than a subject may be, and only an address', async () => {
  for (const name of [`${'a'.repeat(60)}.${'b'.repeat(60)}.example`, '10.0.0.4', 'fd00::4']) {
    const to = inMemory();
    await certificate([name, '--to', to]);
    const verified = await openssl(
      'verify',
      '-x509_strict',
      '-CAfile',
      join(to, 'ca.crt'),
      join(to, 'tls.crt'),
    );
    expect(verified).toMatch(/: OK\n/);
  }
});
