import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { baoBinary, startBao } from '../test/support/openbao.ts';
import { programCommand } from '../test/support/program.ts';
import { numberFlag } from './support/benchmark.ts';
import { median, table } from './support/statistics.ts';
import { inPairs, usageOf, type Usage } from './support/usage.ts';

export const name = 'fetch';
export const description = 'secrets from Vault to files, against `bao kv get -field`';

const secrets = 50;

export async function run(flags: readonly string[]): Promise<void> {
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
    console.log(`One secret, the whole process (medians of ${rounds}):\n`);
    console.log(
      table(
        ['process', 'CPU ms', 'wall ms', 'memory MiB'],
        [
          ['initbox fetch-config', ...medians(one.a)],
          ['bao kv get -field', ...medians(one.b)],
        ],
      ),
    );
    const ratio = median(one.a.map(({ cpu }, index) => cpu / (one.b[index]?.cpu ?? Number.NaN)));
    console.log(`\nCPU ratio pair by pair: ${ratio.toFixed(2)} (bound 0.90)\n`);

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
    console.log(`${secrets} secrets to ${secrets} files:\n`);
    console.log(
      table(
        ['process', 'CPU ms', 'wall ms', 'memory MiB'],
        [
          ['initbox fetch-config, one process', ...medians(together)],
          [`bao kv get -field, ${secrets} processes`, ...medians(singly)],
        ],
      ),
    );
    const share = (of: 'cpu' | 'wall'): string =>
      (median(together.map((usage) => usage[of])) / median(singly.map((usage) => usage[of]))).toFixed(3);
    console.log(`\nratio: CPU ${share('cpu')}, wall ${share('wall')} (bound 0.05 each)`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function medians(usages: readonly Usage[]): [number, number, number] {
  return [
    median(usages.map(({ cpu }) => cpu)),
    median(usages.map(({ wall }) => wall)),
    median(usages.map(({ memory }) => memory / 1024)),
  ];
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
