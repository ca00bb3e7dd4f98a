// One run that writes to two folders, of which the second has no room: all of it is shown, or nothing.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { canMount, mountTmpfs } from '../../../support/faults.ts';
import { runInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { leftovers } from '../../commands/copy/support.ts';

test.skipIf(requireOrSkip('a folder without room', canMount()))(
  'whatever number of inodes the second folder has left: both, or none',
  async () => {
    const { path: top } = temporaryDirectory('several');
    const ends = new Set<number | null>();
    for (let inodes = 3; inodes <= 15; inodes++) {
      using first = mountTmpfs({ size: '1m' });
      using second = mountTmpfs({ size: '1m', options: `nr_inodes=${inodes}` });
      const names = ['a', 'b'];
      mkdirSync(join(top, 'in'), { recursive: true });
      for (const name of names) writeFileSync(join(top, 'in', name), String(inodes));
      // A folder of each volume in which two files appear at once, through links.
      const files = [first.path, second.path].flatMap((folder) =>
        names.map((name) => ({ path: join(folder, name), from: [{ source: `file:${top}/in/${name}` }] })),
      );
      const spec = JSON.stringify({ files });
      writeFileSync(join(top, 'spec.yaml'), spec);
      const { status, stderr } = await runInitbox([
        'fetch-config',
        '--spec',
        join(top, 'spec.yaml'),
        '--allow-disk',
      ]);
      ends.add(status);
      const shown = [first.path, second.path].flatMap((folder) =>
        names.map((name) => {
          try {
            return readFileSync(join(folder, name), 'utf8');
          } catch {
            return '';
          }
        }),
      );
      expect(new Set(shown), `${inodes}: ${stderr}`).toEqual(new Set([status === 0 ? String(inodes) : '']));
      if (status !== 0) {
        expect(stderr).toContain('ENOSPC');
        expect([...leftovers(first.path), ...leftovers(second.path)]).toEqual([]);
      }
    }
    // Both ends were seen: the bounds are not beside the point.
    expect(ends).toEqual(new Set([0, 1]));
  },
);
