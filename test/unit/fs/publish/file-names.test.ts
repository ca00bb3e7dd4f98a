import { describe, expect, it } from 'vitest';

import { explained } from '../../../../src/fs/error-message.ts';
import { modeText, parseFileMode, parseFileOwner } from '../../../../src/fs/publish/attributes.ts';
import {
  checkRelativePath,
  createNamer,
  isGeneration,
  isOurs,
} from '../../../../src/fs/publish/file-names.ts';
import { topNames } from '../../../../src/fs/publish/manifest.ts';

describe('a mode', () => {
  it.each([
    ['0440', 0o440],
    ['440', 0o440],
    ['0644', 0o644],
  ])('%s', (text, mode) => expect(parseFileMode(text)).toBe(mode));

  it.each(['', '44', '0o440', '0888', '4755', '04755', 'u=r', '-440'])('%j is refused', (text) => {
    expect(() => parseFileMode(text)).toThrow('is not a file mode in octal');
  });

  it('that lets nobody read is refused', () => {
    expect(() => parseFileMode('0222')).toThrow('lets nobody read');
  });

  it('is shown as it is written', () => expect(modeText(0o440)).toBe('0440'));
});

describe('an owner', () => {
  it('is two numbers', () => expect(parseFileOwner('1000:2000')).toEqual({ uid: 1000, gid: 2000 }));

  it.each(['1000', 'app:app', '1000:', ':1000', '-1:0', '4294967295:0', '0:99999999999', '1:2:3'])(
    '%j is refused',
    (text) => expect(() => parseFileOwner(text)).toThrow('is not UID:GID in numbers'),
  );
});

describe('a path below a folder', () => {
  it.each(['a', 'a/b', '.hidden', 'a..b', 'conf.d/x.yaml', 'a b', 'ü'])('%j is one', (path) => {
    expect(() => checkRelativePath(path)).not.toThrow();
  });

  it.each([
    '',
    '/a',
    '..',
    'a/..',
    '../a',
    'a/../b',
    'a//b',
    './a',
    'a/.',
    '..data',
    '..x/y',
    'a\0b',
    `a/${'x'.repeat(256)}`,
  ])('%j is none', (path) => expect(() => checkRelativePath(path)).toThrow('cannot be a file in the target'));

  it('begins with a name', () => {
    expect([...topNames(['a', 'b/c', 'b/d/e'])]).toEqual(['a', 'b']);
  });
});

describe('names of our own', () => {
  let state = 0;
  const namer = createNamer(
    () => (state += 0.001),
    () => new Date('2026-01-02T03:04:05.678Z'),
  );

  it('tell what they are, when and where they were made, and are never the same', () => {
    const generation = namer.generation();
    expect(generation).toMatch(/^\.\.initbox_20260102T030405Z_[\w-]+_[0-9a-z]{12}$/);
    expect(isGeneration(generation)).toBe(true);
    expect(isOurs(namer.temporary())).toBe(true);
    expect(isGeneration(namer.temporary())).toBe(false);
    expect(namer.generation()).not.toBe(generation);
    expect(namer.isLocal(generation)).toBe(true);
    expect(namer.isLocal('..initbox_20260102T030405Z_0000-elsewhere_abcdefabcdef')).toBe(false);
  });

  it.each(['..2026_01_01_00_00_00.123', '..initbox_/../x', '..initbox_a/b', 'initbox_x', '..data', '/etc'])(
    'are not %j',
    (name) => expect(isOurs(name)).toBe(false),
  );
});

describe("a system's error in words", () => {
  it.each([
    ['ENOSPC', 'the volume is full', /sizeLimit/],
    ['EROFS', 'it is on a read-only file system', /without readOnly/],
    ['EBUSY', 'it is a mount of its own, which cannot be replaced', /subPath/],
    ['EACCES', 'permission denied', /fsGroup/],
    ['ENOENT', 'its folder does not exist', /mounted/],
    ['EISDIR', 'it is a folder', /--format files/],
  ])('%s', (code, words, hint) => {
    const { outcome } = explained(Object.assign(new Error(code), { code }), '/config/app.conf');
    expect(outcome).toMatchObject({ status: 1, what: `cannot write /config/app.conf: ${words} (${code})` });
    expect(outcome.hint).toMatch(hint);
  });
});
