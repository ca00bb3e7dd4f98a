import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { pages, root } from './pages.ts';

const page = pages.find(({ path }) => path === 'docs/architecture.md');

test('every file that the page on the architecture names is there', () => {
  const named = [...(page?.text ?? '').matchAll(/`((?:src|test|scripts)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  );
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test('a target passes through eleven files at most', () => {
  const walk = /^## A target: [\s\S]*?(?=^## )/m.exec(page?.text ?? '')?.[0] ?? '';
  const steps = walk.match(/^\d+\. .*$/gm) ?? [];
  expect(steps.length).toBeGreaterThan(5);
  expect(new Set(walk.match(/`src\/[\w./-]+\.ts`/g)).size).toBeLessThanOrEqual(11);
});
