import { describe, expect, test } from 'vitest';

import {
  bigintIn,
  dateIn,
  integerIn,
  jsonIn,
  numberIn,
  textIn,
  textOrNullIn,
  type AnswerRow,
} from '../../../../src/clients/postgres/answer-row.ts';
import { BrokenConnection } from '../../../../src/clients/postgres/wire.ts';

const readers: Readonly<Record<string, (row: AnswerRow, column: string) => unknown>> = {
  bigintIn,
  integerIn,
  numberIn,
  textIn,
  dateIn,
  jsonIn,
};

describe('what is not an answer to the statement is said to be none', () => {
  test.each(Object.entries(readers))('%s: no row, no column, another type', (_name, read) => {
    for (const row of [undefined, {}, { v: true }, { v: undefined }, { v: [] }, { v: new Date() }])
      expect(() => read(row, 'v')).toThrow(BrokenConnection);
    expect(() => read({}, 'v')).toThrow(/^the connection broke: .*"v" of its answer is not /);
  });

  test.each<[string, unknown[]]>([
    ['bigintIn', ['', 'abc', '1.5', ' 1', '0x1', 1.5, Number.NaN, 2 ** 60, null, '9'.repeat(41)]],
    ['integerIn', ['', 'abc', '1.5', '9007199254740993', null]],
    ['numberIn', ['', ' ', 'abc', 'NaN', 'Infinity', Number.NaN, null]],
    ['textIn', [null, 1]],
    ['dateIn', ['abc', 9e15, Number.POSITIVE_INFINITY, null]],
    ['jsonIn', ['', 'x', '1', 'null']],
  ])('%s', (name, values) => {
    for (const v of values) expect(() => readers[name]?.({ v }, 'v'), String(v)).toThrow(BrokenConnection);
  });

  test('what is one is read', () => {
    expect(bigintIn({ v: '-9223372036854775808' }, 'v')).toBe(-(2n ** 63n));
    expect(bigintIn({ v: 7 }, 'v')).toBe(7n);
    expect(integerIn({ v: '7' }, 'v')).toBe(7);
    expect(numberIn({ v: '1.5' }, 'v')).toBe(1.5);
    expect(textIn({ v: '' }, 'v')).toBe('');
    expect(textOrNullIn({ v: null }, 'v')).toBeNull();
    expect(() => textOrNullIn({}, 'v')).toThrow(BrokenConnection);
    expect(dateIn({ v: 1.5 }, 'v').getTime()).toBe(1500);
    expect(jsonIn({ v: null }, 'v')).toEqual({});
    expect(jsonIn({ v: '{"a":"b"}' }, 'v')).toEqual({ a: 'b' });
  });
});
