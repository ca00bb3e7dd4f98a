import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { canMount, mountReadOnly, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { within } from '../../../support/promptly.ts';
import { findInPath, nodePath, requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from '../../../support/undo.ts';
import { contents, drive, identityOf, leftovers, startDriver } from './drive.ts';

const skip = requireOrSkip('publishing to broken volumes', canMount());
const noStrace = requireOrSkip('calls that fail', whyMissing('strace', 'strace'));

/** Without a capability, as the image's user runs. */
function as(uid: number, groups?: string): string[] {
  const setpriv = findInPath('setpriv') ?? 'setpriv';
  return [
    setpriv,
    `--reuid=${uid}`,
    `--regid=${uid}`,
    groups ? `--groups=${groups}` : '--clear-groups',
    '--',
  ];
}

describe.skipIf(skip)('publishing', () => {
  let volume: Mounted;
  const mounts: Mounted[] = [];
  let folder: string;

  beforeAll(() => {
    volume = mountTmpfs({ size: '32m' });
  });
  afterEach(() => {
    for (const mount of mounts.splice(0)) mount.remove();
  });
  afterAll(() => volume.remove());

  function fresh(): string {
    folder = mkdtempSync(join(volume.path, 'target-'));
    chmodSync(folder, 0o755);
    return folder;
  }

  function mounted(mount: Mounted): string {
    mounts.push(mount);
    return mount.path;
  }

  describe('a full volume', () => {
    it('leaves one file as it was, and says how much is needed and free', async () => {
      const full = mounted(mountTmpfs({ size: '256k' }));
      const path = join(full, 'app.conf');
      expect(await drive({ path, files: { '': 'old' } })).toMatchObject({ done: { written: 1 } });
      const { error } = await drive({ path, files: { '': 'x'.repeat(1000) }, repeat: 1000 });
      expect(error).toMatchObject({ status: 1, what: `cannot write ${path}: the volume is full (ENOSPC)` });
      expect(error?.hint).toMatch(
        /^\d+(?:\.\d)? KiB are needed beside what is there.*, and 2\d\d(?:\.\d)? KiB are free; raise/,
      );
      expect(contents(full)).toEqual({ 'app.conf': 'old' });
      expect(leftovers(full)).toEqual([]);
    });

    it('leaves several files as they were', async () => {
      const full = mounted(mountTmpfs({ size: '256k' }));
      await drive({ path: full, files: { a: 'old a', b: 'old b' } });
      const { error } = await drive({ path: full, files: { a: 'A', b: 'B', c: 'C' }, repeat: 150_000 });
      expect(error).toMatchObject({ status: 1, what: `cannot write ${full}: the volume is full (ENOSPC)` });
      expect(error?.hint).toMatch(/^\d+(?:\.\d)? KiB are needed/);
      expect(contents(full)).toEqual({ a: 'old a', b: 'old b' });
      expect(leftovers(full)).toEqual([]);
    });

    it('says that inodes are what is missing', async () => {
      const full = mounted(mountTmpfs({ size: '1m', options: 'nr_inodes=5' }));
      const { error } = await drive({ path: full, files: { a: '1', b: '2', c: '3', d: '4' } });
      expect(error?.hint).toMatch(/^it has \d inodes left, too few for so many files/);
      expect(readdirSync(full)).toEqual([]);
    });

    it('what a killed run left is removed first, for it may be what fills it', async () => {
      const full = mounted(mountTmpfs({ size: '256k' }));
      const big = { path: full, files: { a: 'a', b: 'b' }, repeat: 80_000 };
      const held = startDriver({ ...big, hold: true });
      await held.staged;
      held.child.kill('SIGKILL');
      await held.end;
      // What was built, and the link that was to show it.
      expect(leftovers(full)).toHaveLength(2);
      expect(await drive(big)).toMatchObject({ done: { written: 2 } });
      expect(leftovers(full)).toEqual([]);
    });
  });

  describe('a read-only volume', () => {
    it.each([
      ['app.conf', { '': 'x' }],
      ['', { a: 'x', b: 'y' }],
    ])('is refused before and after fetching (%s)', async (name, files) => {
      const path = join(mounted(mountReadOnly(fresh())), name);
      const before = await drive({ path, files, check: 'disk' });
      expect(before.error).toMatchObject({
        status: 2,
        what: expect.stringContaining('read-only file system (EROFS)'),
      });
      const after = await drive({ path, files });
      expect(after.error).toMatchObject({ status: 1, hint: expect.stringContaining('without readOnly') });
      expect(readdirSync(folder)).toEqual([]);
    });
  });

  describe('a subPath mount', () => {
    function bindFile(): string {
      const source = join(fresh(), 'source');
      const target = join(mkdtempSync(join(volume.path, 'sub-')), 'app.conf');
      writeFileSync(source, 'mounted');
      writeFileSync(target, '');
      execFileSync('mount', ['--bind', source, target]);
      const undo = undoAtDeath(`umount -l ${quote(target)}`);
      const remove = (): void => {
        execFileSync('umount', ['-l', target]);
        undo.forget();
      };
      mounts.push({ path: target, remove, [Symbol.dispose]: remove });
      return target;
    }

    it('is refused before fetching, and by the rename too', async () => {
      const path = bindFile();
      const what = `cannot write ${path}: it is a mount of its own, which cannot be replaced`;
      const before = await drive({ path, files: { '': 'x' }, check: 'disk' });
      expect(before.error).toMatchObject({ status: 2, what });
      const after = await drive({ path, files: { '': 'x' } });
      expect(after.error).toMatchObject({
        status: 1,
        what: `${what} (EBUSY)`,
        hint: expect.stringContaining('subPath'),
      });
      expect(readFileSync(path, 'utf8')).toBe('mounted');
      expect(leftovers(join(path, '..'))).toEqual([]);
    });

    it('among several files too', async () => {
      const path = bindFile();
      const { error } = await drive({ path: join(path, '..'), files: { 'app.conf': 'x', b: 'y' } });
      expect(error?.hint).toContain('subPath');
      expect(readFileSync(path, 'utf8')).toBe('mounted');
      expect(existsSync(join(path, '..', 'b'))).toBe(false);
    });
  });

  describe('a user without permission', () => {
    it('is told so before fetching, with what to set', async () => {
      const path = fresh();
      const job = { path, files: { a: 'x', b: 'y' } };
      const before = await drive({ ...job, check: 'disk' }, as(65532));
      expect(before.error).toMatchObject({
        status: 2,
        what: `cannot write ${path}: permission denied (EACCES)`,
      });
      const after = await drive(job, as(65532));
      expect(after.error).toMatchObject({ status: 1, hint: expect.stringContaining('fsGroup') });
      expect(readdirSync(path)).toEqual([]);
    });

    it('cannot give files away, and leaves none', async () => {
      const path = fresh();
      chmodSync(path, 0o777);
      const { error } = await drive(
        { path: `${path}/a`, files: { '': 'x' }, owner: { uid: 1000, gid: 1000 } },
        as(65532),
      );
      expect(error).toMatchObject({ what: `cannot write ${path}/a: the owner cannot be changed (EPERM)` });
      expect(readdirSync(path)).toEqual([]);
    });

    it('root gives files away, with their mode', async () => {
      const path = fresh();
      await drive({ path: `${path}/a`, files: { '': 'x' }, owner: { uid: 1000, gid: 2000 } });
      await drive({ path, files: { b: 'x', c: 'y' }, owner: { uid: 1000, gid: 2000 }, mode: 0o400 });
      expect(statSync(`${path}/a`)).toMatchObject({ uid: 1000, gid: 2000, mode: 0o100440 });
      expect(statSync(`${path}/c`)).toMatchObject({ uid: 1000, gid: 2000, mode: 0o100400 });
    });
  });

  it('keeps setgid and the group that it gives, whatever the umask', async () => {
    const path = fresh();
    chownSync(path, 0, 2000);
    chmodSync(path, 0o2777);
    const prefix = [...as(65532, '2000'), '/bin/sh', '-c', 'umask 077; exec "$@"', 'sh'];
    await drive({ path, files: { a: 'x', 'sub/b': 'y' } }, prefix);
    await drive({ path: `${path}/one`, files: { '': 'z' } }, prefix);
    const generation = readlinkSync(`${path}/..data`);
    expect(statSync(path).mode & 0o7777).toBe(0o2777);
    // The sticky bit tells that readers have seen it.
    expect(statSync(join(path, generation))).toMatchObject({ gid: 2000, mode: 0o043755 });
    expect(statSync(join(path, 'sub'))).toMatchObject({ gid: 2000, mode: 0o042755 });
    for (const name of ['a', 'sub/b', 'one']) {
      expect(statSync(join(path, name))).toMatchObject({ uid: 65532, gid: 2000, mode: 0o100440 });
    }
  });

  describe('what stands in the way', () => {
    it.each<[string, (path: string) => void, RegExp]>([
      ['a folder', (path) => mkdirSync(`${path}/a`), /a: a folder stands in its way$/],
      ['a link', (path) => symlinkSync('/etc/passwd', `${path}/a`), /a: a symbolic link stands there/],
      [
        "the kubelet's ..data",
        (path) => symlinkSync('..2026_01_01', `${path}/..data`),
        /"\.\.2026_01_01", which initbox did not make/,
      ],
      [
        'a ..data that leaves the volume',
        (path) => symlinkSync('/etc', `${path}/..data`),
        /points to "\/etc"/,
      ],
      ['a ..data that is a folder', (path) => mkdirSync(`${path}/..data`), /its \.\.data is not a link/],
    ])('%s is refused, and nothing is changed', async (_, prepare, what) => {
      const path = fresh();
      prepare(path);
      const before = readdirSync(path);
      const job = { path, files: { a: 'x', b: 'y' } };
      expect((await drive({ ...job, check: 'disk' })).error).toMatchObject({
        status: 2,
        what: expect.stringMatching(what),
      });
      expect((await drive(job)).error).toMatchObject({ status: 1, what: expect.stringMatching(what) });
      expect(readdirSync(path)).toEqual(before);
    });

    it('a folder where one file is to be', async () => {
      const path = fresh();
      expect((await drive({ path, files: { '': 'x' }, check: 'disk' })).error).toMatchObject({
        status: 2,
        what: `cannot write ${path}: it is a folder`,
      });
    });

    it.each(['/dev/stdout', '/dev/null', '/proc/self/comm', '/sys/x'])(
      'the system’s own %s',
      async (path) => {
        expect((await drive({ path, files: { '': 'x' }, check: 'disk' })).error).toMatchObject({
          status: 2,
          what: expect.stringMatching(/belongs to the system|is the kernel's|no file/),
        });
      },
    );

    it('a FIFO', async () => {
      const path = join(fresh(), 'fifo');
      execFileSync('mkfifo', [path]);
      const { error } = await drive({ path, files: { '': 'x' } });
      expect(error?.what).toBe(`cannot write ${path}: it is there already, and no file`);
      expect(lstatSync(path).isFIFO()).toBe(true);
    });

    it('a missing folder is made by the writing, not by the look', async () => {
      const path = join(fresh(), 'none', 'app.conf');
      expect((await drive({ path, files: { '': 'x' }, check: 'disk' })).error).toBeUndefined();
      expect(existsSync(dirname(path))).toBe(false);
      expect((await drive({ path, files: { '': 'x' } })).error).toBeUndefined();
      expect(readFileSync(path, 'utf8')).toBe('x');
    });

    it('a link in the place of one file is replaced, never followed', async () => {
      const path = fresh();
      const victim = join(volume.path, 'victim');
      writeFileSync(victim, 'untouched');
      symlinkSync(victim, `${path}/app.conf`);
      await drive({ path: `${path}/app.conf`, files: { '': 'secret' } });
      expect(readFileSync(victim, 'utf8')).toBe('untouched');
      expect(lstatSync(`${path}/app.conf`).isFile()).toBe(true);
    });
  });

  it.each(['../x', '/etc/x', 'a/../b', '..data', 'a//b', './a', ''].filter((name) => name !== ''))(
    'the name %s is refused',
    async (name) => {
      const path = fresh();
      const { error } = await drive({ path, files: { [name]: 'x', b: 'y' } });
      expect(error?.what).toMatch(/cannot be a file in the target/);
      expect(readdirSync(path)).toEqual([]);
    },
  );

  it('never writes through links that are swapped in meanwhile', async () => {
    const path = fresh();
    const victim = mkdtempSync(join(volume.path, 'victim-'));
    writeFileSync(join(victim, 'a'), 'untouched');
    mkdirSync(join(victim, 'sub'));
    writeFileSync(join(victim, 'sub', 'b'), 'untouched');
    const swapper = spawn(nodePath(), [join(import.meta.dirname, 'swapper.ts'), path, victim], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let output = '';
    swapper.stdout.on('data', (chunk) => (output += chunk));
    const closed = new Promise((resolve) => swapper.once('close', resolve));
    // Some of these fail, and may: what counts is where they wrote.
    for (let round = 0; round < 15; round++)
      await drive({ path, files: { a: `${round}`, 'sub/b': `${round}` } });
    swapper.stdin.end();
    await closed;
    expect((JSON.parse(output) as { swaps: number }).swaps).toBeGreaterThan(10);
    expect(readdirSync(victim).toSorted()).toEqual(['a', 'sub']);
    expect(readFileSync(join(victim, 'a'), 'utf8')).toBe('untouched');
    expect(readFileSync(join(victim, 'sub', 'b'), 'utf8')).toBe('untouched');
    expect(readdirSync(join(victim, 'sub'))).toEqual(['b']);
  });

  describe('two at once', () => {
    it.each([
      ['in one pod', []],
      // A namespace of its own each: they cannot see each other's turn.
      ['in two pods', [findInPath('unshare') ?? 'unshare', '--net', '--']],
    ])('%s: both succeed, and one of them is seen, whole', async (_, prefix) => {
      const path = fresh();
      for (let round = 0; round < 6; round++) {
        const jobs = ['left', 'right', 'third'].map((name) =>
          drive({ path, files: { a: `${name} ${round}`, b: `${name} ${round}`, [name]: 'x' } }, prefix),
        );
        const results = await Promise.all(jobs);
        expect(results.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
        const { a, b, ...rest } = contents(path);
        expect(a).toBe(b);
        expect(rest).toEqual({ [a?.split(' ')[0] ?? '']: 'x' });
        expect(leftovers(path)).toEqual([]);
      }
    });

    it('the same single file', async () => {
      const path = fresh();
      const results = await Promise.all(
        ['left', 'right', 'third'].map((name) =>
          drive({ path: `${path}/app.conf`, files: { '': name }, repeat: 10_000 }),
        ),
      );
      expect(results.every(({ done }) => done !== undefined)).toBe(true);
      expect(['left', 'right', 'third'].map((name) => name.repeat(10_000))).toContain(
        contents(path)['app.conf'],
      );
      expect(readdirSync(path)).toEqual(['app.conf']);
    });
  });

  describe.skipIf(noStrace)('a disk that fails once the new files are shown', () => {
    /** The folder itself reaches the disk once it shows what is new, and not before. */
    const failing = () => [
      'strace',
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-P',
      folder,
      '-e',
      'inject=fsync:error=EIO',
    ];

    it('is said as that, for one file and for several', async () => {
      for (const [name, files] of [
        ['app.conf', { '': 'new' }],
        ['', { a: 'new', b: 'new' }],
      ] as const) {
        const path = join(fresh(), name).replace(/\/$/, '');
        await drive({ path, files: name === '' ? { a: 'old', b: 'old' } : { '': 'old' } });
        const { error } = await drive({ path, files: { ...files } }, failing());
        expect(error, name).toMatchObject({
          status: 1,
          what: `${path} has its new content, but the file system did not confirm that it outlasts a loss of power: i/o error (EIO)`,
        });
        expect(Object.values(contents(folder)).every((text) => text === 'new')).toBe(true);
        expect(await drive({ path, files: { ...files } })).toHaveProperty('done');
        expect(leftovers(folder)).toEqual([]);
      }
    });
  });

  describe('SIGTERM before the swap', () => {
    it.each<[string, Record<string, string>, Record<string, string>]>([
      ['app.conf', { '': 'old' }, { '': 'new' }],
      ['', { a: 'old', b: 'old' }, { a: 'new', b: 'new', c: 'new' }],
    ])('shows nothing and leaves nothing (%s)', async (name, old, files) => {
      const path = join(fresh(), name);
      await drive({ path, files: old });
      const before = contents(folder);
      const held = startDriver({ path, files, hold: true });
      await held.staged;
      held.child.kill('SIGTERM');
      expect((await within(1000, held.end)).error).toMatchObject({ what: 'received SIGTERM' });
      expect(contents(folder)).toEqual(before);
      expect(leftovers(folder)).toEqual([]);
    });
  });

  describe('a rerun', () => {
    it('leaves the same content alone', async () => {
      const path = fresh();
      const one = { path: `${path}/one`, files: { '': 'x' } };
      const set = { path, files: { a: 'A', 'conf.d/b': 'B' } };
      await drive(one);
      await drive(set);
      const files = ['one', '..data', 'a', '..data/a', 'conf.d/b', '.'].map((name) => join(path, name));
      const before = files.map(identityOf);
      expect(await drive(one)).toMatchObject({ done: { written: 0, unchanged: 1 } });
      expect(await drive(set)).toMatchObject({ done: { written: 0, unchanged: 2 } });
      expect(files.map(identityOf)).toEqual(before);
    });

    it('keeps the files that did not change, and removes those that are gone', async () => {
      const path = fresh();
      await drive({ path, files: { a: 'A', b: 'B', c: 'C' } });
      const before = identityOf(join(path, '..data', 'a'));
      const { done } = await drive({ path, files: { a: 'A', b: 'B2' } });
      expect(done).toMatchObject({ written: 1, unchanged: 1, removed: 1, bytes: 2 });
      expect(identityOf(join(path, '..data', 'a'))).toEqual(before);
      expect(contents(path)).toEqual({ a: 'A', b: 'B2' });
    });

    it('writes again what has another mode', async () => {
      const path = fresh();
      await drive({ path, files: { a: 'A', b: 'B' } });
      await drive({ path, files: { a: 'A', b: 'B' }, mode: 0o400 });
      expect(statSync(join(path, 'a')).mode & 0o777).toBe(0o400);
    });

    it('makes a link again that was removed, and replaces a file that took its place', async () => {
      const path = fresh();
      const job = { path, files: { a: 'A', b: 'B', c: 'C' } };
      await drive(job);
      execFileSync('rm', [join(path, 'a'), join(path, 'b')]);
      writeFileSync(join(path, 'b'), 'by hand');
      expect((await drive(job)).error).toBeUndefined();
      expect(contents(path)).toEqual(job.files);
      expect(lstatSync(join(path, 'b')).isSymbolicLink()).toBe(true);
    });

    it("leaves another publication's files alone, and plain files too", async () => {
      const path = fresh();
      writeFileSync(join(path, 'mine'), 'by hand');
      await drive({ path, files: { a: 'A', 'sub/x': 'X' }, set: 'first' });
      await drive({ path, files: { b: 'B' }, set: 'second' });
      expect(readdirSync(path).filter((name) => !name.startsWith('..'))).toEqual(['a', 'b', 'mine', 'sub']);
      expect(readFileSync(join(path, 'sub', 'x'), 'utf8')).toBe('X');
      await drive({ path, files: { c: 'C' }, set: 'first' });
      expect(contents(path)).toEqual({ b: 'B', c: 'C', mine: 'by hand' });
    });

    it('turns plain files into a set without losing them', async () => {
      const path = fresh();
      writeFileSync(join(path, 'a'), 'plain');
      const { done } = await drive({ path, files: { a: 'A', b: 'B' } });
      expect(done).toMatchObject({ written: 2 });
      expect(contents(path)).toEqual({ a: 'A', b: 'B' });
      expect(leftovers(path)).toEqual([]);
    });
  });

  describe('the guard for secrets', () => {
    it('takes memory and refuses a disk, with what to mount', async () => {
      const path = fresh();
      expect((await drive({ path: `${path}/a`, files: { '': 'x' }, check: 'memory' })).done).toBe('checked');
      const disk = temporaryDirectory('disk');
      try {
        const { error } = await drive({ path: `${disk.path}/a`, files: { '': 'x' }, check: 'memory' });
        expect(error).toMatchObject({
          status: 2,
          what: `cannot write ${disk.path}/a: it is a secret, and ${disk.path} is not in memory`,
          hint: expect.stringContaining('medium: Memory'),
        });
        expect((await drive({ path: `${disk.path}/a`, files: { '': 'x' }, check: 'disk' })).done).toBe(
          'checked',
        );
      } finally {
        disk.remove();
      }
    });
  });
});
