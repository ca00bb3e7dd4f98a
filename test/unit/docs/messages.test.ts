import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { transformSync } from 'esbuild';
import { expect, test } from 'vitest';

import { codeIn, pages, root, tablesOf } from './pages.ts';

/** Each source file's texts, without comments; what a template puts in is `…`, as in a page. */
const sources = globSync('src/**/*.ts', { cwd: root }).map((file) => {
  const { code } = transformSync(readFileSync(join(root, file), 'utf8'), { loader: 'ts', charset: 'utf8' });
  // The second form shows the templates within templates.
  return `${withEllipses(code)}\n${code.replace(/\$\{[^{}`]*\}/g, '…')}`;
});

/** `${…}` may hold templates of its own. */
function withEllipses(code: string): string {
  let text = '';
  let depth = 0;
  for (let at = 0; at < code.length; at++) {
    if (code.startsWith('${', at)) {
      if (depth === 0) text += '…';
      depth++;
      at++;
    } else if (depth > 0) {
      if (code[at] === '{') depth++;
      if (code[at] === '}') depth--;
    } else if (code[at] === '\\' && /["'`]/.test(code[at + 1] ?? '')) {
      text += code[++at];
    } else text += code[at];
  }
  return text;
}

const quoted = pages.flatMap((page) =>
  tablesOf(page)
    .filter(({ head }) => head[0] === 'it says')
    .flatMap(({ place, rows }) =>
      rows.flatMap(([cell = '']) =>
        codeIn(cell).map((message) => [`${place}: ${message}`, message] as const),
      ),
    ),
);

test('there are some', () => expect(quoted.length).toBeGreaterThan(120));

// Between two `…` a page quotes to the letter, and all of it from one file: what a user searches for must be found.
test.each(quoted)('%s', (_name, message) => {
  const parts = message
    .split('…')
    .map((part) => part.trim())
    .filter((part) => /\p{L}/u.test(part));
  expect(
    parts.some((part) => part.length >= 6),
    'it quotes too little to be found',
  ).toBe(true);
  expect(sources.some((source) => parts.every((part) => source.includes(part)))).toBe(true);
});
