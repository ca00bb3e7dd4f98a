/** `npm run bench` runs every comparison; `npm run bench -- lag start` those that are named. */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import type { Benchmark } from './support/benchmark.ts';

const folder = import.meta.dirname;
const all = await Promise.all(
  globSync('*.ts', { cwd: folder })
    .filter((file) => file !== 'main.ts')
    .toSorted()
    .map(async (file) => (await import(join(folder, file))) as Benchmark),
);
const wanted = argv.slice(2).filter((word) => !word.startsWith('-'));
const flags = argv.slice(2).filter((word) => word.startsWith('-'));
const unknown = wanted.filter((word) => !all.some(({ name }) => name === word));
if (unknown.length > 0) {
  throw new Error(
    `no benchmark is named ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`,
  );
}

for (const { name, description, run } of all) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n## ${name}: ${description}\n`);
  await run(flags);
}
