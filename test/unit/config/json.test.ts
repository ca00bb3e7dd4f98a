import { describe, expect, test } from 'vitest';
import { asText, parseJson } from '../../../src/config/json.ts';
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

  test('a key named __proto__ is a key', () => {
    expect(Object.keys(parseJson('{"__proto__":{"x":1}}') as object)).toEqual(['__proto__']);
  });

  test.each([
    ['{"password":"hunter2"', /ends in the middle of the JSON, after 21 characters/],
    ['{"password":"hunter2', /ends in the middle/],
    ['hunter2', /not JSON/],
    ['{"a":hunter2}', /it is not JSON/],
    ['', /ends in the middle|not JSON/],
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

test('asText gives a number as it was written', () => {
  expect([asText('a'), asText(3), asText(new JsonNumber('1.0')), asText(true), asText({})]).toEqual([
    'a',
    '3',
    '1.0',
    undefined,
    undefined,
  ]);
});
