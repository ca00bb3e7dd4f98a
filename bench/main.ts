/**
 * `npm run bench` runs every comparison and rewrites docs/benchmarks.md; `npm run bench -- lag start` prints those that
 * are named, and with `--write` puts them into the page as well.
 */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';

import type { Benchmark } from './support/benchmark.ts';
import { writeResult } from './support/page.ts';
import { openReport } from './support/report.ts';

/** As the page shows them: what every pod meets first. Others follow by their names. */
const order = [
  'lag',
  'start',
  'wait',
  'wait-kubernetes',
  'lock',
  'fetch',
  's3',
  'download',
  'redaction',
  'chown',
  'create-database',
  'prepare',
  'sysctl',
  'run',
  'init-phase',
  'kubernetes',
  'files',
  'slow',
  'render',
];

const folder = import.meta.dirname;
const found = await Promise.all(
  globSync('*.ts', { cwd: folder })
    .filter((file) => file !== 'main.ts')
    .toSorted()
    .map(async (file) => (await import(join(folder, file))) as Benchmark),
);
const names = [...new Set([...order, ...found.map(({ name }) => name)])];
const all = found.toSorted((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
const wanted = argv.slice(2).filter((word) => !word.startsWith('-'));
const flags = argv.slice(2).filter((word) => word.startsWith('-'));
const unknown = wanted.filter((word) => !all.some(({ name }) => name === word));
if (unknown.length > 0) {
  throw new Error(
    `no benchmark is named ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`,
  );
}

for (const benchmark of all) {
  if (wanted.length > 0 && !wanted.includes(benchmark.name)) continue;
  console.log(`\n## ${benchmark.name}: ${benchmark.description}\n`);
  const report = openReport(console.log);
  await benchmark.run(flags, report);
  if (wanted.length === 0 || flags.includes('--write')) await writeResult(benchmark, report.parts, names);
}
