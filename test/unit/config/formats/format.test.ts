import { describe, expect, it } from 'vitest';

import {
  type FileFormat,
  formatFile,
  formatFileSet,
  formats,
} from '../../../../src/config/formats/format.ts';
import { parseJson } from '../../../../src/config/json.ts';
import { JsonNumber, type FieldValue } from '../../../../src/config/source.ts';

function written(format: FileFormat, fields: Record<string, FieldValue>): string {
  return Buffer.from(
    formatFile(format, { kind: 'fields', fields: new Map(Object.entries(fields)) }).output,
  ).toString();
}

function alone(format: FileFormat, value: FieldValue): string {
  return Buffer.from(formatFile(format, { kind: 'value', value }).output).toString();
}

const textFormats = formats.filter((format): format is FileFormat => format !== 'files');
const keyed = ['dotenv', 'env-file', 'properties', 'shell'] as const;

describe('numbers', () => {
  const fields = parseJson('{"PRICE":1.10,"ID":12345678901234567890,"N":1e5,"T":true}') as Record<
    string,
    FieldValue
  >;

  it('keep their digits', () => {
    expect(written('json', fields)).toBe(
      '{\n  "PRICE": 1.10,\n  "ID": 12345678901234567890,\n  "N": 1e5,\n  "T": true\n}\n',
    );
    expect(written('dotenv', fields)).toBe('PRICE=1.10\nID=12345678901234567890\nN=1e5\nT=true\n');
    expect(written('shell', fields)).toContain("export ID='12345678901234567890'\n");
  });

  it.each([
    ['1e5', '1.0e+5'],
    ['-2E-7', '-2.0e-7'],
    ['1.5e+300', '1.5e+300'],
    ['0.10', '0.10'],
  ])('%s is a number to readers of YAML 1.1 too', (text, yaml) => {
    expect(written('yaml', { size: new JsonNumber(text) })).toBe(`size: ${yaml}\n`);
  });
});

describe('yaml', () => {
  it.each<[string, FieldValue, string]>([
    ['words that mean something', 'no', '"no"'],
    ['numbers in texts', '0777', '"0777"'],
    ['an empty text', '', '""'],
    ['lines', 'a\nb\n', '|\n  a\n  b'],
    ['lines without an end', 'a\n\nb', '|-\n  a\n\n  b'],
    ['lines that begin with a space', ' a\nb', '" a\\nb"'],
    ['what YAML 1.1 takes for a line end', 'a\u0085b\u2028c', '"a\\u0085b\\u2028c"'],
    ['null', null, 'null'],
    ['an empty list', [], '[]'],
    ['an empty mapping', {}, '{}'],
    ['a list', ['x', 1], '\n  - "x"\n  - 1'],
  ])('writes %s so that they come back', (_, value, text) => {
    expect(written('yaml', { key: value })).toBe(`key: ${text}\n`.replace('key: \n', 'key:\n'));
  });

  it('quotes keys that mean something', () => {
    expect(written('yaml', { yes: 'a', 'a b': 'b', plain_key: 'c' })).toBe(
      '"yes": "a"\n"a b": "b"\nplain_key: "c"\n',
    );
  });
});

describe('dotenv', () => {
  it.each([
    ['plain/value:1@x,y=z', 'plain/value:1@x,y=z'],
    ['', ''],
    ['two words', "'two words'"],
    ['$(id)', "'$(id)'"],
    ['a\nb', "'a\nb'"],
    ["it's\nmine", '"it\'s\nmine"'],
    ['it\'s "x"\n', '"it\'s \\"x\\"\\n"'],
    ["it's $(id) and `id`", '"it\'s \\$(id) and \\`id\\`"'],
    ['\\\\server\\share', "'\\\\server\\share'"],
    ['C:\\dir\\', 'C:\\dir\\\n'],
    ['a\r\nb', '"a\\r\nb"'],
  ])('writes %j', (value, text) => {
    expect(written('dotenv', { KEY: value })).toBe(`KEY=${text}\n`);
  });

  it('warns of each key that some readers read otherwise, and names them', () => {
    const fields = new Map<string, FieldValue>([
      ['PLAIN', 'x'],
      ['WORDS', 'two words'],
      ['LATER', 'again two'],
      ['QUOTES', 'it\'s "x"'],
      ['SHARE', '\\\\server\\share'],
      ['UID', '1'],
    ]);
    const { warnings, notes } = formatFile('dotenv', { kind: 'fields', fields });
    // Docker has no quotes: that is true of most files, and no reason to warn.
    expect(notes).toEqual([
      '"WORDS", "LATER": docker --env-file takes the quotes for a part of these values; other readers of dotenv do not',
    ]);
    expect(warnings).toEqual([
      '"QUOTES": dotenv has no way to write this value that all readers read alike, and these read something else: docker --env-file, Node, npm dotenv, godotenv; another --format holds this value',
      '"SHARE": dotenv has no way to write this value that all readers read alike, and these read something else: docker --env-file, python-dotenv; another --format holds this value',
      '"UID": dotenv has no way to write this value that all readers read alike, and these read something else: bash; another --format holds this value',
    ]);
  });

  it.each(['two words\\', 'x;id\\', '$(id)\\', "it's\\", '"\\'])(
    'refuses %j, which no reader and shell holds',
    (value) => {
      expect(() => written('dotenv', { KEY: value })).toThrow('"KEY" ends with a backslash');
    },
  );
});

describe('env-file', () => {
  it.each([
    ['plain', "'plain'"],
    ['$(id) `id` "x" \\ #', '\'$(id) `id` "x" \\ #\''],
    [' a\n\tb ', "' a\n\tb '"],
    ['a\rb\r', "'a\rb\r'"],
  ])('writes %j', (value, text) => {
    expect(written('env-file', { KEY: value })).toBe(`KEY=${text}\n`);
    expect(formatFile('env-file', { kind: 'fields', fields: new Map([['KEY', value]]) }).warnings).toEqual(
      [],
    );
  });

  it.each([
    ["it's", /^"KEY" holds a single quote, and the kubelet has no way to read one/],
    ['a\r\nb', /^"KEY" holds a carriage return before a line end, which the kubelet drops/],
    ['x'.repeat(65_530), /^"KEY" has a line of 65536 bytes, and the kubelet reads lines of 65535/],
    ['é\n'.repeat(50_000), /^"KEY" has 150005 bytes with its name, and Linux takes 131072/],
  ])('refuses what the kubelet reads otherwise', (value, message) => {
    expect(() => written('env-file', { KEY: value })).toThrow(message);
  });

  it.each(['a.b-c', '1X', 'export K', "it's", 'a#b'])('takes the key %j, as the API server does', (key) => {
    expect(written('env-file', { [key]: 'x' })).toBe(`${key}='x'\n`);
  });

  it.each(['', ' A', 'A ', '\tA', '#A', 'A=B', 'Ä', 'A\nB', '\ufeffA'])('refuses the key %j', (key) => {
    expect(() => written('env-file', { [key]: 'x' })).toThrow('cannot be a key of an env file');
  });

  it('warns of an empty value, which counts as a missing key', () => {
    const fields = new Map([
      ['A', ''],
      ['B', 'x'],
      ['C', ''],
    ]);
    const { output, warnings } = formatFile('env-file', { kind: 'fields', fields });
    expect(Buffer.from(output).toString()).toBe("A=''\nB='x'\nC=''\n");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^"A", "C": the value is empty, which the kubelet takes for a missing key/);
  });
});

describe('raw', () => {
  it('adds nothing', () => {
    expect(alone('raw', 'no line end')).toBe('no line end');
    expect(alone('raw', 5432)).toBe('5432');
    expect([...formatFile('raw', { kind: 'value', value: Uint8Array.of(0, 255) }).output]).toEqual([0, 255]);
    expect(written('raw', { only: 'one' })).toBe('one');
  });

  it('says which fields there are, never their values', () => {
    expect(() => written('raw', { user: 'SECRET-1', password: 'SECRET-2' })).toThrow(
      /^raw holds one value, and there are 2 fields \("user", "password"\); pick one with #FIELD/,
    );
    expect(() => written('raw', { user: 'SECRET-1', password: 'SECRET-2' })).not.toThrow(/SECRET/);
  });
});

describe('what cannot be written', () => {
  it.each(keyed)('%s: objects, lists and null', (format) => {
    expect(() => written(format, { KEY: { a: 1 } })).toThrow(
      `"KEY" is an object, which ${format} cannot hold; json and yaml hold it`,
    );
    expect(() => written(format, { KEY: [1] })).toThrow('"KEY" is a list');
    expect(() => written(format, { KEY: null })).toThrow('"KEY" is null');
  });

  it('raw: objects', () => {
    expect(() => alone('raw', { a: 1 })).toThrow('"the value" is an object, which raw cannot hold');
  });

  it.each(textFormats.filter((format) => format !== 'raw'))(
    '%s: NUL and bytes that are no text',
    (format) => {
      expect(() => written(format, { KEY: 'a\0b' })).toThrow(/"KEY" holds a NUL/);
      expect(() => written(format, { KEY: Uint8Array.of(0xff, 0xfe) })).toThrow(
        '"KEY" holds bytes that are not UTF-8',
      );
      // JSON has an escape for it.
      if (format !== 'json')
        expect(() => written(format, { KEY: '\ud800' })).toThrow('half of a surrogate pair');
    },
  );

  it.each(['dotenv', 'shell'] as const)('%s: names that are no variables, with a better one', (format) => {
    expect(() => written(format, { 'A-B': 'x' })).toThrow(/"A-B" is not a valid variable name.*to A_B say/);
    expect(() => written(format, { '1st': 'x' })).toThrow(/to _1st say/);
    expect(() => written(format, { '': 'x' })).toThrow('"" is not a valid variable name');
    expect(() => written(format, { 'A;id': 'x' })).toThrow('is not a valid variable name');
  });

  it.each(['UID', 'GROUPS', 'SECONDS', '_'])('shell: %s, which bash sets by itself', (key) => {
    expect(() => written('shell', { [key]: '0' })).toThrow(`"${key}" cannot be set in a shell`);
  });

  it.each(keyed)('%s: a value without a name', (format) => {
    expect(() => alone(format, 'x')).toThrow(`${format} writes named fields`);
  });

  it.each(['../x', 'a/b', '..data', '.', '', 'a\nb', 'x'.repeat(256)])('files: the name %j', (name) => {
    expect(() => formatFileSet({ kind: 'fields', fields: new Map([[name, 'x']]) })).toThrow(
      'cannot name a file',
    );
  });

  it('files: objects', () => {
    expect(() => formatFileSet({ kind: 'fields', fields: new Map([['a', { b: 1 }]]) })).toThrow(
      '"a" is an object',
    );
  });

  it('json and yaml: nesting without end', () => {
    let deep: FieldValue = 'x';
    for (let level = 0; level < 300; level++) deep = [deep];
    for (const format of ['json', 'yaml'] as const)
      expect(() => written(format, { KEY: deep })).toThrow('nested deeper than 200 levels');
  });
});

it('properties escape keys, and spaces that would be lost', () => {
  expect(written('properties', { 'a b:c=d': ' x', '#k': 'ü\t' })).toBe(
    'a\\ b\\:c\\=d=\\ x\n\\#k=\\u00fc\\t\n',
  );
});

it('a key called __proto__ is a key', () => {
  const fields = new Map<string, FieldValue>([['__proto__', 'x']]);
  const { output } = formatFile('json', { kind: 'fields', fields });
  expect(Buffer.from(output).toString()).toBe('{\n  "__proto__": "x"\n}\n');
});
