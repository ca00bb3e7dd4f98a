// Folders of mode 0555, as an ordinary user has them: the second copy, what is replaced and removed in them.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

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
