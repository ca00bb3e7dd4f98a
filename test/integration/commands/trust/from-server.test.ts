// What a TLS server shows: looked at, pinned, trusted whoever it is; and servers that are none, or are hostile.
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer, type TlsOptions } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run as runTool } from '../../../support/build-cache.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { freePort } from '../../../support/ports.ts';
import {
  canRunAsPid1,
  type ProgramOptions,
  type ProgramResult,
  runInitbox,
  runToDeadline,
  startAsPid1,
} from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import {
  type Certificate,
  type CertificateAuthority,
  createCertificateAuthority,
} from '../../../support/tls.ts';
import { needTool, requireOrSkip } from '../../../support/tools.ts';

const noPid1 = requireOrSkip('trust --from-server as PID 1', canRunAsPid1());

const inMemory = memoryFolders();
let authority: CertificateAuthority;
let leaf: Certificate;
/** A certificate between the root and the leaf below. */
let chained: { readonly certificate: string; readonly key: string; readonly issuer: string };
const servers = new Map<Server, Set<Socket>>();

async function listening(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  servers.set(server, sockets);
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `localhost:${(server.address() as AddressInfo).port}`;
}

const serving = (options: TlsOptions): Promise<string> => listening(createServer(options));
const answering = (answer: (socket: Socket) => void): Promise<string> => listening(createTcpServer(answer));

beforeAll(async () => {
  authority = await createCertificateAuthority('Corp Root CA');
  leaf = await authority.server(['localhost']);
  chained = await madeChain();
});
afterAll(() => {
  for (const [server, sockets] of servers) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  authority.remove();
});

async function madeChain(): Promise<typeof chained> {
  const at = (name: string): string => join(authority.folder, name);
  const openssl = (...args: readonly string[]): Promise<string> =>
    runTool([needTool('openssl', 'openssl'), ...args]);
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const issue = async (name: string, extension: string, ca: string, key: string): Promise<void> => {
    await openssl(
      'req',
      '-new',
      ...ec,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at('c.csr'),
    );
    writeFileSync(at('c.ext'), extension);
    const signer = ['-CA', ca, '-CAkey', key, '-set_serial', String(Date.now()), '-days', '2'];
    await openssl(
      'x509',
      '-req',
      '-in',
      at('c.csr'),
      ...signer,
      '-extfile',
      at('c.ext'),
      '-out',
      at(`${name}.crt`),
    );
  };
  const usage = 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n';
  await issue('between', usage, authority.certificateFile, authority.keyFile);
  await issue('below', 'subjectAltName=DNS:localhost\n', at('between.crt'), at('between.key'));
  const [certificate, issuer, key] = ['below.crt', 'between.crt', 'below.key'].map((name) =>
    readFileSync(at(name), 'utf8'),
  );
  return { certificate: certificate ?? '', issuer: issuer ?? '', key: key ?? '' };
}

const sha256 = (certificate: string): string =>
  new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase();
const trust = (args: readonly string[], options?: ProgramOptions): Promise<ProgramResult> =>
  runInitbox(['trust', ...args], options);
const shownBy = (server: string) => ['--from-server', server, '--timeout', '20s'];

describe('a look', () => {
  test('prints the chain with its pins, writes nothing, and says that it proves nothing', async () => {
    const server = await serving({ key: chained.key, cert: chained.certificate + chained.issuer });
    const { status, stdout, stderr } = await trust(shownBy(server));
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      server,
      certificates: [
        {
          subject: 'CN=below',
          issuer: 'CN=between',
          names: 'DNS:localhost',
          notBefore: expect.stringMatching(/^\d{4}-/) as string,
          notAfter: expect.stringMatching(/^\d{4}-/) as string,
          authority: false,
          pin: `sha256:${sha256(chained.certificate)}`,
        },
        expect.objectContaining({
          subject: 'CN=between',
          issuer: 'CN=Corp Root CA',
          authority: true,
          pin: `sha256:${sha256(chained.issuer)}`,
        }) as object,
      ],
      sendsRoot: false,
    });
    expect(stderr).toContain('proves nothing about who it is');
    expect(stderr).toMatch(/does not send the root that signed "between" \(CN=Corp Root CA\)/);
  });

  test('a server that sends its root too, and one whose certificate signs itself', async () => {
    const whole = await serving({ key: leaf.key, cert: leaf.certificate + authority.certificate });
    const self = await serving({ key: authority.key, cert: authority.certificate });
    for (const [server, count] of [
      [whole, 2],
      [self, 1],
    ] as const) {
      const { stdout, stderr } = await trust(shownBy(server));
      expect(JSON.parse(stdout)).toMatchObject({ sendsRoot: true, certificates: { length: count } });
      expect(stderr).not.toContain('does not send the root');
    }
  });

  test('a server that wants a certificate of clients shows its own all the same', async () => {
    const server = await serving({
      key: leaf.key,
      cert: leaf.certificate,
      ca: authority.certificate,
      requestCert: true,
    });
    expect(JSON.parse((await trust(shownBy(server))).stdout)).toMatchObject({
      certificates: [{ subject: 'CN=localhost' }, { subject: 'CN=Corp Root CA' }],
    });
  });

  test('roots of the system are not taken for what the server sent', async () => {
    const { stdout } = await trust(shownBy(await serving({ key: leaf.key, cert: leaf.certificate })), {
      env: { NODE_EXTRA_CA_CERTS: authority.certificateFile },
    });
    expect(JSON.parse(stdout)).toMatchObject({ sendsRoot: false, certificates: { length: 1 } });
  });

  test('as a check: 69 where the pin is of none that it shows, and these are named', async () => {
    const server = await serving({ key: leaf.key, cert: leaf.certificate });
    const right = new X509Certificate(leaf.certificate).fingerprint256;
    expect((await trust([...shownBy(server), '--pin', `sha256:${right}`])).status).toBe(0);
    const wrong = await trust([...shownBy(server), '--pin', `sha256:${'0'.repeat(64)}`]);
    expect(wrong.status).toBe(69);
    expect(wrong.stdout).toBe('');
    expect(wrong.stderr).toContain(`it shows "localhost", sha256:${sha256(leaf.certificate)}`);
  });
});

describe('with a file to write', () => {
  test('neither --pin nor --unverified: 2, and nothing is asked or written', async () => {
    const to = inMemory();
    const { status, stderr } = await trust([...shownBy('localhost:1'), '--bundle', join(to, 'ca.crt')]);
    expect(status).toBe(2);
    expect(stderr).toContain('give --pin with the SHA-256 that its owner names, or --unverified');
    expect(readdirSync(to)).toEqual([]);
  });

  test('--pin: what was pinned is trusted, and no other; a rerun changes nothing', async () => {
    const path = join(inMemory(), 'ca.crt');
    const server = await serving({ key: leaf.key, cert: leaf.certificate + authority.certificate });
    const args = [...shownBy(server), '--pin', `sha256:${sha256(authority.certificate)}`, '--bundle', path];
    const first = await trust(args);
    expect(first.status, first.stderr).toBe(0);
    expect(first.stderr).not.toContain('proves nothing');
    expect(first.stdout).toBe('');
    expect(readFileSync(path, 'utf8')).toBe(authority.certificate);
    expect((await trust(args)).stderr).toContain('1 file unchanged');
    const other = await serving({ key: leaf.key, cert: leaf.certificate });
    expect((await trust(args.with(1, other))).status).toBe(69);
    expect(readFileSync(path, 'utf8')).toBe(authority.certificate);
  });

  test('--unverified: the last one, beside others, and said', async () => {
    const path = join(inMemory(), 'ca.crt');
    const server = await serving({ key: chained.key, cert: chained.certificate + chained.issuer });
    const added = ['--add', authority.certificateFile, '--unverified', '--bundle', path];
    const { status, stderr } = await trust([...shownBy(server), ...added]);
    expect(status, stderr).toBe(0);
    expect(readFileSync(path, 'utf8')).toBe(authority.certificate + chained.issuer);
    expect(stderr).toContain('proves nothing about who it is');
    expect(stderr).toContain('does not send the root');
  });
});

describe('what is not a TLS server, or a hostile one', () => {
  const few = ['--timeout', '1s'];

  test.each<[string, (socket: Socket) => void, RegExp]>([
    ['silent', () => undefined, /no answer|TLS turned on/],
    ['that closes at once', (socket) => socket.destroy(), /closed|reset|ended/],
    ['of HTTP', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), /TLS/],
    ['of endless bytes', (socket) => flood(socket, Buffer.alloc(1 << 16, 0x16)), /./],
    ['of an endless record', (socket) => flood(socket, Buffer.from('1603030001', 'hex')), /./],
  ])('a server %s: 124 or 69, and the reason', async (_, answer, said) => {
    const server = await answering(answer);
    const { status, stderr, stdout } = await runToDeadline(['trust', ...few, '--from-server', server]);
    expect([69, 124]).toContain(status);
    expect(stderr).toContain(server);
    expect(stderr).toMatch(said);
    expect(stdout).toBe('');
  });

  test('a chain of more than anybody has is not read to its end', async () => {
    // OpenSSL takes 100 KiB of certificates.
    const cert = leaf.certificate + authority.certificate.repeat(400);
    const server = await serving({ key: leaf.key, cert });
    const { status, stderr } = await runToDeadline(['trust', '--timeout', '1s', '--from-server', server]);
    expect([69, 124]).toContain(status);
    expect(stderr).toContain(server);
  });

  test('nobody there: 124, and where', async () => {
    const server = `localhost:${await freePort()}`;
    const { status, stderr } = await runToDeadline(['trust', '--timeout', '1s', '--from-server', server]);
    expect(status).toBe(124);
    expect(stderr).toContain('connection refused');
  });

  test.skipIf(noPid1)('SIGTERM as PID 1 while a server is silent: at once', async () => {
    let opened = (): void => undefined;
    const open = new Promise<void>((resolve) => (opened = resolve));
    const server = await answering(() => opened());
    const running = await startAsPid1(['trust', '--from-server', server]);
    await open;
    running.kill('SIGTERM');
    expect((await within(promptly, running.exit)).status).toBe(143);
  });

  test('names that would move a cursor are shown without what does it', async () => {
    const evil = await createCertificateAuthority('a\u001b[2Jb');
    try {
      const one = await evil.server(['localhost']);
      const server = await serving({ key: one.key, cert: one.certificate });
      const { stderr } = await trust(shownBy(server));
      expect(stderr).not.toContain('\u001b');
    } finally {
      evil.remove();
    }
  });
});

function flood(socket: Socket, bytes: Buffer): void {
  socket.on('drain', () => flood(socket, bytes));
  while (!socket.destroyed && socket.write(bytes));
}

test.each<[string, string]>([
  ['', 'is empty'],
  ['http://db', 'is not a server'],
  ['db:0', 'is not a whole number from 1 to 65535'],
  ['db:99999', 'is not a whole number from 1 to 65535'],
  ['[db]:443', 'is not a server'],
  ['a b', 'is not a server'],
])('--from-server %j: 2', async (server, said) => {
  const { status, stderr } = await trust(['--from-server', server]);
  expect(status).toBe(2);
  expect(stderr).toContain(said);
});

test.each(['sha1:00', 'sha256:00', `sha256:${'g'.repeat(64)}`, '0'.repeat(64)])(
  '--pin %s: 2',
  async (pin) => {
    const { status, stderr } = await trust(['--from-server', 'db', '--pin', pin]);
    expect(status).toBe(2);
    expect(stderr).toContain('64 digits');
  },
);

test('--pin and --unverified without a server: 2', async () => {
  for (const more of [['--unverified'], ['--pin', `sha256:${'0'.repeat(64)}`]]) {
    const { status, stderr } = await trust(['--system', '--bundle', '/nowhere/ca.crt', ...more]);
    expect(status).toBe(2);
    expect(stderr).toContain('--from-server');
  }
});
