// A tree that was unpacked, in which somebody changed something before the next run.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { runInitbox } from '../../../../support/program.ts';
import { requireOrSkip } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

const skip = requireOrSkip(
  'what others change in an unpacked tree',
  process.getuid?.() === 0 ? undefined : 'files of another user need root',
);

const other = 4321;

describe.skipIf(skip)('an unpacked tree that is there already', () => {
  let archive: string;
  let volume: string;

  beforeEach(() => {
    const { path } = temporaryDirectory('changed');
    const tree = join(path, 'tree');
    mkdirSync(join(tree, 'site/deep'), { recursive: true });
    writeFileSync(join(tree, 'site/page'), 'the page');
    writeFileSync(join(tree, 'site/deep/page'), 'the page');
    writeFileSync(join(tree, 'site/open'), 'the page');
    symlinkSync('page', join(tree, 'site/link'));
    execFileSync('chmod', ['-R', 'u=rwX,go=rX', tree]);
    chmodSync(join(tree, 'site/open'), 0o777);
    archive = join(path, 'site.tar');
    execFileSync('tar', ['-cf', archive, '-C', tree, 'site']);
    volume = temporaryDirectory('volume').path;
  });

  const unpack = (...args: string[]) =>
    runInitbox(['fetch-config', `file:${archive}`, '--unpack', '--to', volume, ...args]);
  const at = (name: string): string => join(volume, 'site', name);
  const generation = (): string => readlinkSync(join(volume, '..data'));

  async function expectMended(args: readonly string[], damage: () => void): Promise<void> {
    expect(await unpack(...args)).toMatchObject({ status: 0 });
    const list = (): string => {
      const directories = ['-type', 'd', '-printf', '%P d %m %U:%G\\n', '-o'];
      const others = ['-printf', '%P %y %m %U:%G %s %T@ %l\\n'];
      return execFileSync('find', [at('.'), ...directories, ...others], { encoding: 'utf8' });
    };
    const before = list();
    damage();
    const { status, stderr } = await unpack(...args);
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain('already');
    expect(list()).toBe(before);
    for (const name of ['page', 'deep/page', 'open', 'link'])
      expect(readFileSync(at(name), 'utf8')).toBe('the page');
  }

  /** Other content of the same size, mode and time. */
  function rewrite(path: string): void {
    const { atime, mtime } = statSync(path);
    writeFileSync(path, 'evil page'.slice(0, 8));
    utimesSync(path, atime, mtime);
  }

  test('is left alone where nothing of it changed, whoever may write to it', async () => {
    for (const args of [[], ['--owner', `${other}:${other}`], ['--mode', '0664']]) {
      expect(await unpack(...args)).toMatchObject({ status: 0 });
      const before = generation();
      const { status, stderr } = await unpack(...args);
      expect(status).toBe(0);
      expect(stderr).toContain('already');
      expect(generation()).toBe(before);
    }
  });

  test.each<[string, readonly string[], () => void]>([
    ['a file that everybody may write to has other content', [], () => rewrite(at('open'))],
    [
      'a file of the owner that --owner gave has other content, down in the tree',
      ['--owner', `${other}:${other}`],
      () => rewrite(at('deep/page')),
    ],
    ['a file is gone', [], () => rmSync(at('deep/page'))],
    ['a file has come', [], () => writeFileSync(at('deep/new'), '')],
    ['a file has another size', [], () => writeFileSync(at('page'), 'longer than before')],
    ['a file has another time', [], () => utimesSync(at('page'), 1, 1)],
    ['a file has another mode', [], () => chmodSync(at('page'), 0o666)],
    ['a file has another owner', [], () => chownSync(at('page'), other, other)],
    [
      'a link leads elsewhere',
      [],
      () => {
        rmSync(at('link'));
        symlinkSync('open', at('link'));
      },
    ],
    [
      'a group may write to it, as fsGroup leaves it',
      [],
      () => {
        execFileSync('chown', ['-R', `0:${other}`, join(volume, generation())]);
        execFileSync('chmod', ['-R', 'g+rwX', join(volume, generation())]);
        rewrite(at('page'));
        expect(lstatSync(at('page')).gid).toBe(other);
      },
    ],
    [
      'in a folder of another user, a file of the right size, mode and time is another one',
      ['--owner', `${other}:${other}`],
      () => {
        rmSync(at('page'));
        const { atime, mtime, mode } = statSync(at('open'));
        writeFileSync(at('page'), 'evilpage');
        chmodSync(at('page'), mode & 0o7777 & 0o755);
        chownSync(at('page'), other, other);
        utimesSync(at('page'), atime, mtime);
      },
    ],
  ])('is made anew where %s', async (_, args, damage) => {
    await expectMended(args, damage);
    expect(generation()).toMatch(/^\.\.initbox_/);
  });
});
