import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { canUseIptables, dropTo } from '../test/support/netns.ts';
import { freePort } from '../test/support/ports.ts';
import { programCommand } from '../test/support/program.ts';
import { nodePath, projectDirectory } from '../test/support/tools.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { mean } from './support/statistics.ts';

export const name = 'lag';
export const description = 'from "the port listens" to exit 0, the dependency up after 2 to 8 s';

/** Waits under way at once: they sleep nearly all the time, and one after another would take minutes. */
const abreast = 4;

interface Tool {
  readonly name: string;
  readonly command: (port: number, address: string) => readonly string[];
}

const tools: readonly Tool[] = [
  {
    name: 'initbox',
    command: (port, address) => [...programCommand(), 'wait-tcp', `${address}:${port}`, '--timeout', '60s'],
  },
  {
    name: 'wait-on (npm)',
    command: (port, address) => [
      nodePath(),
      join(projectDirectory, 'node_modules/wait-on/bin/wait-on'),
      `tcp:${address}:${port}`,
      '-t',
      '60s',
    ],
  },
];

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 24);
  const lags = new Map(tools.map((tool) => [tool, [] as number[]]));
  const delays = Array.from(
    { length: rounds },
    (_, index) => 2_000 + (6_000 * (index + Math.random())) / rounds,
  );
  const lane = async (): Promise<void> => {
    for (let delay = delays.pop(); delay !== undefined; delay = delays.pop()) {
      // Both tools of a round side by side, each on a port of its own: the machine is the same for both.
      const up = delay;
      await Promise.all(tools.map(async (tool) => lags.get(tool)?.push(await lagOf(tool, up))));
    }
  };
  await Promise.all(Array.from({ length: abreast }, lane));
  const [own = [], theirs = []] = lags.values();
  summary(lags, report);
  report.say(`${rounds} rounds, both tools side by side.`);
  report.figure({ what: 'lag after the port listens, mean', measured: mean(own), unit: 'ms', bound: 90 });
  report.figure({
    what: 'lag after the port listens, longest',
    measured: Math.max(...own),
    unit: 'ms',
    bound: 200,
  });
  report.figure({
    what: 'lag after the port listens, mean',
    measured: mean(own) / mean(theirs),
    unit: '×',
    peer: 'wait-on',
  });
  report.plot({
    title: 'From "the port listens" to exit 0',
    kind: 'points',
    unit: 'ms',
    series: plotted(lags),
  });

  const why = canUseIptables();
  if (why !== undefined) return report.skip(`dropped packets, ${why}`);
  const dropped = new Map(tools.map((tool) => [tool, [] as number[]]));
  for (let round = 0; round < numberFlag(flags, 'dropped-rounds', 5); round++) {
    await Promise.all(
      tools.map(async (tool, index) =>
        dropped.get(tool)?.push(await lagAfterDrops(tool, `127.78.${index}.${round + 2}`)),
      ),
    );
  }
  report.say('The first SYNs dropped for 5 s, then let through:');
  summary(dropped, report);
  const longest = Math.max(...([...dropped.values()][0] ?? []));
  report.figure({
    what: 'lag after SYNs were dropped for 5 s, longest',
    measured: longest,
    unit: 'ms',
    bound: 300,
  });
  report.plot({
    title: 'The first SYNs dropped for 5 s',
    kind: 'points',
    unit: 'ms',
    series: plotted(dropped),
  });
}

function summary(lags: ReadonlyMap<Tool, readonly number[]>, report: Report): void {
  report.table(
    ['tool', 'mean ms', 'max ms'],
    [...lags].map(([tool, values]) => [tool.name, mean(values), Math.max(...values)]),
  );
}

function plotted(lags: ReadonlyMap<Tool, readonly number[]>) {
  return [...lags].map(([tool, values]) => ({ name: tool.name, values }));
}

async function lagOf(tool: Tool, delay: number): Promise<number> {
  const port = await freePort();
  const child = start(tool, port, '127.0.0.1');
  await new Promise((resolve) => setTimeout(resolve, delay));
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return endOf(child, performance.now()).finally(() => server.close());
}

async function lagAfterDrops(tool: Tool, address: string): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}));
  const port = await freePort(address);
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  const block = dropTo(address, port);
  const child = start(tool, port, address);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  block.remove();
  return endOf(child, performance.now()).finally(() => server.close());
}

function start(tool: Tool, port: number, address: string): ChildProcess {
  const [file = '', ...args] = tool.command(port, address);
  return spawn(file, args, { stdio: 'ignore' });
}

/** Milliseconds from `since` to a successful exit. */
function endOf(child: ChildProcess, since: number): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) =>
      status === 0
        ? resolve(performance.now() - since)
        : reject(new Error(`${child.spawnargs.join(' ')} ended with ${status}`)),
    );
  });
}
