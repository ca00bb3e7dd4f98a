import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { attackSeconds } from '../../../support/attack.ts';
import { canMount, mountReadOnly, mountTmpfs, underStrace } from '../../../support/faults.ts';
import { startInitbox } from '../../../support/program.ts';
import { within } from '../../../support/promptly.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote, undoAtDeath } from '../../../support/undo.ts';
import { contentOf, copy, folder, leftovers, memoryFolder, smallTree } from './support.ts';

const noMounts = requireOrSkip('faults of a volume', canMount());
const notRoot = process.getuid?.() !== 0;
const noChattr = notRoot || requireOrSkip('immutable files', whyMissing('chattr', 'e2fsprogs'));

/** Seconds that links are swapped under a copy. */

/** Folders with files of some bytes each. */
function wideTree(top: string, folders: number, files: number, bytes = 100): void {
  for (let i = 0; i < folders; i++) {
    mkdirSync(join(top, `d${i}`));
    for (let j = 0; j < files; j++) writeFileSync(join(top, `d${i}/f${j}`), `${i}/${j} `.repeat(bytes / 4));
  }
}

describe.skipIf(requireOrSkip('what a volume refuses', whyMissing('strace', 'strace')))('a volume', () => {
  const refusing = (error: string): string[] => underStrace(`inject=mkdir,mkdirat:error=${error}`);

  test.each([
    ['EDQUOT', 'the quota is used up (EDQUOT)'],
    ['EIO', 'i/o error (EIO)'],
  ])('that answers %s: said so, of the path that was given', async (error, said) => {
    const [from, to] = [smallTree(), folder()];
    const { status, stderr } = await copy([from, to], { prefix: refusing(error) });
    expect(stderr).toContain(`cannot write ${to}: ${said}`);
    expect(stderr).not.toMatch(/Unknown system error|proc\/self/);
    expect(status).toBe(1);
  });
});

describe.skipIf(notRoot)('somebody who may write to DEST', () => {
  test(`swaps files and folders for links to what is outside, for ${attackSeconds} s`, async () => {
    const [tree, outside, from] = [memoryFolder(), memoryFolder(), memoryFolder()];
    mkdirSync(join(outside, 'folder/sub/deep'), { recursive: true });
    for (let i = 0; i < 10; i++) {
      for (const path of [`file${i}`, `folder/x${i}`, `folder/sub/x${i}`, `folder/sub/deep/x${i}`, `f${i}`])
        writeFileSync(join(outside, path), 'outside', { mode: 0o600 });
    }
    const state = () =>
      execFileSync('find', [outside, '-printf', '%P %U:%G %m %s %C@\n'], { encoding: 'utf8' })
        .split('\n')
        .toSorted();
    const before = state();
    // The same names as the swapper's, each with new content in every round.
    const fillSource = (round: number): void => {
      for (let i = 0; i < 300; i++) {
        const top = join(from, `d${String(i).padStart(2, '0')}`);
        mkdirSync(join(top, 'sub/deep'), { recursive: true });
        for (let j = 0; j < 10; j++) {
          writeFileSync(join(top, `f${j}`), `round ${round}`);
          for (const name of ['sub', 'sub/deep']) writeFileSync(join(top, name, `x${j}`), `round ${round}`);
        }
      }
    };
    fillSource(0);
    const swapper = spawn('python3', [join(import.meta.dirname, '../chown/swapper.py'), tree, outside], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    swapper.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = new Promise((resolve) => swapper.once('close', resolve));
    while (!said.includes('ready')) await new Promise((resolve) => setTimeout(resolve, 20));
    const until = performance.now() + attackSeconds * 1000;
    let copied = 0;
    try {
      for (let round = 1; performance.now() < until; round++) {
        const { status, stderr } = await copy([from, tree, ...(round % 3 === 0 ? ['--delete'] : [])]);
        expect([0, 1], stderr).toContain(status);
        copied += Number(/([\d,]+) (?:copied|to copy)/.exec(stderr)?.[1]?.replaceAll(',', '') ?? 0);
        expect(state()).toEqual(before);
        fillSource(round);
      }
    } finally {
      swapper.stdin.end();
      await ended;
    }
    const swaps = Number(/(\d+)/.exec(said.replace('ready', ''))?.[1] ?? 0);
    console.log(`${copied} entries were prepared against ${swaps} swaps`);
    expect(swaps).toBeGreaterThan(10_000);
    expect(copied).toBeGreaterThan(1000);
  }, 120_000);

  test('a link in DEST where a directory is to be: refused, nothing written, here or there', async () => {
    const [from, to, outside] = [smallTree(), folder(), folder()];
    symlinkSync(outside, join(to, 'a'));
    const { status, stderr } = await copy([from, to]);
    expect(status).toBe(1);
    expect(stderr).toContain(
      'a link, which is not followed, stands at "a" in DEST, where a directory must be',
    );
    expect(readdirSync(outside)).toEqual([]);
    expect(readdirSync(to)).toEqual(['a']);
  });

  test('a directory where a file is to be', async () => {
    const [from, to] = [smallTree(), folder()];
    mkdirSync(join(to, 'f'));
    const { status, stderr } = await copy([from, to]);
    expect(status).toBe(1);
    expect(stderr).toContain('a directory stands at "f" in DEST, where a file is to be');
    expect(readdirSync(to)).toEqual(['f']);
  });
});

describe.skipIf(noMounts)('volumes', () => {
  test('a full one: DEST is as it was, nothing is left', async () => {
    using volume = mountTmpfs({ size: '4m' });
    const from = memoryFolder();
    wideTree(from, 20, 100, 4000);
    writeFileSync(join(volume.path, 'mine'), 'mine');
    const { status, stderr } = await copy([from, volume.path]);
    expect(status).toBe(1);
    expect(stderr).toContain('the volume is full (ENOSPC)');
    expect(stderr).toMatch(/hint: raise the volume's size/);
    expect(readdirSync(volume.path)).toEqual(['mine']);
  });

  test('a full one, by one large file', async () => {
    using volume = mountTmpfs({ size: '4m' });
    const from = memoryFolder();
    writeFileSync(join(from, 'large'), Buffer.alloc(9 << 20, 1));
    const { status, stderr } = await copy([from, volume.path]);
    expect(status).toBe(1);
    expect(stderr).toContain('the volume is full (ENOSPC)');
    expect(readdirSync(volume.path)).toEqual([]);
  });

  test('one that is read-only', async () => {
    using volume = mountReadOnly(folder());
    const { status, stderr } = await copy([smallTree(), volume.path]);
    expect(status).toBe(1);
    expect(stderr).toContain('it is on a read-only file system (EROFS)');
  });

  test('a mount below DEST gets its files by a stage of its own', async () => {
    const [from, to] = [smallTree(), folder()];
    mkdirSync(join(to, 'a'));
    using volume = mountTmpfs({ size: '4m' });
    execFileSync('mount', ['--bind', volume.path, join(to, 'a')]);
    try {
      expect(await copy([from, to])).toMatchObject({ status: 0 });
      expect(contentOf(join(to, 'a'))).toEqual(contentOf(join(from, 'a')));
      expect(readFileSync(join(volume.path, 'b/c/f'), 'utf8')).toBe('a/b/c/f');
      expect((await copy([from, to])).stderr).toContain('0 copied');
      expect(leftovers(to)).toEqual([]);
    } finally {
      execFileSync('umount', [join(to, 'a')]);
    }
  });

  test('a single file mounted in DEST (subPath) cannot be replaced, which is said', async () => {
    const [from, to] = [smallTree(), folder()];
    writeFileSync(join(to, 'f'), 'old');
    execFileSync('mount', ['--bind', join(from, 'run'), join(to, 'f')]);
    try {
      const { status, stderr } = await copy([from, to]);
      expect(status).toBe(1);
      expect(stderr).toContain(
        `${join(to, 'f')}: it is a mount of its own, which cannot be replaced (EBUSY)`,
      );
    } finally {
      execFileSync('umount', [join(to, 'f')]);
    }
    expect(await copy([from, to])).toMatchObject({ status: 0 });
    expect(leftovers(to)).toEqual([]);
  });
});

/** A volume as the kubelet makes it, in the given version. */
function projected(top: string, version: number, keys: readonly string[]): void {
  const name = `..2026_11_22_10_00_0${version}.${version}`;
  mkdirSync(join(top, name, 'sub'), { recursive: true });
  for (const key of keys) writeFileSync(join(top, name, key), `${version}`.repeat(1 << 16));
  writeFileSync(join(top, name, 'sub/deep'), `${version}`);
  symlinkSync(name, join(top, '..data_tmp'));
  const old = existsSync(join(top, '..data')) ? readlinkSync(join(top, '..data')) : undefined;
  renameSync(join(top, '..data_tmp'), join(top, '..data'));
  for (const key of [...keys, 'sub'])
    if (lstatSync(join(top, key), { throwIfNoEntry: false }) === undefined)
      symlinkSync(`..data/${key}`, join(top, key));
  if (old !== undefined) rmSync(join(top, old), { recursive: true });
}

test.skipIf(noChattr)('an immutable file in DEST: it is named', async () => {
  const [from, to] = [smallTree(), folder()];
  mkdirSync(join(to, 'a/b'), { recursive: true });
  const held = join(to, 'a/b/f');
  writeFileSync(held, 'old');
  execFileSync('chattr', ['+i', held]);
  const undo = undoAtDeath(`chattr -i ${quote(held)}`);
  try {
    const { status, stderr } = await copy([from, to]);
    expect(status).toBe(1);
    expect(stderr).toContain(`cannot write ${held}: not permitted (EPERM)`);
    expect(stderr).toContain('lsattr');
  } finally {
    execFileSync('chattr', ['-i', held]);
    undo.forget();
  }
});

describe('a ConfigMap', () => {
  const keys = Array.from({ length: 50 }, (_, index) => `key${index}`);

  test('is copied as what its keys hold, also below a source, also one key', async () => {
    const [volume, above, to] = [folder(), folder(), folder()];
    projected(volume, 1, keys);
    expect(await copy([volume, to])).toMatchObject({ status: 0 });
    expect(readdirSync(to).toSorted()).toEqual([...keys, 'sub'].toSorted());
    expect(lstatSync(join(to, 'key3')).isFile()).toBe(true);
    expect(readFileSync(join(to, 'sub/deep'), 'utf8')).toBe('1');
    mkdirSync(join(above, 'etc/config'), { recursive: true });
    projected(join(above, 'etc/config'), 2, ['a']);
    const other = folder();
    expect(await copy([above, other])).toMatchObject({ status: 0 });
    expect(readdirSync(join(other, 'etc/config')).toSorted()).toEqual(['a', 'sub']);
    expect(readFileSync(join(other, 'etc/config/sub/deep'), 'utf8')).toBe('2');
    await copy([join(volume, 'key1'), join(to, 'one')]);
    expect(readFileSync(join(to, 'one'), 'utf8')).toBe('1'.repeat(1 << 16));
  });

  test.each([
    ['that is the source', ''],
    ['below a source', 'etc/config'],
  ])('%s and is updated during the copy: one version, never two mixed', async (_what, below) => {
    const top = memoryFolder();
    const volume = join(top, below);
    mkdirSync(volume, { recursive: true });
    projected(volume, 0, keys);
    let version = 0;
    let again = 0;
    for (let round = 0; round < 8; round++) {
      const to = memoryFolder();
      const program = await startInitbox(['copy', top, to]);
      const updates = setInterval(() => projected(volume, (version = (version + 1) % 10), keys), 25);
      const timer = setTimeout(() => clearInterval(updates), 400);
      const { status, stderr } = await program.exit;
      clearInterval(updates);
      clearTimeout(timer);
      if (stderr.includes('its new version is copied')) again++;
      // Five updates in a row may be more than it goes along with; then nothing was written.
      if (status !== 0) {
        expect(stderr).toContain('was updated 5 times');
        expect(readdirSync(to)).toEqual([]);
        continue;
      }
      const found = new Set(keys.map((key) => readFileSync(join(to, below, key), 'utf8').slice(0, 1)));
      expect(found.size, stderr).toBe(1);
      expect(readFileSync(join(to, below, 'sub/deep'), 'utf8')).toBe([...found][0]);
    }
    console.log(`${again} of 8 copies began anew`);
  });
});

describe('--atomic', () => {
  test('shows a tree through ..data; again nothing moves; what changed alone is written; what is gone goes', async () => {
    const [from, to] = [smallTree(), folder()];
    expect(await copy([from, to, '--atomic'])).toMatchObject({ status: 0 });
    const data = readlinkSync(join(to, '..data'));
    expect(readlinkSync(join(to, 'a'))).toBe('..data/a');
    expect(contentOf(join(to, data)).filter((line) => !line.includes('..initbox.json'))).toEqual(
      contentOf(from),
    );
    expect((await copy([from, to, '--atomic'])).stderr).toContain('0 copied (0 B), 13 unchanged');
    expect(readlinkSync(join(to, '..data'))).toBe(data);
    const { ino } = lstatSync(join(to, 'a/f'));
    writeFileSync(join(from, 'f'), 'newer');
    rmSync(join(from, 'run'));
    expect((await copy([from, to, '--atomic'])).stderr).toContain('1 copied (5 B)');
    expect(readlinkSync(join(to, '..data'))).not.toBe(data);
    expect(lstatSync(join(to, 'a/f')).ino).toBe(ino);
    expect(readFileSync(join(to, 'f'), 'utf8')).toBe('newer');
    expect(existsSync(join(to, 'run'))).toBe(false);
    expect(lstatSync(join(to, 'run'), { throwIfNoEntry: false })).toBeUndefined();
    expect(leftovers(to).filter((name) => !name.includes('..initbox.json'))).toHaveLength(1);
  });

  test('a reader sees one version of all files', async () => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    const fillAll = (version: string): void => {
      mkdirSync(join(from, 'd'), { recursive: true });
      for (let i = 0; i < 30; i++)
        writeFileSync(join(from, `d/f${i}`), version.repeat(5000 + version.charCodeAt(0)));
    };
    fillAll('a');
    await copy([from, to, '--atomic']);
    let reads = 0;
    for (const version of ['b', 'c', 'd']) {
      fillAll(version);
      const program = await startInitbox(['copy', from, to, '--atomic']);
      let over = false;
      void program.exit.then(() => (over = true));
      while (!over) {
        // Through one descriptor of the current tree, as a reader with the directory open sees it.
        const current = readlinkSync(join(to, '..data'));
        try {
          const seen = new Set(
            Array.from({ length: 30 }, (_, i) =>
              readFileSync(join(to, current, `d/f${i}`), 'utf8').slice(0, 1),
            ),
          );
          expect(seen.size).toBe(1);
          reads++;
        } catch (error) {
          expect((error as NodeJS.ErrnoException).code).toBe('ENOENT');
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await program.exit).toMatchObject({ status: 0 });
    }
    expect(reads).toBeGreaterThan(5);
  });

  test('an entry that cannot be read: nothing is shown', async () => {
    const [from, to] = [smallTree(), folder()];
    const user = { uid: 4321, gid: 4321 };
    chmodSync(join(from, 'empty'), 0o755);
    const { status, stderr } = await copy([from, to, '--atomic'], notRoot ? {} : { user });
    expect(status, stderr).toBe(notRoot ? 0 : 1);
    if (!notRoot) {
      expect(stderr).toContain('a/secret": EACCES');
      expect(readdirSync(to)).toEqual([]);
    }
  });
});

describe.skipIf(notRoot)('without root', () => {
  const user = { uid: 4321, gid: 4321 };

  test('directories that their owner may not write to; again; and what is not readable fails it whole', async () => {
    const [from, to] = [smallTree(), folder()];
    execFileSync('chmod', ['-R', 'a+rX', from]);
    chmodSync(join(from, 'a'), 0o555);
    chmodSync(join(from, 'a/b'), 0o555);
    expect(await copy([from, to], { user })).toMatchObject({ status: 0 });
    expect(lstatSync(join(to, 'a')).mode & 0o777).toBe(0o555);
    expect(lstatSync(join(to, 'a/b')).mode & 0o777).toBe(0o555);
    expect(lstatSync(join(to, 'a/f')).uid).toBe(4321);
    expect((await copy([from, to], { user })).stderr).toContain('0 copied');
    const other = folder();
    chmodSync(join(from, 'a/b/f'), 0o600);
    const { status, stderr } = await copy([from, other], { user });
    expect(status).toBe(1);
    expect(stderr).toContain('a/b/f": EACCES');
    expect(stderr).toContain('was left as it was');
    expect(readdirSync(other)).toEqual([]);
  });

  test('a volume with fsGroup hands its group on, with set-group-ID', async () => {
    const [from, to] = [smallTree(), folder()];
    execFileSync('chmod', ['-R', 'a+rX', from]);
    execFileSync('chown', ['0:2000', to]);
    chmodSync(to, 0o2775);
    expect(await copy([from, to], { user: { ...user, groups: [2000] } })).toMatchObject({ status: 0 });
    expect(lstatSync(join(to, 'a')).mode & 0o2000).toBe(0o2000);
    expect(lstatSync(join(to, 'a/b/c/f')).gid).toBe(2000);
    expect(lstatSync(to).mode & 0o7777).toBe(0o2775);
  });

  test('--owner without the capability for it: says so, and nothing is shown', async () => {
    const [from, to] = [folder(), folder()];
    writeFileSync(join(from, 'f'), '');
    const { status, stderr } = await copy([from, to, '--owner', '1000:1000'], { user });
    expect(status).toBe(1);
    expect(stderr).toContain('hint: --owner needs the capability CHOWN');
    expect(readdirSync(to)).toEqual([]);
  });

  test('a DEST that this user may not write to', async () => {
    const [from, to] = [smallTree(), folder()];
    execFileSync('chmod', ['-R', 'a+rX', from]);
    chmodSync(to, 0o755);
    const { status, stderr } = await copy([from, to], { user });
    expect(status).toBe(1);
    expect(stderr).toContain('permission denied (EACCES)');
    expect(stderr).toContain('fsGroup');
  });
});

describe('an end before its time', () => {
  test('SIGTERM: DEST is as it was, within moments', async () => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    wideTree(from, 300, 100);
    writeFileSync(join(to, 'mine'), '');
    const program = await startInitbox(['copy', from, to]);
    const deadline = performance.now() + 10_000;
    while (leftovers(to).length === 0 && performance.now() < deadline)
      await new Promise((r) => setTimeout(r, 5));
    program.kill('SIGTERM');
    const { status, stderr } = await within(1000, program.exit);
    expect(status).toBe(143);
    expect(stderr).toContain('ended by SIGTERM');
    // What there was no time to remove, the next run does.
    expect(readdirSync(to).filter((name) => !name.startsWith('..initbox-copy_'))).toEqual(['mine']);
    expect(await copy([from, to])).toMatchObject({ status: 0 });
    expect(leftovers(to)).toEqual([]);
  });

  test('the deadline', async () => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    wideTree(from, 300, 100);
    const { status, stderr } = await copy([from, to, '--timeout', '50ms']);
    expect(status).toBe(124);
    expect(stderr).toContain('run it again');
    expect(readdirSync(to).filter((name) => !name.startsWith('..initbox-copy_'))).toEqual([]);
  });

  test('two at once to one DEST: both end right', async () => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    wideTree(from, 50, 50);
    const both = await Promise.all([copy([from, to]), copy([from, to])]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(contentOf(to)).toEqual(contentOf(from));
    expect(leftovers(to)).toEqual([]);
  });
});
