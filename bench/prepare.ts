import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { canMount, mountTmpfs } from '../test/support/faults.ts';
import { programCommand } from '../test/support/program.ts';
import { findInPath } from '../test/support/tools.ts';
import { quote } from '../test/support/undo.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { type Usage, usageOf } from './support/usage.ts';

export const name = 'prepare';
export const description =
  'making folders and removing trees by files, against mkdir, chmod and rm of busybox and GNU';

/** Two commands that do the same to a folder; `before` is not counted. */
interface Case {
  readonly what: string;
  readonly before: (top: string) => string;
  readonly ours: (top: string) => readonly string[];
  readonly theirs: (top: string, tool: string) => string;
}

const cases: readonly Case[] = [
  {
    what: 'two folders, a file and a mode',
    before: (top) => `rm -rf ${top}/a ${top}/b ${top}/ready; chmod 755 ${top}`,
    ours: (top) => [`mkdir:${top}/{a,b}`, `touch:${top}/ready`, `mode:0700:${top}`],
    theirs: (top, tool) =>
      `${tool}mkdir -p ${top}/a ${top}/b && ${tool}touch ${top}/ready && ${tool}chmod 0700 ${top}`,
  },
  {
    what: 'the same again',
    before: () => 'true',
    ours: (top) => [`mkdir:${top}/{a,b}`, `touch:${top}/ready`, `mode:0700:${top}`],
    theirs: (top, tool) =>
      `${tool}mkdir -p ${top}/a ${top}/b && ${tool}touch ${top}/ready && ${tool}chmod 0700 ${top}`,
  },
  {
    what: 'removing 100,000 files in 1,000 folders',
    before: (top) =>
      `python3 -c 'import os,sys
for i in range(1000):
    p = f"{sys.argv[1]}/old/d{i:05d}"; os.makedirs(p)
    for j in range(100): os.close(os.open(f"{p}/f{j:05d}", os.O_CREAT | os.O_WRONLY, 0o644))' ${top}`,
    ours: (top) => [`remove:${top}/old`],
    theirs: (top, tool) => `${tool}rm -rf ${top}/old`,
  },
];

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const why = canMount();
  if (why !== undefined) return report.skip(why);
  if (findInPath('busybox') === undefined) return report.skip('there is no busybox');
  const rounds = numberFlag(flags, 'rounds', 9);
  using volume = mountTmpfs({ size: '512m', mode: 0o755 });
  const rows: (string | number)[][] = [];
  for (const { what, before, ours, theirs } of cases) {
    const top = mkdtempSync(join(volume.path, 'bench-'));
    const path = quote(top);
    const commands: Readonly<Record<string, readonly string[]>> = {
      initbox: [...programCommand(), 'files', ...ours(top)],
      GNU: ['sh', '-c', theirs(path, '')],
      busybox: ['busybox', 'sh', '-c', theirs(path, 'busybox ')],
    };
    const prepare = ['sh', '-c', before(path)];
    const order = Array.from({ length: rounds + 1 }, () =>
      Object.values(commands).flatMap((command) => [prepare, command]),
    ).flat();
    const measured = (await usageOf(order)).filter((_, index) => index % 2 === 1).slice(3);
    if (measured.some(({ status }) => status !== 0)) throw new Error(`${what}: a command failed`);
    const of = (tool: string): Usage[] =>
      measured.filter((_, index) => index % 3 === Object.keys(commands).indexOf(tool));
    const wall = (tool: string): number => median(of(tool).map((usage) => usage.wall));
    rows.push([what, wall('initbox'), wall('GNU'), wall('busybox')]);
    for (const tool of ['GNU', 'busybox'])
      report.figure({
        what: `files, ${what}, wall time`,
        measured: median(
          of('initbox').map((usage, index) => usage.wall / (of(tool)[index]?.wall ?? Number.NaN)),
        ),
        unit: '×',
        peer: tool,
      });
    rmSync(top, { recursive: true, force: true });
  }
  report.table(['what', 'initbox, wall ms', 'GNU, wall ms', 'busybox, wall ms'], rows);
  report.say(
    `Medians of ${rounds} rounds in memory. The start of Node is in each of ours; a removal by handles opens each folder once more than rm.`,
  );
}
