// Reruns: what is kept, what is made anew and why, and what is not taken for this program's.
import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { type ProgramOptions, type ProgramResult, runInitbox } from '../../../support/program.ts';
import {
  type Certificate,
  type CertificateAuthority,
  createCertificateAuthority,
} from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const noRoot = requireOrSkip(
  'keys of other users',
  process.getuid?.() === 0 ? undefined : 'chown needs root',
);

const inMemory = memoryFolders();
let authority: CertificateAuthority;
let other: CertificateAuthority;
beforeAll(async () => {
  authority = await createCertificateAuthority('Corp Root CA');
  other = await createCertificateAuthority('Another CA');
});
afterAll(() => {
  authority.remove();
  other.remove();
});

const run = (args: readonly string[], options?: ProgramOptions): Promise<ProgramResult> =>
  runInitbox(['certificate', ...args], options);

async function made(args: readonly string[], options?: ProgramOptions): Promise<string> {
  const { status, stderr } = await run(args, options);
  expect(status, stderr).toBe(0);
  return stderr;
}

const files = ['tls.key', 'tls.crt', 'ca.crt'];
const bytesIn = (folder: string): string[] => files.map((name) => readFileSync(join(folder, name), 'utf8'));
const serialIn = (folder: string): string =>
  new X509Certificate(readFileSync(join(folder, 'tls.crt'))).serialNumber;

const kept = /certificate: kept the certificate .*; 3 files unchanged\n/;

describe('the same again', () => {
  test('changes nothing: the same files, whatever order the names have', async () => {
    const to = inMemory();
    expect(await made(['a.test', '10.0.0.4', '--to', to])).toMatch(
      /made a certificate for a\.test and 10\.0\.0\.4, signed by itself, valid until \d{4}-.*; 3 files written/,
    );
    const before = files.map((name) => statSync(join(to, name), { bigint: true }));
    for (const names of [
      ['a.test', '10.0.0.4'],
      ['10.0.0.4', 'A.test.', 'a.test'],
    ])
      expect(await made([...names, '--to', to])).toMatch(kept);
    for (const [index, name] of files.entries())
      expect(statSync(join(to, name), { bigint: true })).toMatchObject({
        ino: before[index]?.ino,
        mtimeNs: before[index]?.mtimeNs,
      });
  });

  test('another mode, another owner, one more file: the same certificate in new files', async () => {
    const to = inMemory();
    await made(['a.test', '--to', to]);
    const serial = serialIn(to);
    expect(await made(['a.test', '--to', to, '--mode', '0400'])).toMatch(
      /kept .*; 1 file written .*, 2 files unchanged/,
    );
    expect(statSync(join(to, 'tls.key')).mode & 0o7777).toBe(0o400);
    await made(['a.test', '--to', to, '--combined']);
    expect(readFileSync(join(to, 'tls.pem'), 'utf8')).toContain('PRIVATE KEY');
    await made(['a.test', '--to', to, '--base-name', 'server']);
    // Under another name there was none; what the old one left is gone.
    expect(
      readdirSync(to)
        .filter((name) => !name.startsWith('..'))
        .toSorted(),
    ).toEqual(['ca.crt', 'server.crt', 'server.key']);
    expect(new X509Certificate(readFileSync(join(to, 'server.crt'))).serialNumber).not.toBe(serial);
  });

  test.skipIf(noRoot)('given to another user, whose it then is: kept', async () => {
    const to = inMemory();
    const args = ['a.test', '--to', to, '--owner', '1234:1234'];
    await made(args);
    expect(statSync(join(to, 'tls.key'))).toMatchObject({ uid: 1234, gid: 1234 });
    expect(await made(args)).toMatch(kept);
    // Without that flag it is another user's.
    expect(await made(['a.test', '--to', to])).toContain('belongs to user 1234');
  });

  test('as a user without any right, on a folder of a group', { skip: noRoot }, async () => {
    const to = inMemory();
    chownSync(to, 0, 2000);
    chmodSync(to, 0o2775);
    const user = { uid: 1000, gid: 1000, groups: [2000] };
    expect(await made(['a.test', '--to', to], { user })).not.toContain('warn');
    expect(await made(['a.test', '--to', to], { user })).toMatch(kept);
    expect(statSync(join(to, 'tls.key'))).toMatchObject({ uid: 1000, gid: 2000 });
  });
});

describe('a new one is made', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[], string])[] = [
    ['for other names', ['a.test'], ['a.test', 'b.test'], 'it was for other names'],
    ['for fewer names', ['a.test', 'b.test'], ['a.test'], 'it was for other names'],
    [
      'with another kind of key',
      ['a.test'],
      ['a.test', '--key-type', 'rsa-2048'],
      'its key was of another kind than --key-type',
    ],
    [
      'with a longer key',
      ['a.test', '--key-type', 'rsa-2048'],
      ['a.test', '--key-type', 'rsa-3072'],
      'its key was of another kind',
    ],
    [
      'for a shorter time',
      ['a.test', '--duration', '100h'],
      ['a.test', '--duration', '10h'],
      'it was valid for longer than --duration',
    ],
    [
      'before it ends',
      ['a.test', '--duration', '2h'],
      ['a.test', '--duration', '20h', '--renew-before', '19h'],
      'it ended on',
    ],
  ];
  test.each(cases)('%s', async (_, first, second, why) => {
    const to = inMemory();
    await made([...first, '--to', to]);
    const before = bytesIn(to);
    expect(await made([...second, '--to', to])).toContain(`a new certificate is made, since ${why}`);
    for (const [index, bytes] of bytesIn(to).entries()) expect(bytes).not.toBe(before[index]);
  });

  test('where it is longer valid than it need be before its end: kept', async () => {
    const to = inMemory();
    await made(['a.test', '--duration', '100h', '--to', to]);
    for (const more of [['--duration', '100h', '--renew-before', '99h'], ['--duration', '1000h'], []])
      expect(await made(['a.test', '--to', to, ...more])).toMatch(kept);
  });

  test('where the authority is another one, or there is one now, or none any more', async () => {
    const to = inMemory();
    const by = (one: Certificate): string[] => [
      '--ca-cert',
      one.certificateFile,
      '--ca-key',
      one.keyFile,
      '--duration',
      '24h',
    ];
    await made(['a.test', '--to', to, ...by(authority)]);
    expect(await made(['a.test', '--to', to, ...by(authority)])).toMatch(kept);
    expect(await made(['a.test', '--to', to, ...by(other)])).toContain(
      'since it was not signed by "Another CA"',
    );
    expect(await made(['a.test', '--to', to])).toContain(
      'since it was signed by an authority, not by itself',
    );
    expect(await made(['a.test', '--to', to, ...by(authority)])).toContain(
      'since it was not signed by "Corp Root CA"',
    );
  });

  test('where a certificate that ends with its authority would not get longer: kept, and said', async () => {
    const to = inMemory();
    const args = [
      'a.test',
      '--to',
      to,
      '--ca-cert',
      authority.certificateFile,
      '--ca-key',
      authority.keyFile,
    ];
    expect(await made(args)).toMatch(
      /the certificate ends with the authority "Corp Root CA" on .*, before the 8760h of --duration/,
    );
    expect(await made([...args, '--renew-before', '8000h'])).toMatch(kept);
  });

  test('where what other tools left has expired, is not valid yet, or is an authority’s; else that is kept', async () => {
    const day = 86_400_000;
    const leftovers: readonly (readonly [Certificate, string | undefined])[] = [
      [await authority.server(['a.test'], { days: 2 }), undefined],
      [
        await authority.server(['a.test'], { days: 2, from: new Date(Date.now() - 3 * day) }),
        'it had expired on',
      ],
      [await authority.server(['a.test'], { days: 10, from: new Date(Date.now() - 9 * day) }), 'it ended on'],
      [
        await authority.server(['a.test'], { days: 1, from: new Date(Date.now() + day / 2) }),
        'it is not valid before',
      ],
      [authority, 'it was an authority’s'],
      [{ ...(await authority.server(['a.test'])), key: authority.key }, 'tls.key is not the key of'],
      [{ ...(await authority.server(['a.test'])), key: 'nothing' }, 'holds no private key that can be read'],
      [{ ...(await authority.server(['a.test'])), certificate: 'nothing' }, 'holds no certificate in PEM'],
      [
        {
          ...(await authority.server(['a.test'])),
          certificate: '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n',
        },
        'holds a block that is not a certificate',
      ],
      [
        { ...(await authority.server(['a.test'])), certificate: '-----BEGIN CERTIFICATE-----\n' },
        'has no -----END CERTIFICATE-----',
      ],
    ];
    for (const [left, why] of leftovers) {
      const to = inMemory();
      writeFileSync(join(to, 'tls.crt'), left.certificate, { mode: 0o444 });
      writeFileSync(join(to, 'tls.key'), left.key, { mode: 0o400 });
      const args = [
        '--ca-cert',
        authority.certificateFile,
        '--ca-key',
        authority.keyFile,
        '--duration',
        '240h',
      ];
      const said = await made(['a.test', '--to', to, ...args]);
      if (why === undefined) expect(said).toContain('kept the certificate');
      else expect(said).toMatch(new RegExp(`a new certificate is made, since .*(${why})`));
      expect(said).not.toMatch(/nothing|MAA=/);
    }
  });
});

describe.skipIf(noRoot)('what others made, or could have changed, is not kept', () => {
  const planted: readonly (readonly [string, (to: string) => void, string])[] = [
    [
      'another user’s key',
      (to) => chownSync(realpathSync(join(to, 'tls.key')), 1000, 0),
      'tls.key belongs to user 1000',
    ],
    [
      'another user’s certificate',
      (to) => chownSync(realpathSync(join(to, 'tls.crt')), 1000, 0),
      'tls.crt belongs to user 1000',
    ],
    [
      'one that everybody may change',
      (to) => chmodSync(realpathSync(join(to, 'tls.key')), 0o646),
      'may be changed by everybody',
    ],
    [
      'one that a group may change, as fsGroup does',
      (to) => {
        chownSync(realpathSync(join(to, 'tls.key')), 0, 2000);
        chmodSync(realpathSync(join(to, 'tls.key')), 0o660);
      },
      'may be changed by group 2000, as the kubelet arranges for fsGroup',
    ],
    [
      'a link in place of the key',
      (to) => {
        const key = realpathSync(join(to, 'tls.key'));
        cpSync(key, join(to, 'planted'));
        rmSync(key);
        symlinkSync(join(to, 'planted'), key);
      },
      'tls.key is a symbolic link',
    ],
    [
      'a file in place of the folder with all of it',
      (to) => {
        const generation = dirname(realpathSync(join(to, 'tls.key')));
        rmSync(generation, { recursive: true });
        writeFileSync(generation, '');
      },
      'what ..data leads to is not a folder (ENOTDIR)',
    ],
    [
      'a folder in place of the key',
      (to) => {
        const key = realpathSync(join(to, 'tls.key'));
        rmSync(key);
        mkdirSync(key);
      },
      'tls.key is not a regular file',
    ],
  ];
  test.each(planted)('%s', async (_, plant, why) => {
    const to = inMemory();
    await made(['a.test', '--to', to]);
    const serial = serialIn(to);
    plant(to);
    const said = await made(['a.test', '--to', to]);
    expect(said).toContain(' warn ');
    expect(said).toContain(why);
    expect(serialIn(to)).not.toBe(serial);
    expect(statSync(join(to, 'tls.key'))).toMatchObject({ uid: 0 });
    expect(statSync(join(to, 'tls.key')).mode & 0o7777).toBe(0o440);
    expect(await made(['a.test', '--to', to])).toMatch(kept);
  });

  test('a pair of his own, whole and valid, put there before the first run', async () => {
    const [theirs, to] = [inMemory(), inMemory()];
    await made(['a.test', '--to', theirs]);
    for (const name of files) {
      cpSync(realpathSync(join(theirs, name)), join(to, name));
      chownSync(join(to, name), 1000, 1000);
    }
    expect(await made(['a.test', '--to', to])).toContain('tls.crt belongs to user 1000');
    expect(serialIn(to)).not.toBe(serialIn(theirs));
  });
});

describe('an authority that is kept in a folder', () => {
  const shared = async (): Promise<{ ca: string; to: () => string; args: (to: string) => string[] }> => {
    const ca = inMemory();
    return { ca, to: inMemory, args: (to) => ['a.test', '--ca-dir', ca, '--to', to] };
  };

  test('is made once, signs for all, and its key goes nowhere else', async () => {
    const { ca, to, args } = await shared();
    const [first, second] = [to(), to()];
    expect(await made(args(first))).toContain(
      `a new certificate is made, since there was no authority in ${ca}`,
    );
    const before = readFileSync(join(ca, 'ca.key'), 'utf8');
    await made(args(second));
    expect(readFileSync(join(ca, 'ca.key'), 'utf8')).toBe(before);
    expect(statSync(join(ca, 'ca.key')).mode & 0o7777).toBe(0o400);
    expect(readFileSync(join(first, 'ca.crt'), 'utf8')).toBe(readFileSync(join(second, 'ca.crt'), 'utf8'));
    const issuer = new X509Certificate(readFileSync(join(ca, 'ca.crt')));
    for (const folder of [first, second]) {
      expect(readdirSync(folder)).not.toContain('ca.key');
      expect(new X509Certificate(readFileSync(join(folder, 'tls.crt'))).checkIssued(issuer)).toBe(true);
    }
    expect(await made(args(first))).toMatch(kept);
  });

  test('twelve runs at once: one authority, whose certificates all of them have', async () => {
    const { ca, to, args } = await shared();
    const folders = Array.from({ length: 12 }, to);
    await Promise.all(folders.map((folder) => made(args(folder))));
    const root = readFileSync(join(ca, 'ca.crt'), 'utf8');
    for (const folder of folders) expect(readFileSync(join(folder, 'ca.crt'), 'utf8')).toBe(root);
  });

  test('one that would end before what it signs is made anew, and that is said', async () => {
    const { ca, to, args } = await shared();
    const folder = to();
    await made([...args(folder), '--duration', '10h', '--ca-duration', '100h']);
    const before = readFileSync(join(ca, 'ca.crt'), 'utf8');
    // What it has signed stays valid.
    expect(await made([...args(folder), '--duration', '1000h', '--ca-duration', '2000h'])).toMatch(kept);
    const said = await made([...args(to()), '--duration', '1000h', '--ca-duration', '2000h']);
    expect(said).toContain('a new one is made, and whoever trusts the old one needs the new one’s ca.crt');
    expect(readFileSync(join(ca, 'ca.crt'), 'utf8')).not.toBe(before);
  });

  const refused: readonly (readonly [string, (ca: string) => void, string])[] = [
    [
      'of another user',
      (ca) => chownSync(realpathSync(join(ca, 'ca.key')), 1000, 1000),
      'ca.key is not taken for the authority’s: it belongs to user 1000',
    ],
    [
      'that a group may change',
      (ca) => {
        chownSync(realpathSync(join(ca, 'ca.crt')), 0, 2000);
        chmodSync(realpathSync(join(ca, 'ca.crt')), 0o664);
      },
      'may be changed by group 2000',
    ],
    ['without its key', (ca) => rmSync(realpathSync(join(ca, 'ca.key'))), 'ca.key is missing'],
    ['with another key', (ca) => replaceKey(ca, authority.key), 'ca.key is not the key of ca.crt'],
    ['with a damaged key', (ca) => replaceKey(ca, 'nothing'), 'holds no private key that can be read'],
  ];
  test.skipIf(noRoot).each(refused)('one %s is not used, and not replaced either', async (_, spoil, why) => {
    const { ca, to, args } = await shared();
    await made(args(to()));
    const before = readFileSync(join(ca, 'ca.crt'), 'utf8');
    spoil(ca);
    const folder = to();
    const { status, stderr } = await run(args(folder));
    expect(status, stderr).toBe(2);
    expect(stderr).toContain(why);
    expect(readFileSync(join(ca, 'ca.crt'), 'utf8')).toBe(before);
    expect(readdirSync(folder)).toEqual([]);
  });

  function replaceKey(ca: string, text: string): void {
    const key = realpathSync(join(ca, 'ca.key'));
    rmSync(key);
    writeFileSync(key, text, { mode: 0o400 });
  }
});

describe('the authority of --ca-cert', () => {
  test('must be one, fit its key, and be valid', async () => {
    const folder = inMemory();
    const at = (name: string): string => join(folder, name);
    const leaf = await authority.server(['x']);
    writeFileSync(at('none'), 'nothing');
    const cases: readonly (readonly [cert: string, key: string, said: string])[] = [
      [leaf.certificateFile, leaf.keyFile, 'is not a CA certificate'],
      [authority.certificateFile, other.keyFile, 'is not the key of a certificate in'],
      [at('none'), authority.keyFile, 'holds no certificate in PEM'],
      [authority.certificateFile, at('none'), '--ca-key'],
      [at('missing'), authority.keyFile, 'there is no file'],
    ];
    for (const [cert, key, said] of cases) {
      const to = join(folder, 'to');
      const { status, stderr } = await run(['a.test', '--to', to, '--ca-cert', cert, '--ca-key', key]);
      expect(status, stderr).toBe(2);
      expect(stderr).toContain(said);
    }
    expect(readdirSync(folder)).toEqual(['none']);
  });
});

test('more names than programs take in one certificate: 2, and what to do', async () => {
  const names = Array.from({ length: 251 }, (_, index) => `n${index}.test`);
  const { status, stderr } = await run([...names, '--to', inMemory()]);
  expect(status).toBe(2);
  expect(stderr).toContain('251 names are more than the 250 of one certificate');
});

describe('a key that everybody may read, or others may change, is told of', () => {
  test('of the authority and of the pair that are kept, and not of a mode that was asked for', async () => {
    const folder = inMemory();
    const args = ['a.test', '--to', join(folder, 'tls'), '--ca-dir', join(folder, 'ca')];
    expect(await made(args)).not.toContain('may be read by everybody');
    for (const key of ['ca/ca.key', 'tls/tls.key']) chmodSync(realpathSync(join(folder, key)), 0o644);
    const said = await made(args);
    expect(said).toMatch(/--ca-dir: .*ca\.key: the private key may be read by everybody.*\(mode 0644\)/);
    expect(said).toMatch(/--to: .*tls\.key: the private key may be read by everybody.*\(mode 0644\)/);
    const open = ['b.test', '--to', join(folder, 'open'), '--mode', '0444'];
    await made(open);
    expect(await made(open)).not.toContain('may be read by everybody');
  });
  test('of --ca-key and --key, unless the kubelet mounted it', async () => {
    const folder = inMemory();
    writeFileSync(join(folder, 'ca.pem'), readFileSync(authority.certificateFile));
    writeFileSync(join(folder, 'key.pem'), readFileSync(authority.keyFile));
    const given = ['--ca-cert', join(folder, 'ca.pem'), '--ca-key', join(folder, 'key.pem')];
    for (const [mode, said] of [
      [0o644, 'may be read by everybody'],
      [0o660, 'may be changed by others'],
      [0o440, undefined],
    ] as const) {
      chmodSync(join(folder, 'key.pem'), mode);
      const stderr = await made(['a.test', '--to', join(folder, `tls-${mode}`), ...given]);
      if (said === undefined) expect(stderr).not.toContain('the private key may');
      else expect(stderr).toContain(`--ca-key: ${join(folder, 'key.pem')}: the private key ${said}`);
    }
    chmodSync(join(folder, 'key.pem'), 0o644);
    symlinkSync('.', join(folder, '..data'));
    expect(await made(['a.test', '--to', join(folder, 'tls'), ...given])).not.toContain(
      'the private key may',
    );
  });
  test('a keystore of trust that others may change is not written', async () => {
    const folder = inMemory();
    writeFileSync(join(folder, 'pw'), 'changeit');
    const { status, stderr } = await runInitbox([
      'trust',
      `--key=${authority.keyFile}`,
      `--cert=${authority.certificateFile}`,
      `--key-pkcs12=${join(folder, 'k.p12')}`,
      `--password-file=${join(folder, 'pw')}`,
      '--mode=0666',
    ]);
    expect(status, stderr).toBe(2);
    expect(stderr).toContain('lets others change the private key (--key-pkcs12)');
  });
});
