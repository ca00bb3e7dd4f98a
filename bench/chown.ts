import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { programCommand } from '../test/support/program.ts';
import { findInPath, nodePath } from '../test/support/tools.ts';
import { quote, undoAtDeath } from '../test/support/undo.ts';
import { numberFlag, textFlag } from './support/benchmark.ts';
import type { Figure, Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, type Usage, usageOf } from './support/usage.ts';

export const name = 'chown';
export const description = 'chown of large trees in memory, against GNU chown -R and busybox chown -R';

// For parts of it alone: --part=speed --shape=one, --part=trusted, --part=memory.

/** What was promised, as a ratio to each tool. */
const bounds: Readonly<Record<'first' | 'again', Readonly<Record<string, number>>>> = {
  first: { GNU: 1.2, busybox: 0.9 },
  again: { GNU: 0.85 },
};

interface Tool {
  readonly name: string;
  readonly command: (owner: string, path: string) => readonly string[];
}

const initbox: Tool = {
  name: 'initbox',
  command: (owner, path) => [...programCommand(), 'chown', owner, path],
};
const gnu: Tool = { name: 'GNU', command: (owner, path) => ['chown', '-R', owner, path] };
const busybox: Tool = { name: 'busybox', command: (owner, path) => ['busybox', 'chown', '-R', owner, path] };

/** Python makes 200,000 files in two seconds; each shape gets the folder and the number of entries. */
const shapes: Readonly<Record<string, string>> = {
  '2,000 folders': `
for i in range(n // 100):
    p = f"{top}/d{i:05d}"; os.mkdir(p)
    for j in range(100): touch(f"{p}/file-{j:05d}")`,
  'one directory': `
for j in range(n): touch(f"{top}/file-{j:07d}")`,
  '50 levels': `
for i in range(n // 2000):
    p = f"{top}/d{i:05d}"
    for k in range(50):
        os.mkdir(p)
        for j in range(40): touch(f"{p}/file-{j:05d}")
        p += "/d"`,
  '5,000 levels': `
os.chdir(top)
for i in range(5000):
    for j in range(n // 5000): touch(f"file-{j:05d}")
    os.mkdir("d"); os.chdir("d")`,
  'ten hard links each': `
for i in range(n // 100):
    p = f"{top}/d{i:05d}"; os.mkdir(p)
    for j in range(10): touch(f"{p}/file-{j:05d}-0")
    for j in range(10):
        for k in range(1, 10): os.link(f"{p}/file-{j:05d}-0", f"{p}/file-{j:05d}-{k}")`,
};

export async function run(flags: readonly string[], report: Report): Promise<void> {
  if (process.getuid?.() !== 0) return report.skip('changing owners needs root');
  const base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'initbox-bench-chown-'));
  undoAtDeath(`rm -rf ${quote(base)}`);
  try {
    const only = textFlag(flags, 'part');
    for (const [part, measure] of Object.entries({ speed, trusted, memory }))
      if (only === undefined || only === part) await measure(base, flags, report);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

async function speed(base: string, flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 7);
  const entries = numberFlag(flags, 'entries', 200_000);
  const rows: (string | number)[][] = [];
  const figures: Figure[] = [];
  const wanted = textFlag(flags, 'shape') ?? '';
  for (const [shape, script] of Object.entries(shapes).filter(([each]) => each.includes(wanted))) {
    const top = await tree(base, script, entries);
    // busybox names every entry by its whole path, which fails beyond 4,096 bytes.
    const able = shape === '5,000 levels' || findInPath('busybox') === undefined ? [] : [busybox];
    const { first, again } = await measured([initbox, gnu, ...able], top, rounds);
    for (const [what, times] of [
      ['first', first],
      ['again', again],
    ] as const) {
      const against = (other: Tool) => {
        const theirs = times.get(other);
        if (theirs === undefined) return '-';
        return median((times.get(initbox) ?? []).map((time, round) => time / (theirs[round] ?? Number.NaN)));
      };
      const milliseconds = [initbox, gnu, busybox].map((tool) => {
        const own = times.get(tool);
        return own === undefined ? '-' : median(own);
      });
      rows.push([`${shape}, ${what}`, ...milliseconds, against(gnu), against(busybox)]);
      for (const tool of [gnu, ...able]) {
        const bound = bounds[what][tool.name];
        figures.push({
          what: `chown, ${shape}, ${what === 'first' ? 'all to change' : 'all right already'}`,
          measured: Number(against(tool)),
          unit: '×',
          peer: `${tool.name} chown -R`,
          ...(bound === undefined ? {} : { bound }),
        });
      }
    }
    rmSync(top, { recursive: true });
  }
  report.table(
    [`${entries} entries`, 'initbox ms', 'GNU ms', 'busybox ms', 'to GNU, median', 'to busybox, median'],
    rows,
  );
  report.say(`Wall time, ${rounds} rounds, tools in turn.`);
  for (const figure of figures) report.figure(figure);
  report.plot({
    title: `chown of ${entries} entries`,
    kind: 'bars',
    unit: 'ms',
    groups: rows.map(([label]) => String(label)),
    series: [initbox, gnu, busybox].map(({ name: tool }, index) => ({
      name: tool,
      values: rows.map((row) => (typeof row[index + 1] === 'number' ? Number(row[index + 1]) : null)),
    })),
  });
}

/** Each round: every tool gives the tree an owner of its own, then the same once more. The first round is not counted. */
async function measured(tools: readonly Tool[], top: string, rounds: number) {
  let owner = 1000;
  const commands: (readonly string[])[] = [];
  for (let round = 0; round <= rounds; round++) {
    for (const tool of tools) {
      owner++;
      commands.push(tool.command(`${owner}:${owner}`, top), tool.command(`${owner}:${owner}`, top));
    }
  }
  const usages = await usageOf(commands);
  const failed = usages.findIndex(({ status }) => status !== 0);
  if (failed >= 0) throw new Error(`${commands[failed]?.join(' ')} failed`);
  const counted = usages.slice(2 * tools.length);
  const of = (tool: number, second: number): number[] =>
    counted.filter((_, index) => index % (2 * tools.length) === 2 * tool + second).map(({ wall }) => wall);
  return {
    first: new Map(tools.map((tool, index) => [tool, of(index, 0)])),
    again: new Map(tools.map((tool, index) => [tool, of(index, 1)])),
  };
}

async function trusted(base: string, flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'starts', 30);
  const large = await tree(base, shapes['2,000 folders'] ?? '', numberFlag(flags, 'entries', 200_000));
  const trusting = (path: string) => [...initbox.command('1000:1000', path), '--policy', 'root-mismatch'];
  await usageOf([trusting(large)]);
  const bare = [...programCommand(), '--version'];
  const node = [nodePath(), join(import.meta.dirname, 'support', 'one-write.mjs')];
  const rows: (string | number)[][] = [];
  let over = Number.NaN;
  for (const [what, command] of [
    ['initbox --version', bare],
    ['Node, one write', node],
  ] as const) {
    const { a, b } = await inPairs(trusting(large), command, rounds);
    const more = a.map(({ wall }, index) => wall - (b[index]?.wall ?? Number.NaN));
    rows.push([what, median(a.map(wallOf)), median(b.map(wallOf)), median(more).toFixed(1)]);
    if (command === bare) over = median(more);
  }
  rmSync(large, { recursive: true });
  report.say(`\`--policy root-mismatch\` on that tree, its top right; ${rounds} pairs each:`);
  report.table(['against the start of', 'initbox ms', 'bare start ms', 'more, ms, median of pairs'], rows);
  report.figure({
    what: 'root-mismatch, more than the program’s bare start',
    measured: over,
    unit: 'ms',
    bound: 5,
  });
}

async function memory(base: string, flags: readonly string[], report: Report): Promise<void> {
  const million = numberFlag(flags, 'million', 1_000_000);
  const rounds = numberFlag(flags, 'memory-rounds', 5);
  const [large, empty] = [await tree(base, shapes['one directory'] ?? '', million), await tree(base, '', 0)];
  const peaks = { large: [] as Peak[], empty: [] as Peak[] };
  for (let round = 0; round < rounds; round++) {
    const owner = `${2000 + round}:${2000 + round}`;
    peaks.large.push(await peakOf(initbox.command(owner, large)));
    peaks.empty.push(await peakOf(initbox.command(owner, empty)));
  }
  const row = (what: string, found: readonly Peak[]) => [
    what,
    median(found.map(({ largest }) => largest / 1024)),
    median(found.map(({ together }) => together / 1024)),
  ];
  const ratio = (key: keyof Peak) =>
    median(peaks.large.map((peak) => peak[key])) / median(peaks.empty.map((peak) => peak[key]));
  report.table(
    ['one directory of', 'largest process, MiB', 'all processes, shared pages once, MiB'],
    [
      row(`${million} entries`, peaks.large),
      row('none', peaks.empty),
      ['ratio', ratio('largest'), ratio('together')],
    ],
  );
  report.say('The second column has the helper’s memory in it.');
  report.figure({
    what: `memory of the process on ${million} entries in one directory, against an empty one`,
    measured: ratio('largest'),
    unit: '×',
    bound: 1.5,
  });
}

function wallOf({ wall }: Usage): number {
  return wall;
}

async function tree(base: string, script: string, entries: number): Promise<string> {
  const top = join(base, 'tree', String(Math.random()).slice(2));
  mkdirSync(top, { recursive: true });
  const source = `
import os, sys
top, n = sys.argv[1], int(sys.argv[2])
def touch(path): os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
${script}`;
  await promisify(execFile)('python3', ['-c', source, top, String(entries)]);
  return top;
}

/** KiB. */
interface Peak {
  /** Resident memory of the process that had most. */
  readonly largest: number;
  /** Sampled: own pages of the process and its helpers, and the pages of files, which they share, once. */
  readonly together: number;
}

const sampler = `
import json, os, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
def family(pid):
    found = [pid]
    try:
        for kid in open(f"/proc/{pid}/task/{pid}/children").read().split(): found += family(int(kid))
    except OSError: pass
    return found
def field(path, name):
    try:
        for line in open(path):
            if line.startswith(name): return int(line.split()[1])
    except OSError: pass
    return 0
together = 0
while True:
    pid, status, usage = os.wait4(child.pid, os.WNOHANG)
    if pid: break
    pids = family(child.pid)
    anonymous = sum(field(f"/proc/{p}/status", "RssAnon:") for p in pids)
    shared = max(field(f"/proc/{p}/status", "RssFile:") for p in pids)
    together = max(together, anonymous + shared)
    time.sleep(0.002)
child.returncode = 0
json.dump({"largest": usage.ru_maxrss, "together": together}, sys.stdout)
sys.exit(os.waitstatus_to_exitcode(status))
`;

async function peakOf(command: readonly string[]): Promise<Peak> {
  return JSON.parse((await promisify(execFile)('python3', ['-c', sampler, ...command])).stdout) as Peak;
}
