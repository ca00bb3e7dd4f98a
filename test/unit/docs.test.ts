import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fillPage } from '../../scripts/docs-pages.ts';
import { allOptions } from '../../src/kernel/options/all.ts';
import { commands } from '../../src/commands/index.ts';
import { flagName } from '../../src/kernel/options/option.ts';

const root = join(import.meta.dirname, '../..');
const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: root })];

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(root, page), 'utf8');

  test('what is generated is up to date (npm run docs)', async () => expect(await fillPage(text)).toBe(text));

  test('every initbox command line uses a known command and known flags', async () => {
    const lines = [...text.matchAll(/^(?:\$ )?(?:\/initbox\/)?initbox ([a-z-]+)((?: .*)?)$/gm)];
    for (const [line, name = '', rest = ''] of lines) {
      if (name === 'help') continue;
      const load = commands[name];
      expect(load, line).toBeDefined();
      const flags = new Set(
        Object.entries(allOptions(await load!())).map(([key, option]) => flagName(key, option)),
      );
      const own = rest.replace(/\s#.*$/, '').split(/ -- /)[0] ?? '';
      for (const [, flag = ''] of own.matchAll(/ --([a-z][a-z0-9-]*)/g))
        expect(flags, `${line}: --${flag}`).toContain(flag);
    }
  });
});

test('README shows every command', async () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  for (const name of Object.keys(commands)) expect(text).toContain(`<!-- generated: options ${name} -->`);
});
