import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { programCommand } from '../test/support/program.ts';
import { quote, undoAtDeath } from '../test/support/undo.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { type Usage, usageOf } from './support/usage.ts';

export const name = 'files';
export const description = 'copying trees and unpacking archives, against cp -a and tar xzf';

/** The memory limit that everything must get by with, in MiB. */
const limit = 96;

/** Two commands that do the same, each to a folder of its own; `before` is not counted. */
interface Pair {
  readonly what: string;
  readonly bound: number;
  readonly peer: string;
  readonly before: (to: string) => readonly string[];
  readonly ours: (to: string) => readonly string[];
  readonly theirs: (to: string) => readonly string[];
}

/** `--only=` takes a part of a comparison's name. `--dir=` says where; on a disk the files themselves weigh more, in memory the program. */
export async function run(flags: readonly string[], report: Report): Promise<void> {
  const given = flags.find((flag) => flag.startsWith('--dir='))?.slice('--dir='.length);
  const base = mkdtempSync(join(given ?? tmpdir(), 'initbox-bench-files-'));
  undoAtDeath(`rm -rf ${quote(base)}`);
  try {
    const only = flags.find((flag) => flag.startsWith('--only='))?.slice('--only='.length) ?? '';
    const pairs = await prepare(base, flags, only);
    const rounds = numberFlag(flags, 'rounds', 5);
    report.say(`On a file system of type 0x${statfsSync(base).type.toString(16)}:`);
    const rows: (string | number)[][] = [];
    for (const pair of pairs) rows.push(await compared(pair, base, rounds));
    report.table(['what', 'initbox ms', 'the other ms', 'ratio, median of pairs', 'memory MiB'], rows);
    report.say(
      `Wall time, ${rounds} rounds, in turn; memory is the resident set of the largest process, with the pages of its executable.`,
    );
    for (const [index, { what, bound, peer }] of pairs.entries())
      report.figure({ what, measured: Number(rows[index]?.[3]), unit: '×', bound, peer });
    report.plot({
      title: 'Copying and unpacking',
      kind: 'bars',
      unit: 'ms',
      groups: pairs.map(({ what }) => what),
      series: [
        { name: 'initbox', values: rows.map((row) => Number(row[1])) },
        { name: 'cp -a, tar xzf', values: rows.map((row) => Number(row[2])) },
      ],
    });
    await limited(pairs, base, report);
  } finally {
    await promisify(execFile)('rm', ['-rf', base]);
  }
}

async function prepare(base: string, flags: readonly string[], only: string): Promise<Pair[]> {
  const files = numberFlag(flags, 'files', 100_000);
  const mebibytes = numberFlag(flags, 'large', 4096);
  const archive = numberFlag(flags, 'archive', 300);
  const [tree, large] = [join(base, 'tree'), join(base, 'large')];
  const packed = join(base, 'packed.tar.gz');
  const copy = (from: string) => (to: string) => [...programCommand(), 'copy', from, to];
  const cp = (from: string) => (to: string) => ['cp', '-a', `${from}/.`, to];
  const fresh = (to: string) => [
    'sh',
    '-c',
    `rm -rf ${quote(to)}; mkdir ${quote(to)}; sync -f ${quote(base)}`,
  ];
  const settled = () => ['sync', '-f', base];
  const unpacking: Pair = {
    what: `unpack ${archive} MB of tar.gz`,
    bound: 1.2,
    peer: 'tar xzf',
    before: fresh,
    ours: (to) => [...programCommand(), 'fetch-config', `file:${packed}`, '--unpack', '--to', to],
    theirs: (to) => ['tar', 'xzf', packed, '-C', to],
  };
  const all = [
    {
      what: `${files} small files`,
      bound: 1,
      peer: 'cp -a',
      before: fresh,
      ours: copy(tree),
      theirs: cp(tree),
    },
    {
      what: `${files} small files, again`,
      bound: 0.6,
      peer: 'cp -a',
      before: settled,
      ours: copy(tree),
      theirs: cp(tree),
    },
    {
      what: `one file of ${mebibytes} MiB`,
      bound: 1,
      peer: 'cp -a',
      before: fresh,
      ours: copy(large),
      theirs: cp(large),
    },
    {
      what: `one file of ${mebibytes} MiB, again`,
      bound: 0.6,
      peer: 'cp -a',
      before: settled,
      ours: copy(large),
      theirs: cp(large),
    },
    unpacking,
  ].filter(({ what }) => what.includes(only));
  if (all.length === 0) throw new Error(`nothing is compared whose name has ${only} in it`);
  // What is not compared need not be made.
  const made = (part: string, size: number) => String(all.some(({ what }) => what.includes(part)) ? size : 0);
  const sizes = [made('small', files), made('one file', mebibytes), made('unpack', archive)];
  await promisify(execFile)('python3', ['-c', maker, base, ...sizes]);
  return all;
}

async function compared(pair: Pair, base: string, rounds: number): Promise<(string | number)[]> {
  const [mine, yours] = [join(base, 'mine'), join(base, 'yours')];
  const ours: Usage[] = [];
  const theirs: Usage[] = [];
  for (let round = 0; round <= rounds; round++) {
    const usages = await usageOf([
      pair.before(mine),
      pair.ours(mine),
      pair.before(yours),
      pair.theirs(yours),
    ]);
    if (usages.some(({ status }) => status !== 0)) throw new Error(`${pair.what} failed`);
    // The first round warms both up.
    if (round === 0) continue;
    ours.push(usages[1] as Usage);
    theirs.push(usages[3] as Usage);
  }
  const ratios = ours.map(({ wall }, index) => wall / (theirs[index]?.wall ?? Number.NaN));
  return [
    pair.what,
    median(ours.map(({ wall }) => wall)),
    median(theirs.map(({ wall }) => wall)),
    median(ratios),
    Math.max(...ours.map(({ memory }) => memory)) / 1024,
  ];
}

/** Each once in a control group of 96 MiB, page cache and the kernel's own memory for files included. */
async function limited(pairs: readonly Pair[], base: string, report: Report): Promise<void> {
  const inMemory = statfsSync(base).type === 0x01021994;
  if (inMemory)
    return report.skip('what is written to memory counts as memory: the limit is tried on a disk only');
  const group = makeGroup();
  if (group === undefined)
    return report.skip('no control group can be made here: the memory limit was not tried');
  try {
    const rows: (string | number)[][] = [];
    for (const pair of pairs) {
      const to = join(base, 'mine');
      const inside = ['sh', '-c', `echo $$ > ${group}/cgroup.procs; exec "$@"`, 'sh', ...pair.ours(to)];
      const [, usage] = await usageOf([pair.before(to), inside]);
      rows.push([pair.what, usage?.status === 0 ? 'done' : `status ${usage?.status}`, usage?.wall ?? 0]);
    }
    report.table([`with at most ${limit} MiB`, 'ended', 'ms'], rows);
  } finally {
    rmdirSync(group);
  }
}

function makeGroup(): string | undefined {
  const [first, second] = ['/sys/fs/cgroup/memory', '/sys/fs/cgroup'];
  const bytes = String(limit << 20);
  try {
    const parent = existsSync(first) ? first : second;
    const group = join(parent, `initbox-bench-${process.pid}`);
    mkdirSync(group);
    writeFileSync(join(group, parent === first ? 'memory.limit_in_bytes' : 'memory.max'), bytes);
    return group;
  } catch {
    return undefined;
  }
}

/** Files of 100 to 4,000 bytes in folders of 100; one large file; an archive of files that compress by half. */
const maker = `
import os, random, sys, tarfile, io
base, files, large, archive = sys.argv[1], *map(int, sys.argv[2:])
random.seed(1)
noise = os.urandom(1 << 20)
for i in range(files // 100):
    p = f"{base}/tree/{i // 100}/d{i}"; os.makedirs(p)
    for j in range(100):
        at = random.randrange(1 << 19)
        with open(f"{p}/file-{j:03d}", "wb") as f: f.write(noise[at:at + random.randint(100, 4000)])
os.makedirs(f"{base}/large")
with open(f"{base}/large/file", "wb") as f:
    for i in range(large): f.write(noise)
words = [random.randbytes(6).hex().encode() for _ in range(5000)]
with tarfile.open(f"{base}/packed.tar.gz", "w:gz", compresslevel=1) as tar:
    n = 0
    while os.stat(f"{base}/packed.tar.gz").st_size < archive * 1000000:
        size = random.choice([2000, 20000, 200000])
        half = os.urandom(size // 3) + b" ".join(random.choices(words, k=size // 20))
        info = tarfile.TarInfo(f"app/d{n % 200}/file-{n}")
        info.size = len(half)
        tar.addfile(info, io.BytesIO(half)); n += 1
`;
