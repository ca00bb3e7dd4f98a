import { parseArgs } from 'node:util';

import { expect, test } from 'vitest';

import { tokensOf, type Token } from '../../../src/cli/tokens.ts';

const values = ['timeout', 'to', 'value'];
const letters: Readonly<Record<string, string>> = { h: 'help', q: 'quiet', t: 'timeout' };

function own(words: readonly string[]): Token[] {
  return tokensOf(words, {
    takesValue: (name) => values.includes(name),
    nameOf: (letter) => letters[letter] ?? letter,
  });
}

/** What Node's own parser makes of the same words. */
function nodes(words: readonly string[]): Token[] {
  const { tokens } = parseArgs({
    args: [...words],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      quiet: { type: 'boolean', short: 'q' },
      timeout: { type: 'string', short: 't' },
      to: { type: 'string' },
      value: { type: 'string' },
    },
  });
  return tokens.map((token): Token => {
    if (token.kind === 'option-terminator') throw new Error('there is no -- among the words');
    if (token.kind === 'positional') return { kind: 'positional', value: token.value };
    const { name, rawName, value, inlineValue } = token;
    return { kind: 'flag', name, rawName, value, inline: inlineValue === true };
  });
}

const words = [
  'db:5432',
  '-',
  '',
  '--timeout',
  '--timeout=2m',
  '--timeout=',
  '--timeout=a=b',
  '--quiet',
  '--quiet=yes',
  '--no-quiet',
  '--unknown',
  '--unknown=1',
  '--=x',
  '---',
  '-t',
  '-t5',
  '-t=5',
  '-q',
  '-hq',
  '-qt',
  '-qt5',
  '-x',
  '-xyz',
  '-5',
  '-\u{1f511}',
  '\u2013timeout',
];

test.each(words.map((word) => [word]))('%j is read as by Node, alone and before any other word', (word) => {
  expect(own([word])).toEqual(nodes([word]));
  for (const other of words) expect(own([word, other, 'last'])).toEqual(nodes([word, other, 'last']));
});
