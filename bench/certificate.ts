import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { programCommand } from '../test/support/program.ts';
import { createCertificateAuthority } from '../test/support/tls.ts';
import { findInPath } from '../test/support/tools.ts';
import { quote, undoAtDeath } from '../test/support/undo.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, type Usage } from './support/usage.ts';

export const name = 'certificate';
export const description = 'a private key and a certificate for a Service, against openssl';

const names = ['shop', 'shop.prod', 'shop.prod.svc', 'shop.prod.svc.cluster.local'];

export async function run(flags: readonly string[], report: Report): Promise<void> {
  if (findInPath('openssl') === undefined) return report.skip('there is no openssl (openssl)');
  const rounds = numberFlag(flags, 'rounds', 7);
  const base = mkdtempSync(join(tmpdir(), 'initbox-bench-certificate-'));
  undoAtDeath(`rm -rf ${quote(base)}`);
  using authority = await createCertificateAuthority('Internal CA');
  try {
    const folder = join(base, 'ours');
    const own = (...words: readonly string[]): string[] => [
      'sh',
      '-c',
      `rm -rf ${quote(folder)}; mkdir ${quote(folder)}; exec ${[...programCommand(), 'certificate', ...names, '--to', folder, '--allow-disk', ...words].map(quote).join(' ')}`,
    ];
    const again = [...programCommand(), 'certificate', ...names, '--to', folder, '--allow-disk'];
    const other = (script: string): string[] => [
      'sh',
      '-c',
      `set -e; cd ${quote(base)}; rm -rf theirs; mkdir theirs; ${script}`,
    ];
    const alternatives = `subjectAltName=${names.map((one) => `DNS:${one}`).join(',')}`;
    const self = (key: string): string =>
      `openssl req -x509 ${key} -nodes -subj /CN=shop -days 365 -addext ${alternatives} -keyout theirs/tls.key -out theirs/tls.crt`;
    const ec = '-newkey ec -pkeyopt ec_paramgen_curve:P-256';
    const [ca, caKey] = [authority.certificateFile, authority.keyFile];
    const cases: readonly (readonly [string, string, string[], string[]])[] = [
      ['signed by itself, P-256', 'openssl req -x509', own(), other(self(ec))],
      [
        'signed by itself, RSA of 2048 bits',
        'openssl req -x509',
        own('--key-type', 'rsa-2048'),
        other(self('-newkey rsa:2048')),
      ],
      [
        'signed by an authority',
        'openssl req, openssl x509',
        own('--ca-cert', ca, '--ca-key', caKey, '--duration', '24h'),
        other(
          `openssl req -new ${ec} -nodes -subj /CN=shop -keyout theirs/tls.key -out csr; echo ${alternatives} > ext; openssl x509 -req -in csr -CA ${quote(ca)} -CAkey ${quote(caKey)} -set_serial $$ -days 1 -extfile ext -out theirs/tls.crt`,
        ),
      ],
      ['again: kept', 'openssl req -x509 (a new one)', again, other(self(ec))],
    ];
    const rows: (string | number)[][] = [];
    for (const [what, tools, ours, theirs] of cases) {
      if (ours === again) {
        const made = await inPairs(own(), other(self(ec)), 1);
        if (made.a.some(({ status }) => status !== 0)) throw new Error('nothing to keep');
      }
      const { a, b } = await inPairs(ours, theirs, rounds);
      if ([...a, ...b].some(({ status }) => status !== 0)) throw new Error(`${what}: one of them failed`);
      const row = (usages: readonly Usage[]): number[] => [
        median(usages.map(({ wall }) => wall)),
        median(usages.map(({ cpu }) => cpu)),
        median(usages.map(({ memory }) => memory / 1024)),
      ];
      rows.push([what, 'initbox certificate', ...row(a)], [what, tools, ...row(b)]);
    }
    report.say(
      'openssl writes two files, one after the other. initbox looks at what is there, and shows three files at once; most of its time is the start of Node.',
    );
    report.table(['what', 'by', 'wall ms', 'CPU ms', 'memory MiB'], rows);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
