import { describe, expect, test } from 'vitest';

import { checkerOf, type Check } from '../../../../src/commands/render/check/check.ts';
import { checkNames, underNames } from '../../../../src/commands/render/data/gather.ts';
import { parseData, type DataEnding } from '../../../../src/commands/render/data/parse.ts';
import { readDotenv } from '../../../../src/commands/render/data/read-dotenv.ts';
import { readProperties } from '../../../../src/commands/render/data/read-properties.ts';
import { parseDataRequest, parseVariable } from '../../../../src/commands/render/data/request.ts';
import { formatDotenv } from '../../../../src/config/formats/dotenv.ts';
import { formatProperties } from '../../../../src/config/formats/properties.ts';

const none = (): void => undefined;
const request = (text: string) => parseDataRequest(text, none);

describe('dotenv', () => {
  test('is read as its readers do', () => {
    const text = `# comment\nA=plain value # comment\nexport B='single $X #\nline'\r\nC="a\\n\\"b\\" \\$X é"\n\nD=\nE=a#b\n  F = x`;
    expect(Object.fromEntries(readDotenv(text))).toEqual({
      A: 'plain value',
      B: 'single $X #\nline',
      C: 'a\n"b" $X é',
      D: '',
      E: 'a#b',
      F: 'x',
    });
  });
  test.each([
    ['A=1\nnonsense', 'line 2: it is not KEY=VALUE'],
    ['A=1\nB="x', 'line 2: the quote is not closed'],
    ["A='a\nb' c", 'line 2: something follows the closing quote'],
    ['A=1\nA=2', 'line 2: the key of this line is there twice'],
  ])('%j is refused', (text, message) => expect(() => readDotenv(text)).toThrow(message));
  test('what is written is read back', () => {
    const entries = new Map([
      ['A', `it's "x" \\ $y`],
      ['B', 'two\nlines'],
      ['C', ''],
      ['D', 'é # "'],
    ]);
    expect(readDotenv(Buffer.from(formatDotenv(entries).bytes).toString())).toEqual(entries);
  });
});

describe('properties', () => {
  test.each([
    ['a=\\u00e9\\tx\\:\\\\u0041\\', 'é\tx:\\u0041'],
    ['a=\\ud83d\\uDE00', '😀'],
    ['a=€\\q\\"', '€q"'],
  ])('escapes in %j', (text, value) => {
    expect(readProperties(text).get('a')).toBe(value);
  });

  test.each(['\\u', '\\u12', '\\u12g4', '\\u\\u004', '\\u１234', '\\u-123'])('%j is refused', (text) => {
    expect(() => readProperties(`a=${text}`)).toThrow('four hexadecimal digits must follow');
  });

  test('what is written is read again, however long it is', () => {
    const text = 'é\\😀\n'.repeat(40_000);
    const written = Buffer.from(formatProperties(new Map([['a', text]]))).toString();
    expect(readProperties(written).get('a') === text).toBe(true);
  });

  test('are read as Java does', () => {
    const text = '# c\n! c\na=1\n b : 2\nc 3\nd\ne\\ f\\=g=h\\u00e9\\n\ni=x\\\n   y\\\\\nj=\\ z';
    expect(Object.fromEntries(readProperties(text))).toEqual({
      a: '1',
      b: '2',
      c: '3',
      d: '',
      'e f=g': 'hé\n',
      i: 'xy\\',
      j: ' z',
    });
  });
  test.each([
    ['a=1\nb=\\u12', 'line 2: four hexadecimal digits must follow \\u'],
    ['a=1\na=2', 'line 2: the key of this line is there twice'],
  ])('%j is refused', (text, message) => expect(() => readProperties(text)).toThrow(message));
  test('what is written is read back', () => {
    const entries = new Map([
      ['a b', ' x=\\:#!é😀\t\n'],
      ['', 'empty'],
      ['#c', ''],
    ]);
    expect(readProperties(Buffer.from(formatProperties(entries)).toString())).toEqual(entries);
  });
});

describe('what is megabytes long', () => {
  const long = 4 << 20;
  const escapes = 1 << 18;
  test('dotenv: a quoted value, with and without escapes', () => {
    expect(readDotenv(`A="${'x'.repeat(long)}"\nB=1`).get('A')).toHaveLength(long);
    expect(readDotenv(`A="${'x\\"'.repeat(escapes)}"\nB=1`).get('A')).toHaveLength(2 * escapes);
    expect(() => readDotenv(`A="${'\\"'.repeat(long)}`)).toThrow('line 1: the quote is not closed');
  });
  test.each([
    ['properties', (text: string) => readProperties(text), 'a=', 'A', '\\u0041'],
    ['properties, beyond Latin-1', (text: string) => readProperties(text), 'a=', '\u20ac', '\\u20AC'],
    ['dotenv', (text: string) => readDotenv(text), 'a="', '\n', '\\n'],
  ])(
    '%s: two million escapes take some memory of the size of the text',
    (_what, read, begin, unit, escape) => {
      const text = `${begin}${escape.repeat(2_000_000)}${begin.endsWith('"') ? '"' : ''}`;
      const before = process.memoryUsage().rss;
      const value = read(text).get('a');
      const taken = process.memoryUsage().rss - before;
      expect(value === unit.repeat(2_000_000)).toBe(true);
      // A match for each took 500 MB.
      expect(taken).toBeLessThan(150 << 20);
    },
  );

  test('properties: a key, and a value over 240,000 lines', () => {
    expect([...readProperties(`${'k'.repeat(long)}=v`).keys()][0]).toHaveLength(long);
    expect(readProperties(`k=${'xxxxxxxxxxxxxxx\\\n'.repeat(240_000)}y`).get('k')).toHaveLength(3_600_001);
    expect(readProperties(`k=${'\\'.repeat(escapes)}`).get('k')).toHaveLength(escapes / 2);
  });
});

describe('files that do not parse say where, and no value', () => {
  test.each<[DataEnding, string, RegExp]>([
    ['.json', '{"a": secret}', /^1:7: it is not JSON from here on$/],
    ['.json', '{"a": "secret', /^1:14: it ends here/],
    ['.json', '{"a": 1, "secret"', /^1:18: it ends here/],
    ['.yaml', 'a: 1\nb: "secret', /^2:\d+: /],
    ['.yaml', 'a: [secret', /^1:\d+: |^2:1: /],
    ['.env', 'secret', /^line 1/],
    ['.properties', 'secret=\\u', /^line 1/],
  ])('%s %j', async (ending, text, expected) => {
    const error = await parseData(Buffer.from(text), ending).then(
      () => undefined,
      (caught: unknown) => caught as Error,
    );
    expect(error?.message).toMatch(expected);
    expect(error?.message).not.toContain('secret');
  });
  test('nor what is not UTF-8', async () => {
    await expect(parseData(Buffer.from([0xff]), '.json')).rejects.toThrow('it is not UTF-8 text');
  });
});

describe('values of YAML arrive as they are written', () => {
  test.each([
    ['0123456', '0123456'],
    ['0644', '0644'],
    ['+491701234567', '+491701234567'],
    ['0x1F', '0x1F'],
    ['0o17', '0o17'],
    ['00012345678901234567890', '00012345678901234567890'],
    ['12345678901234567890123', '12345678901234567890123'],
    ['1e3', '1e3'],
    ['1.10', '1.10'],
    ['+.5', '+.5'],
    ['.5', '.5'],
    ['5.', '5.'],
    ['.inf', '.inf'],
    ['-.INF', '-.INF'],
    ['.nan', '.nan'],
    ['-0', '-0'],
    ['1_000', '1_000'],
    ['yes', 'yes'],
    ['no', 'no'],
    ['on', 'on'],
    ['2001-01-01', '2001-01-01'],
    ['12:30:45', '12:30:45'],
    ['true', 'true'],
  ])('%s', async (written, expected) => {
    const value = await parseData(
      Buffer.from(`a: ${written}\nb: {c: [${written}]}\n${written}: d\n`),
      '.yaml',
    );
    const { a, b } = value as { a: unknown; b: { c: unknown[] } };
    expect([String(a), String(b.c[0])]).toEqual([expected, expected]);
    expect(Object.keys(value as object)).toContain(written);
  });
  test('a text in quotes that looks like a number stays one', async () => {
    expect(await parseData(Buffer.from(`a: "0x1F"\nb: '1.0'\n`), '.yaml')).toEqual({ a: '0x1F', b: '1.0' });
  });
});

describe('a byte order mark is no part of what is read', () => {
  test.each<[DataEnding, string]>([
    ['.json', '{"k":"v"}'],
    ['.yaml', 'k: v'],
    ['.properties', 'k=v'],
    ['.env', 'k=v'],
  ])('%s', async (ending, text) => {
    expect(await parseData(Buffer.from(`\ufeff${text}`), ending)).toEqual({ k: 'v' });
    const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le');
    await expect(parseData(utf16, ending)).rejects.toThrow('it is UTF-16 text; save it as UTF-8');
  });
});

describe('--data', () => {
  test('names a source or a file', () => {
    expect(request('db=vault:secret/db')).toMatchObject({ name: 'db', from: { kind: 'source' } });
    expect(request('db=values.YAML')).toMatchObject({ name: 'db', from: { kind: 'file', ending: '.yaml' } });
    expect(request('/etc/app/.env')).toMatchObject({ name: undefined, from: { ending: '.env' } });
    expect(request('https://h/a?b=c')).toMatchObject({
      name: undefined,
      from: { address: { path: '//h/a?b=c' } },
    });
  });
  test.each([
    ['db=hunter2', /neither a source .* nor a file/],
    ['hunter2', /neither a source/],
    ['env=a.yaml', /the name env is taken/],
    ['db=vault:', /db=: the vault source has no path/],
  ])('%s is refused without the value', (text, expected) => {
    expect(() => request(text)).toThrow(expected);
    expect(() => request(text)).not.toThrow('hunter2');
  });
  test('two of one name are refused', () => {
    const two = [request('db=vault:a/b'), request('db=c.yaml')];
    expect(() => checkNames(two, [])).toThrow(
      'two values for the name "db": --data db=vault:a/b and --data db=c.yaml',
    );
    expect(() => checkNames([request('db=c.yaml')], [parseVariable('db=x')])).toThrow('--var db and');
    const values = [
      { request: request('a.yaml'), value: { x: 1 } },
      { request: request('x=b.yaml'), value: 'y' },
    ];
    expect(() => underNames(values, [])).toThrow(
      'two values for the name "x": --data a.yaml and --data x=b.yaml',
    );
    expect(() => underNames([{ request: request('a.yaml'), value: ['x'] }], [])).toThrow('has no keys');
  });
  test('--var names a value', () => {
    expect(parseVariable('A=b=c\n')).toEqual({ name: 'A', value: 'b=c\n' });
    for (const bad of ['A', '1=a', 'env=x', 'a b=c']) expect(() => parseVariable(bad)).toThrow();
  });
});

describe('--check', () => {
  const deep = '['.repeat(100_000);
  test.each<[Check, string, RegExp | undefined]>([
    ['yaml', 'a: 1\n---\nb: [x]\n', undefined],
    ['yaml', 'a: 1\na: 2', /^2:1: this key is there twice/],
    ['yaml', 'a: {{ x', /^1:\d+: /],
    ['yaml', 'a: "x', /^1:\d+: /],
    ['yaml', '- *nope', /^1:/],
    ['yaml', deep, /^1:/],
    ['json', '{"a": [1, "x"]}', undefined],
    ['json', '{"a": 1,\n}', /^2:1: it is not JSON from here on/],
    ['json', '', /^1:1: it ends here/],
    ['json', '[1, 2', /^1:6: it ends here/],
    ['json', '[1 2]', /^1:4: it is not/],
    ['json', '[01]', /^1:2: it is not/],
    ['json', '[1,]', /^1:4: it is not/],
    ['json', '{"a": tru}', /^1:7: it is not/],
    ['json', '{a: 1}', /^1:2: it is not/],
    ['json', '{} x', /^1:4: it is not/],
    ['json', deep, /^1:1001: it is nested deeper than 1,000 levels/],
    ['json', '{"a": 1,\n"\\u0061": 2}', /^2:1: this key is there twice/],
    ['toml', 'a = 1\n[t]\nb = "x"', undefined],
    ['toml', 'a = 1\nb = secret', /^2:5: /],
    ['toml', 'a = 1\na = 2', /^2:/],
    ['toml', `a = ${deep}`, /^1:/],
    ['ini', '; c\n[a b] # c\nx = 1\ny: 2\nskip-name\n more\n', undefined],
    ['ini', 'a = 1\n[b', /^2:1: a section/],
    ['ini', 'a = 1\n= 2', /^2:1: there is no key/],
    ['ini', 'two words', /^1:1: it is not a section/],
    ['xml', '<?xml version="1.0"?><a b="c">x &amp; y<d/></a>', undefined],
    ['xml', '<a>\n<b></a>', /^2:/],
    ['xml', '<a b=c/>', /^1:/],
    ['xml', 'text', /^1:/],
    ['xml', '<a/><b/>', /^1:/],
    ['xml', '<a>a & b</a>', /^1:/],
    ['xml', '<a>&nope;</a>', /^1:/],
    ['xml', '<a b="<"/>', /^1:/],
    ['xml', '<a b="1" b="2"/>', /^1:/],
    ['xml', '<x:a/>', /^1:/],
    ['xml', '', /^1:/],
  ])('%s %j', async (check, text, expected) => {
    const problem = (await checkerOf(check))(text);
    if (expected === undefined) expect(problem).toBeUndefined();
    else expect(problem).toMatch(expected);
    expect(problem ?? '').not.toContain('secret');
  });
});
