import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { programCommand } from '../test/support/program.ts';
import { findInPath } from '../test/support/tools.ts';
import { quote, undoAtDeath } from '../test/support/undo.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, usageOf } from './support/usage.ts';

export const name = 'render';
export const description =
  '200 templates in one call, against envsubst once for each; a block in a file, and a pod’s ordinal, against sed';

const variables = 20;

export async function run(flags: readonly string[], report: Report): Promise<void> {
  if (findInPath('envsubst') === undefined) return report.skip('there is no envsubst (gettext-base)');
  if (existsSync('/dev/shm')) await compare('in memory', '/dev/shm', flags, report);
  // Publishing makes two names for each file, of which one is a link: on a disk that is the larger part of the time.
  await compare('on disk', tmpdir(), flags, report);
  await compareWithSed(flags, report);
}

/** What scripts do by sed, each once. */
async function compareWithSed(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 7) * 3;
  const base = mkdtempSync(join(tmpdir(), 'initbox-bench-sed-'));
  undoAtDeath(`rm -rf ${quote(base)}`);
  try {
    writeFileSync(join(base, 'block'), 'peers=10.0.0.1,10.0.0.2\n');
    writeFileSync(join(base, 'other'), 'peers=10.0.0.3\n');
    writeFileSync(join(base, 'properties'), 'broker.id=@ID@\n');
    for (const file of ['ours', 'theirs'])
      writeFileSync(join(base, file), 'key=value\n'.repeat(200) + '# BEGIN initbox b\n# END initbox b\n');
    const own = programCommand().map(quote).join(' ');
    const shell = (script: string): string[] => ['sh', '-ec', `cd ${quote(base)}; ${script}`];
    const markers = '/^# BEGIN initbox b/,/^# END initbox b/';
    const into = (text: string): readonly [string[], string[]] => [
      shell(`exec ${own} render ${text} --to ours --block b`),
      shell(`sed -i -e '${markers}{//!d}' -e '/^# BEGIN initbox b/r ${text}' theirs`),
    ];
    const ordinal: readonly [string[], string[]] = [
      shell(
        `HOSTNAME=kafka-4 exec ${own} render properties --to ours-id --delimiters '@ @' --data 'ID=ordinal:HOSTNAME?plus=1'`,
      ),
      shell('HOSTNAME=kafka-4; ORD=${HOSTNAME##*-}; sed "s/@ID@/$((ORD+1))/" properties > theirs-id'),
    ];
    const rows = [];
    for (const [what, [ours, theirs]] of [
      ['a block that is right already', into('block')],
      ['the ordinal into a template', ordinal],
    ] as const)
      rows.push([what, await inPairs(ours, theirs, rounds)] as const);
    // Each round writes what the one before has changed.
    const changed = await inPairs(
      shell(`${own} render other --to ours --block b; exec ${own} render block --to ours --block b`),
      shell(
        ['other', 'block']
          .map((text) => `sed -i -e '${markers}{//!d}' -e '/^# BEGIN initbox b/r ${text}' theirs`)
          .join('; '),
      ),
      rounds,
    );
    rows.push(['a block that changes, twice', changed] as const);
    if (rows.some(([, { a, b }]) => [...a, ...b].some(({ status }) => status !== 0)))
      throw new Error('one of them failed');
    for (const suffix of ['', '-id'])
      if (
        readFileSync(join(base, `ours${suffix}`), 'utf8') !==
        readFileSync(join(base, `theirs${suffix}`), 'utf8')
      )
        throw new Error('they made different files');
    report.table(
      ['against sed', 'wall ms', 'its wall ms', 'CPU ms', 'its CPU ms'],
      rows.map(([what, { a, b }]) => [
        what,
        median(a.map(({ wall: time }) => time)),
        median(b.map(({ wall: time }) => time)),
        median(a.map(({ cpu }) => cpu)),
        median(b.map(({ cpu }) => cpu)),
      ]),
    );
    report.say(`${rounds} pairs each. What initbox takes beyond sed is the start of Node.`);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

async function compare(
  where: string,
  parent: string,
  flags: readonly string[],
  report: Report,
): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 7);
  const templates = numberFlag(flags, 'templates', 200);
  const base = mkdtempSync(join(parent, 'initbox-bench-render-'));
  undoAtDeath(`rm -rf ${quote(base)}`);
  try {
    for (const folder of ['templates', 'liquid', 'ours', 'theirs', 'ours-liquid'])
      mkdirSync(join(base, folder));
    for (let index = 0; index < templates; index++) {
      const lines = Array.from(
        { length: 50 },
        (_, line) => `key_${line} = \${BENCH_${line % variables}} # ${index}\n`,
      );
      writeFileSync(join(base, 'templates', `t${index}`), lines.join(''));
      const liquid = lines.map((line) => line.replace(/\$\{(\w+)\}/, '{{ env.$1 }}'));
      writeFileSync(join(base, 'liquid', `t${index}`), liquid.join(''));
    }
    const values = Array.from({ length: variables }, (_, index) => `BENCH_${index}=value number ${index}`);
    const env = ['env', ...values];
    // A file that is the same is left alone, so that each round begins with none, for both.
    const fresh = (folder: string): string => `rm -rf ${quote(folder)}; mkdir ${quote(folder)}`;
    const own = (from: string, to: string, more = ''): string[] => [
      ...env,
      'sh',
      '-c',
      `${fresh(join(base, to))}; exec ${programCommand().map(quote).join(' ')} render ${quote(join(base, from))} --to ${quote(join(base, to))} ${more}`,
    ];
    const ours = own('templates', 'ours');
    const theirs = [
      ...env,
      'sh',
      '-c',
      `${fresh(join(base, 'theirs'))}; for t in ${quote(join(base, 'templates'))}/*; do envsubst < "$t" > ${quote(join(base, 'theirs'))}/"\${t##*/}" || exit 1; done`,
    ];
    const { a, b } = await inPairs(ours, theirs, rounds);
    const liquid = await usageOf(
      Array.from({ length: rounds }, () => own('liquid', 'ours-liquid', '--language liquid')),
    );
    if ([...a, ...b, ...liquid].some(({ status }) => status !== 0)) throw new Error('one of them failed');
    for (let index = 0; index < templates; index++) {
      const made = ['ours', 'theirs', 'ours-liquid'].map((folder) =>
        readFileSync(join(base, folder, `t${index}`), 'utf8'),
      );
      if (new Set(made).size !== 1) throw new Error(`template ${index} differs`);
    }
    const wall = median(a.map((usage, index) => usage.wall / (b[index]?.wall ?? Number.NaN)));
    const row = (what: string, usages: typeof a) => [
      what,
      median(usages.map((usage) => usage.wall)),
      median(usages.map((usage) => usage.cpu)),
      median(usages.map((usage) => usage.memory / 1024)),
    ];
    report.table(
      [`${templates} templates ${where}`, 'wall ms', 'CPU ms', 'largest process, MiB'],
      [row('initbox render', a), row('initbox render, liquid', liquid), row('envsubst, one by one', b)],
    );
    report.say(`Median of ${rounds} ratios, pair by pair:`);
    const what = `${templates} templates in one call ${where}, wall time`;
    report.figure({ what, measured: wall, unit: '×', bound: 0.3, peer: `${templates} × envsubst` });
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
