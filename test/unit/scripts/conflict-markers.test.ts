import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { conflictMarkers } from '../../../scripts/conflict-markers.ts';
import { nodePath, projectDirectory } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const [ours, base, between, theirs] = ['<', '|', '=', '>'].map((sign) => sign.repeat(7));

describe('markers of a merge conflict', () => {
  test.each([
    ['a.ts', `${ours} HEAD\na\n${between}\nb\n${theirs} main\n`, [1, 3, 5]],
    ['a.md', `text\n${ours} HEAD\na\n${between}\nb\n${theirs} main\n`, [2, 4, 6]],
    ['a.ts', `a\r\n${ours} HEAD\r\n${base} base\r\n${between}\r\n${theirs}\r\n`, [2, 3, 4, 5]],
    ['left-over.ts', `a\n${between}\nb`, [2]],
    ['left-over.md', `a\n\n${between}\nb`, [3]],
    ['heading.md', `Heading\n${between}\ntext`, []],
    ['longer.md', `Heading\n${between}=\n${ours}<\n${theirs}>>`, []],
    ['within.ts', `const a = '${ours} HEAD';\n ${between}\n  ${theirs} main`, []],
  ])('%s', (name, text, lines) => {
    expect(conflictMarkers(name, text)).toEqual(lines);
  });

  test('the script fails where a file has one, new files too, and names its place', () => {
    const folder = temporaryDirectory('conflict').path;
    const script = join(projectDirectory, 'scripts/conflict-markers.ts');
    const check = () => spawnSync(nodePath(), [script, folder], { encoding: 'utf8' });
    execFileSync('git', ['init', '--quiet', folder]);
    writeFileSync(join(folder, '.gitignore'), 'ignored\n');
    writeFileSync(join(folder, 'ignored'), `${ours} HEAD\n`);
    expect(check()).toMatchObject({ status: 0, stderr: '' });
    writeFileSync(join(folder, 'page.md'), `a\n${theirs} main\n`);
    const { status, stderr } = check();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^page\.md:2: a marker of a merge conflict/);
  });

  test('is part of npm run check', () => {
    const { scripts } = JSON.parse(readFileSync(join(projectDirectory, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    expect(scripts['check']).toContain('npm run conflicts');
    expect(scripts['conflicts']).toBe('node scripts/conflict-markers.ts');
  });
});
