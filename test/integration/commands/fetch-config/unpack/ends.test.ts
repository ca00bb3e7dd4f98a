import { execFileSync } from 'node:child_process';
// A thread of V8's that compiles what runs often could wait for a collection that never came: the work was done, and
// the process did not end. Of runs like these, one in ten did not.
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { runInitbox } from '../../../../support/program.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

test('unpacking a large archive ends, also where several at once want more processors than there are', async () => {
  const { path } = temporaryDirectory('archive');
  mkdirSync(join(path, 'tree'));
  const block = randomBytes(1 << 20);
  for (let written = 0; written < 300; written++) appendFileSync(join(path, 'tree/f'), block);
  const file = join(path, 'archive.tar.gz');
  execFileSync('sh', ['-c', 'tar c -C "$1" f | gzip -1 > "$2"', 'sh', join(path, 'tree'), file]);
  rmSync(join(path, 'tree'), { recursive: true });
  const unpack = async (): Promise<number | null> => {
    const { path: to } = temporaryDirectory('target');
    const { status } = await runInitbox(['fetch-config', `file:${file}`, '--unpack', '--to', to]);
    rmSync(to, { recursive: true });
    return status;
  };
  for (let round = 0; round < 5; round++)
    expect(await Promise.all([unpack(), unpack(), unpack()])).toEqual([0, 0, 0]);
}, 240_000);
