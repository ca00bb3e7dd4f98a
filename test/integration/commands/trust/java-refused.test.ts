// Certificates that Java refuses: one of them would make the whole store unreadable.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run as runTool } from '../../../support/build-cache.ts';
import { canUseJava, keytool, listStore } from '../../../support/java.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox } from '../../../support/program.ts';
import { type CertificateAuthority, createCertificateAuthority } from '../../../support/tls.ts';
import { needTool, requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const noJava = requireOrSkip('certificates that Java refuses', canUseJava());

const password = 'changeit';
const withPassword = ['--password-env', 'STORE_PASSWORD'];
const inMemory = memoryFolders();
let work: ReturnType<typeof temporaryDirectory>;
let authority: CertificateAuthority;

/** `openssl req` options of a certificate, those of its key (`openssl ecparam`; else the usual one), and what is said of it. */
type Kind = readonly [name: string, request: readonly string[], key: readonly string[], why?: RegExp];
const subject = (name: string): readonly string[] => ['-subj', `/CN=${name}`];
const extended = (name: string, ...extensions: readonly string[]): readonly string[] => [
  ...subject(name),
  ...extensions.flatMap((each) => ['-addext', each]),
];
const explicit = ['-name', 'secp384r1', '-param_enc', 'explicit'];

const refused: readonly Kind[] = [
  ['nobody', ['-subj', '/'], [], /its issuer is empty/],
  ['explicit', subject('explicit'), explicit, /the parameters of its curve instead of the curve’s name/],
  ['sm2', subject('sm2'), ['-name', 'SM2'], /a curve that Java does not know \(1\.2\.156\.10197\.1\.301\)/],
  ['compressed', subject('compressed'), ['-name', 'prime256v1'], /is compressed/],
  [
    'altname',
    extended('altname', 'subjectAltName=critical,DER:deadbeef'),
    [],
    /subjectAltName \(2\.5\.29\.17\)/,
  ],
  ['usage', extended('usage', 'keyUsage=critical,DER:0500'), [], /keyUsage \(2\.5\.29\.15\)/],
  ['purpose', extended('purpose', 'extendedKeyUsage=critical,DER:3003020105'), [], /extendedKeyUsage/],
  ['names', extended('names', 'nameConstraints=critical,permitted;URI:http://x/'), [], /nameConstraints/],
];
const taken: readonly Kind[] = [
  ['negative', [...subject('negative'), '-set_serial', '-5'], []],
  ['k1', subject('k1'), ['-name', 'secp256k1']],
  ['brainpool', subject('brainpool'), ['-name', 'brainpoolP384r1']],
  ['harmless', extended('harmless', 'subjectAltName=DER:deadbeef', 'keyUsage=DER:0500'), []],
  ['unknown', extended('unknown', '1.2.3.4=critical,ASN1:UTF8String:x'), []],
  [
    'much',
    extended(
      'much',
      'subjectAltName=critical,DNS:*.a.example,IP:1.2.3.4,URI:spiffe://a.example/x,email:a@b.example,RID:1.2.3',
      'certificatePolicies=critical,1.2.3.4',
      'nameConstraints=critical,permitted;DNS:.a.example,excluded;IP:10.0.0.0/255.0.0.0',
      'policyConstraints=critical,requireExplicitPolicy:0',
      'inhibitAnyPolicy=critical,2',
      'crlDistributionPoints=critical,URI:http://a.example/crl',
      'nsCertType=critical,sslCA',
    ),
    [],
  ],
];

const fileOf = (name: string): string => join(work.path, 'in', `${name}.crt`);
const keyOf = (name: string): string => join(work.path, `${name}.key`);

beforeAll(async () => {
  work = temporaryDirectory('java-refused');
  authority = await createCertificateAuthority('Corp Root CA');
  for (const name of ['in', 'out']) mkdirSync(join(work.path, name));
  writeFileSync(fileOf('corp'), authority.certificate);
  const openssl = needTool('openssl', 'openssl');
  for (const [name, request, key] of [...refused, ...taken]) {
    const own = key.length > 0 ? key : ['-name', 'prime256v1'];
    await runTool([openssl, 'ecparam', ...own, '-genkey', '-noout', '-out', keyOf(name)]);
    if (name === 'compressed')
      await runTool([openssl, 'ec', '-in', keyOf(name), '-conv_form', name, '-out', keyOf(name)]);
    await runTool([
      openssl,
      'req',
      '-x509',
      '-key',
      keyOf(name),
      '-days',
      '2',
      ...request,
      '-out',
      fileOf(name),
    ]);
  }
});
afterAll(() => {
  authority.remove();
  work.remove();
});

const run = (args: readonly string[]) =>
  runInitbox(['trust', ...args], { env: { STORE_PASSWORD: password } });

describe.skipIf(noJava)('truststores', () => {
  test('are written without those that Java refuses; each is named, and all of them stay in PEM', async () => {
    const at = (name: string): string => join(work.path, 'out', name);
    const stores = ['--pkcs12', at('t.p12'), '--jks', at('t.jks'), ...withPassword];
    const args = ['--add', join(work.path, 'in'), '--bundle', at('ca.crt'), ...stores];
    const { status, stderr } = await run(args);
    expect(status, stderr).toBe(0);
    for (const [name, , , why] of refused) {
      const line = stderr.split('\n').filter((each) => each.includes(`${fileOf(name)}:1: the certificate`));
      expect(line.join('\n'), name).toMatch(
        /is left out of --pkcs12 and --jks, since Java could not read the whole store with it: /,
      );
      expect(line.join('\n'), name).toMatch(why ?? /never/);
    }
    expect(stderr.match(/is left out of --pkcs12/g)).toHaveLength(refused.length);
    expect(stderr).toContain(
      `${refused.length + taken.length + 1} certificates, ${refused.length} of them left out of --pkcs12 and --jks`,
    );
    for (const path of [at('t.p12'), at('t.jks')]) {
      const listed = await listStore({ path, password });
      expect(listed.status, listed.output).toBe(0);
      expect(listed.output.match(/Entry type: trustedCertEntry/g)).toHaveLength(taken.length + 1);
      expect(listed.output).toContain('Alias name: corp-root-ca-');
    }
    expect(readFileSync(at('ca.crt'), 'utf8').match(/BEGIN CERTIFICATE/g)).toHaveLength(
      refused.length + taken.length + 1,
    );
    const dry = await run([...args, '--dry-run']);
    const { certificates } = JSON.parse(dry.stdout) as {
      certificates: { from: string; notForJava?: string }[];
    };
    for (const [name, , , why] of refused)
      expect(certificates.find(({ from }) => from === `${fileOf(name)}:1`)?.notForJava).toMatch(
        why ?? /never/,
      );
    expect(certificates.filter(({ notForJava }) => notForJava === undefined)).toHaveLength(taken.length + 1);
  });

  test.each(refused.map(([name]) => name))('Java refuses %s indeed', async (name) => {
    const { status, output } = await keytool(['-printcert', '-file', fileOf(name)]);
    expect(status, output).toBe(1);
    expect(output).toContain('keytool error');
  });
});

test('nothing is said where no store of Java’s is written', async () => {
  const bundle = join(work.path, 'alone.crt');
  const { status, stderr } = await run(['--add', fileOf('explicit'), '--bundle', bundle]);
  expect(status, stderr).toBe(0);
  expect(stderr).not.toMatch(/Java|left out/);
});

test('a truststore that would be empty is an error', async () => {
  const store = join(work.path, 'none.p12');
  const { status, stderr } = await run(['--add', fileOf('explicit'), '--pkcs12', store, ...withPassword]);
  expect(stderr).toContain('--pkcs12: there is no certificate that Java can read');
  expect(stderr).toMatch(/explicit\.crt:1: the certificate "explicit": its key has the parameters/);
  expect(status).toBe(2);
  expect(() => readFileSync(store)).toThrow(/ENOENT/);
});

test.each(['key-pkcs12', 'key-jks'])('--%s with one of them is an error', async (target) => {
  const store = join(inMemory(), 'store');
  const key = ['--key', keyOf('explicit'), '--cert', fileOf('explicit')];
  const { status, stderr } = await run([...key, `--${target}`, store, ...withPassword]);
  expect(stderr).toMatch(
    /--cert: \S+explicit\.crt:1: Java could not read a keystore with the certificate "explicit": its key has the parameters/,
  );
  expect(status).toBe(2);
  expect(() => readFileSync(store)).toThrow(/ENOENT/);
});
