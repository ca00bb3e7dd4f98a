import { readFileSync } from 'node:fs';

import { canUseNetns, createNetns } from '../test/support/netns.ts';
import { programCommand } from '../test/support/program.ts';
import { whyMissing } from '../test/support/tools.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, type Usage } from './support/usage.ts';

export const name = 'sysctl';
export const description = 'setting a parameter of the kernel, against busybox sysctl -w';

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const why = canUseNetns() ?? whyMissing('busybox', 'busybox');
  if (why !== undefined) return report.skip(why);
  const rounds = numberFlag(flags, 'rounds', 30);
  using network = createNetns('bench');
  const present = readFileSync('/proc/sys/vm/max_map_count', 'utf8').trim();
  const right = await inPairs(
    [...programCommand(), 'sysctl', `vm.max_map_count=${present}`],
    ['busybox', 'sysctl', '-w', `vm.max_map_count=${present}`],
    rounds,
  );
  // Each sets what the other one has changed. The way into the namespace is part of both.
  const set = await inPairs(
    [...network.prefix, ...programCommand(), 'sysctl', 'net.core.somaxconn=2000'],
    [...network.prefix, 'busybox', 'sysctl', '-w', 'net.core.somaxconn=1000'],
    rounds,
  );
  const rows = [
    ['the value is right already', right],
    ['it is changed, in a network namespace', set],
  ] as const;
  for (const [, { a, b }] of rows)
    if ([...a, ...b].some(({ status }) => status !== 0)) throw new Error('a setting was not set');
  const milliseconds = (usages: readonly Usage[], of: 'cpu' | 'wall') =>
    median(usages.map((usage) => usage[of]));
  report.table(
    ['what', 'initbox, wall ms', 'busybox, wall ms', 'initbox, CPU ms', 'busybox, CPU ms'],
    rows.map(([what, { a, b }]) => [
      what,
      milliseconds(a, 'wall'),
      milliseconds(b, 'wall'),
      milliseconds(a, 'cpu'),
      milliseconds(b, 'cpu'),
    ]),
  );
  report.say(
    `Medians of ${rounds} pairs. busybox starts in a millisecond or two, and writes in each run; initbox starts Node, and writes what differs.`,
  );
  for (const [what, { a, b }] of rows)
    report.figure({
      what: `sysctl, ${what}, wall time`,
      measured: median(a.map(({ wall }, index) => wall / (b[index]?.wall ?? Number.NaN))),
      unit: '×',
      peer: 'busybox sysctl -w',
    });
}
