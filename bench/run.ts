import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';

import { programCommand } from '../test/support/program.ts';
import { temporaryDirectory } from '../test/support/undo.ts';
import { numberFlag } from './support/benchmark.ts';
import { startInitPhase } from './support/init-phase.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs } from './support/usage.ts';

export const name = 'run';
export const description = 'five steps in one run, against five invocations one after another';

/**
 * The five steps of a usual init phase, with every dependency up. An init container is started when the one before it
 * has ended, so the five invocations are too: a shell runs them in order.
 */
export async function run(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 15);
  await using phase = await startInitPhase();
  const folder = temporaryDirectory('bench-run').path;
  mkdirSync(join(folder, 'migrations'));
  writeFileSync(join(folder, 'migrations', '1_users.sql'), 'create table if not exists users (id int)');
  mkdirSync(join(folder, 'data'));
  Object.assign(env, phase.environment);
  const { address, server, uid } = phase;
  const to = join(folder, 'app.conf');
  const token = join(folder, 'token');
  writeFileSync(token, phase.token);
  const steps = [
    { name: 'port', uses: 'wait-tcp', targets: address },
    { name: 'name', uses: 'wait-dns', names: ['db.example'], server },
    {
      name: 'config',
      uses: 'fetch-config',
      sources: 'vault:secret/app#config',
      to,
      'allow-disk': true,
      'vault-token-file': token,
    },
    { name: 'owner', uses: 'chown', owner: `${uid}`, paths: join(folder, 'data'), needs: 'config' },
    { name: 'migrate', uses: 'migrate-with-lock', sql: join(folder, 'migrations'), needs: ['port', 'name'] },
  ];
  const plan = join(folder, 'plan.json');
  writeFileSync(plan, JSON.stringify({ steps }));
  const initbox = programCommand()
    .map((word) => `'${word}'`)
    .join(' ');
  const lines = [
    `wait-tcp ${address}`,
    `wait-dns db.example --server ${server}`,
    `fetch-config vault:secret/app#config --to ${to} --allow-disk --vault-token-file ${token}`,
    `chown ${uid} ${join(folder, 'data')}`,
    `migrate-with-lock --sql ${join(folder, 'migrations')}`,
  ];
  const script = join(folder, 'five.sh');
  writeFileSync(script, `#!/bin/sh\nset -e\n${lines.map((line) => `${initbox} ${line}\n`).join('')}`);
  chmodSync(script, 0o755);

  const { a, b } = await inPairs([...programCommand(), 'run', plan], [script], rounds);
  if ([...a, ...b].some(({ status }) => status !== 0)) throw new Error('a run failed');
  const ratios = (what: 'wall' | 'cpu'): number =>
    median(a.map((one, index) => one[what] / (b[index]?.[what] ?? Number.NaN)));
  const row = (words: string, usages: typeof a): (string | number)[] => [
    words,
    median(usages.map(({ wall }) => wall)),
    median(usages.map(({ cpu }) => cpu)),
    median(usages.map(({ memory }) => memory / 1024)),
  ];
  report.table(
    ['process', 'wall ms, median', 'CPU ms, median', 'memory MiB'],
    [row('one initbox run', a), row('five invocations', b)],
  );
  report.say(`Medians of ${rounds} ratios, pair by pair:`);
  report.figure({
    what: 'five steps in one run, against five invocations, wall time',
    measured: ratios('wall'),
    unit: '×',
    bound: 0.4,
  });
  report.figure({
    what: 'five steps in one run, against five invocations, CPU',
    measured: ratios('cpu'),
    unit: '×',
  });
}
