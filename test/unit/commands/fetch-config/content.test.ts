import { describe, expect, it } from 'vitest';

import { fetchedFor, sharedReads } from '../../../../src/clients/sources/reads.ts';
import { mergeParts, type Part } from '../../../../src/commands/fetch-config/merge.ts';
import { pickKeys, type KeyRule } from '../../../../src/commands/fetch-config/pick.ts';
import { parseSource, type Fetched, type FieldValue } from '../../../../src/config/source.ts';

const rule = (name: string, more: Partial<KeyRule> = {}): KeyRule => ({
  name,
  key: name,
  optional: false,
  fallback: undefined,
  decode: undefined,
  ...more,
});

function pick(fields: Record<string, FieldValue>, rules: KeyRule[], others = false) {
  const registered: FieldValue[] = [];
  const picked = pickKeys(new Map(Object.entries(fields)), rules, others, 'vault:a/b', (value) =>
    registered.push(value),
  );
  return { picked: [...picked], registered };
}

describe('keys', () => {
  it('are picked, renamed and ordered', () => {
    expect(pick({ a: 1, b: 2, c: 3 }, [rule('C', { key: 'c' }), rule('a')]).picked).toEqual([
      ['C', 3],
      ['a', 1],
    ]);
  });

  it('may be left out or have a default', () => {
    expect(pick({}, [rule('a', { optional: true }), rule('b', { fallback: 'x' })]).picked).toEqual([
      ['b', 'x'],
    ]);
  });

  it('that are missing are all named, with those that are there', () => {
    expect(() => pick({ user: 'S', port: 1 }, [rule('usr'), rule('pw')])).toThrow(
      'vault:a/b has no keys "usr", "pw"',
    );
  });

  it('of others come last', () => {
    expect(pick({ a: 1, b: 2, c: 3 }, [rule('B', { key: 'b' })], true).picked).toEqual([
      ['B', 2],
      ['a', 1],
      ['c', 3],
    ]);
    expect(() => pick({ a: 1, b: 2 }, [rule('a', { key: 'b' })], true)).toThrow('two values for the key "a"');
  });

  it.each([
    ['aGVsbG8=', 'hello'],
    ['aGVs\nbG8', 'hello'],
    ['-_8', Uint8Array.of(0xfb, 0xff)],
    ['', ''],
  ])('are decoded from base64 (%j), and registered', (text, value) => {
    const { picked, registered } = pick({ a: text }, [rule('a', { decode: 'base64' })]);
    const plain = value instanceof Uint8Array ? Buffer.from(value) : value;
    expect(picked).toEqual([['a', plain]]);
    expect(registered).toEqual([plain]);
  });

  it.each(['a', 'not base64!', 'abcde'])('%j is no base64', (text) => {
    expect(() => pick({ a: text }, [rule('a', { decode: 'base64' })])).toThrow('cannot be decoded as base64');
  });

  it('are decoded from json, and what is wrong is told without the value', () => {
    expect(pick({ a: '{"x":1}' }, [rule('a', { decode: 'json' })]).picked).toEqual([['a', { x: 1 }]]);
    expect(() => pick({ a: 'SECRET {' }, [rule('a', { decode: 'json' })])).toThrow(
      /^vault:a\/b: "a" cannot be decoded as json/,
    );
    expect(() => pick({ a: 'SECRET {' }, [rule('a', { decode: 'json' })])).not.toThrow(/SECRET/);
    expect(() => pick({ a: 5 }, [rule('a', { decode: 'json' })])).toThrow('it is not a text');
  });
});

describe('several sources', () => {
  const part = (source: string, fields: Record<string, FieldValue>): Part => ({
    source,
    name: undefined,
    content: { kind: 'fields', fields: new Map(Object.entries(fields)) },
  });

  it('are merged in their order', () => {
    const content = mergeParts([part('one', { a: 1, b: 2 }), part('two', { c: 3 })], 'error', 'json');
    expect(content).toEqual({
      kind: 'fields',
      fields: new Map([
        ['a', 1],
        ['b', 2],
        ['c', 3],
      ]),
    });
  });

  it('with one key are refused, naming both; or the last wins', () => {
    const parts = [part('one', { a: 1, b: 2 }), part('two', { a: 3 })];
    expect(() => mergeParts(parts, 'error', 'json')).toThrow(
      'two values for the key "a": both one and two have it',
    );
    expect(mergeParts(parts, 'last', 'json')).toEqual({
      kind: 'fields',
      fields: new Map([
        ['a', 3],
        ['b', 2],
      ]),
    });
  });

  it('a value that #FIELD picked has its name', () => {
    const picked: Part = { source: 'vault:a/b#pw', name: 'pw', content: { kind: 'value', value: 'x' } };
    expect(mergeParts([picked, part('one', { a: 1 })], 'error', 'dotenv')).toEqual({
      kind: 'fields',
      fields: new Map<string, FieldValue>([
        ['pw', 'x'],
        ['a', 1],
      ]),
    });
    expect(mergeParts([picked], 'error', 'dotenv')).toEqual({
      kind: 'fields',
      fields: new Map([['pw', 'x']]),
    });
    expect(mergeParts([picked], 'error', 'raw')).toBe(picked.content);
  });

  it('a value without a name cannot be merged', () => {
    const nameless: Part = { source: 'https://x/y', name: undefined, content: { kind: 'value', value: 'x' } };
    expect(() => mergeParts([nameless, part('one', {})], 'error', 'json')).toThrow(
      'https://x/y gives one value without a name',
    );
  });
});

describe('reads', () => {
  const address = (text: string) => parseSource(text, () => {});

  it('several fields of one secret are one read, which each gets its field of', () => {
    const [user, password, other, version] = [
      'vault:database/creds/app#username',
      'vault:database/creds/app#password',
      'vault:secret/x#y',
      'vault:secret/x?version=2#y',
    ].map(address) as [
      ReturnType<typeof address>,
      ReturnType<typeof address>,
      ReturnType<typeof address>,
      ReturnType<typeof address>,
    ];
    const reads = sharedReads([user, password, other, version]);
    expect(reads.addresses.map(({ text }) => text)).toEqual([
      'vault:database/creds/app',
      'vault:secret/x#y',
      'vault:secret/x?version=2#y',
    ]);
    const content = {
      kind: 'fields' as const,
      fields: new Map([
        ['username', 'u'],
        ['password', 'p'],
      ]),
    };
    const fetched: Fetched = { content, secret: true, provenance: { source: 'vault:database/creds/app' } };
    const found = new Map([[reads.addresses[0] as typeof user, fetched]]);
    expect(fetchedFor(password, reads, found).content).toEqual({ kind: 'value', value: 'p' });
    expect(fetchedFor(user, reads, found).content).toEqual({ kind: 'value', value: 'u' });
  });

  it('a field that is not there is a failure that names those that are', () => {
    const [a, b] = ['vault:secret/x#a', 'vault:secret/x#b'].map(address) as [
      ReturnType<typeof address>,
      ReturnType<typeof address>,
    ];
    const reads = sharedReads([a, b]);
    const content = { kind: 'fields' as const, fields: new Map([['a', '1']]) };
    const found = new Map([
      [reads.addresses[0] as typeof a, { content, secret: true, provenance: { source: 'x' } }],
    ]);
    expect(() => fetchedFor(b, reads, found)).toThrow('vault:secret/x#b has no field "b"');
  });
});
