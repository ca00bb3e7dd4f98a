import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { belongsTo, ownerText, parseNewOwner, resolveOwner } from '../../../../src/commands/chown/owner.ts';

describe('OWNER[:GROUP]', () => {
  test.each([
    ['1000', '1000', undefined],
    ['1000:1000', '1000', '1000'],
    [':2000', undefined, '2000'],
    ['0:0', '0', '0'],
    ['4294967294:4294967294', '4294967294', '4294967294'],
    ['postgres:www-data', 'postgres', 'www-data'],
    ['_apt:65534', '_apt', '65534'],
    ['user.name', 'user.name', undefined],
  ])('%s', (text, user, group) => expect(parseNewOwner(text)).toEqual({ text, user, group }));

  test.each([
    ['', 'empty'],
    [':', 'names nobody'],
    ['1000:', 'no group after the colon; write "1000"'],
    ['1000:1000:1000', 'more than one colon'],
    ['-1', '-1 is not an id'],
    ['+5', '+5 is not an id'],
    ['1000:-1', '-1 is not an id'],
    ['4294967295', 'larger than the largest id, 4294967294'],
    ['99999999999999999999', 'larger than the largest id'],
    ['1000:4294967295', 'larger than the largest id'],
    ['a b', 'is not a name'],
    ['1000 ', 'is not a name'],
    ['-user', 'is not a name'],
    ['us/er', 'is not a name'],
    ['1000,1000', 'is not a name'],
  ])('%j is refused', (text, message) => expect(() => parseNewOwner(text)).toThrow(message));

  test.each(['1000:', ':', '-1', 'a b'])('%j: the message says what is accepted', (text) =>
    expect(() => parseNewOwner(text)).toThrow(/1000/),
  );
});

describe('names', () => {
  const etc = mkdtempSync(join(tmpdir(), 'initbox-unit-etc-'));
  writeFileSync(
    join(etc, 'passwd'),
    'root:x:0:0::/root:/bin/sh\nbroken\nodd:x:abc:1\napp:x:1000:1001:App:/app:/bin/false\n1234:x:77:77::/:/\n',
  );
  writeFileSync(join(etc, 'group'), 'root:x:0:\nshared:x:2000:app,root\n');
  afterAll(() => rmSync(etc, { recursive: true }));
  const resolve = (text: string, folder = etc) => resolveOwner(parseNewOwner(text), folder);

  test.each([
    ['app', { uid: 1000, gid: undefined }],
    ['app:shared', { uid: 1000, gid: 2000 }],
    [':shared', { uid: undefined, gid: 2000 }],
    ['5:shared', { uid: 5, gid: 2000 }],
    ['1234', { uid: 1234, gid: undefined }],
  ])('%s', (text, owner) => expect(resolve(text)).toEqual(owner));

  test.each([
    ['abc', /the user "abc" is not in this image's .*passwd; write its number/],
    ['1000:abc', /the group "abc" is not in this image's .*group/],
    ['odd', /the user "odd" is not in/],
  ])('%s is unknown', (text, message) => expect(() => resolve(text)).toThrow(message));

  test('an image without the files says so, and numbers work there', () => {
    expect(() => resolve('app', join(etc, 'none'))).toThrow(
      /this image has no .*none\/passwd; write its number/,
    );
    expect(resolve('1000:1000', join(etc, 'none'))).toEqual({ uid: 1000, gid: 1000 });
  });
});

test('what is not named is not compared', () => {
  const stat = { uid: 1, gid: 2 };
  expect(belongsTo(stat, { uid: 1, gid: 2 })).toBe(true);
  expect(belongsTo(stat, { uid: undefined, gid: 2 })).toBe(true);
  expect(belongsTo(stat, { uid: 1, gid: undefined })).toBe(true);
  expect(belongsTo(stat, { uid: 1, gid: 1 })).toBe(false);
  expect(belongsTo(stat, { uid: 2, gid: undefined })).toBe(false);
});

test.each([
  [{ uid: 1, gid: 2 }, '1:2'],
  [{ uid: 1, gid: undefined }, '1'],
  [{ uid: undefined, gid: 2 }, ':2'],
])('%o is written %s', (owner, text) => expect(ownerText(owner)).toBe(text));
