// Patterns of names, beside what bash(1) and find(1) make of the same.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { expandBraces } from '../../../../src/fs/tree/braces.ts';
import { compileExclude } from '../../../../src/fs/tree/exclude.ts';
import { NamePattern } from '../../../../src/fs/tree/name-pattern.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const inShell = (pattern: string, name: string): boolean => new NamePattern(pattern).matchesAsInShell(name);
const matches = (pattern: string, name: string): boolean => new NamePattern(pattern).matches(name);

describe('a name that begins with a dot', () => {
  test.each([
    '[!_]*',
    '[^_]*',
    '[.]env',
    '[+-9]env',
    '[[:punct:]]env',
    '*',
    '?env',
    '*.env',
    '*env',
    '*[.]env',
  ])('%s does not match it in a shell, and does in --exclude', (pattern) => {
    expect(inShell(pattern, '.env')).toBe(false);
    expect(matches(pattern, '.env')).toBe(true);
    expect(compileExclude([pattern])('a/.env')).toBe(true);
  });
  test.each(['.*', '.env', '\\.env', '\\.[a-z]*', '.???'])('%s does', (pattern) =>
    expect(inShell(pattern, '.env')).toBe(true),
  );
});

test.each([
  ['w\\d', 'wd', 'w1'],
  ['a\\b', 'ab', 'a\\b'],
  ['\\w\\w', 'ww', 'ab'],
  ['x\\sy', 'xsy', 'x y'],
  ['a\\\\b', 'a\\b', 'ab'],
  ['[\\]]', ']', '\\'],
  ['[a\\]b]', ']', '\\'],
  ['[a\\-c]', '-', 'b'],
  ['[\\a]', 'a', '\\'],
  ['[\\a-c]', 'b', '\\'],
  ['[a-\\c]', 'b', '-'],
  ['[!\\]]', 'a', ']'],
  ['*.log', '\nlead.log', '.lo\ng'],
  ['*', 'a\nb\r\u2028c', undefined],
  ['[[:space:]]', '\n', 'n'],
  ['?', '😀', '😀😀'],
  ['??', 'a😀', '😀'],
  ['[!z]', '😀', 'z'],
  ['[😀]', '😀', '\ude00'],
  ['[😀-😅]x', '😁x', '😆x'],
  ['*😀*a', '😀😀a', '😀😀'],
  ['[[:alpha:]]', 'é', '1'],
  ['[[:upper:]][[:lower:]]', 'Öß', 'öß'],
  ['[![:alnum:]]', '😀', '日'],
  ['[[:digit:]]', '7', '٣'],
  ['[[:alpha:]-z]', '-', '1'],
  ['[[:]', ':', 'a'],
  ['$[a.]()|+@{}^', '$.()|+@{}^', '$b()|+@{}^'],
])('%j matches %j and not %j', (pattern, yes, no) => {
  expect(matches(pattern, yes)).toBe(true);
  if (no !== undefined) expect(matches(pattern, no)).toBe(false);
});

test.each([
  ['[a', 'has no "]"'],
  ['[]', 'has no "]"'],
  ['[a\\]', 'has no "]"'],
  ['[[:alpha:]', 'has no "]"'],
  ['[a-', 'has no "]"'],
  ['a\\', 'a "\\" at the end stands before no character'],
  ['[z-a]', 'the range z-a ends before it begins'],
  ['[a-[:digit:]]', 'the range a- ends with a class'],
  ['[[:foo:]]', 'there is no class [:foo:]; there are [:alnum:], [:alpha:]'],
  ['[[:Alpha:]]', 'there is no class [:Alpha:]'],
  ['[[.a.]]', '[. begins a collating symbol, which is not supported'],
  ['[[=a=]]', '[= begins an equivalence class, which is not supported'],
  ['[[.]', '[. begins a collating symbol, which is not supported'],
])('%s is refused: %s', (pattern, says) => {
  expect(() => new NamePattern(pattern)).toThrow(says);
  expect(() => compileExclude([`x/${pattern}`])).toThrow(says);
  expect(() => compileExclude([pattern])).toThrow(`"${pattern}" is not a pattern`);
});

describe('braces', () => {
  test.each([
    ['{a,b}', ['a', 'b']],
    ['x{a,b}y{c,}', ['xayc', 'xay', 'xbyc', 'xby']],
    ['{a,{b,c}d}', ['a', 'bd', 'cd']],
    ['{a}', ['{a}']],
    ['{}', ['{}']],
    ['{a{b,c}}', ['{ab}', '{ac}']],
    ['{a,b', ['{a,b']],
    ['{a,{b,c}', ['{a,b', '{a,c']],
    ['a,b}', ['a,b}']],
    ['\\{a,b\\}', ['\\{a,b\\}']],
    ['{a\\,b,c}', ['a\\,b', 'c']],
    ['{[,],x}', ['[,]', 'x']],
    ['[{,}]', ['[{,}]']],
  ])('%s', (pattern, expected) => expect(expandBraces(pattern)).toEqual(expected));

  test('only the alternatives match', () => {
    const exclude = compileExclude(['{a,b}', 'c/{d/e,f*}']);
    expect(['a', 'x/b', 'c/d/e', 'c/fg'].filter((path) => !exclude(path))).toEqual([]);
    expect(['{a,b}', 'ab', 'c/d', 'c/{d/e,f*}', 'x/c/f'].filter((path) => exclude(path))).toEqual([]);
  });

  test.each([
    ['{1..3}', 'the sequence {1..3} is not supported'],
    ['{a..e..2}', 'the sequence {a..e..2} is not supported'],
    ['{a,b}'.repeat(30), 'stand for more than 1000 patterns'],
    ['{,}', 'matches nothing below the top'],
  ])('%s is refused', (pattern, says) => expect(() => compileExclude([pattern])).toThrow(says));

  test.each([`[${'[:a'.repeat(40_000)}`, '['.repeat(100_000), `${'[a'.repeat(50_000)}/]`])(
    'long ones without an end (%#)',
    (pattern) => expect(() => compileExclude([pattern])).toThrow('has no "]"'),
  );

  test('many that are not closed', () =>
    expect(expandBraces('{'.repeat(50_000))).toEqual(['{'.repeat(50_000)]));
});

test.each([
  ['data/**', ['data', 'data/a\nb', 'data/x/\n'], ['a/data/b', 'date']],
  ['**/c*', ['c', 'a/b/cd', '\n/c'], ['a/b', 'a/xc']],
  ['a/**/z', ['a/z', 'a/b/c/z', 'a/z/z'], ['a/b', 'z', 'a']],
  ['a/**/b/**/c', ['a/b/c', 'a/x/b/b/y/c'], ['a/c', 'a/b/x']],
  ['a//./b/', ['a/b'], ['a', 'x/a/b']],
  ['a**b', ['ab', 'a/axb'], ['a/b']],
  ['*/x', ['.a/x', '\n/x'], ['x', 'a/b/x']],
])('%j leaves out %j and not %j', (pattern, out, left) => {
  const exclude = compileExclude([pattern]);
  expect(out.filter((path) => !exclude(path))).toEqual([]);
  expect(left.filter((path) => exclude(path))).toEqual([]);
});

test.each(['..', 'a/../b', '../x'])('%s is refused', (pattern) =>
  expect(() => compileExclude([pattern])).toThrow('.. leads out of the top'),
);

test('hostile patterns take no more steps than length times length', () => {
  // With backtracking, the first of them takes longer than the universe is old.
  const name = 'a'.repeat(250);
  expect(matches(`${'*a'.repeat(100)}*b`, name)).toBe(false);
  expect(matches(`${'*[ab]?'.repeat(80)}*b`, name)).toBe(false);
  expect(matches(`${'*'.repeat(10_000)}b`, name)).toBe(false);
  expect(compileExclude([`${'**/a*/'.repeat(40)}b`])(`${'a/'.repeat(900)}c`)).toBe(false);
});

/** A number of 0 to `below`-1, always the same ones (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const seed = 20_261_127;
const letters = [
  'a',
  'b',
  'c',
  '.',
  '-',
  ']',
  '[',
  '\\',
  '!',
  '^',
  '*',
  '?',
  '\n',
  ' ',
  '{',
  '+',
  '(',
  'é',
  '日',
  '😀',
  'Z',
  '9',
];
const pieces = [
  '*',
  '*',
  '?',
  'a',
  'b',
  '.',
  '-',
  '\n',
  'é',
  '😀',
  '\\',
  '\\',
  '[',
  '[!',
  '[^',
  ']',
  ']',
  'a-c',
  '!',
  '^',
  '{',
  '(',
  '+',
  '|',
  '[[:alpha:]]',
  '[![:space:]',
  'é-日',
  '9--',
  '[[:punct:]',
  '[[:upper:][:digit:]',
];

function generated(): { patterns: string[]; names: string[] } {
  const random = randomOf(seed);
  const some = (from: readonly string[], most: number): string =>
    Array.from({ length: 1 + random(most) }, () => from[random(from.length)]).join('');
  const names = [
    ...letters,
    '.env',
    '.git',
    '..x',
    '\n.log',
    'ab',
    'a]',
    '[a',
    ...Array.from({ length: 60 }, () => some(letters, 4)),
  ];
  const patterns: string[] = [];
  while (patterns.length < 3000) {
    const pattern = some(pieces, 6);
    try {
      matches(pattern, '');
      patterns.push(pattern);
    } catch {
      // What is refused is in the table above.
    }
  }
  return { patterns, names: [...new Set(names)].filter((name) => name !== '.' && name !== '..') };
}

type Matches = (pattern: string, name: string) => boolean;

/** What differs from the answers: for each pattern a line, with 1 or 0 for each name. */
function different(ours: Matches, patterns: readonly string[], names: readonly string[], lines: string[]) {
  expect(lines).toHaveLength(patterns.length);
  expect(lines.join('').split('1').length, 'matches').toBeGreaterThan(patterns.length);
  const wrong = patterns.flatMap((pattern, i) =>
    names.flatMap((name, k) => {
      const theirs = lines[i]?.[k] === '1';
      return ours(pattern, name) === theirs ? [] : [{ pattern, name, theirs }];
    }),
  );
  return wrong.slice(0, 20);
}

function outputOf(command: string, args: readonly string[], cwd: string, input = ''): string[] {
  const env = { ...process.env, LC_ALL: 'C.UTF-8' };
  const { stdout, stderr, status } = spawnSync(command, args, {
    cwd,
    env,
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  expect(status, stderr).toBe(0);
  return stdout.trimEnd().split('\n');
}

function folderWith(names: readonly string[]): string {
  const { path } = temporaryDirectory('names');
  for (const name of names) writeFileSync(join(path, name), '');
  return path;
}

describe(`generated patterns (seed ${seed})`, () => {
  const { patterns, names } = generated();
  const input = patterns.map((pattern) => `${pattern}\0`).join('');

  test('match what they do in a case of bash', () => {
    const script = `
      while IFS= read -r -d '' pattern; do
        line=
        for name in "$@"; do
          case $name in $pattern) line+=1 ;; *) line+=0 ;; esac
        done
        printf '%s\\n' "$line"
      done`;
    const lines = outputOf('bash', ['-c', script, 'bash', ...names], '/', input);
    expect(different(matches, patterns, names, lines)).toEqual([]);
  });

  test('stand for the files that they do in bash', () => {
    const script = `
      shopt -s nullglob
      IFS=
      while IFS= read -r -d '' pattern; do
        declare -A found=()
        for path in ./$pattern; do found["x\${path#./}"]=1; done
        line=
        for name in "$@"; do line+=\${found["x$name"]:-0}; done
        printf '%s\\n' "$line"
        unset found
      done`;
    // Of an expansion without any of these, bash looks for no files.
    const globs = patterns.filter((pattern) => /[*?[]/.test(pattern.replaceAll(/\\./gsu, '')));
    const lines = outputOf(
      'bash',
      ['-c', script, 'bash', ...names],
      folderWith(names),
      globs.map((pattern) => `${pattern}\0`).join(''),
    );
    expect(different(inShell, globs, names, lines)).toEqual([]);
  });

  test('leave out what find -name finds', () => {
    // find(1) also takes a name's bytes for characters: `??` finds "é".
    const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length;
    const ascii = names.filter(isAscii);
    const some = patterns.filter(isAscii).slice(0, 1000);
    const each = some.flatMap((pattern) => [
      '(',
      '-name',
      pattern,
      '-printf',
      '1',
      '-o',
      '-printf',
      '0',
      ')',
    ]);
    const found = outputOf(
      'find',
      [...ascii.map((name) => `./${name}`), '-maxdepth', '0', ...each, '-printf', '\n'],
      folderWith(ascii),
    );
    const lines = some.map((_, i) => found.map((line) => line[i]).join(''));
    expect(different(matches, some, ascii, lines)).toEqual([]);
  });
});
