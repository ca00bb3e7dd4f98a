import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

import type { Benchmark } from './benchmark.ts';
import { plotFiles } from './plot.ts';
import { figureText, partText, reached, subject, withUnit, type Figure, type Part } from './report.ts';
import { table } from './statistics.ts';

/** What one benchmark found, as it is kept in docs/benchmarks/: the page is made from these files alone. */
interface Result {
  readonly name: string;
  readonly description: string;
  readonly machine: string;
  readonly date: string;
  readonly parts: readonly Part[];
}

const docs = join(import.meta.dirname, '..', '..', 'docs');
const kept = join(docs, 'benchmarks');

/** Keeps what a benchmark found, with its plots, and makes docs/benchmarks.md anew. */
export async function writeResult(
  { name, description }: Benchmark,
  parts: readonly Part[],
  order: readonly string[],
): Promise<void> {
  mkdirSync(kept, { recursive: true });
  const result: Result = {
    name,
    description,
    machine: machine(),
    date: new Date().toISOString().slice(0, 10),
    parts,
  };
  writeFileSync(join(kept, `${name}.json`), `${JSON.stringify(result, null, 1)}\n`);
  await plotFiles(
    parts.flatMap((part) => (part.kind === 'plot' ? [part.plot] : [])),
    (index) => join(kept, plotName(name, index)),
  );
  const results = globSync('*.json', { cwd: kept }).map(
    (file) => JSON.parse(readFileSync(join(kept, file), 'utf8')) as Result,
  );
  const place = (of: Result): number => order.indexOf(of.name);
  writeFileSync(join(docs, 'benchmarks.md'), page(results.toSorted((a, b) => place(a) - place(b))));
}

function page(results: readonly Result[]): string {
  const figures = results.flatMap((result) => figuresOf(result).map((figure) => ({ figure, result })));
  const bounded = figures.filter(({ figure }) => figure.bound !== undefined);
  const lost = figures.filter(
    ({ figure }) => figure.peer !== undefined && figure.unit === '×' && figure.measured > 1,
  );
  return `# Benchmarks

Each figure was measured beside what it is held against, in one run and in turn, so that noise affects both. \`npm run bench\` measures all of it again and rewrites this page; \`npm run bench -- lag\` prints one comparison, and \`--write\` puts it here too. A ratio is initbox to the other: below 1 initbox is quicker, or takes less.

## What was promised

${table(
  ['figure', 'measured', 'in'],
  bounded.map(({ figure, result }) => [subject(figure), figureText(figure), link(result)]),
)}

${missed(bounded.map(({ figure }) => figure))}

## Where the other is better

${lost.length === 0 ? 'In none of the comparisons below.' : lost.map(lostLine).join('\n')}

${results.map(section).join('\n')}`;
}

function lostLine({ figure, result }: { figure: Figure; result: Result }): string {
  return `- ${figure.what}: ${figure.peer} is better, ${withUnit(figure.measured, figure.unit)} (${link(result)})`;
}

function link({ name }: Result): string {
  return `[${name}](#${name})`;
}

function missed(figures: readonly Figure[]): string {
  const count = figures.filter((figure) => !reached(figure)).length;
  return count === 0 ? `All ${figures.length} are reached.` : `${count} of ${figures.length} are missed.`;
}

function figuresOf({ parts }: Result): Figure[] {
  return parts.flatMap((part) => (part.kind === 'figure' ? [part.figure] : []));
}

function section({ name, description, machine: where, date, parts }: Result): string {
  let plots = 0;
  const texts = parts.map((part) =>
    part.kind === 'plot' ? `![${part.plot.title}](benchmarks/${plotName(name, plots++)})` : partText(part),
  );
  return `## ${name}\n\n${description}. Measured on ${date}: ${where}.\n\n${texts.join('\n\n')}\n`;
}

function plotName(name: string, index: number): string {
  return `${name}${index === 0 ? '' : `-${index + 1}`}.svg`;
}

function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.versions.node}`;
}
