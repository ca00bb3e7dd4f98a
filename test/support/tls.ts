// A private certificate authority, by the openssl command.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

import { run } from './build-cache.ts';
import { needTool } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

export interface Certificate {
  /** Paths, in PEM, readable by every user: these keys protect nothing. */
  certificateFile: string;
  keyFile: string;
  certificate: string;
  key: string;
}

export interface CertificateOptions {
  /** Days from now that it is valid; 2 unless given; a negative number makes one that has expired. */
  days?: number;
  /** When it begins to be valid; now unless given. */
  from?: Date;
  /** What stands in the subject; the first name unless given. */
  commonName?: string;
  /** Entries of the subjectAltName such as `DNS:127.0.0.1`, instead of those of the names; none where empty. */
  alternatives?: readonly string[];
}

export interface CertificateAuthority extends Certificate, Disposable {
  folder: string;
  /** A server's certificate for DNS names and IP addresses; `localhost`, 127.0.0.1 and ::1 unless given. */
  server(names?: readonly string[], options?: CertificateOptions): Promise<Certificate>;
  /** A server's certificate whose RSA key has 1,024 bits, which OpenSSL refuses from security level 2 on. */
  weak(): Promise<Certificate>;
  /** A client's certificate for mutual TLS. */
  client(commonName?: string, options?: CertificateOptions): Promise<Certificate>;
  remove(): void;
}

/** Makes an authority with a new key, in a temporary folder. */
export async function createCertificateAuthority(
  commonName = 'initbox test CA',
): Promise<CertificateAuthority> {
  const openssl = needTool('openssl', 'openssl');
  const folder = temporaryDirectory('tls');
  let serial = 0;

  function read(certificateFile: string, keyFile: string): Certificate {
    chmodSync(keyFile, 0o644);
    return {
      certificateFile,
      keyFile,
      certificate: readFileSync(certificateFile, 'utf8'),
      key: readFileSync(keyFile, 'utf8'),
    };
  }

  const caFile = join(folder.path, 'ca.crt');
  const caKeyFile = join(folder.path, 'ca.key');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await run([
    openssl,
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    `/CN=${commonName}`,
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
    '-keyout',
    caKeyFile,
    '-out',
    caFile,
  ]);

  async function issue(
    subject: string,
    extensions: readonly string[],
    { days = 2, from }: CertificateOptions = {},
    newKeyOf: readonly string[] = newKey,
  ): Promise<Certificate> {
    serial += 1;
    const base = join(folder.path, `${serial}`);
    await run([
      openssl,
      'req',
      '-new',
      ...newKeyOf,
      '-subj',
      `/CN=${subject}`,
      '-keyout',
      `${base}.key`,
      '-out',
      `${base}.csr`,
    ]);
    writeFileSync(`${base}.ext`, `${extensions.join('\n')}\n`);
    if (from !== undefined) {
      await signFrom(from, days, base);
      return read(`${base}.crt`, `${base}.key`);
    }
    await run([
      openssl,
      'x509',
      '-req',
      '-in',
      `${base}.csr`,
      '-CA',
      caFile,
      '-CAkey',
      caKeyFile,
      '-set_serial',
      `${Date.now()}${serial}`,
      '-days',
      `${days}`,
      '-extfile',
      `${base}.ext`,
      '-out',
      `${base}.crt`,
    ]);
    return read(`${base}.crt`, `${base}.key`);
  }

  /** `openssl x509` knows no first date before version 3.4. */
  async function signFrom(from: Date, days: number, base: string): Promise<void> {
    const stamp = (date: Date): string => date.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
    const config = [
      '[ca]',
      'default_ca=own',
      '[own]',
      `database=${base}.db`,
      `serial=${base}.serial`,
      `new_certs_dir=${folder.path}`,
      'default_md=sha256',
      'policy=any',
      '[any]',
      'commonName=supplied',
    ];
    writeFileSync(`${base}.cnf`, `${config.join('\n')}\n`);
    writeFileSync(`${base}.db`, '');
    writeFileSync(`${base}.serial`, `${Date.now().toString(16).padStart(16, '0')}\n`);
    await run([
      openssl,
      'ca',
      '-batch',
      '-config',
      `${base}.cnf`,
      '-cert',
      caFile,
      '-keyfile',
      caKeyFile,
      '-startdate',
      stamp(from),
      '-enddate',
      stamp(new Date(from.getTime() + days * 86_400_000)),
      '-extfile',
      `${base}.ext`,
      '-in',
      `${base}.csr`,
      '-notext',
      '-out',
      `${base}.crt`,
    ]);
  }

  return {
    ...read(caFile, caKeyFile),
    folder: folder.path,
    server(names = ['localhost', '127.0.0.1', '::1'], options) {
      const alternatives =
        options?.alternatives ?? names.map((name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`);
      const named = alternatives.length > 0 ? [`subjectAltName=${alternatives.join(',')}`] : [];
      return issue(
        options?.commonName ?? names[0] ?? 'server',
        [...named, 'extendedKeyUsage=serverAuth'],
        options,
      );
    },
    weak: () =>
      issue('weak', ['subjectAltName=DNS:localhost,IP:127.0.0.1'], {}, ['-newkey', 'rsa:1024', '-nodes']),
    client: (name = 'client', options) => issue(name, ['extendedKeyUsage=clientAuth'], options),
    remove: folder.remove,
    [Symbol.dispose]: folder.remove,
  };
}
