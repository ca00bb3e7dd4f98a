import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run as runTool } from '../test/support/build-cache.ts';
import { programCommand } from '../test/support/program.ts';
import { createCertificateAuthority } from '../test/support/tls.ts';
import { findInPath } from '../test/support/tools.ts';
import { quote, undoAtDeath } from '../test/support/undo.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, type Usage } from './support/usage.ts';

export const name = 'trust';
export const description =
  'a company’s authority added for OpenSSL and for Java, against cat, openssl and keytool';

const roots = '/etc/ssl/certs/ca-certificates.crt';

export async function run(flags: readonly string[], report: Report): Promise<void> {
  for (const [tool, from] of [
    ['keytool', 'default-jre-headless'],
    ['openssl', 'openssl'],
  ] as const)
    if (findInPath(tool) === undefined) return report.skip(`there is no ${tool} (${from})`);
  const rounds = numberFlag(flags, 'rounds', 7);
  const base = mkdtempSync(join(tmpdir(), 'initbox-bench-trust-'));
  undoAtDeath(`rm -rf ${quote(base)}`);
  using authority = await createCertificateAuthority('Corp Root CA');
  try {
    const at = (file: string): string => join(base, file);
    writeFileSync(at('password'), 'changeit\n');
    const folder = authority.folder;
    const ca = authority.certificateFile;
    const store = ['-storepass', 'changeit', '-noprompt'];
    // As a Java image has it: the system's roots in a store.
    await runTool([
      ...programCommand(),
      'trust',
      '--system',
      '--jks',
      at('cacerts'),
      '--password-file',
      at('password'),
    ]);
    const leaf = await authority.server(['localhost']);
    const own = (...words: readonly string[]): string[] => [
      'sh',
      '-c',
      `rm -rf ${quote(at('ours'))}; mkdir ${quote(at('ours'))}; exec ${[...programCommand(), 'trust', ...words].map(quote).join(' ')}`,
    ];
    const other = (script: string): string[] => [
      'sh',
      '-c',
      `set -e; cd ${quote(base)}; rm -rf theirs; mkdir theirs; ${script}`,
    ];
    const password = ['--password-file', at('password')];
    const cases: readonly (readonly [string, string, string[], string[]])[] = [
      [
        'a bundle',
        'cat',
        own('--system', '--add', ca, '--bundle', at('ours/ca.crt')),
        other(`cat ${roots} ${quote(ca)} > theirs/ca.crt`),
      ],
      [
        'a hash folder of the system’s roots',
        'csplit, openssl rehash',
        own('--system', '--add', ca, '--hash-dir', at('ours')),
        other(
          `cat ${roots} ${quote(ca)} > all; csplit -z -s -f theirs/c -b %03d.pem all '/BEGIN/' '{*}'; openssl rehash theirs`,
        ),
      ],
      [
        'a truststore for Java',
        'cp, keytool -importcert',
        own('--system', '--add', ca, '--jks', at('ours/cacerts'), ...password),
        other(
          `cp cacerts theirs/cacerts; keytool -importcert -alias corp -file ${quote(ca)} -keystore theirs/cacerts ${store.join(' ')}`,
        ),
      ],
      [
        'a keystore',
        'openssl pkcs12 -export',
        own(
          '--key',
          leaf.keyFile,
          '--cert',
          leaf.certificateFile,
          '--key-pkcs12',
          at('ours/k.p12'),
          '--allow-disk',
          ...password,
        ),
        other(
          `openssl pkcs12 -export -in ${quote(leaf.certificateFile)} -inkey ${quote(leaf.keyFile)} -out theirs/k.p12 -passout pass:changeit`,
        ),
      ],
    ];
    const rows: (string | number)[][] = [];
    const ratios = new Map<string, number>();
    for (const [what, tools, ours, theirs] of cases) {
      const { a, b } = await inPairs(ours, theirs, rounds);
      if ([...a, ...b].some(({ status }) => status !== 0))
        throw new Error(`${what}: one of them failed in ${folder}`);
      const row = (usages: readonly Usage[]): number[] => [
        median(usages.map(({ wall }) => wall)),
        median(usages.map(({ cpu }) => cpu)),
        median(usages.map(({ memory }) => memory / 1024)),
      ];
      rows.push([what, 'initbox trust', ...row(a)], [what, tools, ...row(b)]);
      ratios.set(what, median(a.map(({ wall }, index) => wall / (b[index]?.wall ?? Number.NaN))));
    }
    const count = (file: string): number => readFileSync(file, 'utf8').split('BEGIN').length - 1;
    report.say(`${count(roots)} roots of the system and one more. Java’s store is one for both: JKS.`);
    report.table(['what', 'by', 'wall ms', 'CPU ms', 'memory MiB'], rows);
    report.figure({
      what: 'a truststore for Java, wall time',
      measured: ratios.get('a truststore for Java') ?? Number.NaN,
      unit: '×',
      bound: 1,
      peer: 'cp and keytool -importcert',
    });
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
