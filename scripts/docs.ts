/**
 * Fills what is generated in README.md and docs/: options and exit statuses, between a line
 * `<!-- generated: options wait-tcp -->` and a line `<!-- end -->`. With --check it writes nothing and fails where a
 * page is not up to date.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';

import { fillPage } from './docs-pages.ts';

const root = join(import.meta.dirname, '..');
const stale: string[] = [];
for (const page of ['README.md', ...globSync('docs/**/*.md', { cwd: root })]) {
  const path = join(root, page);
  const before = readFileSync(path, 'utf8');
  const after = await fillPage(before);
  if (before === after) continue;
  stale.push(page);
  if (!argv.includes('--check')) writeFileSync(path, after);
}
if (argv.includes('--check') && stale.length > 0) {
  throw new Error(`not up to date: ${stale.join(', ')}; npm run docs writes them`);
}
