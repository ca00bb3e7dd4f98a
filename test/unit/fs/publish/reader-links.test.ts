import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { Directory } from '../../../../src/fs/directory/directory.ts';
import { nameStateOf } from '../../../../src/fs/publish/reader-links.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'initbox-links-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A directory in which something happens just before the given look at a name, counted from 1. */
function changing(look: number, change: () => void): Directory {
  const directory = Directory.open(folder);
  let looks = 0;
  const at = (name: string): string => `${directory.itself}/${name}`;
  return Object.assign(directory, {
    at(name: string): string {
      if (++looks === look) change();
      return at(name);
    },
  });
}

test('what stands under a name is told', () => {
  using directory = Directory.open(folder);
  expect(nameStateOf(directory, 'a')).toBe('free');
  writeFileSync(join(folder, 'a'), '');
  expect(nameStateOf(directory, 'a')).toBe('plain file');
  symlinkSync('..data/b', join(folder, 'b'));
  expect(nameStateOf(directory, 'b')).toBe('linked');
  symlinkSync('/etc/passwd', join(folder, 'c'));
  expect(() => nameStateOf(directory, 'c')).toThrow('a symbolic link stands there that initbox did not make');
});

test('a link that another pod takes away between two looks is no foreign link', () => {
  const link = join(folder, 'a');
  symlinkSync('..data/a', link);
  using gone = changing(2, () => unlinkSync(link));
  expect(nameStateOf(gone, 'a')).toBe('free');
  symlinkSync('..data/a', link);
  using replaced = changing(2, () => {
    unlinkSync(link);
    writeFileSync(link, '');
  });
  expect(nameStateOf(replaced, 'a')).toBe('plain file');
});
