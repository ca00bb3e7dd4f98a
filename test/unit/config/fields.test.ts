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
  test.each([
    ['password', 'it has the fields "db", "list", "none", "text", "empty", "a.b"'],
    ['db.password', '"db" is there, and has the fields "user"'],
    ['db.user.name', '"db.user" is there, and is a text, which has no fields; JSON in it is not looked into'],
    ['list.2', '"list" is there, and is a list, whose items are 0 to 1'],
    ['list.1.x.y', '"list.1" is there, and has the fields "c"'],
    ['none.x', '"none" is there, and is null'],
    ['empty.0', '"empty" is there, and is an empty list'],
    ['a.b.x', '"a.b" is there, and has no fields at all'],
  ])('what is not there is told with how far the path leads: %s', (path, hint) => {
    const text =
      '{"db":{"user":"value-1"},"list":[1,{"c":"value-2"}],"none":null,"text":"{}","empty":[],"a.b":{}}';
    expect(pickFromBytes(Buffer.from(text), path)).toMatchObject({
      reason: `has no field ${JSON.stringify(path)}`,
      hint,
    });
  });
});
