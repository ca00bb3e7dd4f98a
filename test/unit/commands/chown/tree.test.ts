import { describe, expect, test } from 'vitest';

import { pathOf, rawOf, shownName } from '../../../../src/fs/directory/file-name.ts';
import { isWithin, mountOf, parseMounts, sizeTells } from '../../../../src/fs/directory/mounts.ts';
import { absolutePath } from '../../../../src/fs/directory/pinned-path.ts';
import { compileExclude } from '../../../../src/fs/tree/exclude.ts';
import { NamePattern } from '../../../../src/fs/tree/name-pattern.ts';

describe('names', () => {
  test('every byte survives', () => {
    const bytes = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 47));
    const path = pathOf(bytes.toString('latin1'));
    expect(Buffer.from(path as Buffer)).toEqual(bytes);
  });

  test('plain ASCII stays a string', () => expect(pathOf('a\nb c')).toBe('a\nb c'));

  test('UTF-8 is shown as it is, other bytes as U+FFFD', () => {
    expect(shownName(rawOf('größe/日本'))).toBe('größe/日本');
    expect(shownName('\xff\xfe')).toBe('\uFFFD\uFFFD');
    expect(Buffer.from(pathOf(rawOf('größe')) as Buffer).toString()).toBe('größe');
  });
});

describe('exclude', () => {
  test.each([
    ['lost+found', 'lost+found', true],
    ['lost+found', 'a/b/lost+found', true],
    ['*.log', 'a/b/x.log', true],
    ['*.log', 'a/.hidden.log', true],
    ['*.log', 'a/x.log.1', false],
    ['cache/*', 'cache/x', true],
    ['cache/*', 'a/cache/x', false],
    ['/cache', 'cache', true],
    ['/cache', 'a/cache', false],
    ['**/cache', 'a/b/cache', true],
    ['cache/', 'cache', true],
    ['./a/b', 'a/b', true],
    ['{a,b}', 'b', true],
    ['[ab]c', 'ac', true],
    ['!x', 'y', false],
    ['größe', 'x/größe', true],
  ])('%s on %s: %s', (pattern, path, matches) => expect(compileExclude([pattern])(path)).toBe(matches));

  test.each([
    ['[!a]*', ['b2', '[x]', ']', '^c', '+(a)', '!(x)', '!bang', 'users.db']],
    ['[^a]*', ['b2', '[x]', ']', '^c', '+(a)', '!(x)', '!bang', 'users.db']],
    ['[!]]*', ['a1', 'b2', '[x]', '^c', 'a{1,2}', '+(a)', '!(x)', '!bang', 'users.db']],
    ['[!a-z]*', ['[x]', ']', '^c', '+(a)', '!(x)', '!bang']],
    ['[[]x]', ['[x]']],
    ['[]a]*', ['a1', ']', 'a{1,2}']],
    ['[[:alpha:]][[:digit:]]', ['a1', 'b2']],
    ['+(a)', ['+(a)']],
    ['!(x)', ['!(x)']],
    ['!ban*', ['!bang']],
    ['(a|b)*', []],
    ['\\[x]', ['[x]']],
  ])('%s is what it is in a shell: %s', (pattern, expected) => {
    const names = ['a1', 'b2', '[x]', ']', '^c', 'a{1,2}', '+(a)', '!(x)', '!bang', 'users.db'];
    expect(names.filter((name) => compileExclude([pattern])(name))).toEqual(expected);
    expect(names.filter((name) => new NamePattern(pattern).matchesAsInShell(name))).toEqual(expected);
  });

  test('braces are for --exclude alone', () => {
    expect(compileExclude(['a{1,2}'])('a1')).toBe(true);
    expect(new NamePattern('a{1,2}').matches('a1')).toBe(false);
    expect(new NamePattern('a{1,2}').matches('a{1,2}')).toBe(true);
  });

  test('any of several', () => expect(compileExclude(['a', 'b'])('x/b')).toBe(true));

  test.each(['/', './', '//'])('%j is refused', (pattern) =>
    expect(() => compileExclude([pattern])).toThrow('matches nothing'),
  );
  test('an unclosed bracket is refused', () => expect(() => compileExclude(['[ab'])).toThrow());
});

describe('mounts', () => {
  const mounts = parseMounts(
    [
      '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
      '30 22 0:5 / /data rw,idmapped shared:2 master:1 - nfs4 server:/x rw,vers=4',
      '31 30 0:6 / /data/a\\040b\\134c ro - tmpfs none ro',
      '32 30 0:7 / /data rw - xfs /dev/b rw',
      '',
    ].join('\n'),
  );

  test('a line', () =>
    expect(mounts[1]).toEqual({
      id: 30,
      parent: 22,
      device: '0:5',
      root: '/',
      point: '/data',
      options: 'rw,idmapped',
      type: 'nfs4',
      source: 'server:/x',
    }));
  test('escapes', () => expect(mounts[2]?.point).toBe('/data/a b\\c'));
  test.each([
    ['/data/x', 32],
    ['/data', 32],
    ['/database', 22],
    ['/data/a b\\c/d', 31],
    ['/', 22],
  ])('%s is on the last mount over it', (path, id) => expect(mountOf(path, mounts)?.id).toBe(id));
  test('within', () => {
    expect(isWithin('/a/b', '/a')).toBe(true);
    expect(isWithin('/ab', '/a')).toBe(false);
    expect(isWithin('/a', '/')).toBe(true);
    expect(isWithin('/a', '/a')).toBe(true);
  });
});

test.each([
  ['tmpfs', 0x01021994, 2, true],
  ['btrfs, whose directories have one link', 0x9123683e, 1, true],
  ['overlay, one directory', 0x794c7630, 3, true],
  ['overlay, one merged of several', 0x794c7630, 1, false],
  ['NFS', 0x6969, 2, false],
])('%s: whether the size of a directory tells how long its listing is', (_, type, nlink, tells) =>
  expect(sizeTells(type)({ nlink })).toBe(tells),
);

test.each([
  ['/data/', '/data'],
  ['//', '/'],
  ['/a//b/./c/..', '/a/b'],
  ['/../..', '/'],
])('%s is %s', (path, absolute) => expect(absolutePath(path)).toBe(absolute));
