import { execFileSync } from 'node:child_process';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { nodePath, projectDirectory } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

test('npm pack holds the whole program, and its bin runs from there', () => {
  const folder = temporaryDirectory('pack').path;
  // Without scripts: they would build dist/ under the feet of the other tests.
  const packed = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: projectDirectory,
      encoding: 'utf8',
    }),
  ) as [{ filename: string; files: { path: string }[] }];
  const built = readdirSync(join(projectDirectory, 'dist'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(projectDirectory.length + 1));
  const paths = packed[0].files.map(({ path }) => path);
  expect(paths.toSorted()).toEqual([...built, 'README.md', 'package.json'].toSorted());
  execFileSync('tar', ['-xzf', join(folder, packed[0].filename), '-C', folder]);
  const run = (...args: string[]) =>
    execFileSync(nodePath(), [join(folder, 'package/dist/initbox.js'), ...args], { encoding: 'utf8' });
  expect(run('--version')).toMatch(/^initbox \d+\.\d+\.\d+\n$/);
  expect(run('help', 'install')).toContain('initbox install /shared');
});

test('the files that the entry reads as Latin-1 are ASCII, also in regular expressions', () => {
  const dist = join(projectDirectory, 'dist');
  for (const file of globSync(['program.js', 'commands/*.js'], { cwd: dist }))
    expect(readFileSync(join(dist, file), 'latin1').match(/[^\0-\x7f]+/g), file).toBeNull();
});
