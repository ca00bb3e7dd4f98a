import { expect, test } from 'vitest';

import { withMerges } from '../../../src/clients/yaml/merge-keys.ts';
import { parseYamlNodes, plainValue } from '../../../src/clients/yaml/nodes.ts';

const merged = (text: string): unknown => plainValue(withMerges(parseYamlNodes(text)));

test.each<readonly [text: string, value: unknown]>([
  ['a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }', { a: { x: 1, y: 2 }, b: { x: 1, y: 3 } }],
  ['a: &a { x: 1 }\nb: { y: 3, <<: *a }', { a: { x: 1 }, b: { y: 3, x: 1 } }],
  [
    'a: &a { x: 1, y: 1 }\nb: &b { x: 2, z: 2 }\nc: { <<: [*a, *b] }',
    { a: { x: 1, y: 1 }, b: { x: 2, z: 2 }, c: { x: 1, y: 1, z: 2 } },
  ],
  [
    'a: &a { x: 1 }\nb: &b { <<: *a, y: 2 }\nc: [{ <<: *b }]',
    { a: { x: 1 }, b: { x: 1, y: 2 }, c: [{ x: 1, y: 2 }] },
  ],
  ['a: { <<: { x: 1 } }', { a: { x: 1 } }],
  [
    'a: &a { x: { p: 1, q: 1 } }\nb: { <<: *a, x: { p: 2 } }',
    { a: { x: { p: 1, q: 1 } }, b: { x: { p: 2 } } },
  ],
])('%j', (text, value) => {
  expect(merged(text)).toEqual(value);
});

test('each value keeps the place where it is written', () => {
  const root = withMerges(parseYamlNodes('a: &a\n  x: 1\nb:\n  <<: *a\n  y: 2\n'));
  const b = root.kind === 'map' ? root.entries[1]?.value : undefined;
  expect(b?.kind === 'map' && b.entries.map(({ key, at }) => [key, at.line])).toEqual([
    ['y', 5],
    ['x', 2],
  ]);
});

test('maps that merge each other without end are refused, and a row of them is not slow', () => {
  expect(() => merged('a: &a { <<: *a }')).toThrow(/inside of what it names/);
  const rows = Array.from(
    { length: 2000 },
    (_, i) => `m${i}: &m${i} { ${i ? `<<: *m${i - 1}, ` : ''}k${i}: 1 }`,
  );
  expect(() => merged(rows.join('\n'))).toThrow(/multiply beyond all bounds/);
});
