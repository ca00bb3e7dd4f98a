/**
 * Prints every text that users may read: messages, hints, help and descriptions, each with its place, one per line,
 * to be read in one sitting. `npm run texts` prints all of them, `npm run texts -- wait-tcp` those of the files whose path
 * holds that word.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';

import { textsOf } from './texts/texts-of.ts';

const root = join(import.meta.dirname, '..');
const wanted = argv.slice(2);
for (const file of globSync('src/**/*.ts', { cwd: root }).toSorted()) {
  if (wanted.length > 0 && !wanted.some((word) => file.includes(word))) continue;
  for (const { line, text } of textsOf(file, readFileSync(join(root, file), 'utf8'))) {
    console.log(`${file}:${line}: ${text}`);
  }
}
