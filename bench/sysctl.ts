import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { canUseNetns, createNetns } from '../test/support/netns.ts';
import { programCommand } from '../test/support/program.ts';
import { nodePath, whyMissing } from '../test/support/tools.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, type Usage } from './support/usage.ts';

export const name = 'sysctl';
export const description =
  'setting a parameter of the kernel, against busybox sysctl -w, and against Node running one write';

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const why = canUseNetns() ?? whyMissing('busybox', 'busybox');
  if (why !== undefined) return report.skip(why);
  const rounds = numberFlag(flags, 'rounds', 30);
  using network = createNetns('bench');
  const present = `vm.max_map_count=${readFileSync('/proc/sys/vm/max_map_count', 'utf8').trim()}`;
  const right = [...programCommand(), 'sysctl', present];
  // Each sets what the other one has changed. The way into the namespace is part of both.
  const changed = [...network.prefix, ...programCommand(), 'sysctl', 'net.core.somaxconn=2000'];
  const changedBack = [...network.prefix, 'busybox', 'sysctl', '-w', 'net.core.somaxconn=1000'];
  const bare = [nodePath(), join(import.meta.dirname, 'support', 'one-write.mjs')];
  const rows = [
    [
      'right already',
      'busybox sysctl -w',
      await inPairs(right, ['busybox', 'sysctl', '-w', present], rounds),
    ],
    ['changed, in a network namespace', 'busybox sysctl -w', await inPairs(changed, changedBack, rounds)],
    ['right already', 'node, one write', await inPairs(right, bare, rounds)],
  ] as const;
  for (const [, , { a, b }] of rows)
    if ([...a, ...b].some(({ status }) => status !== 0)) throw new Error('a setting was not set');
  const middle = (usages: readonly Usage[], of: 'cpu' | 'wall') => median(usages.map((usage) => usage[of]));
  const ratio = ({ a, b }: { a: readonly Usage[]; b: readonly Usage[] }) =>
    median(a.map(({ cpu }, index) => cpu / (b[index]?.cpu ?? Number.NaN)));
  report.table(
    ['what', 'the other', 'CPU ms', 'its CPU ms', 'wall ms', 'its wall ms', 'CPU, median of ratios'],
    rows.map(([what, other, pair]) => [
      what,
      other,
      middle(pair.a, 'cpu'),
      middle(pair.b, 'cpu'),
      middle(pair.a, 'wall'),
      middle(pair.b, 'wall'),
      ratio(pair),
    ]),
  );
  report.say(
    `${rounds} pairs each. busybox is started in a millisecond; what initbox takes beyond that is the start of Node.`,
  );
  for (const [what, other, pair] of rows)
    report.figure({
      what: `sysctl, ${what}, CPU${other.startsWith('node') ? ' against a bare Node' : ''}`,
      measured: ratio(pair),
      unit: '×',
      ...(other.startsWith('node') ? {} : { peer: other }),
    });
}
