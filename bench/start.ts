import { createServer } from 'node:net';
import { join } from 'node:path';
import { programCommand } from '../test/support/program.ts';
import { nodePath } from '../test/support/tools.ts';
import { numberFlag } from './support/benchmark.ts';
import { median, table } from './support/statistics.ts';
import { inPairs } from './support/usage.ts';

export const name = 'start';
export const description = 'whole-process CPU of wait-tcp on an open port, against Node running one write';

export async function run(flags: readonly string[]): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 40);
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const bare = [nodePath(), join(import.meta.dirname, 'support', 'one-write.mjs')];
  const { a, b } = await inPairs([...programCommand(), 'wait-tcp', `127.0.0.1:${port}`], bare, rounds);
  server.close();
  if (a.some(({ status }) => status !== 0)) throw new Error('wait-tcp failed');
  const ratios = a.map(({ cpu }, index) => cpu / (b[index]?.cpu ?? Number.NaN));
  console.log(
    table(
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
    ),
  );
  console.log(`\nCPU ratio pair by pair, median of ${rounds}: ${median(ratios).toFixed(2)} (bound 1.40)`);
}
