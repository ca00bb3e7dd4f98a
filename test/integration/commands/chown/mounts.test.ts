// What root has mounted below the path, while somebody exchanges the names that lead to it.
import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { whileExchanged } from '../../../support/exchange.ts';
import { canMount, mounting } from '../../../support/faults.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { quote } from '../../../support/undo.ts';
import { chown, folder, notRoot, ownerOf, owners } from './support.ts';

const noMounts = notRoot || requireOrSkip('mounts for chown', canMount());

/** Runs of one attack: without the defence, one of the first ten succeeded each time. */
const runs = 15;

describe.skipIf(noMounts)('a bind mount of the same file system whose names are exchanged', () => {
  test.each([
    ['the folder above it', 'b/in', ['a', 'b']],
    ['its own name', 'b', ['a', 'b']],
  ] as const)('a folder, by %s: nothing in it is changed', async (_what, point, names) => {
    const [outside, other] = [folder(), folder()];
    const top = join(outside, 'vol');
    for (const name of names) mkdirSync(join(top, name, 'in'), { recursive: true });
    mkdirSync(join(other, 'sub'));
    writeFileSync(join(other, 'sub/key'), '');
    const prefix = mounting(`mount --bind ${quote(other)} ${quote(join(top, point))}`);
    const exchanges = await whileExchanged(top, [...names, 0], async () => {
      for (let run = 0; run < runs; run++) {
        const { status, stderr } = await chown([`${1000 + run}:1000`, top], { prefix });
        expect([0, 1], stderr).toContain(status);
        expect(owners(other), `run ${run + 1}`).toEqual({ '0:0': 3 });
      }
    });
    expect(exchanges).toBeGreaterThan(1000);
    expect(ownerOf(top)).toBe(`${1000 + runs - 1}:1000`);
  });

  test('a folder that is exchanged from beside the path into it', async () => {
    const [outside, other] = [folder(), folder()];
    const top = join(outside, 'vol');
    for (const name of ['vol', 'beside']) mkdirSync(join(outside, name, 'in'), { recursive: true });
    writeFileSync(join(other, 'key'), '');
    const prefix = mounting(`mount --bind ${quote(other)} ${quote(join(outside, 'beside/in'))}`);
    for (let run = 0; run < runs; run++) {
      await whileExchanged(outside, ['vol/in', 'beside/in', 0], async () => {
        await chown([`${1000 + run}:1000`, top], { prefix });
      });
      expect(owners(other), `run ${run + 1}`).toEqual({ '0:0': 2 });
    }
  });

  test.each([
    ['the owner alone', []],
    ['the mode too', ['--mode', 'u=rwX,g=rwX,o=rX']],
  ])('a file, by its own name: it is not changed, %s', async (_what, flags) => {
    const [top, other] = [folder(), folder()];
    writeFileSync(join(other, 'key'), '', { mode: 0o600 });
    for (const name of ['a', 'b']) writeFileSync(join(top, name), '');
    const prefix = mounting(`mount --bind ${quote(join(other, 'key'))} ${quote(join(top, 'b'))}`);
    await whileExchanged(top, ['a', 'b', 0], async () => {
      for (let run = 0; run < runs; run++) {
        const { status, stderr } = await chown([`${1000 + run}:1000`, top, ...flags], { prefix });
        expect([0, 1], stderr).toContain(status);
        expect(ownerOf(join(other, 'key')), `run ${run + 1}`).toBe('0:0');
        expect(lstatSync(join(other, 'key')).mode & 0o777).toBe(0o600);
      }
    });
  });
});
