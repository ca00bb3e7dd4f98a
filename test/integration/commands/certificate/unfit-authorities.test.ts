// Authorities whose signature helps nobody: what they sign would be refused by whoever trusts them.
import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { issueCertificate } from '../../../../src/clients/x509/issue.ts';
import { writePem } from '../../../../src/clients/x509/pem.ts';
import { run as runTool } from '../../../support/build-cache.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox } from '../../../support/program.ts';
import { needTool } from '../../../support/tools.ts';

const inMemory = memoryFolders();
const hour = 3_600_000;

const openssl = (...args: readonly string[]): Promise<string> =>
  runTool([needTool('openssl', 'openssl'), ...args]);

/** What an authority is made with, unless it says otherwise. */
interface Made {
  readonly subject?: string;
  readonly mask?: string;
  readonly extensions?: string;
  readonly key?: readonly string[];
  readonly digest?: string;
}

const fit = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n';
const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

/** Makes an authority, signed by itself or by another one. @returns the path without its ending */
async function authorityIn(
  folder: string,
  name: string,
  { subject = '/CN=Corp CA', mask = 'utf8only', extensions = fit, key = ec, digest = 'sha256' }: Made,
  signer?: string,
): Promise<string> {
  const path = join(folder, name);
  const config = `[req]\nprompt=no\ndistinguished_name=dn\nstring_mask=${mask}\n[dn]\nCN=unused\n[ext]\n${extensions}`;
  writeFileSync(`${path}.cnf`, config);
  await openssl(
    'req',
    '-new',
    ...key,
    '-nodes',
    '-config',
    `${path}.cnf`,
    '-subj',
    subject,
    '-utf8',
    '-keyout',
    `${path}.key`,
    '-out',
    `${path}.csr`,
  );
  const by =
    signer === undefined
      ? ['-signkey', `${path}.key`]
      : ['-CA', `${signer}.crt`, '-CAkey', `${signer}.key`, '-set_serial', '7'];
  await openssl(
    'x509',
    '-req',
    '-in',
    `${path}.csr`,
    ...by,
    '-days',
    '400',
    `-${digest}`,
    '-extfile',
    `${path}.cnf`,
    '-extensions',
    'ext',
    '-out',
    `${path}.crt`,
  );
  return path;
}

/** Asks it for a certificate. @returns what was said, and what was written */
async function askedFor(names: readonly string[], cert: string, key: string) {
  const to = join(inMemory(), 'to');
  const args = ['certificate', ...names, '--to', to, '--ca-cert', cert, '--ca-key', key];
  const { status, stderr } = await runInitbox(args);
  return { status, stderr, written: status === 0 ? readdirSync(to) : [], to };
}

describe('an authority that signs by itself', () => {
  test.each<readonly [string, Made, RegExp]>([
    ['no subject', { subject: '/' }, /has no subject: programs do not read what has such an issuer/],
    [
      'a usage that is another',
      { extensions: 'basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign\n' },
      /is not a CA certificate/,
    ],
    [
      'other names that it may sign for',
      { extensions: `${fit}nameConstraints=critical,permitted;DNS:other.test\n` },
      /programs would refuse what the authority "Corp CA" signs for these names: permitted subtree violation/,
    ],
    [
      'an address that it may not sign for',
      { extensions: `${fit}nameConstraints=critical,excluded;IP:10.0.0.0/255.0.0.0\n` },
      /excluded subtree violation/,
    ],
    [
      'clients alone that it may sign for',
      { extensions: `${fit}extendedKeyUsage=clientAuth\n` },
      /programs would refuse[^\n]*purpose/,
    ],
    ['a key that is too short', { key: ['-newkey', 'rsa:1024'] }, /is an RSA key of 1024 bits/],
  ])('with %s is refused, and nothing is written', async (_, made, why) => {
    const path = await authorityIn(inMemory(), 'ca', made);
    const { status, stderr, written } = await askedFor(['a.test', '10.1.2.3'], `${path}.crt`, `${path}.key`);
    expect(stderr).toMatch(why);
    expect(stderr).toContain('--ca-cert');
    expect(status).toBe(2);
    expect(written).toEqual([]);
  });

  test('that begins in an hour is refused, and one that a clock ahead has just made is not', async () => {
    const folder = inMemory();
    const path = await authorityIn(folder, 'ca', {});
    const key = createPrivateKey(readFileSync(`${path}.key`));
    for (const [ahead, right] of [
      [hour, false],
      [60_000, true],
    ] as const) {
      const from = new Date(Date.now() + ahead);
      const to = new Date(Date.now() + 1000 * hour);
      const cert = issueCertificate({
        key,
        commonName: 'Early',
        names: [],
        from,
        to,
        authority: true,
        signer: undefined,
      });
      writeFileSync(join(folder, 'early.crt'), writePem('CERTIFICATE', cert));
      const { status, stderr } = await askedFor(['a.test'], join(folder, 'early.crt'), `${path}.key`);
      if (!right) expect(stderr).toMatch(/"Early" is not valid before \d{4}-\d\d-\d\dT/);
      expect(status, stderr).toBe(right ? 0 : 2);
    }
  });

  test('for the names that it may sign for is taken, and by all kinds of keys', async () => {
    const folder = inMemory();
    for (const [name, key] of [
      ['ed25519', ['-newkey', 'ed25519']],
      ['p521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521']],
      ['rsa', ['-newkey', 'rsa:2048']],
    ] as const) {
      const extensions = `${fit}nameConstraints=critical,permitted;DNS:.a.test,permitted;IP:10.0.0.0/255.0.0.0\n`;
      const path = await authorityIn(folder, name, { key, extensions, mask: 'nombstr' });
      const asked = await askedFor(['x.a.test', '*.y.a.test', '10.1.2.3'], `${path}.crt`, `${path}.key`);
      expect(asked.status, asked.stderr).toBe(0);
      const verified = await openssl(
        'verify',
        '-CAfile',
        join(asked.to, 'ca.crt'),
        join(asked.to, 'tls.crt'),
      );
      expect(verified).toMatch(/: OK\n/);
    }
  });
});

describe('an authority below another', () => {
  test.each<readonly [string, Made, RegExp]>([
    [
      'that may have none below it',
      { extensions: 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n' },
      /path length constraint exceeded/,
    ],
    ['that is none', { extensions: 'basicConstraints=critical,CA:FALSE\n' }, /programs would refuse/],
    ['without a subject', { subject: '/' }, /is below an authority \([^)]*\) that has no subject/],
    [
      'that may sign for other names',
      { extensions: `${fit}nameConstraints=critical,permitted;DNS:other.test\n` },
      /permitted subtree violation/,
    ],
  ])('%s is refused, and nothing is written', async (_, above, why) => {
    const folder = inMemory();
    const root = await authorityIn(folder, 'root', { subject: '/CN=Corp Root', ...above });
    const sub = await authorityIn(folder, 'sub', { subject: '/CN=Corp Issuing' }, root);
    writeFileSync(
      join(folder, 'chain.crt'),
      readFileSync(`${sub}.crt`, 'utf8') + readFileSync(`${root}.crt`, 'utf8'),
    );
    const { status, stderr, written } = await askedFor(['a.test'], join(folder, 'chain.crt'), `${sub}.key`);
    expect(stderr).toMatch(why);
    expect(status).toBe(2);
    expect(written).toEqual([]);
  });

  test('given without it is taken by whoever trusts it alone', async () => {
    const folder = inMemory();
    const root = await authorityIn(folder, 'root', { subject: '/CN=Corp Root' });
    const sub = await authorityIn(folder, 'sub', { subject: '/CN=Corp Issuing' }, root);
    const { status, stderr } = await askedFor(['a.test'], `${sub}.crt`, `${sub}.key`);
    expect(status, stderr).toBe(0);
  });
});
