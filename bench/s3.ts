import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { startMoto } from '../test/support/moto.ts';
import { programCommand } from '../test/support/program.ts';
import { pythonPackage } from '../test/support/python-packages.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, medians, type Usage } from './support/usage.ts';

export const name = 's3';
export const description =
  'objects of S3 and a parameter to files, against `aws s3 cp` and `aws ssm get-parameter`';

const requirement = 'awscli==1.44.0';
const objects = 100;
const large = 64 << 20;

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 5);
  const { python, folder: packages } = await pythonPackage(requirement);
  await using moto = await startMoto();
  const put = async (path: string, body: string | Buffer): Promise<void> => {
    const reply = await moto.objects('PUT', path, body);
    if (!reply.ok) throw new Error(`moto answered ${reply.status}`);
    // Else its connection would be left in the middle.
    await reply.arrayBuffer();
  };
  await put(
    '/bench',
    '<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>',
  );
  for (let index = 0; index < objects; index++) await put(`/bench/many/${index}`, randomBytes(4096));
  await put('/bench/large', randomBytes(large));
  await moto.parameterStore('PutParameter', { Name: '/app/key', Value: 'a value', Type: 'SecureString' });
  const folder = mkdtempSync('/dev/shm/initbox-bench-');
  try {
    // The AWS CLI knows the region by its older variable alone.
    const variables = Object.entries({ ...moto.env, AWS_DEFAULT_REGION: moto.region }).map(
      ([key, value]) => `${key}=${value}`,
    );
    const ours = (...args: string[]): string[] => [
      'env',
      ...variables,
      ...programCommand(),
      'fetch-config',
      ...args,
    ];
    const theirs = (...args: string[]): string[] => [
      'env',
      ...variables,
      `PYTHONPATH=${packages}`,
      python,
      join(packages, 'bin/aws'),
      ...args,
    ];
    const rows: [string, number, number, number][] = [];
    const compare = async (
      what: string,
      mine: readonly string[],
      [peer = '', ...other]: readonly string[],
    ): Promise<void> => {
      const { a, b } = await inPairs(mine, other, rounds);
      check([...a, ...b]);
      rows.push([`initbox fetch-config, ${what}`, ...medians(a)], [`${peer}, ${what}`, ...medians(b)]);
      for (const kind of ['cpu', 'wall'] as const) {
        const measured = median(a.map((usage, index) => usage[kind] / (b[index]?.[kind] ?? Number.NaN)));
        report.figure({
          what: `${what}, ${kind === 'cpu' ? 'CPU' : 'wall time'}`,
          measured,
          unit: '×',
          bound: 1,
          peer,
        });
      }
    };
    await compare('a parameter', ours('aws-ssm:/app/key', '--to', join(folder, 'key')), [
      'aws ssm get-parameter',
      ...theirs('ssm', 'get-parameter', '--name', '/app/key', '--with-decryption'),
    ]);
    await compare(
      `a prefix of ${objects} objects`,
      // Anew each time: what is there already would not be fetched.
      [
        'sh',
        '-c',
        'rm -rf "$0"; exec "$@"',
        join(folder, 'many'),
        ...ours('s3://bench/many/', '--to', join(folder, 'many')),
      ],
      [
        'aws s3 cp --recursive',
        ...theirs('s3', 'cp', 's3://bench/many/', join(folder, 'theirs'), '--recursive', '--quiet'),
      ],
    );
    await compare(
      'an object of 64 MiB',
      ours('s3://bench/large', '--max-size', '64Mi', '--to', join(folder, 'large')),
      ['aws s3 cp', ...theirs('s3', 'cp', 's3://bench/large', join(folder, 'large-theirs'), '--quiet')],
    );
    report.say(`The whole process (medians of ${rounds}), from a server on the same machine:`);
    report.table(['process', 'CPU ms', 'wall ms', 'memory MiB'], rows);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function check(usages: readonly Usage[]): void {
  const failed = usages.find(({ status }) => status !== 0);
  if (failed) throw new Error(`a process ended with status ${failed.status}`);
}
