import { describe, expect, test } from 'vitest';

import { noteSeen, SeenDirectories } from '../../../../src/commands/copy/seen-directories.ts';

const paths = Array.from({ length: 20_000 }, (_, at) => `a/directory-${at % 100}/sub-${at}`);

describe('directories that a copy has entered', () => {
  const noted: number[] = [];
  for (const [ino, path] of paths.entries()) noteSeen(noted, { ino, ctimeMs: 1000.25 + ino }, path);
  noteSeen(noted, { ino: 1, ctimeMs: 5 }, 'of two');
  noteSeen(noted, { ino: 2, ctimeMs: 6 }, 'of two');
  const seen = new SeenDirectories(noted);

  test('are as they were, and are others, by inode and by the time of a change', () => {
    for (const [ino, path] of paths.entries()) {
      const ctimeMs = 1000.25 + ino;
      expect(seen.isChanged(path, [{ ino, ctimeMs }])).toBe(false);
      expect(seen.isChanged(path, [{ ino, ctimeMs: ctimeMs + 0.01 }])).toBe(true);
      expect(seen.isChanged(path, [{ ino: ino + 1, ctimeMs }])).toBe(true);
      expect(seen.isChanged(path, [])).toBe(true);
    }
  });

  test('of several sources each counts; what was not entered is never another', () => {
    const [one, two, more] = [
      { ino: 1, ctimeMs: 5 },
      { ino: 2, ctimeMs: 6 },
      { ino: 3, ctimeMs: 7 },
    ];
    expect(seen.isChanged('of two', [two, one, more])).toBe(false);
    expect(seen.isChanged('of two', [one])).toBe(true);
    expect(seen.isChanged('of none', [more])).toBe(false);
    expect(new SeenDirectories([]).isChanged('', [])).toBe(false);
  });
});
