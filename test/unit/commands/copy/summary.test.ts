import { Stats } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { attributesOf, type AttributeSettings } from '../../../../src/commands/copy/attributes.ts';
import { likeness } from '../../../../src/commands/copy/content.ts';
import { copySummary, leftOutText } from '../../../../src/commands/copy/summary.ts';
import { emptyCopyTally } from '../../../../src/commands/copy/tally.ts';
import { modesOf } from '../../../../src/fs/tree/mode.ts';
import { addTally, problemLines, walkProgressText } from '../../../../src/fs/tree/tally.ts';

function stat(values: { size?: number; mtimeMs?: number; mode?: number; uid?: number; gid?: number }): Stats {
  return Object.assign(Object.create(Stats.prototype) as Stats, {
    mode: 0o100644,
    uid: 0,
    gid: 0,
    ...values,
  });
}

describe('likeness', () => {
  const time = Date.parse('2025-01-02');
  test.each([
    ['size and time', { size: 5, mtimeMs: time }, { size: 5, mtimeMs: time }, false, 'same'],
    [
      'a time that a double cannot tell',
      { size: 5, mtimeMs: time },
      { size: 5, mtimeMs: time + 0.001 },
      false,
      'same',
    ],
    ['another size', { size: 5, mtimeMs: time }, { size: 6, mtimeMs: time }, false, 'different'],
    ['another time', { size: 5, mtimeMs: time }, { size: 5, mtimeMs: time + 1 }, false, 'unknown'],
    ['asked to compare', { size: 5, mtimeMs: time }, { size: 5, mtimeMs: time }, true, 'unknown'],
    ['1970', { size: 5, mtimeMs: 0 }, { size: 5, mtimeMs: 0 }, false, 'unknown'],
    [
      'the first time of zip',
      { size: 5, mtimeMs: 315_532_800_000 },
      { size: 5, mtimeMs: 315_532_800_000 },
      false,
      'unknown',
    ],
  ])('%s', (_what, source, there, always, like) =>
    expect(likeness(stat(source), stat(there), always)).toBe(like),
  );
});

describe('attributesOf', () => {
  const settings: AttributeSettings = {
    modes: modesOf({ setgid: false }),
    owner: undefined,
    mayChown: false,
    ownUser: 1000,
    mask: 0o22,
  };
  test('without the right to give files away: no owner, no set-ID bits', () =>
    expect(attributesOf(stat({ mode: 0o106755, uid: 5 }), settings)).toEqual({
      mode: 0o755,
      owner: undefined,
    }));
  test('with it: all of them', () =>
    expect(attributesOf(stat({ mode: 0o106755, uid: 5, gid: 6 }), { ...settings, mayChown: true })).toEqual({
      mode: 0o6755,
      owner: { uid: 5, gid: 6 },
    }));
  test('what was asked for', () =>
    expect(
      attributesOf(stat({ mode: 0o100600 }), {
        ...settings,
        owner: { uid: 1, gid: 2 },
        modes: modesOf({ mode: 'u=rwX,g=rX,o=', setgid: false }),
      }),
    ).toEqual({ mode: 0o640, owner: { uid: 1, gid: 2 } }));
});

describe('words', () => {
  const tally = { ...emptyCopyTally(), entries: 202_001, copied: 1200, bytes: 1_500_000, right: 200_801 };

  test('the summary', () => {
    expect(copySummary(tally, undefined, false)).toBe('1,200 copied (1.4 MiB), 200,801 unchanged');
    expect(copySummary({ ...tally, kept: 2, excluded: 3, vanished: 1 }, 4, true)).toBe(
      '1,200 to copy (1.4 MiB), 200,801 unchanged, 2 kept, 4 to remove, 3 excluded, 1 vanished meanwhile',
    );
  });
  test('progress', () =>
    expect(walkProgressText({ ...tally, errors: 1 }, 5000, '7 written')).toBe(
      '202,001 entries so far in 5s, 40,400/s, 7 written, 1 error',
    ));
  test('what is left out', () => {
    expect(leftOutText(tally)).toBeUndefined();
    expect(leftOutText({ ...tally, fifos: 1, sockets: 2, devices: 1 })).toMatch(
      /1 FIFO, 2 sockets, 1 device$/,
    );
    expect(leftOutText({ ...tally, attributes: 1, acls: 1200 })).toMatch(
      /: extended attributes \(xattrs\) of 1 entry, ACLs of 1,200 entries$/,
    );
  });
  test('problems: ten are listed, all counted', () => {
    const sum = emptyCopyTally();
    for (let i = 0; i < 12; i++)
      addTally(sum, {
        ...emptyCopyTally(),
        errors: 1,
        problems: [{ path: `/f${i}`, action: 'copy', code: 'EACCES' }],
      });
    const lines = problemLines(sum);
    expect(lines).toHaveLength(11);
    expect(lines[0]).toBe('cannot copy "/f0": EACCES');
    expect(lines.at(-1)).toBe('and 2 more');
  });
});
