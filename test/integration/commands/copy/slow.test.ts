// Volumes on which each call takes long: many are under way at a time there, and a copy is the same as elsewhere.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount, groupGone, killGroup, mountTmpfs } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { runToDeadline, startInitbox, type ProgramResult } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { canMountSlowly, mountSlowly } from '../../../support/slow-volume.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { contentOf, copy, folder, leftovers } from './support.ts';

const noSlowVolumes = requireOrSkip('slow volumes', canMountSlowly());

/** Folders of files, which a walk takes for a slow volume's soon. */
function plainTree(folders: number, files: number, top = folder(), letter = 'x'): string {
  for (let i = 0; i < folders; i++) {
    const at = join(top, `g${i % 3}/d${i}`);
    mkdirSync(at, { recursive: true });
    for (let j = 0; j < files; j++) writeFileSync(join(at, `f${j}`), letter.repeat(10 + j));
  }
  // A time of the kernel's clock that ends some nanoseconds below a millisecond is read as that millisecond.
  execFileSync('find', [top, '-type', 'f', '-exec', 'touch', '-d', '2025-03-04 05:06:07.123456', '{}', '+']);
  return top;
}

/** All that makes a copy difficult. */
function hardTree(): string {
  const top = plainTree(12, 12);
  const names = Array.from({ length: 12 }, (_, i) => join(top, `g${i % 3}/d${i}`));
  for (const [i, at] of names.entries()) {
    // The same few files by names in every folder: they are come upon at the same time.
    for (const shared of ['one', 'two', 'three']) {
      const first = join(names[0] as string, shared);
      if (i === 0) writeFileSync(first, shared.repeat(1000));
      else linkSync(first, join(at, shared));
    }
    symlinkSync('f1', join(at, 'link'));
    symlinkSync('/nowhere', join(at, 'dangling'));
    writeFileSync(join(at, 'program'), '#!/bin/sh\n');
    chownSync(join(at, 'program'), 1000 + i, 2000 + i);
    chmodSync(join(at, 'program'), 0o6755);
    mkdirSync(join(at, 'empty'), { mode: 0o750 });
    mkdirSync(join(at, 'deep/er/and/deeper'), { recursive: true });
    writeFileSync(join(at, 'deep/er/and/deeper/f'), String(i));
    chmodSync(join(at, 'deep/er'), 0o2555);
    writeFileSync(join(at, 'middle'), Buffer.alloc(300_000, i + 1));
    writeFileSync(Buffer.from(join(at, 'n\xe4me'), 'latin1'), 'bytes');
    writeFileSync(join(at, 'näme'), 'letters');
  }
  writeFileSync(join(top, 'large'), Buffer.alloc((4 << 20) + 1, 7));
  for (const volume of ['g0/config', 'g1/config']) {
    const at = join(top, volume);
    const version = '..2026_01_02_03_04_05.123456789';
    mkdirSync(join(at, version, 'folder'), { recursive: true });
    symlinkSync(version, join(at, '..data'));
    for (const key of ['a', 'b', 'c']) {
      writeFileSync(join(at, version, key), key);
      symlinkSync(`..data/${key}`, join(at, key));
    }
    writeFileSync(join(at, version, 'folder/d'), 'd');
    symlinkSync('..data/folder', join(at, 'folder'));
  }
  execFileSync('find', [top, '-exec', 'touch', '-h', '-d', '2025-03-04 05:06:07.123456', '{}', '+']);
  return top;
}

/** Names that are of one file, as groups. */
function groups(top: string): string[] {
  const byInode = new Map<string, string[]>();
  const listed = execFileSync('find', ['.', '-type', 'f', '-links', '+1', '-printf', '%i %P\\n'], {
    cwd: top,
    encoding: 'latin1',
  });
  for (const line of listed.split('\n').filter(Boolean)) {
    const [inode = '', path = ''] = line.split(' ');
    byInode.set(inode, [...(byInode.get(inode) ?? []), path]);
  }
  return [...byInode.values()].map((paths) => paths.toSorted().join(' ')).toSorted();
}

/** What a tree looks like, whatever its versions are called. */
function looks(top: string): string[] {
  return [...contentOf(top), ...groups(top)]
    .filter((line) => !line.includes('initbox.json'))
    .map((line) =>
      line
        .replaceAll(/\.\.initbox_[^/ ]+/g, 'version')
        // Of links that an atomic copy makes the time is that of the copy, and the size that of the version's name.
        .replace(/ l (\S+) (\S+) \d+ [\d.]+ (version|\.\.data)/, ' l $1 $2 $3'),
    );
}

/** What a run says that it did. */
function counts(text: string): string | undefined {
  return /: (\d\S* copied.*?)(?:, in [^,]*)?$/m.exec(text)?.[1];
}

/** The same, with what was copied and what was right already as one number, and without the bytes. */
function allOf(text: string): string | undefined {
  return counts(text)?.replace(
    /^([\d,]+) copied(?: \([^)]*\))?, ([\d,]+) unchanged/,
    (_, one: string, two: string) =>
      `${Number(one.replaceAll(',', '')) + Number(two.replaceAll(',', ''))} in all`,
  );
}

describe.skipIf(noSlowVolumes)('copy on slow volumes', () => {
  test.each([
    ['plainly', []],
    ['--checksum', ['--checksum']],
    ['--atomic', ['--atomic']],
    ['--mode and --owner', ['--mode', 'u=rwX,g=rX', '--owner', '77:78']],
    ['--exclude', ['--exclude', 'f1*', '--exclude', '/g1/d4']],
  ])('%s: the same as elsewhere, first and again', async (_how, flags) => {
    const [from, quick] = [hardTree(), folder()];
    await using source = await mountSlowly({ delay: '500us', behind: from });
    await using volume = await mountSlowly({ delay: '500us' });
    const one = await copy([source.path, volume.path, ...flags]);
    const other = await copy([from, quick, ...flags]);
    expect([one.status, other.status], one.stderr + other.stderr).toEqual([0, 0]);
    expect(looks(volume.behind)).toEqual(looks(quick));
    expect(counts(one.stderr)).toBe(counts(other.stderr));
    const again = await copy([source.path, volume.path, ...flags]);
    expect(again.status, again.stderr).toBe(0);
    expect(again.stderr).toMatch(/: 0 copied|unchanged/);
    expect(looks(volume.behind)).toEqual(looks(quick));
    expect(await source.stop()).toBeGreaterThan(8);
    expect(await volume.stop()).toBeGreaterThan(8);
  });

  test.each([
    ['--no-clobber', ['--no-clobber']],
    ['--delete', ['--delete']],
    ['--delete --exclude', ['--delete', '--exclude', 'kept']],
    ['--delete --checksum', ['--delete', '--checksum']],
  ])('%s, over what is there: the same as elsewhere', async (_how, flags) => {
    const from = hardTree();
    const second = plainTree(4, 8, folder(), 'y');
    mkdirSync(join(second, 'g0/d0/empty'), { recursive: true });
    await using source = await mountSlowly({ delay: '500us', behind: from });
    await using volume = await mountSlowly({ delay: '500us' });
    const quick = folder();
    for (const top of [volume.behind, quick]) {
      plainTree(12, 8, top, 'z');
      writeFileSync(join(top, 'g0/d0/more'), '');
      writeFileSync(join(top, 'g0/d0/kept'), '');
      rmFile(join(top, 'g0/d3/f1'));
      if (flags.includes('--delete')) mkdirSync(join(top, 'g0/d3/f1/with/content'), { recursive: true });
      execFileSync('cp', ['-a', join(from, 'g1/d1'), join(top, 'g1')]);
      execFileSync('find', [
        top,
        '-newermt',
        '2026-01-01',
        '-exec',
        'touch',
        '-h',
        '-d',
        '2025-05-05',
        '{}',
        '+',
      ]);
    }
    const one = await copy([source.path, second, volume.path, ...flags]);
    const other = await copy([from, second, quick, ...flags]);
    expect([one.status, other.status], one.stderr + other.stderr).toEqual([0, 0]);
    expect(looks(volume.behind)).toEqual(looks(quick));
    // Of a file with several names in DEST, some right and some not, which are written depends on which comes first.
    expect(allOf(one.stderr)).toBe(allOf(other.stderr));
    expect(leftovers(volume.behind).filter((path) => !/\.\.initbox_/.test(path))).toEqual([]);
    expect(await source.stop()).toBeGreaterThan(8);
  });

  test('--atomic, over an earlier one: the same as elsewhere', async () => {
    const from = hardTree();
    const earlier = plainTree(12, 14);
    await using source = await mountSlowly({ delay: '500us', behind: from });
    await using volume = await mountSlowly({ delay: '500us' });
    const quick = folder();
    for (const [first, to] of [
      [source.path, volume.path],
      [from, quick],
    ] as const) {
      const before = await copy([earlier, to, '--atomic']);
      expect(before.status, before.stderr).toBe(0);
      const { status, stderr } = await copy([first, earlier, to, '--atomic']);
      expect(status, stderr).toBe(0);
    }
    expect(looks(volume.behind)).toEqual(looks(quick));
    expect(await source.stop()).toBeGreaterThan(8);
  });

  test('--dereference: the same as elsewhere', async () => {
    const [from, quick, slowly] = [plainTree(6, 12), folder(), folder()];
    for (let i = 0; i < 6; i++) {
      symlinkSync(`d${i}`, join(from, `g${i % 3}/folder${i}`));
      symlinkSync('f1', join(from, `g${i % 3}/d${i}/link`));
    }
    await using source = await mountSlowly({ behind: from });
    const one = await copy([source.path, slowly, '--dereference']);
    const other = await copy([from, quick, '--dereference']);
    expect([one.status, other.status], one.stderr + other.stderr).toEqual([0, 0]);
    expect(looks(slowly)).toEqual(looks(quick));
    expect(counts(one.stderr)).toBe(counts(other.stderr));
  });

  test('as an ordinary user: read-only folders, first and again', async () => {
    const [from, to] = [plainTree(6, 12), folder()];
    for (let i = 0; i < 6; i++) {
      mkdirSync(join(from, `g${i % 3}/d${i}/tight/inner`), { recursive: true });
      writeFileSync(join(from, `g${i % 3}/d${i}/tight/inner/f`), 'x');
      for (const each of ['tight/inner', 'tight', '.']) chmodSync(join(from, `g${i % 3}/d${i}`, each), 0o555);
    }
    await using source = await mountSlowly({ behind: from });
    const user = { uid: 1234, gid: 1234 };
    for (const said of ['copied', '0 copied']) {
      const { status, stderr } = await copy([source.path, to], { user });
      expect(status, stderr).toBe(0);
      expect(stderr).toContain(said);
      expect(statSync(join(to, 'g0/d0/tight')).mode & 0o7777).toBe(0o555);
      expect(readFileSync(join(to, 'g0/d0/tight/inner/f'), 'utf8')).toBe('x');
      expect(leftovers(to)).toEqual([]);
    }
    expect(await source.stop()).toBeGreaterThan(8);
  });

  test.each([
    ['SIGTERM', 143, '3ms'],
    // So slow that no machine is done in two seconds.
    ['--timeout', 124, '15ms'],
  ])(
    '%s in the middle: nothing is written afterwards, and the next run ends right',
    async (how, end, delay) => {
      const from = plainTree(30, 100);
      await using volume = await mountSlowly({ delay });
      const underWay = (): boolean => entriesIn(volume.behind) > 150;
      const cut = async (): Promise<ProgramResult> => {
        if (how === '--timeout')
          return runToDeadline(['copy', '--timeout', '2s', from, volume.path], { answered: underWay });
        const running = await startInitbox(['copy', from, volume.path]);
        await waitUntil(underWay, { what: 'the copy under way' });
        running.kill('SIGTERM');
        return within(promptly, running.exit);
      };
      const { status, stderr } = await cut();
      expect(underWay()).toBe(true);
      expect(status, stderr).toBe(end);
      const left = entriesIn(volume.behind);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(entriesIn(volume.behind)).toBe(left);
      expect(existsSync(join(volume.behind, 'g0'))).toBe(false);
      const again = await copy([from, volume.path]);
      expect(again.status, again.stderr).toBe(0);
      expect(contentOf(volume.behind)).toEqual(contentOf(from));
      expect(leftovers(volume.behind)).toEqual([]);
    },
  );

  test('kill -9 in the middle: readers see nothing of it, and the next run ends right', async () => {
    const from = plainTree(12, 50);
    await using volume = await mountSlowly();
    for (const enough of [20, 150, 400]) {
      const running = await startInitbox(['copy', from, volume.path]);
      await waitUntil(() => entriesIn(volume.behind) > enough, { what: 'the copy under way' });
      killGroup(running.pid);
      await running.exit;
      await groupGone(running.pid);
      expect(readdirSync(volume.behind).filter((name) => !name.startsWith('..initbox'))).toEqual([]);
    }
    const again = await copy([from, volume.path]);
    expect(again.status, again.stderr).toBe(0);
    expect(contentOf(volume.behind)).toEqual(contentOf(from));
    expect(leftovers(volume.behind)).toEqual([]);
  });

  const noMount = noSlowVolumes || requireOrSkip('a full disk', canMount());
  test.skipIf(noMount).each([
    ['space', { size: '2m' }],
    ['inodes', { size: '100m', options: 'nr_inodes=400' }],
  ])('no %s left in the middle: the old files stay, and nothing of the new ones', async (_what, limits) => {
    const from = plainTree(12, 60);
    for (let i = 0; i < 12; i++) writeFileSync(join(from, `g${i % 3}/d${i}/more`), Buffer.alloc(200_000, 1));
    using disk = mountTmpfs(limits);
    await using volume = await mountSlowly({ behind: disk.path });
    writeFileSync(join(volume.behind, 'old'), 'old');
    const { status, stderr } = await copy([from, volume.path]);
    expect(status, stderr).toBe(1);
    expect(stderr).toMatch(/full|no space|ENOSPC|inodes/i);
    expect(readdirSync(volume.behind)).toEqual(['old']);
    expect(await volume.stop()).toBeGreaterThan(8);
  });

  const noLimit = noSlowVolumes || requireOrSkip('a memory limit', canLimitMemory());
  test.skipIf(noLimit)('ends within 96 MiB', async () => {
    using limit = limitMemory(96 << 20);
    const from = plainTree(40, 60);
    for (let i = 0; i < 40; i++) writeFileSync(join(from, `g${i % 3}/d${i}/big`), Buffer.alloc(3 << 20, i));
    await using source = await mountSlowly({ delay: '500us', behind: from });
    await using volume = await mountSlowly({ delay: '500us' });
    const { status, stderr } = await copy([source.path, volume.path], { prefix: limit?.prefix ?? [] });
    expect(status, stderr).toBe(0);
    expect(contentOf(volume.behind)).toEqual(contentOf(from));
  });
});

/** Why memory cannot be limited, or undefined: for requireOrSkip. */
function canLimitMemory(): string | undefined {
  using limit = limitMemory(96 << 20);
  return limit === undefined ? 'no cgroup can be made' : undefined;
}

/** Entries in a folder that somebody may be changing. */
function entriesIn(top: string): number {
  return Number(execFileSync('sh', ['-c', 'find "$1" 2>/dev/null | wc -l', 'sh', top], { encoding: 'utf8' }));
}

function rmFile(path: string): void {
  execFileSync('rm', ['-f', path]);
}
