// Folders of mode 0555, as an ordinary user has them: the second copy, what is replaced and removed in them.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { underStrace } from '../../../support/faults.ts';
import { startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { contentOf, copy, folder, leftovers } from './support.ts';

const root = process.getuid?.() === 0;
const user = { uid: 1000, gid: 1000 };

describe.skipIf(
  requireOrSkip('copies by another user', root ? undefined : 'becoming another user needs root'),
)('folders that their own user may only read', () => {
  let from: string;
  let to: string;
  beforeEach(() => {
    [from, to] = [folder(), folder()];
    mkdirSync(join(from, 'ro/deep'), { recursive: true });
    for (const name of ['f', 'g', 'deep/h']) writeFileSync(join(from, 'ro', name), name);
    seal();
    chownSync(to, user.uid, user.gid);
  });
  /** Closes the folders of the source again, and makes them the user's. */
  function seal(): void {
    for (const path of ['ro/deep', 'ro']) chmodSync(join(from, path), 0o555);
    execFileSync('chown', ['-R', '1000:1000', from]);
  }
  async function run(...flags: readonly string[]): Promise<string> {
    const { status, stderr } = await copy([from, to, ...flags], { user });
    expect(status, stderr).toBe(0);
    expect(contentOf(to)).toEqual(contentOf(from));
    expect(lstatSync(join(to, 'ro')).mode & 0o7777).toBe(0o555);
    expect(leftovers(to)).toEqual([]);
    return stderr;
  }

  test('a file changes, one comes, deep in them too', async () => {
    await run();
    writeFileSync(join(from, 'ro/g'), 'changed');
    writeFileSync(join(from, 'ro/new'), 'new');
    writeFileSync(join(from, 'ro/deep/h'), 'changed too');
    seal();
    expect(await run()).toContain('3 copied');
    expect(await run()).toContain('0 copied');
  });

  test('--delete removes files and folders from them', async () => {
    await run();
    rmSync(join(from, 'ro/f'));
    rmSync(join(from, 'ro/deep'), { recursive: true });
    mkdirSync(join(from, 'ro/deep'));
    rmSync(join(from, 'ro/deep'), { recursive: true });
    chmodSync(join(from, 'ro'), 0o555);
    expect(await run('--delete')).not.toContain('error');
  });

  test('--delete: a folder makes way for a file', async () => {
    await run();
    rmSync(join(from, 'ro/deep'), { recursive: true });
    writeFileSync(join(from, 'ro/deep'), 'a file now');
    chmodSync(join(from, 'ro'), 0o555);
    chownSync(join(from, 'ro/deep'), 1000, 1000);
    expect(await run('--delete')).not.toContain('error');
  });

  test.each([
    [
      'rename',
      [] as string[],
      'which was opened to its user for the copy, has been closed by others meanwhile',
    ],
    ['unlink', ['--delete'], 'where another run writes to the same folders'],
  ])('another run gives one its mode back before this one’s %s: that is said', async (call, flags, said) => {
    await run();
    if (call === 'rename') {
      writeFileSync(join(from, 'ro/g'), 'changed');
      seal();
    } else {
      chmodSync(join(from, 'ro'), 0o755);
      rmSync(join(from, 'ro/g'));
      seal();
    }
    const prefix = underStrace(`inject=${call}:delay_enter=400000`);
    const running = await startInitbox(['copy', from, to, ...flags], { user, prefix });
    let ended = false;
    void running.exit.then(() => (ended = true));
    while (!ended) {
      chmodSync(join(to, 'ro'), 0o555);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { status, stderr } = await running.exit;
    expect(status, stderr).toBe(1);
    expect(stderr).toContain(said);
    expect(stderr).not.toContain('fsGroup');
    expect(lstatSync(join(to, 'ro')).mode & 0o7777).toBe(0o555);
    expect(leftovers(to)).toEqual([]);
    if (call === 'rename') expect(await run()).toContain('1 copied');
  });

  describe('a run that is killed while a folder is open', () => {
    /** Kills a copy at its first rename, which is in the folder. */
    async function killed(): Promise<void> {
      await run();
      for (const name of ['f', 'g', 'deep/h']) {
        writeFileSync(join(from, 'ro', name), `changed ${name}`);
        rmSync(join(to, 'ro', name));
        writeFileSync(join(to, 'ro', name), 'another');
      }
      seal();
      execFileSync('chown', ['-R', '1000:1000', to]);
      const prefix = underStrace('inject=rename:signal=KILL:when=1');
      const { status } = await copy([from, to], { user, prefix });
      expect(status).not.toBe(0);
      expect(mode()).toBe(0o755);
    }
    const mode = (path = 'ro'): number => lstatSync(join(to, path)).mode & 0o7777;

    test.each([
      ['the same copy', () => [from, to], 0],
      ['another copy, of another file', () => [join(from, 'ro/f'), to], 0],
      ['a copy of something else to another place in it', () => [from, to, '--exclude', 'ro'], 0],
      ['a copy that fails', () => [from, to, '--exclude', 'ro', '--owner', '7:7'], 1],
      ['--if-empty, which copies nothing', () => [from, to, '--if-empty'], 0],
      ['--atomic, which cannot', () => [from, to, '--atomic'], 1],
    ])('the next one gives it its mode back: %s', async (_, words, expected) => {
      await killed();
      writeFileSync(join(from, 'other'), 'other');
      const { status, stderr } = await copy(words(), { user });
      expect(status, stderr).toBe(expected);
      expect(mode()).toBe(0o555);
      expect(mode('ro/deep')).toBe(0o555);
      expect(leftovers(to)).toEqual([]);
    });

    test('at a removal by --delete as well', async () => {
      for (let when = 1; ; when++) {
        await run();
        chmodSync(join(from, 'ro'), 0o755);
        rmSync(join(from, 'ro/g'), { force: true });
        seal();
        const prefix = underStrace(`inject=unlink:signal=KILL:when=${when}`);
        const { status } = await copy([from, to, '--delete'], { user, prefix });
        expect(status, 'a removal in the open folder is among the calls').not.toBe(0);
        if (mode() === 0o755) break;
        // Too early: as it was before.
        chmodSync(join(from, 'ro'), 0o755);
        writeFileSync(join(from, 'ro/g'), 'g');
        seal();
      }
      expect(await copy([join(from, 'ro/f'), to], { user })).toMatchObject({ status: 0 });
      expect(mode()).toBe(0o555);
      expect(leftovers(to)).toEqual([]);
    });

    test('where its owner has given it another mode since, it keeps that', async () => {
      await killed();
      chmodSync(join(to, 'ro'), 0o750);
      expect(await copy([join(from, 'ro/f'), to], { user })).toMatchObject({ status: 0 });
      expect(mode()).toBe(0o750);
    });

    test('another folder that has its name since keeps its own', async () => {
      await killed();
      renameSync(join(to, 'ro'), join(to, 'moved'));
      mkdirSync(join(to, 'ro'), { mode: 0o755 });
      chownSync(join(to, 'ro'), user.uid, user.gid);
      expect(await copy([join(from, 'ro/f'), to], { user })).toMatchObject({ status: 0 });
      expect(mode()).toBe(0o755);
    });
  });

  test('of another user: the folder is named, and nothing is left', async () => {
    await run();
    execFileSync('chown', ['0:0', join(to, 'ro')]);
    writeFileSync(join(from, 'ro/new'), 'new');
    seal();
    const { status, stderr } = await copy([from, to], { user });
    expect(stderr).toContain(`${to}/ro/new`);
    expect(status).toBe(1);
    expect(leftovers(to)).toEqual([]);
  });
});
