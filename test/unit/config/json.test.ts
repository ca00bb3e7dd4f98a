import { describe, expect, test } from 'vitest';

import { asText, JsonFault, parseJson } from '../../../src/config/json.ts';
import { JsonNumber } from '../../../src/config/source.ts';

describe('parseJson', () => {
  test.each([
    ['5432', 5432],
    ['-1.5', -1.5],
    ['1.10', new JsonNumber('1.10')],
    ['12345678901234567890', new JsonNumber('12345678901234567890')],
    ['1e400', new JsonNumber('1e400')],
    ['1E3', new JsonNumber('1E3')],
    ['-0', new JsonNumber('-0')],
    ['"12345678901234567890"', '12345678901234567890'],
    ['[1,1.0]', [1, new JsonNumber('1.0')]],
    ['{"a":{"b":1.0}}', { a: { b: new JsonNumber('1.0') } }],
    ['null', null],
  ])('%s', (text, expected) => expect(parseJson(text)).toEqual(expected));

  test('a byte order mark is no part of it', () => {
    expect(parseJson('\ufeff{"a":"\ufeff"}')).toEqual({ a: '\ufeff' });
    expect(() => parseJson('\ufeff\ufeff1')).toThrow('not JSON');
    expect(() => parseJson(' \ufeff1')).toThrow('not JSON');
  });

  test('a key named __proto__ is a key', () => {
    expect(Object.keys(parseJson('{"__proto__":{"x":1}}') as object)).toEqual(['__proto__']);
  });

  test.each([
    ['{"password":"hunter2"', /ends in the middle of the JSON \(line 1, column 22\)/],
    ['{"password":"hunter2', /ends in the middle/],
    ['hunter2', /not JSON/],
    ['{"a":hunter2}', /it is not JSON/],
    ['', /ends in the middle of the JSON \(line 1, column 1\)/],
    ['\n', /ends in the middle of the JSON \(line 2, column 1\)/],
    ['{\n  "a": 1,\n  hunter2\n}', /it is not JSON from line 3, column 3 on/],
    ['{\r\n"a": 1,\r\n"b": "é" hunter2\r\n}', /it is not JSON from line 3, column 10 on/],
    ['\ufeff{hunter2', /it is not JSON from line 1, column 2 on/],
    ['\ufeff{\n"a" hunter2', /it is not JSON from line 2, column 5 on/],
  ])('%s: says where, without any of the text', (text, words) => {
    expect(() => parseJson(text)).toThrow(words);
    try {
      parseJson(text);
    } catch (error) {
      expect(String((error as Error).stack)).not.toContain('hunter2');
      expect((error as Error).cause).toBeUndefined();
    }
  });
});

describe('what nobody means', () => {
  const nested = (levels: number): string => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
  test('1,000 levels are read, more are refused without going down into them', () => {
    expect(parseJson(nested(1000))).toBeTypeOf('object');
    expect(() => parseJson(nested(1001))).toThrow(
      'it is nested deeper than 1,000 levels (line 1, column 1005)',
    );
    const before = process.cpuUsage();
    for (const open of ['[', '{"a":', '[{"a":'])
      expect(() => parseJson(open.repeat(2_000_000))).toThrow('nested deeper');
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(1000);
  });
  test.each([
    ['{"hunter2":1,"hunter2":2}', 'this key is there twice (line 1, column 14)'],
    ['[{"a":{"b":1,"c":{},"b":[]}}]', 'this key is there twice'],
    ['{"a":1,"\\u0061":2}', 'this key is there twice'],
    ['{"\\"":1,"\\"":2}', 'this key is there twice'],
  ])('%s: a key that is there twice', (text, words) => {
    expect(() => parseJson(text)).toThrow(words);
    expect(() => parseJson(text)).not.toThrow(/hunter2/);
    expect(parseJson(text, { repeatedKeys: true })).toBeTypeOf('object');
  });
  test.each([
    '{"a":"a","b":["a","a",{"a":1},{"a":1}],"c":{"a":"b"}}',
    '{"\\\\":1,"\\"":2,"a\\\\":"b\\\\","}":"{"}',
  ])('%s has no key twice', (text) => expect(parseJson(text)).toBeTypeOf('object'));
  test.each([
    ['[ { } ]', 1],
    ['[1,2,3]', 3],
    ['{"a":1,"b":[{},{}]}', 4],
    ['"a,[{"', 0],
    ['"\\",\\\\"', 0],
    [String.raw`["\\",1,"\\\",[",2]`, 4],
    ['{"a,b":"c,\\"d,"}', 1],
  ])('%s has %i values', (text, values) => {
    expect(parseJson(text, { most: values })).toBeDefined();
    const fault = (): unknown => parseJson(text, { most: values - 1 });
    expect(fault).toThrow(JsonFault);
    expect(fault).toThrow(`it has more than ${values - 1} values`);
  });
  test.each(['1', '[]', '"a,[{"', '"\\",\\\\"'])('%s has none', (text) =>
    expect(parseJson(text, { most: 0 })).toBeDefined(),
  );
  test('50,000 values are read; what has more is refused without reading the rest', () => {
    expect(parseJson(`[${'1,'.repeat(49_999)}1]`)).toHaveLength(50_000);
    for (const text of [`[${'1,'.repeat(50_000)}1]`, '[1,'.repeat(300), `{"a":[${'{},'.repeat(60_000)}`])
      expect(() => parseJson(text)).toThrow(
        text.length < 1000 ? 'ends in the middle' : 'it has more than 50,000 values',
      );
  });
  test('a string of millions of escapes is read, and told where it is cut off', () => {
    const escapes = 'x\\u00e9'.repeat(2_000_000);
    expect(parseJson(`"${escapes}"`)).toHaveLength(4_000_000);
    expect(() => parseJson(`"${escapes}`)).toThrow(`(line 1, column ${escapes.length + 2})`);
    expect(() => parseJson(`"${escapes}\\x"`)).toThrow(`from line 1, column ${escapes.length + 2} on`);
  });
  test('the work is linear', () => {
    const before = process.cpuUsage();
    parseJson(JSON.stringify(Object.fromEntries(Array.from({ length: 49_000 }, (_, at) => [`k${at}`, at]))));
    parseJson(`["${'\\\\'.repeat(300_000)}"]`);
    parseJson(`["${'\\"'.repeat(300_000)}"]`);
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(5000);
  });
});

test('asText gives a number as it was written', () => {
  expect([asText('a'), asText(3), asText(new JsonNumber('1.0')), asText(true), asText({})]).toEqual([
    'a',
    '3',
    '1.0',
    undefined,
    undefined,
  ]);
});
