// What trust makes of files that are damaged, hostile, or not what they were taken for.
import { X509Certificate } from 'node:crypto';
import {
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run as runTool } from '../../../support/build-cache.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { canRunAsPid1, runInitbox, startAsPid1, terminationLog } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import {
  type Certificate,
  type CertificateAuthority,
  createCertificateAuthority,
} from '../../../support/tls.ts';
import { needTool, requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const isRoot = process.getuid?.() === 0;
const noRoot = requireOrSkip('trust and links of other users', isRoot ? undefined : 'chown needs root');
const noPid1 = requireOrSkip('trust as PID 1', canRunAsPid1());

const inMemory = memoryFolders();
let work: ReturnType<typeof temporaryDirectory>;
let authority: CertificateAuthority;
let other: CertificateAuthority;
let leaf: Certificate;

beforeAll(async () => {
  work = temporaryDirectory('trust-inputs');
  authority = await createCertificateAuthority('Corp Root CA');
  other = await createCertificateAuthority('Another CA');
  leaf = await authority.server(['localhost']);
});
afterAll(() => {
  authority.remove();
  other.remove();
  work.remove();
});

let count = 0;
/** A folder with these files in `in`. */
function folder(files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const path = join(work.path, String(count++));
  mkdirSync(join(path, 'in'), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, 'in', name), content);
  return path;
}

const run = (cwd: string, args: readonly string[], env: Record<string, string> = {}) =>
  runInitbox(['trust', ...args], { cwd, env });

/** The names of the certificates in a bundle. */
const namesIn = (path: string): string[] =>
  (readFileSync(path, 'utf8').match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? []).map((text) =>
    new X509Certificate(text).subject.replace('CN=', ''),
  );

describe('what is read', () => {
  test('a mounted ConfigMap, whatever its files look like', async () => {
    const der = new X509Certificate(other.certificate).raw;
    const cwd = folder({ 'README.md': 'our authorities\n' });
    const data = join(cwd, 'in', '..2026');
    mkdirSync(data);
    const files = {
      'a.crt': `\uFEFFsubject=corp\r\n${authority.certificate.replaceAll('\n', '\r\n')}`,
      'b.der': Buffer.concat([der, new X509Certificate(leaf.certificate).raw]),
      'c.pem': `Grüße\n${other.certificate}\n# again\n${authority.certificate}`,
    };
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(data, name), content);
      symlinkSync(`..data/${name}`, join(cwd, 'in', name));
    }
    symlinkSync('..2026', join(cwd, 'in', '..data'));
    mkdirSync(join(cwd, 'in', 'deep'));
    const result = await run(cwd, ['--add', 'in', '--bundle', 'ca.crt']);
    expect(result.status, result.stderr).toBe(0);
    expect(namesIn(join(cwd, 'ca.crt'))).toEqual(['Corp Root CA', 'Another CA', 'localhost']);
    expect(result.stderr).toContain('in/README.md holds no certificate; it is left out');
    expect(result.stderr).toContain('in/b.der: the certificate "localhost" is not a CA certificate');
    expect(result.stderr).toContain('3 certificates; 1 file written');
  });

  test('a private key beside certificates is left out, with its place, and none of it is anywhere', async () => {
    const cwd = folder({ 'tls.crt': `${authority.certificate}${authority.key}`, 'tls.key': authority.key });
    mkdirSync(join(cwd, 'certs'));
    const result = await run(cwd, ['--add', 'in', '--bundle', 'ca.crt', '--hash-dir', 'certs']);
    expect(result.status, result.stderr).toBe(0);
    const line = authority.certificate.split('\n').length;
    expect(result.stderr).toContain(`in/tls.crt:${line}: a private key lies beside the certificates`);
    expect(result.stderr).toContain('in/tls.key:1: a private key lies beside');
    const body = authority.key.split('\n')[1] ?? 'none';
    const certs = readdirSync(join(cwd, 'certs')).filter((name) => !name.startsWith('..'));
    const written = [join(cwd, 'ca.crt'), ...certs.map((name) => join(cwd, 'certs', name))];
    for (const path of written) expect(readFileSync(path, 'utf8')).not.toContain(body);
    expect(result.stderr).not.toContain(body);
  });

  test('what has expired, or is not valid yet, is named', async () => {
    const late = await authority.server(['late'], { from: new Date(Date.now() + 10 * 86_400_000) });
    const old = await authority.server(['old'], { from: new Date('2020-01-01T00:00:00Z'), days: 1 });
    const cwd = folder({ 'late.crt': late.certificate, 'old.crt': old.certificate });
    const { status, stderr } = await run(cwd, ['--add', 'in', '--bundle', 'ca.crt']);
    expect(status).toBe(0);
    expect(stderr).toContain('in/old.crt:1: the certificate "old" expired on 2020-01-02');
    expect(stderr).toMatch(/in\/late\.crt:1: the certificate "late" is not valid before 20\d\d-/);
    expect(namesIn(join(cwd, 'ca.crt'))).toEqual(['late', 'old']);
  });

  test('a name that would move the cursor is shown without what does it', async () => {
    const path = join(inMemory(), 'hostile');
    const subject = '/CN=x\u001b[2J\u202eevil';
    const made = ['-newkey', 'ed25519', '-nodes', '-keyout', `${path}.key`, '-out', `${path}.crt`];
    await runTool([
      needTool('openssl', 'openssl'),
      'req',
      '-x509',
      '-utf8',
      '-subj',
      subject,
      ...made,
      '-addext',
      'basicConstraints=critical,CA:FALSE',
    ]);
    const hostile = { certificate: readFileSync(`${path}.crt`, 'utf8') };
    const cwd = folder({ 'ca.crt': hostile.certificate });
    const result = await run(cwd, ['--add', 'in/ca.crt', '--bundle', 'out.crt', '--dry-run']);
    expect(result.status, result.stderr).toBe(0);
    expect(result.stderr).toContain('the certificate "x?[2J?evil"');
    expect(result.stdout).toContain('"alias": "x-2j-evil-');
    for (const hidden of ['\u001b', '\u202e']) expect(result.stderr).not.toContain(hidden);
  });

  test('a certificate with times that are none, or with a kind of key that nobody knows, does not stop it', async () => {
    const { raw } = new X509Certificate(authority.certificate);
    // Latin-1 has a character for each byte.
    const timeless = raw.toString('latin1').replaceAll(/\d{12}Z/g, 'X'.repeat(13));
    const ecKey = Buffer.from('2a8648ce3d0201', 'hex').toString('latin1');
    const unknown = raw.toString('latin1').replace(ecKey, `${ecKey.slice(0, -1)}\u007f`);
    const cwd = folder({
      'timeless.der': Buffer.from(timeless, 'latin1'),
      'unknown.der': Buffer.from(unknown, 'latin1'),
      'right.crt': other.certificate,
    });
    const args = ['--add', 'in', '--bundle', 'ca.crt', '--jks', 'ca.jks', '--password-env', 'PW'];
    const { status, stderr } = await run(cwd, args, { PW: 'changeit' });
    expect(stderr).toContain('in/timeless.der: the certificate "Corp Root CA" expired on 1970-01-01');
    for (const [name, why] of [
      ['timeless', 'its first date is not one'],
      ['unknown', 'its public key is of a kind that Java may not read (1.2.840.10045.2.127)'],
    ])
      expect(stderr).toMatch(
        new RegExp(`in/${name}\\.der: .* is left out of --jks, .*: ${RegExp.escape(why ?? '')}`),
      );
    expect(status).toBe(0);
    expect(namesIn(join(cwd, 'ca.crt'))).toHaveLength(3);
    const dry = await run(cwd, ['--add', 'in', '--bundle', 'ca.crt', '--dry-run']);
    expect(dry.status, dry.stderr).toBe(0);
  });

  test('--dry-run tells what it would write, and writes nothing', async () => {
    const cwd = folder({ 'ca.crt': authority.certificate });
    const result = await run(cwd, ['--add', 'in', '--bundle', 'out.crt', '--dry-run']);
    expect(result.status).toBe(0);
    expect(JSON.parse(result.stdout)).toMatchObject({
      certificates: [
        {
          subject: 'CN=Corp Root CA',
          alias: expect.stringMatching(/^corp-root-ca-[0-9a-f]{12}$/) as string,
          from: 'in/ca.crt:1',
        },
      ],
      files: [{ path: join(cwd, 'out.crt'), mode: '0444' }],
    });
    expect(readdirSync(cwd)).toEqual(['in']);
  });
});

describe('what is refused, with 2 and nothing done', () => {
  const bundle = ['--bundle', 'ca.crt'];
  const half = (text: string): string => text.slice(0, text.length / 2);
  const cases: readonly (readonly [
    string,
    () => Record<string, string | Uint8Array>,
    readonly string[],
    RegExp,
  ])[] = [
    ['nothing to write', () => ({}), ['--system'], /nothing says what to write: give --bundle/],
    ['nothing to trust', () => ({}), bundle, /--bundle: nothing says which certificates to trust/],
    [
      'a source, and only a keystore',
      () => ({}),
      ['--system', '--key', 'k', '--cert', 'c', '--key-jks', 'o'],
      /--system says what to trust, and nothing is written of it/,
    ],
    [
      'a store without a password',
      () => ({}),
      ['--system', '--jks', 'x'],
      /--jks needs a password: give --password-file/,
    ],
    [
      'a password without a store',
      () => ({}),
      ['--system', ...bundle, '--password-env', 'HOME'],
      /--password-env is the password of a store/,
    ],
    [
      'a variable that is not set',
      () => ({}),
      ['--system', '--jks', 'x', '--password-env', 'NOPE'],
      /--password-env: the variable NOPE is not set/,
    ],
    [
      'a password file that is not there',
      () => ({}),
      ['--system', '--jks', 'x', '--password-file', 'in/nope'],
      /--password-file: there is no file in\/nope/,
    ],
    [
      'an empty password file',
      () => ({ pw: '\n' }),
      ['--system', '--jks', 'x', '--password-file', 'in/pw'],
      /in\/pw is empty/,
    ],
    [
      'a keystore without a certificate',
      () => ({}),
      ['--key', 'k', '--key-jks', 'o', '--password-env', 'HOME'],
      /--key-jks needs --key and --cert/,
    ],
    ['a key for nothing', () => ({}), ['--system', ...bundle, '--key', 'k'], /--key is for a keystore/],
    ['both bases', () => ({}), ['--system', '--base', 'x', ...bundle], /cannot be combined/],
    [
      'a path that is not there',
      () => ({}),
      ['--add', 'in/nope', ...bundle],
      /--add: there is no in\/nope; is the volume mounted/,
    ],
    [
      'a source of another kind',
      () => ({}),
      ['--add', 'kubernetes:configmap/a#ca.crt', ...bundle],
      /--add: kubernetes: begins an address, and files, folders, and vault:.*initbox fetch-config/,
    ],
    [
      'an address as a base, of which no password is told',
      () => ({}),
      ['--base', 'git+https://user:pw-canary@host/ca', ...bundle],
      /--base: what stands there looks like the secret itself(?![^]*pw-canary)/,
    ],
    ['an empty folder', () => ({}), ['--add', 'in', ...bundle], /--add: the folder in holds no certificates/],
    [
      'a file without one',
      () => ({ x: 'hello\n' }),
      ['--add', 'in/x', ...bundle],
      /--add: in\/x holds no certificate/,
    ],
    [
      'a file with a key alone',
      () => ({ x: authority.key }),
      ['--add', 'in/x', ...bundle],
      /in\/x holds no certificate[\s\S]*in\/x:1: a private key/,
    ],
    [
      'half a certificate',
      () => ({ x: `\n${half(authority.certificate)}` }),
      ['--add', 'in', ...bundle],
      /in\/x:2: -----BEGIN CERTIFICATE----- has no/,
    ],
    [
      'a certificate with a letter changed to a sign',
      () => ({ x: authority.certificate.replace('MII', 'M?I') }),
      ['--add', 'in', ...bundle],
      /in\/x:1: the block is not base64/,
    ],
    [
      'another thing in its block',
      () => ({ x: '-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n' }),
      ['--add', 'in', ...bundle],
      /in\/x:1: the block is not a certificate \(X\.509\)/,
    ],
    [
      'OpenSSL’s own kind',
      () => ({ x: authority.certificate.replaceAll(' CERTIFICATE', ' TRUSTED CERTIFICATE') }),
      ['--add', 'in', ...bundle],
      /in\/x:1: OpenSSL’s TRUSTED CERTIFICATE/,
    ],
    [
      'UTF-16',
      () => ({ x: Buffer.from(`\uFEFF${authority.certificate}`, 'utf16le') }),
      ['--add', 'in/x', ...bundle],
      /it is UTF-16 text; save it as UTF-8/,
    ],
    [
      'a target that it reads',
      () => ({ x: authority.certificate }),
      ['--add', 'in', '--bundle', 'in/ca.crt'],
      /--bundle: \S+\/in\/ca\.crt lies in in \(--add\)/,
    ],
    [
      'a hash folder that it reads',
      () => ({ x: authority.certificate }),
      ['--add', 'in', '--hash-dir', 'in'],
      /lies in in \(--add\)/,
    ],
    [
      'a target that is a source',
      () => ({ x: authority.certificate }),
      ['--add', 'in/x', '--bundle', 'in/x'],
      /is the same file as/,
    ],
    [
      'a folder as a target',
      () => ({ x: authority.certificate }),
      ['--add', 'in', '--bundle', 'out/'],
      /--bundle: out\/ names a folder/,
    ],
  ];
  test.each(cases)('%s', async (_name, files, args, message) => {
    const cwd = folder(files());
    const { status, stderr, stdout } = await run(cwd, args);
    expect(stderr).toMatch(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(readdirSync(cwd)).toEqual(['in']);
  });

  test('a name in a folder that is not UTF-8', async () => {
    const cwd = folder({ 'a.crt': authority.certificate });
    writeFileSync(Buffer.concat([Buffer.from(`${join(cwd, 'in')}/`), Buffer.from([0xe9, 0x2e, 0x63])]), 'x');
    const { status, stderr } = await run(cwd, ['--add', 'in', ...bundle]);
    expect(status).toBe(2);
    expect(stderr).toContain('which is not UTF-8; rename the file');
  });

  test('more files than anybody mounts', async () => {
    const cwd = folder();
    for (let index = 0; index < 10_001; index++) writeFileSync(join(cwd, 'in', `${index}`), '');
    const { status, stderr } = await run(cwd, ['--add', 'in', ...bundle]);
    expect(status).toBe(2);
    expect(stderr).toContain('in holds 10001 files, more than 10000');
  });

  test('a folder of other things does not fill the log', async () => {
    const cwd = folder({ 'ca.crt': authority.certificate });
    for (let index = 0; index < 100; index++) writeFileSync(join(cwd, 'in', `${index}`), 'x');
    const { status, stderr } = await run(cwd, ['--add', 'in', ...bundle]);
    expect(status).toBe(0);
    expect(stderr).toContain('and 80 more like these');
    expect(stderr.split('\n').length).toBeLessThan(30);
  });

  test('a file of more than anybody has', async () => {
    const cwd = folder({ x: Buffer.alloc((8 << 20) + 1, '#') });
    const { status, stderr } = await run(cwd, ['--add', 'in', ...bundle]);
    expect(status).toBe(2);
    expect(stderr).toContain('in/x has more than the limit of 8 MiB');
  });

  test.skipIf(noRoot)('a link that another user planted', async () => {
    const cwd = folder({ 'a.crt': authority.certificate });
    symlinkSync(other.certificateFile, join(cwd, 'in', 'b.crt'));
    lchownSync(join(cwd, 'in', 'b.crt'), 1000, 1000);
    chownSync(join(cwd, 'in'), 1000, 1000);
    const { status, stderr } = await run(cwd, ['--add', 'in', ...bundle]);
    expect(status).toBe(2);
    expect(stderr).toContain('which others may have made');
    expect(readdirSync(cwd)).toEqual(['in']);
  });

  test('a pipe in a folder is passed over, and does not hold it up', async () => {
    const cwd = folder({ 'a.crt': authority.certificate });
    await runTool([needTool('mkfifo', 'coreutils'), join(cwd, 'in', 'pipe')]);
    expect(await run(cwd, ['--add', 'in', ...bundle])).toMatchObject({ status: 0 });
  });
});

describe('keys that do not fit', () => {
  const store = ['--key-pkcs12', 'key.p12', '--password-env', 'PW', '--allow-disk'];
  const keyRun = (files: Record<string, string | Uint8Array>, more: readonly string[] = []) =>
    run(folder(files), ['--key', 'in/k', '--cert', 'in/c', ...store, ...more], {
      PW: 'changeit',
      WRONG: 'not-this-one',
    });

  test('of another certificate', async () => {
    const { status, stderr } = await keyRun({ k: other.key, c: leaf.certificate });
    expect(status).toBe(2);
    expect(stderr).toContain('--key: in/k is not the key of the certificate "localhost" in in/c (--cert)');
  });

  test('encrypted, without a password or with a wrong one', async () => {
    const source = join(inMemory(), 'k');
    writeFileSync(source, leaf.key);
    const locked = await runTool([
      needTool('openssl', 'openssl'),
      'pkcs8',
      '-topk8',
      '-in',
      source,
      '-passout',
      'pass:right-one',
    ]);
    const files = { k: locked, c: leaf.certificate };
    const without = await keyRun(files);
    expect(without).toMatchObject({ status: 2 });
    expect(without.stderr).toContain('in/k is encrypted; give --key-password-file or --key-password-env');
    const wrong = await keyRun(files, ['--key-password-env', 'WRONG']);
    expect(wrong).toMatchObject({ status: 2 });
    expect(wrong.stderr).toContain('in/k cannot be decrypted');
    expect(wrong.stderr).not.toContain('not-this-one');
  });

  test.each([
    ['none', () => 'hello\n', /in\/k holds no private key that can be read/],
    ['a certificate', () => leaf.certificate, /in\/k holds no private key: it has CERTIFICATE/],
    ['two', () => `${leaf.key}${other.key}`, /in\/k holds 2 private keys \(lines 1, \d+\); give one/],
    ['half', () => leaf.key.slice(0, 100), /in\/k:1: -----BEGIN PRIVATE KEY----- has no/],
    [
      'damaged',
      () => leaf.key.replace(/^(.{70})..../s, '$1AAAA'),
      /in\/k holds no private key that can be read/,
    ],
  ])('%s', async (_name, key, message) => {
    const { status, stderr } = await keyRun({ k: key(), c: leaf.certificate });
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
    expect(stderr).not.toContain(leaf.key.split('\n')[1]);
  });
});

describe('the end', () => {
  test('of a deadline: 124, and nothing is there', async () => {
    const cwd = folder({ 'a.crt': authority.certificate });
    const args = ['--timeout', '1ms', '--add', 'in', '--bundle', 'ca.crt'];
    const { status, stderr } = await run(cwd, args);
    expect(stderr).toContain('--timeout');
    expect(status).toBe(124);
    expect(readdirSync(cwd)).toEqual(['in']);
  });

  test.skipIf(noPid1)('of SIGTERM as PID 1, promptly', async () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'first.crt'), authority.certificate);
    for (let index = 0; index < 10_000; index++)
      writeFileSync(join(cwd, 'in', `${index}`), authority.certificate);
    const args = ['trust', '--add', 'first.crt', '--add', 'in', '--bundle', 'ca.crt'];
    const running = await startAsPid1(args, { cwd });
    await running.waitForStderr(/first\.crt: 1 certificate/);
    running.kill();
    const result = await within(promptly, running.exit);
    expect(result.status, result.stderr).toBe(143);
    expect(readdirSync(cwd).toSorted()).toEqual(['first.crt', 'in']);
  });

  test('in the termination message: what was done', async () => {
    const cwd = folder({ x: 'hello' });
    const log = terminationLog();
    const args = ['--termination-log', log.path, '--add', 'in/x', '--bundle', 'ca.crt'];
    expect((await run(cwd, args)).status).toBe(2);
    expect(log.read()).toContain('initbox trust: --add: in/x holds no certificate');
  });
});
