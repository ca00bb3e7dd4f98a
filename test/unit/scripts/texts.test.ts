import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { textsOf } from '../../../scripts/texts/texts-of.ts';

const root = join(import.meta.dirname, '../../..');

test('texts are literals, templates and their sums, with their lines', () => {
  const source = `import { x } from 'not a text';
type T = 'not one either';
const a = 'one word'.length > 1 ? 'two words here' : 'word';
throw new Error(\`\${a} is not a \${n > 1 ? 'many of them' : 'single one'}; \` + 'write db:5432');
query('SELECT 1 FROM t');
`;
  expect(textsOf('a.ts', source)).toEqual([
    { line: 3, text: 'one word' },
    { line: 3, text: 'two words here' },
    { line: 4, text: '{…} is not a {…}; write db:5432' },
    { line: 4, text: 'many of them' },
    { line: 4, text: 'single one' },
  ]);
});

test('the program has some in every room, and a known message is among them', () => {
  const files = globSync('src/**/*.ts', { cwd: root });
  const texts = files.flatMap((file) => textsOf(file, readFileSync(join(root, file), 'utf8')));
  expect(texts.length).toBeGreaterThan(1000);
  expect(texts.map(({ text }) => text)).toContain('the time for everything together; 0 disables it');
});
