import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startGitServer, type GitFile, type GitRepository } from '../test/support/git-server.ts';
import { programCommand } from '../test/support/program.ts';
import { findInPath } from '../test/support/tools.ts';
import { quote, undoAtDeath } from '../test/support/undo.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, type Usage } from './support/usage.ts';

export const name = 'git';
export const description = 'a commit of a Git repository as a folder, against git clone --depth 1';

/** Text of so many bytes, other in each file, that compresses as source code does. */
function textOf(seed: number, size: number): string {
  let state = seed + 1;
  const words: string[] = [];
  for (let length = 0; length < size;) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const word = (state % 4000).toString(36);
    words.push(word);
    length += word.length + 1;
  }
  return words.join(' ');
}

/** A history of ten commits, of which the newest is fetched. */
function fill(repository: GitRepository, count: number, size: number): void {
  const files: Record<string, GitFile> = {};
  for (let index = 0; index < count; index++)
    files[`folder-${index % 20}/part-${index % 7}/file-${index}.txt`] = textOf(
      index,
      size * (1 + (index % 3)),
    );
  for (let commit = 0; commit < 10; commit++) {
    files['changing.txt'] = textOf(commit, size);
    repository.commit(commit < 9 ? { 'changing.txt': files['changing.txt'] } : files);
  }
  repository.git('repack', '-a', '-d', '-q');
}

export async function run(flags: readonly string[], report: Report): Promise<void> {
  if (findInPath('git') === undefined) return report.skip('there is no git');
  const rounds = numberFlag(flags, 'rounds', 7);
  const base = mkdtempSync(join(tmpdir(), 'initbox-bench-git-'));
  undoAtDeath(`rm -rf ${quote(base)}`);
  await using server = await startGitServer();
  try {
    const [ours, theirs] = [join(base, 'ours'), join(base, 'theirs')];
    const words = (url: string): string =>
      [...programCommand(), 'fetch-config', `git+${url}`, '--to', ours].map(quote).join(' ');
    const clone = (url: string): string => `git clone -q --depth 1 ${quote(url)} ${quote(theirs)}`;
    const shell = (script: string): string[] => ['sh', '-c', script];
    const rows: (string | number)[][] = [];
    const ratios = new Map<string, number>();
    const compare = async (what: string, initbox: string, git: string, said: string): Promise<void> => {
      const { a, b } = await inPairs(shell(initbox), shell(git), rounds);
      if ([...a, ...b].some(({ status }) => status !== 0)) throw new Error(`${what}: one of them failed`);
      const row = (usages: readonly Usage[]): number[] => [
        median(usages.map(({ wall }) => wall)),
        median(usages.map(({ cpu }) => cpu)),
        median(usages.map(({ memory }) => memory / 1024)),
      ];
      rows.push([what, 'initbox fetch-config', ...row(a)], [what, said, ...row(b)]);
      ratios.set(what, median(a.map(({ wall }, index) => wall / (b[index]?.wall ?? Number.NaN))));
    };
    for (const [size, count, bytes] of [
      ['20 files, 100 KiB', 20, 2500],
      ['3,000 files, 24 MiB', 3000, 4000],
    ] as const) {
      const repository = `${count}.git`;
      fill(server.repository(repository), count, bytes);
      const url = `${server.url}/${repository}`;
      await compare(
        size,
        `rm -rf ${quote(ours)}; mkdir ${quote(ours)}; exec ${words(url)}`,
        `rm -rf ${quote(theirs)}; exec ${clone(url)}`,
        'git clone --depth 1',
      );
      await compare(
        `${size}, again`,
        `exec ${words(url)}`,
        `cd ${quote(theirs)} && exec git pull -q --depth 1`,
        'git pull --depth 1',
      );
    }
    report.say(
      'From `git http-backend` on this machine, onto its disk. Memory is that of the largest process; what the server takes is in neither.',
    );
    report.table(['what', 'by', 'wall ms', 'CPU ms', 'memory MiB'], rows);
    report.figure({
      what: '3,000 files of a repository, wall time',
      measured: ratios.get('3,000 files, 24 MiB') ?? Number.NaN,
      unit: '×',
      bound: 2,
      peer: 'git clone --depth 1',
    });
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
