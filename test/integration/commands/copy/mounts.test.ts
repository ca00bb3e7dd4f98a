// What root has mounted below DEST, while somebody exchanges the names that lead to it.
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { whileExchanged } from '../../../support/exchange.ts';
import { canMount, mounting, mountTmpfs, underStrace } from '../../../support/faults.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote } from '../../../support/undo.ts';
import { copy, folder, leftovers } from './support.ts';

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

/** As the owner of a volume, takes every stage in it to another name, once it is filled. */
const takeAway = `
import os, sys
os.chdir(sys.argv[1])
os.setgroups([])
os.setgid(1000)
os.setuid(1000)
print("ready", flush=True)
count = 0
while True:
    for name in os.listdir("."):
        if name.startswith("..initbox-copy"):
            try:
                os.rename(name, "hidden-%d" % count)
                count += 1
            except OSError:
                pass
`;

describe.skipIf(noMounts)('with a volume of somebody else mounted below DEST', () => {
  test.each([['one process', 200] as const, ['helpers as well', 12_000] as const])(
    'whose owner takes away what is prepared in it: the run fails (%s)',
    async (_, files) => {
      using inner = mountTmpfs({ size: '64m' });
      const [source, top] = [folder(), folder()];
      for (let i = 0; i < files; i++) {
        if (i % 100 === 0) mkdirSync(join(source, `m/d${i / 100}`), { recursive: true });
        writeFileSync(join(source, `m/d${Math.floor(i / 100)}/f${i}`), 'x');
      }
      mkdirSync(join(top, 'm'));
      chownSync(inner.path, 1000, 1000);
      chmodSync(inner.path, 0o755);
      const prefix = mounting(`mount --bind ${quote(inner.path)} ${quote(join(top, 'm'))}`);
      const thief = spawn('python3', ['-c', takeAway, inner.path], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = new Promise((resolve) => thief.once('close', resolve));
      let said = '';
      thief.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      try {
        while (!said.includes('ready')) await new Promise((resolve) => setTimeout(resolve, 10));
        // He may come too late for a run; then what it copied is there.
        const taken = (): number =>
          readdirSync(inner.path).filter((name) => name.startsWith('hidden-')).length;
        let failed = false;
        for (let run = 0; run < 50 && !failed; run++) {
          const before = taken();
          const { status, stderr } = await copy([source, top], { prefix });
          failed = status !== 0;
          if (failed) expect(taken(), stderr).toBeGreaterThan(before);
          const shown = readdirSync(inner.path).filter((name) => /^d\d+$/.test(name));
          const copied = shown.flatMap((name) => readdirSync(join(inner.path, name)));
          if (!failed) expect(copied, stderr).toHaveLength(files);
          for (const name of shown) rmSync(join(inner.path, name), { recursive: true });
        }
        expect(failed, 'he took what was prepared, and a run noticed').toBe(true);
      } finally {
        thief.kill('SIGKILL');
        await ended;
      }
    },
  );

  const noStrace = requireOrSkip('an end among the renames', whyMissing('strace', 'strace'));

  test.skipIf(noStrace)('what a killed run prepared in it is removed by the next', async () => {
    using inner = mountTmpfs({ size: '16m' });
    const [source, top] = [folder(), folder()];
    mkdirSync(join(source, 'm'));
    for (const name of ['a', 'b', 'm/a', 'm/b']) writeFileSync(join(source, name), name);
    mkdirSync(join(top, 'm'));
    const prefix = mounting(`mount --bind ${quote(inner.path)} ${quote(join(top, 'm'))}`);
    const strace = underStrace('inject=rename:signal=KILL:when=2');
    const killed = await copy([source, top], { prefix: [...prefix, ...strace] });
    expect(killed.status).not.toBe(0);
    expect(leftovers(inner.path)).not.toEqual([]);
    expect(leftovers(top)).not.toEqual([]);
    const { status, stderr } = await copy([source, top], { prefix });
    expect(status, stderr).toBe(0);
    expect(leftovers(top)).toEqual([]);
    expect(leftovers(inner.path)).toEqual([]);
    expect(readdirSync(inner.path).toSorted()).toEqual(['a', 'b']);
  });
});

test.skipIf(noMounts)('--atomic onto a name where a volume is mounted says that', async () => {
  using inner = mountTmpfs({ size: '1m' });
  const [source, top] = [folder(), folder()];
  for (const path of [source, top]) mkdirSync(join(path, 'm'));
  const prefix = mounting(`mount --bind ${quote(inner.path)} ${quote(join(top, 'm'))}`);
  const { status, stderr } = await copy([source, top, '--atomic'], { prefix });
  expect(status, stderr).toBe(1);
  expect(stderr).toContain('m: a volume is mounted there, and two volumes cannot change at once');
});
