// What a copy changes where readers see it, on volumes on which each call takes long: several folders at a time.
import {
  closeSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { type Manner, merge } from '../../../../src/commands/copy/merge.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';
import { whileExchanged } from '../../../support/exchange.ts';
import { groupGone, killGroup } from '../../../support/faults.ts';
import { startInitbox } from '../../../support/program.ts';
import { canMountSlowly, mountSlowly } from '../../../support/slow-volume.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { contentOf, copy, folder, leftovers } from './support.ts';

/** Files of one letter, in folders of folders. */
function tree(top: string, folders: number, files: number, letter: string): string {
  for (let i = 0; i < folders; i++) {
    const at = join(top, `g${i % 3}/d${i}`);
    mkdirSync(at, { recursive: true });
    for (let j = 0; j < files; j++) writeFileSync(join(at, `f${j}`), letter.repeat(10 + j));
  }
  return top;
}

const manner: Manner = {
  noClobber: false,
  replaces: false,
  shown: () => {},
  transit: '..initbox-copy_t-new',
};

/** Merges one folder into another, as a copy does. */
async function merged(stage: string, live: string, more: Partial<Manner> = {}): Promise<number> {
  const [from, to] = [openSync(stage, 'r'), openSync(live, 'r')];
  try {
    const { signal } = new AbortController();
    return await merge(from, to, '', { ...manner, ...more }, { signal, clock: systemClock });
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

describe.skipIf(requireOrSkip('slow volumes', canMountSlowly()))('a merge on slow volumes', () => {
  test('replaces files of several folders at a time', async () => {
    await using volume = await mountSlowly({ delay: '2ms' });
    const [stage, live] = ['stage', 'live'].map((name) => join(volume.behind, name)) as [string, string];
    tree(stage, 24, 6, 'new');
    tree(live, 24, 3, 'old');
    // A file with several names, links, and folders that one side alone has.
    linkSync(join(stage, 'g0/d0/f0'), join(stage, 'g1/d1/shared'));
    // One that is there already by the same name, as a copy shares it.
    linkSync(join(live, 'g1/d1/f2'), join(stage, 'g1/d1/same'));
    linkSync(join(live, 'g1/d1/f2'), join(live, 'g1/d1/same'));
    symlinkSync('f1', join(stage, 'g0/d0/link'));
    symlinkSync('f2', join(live, 'g0/d0/link'));
    mkdirSync(join(stage, 'g2/only/here'), { recursive: true });
    writeFileSync(join(live, 'g2/theirs'), 'stays');
    const expected = folder();
    tree(expected, 24, 6, 'new');
    expect(await merged(join(volume.path, 'stage'), join(volume.path, 'live'))).toBe(0);
    for (const path of ['g0/d0/f0', 'g2/d23/f5'])
      expect(readFileSync(join(live, path), 'utf8')).toBe(readFileSync(join(expected, path), 'utf8'));
    expect(statSync(join(live, 'g1/d1/shared')).ino).toBe(statSync(join(live, 'g0/d0/f0')).ino);
    expect(statSync(join(live, 'g0/d0/link')).size).toBe(statSync(join(live, 'g0/d0/f1')).size);
    expect(statSync(join(live, 'g2/only/here')).isDirectory()).toBe(true);
    expect(readFileSync(join(live, 'g2/theirs'), 'utf8')).toBe('stays');
    expect(leftovers(live)).toEqual([]);
    expect(await volume.stop()).toBeGreaterThan(8);
  });

  test('leaves what appeared meanwhile where nothing is to be replaced', async () => {
    await using volume = await mountSlowly({ delay: '2ms' });
    const [stage, live] = ['stage', 'live'].map((name) => join(volume.behind, name)) as [string, string];
    tree(stage, 12, 6, 'new');
    tree(live, 12, 3, 'old');
    await merged(join(volume.path, 'stage'), join(volume.path, 'live'), { noClobber: true });
    expect(readFileSync(join(live, 'g0/d0/f0'), 'utf8')).toMatch(/^(old)+$/);
    expect(readFileSync(join(live, 'g2/d11/f5'), 'utf8')).toMatch(/^(new)+$/);
  });

  test('folders make way for files, and files for folders, where that is wanted', async () => {
    await using volume = await mountSlowly({ delay: '2ms' });
    const [stage, live] = ['stage', 'live'].map((name) => join(volume.behind, name)) as [string, string];
    tree(stage, 12, 6, 'new');
    tree(live, 12, 3, 'old');
    mkdirSync(join(live, 'g0/d3/f5/with/content'), { recursive: true });
    mkdirSync(join(stage, 'g0/d6/now/folder'), { recursive: true });
    writeFileSync(join(live, 'g0/d6/now'), 'a file');
    const paths = [join(volume.path, 'stage'), join(volume.path, 'live')] as const;
    expect(await merged(...paths, { replaces: true })).toBe(3);
    expect(readFileSync(join(live, 'g0/d3/f5'), 'utf8')).toMatch(/^(new)+$/);
    expect(statSync(join(live, 'g0/d6/now/folder')).isDirectory()).toBe(true);
    expect(leftovers(live)).toEqual([]);
  });

  test('otherwise the merge fails, and names what is in the way', async () => {
    await using volume = await mountSlowly({ delay: '2ms' });
    const [stage, live] = ['stage', 'live'].map((name) => join(volume.behind, name)) as [string, string];
    tree(stage, 12, 6, 'new');
    tree(live, 12, 3, 'old');
    mkdirSync(join(live, 'g0/d3/f5'));
    const merging = merged(join(volume.path, 'stage'), join(volume.path, 'live'));
    await expect(merging).rejects.toThrow(/"g0\/d3\/f5" in DEST/);
    expect(leftovers(live)).toEqual([]);
  });

  test.each([
    ['a link', (at: string) => symlinkSync('/etc/hostname', at)],
    ['a file of his own', (at: string) => writeFileSync(at, 'evil', { mode: 0o777 })],
    ['a file of the same content', (at: string) => writeFileSync(at, 'new'.repeat(10))],
  ])('the merge fails where somebody shows %s in the place of what was prepared', async (_what, plant) => {
    await using volume = await mountSlowly({ delay: '2ms' });
    const [stage, live] = ['stage', 'live'].map((name) => join(volume.behind, name)) as [string, string];
    tree(stage, 12, 40, 'new');
    tree(live, 12, 40, 'old');
    const there = join(live, 'g0/d3');
    // As many chances for him.
    for (let j = 40; j < 240; j++)
      for (const side of [stage, live]) writeFileSync(join(side, `g0/d3/f${j}`), side);
    plant(join(there, 'evil0'));
    lchownSync(join(there, 'evil0'), 1000, 1000);
    // What is prepared stands under this name for a moment.
    const transit = `${manner.transit}0`;
    await whileExchanged(there, [manner.transit, 'evil', 1], async () => {
      const merging = merged(join(volume.path, 'stage'), join(volume.path, 'live'), { transit });
      await expect(merging).rejects.toThrow(/"g0\/d3\/f\d+" in DEST was replaced by something else/);
    });
  });

  test('what another run of the same copy has put there since is right', async () => {
    await using volume = await mountSlowly({ delay: '2ms' });
    const [stage, live] = ['stage', 'live'].map((name) => join(volume.behind, name)) as [string, string];
    tree(stage, 12, 40, 'new');
    tree(live, 12, 40, 'old');
    const there = join(live, 'g0/d3');
    for (let j = 0; j < 40; j++) {
      writeFileSync(join(stage, `g0/d3/f${j}`), 'new'.repeat(10));
      utimesSync(join(stage, `g0/d3/f${j}`), 1_700_000_000, 1_700_000_000);
    }
    writeFileSync(join(there, 'other0'), 'new'.repeat(10));
    utimesSync(join(there, 'other0'), 1_700_000_000, 1_700_000_000);
    await whileExchanged(there, [manner.transit, 'other', 1], async () => {
      const transit = `${manner.transit}0`;
      expect(await merged(join(volume.path, 'stage'), join(volume.path, 'live'), { transit })).toBe(0);
    });
  });

  test('kill -9 in the middle: each file is the old or the new one, and the next run leaves nothing else', async () => {
    const [from, before] = [tree(folder(), 12, 20, 'new'), folder()];
    await using volume = await mountSlowly({ delay: '5ms' });
    tree(before, 12, 20, 'older');
    tree(volume.behind, 12, 20, 'older');
    const running = await startInitbox(['copy', from, volume.path]);
    const passing = () => leftovers(volume.behind).filter((path) => /\/d\d+\/\.\.initbox-copy_/.test(path));
    await waitUntil(() => passing().length > 0, { what: 'a file beside its place', timeout: 120_000 });
    killGroup(running.pid);
    await running.exit;
    await groupGone(running.pid);
    for (let i = 0; i < 12; i++)
      for (let j = 0; j < 20; j++)
        expect(readFileSync(join(volume.behind, `g${i % 3}/d${i}/f${j}`), 'utf8')).toMatch(
          /^(?:(new){10,}|(older){10,})$/,
        );
    const again = await copy([from, volume.path]);
    expect(again.status, again.stderr).toBe(0);
    expect(leftovers(volume.behind)).toEqual([]);
    expect(contentOf(volume.behind)).toEqual(contentOf(from));
  });

  test('copy --delete removes in several folders at a time', async () => {
    const from = folder();
    mkdirSync(join(from, 'g0'));
    writeFileSync(join(from, 'g0/kept'), 'kept');
    await using volume = await mountSlowly({ delay: '2ms' });
    tree(volume.behind, 24, 6, 'old');
    const { status, stderr } = await copy([from, volume.path, '--delete']);
    expect(status, stderr).toBe(0);
    // Its 144 files, their 24 folders, and two of the three above these.
    expect(stderr).toContain('170 removed');
    expect(contentOf(volume.behind)).toEqual(contentOf(from));
    expect(await volume.stop()).toBeGreaterThan(8);
  });
});
