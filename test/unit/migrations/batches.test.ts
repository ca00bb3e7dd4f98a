import { expect, test } from 'vitest';

import { piecesOf } from '../../../src/migrations/batches.ts';
import { split } from '../../../src/migrations/split.ts';

const messages = (text: string): string[] =>
  [...piecesOf(text, split(text, '1_a.sql'))].map((piece) => piece.text);

test('beyond the thousandth statement as many as fit go together', () => {
  const texts = messages('SELECT 1;\n'.repeat(1010));
  expect(texts).toHaveLength(1001);
  expect(texts.at(-1)?.match(/SELECT/g)).toHaveLength(10);
});

test('what is cut by how a backslash is read begins a message: the server may have told of another reading by then', () => {
  const tail = [
    "SELECT set_config('standard_conforming_strings', 'off', false);",
    'SELECT 2;',
    "SELECT 'a\\'; SELECT ';b';",
  ];
  const texts = messages(`${'SELECT 1;'.repeat(1005)}${tail.join('')}`);
  const at = texts.findIndex((text) => text.startsWith("SELECT 'a"));
  expect(at).toBeGreaterThan(1000);
  expect(texts[at - 1]).toMatch(/SELECT 2$/);
});
