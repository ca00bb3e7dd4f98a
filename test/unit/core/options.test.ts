import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { readArguments } from '../../../src/cli/arguments.ts';
import {
  duration,
  durationOr,
  flag,
  integer,
  list,
  oneOf,
  secret,
  text,
  twinName,
  valueOr,
} from '../../../src/core/options/option.ts';
import { resolveOptions } from '../../../src/core/options/resolve-options.ts';
import { createRedactor, type Secret } from '../../../src/core/redaction/redactor.ts';
import { readSecretFile } from '../../../src/fs/input-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'initbox-options-'));
function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const options = {
  timeout: durationOr({ description: '', fallback: '5m' }),
  interval: duration({ description: '' }),
  any: flag({ description: '' }),
  count: valueOr({ description: '', placeholder: 'N', parse: integer({ min: 1, max: 9 }), fallback: '1' }),
  expect: list({ description: '', placeholder: 'X', parse: (given) => given }),
  format: oneOf({ description: '', choices: ['text', 'json'], fallback: 'text' }),
  query: text({ description: '', placeholder: 'SQL' }),
  token: secret({ description: '' }),
  id: text({ description: '', placeholder: 'ID', insteadOf: ['query'] }),
};

async function read(argv: string[], environment: Record<string, string> = {}) {
  const redactor = createRedactor();
  const { given, positionals, help } = await readArguments(argv, options);
  return {
    values: resolveOptions(options, given, environment, redactor, readSecretFile),
    positionals: positionals.map(({ text: word }) => word),
    help,
    redactor,
  };
}

describe('two options that mean the same thing', () => {
  test.each<[string[], Record<string, string>, string]>([
    [['--query', 'a', '--id', 'b'], {}, '--query and --id cannot be combined; use one, not both'],
    [['--id', 'b'], { INITBOX_QUERY: 'a' }, 'INITBOX_QUERY and --id cannot be combined'],
    [['--query', 'a'], { INITBOX_ID: 'b' }, '--query and INITBOX_ID cannot be combined'],
    [[], { INITBOX_QUERY: 'a', INITBOX_ID: 'b' }, 'INITBOX_QUERY and INITBOX_ID cannot be combined'],
  ])('%j with %j: refused with the place of each', async (argv, environment, words) => {
    await expect(read(argv, environment)).rejects.toThrow(words);
  });
  test('a flag wins over its own variable', async () => {
    expect((await read(['--id', 'b'], { INITBOX_ID: 'a' })).values).toMatchObject({
      id: 'b',
      query: undefined,
    });
  });
});

describe('flags and their twins', () => {
  test('defaults', async () => {
    expect((await read([])).values).toEqual({
      timeout: 300_000,
      interval: undefined,
      any: false,
      count: 1,
      expect: [],
      format: 'text',
      query: undefined,
      token: undefined,
      id: undefined,
    });
  });

  test('flags, inline values, switches and their opposite, lists, words in between', async () => {
    const { values, positionals } = await read([
      'a',
      '--timeout=2m',
      '--interval',
      '1s',
      '--any',
      'b',
      '--expect',
      'x',
      '--expect=y',
      '--format',
      'json',
    ]);
    expect(values).toMatchObject({
      timeout: 120_000,
      interval: 1_000,
      any: true,
      expect: ['x', 'y'],
      format: 'json',
    });
    expect(positionals).toEqual(['a', 'b']);
    expect((await read(['--no-any'], { INITBOX_ANY: 'true' })).values.any).toBe(false);
    expect((await read(['--any=false'])).values.any).toBe(false);
  });

  test('a value is handed on as it is, quotes and all', async () => {
    expect((await read(['--query', `"x"`])).values.query).toBe('"x"');
    expect((await read([`--query='a' = 'a'`])).values.query).toBe(`'a' = 'a'`);
    expect((await read(['--query=--x'])).values.query).toBe('--x');
  });

  test('the twin sets what no flag does; the flag wins', async () => {
    const environment = { INITBOX_TIMEOUT: '30s', INITBOX_EXPECT: 'a, b', INITBOX_ANY: '1' };
    expect((await read([], environment)).values).toMatchObject({
      timeout: 30_000,
      expect: ['a', 'b'],
      any: true,
    });
    expect((await read(['--timeout', '1s', '--expect', 'c'], environment)).values).toMatchObject({
      timeout: 1_000,
      expect: ['c'],
    });
  });

  test.each([
    [['--timeout', '5x'], {}, /^--timeout: "5x" is not a duration; write/],
    [['--timeout', '-5s'], {}, /^--timeout: "-5s" is negative/],
    [['--timeout=-1'], {}, /^--timeout: "-1" is negative/],
    [['--timeout', '1e9h'], {}, /^--timeout: "1e9h" is not a duration/],
    [['--timeout'], {}, /^--timeout needs a value \(DURATION\)/],
    [['--timeout', '--any'], {}, /^--timeout needs a value.*--timeout=--any/],
    [['--timeout='], {}, /^--timeout is empty; it takes DURATION/],
    [['--timeout', '1s', '--timeout', '2s'], {}, /^--timeout was given 2 times/],
    [[], { INITBOX_TIMEOUT: '5x' }, /^INITBOX_TIMEOUT: "5x" is not a duration/],
    [[], { INITBOX_TIMEOUT: '' }, /^INITBOX_TIMEOUT is empty/],
    [['--count', '1.5'], {}, /^--count: "1.5" is not a whole number from 1 to 9/],
    [['--count', '10'], {}, /from 1 to 9/],
    [['--any=maybe'], {}, /^--any: "maybe" is neither true nor false/],
    [['--format', 'xml'], {}, /^--format: "xml" is not one of text, json/],
    [['--tiemout', '5s'], {}, /^unknown flag --tiemout; did you mean --timeout\?/],
    [['--no-timeout'], {}, /^unknown flag --no-timeout/],
    [['-1:-1', 'x'], {}, /^-1:-1 is not a flag, and no number below 0 is accepted$/],
    [['-timeout', '5s'], {}, /^-timeout is written with two dashes: --timeout/],
    [['-timeout=5s'], {}, /^-timeout is written with two dashes: --timeout/],
    [['-x'], {}, /^unknown flag -x/],
    [['--timeout 30s'], {}, /"--timeout 30s" is one argument/],
    [['--token', 'x'], {}, /^unknown flag --token; did you mean --token-file\?/],
  ])('%j %j: %s', async (argv, environment, message) => {
    await expect(read(argv, environment as Record<string, string>)).rejects.toThrow(message);
  });

  test('help is seen wherever it stands', async () => expect((await read(['a', '--help'])).help).toBe(true));
});

describe('a secret comes from a file', () => {
  test('less one line end, and is known to the redactor', async () => {
    const { values, redactor } = await read(['--token-file', file('token', 'hunter2\n')]);
    expect((values.token as unknown as Secret).reveal()).toBe('hunter2');
    expect(redactor.redact('x hunter2 y')).toBe('x [redacted] y');
    expect(
      (
        (await read([], { INITBOX_TOKEN_FILE: file('crlf', 'a b\n\r\n') })).values.token as unknown as Secret
      ).reveal(),
    ).toBe('a b\n');
  });

  mkdirSync(join(folder, 'directory'));
  test.each([
    [join(folder, 'missing'), /there is no file/],
    [join(folder, 'directory'), /is a directory/],
    [file('nothing', ''), /is empty/],
    [file('newline', '\n'), /is empty/],
  ])('%s: %s', async (path, message) => {
    await expect(read(['--token-file', path])).rejects.toThrow(message);
    await expect(read([], { INITBOX_TOKEN_FILE: path })).rejects.toThrow(/^INITBOX_TOKEN_FILE/);
  });
});

test('twins', () => {
  expect(Object.entries(options).map(([name, option]) => twinName(name, option))).toEqual([
    'INITBOX_TIMEOUT',
    'INITBOX_INTERVAL',
    'INITBOX_ANY',
    'INITBOX_COUNT',
    'INITBOX_EXPECT',
    'INITBOX_FORMAT',
    'INITBOX_QUERY',
    'INITBOX_TOKEN_FILE',
    'INITBOX_ID',
  ]);
});
