import { describe, expect, test } from 'vitest';

import { fillPage } from '../../../scripts/docs-pages.ts';
import { commands } from '../../../src/commands/index.ts';
import { pageAt, pages, tablesOf } from './pages.ts';

test.each(pages.map((page) => [page.path, page] as const))(
  '%s: what is generated is up to date (npm run docs)',
  async (_path, { text }) => expect(await fillPage(text)).toBe(text),
);

test('README lists every command with its page, and can be read in five minutes', () => {
  const { text } = pageAt('README.md');
  for (const name of Object.keys(commands)) {
    expect(text).toMatch(new RegExp(String.raw`^\| \`${name}\` \|.*\(docs/${name}\.md\)`, 'm'));
  }
  expect(text.length).toBeLessThan(14_000);
});

describe.each(Object.keys(commands))('the page of %s', (name) => {
  const page = pageAt(`docs/${name}.md`);

  test('has its options, and what its messages mean', () => {
    expect(page.text).toContain(`<!-- generated: options ${name} -->`);
    expect(tablesOf(page).map(({ head }) => head[0])).toContain('it says');
  });

  test('has what it replaces, and a manifest, where a container can run it', async () => {
    if ((await commands[name]?.())?.afterDashes === 'nothing') return;
    expect(page.text).toMatch(/\breplaces\b/i);
    const manifests = page.blocks.filter(({ language }) => language === 'yaml');
    expect(manifests.some(({ text }) => /initContainers/.test(text) && text.includes(name))).toBe(true);
  });
});
