// A volume that fails to answer a question says nothing of what is there: nothing is removed or left out for that.
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { pointsOf, striking } from '../../../support/strace-points.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { copy, memoryFolder } from './support.ts';

const noStrace = requireOrSkip('calls that fail', whyMissing('strace', 'strace'));

/** Entries in the top and in folders, and the volume of a ConfigMap. */
function tree(top: string, text: string): string {
  mkdirSync(join(top, 'd/e'), { recursive: true });
  for (const path of ['a', 'b', 'd/c', 'd/e/f']) writeFileSync(join(top, path), `${text} ${path}`);
  const version = '..2026_01_02_03_04_05.123456789';
  mkdirSync(join(top, 'keys', version), { recursive: true });
  writeFileSync(join(top, 'keys', version, 'key'), text);
  symlinkSync(version, join(top, 'keys/..data'));
  symlinkSync('..data/key', join(top, 'keys/key'));
  return top;
}

describe.skipIf(noStrace)('a volume that fails at one call', () => {
  test.each([
    ['openat', ['--delete']],
    ['openat', ['--delete', '--exclude', 'only']],
    ['readlink', ['--delete']],
    ['statx', ['--delete']],
  ])('%s, copy %j: what the source has is in DEST', async (call, flags) => {
    const top = memoryFolder();
    const [from, to] = ['from', 'to'].map((name) => join(top, name)) as [string, string];
    for (const path of [from, to]) mkdirSync(path);
    tree(from, 'new');
    const reset = (): void => {
      execFileSync('find', [to, '-mindepth', '1', '-delete']);
      for (const path of ['a', 'only']) writeFileSync(join(to, path), 'old');
      mkdirSync(join(to, 'd/gone'), { recursive: true });
    };
    const names = (): string[] =>
      // A folder's size counts what is prepared in it, too.
      execFileSync(
        'find',
        [to, '(', '-type', 'd', '-printf', '%P d\\n', ')', '-o', '-printf', '%P %y %s %l\\n'],
        {
          encoding: 'utf8',
        },
      )
        .trim()
        .split('\n')
        .filter((line) => line !== '' && !/^ |^\.\.initbox-copy/.test(line))
        .toSorted();
    reset();
    const points = await pointsOf(top, [call], async (prefix) => {
      const { status, stderr } = await copy([from, to, ...flags], { prefix });
      expect(status, stderr).toBe(0);
    });
    const whole = names();
    expect(points.length).toBeGreaterThan(5);
    for (const point of points) {
      reset();
      const prefix = striking(point, 'error=EIO');
      const { status, stderr } = await copy([from, to, ...flags], { prefix });
      const where = `${point.call} ${point.n}: ${stderr}`;
      expect(stderr).not.toContain('unexpected error');
      if (status === 0) expect(names(), where).toEqual(whole);
      // Whatever became of the rest: what readers saw and the source has is there.
      expect(
        names().some((line) => line.startsWith('a ')),
        where,
      ).toBe(true);
    }
  });
});
