// What an issuer may answer with, and what is made of it: times, purposes and kinds that no server should show.
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run } from '../../../support/build-cache.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox } from '../../../support/program.ts';
import { type CertificateAuthority, createCertificateAuthority } from '../../../support/tls.ts';
import { needTool } from '../../../support/tools.ts';

const inMemory = memoryFolders();
const hour = 3_600_000;

/** What the certificate says, in hours from now. */
interface Signed {
  readonly from?: number;
  readonly to?: number;
  readonly extensions?: readonly string[];
}

describe('an issuer that signs what was not asked for', () => {
  let authority: CertificateAuthority;
  beforeAll(async () => {
    authority = await createCertificateAuthority('Odd CA');
  });
  afterAll(() => authority?.remove());

  let count = 0;
  const signedFor = async (request: string, { from = -0.1, to = 1, extensions = [] }: Signed) => {
    const folder = join(authority.folder, `odd${(count += 1)}`);
    mkdirSync(folder);
    const path = (name: string): string => join(folder, name);
    writeFileSync(path('csr'), request);
    writeFileSync(path('db'), '');
    writeFileSync(path('ext'), ['subjectAltName=DNS:shop', ...extensions].join('\n'));
    writeFileSync(
      path('cnf'),
      `[ca]\ndefault_ca=own\n[own]\ndatabase=${path('db')}\nserial=${path('serial')}\nnew_certs_dir=${folder}\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n`,
    );
    const stamp = (hours: number): string =>
      new Date(Date.now() + hours * hour).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
    const words = ['ca', '-batch', '-notext', '-rand_serial', '-config', path('cnf'), '-in', path('csr')];
    const signer = ['-cert', authority.certificateFile, '-keyfile', authority.keyFile];
    const times = ['-startdate', stamp(from), '-enddate', stamp(to)];
    const out = ['-extfile', path('ext'), '-out', path('crt')];
    await run([needTool('openssl', 'openssl'), ...words, ...signer, ...times, ...out]);
    return run(['cat', path('crt')]);
  };

  /** A server that speaks as Vault does, and signs like that. */
  const issue = async (to: string, signed: Signed, ...more: readonly string[]) => {
    const server = createServer((request, response) => {
      let heard = '';
      request.on('data', (piece: Buffer) => (heard += piece.toString()));
      request.on('end', () => {
        const json = (data: object): void =>
          void response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ data }));
        if (request.url !== '/v1/pki/sign/shop') return json({ ttl: 3600, policies: ['shop'] });
        const { csr } = JSON.parse(heard) as { csr: string };
        void signedFor(csr, signed).then((certificate) =>
          json({ certificate, ca_chain: [authority.certificate] }),
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as { port: number };
      const words = ['certificate', 'shop', '--issuer', 'vault:pki/sign/shop', '--to', to];
      return await runInitbox([...words, '--timeout', '30s', ...more], {
        env: { VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_TOKEN: 'token-of-shop' },
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };

  test.each<[string, Signed, RegExp]>([
    ['has expired', { from: -3, to: -1 }, /which has expired on \d{4}-.*; the clock here says/],
    ['begins later', { from: 1, to: 3 }, /which is not valid before \d{4}-.*; the clock here says/],
    [
      'is an authority’s',
      { extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign,digitalSignature'] },
      /signed a certificate of an authority/,
    ],
    ['is a client’s', { extensions: ['extendedKeyUsage=clientAuth'] }, /purposes are not those of a server/],
  ])('a certificate that %s is refused', async (_name, signed, words) => {
    const to = inMemory();
    const { status, stderr } = await issue(to, signed);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(readdirSync(to)).toEqual([]);
  });

  test.each<[string, Signed]>([
    ['no purposes', {}],
    ['any purpose', { extensions: ['extendedKeyUsage=anyExtendedKeyUsage'] }],
    ['both', { extensions: ['extendedKeyUsage=clientAuth,serverAuth'] }],
    ['a begin within five minutes', { from: 0.05 }],
  ])('one with %s is taken, and kept', async (_name, signed) => {
    const to = inMemory();
    const { status, stderr } = await issue(to, signed);
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain('longer than');
    if (signed.from === undefined) expect((await issue(to, signed)).stderr).toContain('kept the certificate');
  });

  test('one that is valid for longer than was asked for is warned of', async () => {
    const { status, stderr } = await issue(inMemory(), { to: 876_000 }, '--duration', '720h');
    expect(stderr).toMatch(/--duration: the issuer signed until \d{4}-.* is longer than the 720h asked for/);
    expect(status).toBe(0);
  });

  test('one whose authority ends before it is good until then, and renewed in time', async () => {
    const to = inMemory();
    const end = new X509Certificate(authority.certificate).validToDate.toISOString();
    const long = ['--duration', '800000h'];
    const first = await issue(to, { to: 700_000 }, ...long);
    expect(first.stderr).toContain(`the certificate is of no use after ${end.slice(0, 10)}: the authority`);
    expect(first.stderr).toContain(`valid until ${end.replace('.000', '')}`);
    expect(first.status).toBe(0);
    const again = await issue(to, { to: 700_000 }, ...long);
    expect(again.stderr).toContain('kept the certificate');
    expect(again.stderr).toContain(`valid until ${end.replace('.000', '')}`);
    const report = await issue(to, { to: 700_000 }, ...long, '--dry-run');
    expect(JSON.parse(report.stdout)).toMatchObject({ kept: true, notAfter: end });
    const late = await issue(to, { to: 700_000 }, ...long, '--renew-before', '600000h');
    expect(late.stderr).toContain(`above it ends on ${end.slice(0, 10)}`);
    expect(late.stderr).toContain('made a certificate');
    expect(late.stderr).toContain('--renew-before: the issuer gives certificates that end within');
  });
});
