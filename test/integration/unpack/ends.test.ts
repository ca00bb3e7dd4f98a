// V8's threads, woken for each of the many collections of an unpacking, could leave one asleep that the end waits for.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runInitbox } from '../../support/program.ts';
import { temporaryDirectory } from '../../support/undo.ts';

test('unpacking ends, also where several at once want more processors than there are', async () => {
  const { path } = temporaryDirectory('archive');
  mkdirSync(join(path, 'tree'));
  const file = join(path, 'archive.tar');
  execFileSync('dd', ['if=/dev/zero', `of=${join(path, 'tree/f')}`, 'bs=1M', 'count=24', 'status=none']);
  execFileSync('tar', ['cf', file, '-C', join(path, 'tree'), 'f']);
  const unpack = async (): Promise<number | null> => {
    const { path: to } = temporaryDirectory('target');
    return (await runInitbox(['fetch-config', `file:${file}`, '--unpack', '--to', to])).status;
  };
  for (let round = 0; round < 12; round++)
    expect(await Promise.all(Array.from({ length: 5 }, unpack))).toEqual([0, 0, 0, 0, 0]);
}, 240_000);
