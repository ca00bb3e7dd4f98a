// Each form that trust writes, read by the programs that it is for.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { rootCertificates, type TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run as runTool } from '../../../support/build-cache.ts';
import { canUseJava, connectByJava, keytool, listStore } from '../../../support/java.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox } from '../../../support/program.ts';
import {
  type Certificate,
  type CertificateAuthority,
  createCertificateAuthority,
} from '../../../support/tls.ts';
import { needTool, requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const noJava = requireOrSkip('stores in a real JVM', canUseJava());
const noCurl = requireOrSkip('bundles in curl', whyMissing('curl', 'curl'));

const noRoot = requireOrSkip(
  'trust without roots in the image',
  process.getuid?.() === 0 ? undefined : 'a mount namespace needs root',
);

const password = 'changeit';
const inMemory = memoryFolders();
let work: ReturnType<typeof temporaryDirectory>;
let authority: CertificateAuthority;
let other: CertificateAuthority;
let leaf: Certificate;
let client: Certificate;
/** It wants no certificate of a client; the second one does. */
let server: Server;
let mutual: Server;
/** Whom the second server has seen. */
const clients: string[] = [];

beforeAll(async () => {
  work = temporaryDirectory('trust');
  authority = await createCertificateAuthority('Corp Root CA');
  other = await createCertificateAuthority('Another CA');
  leaf = await authority.server(['localhost']);
  client = await authority.client('shop');
  server = createServer({ key: leaf.key, cert: leaf.certificate }, (_request, response) =>
    response.end('hi'),
  );
  mutual = createServer(
    { key: leaf.key, cert: leaf.certificate, ca: authority.certificate, requestCert: true },
    (request, response) => {
      clients.push((request.socket as TLSSocket).getPeerCertificate().subject?.CN?.toString() ?? 'nobody');
      response.end('hi');
    },
  );
  for (const one of [server, mutual]) {
    one.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
  }
});
afterAll(() => {
  server.close();
  mutual.close();
  authority.remove();
  other.remove();
  work.remove();
});

const urlOf = (one: Server): string => `https://localhost:${(one.address() as AddressInfo).port}/`;

let count = 0;
function folder(): string {
  const path = join(work.path, String(count++));
  mkdirSync(join(path, 'certs'), { recursive: true });
  return path;
}

const openssl = (...args: readonly string[]): Promise<string> =>
  runTool([needTool('openssl', 'openssl'), ...args]);

async function trust(args: readonly string[], env: Record<string, string> = {}) {
  const result = await runInitbox(['trust', ...args], { env: { STORE_PASSWORD: password, ...env } });
  expect(result.status, result.stderr).toBe(0);
  return result;
}

const withPassword = ['--password-env', 'STORE_PASSWORD'];
/** The certificates of a text, by their fingerprints. */
const fingerprints = (text: string): string[] =>
  (text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []).map(
    (one) => new X509Certificate(one).fingerprint256,
  );

describe('a PEM bundle', () => {
  test('has the system’s roots and those that were added, each once; curl and Node trust by it', async () => {
    const path = join(folder(), 'ca.crt');
    const added = ['--add', authority.certificateFile, '--add', other.certificateFile];
    const { stderr } = await trust(['--system', ...added, ...added, '--bundle', path]);
    const found = fingerprints(readFileSync(path, 'utf8'));
    expect(new Set(found).size).toBe(found.length);
    expect(found.length).toBeGreaterThan(50);
    expect(found.slice(-2)).toEqual(
      [authority, other].map(({ certificate }) => new X509Certificate(certificate).fingerprint256),
    );
    expect(stderr).toMatch(/\d+ certificates \(\d+ of \S.*, 2 added\); 1 file written/);
    expect(statSync(path).mode & 0o7777).toBe(0o444);
    const script = `fetch(${JSON.stringify(urlOf(server))}).then((a) => a.text()).then(console.log)`;
    expect(await runTool([process.execPath, '-e', script], { env: { NODE_EXTRA_CA_CERTS: path } })).toBe(
      'hi\n',
    );
  });

  test.skipIf(noRoot)('has the roots that Node brings, where the image has none', async () => {
    const path = join(inMemory(), 'ca.crt');
    const hide =
      'mount -t tmpfs none /etc/ssl; if [ -e /etc/pki ]; then mount -t tmpfs none /etc/pki; fi; exec "$@"';
    const prefix = [needTool('unshare', 'util-linux'), '--mount', '/bin/sh', '-euc', hide, 'sh'];
    const { status, stderr } = await runInitbox(['trust', '--system', '--bundle', path], { prefix });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain(`${rootCertificates.length} certificates of Mozilla’s list in Node`);
    expect(fingerprints(readFileSync(path, 'utf8'))).toHaveLength(rootCertificates.length);
  });

  test.skipIf(noCurl)('curl trusts by it, and not without it', async () => {
    const path = join(folder(), 'ca.crt');
    await trust(['--add', authority.certificateFile, '--bundle', path]);
    const curl = (...args: string[]): Promise<string> =>
      runTool([needTool('curl', 'curl'), '-sS', ...args, urlOf(server)]);
    expect(await curl('--cacert', path)).toBe('hi');
    await trust(['--add', other.certificateFile, '--bundle', path]);
    await expect(curl('--cacert', path)).rejects.toThrow(/certificate/);
  });

  test('of another base; what is in both is there once', async () => {
    const cwd = folder();
    const base = join(cwd, 'base.crt');
    writeFileSync(base, `${other.certificate}${authority.certificate}`);
    const path = join(cwd, 'out.crt');
    const { stderr } = await trust(['--base', base, '--add', authority.certificateFile, '--bundle', path]);
    expect(readFileSync(path, 'utf8')).toBe(`${other.certificate}${authority.certificate}`);
    expect(stderr).toContain(`2 certificates (2 of ${base}, 0 added)`);
  });
});

describe('an OpenSSL hash folder', () => {
  test('has the names that openssl rehash gives, for every root that Node has and for names of every kind', async () => {
    const from = join(folder(), 'certs');
    for (const [index, text] of rootCertificates.entries()) writeFileSync(join(from, `${index}.pem`), text);
    const subjects = [
      ['two', '/O=Straße  der   Welt /CN= Große CA ', 'utf8only'],
      ['bmp', '/CN=Größe Ω/O=X', 'MASK:0x800'],
      ['universal', '/CN=Größe Ω/O=X', 'MASK:0x100'],
      ['latin', '/CN=Größe X', 'MASK:0x4'],
      ['multi', '/CN=b+OU=a+O=Z/C=DE', 'utf8only'],
      ['email', '/emailAddress=A@B.example/CN=x', 'utf8only'],
      ['empty', '/', 'utf8only'],
    ] as const;
    const config = join(folder(), 'config');
    for (const [name, subject, mask] of subjects) {
      writeFileSync(config, `[req]\nstring_mask=${mask}\ndistinguished_name=dn\n[dn]\n`);
      const made = [
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        `${config}.key`,
      ];
      await openssl(
        'req',
        '-x509',
        '-config',
        config,
        ...made,
        '-utf8',
        '-subj',
        subject,
        '-out',
        join(from, `${name}.pem`),
      );
    }
    const to = join(folder(), 'certs');
    await trust(['--add', from, '--hash-dir', to]);
    const ours = readdirSync(to).filter((name) => !name.startsWith('..'));
    await openssl('rehash', from);
    const theirs = readdirSync(from).filter((name) => /^[0-9a-f]{8}\.\d+$/.test(name));
    expect(ours.toSorted()).toEqual(theirs.toSorted());
    expect(ours.length).toBe(rootCertificates.length + subjects.length);
  });

  test('two of one subject are numbered; curl and openssl verify by it; what is taken away goes', async () => {
    const twin = await createCertificateAuthority('Corp Root CA');
    const to = join(folder(), 'certs');
    const both = ['--add', twin.certificateFile, '--add', authority.certificateFile];
    await trust([...both, '--add', other.certificateFile, '--hash-dir', to]);
    const names = readdirSync(to).filter((name) => !name.startsWith('..'));
    expect(names.map((name) => name.slice(8)).toSorted()).toEqual(['.0', '.0', '.1']);
    if (!noCurl)
      expect(await runTool([needTool('curl', 'curl'), '-sS', '--capath', to, urlOf(server)])).toBe('hi');
    expect(await openssl('verify', '-CApath', to, leaf.certificateFile)).toContain(': OK');
    const { stderr } = await trust(['--add', other.certificateFile, '--hash-dir', to]);
    expect(stderr).toContain('2 files removed that an earlier run had written');
    await expect(
      openssl('verify', '-no-CAfile', '-no-CAstore', '-CApath', to, leaf.certificateFile),
    ).rejects.toThrow();
    twin.remove();
  });
});

describe('truststores', () => {
  const stores = (at: string) => ({
    pkcs12: { path: join(at, 'trust.p12'), password },
    jks: { path: join(at, 'trust.jks'), password },
  });
  const both = (at: string) => [
    '--pkcs12',
    stores(at).pkcs12.path,
    '--jks',
    stores(at).jks.path,
    ...withPassword,
  ];

  test.skipIf(noJava)('a JVM lists what is in them under lasting names, and trusts by them', async () => {
    const at = folder();
    await trust(['--system', '--add', authority.certificateFile, ...both(at)]);
    const { raw } = new X509Certificate(authority.certificate);
    const digest = execFileSync('sha256sum', { input: raw }).toString().slice(0, 12);
    for (const store of Object.values(stores(at))) {
      const { status, output } = await listStore(store);
      expect(status, output).toBe(0);
      expect(output).toContain(`Alias name: corp-root-ca-${digest}`);
      expect(output.match(/Entry type: trustedCertEntry/g)?.length).toBeGreaterThan(50);
      expect(output).not.toMatch(/PrivateKeyEntry|not been verified|Warning/i);
      const seen = await connectByJava(urlOf(server), { trust: store });
      expect(seen.output).not.toContain('SSLHandshakeException');
      // What the server sends is no revocation list, and it was read.
      expect(seen.output).toMatch(/CRL|parse|Empty|input/i);
      expect((await listStore({ ...store, password: 'wrong-one' })).output).toMatch(/password was incorrect/);
    }
    expect((await connectByJava(urlOf(server), {})).output).toMatch(/PKIX path building failed/);
    await trust(['--add', other.certificateFile, ...both(at)]);
    for (const store of Object.values(stores(at)))
      expect((await connectByJava(urlOf(server), { trust: store })).output).toMatch(
        /PKIX path building failed/,
      );
  });

  test('OpenSSL reads the PKCS12 one, and checks its password', async () => {
    const at = folder();
    await trust(['--add', authority.certificateFile, '--add', other.certificateFile, ...both(at)]);
    const { path } = stores(at).pkcs12;
    const text = await openssl('pkcs12', '-in', path, '-nokeys', '-passin', `pass:${password}`);
    expect(fingerprints(text)).toEqual(
      [authority, other].map(({ certificate }) => new X509Certificate(certificate).fingerprint256),
    );
    await expect(openssl('pkcs12', '-in', path, '-nokeys', '-passin', 'pass:wrong-one')).rejects.toThrow(
      /password/,
    );
  });

  test.skipIf(noJava)(
    'a password with letters of other languages: JKS takes it, and PKCS12, which Java would not open, says so',
    async () => {
      const at = folder();
      const odd = { STORE_PASSWORD: 'Grüße, Ωμέγα ☃' };
      const jks = stores(at).jks.path;
      await trust(['--add', authority.certificateFile, '--jks', jks, ...withPassword], odd);
      const { status, output } = await listStore({ path: jks, password: odd.STORE_PASSWORD });
      expect(status, output).toBe(0);
      expect(output).toContain('Entry type: trustedCertEntry');
      const args = ['trust', '--add', authority.certificateFile, ...both(at)];
      const refused = await runInitbox(args, { env: odd });
      expect(refused.stderr).toContain('--pkcs12: the password has characters that are not printable ASCII');
      expect(refused.stderr).not.toContain('Ωμέγα');
      expect(refused.status).toBe(2);
    },
  );
});

describe('stores of Java as the base', () => {
  const stores: readonly (readonly [string, readonly string[]])[] = [
    ['JKS', ['-storetype', 'JKS']],
    [
      'PKCS12 without a password, as Java has its own since 18',
      [
        '-storetype',
        'PKCS12',
        '-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE',
        '-J-Dkeystore.pkcs12.macAlgorithm=NONE',
      ],
    ],
  ];
  const imported = (path: string, { certificateFile }: Certificate, alias: string, more: readonly string[]) =>
    keytool([
      '-importcert',
      '-noprompt',
      '-storepass',
      password,
      '-keystore',
      path,
      '-file',
      certificateFile,
      '-alias',
      alias,
      ...more,
    ]);

  test.skipIf(noJava).each(stores)('%s', async (_name, more) => {
    const at = folder();
    const base = join(at, 'cacerts');
    for (const [alias, one] of Object.entries({ a: other, b: leaf })) {
      const { status, output } = await imported(base, one, alias, more);
      expect(status, output).toBe(0);
    }
    const path = join(at, 'ca.crt');
    await trust(['--base', base, '--add', authority.certificateFile, '--bundle', path]);
    const expected = [other, leaf, authority].map(
      ({ certificate }) => new X509Certificate(certificate).fingerprint256,
    );
    const found = fingerprints(readFileSync(path, 'utf8'));
    expect(found.toSorted()).toEqual(expected.toSorted());
    expect(found.at(-1)).toBe(expected.at(-1));
    writeFileSync(base, readFileSync(base).subarray(0, 300));
    const cut = await runInitbox(['trust', '--base', base, '--bundle', path]);
    expect(cut.status, cut.stderr).toBe(2);
  });

  test('what it has written itself: JKS is read, keys are left out, what is encrypted is refused', async () => {
    const at = inMemory();
    const args = [
      '--add',
      authority.certificateFile,
      '--jks',
      join(at, 't.jks'),
      '--pkcs12',
      join(at, 't.p12'),
    ];
    const keys = ['--key', client.keyFile, '--cert', client.certificateFile, '--key-jks', join(at, 'k.jks')];
    await trust([...args, ...keys, ...withPassword]);
    const path = join(at, 'ca.crt');
    await trust(['--base', join(at, 't.jks'), '--bundle', path]);
    expect(readFileSync(path, 'utf8')).toBe(authority.certificate);
    const key = await runInitbox(['trust', '--add', join(at, 'k.jks'), '--bundle', path]);
    expect(key.stderr).toContain('holds no certificate');
    expect(key.stderr).toContain('k.jks: 1 of its entries are keys with their chains; they are left out');
    expect(key.status).toBe(2);
    const locked = await runInitbox(['trust', '--base', join(at, 't.p12'), '--bundle', path]);
    expect(locked.stderr).toContain('t.p12 is an encrypted PKCS12 store; write what it holds as PEM');
    expect(locked.status).toBe(2);
  });
});

describe('keystores', () => {
  test.skipIf(noJava)('a JVM shows its certificate from them', async () => {
    const at = inMemory();
    const cert = join(at, 'chain.crt');
    // In the wrong order, and with one that does not belong to it.
    writeFileSync(cert, `${other.certificate}${authority.certificate}${client.certificate}`);
    const pkcs12 = { path: join(at, 'out/key.p12'), password };
    const jks = { path: join(at, 'out/key.jks'), password };
    const trusted = { path: join(at, 'out/trust.p12'), password };
    const { stderr } = await trust([
      '--key',
      client.keyFile,
      '--cert',
      cert,
      '--alias',
      'Shop',
      '--key-pkcs12',
      pkcs12.path,

      '--key-jks',
      jks.path,
      '--add',
      authority.certificateFile,
      '--pkcs12',
      trusted.path,
      ...withPassword,
    ]);
    expect(stderr).toContain('the certificate "Another CA" is not of the chain of --cert');
    expect(statSync(pkcs12.path).mode & 0o7777).toBe(0o440);
    expect(statSync(trusted.path).mode & 0o7777).toBe(0o444);
    for (const store of [pkcs12, jks]) {
      const { status, output } = await listStore(store);
      expect(status, output).toBe(0);
      expect(output).toMatch(
        /Alias name: shop\n[\s\S]*Entry type: PrivateKeyEntry\nCertificate chain length: 2/,
      );
      clients.length = 0;
      const seen = await connectByJava(urlOf(mutual), { trust: trusted, key: store });
      expect(clients, seen.output).toEqual(['shop']);
    }
    clients.length = 0;
    await connectByJava(urlOf(mutual), { trust: trusted });
    expect(clients).toEqual([]);
  });

  test('OpenSSL finds the same key in it, whatever form it was given in', async () => {
    const at = inMemory();
    const made = (name: string): string => join(at, name);
    await openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=r',
      '-keyout',
      made('rsa8'),
      '-out',
      made('rsa.crt'),
    );
    await openssl(
      'req',
      '-x509',
      '-newkey',
      'ed25519',
      '-nodes',
      '-subj',
      '/CN=e',
      '-keyout',
      made('ed8'),
      '-out',
      made('ed.crt'),
    );
    await openssl('rsa', '-in', made('rsa8'), '-traditional', '-out', made('rsa1'));
    await openssl(
      'rsa',
      '-in',
      made('rsa8'),
      '-traditional',
      '-aes128',
      '-passout',
      'pass:Gru\u00dfwort',
      '-out',
      made('rsa1-locked'),
    );
    await openssl(
      'pkcs8',
      '-in',
      made('rsa8'),
      '-topk8',
      '-passout',
      'pass:Gru\u00dfwort',
      '-out',
      made('rsa8-locked'),
    );
    await openssl(
      'pkcs8',
      '-in',
      made('rsa8'),
      '-topk8',
      '-outform',
      'DER',
      '-passout',
      'pass:Gru\u00dfwort',
      '-out',
      made('rsa8-locked-der'),
    );
    await openssl('rsa', '-in', made('rsa8'), '-outform', 'DER', '-traditional', '-out', made('rsa1-der'));
    await openssl(
      'pkcs8',
      '-in',
      made('rsa8'),
      '-topk8',
      '-nocrypt',
      '-outform',
      'DER',
      '-out',
      made('rsa8-der'),
    );
    await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-out', made('ec1'));
    await openssl('req', '-x509', '-key', made('ec1'), '-subj', '/CN=c', '-out', made('ec.crt'));
    writeFileSync(
      made('rsa8-windows'),
      `\uFEFFBag Attributes\r\n${readFileSync(made('rsa8'), 'utf8').replaceAll('\n', '\r\n')}`,
    );
    const cases: readonly (readonly [string, string])[] = [
      ...[
        'rsa8',
        'rsa1',
        'rsa1-locked',
        'rsa8-locked',
        'rsa8-locked-der',
        'rsa1-der',
        'rsa8-der',
        'rsa8-windows',
      ].map((key) => [key, 'rsa.crt'] as const),
      ['ed8', 'ed.crt'],
      ['ec1', 'ec.crt'],
    ];
    for (const [key, cert] of cases) {
      const path = made(`${key}.p12`);
      const locked = key.includes('locked') ? ['--key-password-env', 'KEY_PASSWORD'] : [];
      await trust(
        ['--key', made(key), '--cert', made(cert), '--key-pkcs12', path, ...withPassword, ...locked],
        { KEY_PASSWORD: 'Gru\u00dfwort' },
      );
      const text = await openssl('pkcs12', '-in', path, '-nodes', '-passin', `pass:${password}`);
      writeFileSync(made('got'), text);
      const expected = await openssl('x509', '-in', made(cert), '-noout', '-pubkey');
      expect(await openssl('pkey', '-in', made('got'), '-pubout'), key).toBe(expected);
      expect(fingerprints(text), key).toHaveLength(1);
    }
  });

  test('a disk is refused, with what to do, unless it is allowed', async () => {
    const at = folder();
    const args = [
      '--key',
      client.keyFile,
      '--cert',
      client.certificateFile,
      '--key-pkcs12',
      join(at, 'key.p12'),
    ];
    const refused = await runInitbox(['trust', ...args, ...withPassword], {
      env: { STORE_PASSWORD: password },
    });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('it is a secret, and');
    expect(refused.stderr).toContain('allow the disk with --allow-disk');
    expect(refused.stderr).not.toContain('--public');
    await trust([...args, '--allow-disk', ...withPassword]);
  });
});

describe('a rerun', () => {
  test('changes nothing, and the same certificates elsewhere give the same bytes', async () => {
    const at = inMemory();
    const args = (to: string): string[] => [
      '--system',
      '--add',
      authority.certificateFile,
      '--bundle',
      join(at, to, 'ca.crt'),
      '--hash-dir',
      join(at, to, 'certs'),
      '--pkcs12',
      join(at, to, 'trust.p12'),
      '--jks',
      join(at, to, 'trust.jks'),
      '--key',
      client.keyFile,
      '--cert',
      client.certificateFile,
      '--key-pkcs12',
      join(at, to, 'key.p12'),
      '--key-jks',
      join(at, to, 'key.jks'),
      ...withPassword,
    ];
    await trust(args('a'));
    const files = ['ca.crt', 'trust.p12', 'trust.jks', 'key.p12', 'key.jks'];
    const before = files.map((name) => statSync(join(at, 'a', name), { bigint: true }));
    const again = await trust(args('a'));
    expect(again.stderr).toMatch(/; \d+ files unchanged\n/);
    expect(again.stderr).not.toMatch(/files? written/);
    for (const [index, name] of files.entries())
      expect(statSync(join(at, 'a', name), { bigint: true })).toMatchObject({
        ino: before[index]?.ino,
        mtimeNs: before[index]?.mtimeNs,
      });
    await trust(args('b'));
    const bytes = (to: string) => files.map((name) => readFileSync(join(at, to, name)).toString('base64'));
    expect(bytes('b')).toEqual(bytes('a'));
    await trust(args('b'), { STORE_PASSWORD: 'another-one' });
    expect(bytes('b').map((one, index) => one === bytes('a')[index])).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});
