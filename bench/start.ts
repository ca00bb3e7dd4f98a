import { createServer } from 'node:net';
import { join } from 'node:path';

import { programCommand } from '../test/support/program.ts';
import { nodePath } from '../test/support/tools.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs } from './support/usage.ts';

export const name = 'start';
export const description = 'whole-process CPU of wait-tcp on an open port, against Node running one write';

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 40);
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const bare = [nodePath(), join(import.meta.dirname, 'support', 'one-write.mjs')];
  const { a, b } = await inPairs([...programCommand(), 'wait-tcp', `127.0.0.1:${port}`], bare, rounds);
  server.close();
  if (a.some(({ status }) => status !== 0)) throw new Error('wait-tcp failed');
  const ratios = a.map(({ cpu }, index) => cpu / (b[index]?.cpu ?? Number.NaN));
  report.table(
    ['process', 'CPU ms, median', 'wall ms, median', 'memory MiB'],
    [
      [
        'initbox wait-tcp',
        median(a.map(({ cpu }) => cpu)),
        median(a.map(({ wall }) => wall)),
        median(a.map(({ memory }) => memory / 1024)),
      ],
      [
        'node, one write',
        median(b.map(({ cpu }) => cpu)),
        median(b.map(({ wall }) => wall)),
        median(b.map(({ memory }) => memory / 1024)),
      ],
    ],
  );
  report.say(`Median of ${rounds} ratios, pair by pair:`);
  report.figure({
    what: 'start-up of wait-tcp on an open port, CPU against a bare Node',
    measured: median(ratios),
    unit: '×',
    bound: 1.4,
  });
  report.plot({
    title: 'CPU of one start',
    kind: 'points',
    unit: 'ms',
    series: [
      { name: 'initbox wait-tcp', values: a.map(({ cpu }) => cpu) },
      { name: 'node, one write', values: b.map(({ cpu }) => cpu) },
    ],
  });
}
