import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { baoBinary, startBao } from '../test/support/openbao.ts';
import { programCommand } from '../test/support/program.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, medians, usageOf, type Usage } from './support/usage.ts';

export const name = 'fetch';
export const description = 'secrets from Vault to files, against `bao kv get -field`';

const secrets = 50;

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 10);
  await using bao = await startBao();
  for (let index = 0; index < secrets; index++) {
    await bao.must('POST', `secret/data/app/s${index}`, { data: { [`key${index}`]: `value of ${index}` } });
  }
  // Secrets go to memory; /dev/shm is a tmpfs wherever Linux has one.
  const folder = mkdtempSync('/dev/shm/initbox-bench-');
  try {
    const settings = ['env', `VAULT_ADDR=${bao.address}`, `VAULT_TOKEN=${bao.token}`];
    const binary = await baoBinary();
    const ours = (...args: string[]): string[] => [...settings, ...programCommand(), 'fetch-config', ...args];
    const theirs = (index: number): string[] =>
      settings.concat(binary, 'kv', 'get', `-field=key${index}`, `secret/app/s${index}`);

    const one = await inPairs(
      ours('vault:secret/app/s0#key0', '--to', join(folder, 'one')),
      theirs(0),
      rounds,
    );
    check([...one.a, ...one.b]);
    report.say(`One secret, the whole process (medians of ${rounds}):`);
    report.table(
      ['process', 'CPU ms', 'wall ms', 'memory MiB'],
      [
        ['initbox fetch-config', ...medians(one.a)],
        ['bao kv get -field', ...medians(one.b)],
      ],
    );
    const ratio = (of: 'cpu' | 'memory'): number =>
      median(one.a.map((usage, index) => usage[of] / (one.b[index]?.[of] ?? Number.NaN)));
    const peer = 'bao kv get';
    report.figure({ what: 'one secret, CPU', measured: ratio('cpu'), unit: '×', bound: 0.9, peer });
    report.figure({ what: 'one secret, memory', measured: ratio('memory'), unit: '×', bound: 1, peer });

    const many = join(folder, 'many');
    mkdirSync(many);
    const sources = Array.from({ length: secrets }, (_, index) => `vault:secret/app/s${index}`);
    const together: Usage[] = [];
    const singly: Usage[] = [];
    for (let round = 0; round < numberFlag(flags, 'many-rounds', 3); round++) {
      rmSync(many, { recursive: true });
      mkdirSync(many);
      together.push(...(await usageOf([ours(...sources, '--format', 'files', '--to', many)])));
      singly.push(sum(await usageOf(sources.map((_, index) => theirs(index)))));
    }
    check([...together, ...singly]);
    report.say(`${secrets} secrets to ${secrets} files:`);
    report.table(
      ['process', 'CPU ms', 'wall ms', 'memory MiB'],
      [
        ['initbox fetch-config, one process', ...medians(together)],
        [`bao kv get -field, ${secrets} processes`, ...medians(singly)],
      ],
    );
    for (const what of ['cpu', 'wall'] as const) {
      const measured =
        median(together.map((usage) => usage[what])) / median(singly.map((usage) => usage[what]));
      const label = `${secrets} secrets to ${secrets} files, ${what === 'cpu' ? 'CPU' : 'wall time'}`;
      report.figure({ what: label, measured, unit: '×', bound: 0.05, peer: `${secrets} × ${peer}` });
    }
    report.plot({
      title: 'CPU time',
      kind: 'bars',
      unit: 'ms',
      groups: ['one secret', `${secrets} secrets`],
      series: [
        { name: 'initbox fetch-config', values: [medians(one.a)[0], medians(together)[0]] },
        { name: 'bao kv get -field', values: [medians(one.b)[0], medians(singly)[0]] },
      ],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sum(usages: readonly Usage[]): Usage {
  return usages.reduce((total, usage) => ({
    cpu: total.cpu + usage.cpu,
    wall: total.wall + usage.wall,
    memory: Math.max(total.memory, usage.memory),
    status: total.status || usage.status,
  }));
}

function check(usages: readonly Usage[]): void {
  const failed = usages.find(({ status }) => status !== 0);
  if (failed) throw new Error(`a process ended with status ${failed.status}`);
}
