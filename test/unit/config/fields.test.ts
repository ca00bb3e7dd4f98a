import { describe, expect, test } from 'vitest';

import { fieldAt, pickFromBytes } from '../../../src/config/fields.ts';
import type { FieldValue } from '../../../src/config/source.ts';

const object: Record<string, FieldValue> = {
  db: { password: 'p', 'a.b': { c: 1 }, hosts: ['h0', { port: 5432 }], none: null },
  'a.b': 'whole',
  a: { b: 'parts', c: 'c' },
  'x.y': { z: 'long' },
  x: { 'y.z': 'short' },
};
const fields = new Map(Object.entries(object));

describe('a field below a field', () => {
  test.each<[path: string, value: FieldValue | undefined]>([
    ['db.password', 'p'],
    ['db.a.b.c', 1],
    ['db.hosts.0', 'h0'],
    ['db.hosts.1.port', 5432],
    ['db.none', null],
    ['a.b', 'whole'],
    ['a.c', 'c'],
    ['x.y.z', 'long'],
    ['db.hosts.2', undefined],
    ['db.hosts.01', undefined],
    ['db.hosts.-1', undefined],
    ['db.hosts.length', undefined],
    ['db.none.x', undefined],
    ['db.password.length', undefined],
    ['db.__proto__', undefined],
    ['db.constructor.name', undefined],
    ['db.', undefined],
    ['.db', undefined],
    ['db..password', undefined],
  ])('%s', (path, value) => expect(fieldAt(fields, path)).toEqual(value));

  test('keys of any name', () => {
    const bytes = Buffer.from('{"__proto__":{"constructor":{"__proto__":"v"}}}');
    expect(pickFromBytes(bytes, '__proto__.constructor.__proto__')).toEqual({ kind: 'value', value: 'v' });
  });
  test('what is not there is told with the fields at the top', () => {
    expect(pickFromBytes(Buffer.from('{"db":{"user":"u"}}'), 'db.password')).toMatchObject({
      reason: 'has no field "db.password"',
      hint: 'its fields are "db"',
    });
  });
});
