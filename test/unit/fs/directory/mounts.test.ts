import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { readMounts } from '../../../../src/fs/directory/mounts.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

test('the table is what it is now, however often it was read', () => {
  const file = join(temporaryDirectory('mounts').path, 'mountinfo');
  const read = (...points: string[]) => {
    writeFileSync(file, points.map((point) => `1 0 8:1 / ${point} rw - ext4 /dev/sda1 rw\n`).join(''));
    return readMounts(file).map(({ point }) => point);
  };
  expect(read('/')).toEqual(['/']);
  expect(read('/')).toEqual(['/']);
  expect(read('/', '/data')).toEqual(['/', '/data']);
  expect(read('/')).toEqual(['/']);
  expect(readMounts(join(file, 'nowhere'))).toEqual([]);
});
