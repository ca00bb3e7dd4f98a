import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

import { expect, test } from 'vitest';

import { pages, root, type Page } from './pages.ts';

const links = pages.flatMap((page) =>
  [...page.prose.matchAll(/(?<!!)\[[^\]]*\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ page, target })),
);
const inside = links.filter(({ target }) => !/^https?:/.test(target));

/** The file and the heading that a link leads to, from the project's root. */
function resolve({ page, target }: { page: Page; target: string }): {
  path: string;
  anchor: string | undefined;
} {
  const [file = '', anchor] = target.split('#');
  return { path: file === '' ? page.path : normalize(join(dirname(page.path), file)), anchor };
}

/** As GitHub makes them of headings. */
function anchorsOf({ prose }: Page): string[] {
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('there are some', () => {
  expect(inside.length).toBeGreaterThan(40);
  expect(inside.filter(({ target }) => target.includes('#')).length).toBeGreaterThan(5);
});

test.each(inside.map((link) => [`${link.page.path}: ${link.target}`, link] as const))('%s', (_name, link) => {
  const { path, anchor } = resolve(link);
  expect(existsSync(join(root, path)), path).toBe(true);
  if (anchor === undefined) return;
  const page = pages.find((one) => one.path === path);
  expect(page && anchorsOf(page), path).toContain(anchor);
});

test('every page of docs can be reached from README, and from the index', () => {
  const docs = pages.map(({ path }) => path).filter((path) => path.startsWith('docs/'));
  const reached = new Set(['README.md']);
  for (const path of reached)
    for (const link of inside.filter(({ page }) => page.path === path)) reached.add(resolve(link).path);
  expect(docs.filter((path) => !reached.has(path))).toEqual([]);
  const indexed = inside
    .filter(({ page }) => page.path === 'docs/README.md')
    .map((link) => resolve(link).path);
  expect(docs.filter((path) => path !== 'docs/README.md' && !indexed.includes(path))).toEqual([]);
});
