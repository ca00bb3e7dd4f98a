// What a text of others may cost before it is refused: the parser cannot be cut, neither by a deadline nor by a signal.
import { describe, expect, test } from 'vitest';

import { yamlProblem } from '../../../src/clients/yaml/check.ts';
import { parseYaml } from '../../../src/clients/yaml/text.ts';

/** What reading says, as the check does. */
function readProblem(text: string): string | undefined {
  try {
    parseYaml(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Milliseconds of CPU; each of these texts took from 10 to more than 60 s. */
function cpu(action: () => void): number {
  const before = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const lines = (count: number, line: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => line(at)).join('\n');

describe.each([
  ['check', yamlProblem],
  ['reading', readProblem],
])('%s', (_name, problem) => {
  test.each([
    ['20,000 keys', lines(20_000, (at) => `k${at}: v`), undefined],
    ['15,000 keys in braces', `{${lines(15_000, (at) => `k${at}: v,`)}}`, undefined],
    ['10,000 anchors with an alias each', lines(10_000, (at) => `- &a${at} v\n- *a${at}`), undefined],
    ['20,000 aliases of one anchor', `- &a x\n${'- *a\n'.repeat(20_000)}`, undefined],
    ['200,000 brackets', `a: ${'['.repeat(200_000)}`, /^1:504: it is nested too deeply/],
    ['200,000 lists in one line', `${'- '.repeat(200_000)}x`, /^1:1001: it is nested too deeply/],
    ['200,000 colons', ': '.repeat(200_000), /^1:1001: it is nested too deeply/],
    [
      'a list of 50,000',
      '- v\n'.repeat(50_000),
      /^25001:1: it has more than 100,000 words, marks and line ends/,
    ],
    ['a million empty lines', `a: 1${'\n'.repeat(1_000_000)}`, /it has more than 100,000/],
    [
      '3,000 anchors within each other',
      `- &a0 [x]\n${lines(3000, (at) => `- &a${at + 1} [*a${at}]`)}`,
      /^1:1: its aliases .* multiply/,
    ],
    [
      'a bomb',
      `- &a [x,x]\n${lines(40, (at) => `- &a${at} [${at === 0 ? '*a,*a' : `*a${at - 1},*a${at - 1}`}]`)}`,
      /its aliases .* multiply/,
    ],
  ])('%s', (_text, text, words) => {
    let said: string | undefined;
    const spent = cpu(() => (said = problem(text)));
    if (words === undefined) expect(said).toBeUndefined();
    else expect(said).toMatch(words);
    expect(spent).toBeLessThan(6000);
  });

  test.each([
    ['a: 1\nb: 2\na: 3', '3:1: this key is there twice'],
    ['{a: 1, "a": 2}', '1:8: this key is there twice'],
    ['- x: {b: 1, c: 2, b: 3}', '1:19: this key is there twice'],
    ['a: &a [*a]', '1:8: an alias stands inside of what it names'],
    ['a: *b\nb: &b 1', '1:4: an alias (*name) stands here'],
  ])('%j', (text, words) => expect(problem(text)).toContain(words));

  test.each(['a: {b: 1}\nb: {b: 1}', 'a: &x 1\nb: &x 2\nc: *x', 'a: |\n  [[[[\n  a: 1\n  a: 2'])(
    '%j is right',
    (text) => expect(problem(text)).toBeUndefined(),
  );
});

test('an alias stands for the last anchor of its name above it', () =>
  expect(parseYaml('a: &x 1\nb: *x\nc: &x 2\nd: *x').value).toEqual({ a: 1, b: 1, c: 2, d: 2 }));
test('keys that are one key to whoever reads JSON', () =>
  expect(() => parseYaml('1: a\n"1": b')).toThrow('2:1: this key is there twice'));
