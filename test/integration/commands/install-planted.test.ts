// What somebody else who may write to the volume has put where the runtime is to be.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { underStrace, waitUntil } from '../../support/faults.ts';
import { runInitbox, startInitbox } from '../../support/program.ts';
import { nodePath, projectDirectory, requireOrSkip, whyMissing } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const skip = requireOrSkip(
  'what others plant where the runtime is to be',
  process.getuid?.() === 0 ? undefined : 'files of another user need root',
);

const noStrace = requireOrSkip('an install that is held up', whyMissing('strace', 'strace'));

/** Who else may write to the volume. */
const other = 4321;

describe.skipIf(skip)('install onto a volume that others write to', () => {
  const runtime = join(temporaryDirectory('runtime').path, 'initbox');
  const program = [nodePath(), join(runtime, 'initbox')];
  let paths: string[];
  let volume: string;
  let elsewhere: string;

  beforeAll(() => {
    cpSync(join(projectDirectory, 'dist'), runtime, { recursive: true });
    cpSync(join(projectDirectory, 'dist/initbox.js'), join(runtime, 'initbox'));
    mkdirSync(join(runtime, 'bin'));
    writeFileSync(join(runtime, 'bin/node'), Buffer.alloc(300_000, 'n'), { mode: 0o755 });
    paths = [
      'initbox',
      'bin/node',
      'program.js',
      ...readdirSync(join(runtime, 'commands')).map((name) => `commands/${name}`),
    ];
    const files = paths.map((path) => {
      const content = readFileSync(join(runtime, path));
      const mode = (statSync(join(runtime, path)).mode & 0o777).toString(8).padStart(4, '0');
      return { path, size: content.length, mode, sha256: createHash('sha256').update(content).digest('hex') };
    });
    const build = createHash('sha256').update(JSON.stringify(files)).digest('hex');
    writeFileSync(join(runtime, 'manifest.json'), JSON.stringify({ version: '1.2.3', build, files }));
  });
  beforeEach(() => {
    volume = temporaryDirectory('volume').path;
    chmodSync(volume, 0o777);
    elsewhere = temporaryDirectory('elsewhere').path;
    chmodSync(elsewhere, 0o755);
  });

  const install = (...args: string[]) => runInitbox(['install', ...args], { program });

  function plantLink(target: string, path: string): void {
    symlinkSync(target, path);
    lchownSync(path, other, other);
  }

  /** Everything, to tell whether anything was written. */
  const state = (top: string): string[] =>
    readdirSync(top, { recursive: true })
      .map((name) => {
        const { ino, ctimeMs, uid, mode } = lstatSync(join(top, String(name)));
        return `${String(name)} ${ino} ${ctimeMs} ${uid} ${mode}`;
      })
      .toSorted();

  describe('a link in the place of a folder', () => {
    test.each([
      ['DIR itself', 'shared', 'shared'],
      ['a folder above DIR', 'shared', 'shared/deep/runtime'],
    ])('%s: refused as by the other commands, and nothing is written there', async (_, link, target) => {
      plantLink(elsewhere, join(volume, link));
      for (const flags of [[], ['--check']]) {
        const { status, stderr } = await install(join(volume, target), ...flags);
        expect(stderr).toContain(
          `${join(volume, link)} is a symbolic link to "${elsewhere}", which others may have made`,
        );
        expect(status).toBe(2);
      }
      expect(readdirSync(elsewhere)).toEqual([]);
    });

    test('a folder of the runtime: refused before anything is written, and nothing there is removed', async () => {
      const abandoned = join(elsewhere, 'node.1-0.tmp');
      writeFileSync(abandoned, 'of somebody');
      utimesSync(abandoned, new Date(), new Date(Date.now() - 60_000));
      writeFileSync(join(elsewhere, 'node'), 'of somebody');
      plantLink(elsewhere, join(volume, 'bin'));
      const before = state(elsewhere);
      const { status, stderr } = await install(volume);
      expect(stderr).toContain(
        `${volume}/bin is a symbolic link to "${elsewhere}", which others may have made`,
      );
      expect(status).toBe(2);
      expect(state(elsewhere)).toEqual(before);
      expect(readdirSync(volume)).toEqual(['bin']);
    });

    test("a folder of the runtime that is another user's, or that everybody may write to, is refused", async () => {
      for (const [uid, mode] of [
        [other, 0o755],
        [0, 0o777],
      ] as const) {
        const target = join(volume, `of-${uid}`);
        mkdirSync(join(target, 'bin'), { recursive: true });
        chmodSync(join(target, 'bin'), mode);
        chownSync(join(target, 'bin'), uid, uid);
        const { status, stderr } = await install(target);
        expect(stderr).toContain(`${target}/bin`);
        expect(stderr).toMatch(/belongs to user 4321|may be written to by everybody/);
        expect(status).toBe(2);
        expect(readdirSync(target)).toEqual(['bin']);
        const checked = await install(target, '--check');
        expect(checked.status).toBe(1);
        expect(checked.stderr).toMatch(/bin belongs to user 4321|bin may be written to by everybody/);
      }
    });
  });

  describe('what is right but for', () => {
    const faults: readonly [string, (path: string) => void, RegExp][] = [
      ['its owner', (path) => chownSync(path, other, other), /belongs to user 4321/],
      [
        'its mode, by which everybody may write to it',
        (path) => chmodSync(path, 0o757),
        /may be written to by everybody/,
      ],
      [
        'its mode, by which a group may write to it',
        (path) => {
          chownSync(path, 0, other);
          chmodSync(path, statSync(path).mode | 0o020);
        },
        /may be written to by group 4321/,
      ],
      [
        "its mode, by which root's group may write to it",
        (path) => chmodSync(path, statSync(path).mode | 0o020),
        /has the wrong mode/,
      ],
      [
        'its content, of the same size',
        (path) => {
          const bytes = readFileSync(path);
          bytes[0] = (bytes[0] ?? 0) ^ 1;
          writeFileSync(path, bytes);
        },
        /has other content/,
      ],
      [
        'being a link to the same',
        (path) => {
          const copy = join(elsewhere, 'copy');
          cpSync(path, copy);
          rmSync(path);
          symlinkSync(copy, path);
        },
        /is a symbolic link/,
      ],
    ];
    test.each(faults)('%s is found by --check and made anew', async (_, damage, said) => {
      expect(await install(volume)).toMatchObject({ status: 0 });
      for (const path of ['bin/node', 'initbox', 'manifest.json', 'program.js']) {
        const file = join(volume, path);
        damage(file);
        const { ino } = lstatSync(file);
        const found = await install(volume, '--check');
        expect(found.stderr).toMatch(new RegExp(`${path}.* ${said.source}|${said.source} ${path}`));
        expect(found.status).toBe(1);
        const { status, stderr } = await install(volume);
        expect(stderr).not.toContain('already');
        expect(status, stderr).toBe(0);
        const now = lstatSync(file);
        expect(now).toMatchObject({ uid: 0 });
        expect(now.isFile()).toBe(true);
        expect(now.ino).not.toBe(ino);
        expect(readFileSync(file).equals(readFileSync(join(runtime, path)))).toBe(true);
        expect(await install(volume, '--check')).toMatchObject({ status: 0 });
      }
    });
  });

  describe('a folder of the runtime that a group may write to, as fsGroup leaves it', () => {
    beforeEach(async () => {
      expect(await install(volume)).toMatchObject({ status: 0 });
      chownSync(join(volume, 'bin'), 0, other);
      chmodSync(join(volume, 'bin'), 0o2775);
    });

    test('is found by --check, and closed to the group by install', async () => {
      const found = await install(volume, '--check');
      expect(found.stderr).toContain('bin may be written to by group 4321');
      expect(found.stderr).toContain(`initbox install ${volume} repairs it`);
      expect(found.status).toBe(1);
      expect(statSync(join(volume, 'bin')).mode & 0o7777).toBe(0o2775);
      const { status, stderr } = await install(volume);
      expect(status, stderr).toBe(0);
      expect(statSync(join(volume, 'bin')).mode & 0o777).toBe(0o755);
      expect(await install(volume, '--check')).toMatchObject({ status: 0 });
    });

    test('is refused where something else is in it: a library in a folder of its own would be loaded', async () => {
      mkdirSync(join(volume, 'bin/glibc-hwcaps'));
      const { status, stderr } = await install(volume);
      expect(stderr).toContain(`${volume}/bin`);
      expect(stderr).toContain('"glibc-hwcaps"');
      expect(status).toBe(2);
    });

    test("is right where the group is root's", async () => {
      chownSync(join(volume, 'bin'), 0, 0);
      expect(await install(volume, '--check')).toMatchObject({ status: 0 });
    });

    test('the volume itself may be one, as with fsGroup', async () => {
      chmodSync(join(volume, 'bin'), 0o755);
      chownSync(volume, 0, other);
      chmodSync(volume, 0o2775);
      expect(await install(volume, '--check')).toMatchObject({ status: 0 });
    });
  });

  test("a whole runtime of another user is replaced, file by file, where the folders are root's", async () => {
    expect(await install(volume)).toMatchObject({ status: 0 });
    for (const path of [...paths, 'manifest.json']) {
      const file = join(volume, path);
      if (path !== 'manifest.json') writeFileSync(file, Buffer.alloc(statSync(file).size, 'e'));
      chownSync(file, other, other);
    }
    expect(await install(volume)).toMatchObject({ status: 0 });
    for (const path of paths) {
      expect(lstatSync(join(volume, path)).uid).toBe(0);
      expect(readFileSync(join(volume, path)).equals(readFileSync(join(runtime, path)))).toBe(true);
    }
  });

  test('a FIFO in the place of the list does not hold up the run, and is replaced', async () => {
    const { execFileSync } = await import('node:child_process');
    execFileSync('mkfifo', [join(volume, 'manifest.json')]);
    expect(await install(volume, '--timeout', '30s')).toMatchObject({ status: 0 });
    expect(lstatSync(join(volume, 'manifest.json')).isFile()).toBe(true);
  });

  test('a runtime that is damaged itself is not copied', async () => {
    const damaged = join(temporaryDirectory('damaged').path, 'initbox');
    cpSync(runtime, damaged, { recursive: true });
    writeFileSync(join(damaged, 'bin/node'), Buffer.alloc(300_000, 'x'));
    const { status, stderr } = await runInitbox(['install', volume], {
      program: [nodePath(), join(damaged, 'initbox')],
    });
    expect(status).toBe(1);
    expect(stderr).toContain('bin/node');
    expect(stderr).toContain('damaged');
    expect(existsSync(join(volume, 'bin/node'))).toBe(false);
    expect(existsSync(join(volume, 'initbox'))).toBe(false);
  });

  test.skipIf(noStrace).each([
    ['is renamed', (folder: string) => renameSync(folder, `${folder}-old`)],
    [
      'is exchanged for a folder of another user',
      (folder: string) => {
        renameSync(folder, `${folder}-old`);
        mkdirSync(folder);
        chownSync(folder, other, other);
      },
    ],
    [
      'is exchanged for a link',
      (folder: string) => {
        renameSync(folder, `${folder}-old`);
        plantLink(elsewhere, folder);
      },
    ],
  ])(
    'a folder of the runtime that %s meanwhile: no program is there, and the status is 1',
    async (_, move) => {
      for (const folder of ['bin', 'commands', '.']) {
        const top = join(volume, `to-${folder}`);
        mkdirSync(top);
        // Held up where the last file but the list and the program gets its name.
        const which = paths.length - 1;
        const program_ = await startInitbox(['install', top], {
          program,
          prefix: underStrace(`inject=?rename,?renameat,?renameat2:delay_enter=2000000:when=${which}`),
        });
        const last = () =>
          readdirSync(top, { recursive: true }).some(
            (name) => String(name).endsWith('.tmp') && readdirSync(top, { recursive: true }).length > which,
          );
        await waitUntil(last, { timeout: 60_000, what: 'the install to stand still' });
        await new Promise((resolve) => setTimeout(resolve, 300));
        move(folder === '.' ? top : join(top, folder));
        const { status, stderr } = await program_.exit;
        expect(status, stderr).toBe(1);
        expect(stderr).toContain('was moved or exchanged meanwhile, so no program was left there');
        for (const path of [top, `${top}-old`]) expect(existsSync(join(path, 'initbox')), path).toBe(false);
        expect(readdirSync(elsewhere)).toEqual([]);
      }
    },
  );

  test('--check tells to remove what install does not close or replace', async () => {
    expect(await install(volume)).toMatchObject({ status: 0 });
    const check = async () => (await install(volume, '--check')).stderr;
    const repairs = `hint: initbox install ${volume} repairs it`;
    chownSync(join(volume, 'bin'), 0, 1234);
    chmodSync(join(volume, 'bin'), 0o775);
    expect(await check()).toContain(repairs);
    mkdirSync(join(volume, 'bin/glibc-hwcaps'));
    expect(await check()).toContain('holds "glibc-hwcaps", which is not of the runtime');
    expect(await check()).toContain('remove bin, which install does not replace');
    expect(await install(volume)).toMatchObject({ status: 2 });
    rmSync(join(volume, 'bin'), { recursive: true });
    rmSync(join(volume, 'program.js'));
    mkdirSync(join(volume, 'program.js'));
    expect(await check()).toContain('remove program.js, which install does not replace');
    expect(await install(volume)).toMatchObject({ status: 1 });
    rmSync(join(volume, 'program.js'), { recursive: true });
    expect(await check()).toContain(repairs);
    expect(await install(volume)).toMatchObject({ status: 0 });
  });

  test('--check makes nothing', async () => {
    const { status } = await install(join(volume, 'deep/shared'), '--check');
    expect(status).toBe(1);
    expect(readdirSync(volume)).toEqual([]);
  });
});
