// Copies with --if-empty: several at the same time, one that was cut off before, and what a program wrote since.
import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { underStrace, waitUntil } from '../../../support/faults.ts';
import { type RunningProgram, startInitbox } from '../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { contentOf, copy, leftovers, memoryFolder } from './support.ts';

const root = process.getuid?.() === 0;
const skip = requireOrSkip(
  'copies at the same time',
  root ? whyMissing('strace', 'strace') : 'another network namespace needs root',
);

const files = ['f0', 'f1', 'sub/f2', 'sub/f3', 'large'];
const namespaces = [
  ['in one network namespace', []],
  ['in another network namespace', ['--net']],
] as const;
const manners = [
  ['', []],
  [', with --atomic', ['--atomic']],
] as const;

describe.skipIf(skip)('--if-empty', () => {
  let from: string;
  let to: string;

  beforeEach(() => {
    [from, to] = [memoryFolder(), memoryFolder()];
    mkdirSync(join(from, 'sub'));
    for (const name of files) writeFileSync(join(from, name), `seed of ${name}`);
    writeFileSync(join(from, 'large'), Buffer.alloc(5 << 20, 's'));
  });

  /** A copy that stands still for a while at a call, such as `link`, once `at` is so. */
  async function delayed(
    call: string,
    at: () => boolean,
    flags: readonly string[] = [],
  ): Promise<RunningProgram> {
    const prefix = underStrace(`inject=${call}:delay_enter=6000000:when=1`);
    const program = await startInitbox(['copy', from, to, '--if-empty', ...flags], { prefix });
    await waitUntil(at, { timeout: 60_000, what: 'the copy to stand still' });
    return program;
  }
  const preparing = (): boolean => leftovers(to).length > 0 && existsSync(to);

  /** What a program makes of its volume, once its init container has ended. */
  function use(): string[] {
    for (const name of files) if (name !== 'f1') writeFileSync(join(to, name), 'of the program');
    unlinkSync(join(to, 'f1'));
    return used();
  }
  const used = (): string[] => contentOf(to).filter((line) => !line.includes('..initbox'));

  describe.each(namespaces)('of two copies at a time, %s', (_, unshare) => {
    test.each(manners)('the later one leaves what is there since%s', async (_what, flags) => {
      const late = await delayed('copy_file_range', preparing, flags);
      // In one namespace it waits for its turn, and is the later one then.
      const second = await copy([from, to, '--if-empty', ...flags], { unshare });
      expect(second.status, second.stderr).toBe(0);
      const inUse = unshare.length > 0 ? use() : [];
      const { status, stderr } = await late.exit;
      expect(status, stderr).toBe(0);
      const later = unshare.length > 0 ? stderr : second.stderr;
      expect(later).toContain('is not empty, so nothing was copied (--if-empty)');
      expect(later).not.toContain('incomplete');
      if (unshare.length > 0) expect(used()).toEqual(inUse);
      else for (const name of files) expect(readFileSync(join(to, name)).length).toBeGreaterThan(6);
      expect(leftovers(to).filter((path) => path.includes('copy_'))).toEqual([]);
    });
  });

  test('what comes to be during the renames is not replaced, and the rest is copied', async () => {
    const merging = (): boolean =>
      leftovers(to).some((path) => existsSync(join(path, 'merging'))) && !existsSync(join(to, 'f0'));
    const program = await delayed('link,rename', merging);
    for (const name of ['f0', 'f1', 'large']) writeFileSync(join(to, name), 'of the program');
    mkdirSync(join(to, 'sub'));
    writeFileSync(join(to, 'sub/f2'), 'of the program');
    const { status, stderr } = await program.exit;
    expect(status, stderr).toBe(0);
    for (const name of ['f0', 'f1', 'large', 'sub/f2'])
      expect(readFileSync(join(to, name), 'utf8'), name).toBe('of the program');
    expect(readFileSync(join(to, 'sub/f3'), 'utf8')).toBe('seed of sub/f3');
    expect(stderr).toContain('4 files were put there by others during the copy, and stay as they are');
    expect(leftovers(to)).toEqual([]);
  });

  test('a run in another namespace leaves alone what this one is showing, and both end whole', async () => {
    const standing = (): boolean => leftovers(to).some((path) => existsSync(join(path, 'merging')));
    const program = await delayed('link,rename', standing);
    const [own = ''] = leftovers(to);
    const second = await copy([from, to, '--if-empty'], { unshare: ['--net'] });
    expect(second.status, second.stderr).toBe(0);
    // It is over now: the first one's note says no more that there is something to go on with.
    expect(readdirSync(own)).toContain('tree');
    expect(readdirSync(own)).not.toContain('merging');
    const inUse = use();
    const { status, stderr } = await program.exit;
    expect(status, stderr).toBe(0);
    for (const name of files.filter((one) => one !== 'f1'))
      expect(readFileSync(join(to, name), 'utf8')).toBe('of the program');
    expect(used().length).toBeGreaterThanOrEqual(inUse.length);
    expect(leftovers(to)).toEqual([]);
  });

  test('prepared files that somebody removed: starts again', async () => {
    const program = await delayed('copy_file_range', preparing);
    for (const path of leftovers(to)) if (existsSync(path)) execFileSync('rm', ['-rf', path]);
    const { status, stderr } = await program.exit;
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('another run removed the prepared files: starting again');
    for (const name of files) expect(existsSync(join(to, name)), name).toBe(true);
  });

  test('--atomic: another ..data that appears at the last moment is not replaced', async () => {
    const swap = (): boolean => readdirSync(to).includes('f0');
    const prefix = underStrace(`inject=symlink:delay_enter=3000000:when=5+`);
    const program = await startInitbox(['copy', from, to, '--if-empty', '--atomic'], { prefix });
    await waitUntil(swap, { timeout: 60_000, what: 'the links of readers' });
    mkdirSync(join(to, '..mine'));
    symlinkSync('..mine', join(to, '..data'));
    const { status, stderr } = await program.exit;
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('is not empty, so nothing was copied (--if-empty)');
    expect(readlinkSync(join(to, '..data'))).toBe('..mine');
    expect(leftovers(to)).toEqual([]);
  });

  /** Leaves some of the files shown, and the note of a copy that was killed. */
  async function cutOff(...more: readonly string[]): Promise<void> {
    const prefix = underStrace('inject=link,rename:signal=KILL:when=3');
    const { status } = await copy([from, to, '--if-empty', ...more], { prefix });
    expect(status).not.toBe(0);
    expect(leftovers(to)).not.toEqual([]);
  }
  const shown = (): string[] => readdirSync(to).filter((name) => !name.startsWith('..'));

  test('a copy that is gone on with replaces nothing, and puts what is missing', async () => {
    await cutOff();
    const [mine = ''] = shown().filter((name) => name !== 'sub');
    writeFileSync(join(to, mine), 'mine');
    // The source and DEST by other names are the same ones.
    const { status, stderr } = await copy([relative('/', from), relative('/', to), '--if-empty'], {
      cwd: '/',
    });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('an earlier run of this copy was cut off; what is there stays');
    expect(readFileSync(join(to, mine), 'utf8')).toBe('mine');
    for (const name of files.filter((one) => one !== mine)) expect(existsSync(join(to, name))).toBe(true);
    expect(leftovers(to)).toEqual([]);
    expect((await copy([from, to, '--if-empty'])).stderr).toContain('is not empty, so nothing was copied');
  });

  const mine = (path: string): void => writeFileSync(path, 'mine');
  const isMine = (path: string): boolean => readFileSync(path, 'utf8') === 'mine';
  const inside = (path: string): string => join(path, 'mine');
  const folderOfMine = (path: string): void => {
    mkdirSync(path);
    mine(inside(path));
  };
  const kinds = [
    ['a file', 'a folder', 'sub', mine, isMine],
    [
      'a link',
      'a folder',
      'sub',
      (path: string): void => symlinkSync(from, path),
      (path: string): boolean => readlinkSync(path) === from,
    ],
    ['a folder', 'a file', 'f0', folderOfMine, (path: string): boolean => isMine(inside(path))],
    ['a folder', 'a link', 'link', folderOfMine, (path: string): boolean => isMine(inside(path))],
  ] as const;

  test.each(kinds)(
    'gone on with, %s stands where %s comes: it stays',
    async (_is, _comes, at, put, stays) => {
      mkdirSync(join(from, 'sub/deep'));
      writeFileSync(join(from, 'sub/deep/f4'), 'seed');
      symlinkSync('f1', join(from, 'link'));
      await cutOff();
      execFileSync('rm', ['-rf', join(to, at)]);
      put(join(to, at));
      const { status, stderr } = await copy([from, to, '--if-empty']);
      expect(status, stderr).toBe(0);
      expect(stderr).toMatch(/, [1-9] kept/);
      expect(stays(join(to, at))).toBe(true);
      const others = ['f0', 'f1', 'large', 'link', 'sub'].filter((name) => name !== at);
      for (const name of others) expect(existsSync(join(to, name)), name).toBe(true);
      expect(leftovers(to)).toEqual([]);
      expect((await copy([from, to, '--if-empty'])).stderr).toContain('is not empty, so nothing was copied');
    },
  );

  test.each(kinds.slice(0, 3))(
    'during the renames, %s comes to stand where %s comes: it stays',
    async (_is, _comes, at, put, stays) => {
      const merging = (): boolean =>
        leftovers(to).some((path) => existsSync(join(path, 'merging'))) && !existsSync(join(to, at));
      const program = await delayed('link,rename', merging);
      put(join(to, at));
      const { status, stderr } = await program.exit;
      expect(status, stderr).toBe(0);
      expect(stays(join(to, at))).toBe(true);
      for (const name of ['f0', 'f1', 'large', 'sub']) expect(existsSync(join(to, name)), name).toBe(true);
      expect(leftovers(to)).toEqual([]);
    },
  );

  test('gone on with, with --delete: what a program has put there stays', async () => {
    await cutOff('--delete');
    writeFileSync(join(to, 'own'), 'of the program');
    const { status, stderr } = await copy([from, to, '--if-empty', '--delete']);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(to, 'own'), 'utf8')).toBe('of the program');
    for (const name of files) expect(existsSync(join(to, name)), name).toBe(true);
  });

  test.each<readonly [string, (path: string) => void]>([
    ['a file', (path) => writeFileSync(path, 'of the program')],
    ['a link', (path) => symlinkSync('nowhere', path)],
    [
      'an empty folder',
      (path) => {
        mkdirSync(path);
        chownSync(path, 1234, 1234);
      },
    ],
  ])('%s that comes right before a folder is shown stays', async (what, make) => {
    const standing = (): boolean => leftovers(to).some((path) => existsSync(join(path, 'merging')));
    const program = await delayed('renameat2,rename', standing);
    await new Promise((resolve) => setTimeout(resolve, 400));
    make(join(to, 'sub'));
    const before = lstatSync(join(to, 'sub'));
    const { status, stderr } = await program.exit;
    expect(status, stderr).toBe(0);
    const { ino, uid, mode } = lstatSync(join(to, 'sub'));
    expect({ ino, uid, mode }).toEqual({ ino: before.ino, uid: before.uid, mode: before.mode });
    if (what === 'an empty folder') expect(readdirSync(join(to, 'sub')).toSorted()).toEqual(['f2', 'f3']);
    else expect(stderr).toContain('were put there by others during the copy, and stay as they are');
    for (const name of ['f0', 'f1', 'large']) expect(existsSync(join(to, name)), name).toBe(true);
  });

  test.each([
    ['the same, without --if-empty', (): string[] => [from, to]],
    ['--delete', (): string[] => [from, to, '--delete']],
    ['--no-clobber', (): string[] => [from, to, '--no-clobber']],
    ['more sources', (): string[] => [from, join(from, 'sub'), to]],
    ['another source, with --delete', (): string[] => [join(from, 'sub'), to, '--delete']],
  ])('after a whole copy (%s) nothing is gone on with', async (_, words) => {
    await cutOff();
    expect(await copy(words())).toMatchObject({ status: 0 });
    expect(leftovers(to)).toEqual([]);
    for (const name of shown()) if (name !== 'sub') unlinkSync(join(to, name));
    writeFileSync(join(to, 'f0'), 'of the program');
    const before = used();
    const { status, stderr } = await copy([from, to, '--if-empty']);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('is not empty, so nothing was copied');
    expect(used()).toEqual(before);
  });

  test.each([
    ['a part of the sources', (): string[] => [join(from, 'sub'), to]],
    ['with something excluded', (): string[] => [from, to, '--exclude', 'f1']],
  ])('after a copy of less (%s) it is gone on with, and nothing is replaced', async (_, words) => {
    await cutOff();
    expect(await copy(words())).toMatchObject({ status: 0 });
    writeFileSync(join(to, 'f0'), 'of the program');
    const { status, stderr } = await copy([from, to, '--if-empty']);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(to, 'f0'), 'utf8')).toBe('of the program');
    for (const name of files) expect(existsSync(join(to, name)), name).toBe(true);
    expect(leftovers(to)).toEqual([]);
  });

  test('a volume that was emptied and filled anew is not gone on with', async () => {
    await cutOff();
    for (const name of shown()) execFileSync('rm', ['-r', join(to, name)]);
    expect(await copy([join(from, 'sub'), to, '--if-empty'])).toMatchObject({ status: 0 });
    const { status, stderr } = await copy([from, to, '--if-empty']);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('is not empty, so nothing was copied');
    expect(shown().toSorted()).toEqual(['f2', 'f3']);
  });

  test('a note that this user may not read: says that DEST may not be whole', async () => {
    await cutOff();
    chownSync(to, 1000, 1000);
    execFileSync('chmod', ['-R', 'a+rX', from]);
    const { status, stderr } = await copy([from, to, '--if-empty'], { user: { uid: 1000, gid: 1000 } });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('may be incomplete');
    expect(stderr).toContain('this user may not read it');
    expect(stderr).toContain('is not empty, so nothing was copied');
  });
});
