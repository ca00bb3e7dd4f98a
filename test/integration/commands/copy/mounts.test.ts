// What root has mounted below DEST, while somebody exchanges the names that lead to it.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { whileExchanged } from '../../../support/exchange.ts';
import { canMount, mounting } from '../../../support/faults.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { quote } from '../../../support/undo.ts';
import { copy, folder } from './support.ts';

const noMounts = requireOrSkip('mounts for copy', canMount());

/** Runs of one attack: without the defence, the first or second succeeded. */
const runs = 12;

describe.skipIf(noMounts)('--delete, with a bind mount of the same file system below DEST', () => {
  test('whose names are exchanged: nothing in it is removed', async () => {
    const [source, top, other] = [folder(), folder(), folder()];
    writeFileSync(join(source, 'f'), '');
    for (const name of ['key', 'x']) writeFileSync(join(other, name), '');
    for (const name of ['sub/empty', 'd1', 'd2', 'd3']) mkdirSync(join(other, name), { recursive: true });
    const prefix = mounting(`mount --bind ${quote(other)} ${quote(join(top, 'b/in'))}`);
    for (let run = 0; run < runs; run++) {
      for (const name of ['a', 'b'])
        for (const below of ['in/sub/empty', 'in/d1', 'in/d2', 'in/d3'])
          mkdirSync(join(top, name, below), { recursive: true });
      await whileExchanged(top, ['a', 'b', 0], async () => {
        const { status, stderr } = await copy([source, top, '--delete'], { prefix });
        expect([0, 1, 66, 69, 74], stderr).toContain(status);
      });
      const left = readdirSync(other, { recursive: true, encoding: 'utf8' });
      expect(left.toSorted(), `run ${run + 1}`).toEqual(['d1', 'd2', 'd3', 'key', 'sub', 'sub/empty', 'x']);
    }
  });
});
