import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { limitMemory } from '../test/support/memory-limit.ts';
import { programCommand } from '../test/support/program.ts';
import { canMountSlowly, mountSlowly, type SlowVolume } from '../test/support/slow-volume.ts';
import { quote, undoAtDeath } from '../test/support/undo.ts';
import { numberFlag, textFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { usageOf } from './support/usage.ts';

export const name = 'slow';
export const description = 'volumes on which each call takes 1 ms, as on a network';

/** Two commands that do the same on a slow volume, once in each round. */
interface Comparison {
  readonly what: string;
  readonly bound: number;
  readonly peer: string;
  readonly ours: (round: number) => readonly string[];
  readonly theirs: (round: number) => readonly string[];
}

/** What is compared on a volume that shows `behind`, a tree of so many files in folders of 100. */
type Part = (volume: SlowVolume, entries: number) => readonly Comparison[];

/** `--part=` takes one of them. */
const parts: Readonly<Record<string, Part>> = { chown, copy, unpack };

/** The memory limit that everything must get by with, in MiB. */
const limit = 96;

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const missing = canMountSlowly();
  if (missing !== undefined) return report.skip(missing);
  const entries = numberFlag(flags, 'entries', 20_000);
  const rounds = numberFlag(flags, 'rounds', 3);
  const only = textFlag(flags, 'part');
  const base = mkdtempSync(join(tmpdir(), 'initbox-bench-slow-'));
  undoAtDeath(`rm -rf ${quote(base)}`);
  const behind = join(base, 'behind');
  mkdirSync(behind);
  await promisify(execFile)('python3', ['-c', maker, behind, String(entries)]);
  await using volume = await mountSlowly({ behind });
  try {
    const rows: (string | number)[][] = [];
    for (const [part, compare] of Object.entries(parts)) {
      if (only !== undefined && only !== part) continue;
      for (const comparison of compare(volume, entries)) {
        const row = await compared(comparison, rounds);
        rows.push(row);
        const { what, bound, peer } = comparison;
        report.figure({ what, measured: Number(row[3]), unit: '×', peer, bound });
      }
    }
    report.table(
      [`${entries} files, 1 ms a call`, 'initbox ms', 'the other ms', 'ratio, median of pairs'],
      rows,
    );
    report.say(`Wall time, ${rounds} rounds, in turn.`);
    if (only === undefined || only === 'chown')
      await limited(volume, numberFlag(flags, 'limited', 10), report);
  } finally {
    await volume.stop();
    rmSync(base, { recursive: true, force: true });
  }
}

/** Each gives the tree an owner of its own, then the same once more. */
function chown({ path }: SlowVolume): readonly Comparison[] {
  const ours = (owner: number) => [...programCommand(), 'chown', `${owner}:${owner}`, path];
  const theirs = (owner: number) => ['chown', '-R', `${owner}:${owner}`, path];
  return [
    {
      what: 'chown on a slow volume, all to change',
      bound: 0.1,
      peer: 'GNU chown -R',
      ours: (round) => ours(1000 + round),
      theirs: (round) => theirs(2000 + round),
    },
    {
      what: 'chown on a slow volume, all right already',
      bound: 0.06,
      peer: 'GNU chown -R',
      ours: () => ours(3000),
      theirs: () => theirs(3000),
    },
  ];
}

/** A command that gets a folder of its own, made before it. */
function to(folder: string, command: (folder: string) => readonly string[]): readonly string[] {
  return ['sh', '-c', `mkdir -p ${quote(folder)} && exec "$@"`, 'sh', ...command(folder)];
}

/** Off the volume to a disk, and from there onto the volume, each time to a new folder, and once more to the same one. */
function copy({ path, behind }: SlowVolume): readonly Comparison[] {
  const beside = join(behind, '..');
  const ours = (from: string) => (folder: string) => [...programCommand(), 'copy', from, folder];
  const theirs = (from: string) => (folder: string) => ['cp', '-a', `${from}/.`, folder];
  // The first copy off the volume is what is copied onto it.
  const copied = join(beside, 'ours-0');
  return [
    {
      what: 'copy off a slow volume',
      bound: 0.12,
      peer: 'cp -a',
      ours: (round) => to(join(beside, `ours-${round}`), ours(path)),
      theirs: (round) => to(join(beside, `theirs-${round}`), theirs(path)),
    },
    {
      what: 'copy onto a slow volume',
      bound: 0.12,
      peer: 'cp -a',
      ours: (round) => to(join(path, `ours-${round}`), ours(copied)),
      theirs: (round) => to(join(path, `theirs-${round}`), theirs(copied)),
    },
    {
      what: 'copy onto a slow volume, again',
      bound: 0.12,
      peer: 'cp -a',
      ours: () => to(join(path, 'ours-0'), ours(copied)),
      theirs: () => to(join(path, 'theirs-1'), theirs(copied)),
    },
  ];
}

/** The tree as an archive on a disk, unpacked onto the volume, each time into a new folder. */
function unpack({ path, behind }: SlowVolume): readonly Comparison[] {
  const archive = join(behind, '..', 'tree.tar.gz');
  // Of `maker`, and nothing that another part has left there.
  const folders = readdirSync(behind).filter((folder) => /^d\d+$/.test(folder));
  execFileSync('tar', ['-C', behind, '-czf', archive, '--', ...folders]);
  const ours = (folder: string) => [
    ...programCommand(),
    'fetch-config',
    `file:${archive}`,
    '--unpack',
    '--to',
    folder,
  ];
  const theirs = (folder: string) => ['tar', '-C', folder, '-xzf', archive];
  return [
    {
      what: 'unpack onto a slow volume',
      bound: 0.2,
      peer: 'tar x',
      ours: (round) => to(join(path, `unpacked-ours-${round}`), ours),
      theirs: (round) => to(join(path, `unpacked-theirs-${round}`), theirs),
    },
  ];
}

async function compared({ what, ours, theirs }: Comparison, rounds: number): Promise<(string | number)[]> {
  // What is right already must be so at the first time.
  const usages = await usageOf([
    ours(0),
    ...Array.from({ length: rounds }, (_, round) => [ours(round + 1), theirs(round + 1)]).flat(),
  ]);
  if (usages.some(({ status }) => status !== 0)) throw new Error(`${what} failed`);
  const walls = usages.slice(1).map(({ wall }) => wall);
  const [mine, others] = [0, 1].map((of) => walls.filter((_, index) => index % 2 === of)) as [
    number[],
    number[],
  ];
  const ratio = median(mine.map((wall, index) => wall / (others[index] ?? Number.NaN)));
  return [what, median(mine), median(others), ratio];
}

/** In a control group of 96 MiB, the kernel's own memory for files included. */
async function limited({ path }: SlowVolume, runs: number, report: Report): Promise<void> {
  using group = limitMemory(limit << 20);
  if (group === undefined)
    return report.skip('no control group can be made here: the memory limit was not tried');
  const commands = Array.from({ length: runs }, (_, index) => [
    ...group.prefix,
    ...programCommand(),
    'chown',
    `${4000 + index}:4000`,
    path,
  ]);
  const ended = (await usageOf(commands)).filter(({ status }) => status === 0).length;
  report.table(
    [`with at most ${limit} MiB`, 'runs', 'ended well', 'most in use, MiB'],
    [['chown on a slow volume', runs, ended, group.peak() / (1 << 20)]],
  );
  if (ended < runs) throw new Error(`${runs - ended} of ${runs} runs did not end well within ${limit} MiB`);
}

/** Small files in folders of 100. */
const maker = `
import os, sys
top, n = sys.argv[1], int(sys.argv[2])
for i in range(n // 100):
    p = f"{top}/d{i:05d}"; os.mkdir(p)
    for j in range(100):
        with open(f"{p}/file-{j:05d}", "wb") as f: f.write(b"initbox " * (20 + i * j % 300))
`;
