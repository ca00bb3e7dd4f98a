// One directory by two names: a source and DEST that are, or lie in, one another by a bind mount, a subPath or a link.
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount, mounting } from '../../../support/faults.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { quote } from '../../../support/undo.ts';
import { copy, folder } from './support.ts';

const noMounts = requireOrSkip('mounts for copy', canMount());

function pathsIn(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' }).toSorted();
}

function bound(from: string, to: string): string[] {
  return mounting(`mount --bind ${quote(from)} ${quote(to)}`);
}

describe.skipIf(noMounts)('a bind mount, as of a subPath', () => {
  test('--delete: the source is inside DEST by another name; nothing is removed', async () => {
    const [volume, other] = [folder(), folder()];
    mkdirSync(join(volume, 't/keep'), { recursive: true });
    writeFileSync(join(volume, 't/f'), 'f');
    const before = pathsIn(volume);
    for (const flags of [['--delete'], ['--delete', '--dry-run']]) {
      const { status, stderr } = await copy([other, volume, ...flags], {
        prefix: bound(join(volume, 't'), other),
      });
      expect(stderr).toContain(`${other} is inside ${volume}`);
      expect(status).toBe(2);
      expect(pathsIn(volume)).toEqual(before);
    }
    // Without it nothing is lost.
    expect(await copy([other, volume], { prefix: bound(join(volume, 't'), other) })).toMatchObject({
      status: 0,
    });
    expect(pathsIn(volume)).toEqual([...before, 'f', 'keep'].toSorted());
  });

  test('DEST is inside the source by another name', async () => {
    for (const below of ['', 'new/deep']) {
      const [from, to] = [folder(), folder()];
      mkdirSync(join(from, 'sub'));
      writeFileSync(join(from, 'f'), 'f');
      const { status, stderr } = await copy([from, join(to, below)], {
        prefix: bound(join(from, 'sub'), to),
      });
      expect(stderr).toContain('the copy would copy itself');
      expect(status).toBe(2);
      expect(pathsIn(from)).toEqual(['f', 'sub']);
    }
  });

  test('both are bind mounts of one volume', async () => {
    const [volume, from, to] = [folder(), folder(), folder()];
    mkdirSync(join(volume, 'a/b'), { recursive: true });
    for (const path of ['a/f', 'a/b/f']) writeFileSync(join(volume, path), path);
    const prefix = [...bound(join(volume, 'a'), from), ...bound(join(volume, 'a/b'), to)];
    const { status, stderr } = await copy([from, to], { prefix });
    expect(stderr).toContain('the copy would copy itself');
    expect(status).toBe(2);
    const turned = await copy([to, from, '--delete'], { prefix });
    expect(turned.stderr).toContain('--delete would remove it');
    expect(turned.status).toBe(2);
    expect(pathsIn(volume)).toEqual(['a', 'a/b', 'a/b/f', 'a/f']);
  });

  for (const flags of [[], ['--atomic'], ['--delete'], ['--dry-run'], ['--if-empty']]) {
    test(`DEST is met below a source, in what is mounted there: ${flags.join(' ') || 'no options'}`, async () => {
      const [from, above] = [folder(), folder()];
      mkdirSync(join(from, 'in'));
      writeFileSync(join(from, 'f'), 'f');
      mkdirSync(join(above, 'dest'));
      const prefix = bound(above, join(from, 'in'));
      const { status, stderr } = await copy([from, join(above, 'dest'), ...flags], { prefix });
      expect(stderr).toContain('it is DEST itself');
      expect(status).toBe(1);
      expect(pathsIn(join(above, 'dest')).filter((name) => !name.startsWith('..initbox'))).toEqual([]);
      for (const way of [['--one-file-system'], ['--exclude', 'dest']])
        if (!flags.includes('--atomic'))
          expect(
            (await copy([from, join(above, 'dest'), '--dry-run', ...way], { prefix })).status,
            way[0],
          ).toBe(0);
    });
  }
});

test('--dereference: a link in the source leads to DEST, or to a directory above it', async () => {
  for (const below of ['', 'dest']) {
    const [from, above] = [folder(), folder()];
    mkdirSync(join(above, 'dest'));
    writeFileSync(join(from, 'f'), 'f');
    symlinkSync(join(above, below), join(from, 'link'));
    const { status, stderr } = await copy([from, join(above, 'dest'), '-L']);
    expect(stderr).toContain('it is DEST itself');
    expect(status).toBe(1);
    expect(pathsIn(above)).toEqual(['dest']);
  }
});

test('a volume of keys alone and DEST in it, or the same', async () => {
  const volume = folder();
  mkdirSync(join(volume, '..v1'));
  writeFileSync(join(volume, '..v1/key'), 'k');
  symlinkSync('..v1', join(volume, '..data'));
  symlinkSync('..data/key', join(volume, 'key'));
  const before = pathsIn(volume);
  for (const [to, words] of [
    [volume, 'are the same directory'],
    [join(volume, 'new'), 'the copy would copy itself'],
  ] as const) {
    const { status, stderr } = await copy([volume, to]);
    expect(stderr).toContain(words);
    expect(status).toBe(2);
    expect(pathsIn(volume)).toEqual(before);
  }
});
