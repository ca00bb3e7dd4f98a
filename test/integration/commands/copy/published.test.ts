import { execFileSync } from 'node:child_process';
// A folder that was published at once before, and is copied to with --delete now.
import {
  chmodSync,
  chownSync,
  existsSync,
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

import { canMount, mounting, underStrace } from '../../../support/faults.ts';
import { runInitbox } from '../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote } from '../../../support/undo.ts';
import { copy, folder, memoryFolder } from './support.ts';

const needsRoot = requireOrSkip(
  'published trees of others',
  process.getuid?.() === 0 ? undefined : 'files of another user need root',
);

/** A source with other files than what was published. */
function newer(): string {
  const source = folder();
  writeFileSync(join(source, 'new'), 'new');
  return source;
}

async function published(): Promise<string> {
  const [source, to] = [folder(), folder()];
  mkdirSync(join(source, 'deep'));
  for (const path of ['secret', 'deep/old']) writeFileSync(join(source, path), 'old');
  const { status, stderr } = await copy([source, to, '--atomic']);
  expect(status, stderr).toBe(0);
  return to;
}

const trees = (top: string): string[] => readdirSync(top).filter((name) => name.startsWith('..initbox_'));

describe('--delete over what was published at once: the tree goes with what leads to it', () => {
  const ways: readonly [string, () => Promise<string>][] = [
    ['copy --atomic', published],
    [
      'fetch-config --format files',
      async () => {
        const [source, to] = [folder(), memoryFolder()];
        writeFileSync(join(source, 'keys.json'), '{"user":"a","password":"b"}');
        const { status, stderr } = await runInitbox([
          'fetch-config',
          `file:${join(source, 'keys.json')}`,
          '--format',
          'files',
          '--to',
          to,
        ]);
        expect(status, stderr).toBe(0);
        return to;
      },
    ],
    [
      'fetch-config --unpack',
      async () => {
        const [source, to] = [folder(), folder()];
        mkdirSync(join(source, 'site/css'), { recursive: true });
        writeFileSync(join(source, 'site/css/a.css'), 'a');
        execFileSync('tar', ['-czf', join(source, 'site.tar.gz'), '-C', join(source, 'site'), 'css']);
        const { status, stderr } = await runInitbox([
          'fetch-config',
          `file:${join(source, 'site.tar.gz')}`,
          '--unpack',
          '--to',
          to,
        ]);
        expect(status, stderr).toBe(0);
        return to;
      },
    ],
  ];
  test.each(ways)('%s', async (_, publish) => {
    const [source, to] = [newer(), await publish()];
    expect(trees(to)).toHaveLength(1);
    const dry = await copy([source, to, '--delete', '--dry-run']);
    expect(dry.status, dry.stderr).toBe(0);
    expect(trees(to)).toHaveLength(1);
    const { status, stderr } = await copy([source, to, '--delete']);
    expect(status, stderr).toBe(0);
    expect(readdirSync(to)).toEqual(['new']);
    const removed = /(\d+) removed/.exec(stderr)?.[1];
    expect(JSON.parse(dry.stdout)).toMatchObject({ removed: Number(removed) });
    const again = await copy([source, to, '--delete']);
    expect(again.stderr).toContain('0 removed');
  });

  test('the tree of an earlier --delete that left it goes too', async () => {
    const [source, to] = [newer(), await published()];
    execFileSync('rm', [join(to, '..data')]);
    expect(await copy([source, to, '--delete'])).toMatchObject({ status: 0 });
    expect(readdirSync(to)).toEqual(['new']);
  });

  test('without --delete it stays, and so it does while ..data leads to it', async () => {
    const [source, to] = [newer(), await published()];
    expect(await copy([source, to])).toMatchObject({ status: 0 });
    const tree = readlinkSync(join(to, '..data'));
    expect(await copy([source, to, '--delete', '--exclude', '..data'])).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, tree, 'secret'), 'utf8')).toBe('old');
  });

  test.skipIf(requireOrSkip('--delete that is killed', whyMissing('strace', 'strace')))(
    'killed at each removal: the next run removes the rest',
    async () => {
      for (let when = 1; ; when++) {
        const [source, to] = [newer(), await published()];
        const prefix = underStrace(`inject=unlink,rmdir:signal=KILL:when=${when}`);
        const { status } = await copy([source, to, '--delete'], { prefix });
        expect(await copy([source, to, '--delete'])).toMatchObject({ status: 0 });
        expect(readdirSync(to)).toEqual(['new']);
        if (status === 0) break;
        expect(when).toBeLessThan(30);
      }
    },
  );

  test('what --exclude names stays in it', async () => {
    const [source, to] = [newer(), await published()];
    const tree = join(to, trees(to)[0] as string);
    expect(await copy([source, to, '--delete', '--exclude', 'deep/old'])).toMatchObject({ status: 0 });
    expect(readFileSync(join(tree, 'deep/old'), 'utf8')).toBe('old');
    expect(existsSync(join(tree, 'secret'))).toBe(false);
    expect(await copy([source, to, '--delete'])).toMatchObject({ status: 0 });
    expect(readdirSync(to)).toEqual(['new']);
  });

  test('nothing under such a name that no run of ours made', async () => {
    const [source, to, outside] = [newer(), folder(), folder()];
    writeFileSync(join(outside, 'kept'), 'of somebody');
    mkdirSync(join(to, '..initbox_1_folder'));
    writeFileSync(join(to, '..initbox_1_folder/kept'), 'of somebody');
    writeFileSync(join(to, '..initbox_2_file'), 'of somebody');
    symlinkSync(outside, join(to, '..initbox_3_link'));
    expect(await copy([source, to, '--delete'])).toMatchObject({ status: 0 });
    expect(readdirSync(to).toSorted()).toEqual([
      '..initbox_1_folder',
      '..initbox_2_file',
      '..initbox_3_link',
      'new',
    ]);
    expect(readFileSync(join(to, '..initbox_1_folder/kept'), 'utf8')).toBe('of somebody');
    expect(readFileSync(join(outside, 'kept'), 'utf8')).toBe('of somebody');
  });

  test('one that a run is still building stays', async () => {
    const [source, to] = [newer(), await published()];
    const tree = join(to, trees(to)[0] as string);
    // As another pod's run makes it: its name is not of this pod, and no reader has seen it.
    renameSync(tree, join(to, '..initbox_20990101T000000Z_00000000-0_abcdefabcdef'));
    chmodSync(join(to, '..initbox_20990101T000000Z_00000000-0_abcdefabcdef'), 0o755);
    expect(await copy([source, to, '--delete'])).toMatchObject({ status: 0 });
    expect(trees(to)).toEqual(['..initbox_20990101T000000Z_00000000-0_abcdefabcdef']);
  });

  test.skipIf(needsRoot)("another user's, and what others could have made up", async () => {
    const [source, to] = [newer(), await published()];
    const tree = join(to, trees(to)[0] as string);
    chownSync(tree, 4321, 4321);
    expect(await copy([source, to, '--delete'])).toMatchObject({ status: 0 });
    expect(existsSync(join(tree, 'secret'))).toBe(true);
  });

  test.skipIf(requireOrSkip('mounts in a published tree', canMount()))(
    'what is mounted in one stays',
    async () => {
      const [source, to, other] = [newer(), await published(), folder()];
      writeFileSync(join(other, 'kept'), 'of another volume');
      const at = join(to, trees(to)[0] as string, 'deep');
      const prefix = mounting(`mount --bind ${quote(other)} ${quote(at)}`);
      await copy([source, to, '--delete'], { prefix });
      expect(readFileSync(join(other, 'kept'), 'utf8')).toBe('of another volume');
      expect(existsSync(join(to, '..data'))).toBe(false);
    },
  );
});

describe('--delete --exclude: what leads to an excluded entry through ..data stays with it', () => {
  const newName = '..2026_01_01_00_00_00.123';

  /** As the kubelet fills a volume. */
  function kubelet(to = folder()): string {
    mkdirSync(join(to, newName, 'conf'), { recursive: true });
    for (const path of ['k', 'other', 'conf/app', 'conf/local.db'])
      writeFileSync(join(to, newName, path), `old ${path}`);
    symlinkSync(newName, join(to, '..data'));
    for (const name of ['k', 'other', 'conf']) symlinkSync(`..data/${name}`, join(to, name));
    return to;
  }

  /** The same, published by initbox. */
  async function own(): Promise<string> {
    const [source, to] = [folder(), folder()];
    mkdirSync(join(source, 'conf'));
    for (const path of ['k', 'other', 'conf/app', 'conf/local.db'])
      writeFileSync(join(source, path), `old ${path}`);
    const { status, stderr } = await copy([source, to, '--atomic']);
    expect(status, stderr).toBe(0);
    return to;
  }

  const makers: readonly [string, () => Promise<string>][] = [
    ["the kubelet's form", async () => kubelet()],
    ["initbox's own", own],
  ];
  const excludes: readonly [string, string, readonly string[]][] = [
    ['/k', 'k', ['..data', 'k', 'new']],
    ['k', 'k', ['..data', 'k', 'new']],
    ['/conf', 'conf/local.db', ['..data', 'conf', 'new']],
    ['conf', 'conf/app', ['..data', 'conf', 'new']],
    ['conf/local.db', 'conf/local.db', ['..data', 'conf', 'new']],
    ['local.db', 'conf/local.db', ['..data', 'conf', 'new']],
  ];
  const cases = makers.flatMap(([form, make]) =>
    excludes.map(([pattern, kept, left]) => [form, pattern, kept, left, make] as const),
  );

  test.each(cases)('%s, --exclude %s: %s is read as before', async (_form, pattern, kept, left, make) => {
    const [source, to] = [newer(), await make()];
    const { status, stderr } = await copy([source, to, '--delete', '--exclude', pattern]);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(to, kept), 'utf8')).toBe(`old ${kept}`);
    const tree = readlinkSync(join(to, '..data'));
    expect(readdirSync(to).toSorted()).toEqual([...left, tree].toSorted());
    expect(existsSync(join(to, tree, 'other'))).toBe(false);
    // Without --exclude nothing of it stays.
    expect(await copy([source, to, '--delete'])).toMatchObject({ status: 0 });
    expect(readdirSync(to)).toEqual(['new']);
  });

  test('what stays is still there after the next publication', async () => {
    const [source, to] = [newer(), memoryFolder()];
    writeFileSync(join(source, 'keys.json'), '{"password":"old password"}');
    expect(
      await runInitbox([
        'fetch-config',
        `file:${join(source, 'keys.json')}`,
        '--format',
        'files',
        '--to',
        to,
      ]),
    ).toMatchObject({ status: 0 });
    expect(await copy([source, to, '--delete', '--exclude', '/password'])).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'password'), 'utf8')).toBe('old password');
    const atomic = folder();
    writeFileSync(join(atomic, 'page'), 'page');
    expect(await copy([atomic, to, '--atomic'])).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'password'), 'utf8')).toBe('old password');
  });

  test('in a folder below DEST too', async () => {
    const [source, to] = [newer(), folder()];
    mkdirSync(join(to, 'app'));
    kubelet(join(to, 'app'));
    const { status, stderr } = await copy([source, to, '--delete', '--exclude', 'app/k']);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(to, 'app/k'), 'utf8')).toBe('old k');
    expect(existsSync(join(to, 'app', newName, 'other'))).toBe(false);
  });

  const leading: readonly [string, (to: string) => string][] = [
    ['by a relative path', () => '..data/conf/app'],
    ['by an absolute path', (to) => join(to, '..data/conf/app')],
    ['by the tree itself', () => `${newName}/conf/app`],
    ['by another link', () => 'conf/app'],
  ];
  test.each(leading)('a link of one’s own that leads there %s', async (_way, target) => {
    const [source, to] = [newer(), kubelet()];
    symlinkSync(target(to), join(to, 'current'));
    expect(await copy([source, to, '--delete', '--exclude', 'current'])).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'current'), 'utf8')).toBe('old conf/app');
    expect(existsSync(join(to, newName, 'conf/local.db'))).toBe(false);
  });

  test('a link in an excluded folder, and one in what such a link leads to', async () => {
    const [source, to] = [newer(), kubelet()];
    mkdirSync(join(to, 'mine'));
    symlinkSync('../..data/conf', join(to, 'mine/conf'));
    symlinkSync('../k', join(to, newName, 'conf/further'));
    expect(await copy([source, to, '--delete', '--exclude', 'mine'])).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'mine/conf/local.db'), 'utf8')).toBe('old conf/local.db');
    expect(readFileSync(join(to, 'mine/conf/further'), 'utf8')).toBe('old k');
    expect(existsSync(join(to, newName, 'other'))).toBe(false);
  });

  const conflicts: readonly [string, (source: string) => void][] = [
    [
      'a folder',
      (source) => {
        mkdirSync(join(source, 'conf'));
        writeFileSync(join(source, 'conf/app'), 'new');
      },
    ],
    ['a file', (source) => writeFileSync(join(source, 'conf'), 'new')],
  ];
  const refusals = makers.flatMap(([form, make]) =>
    conflicts.map(([what, put]) => [form, what, make, put] as const),
  );
  test.each(refusals)(
    '%s: a published folder that holds something excluded does not become %s of the source',
    async (_form, _what, make, put) => {
      const [source, to] = [newer(), await make()];
      put(source);
      const before = execFileSync('find', [to, '-printf', '%P %i %l\\n'], { encoding: 'utf8' });
      for (const more of [['--dry-run'], []]) {
        const args = [source, to, '--delete', '--exclude', 'conf/local.db', ...more];
        const { status, stderr } = await copy(args);
        expect(status, stderr).toBe(1);
        expect(stderr).toContain('conf/local.db');
        expect(stderr).toContain('--exclude');
        expect(execFileSync('find', [to, '-printf', '%P %i %l\\n'], { encoding: 'utf8' })).toBe(before);
      }
    },
  );

  test('a folder that an excluded link leads into does not make way for a file', async () => {
    const [source, to] = [newer(), folder()];
    mkdirSync(join(to, 'app'));
    kubelet(join(to, 'app'));
    symlinkSync('app/..data/k', join(to, 'current'));
    writeFileSync(join(source, 'app'), 'a file');
    const { status, stderr } = await copy([source, to, '--delete', '--exclude', 'current']);
    expect(status, stderr).toBe(1);
    expect(stderr).toContain('current');
    expect(readFileSync(join(to, 'current'), 'utf8')).toBe('old k');
    expect(existsSync(join(to, 'new'))).toBe(false);
  });

  test('a link that leads nowhere, out of DEST, or in a circle keeps nothing', async () => {
    const [source, to] = [newer(), kubelet()];
    const outside = folder();
    symlinkSync('..data', join(outside, '..data'));
    const links = {
      a: '..data/absent',
      b: '../..data',
      c: '..data/../c',
      d: '/..data/k',
      e: join(outside, '..data/k'),
    };
    for (const [name, target] of Object.entries(links)) symlinkSync(target, join(to, name));
    const { status, stderr } = await copy([source, to, '--delete', '--exclude', '[abcde]']);
    expect(status, stderr).toBe(0);
    expect(readdirSync(to).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'new']);
  });

  test('a source that has the same link leaves it', async () => {
    const [source, to] = [newer(), kubelet()];
    symlinkSync('..data/conf', join(source, 'conf'));
    const { status, stderr } = await copy([source, to, '--delete', '--exclude', 'conf/local.db']);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(to, 'conf/local.db'), 'utf8')).toBe('old conf/local.db');
  });
});

test.each([[[]], [['--exclude', 'inner']]])(
  '--atomic %j: an entry of another kind than before is shown as it is now',
  async (flags) => {
    const [source, to] = [folder(), folder()];
    mkdirSync(join(source, 'top/deep'), { recursive: true });
    for (const name of ['a', 'top/a']) writeFileSync(join(source, name), 'file');
    for (const name of ['b', 'top/b']) mkdirSync(join(source, name));
    writeFileSync(join(source, 'b/inner'), 'inner');
    for (const name of ['c', 'top/c']) symlinkSync('a', join(source, name));
    expect(await copy([source, to, '--atomic'])).toMatchObject({ status: 0 });
    for (const top of [source, join(source, 'top')]) {
      for (const name of ['a', 'b', 'c']) rmSync(join(top, name), { recursive: true });
      mkdirSync(join(top, 'a'));
      writeFileSync(join(top, 'a/in'), 'in');
      writeFileSync(join(top, 'b'), 'now a file');
      mkdirSync(join(top, 'c'));
    }
    const { status, stderr } = await copy([source, to, '--atomic', ...flags]);
    expect(status, stderr).toBe(0);
    for (const top of [to, join(to, 'top')]) {
      expect(readFileSync(join(top, 'a/in'), 'utf8')).toBe('in');
      expect(readFileSync(join(top, 'b'), 'utf8')).toBe('now a file');
      expect(readdirSync(join(top, 'c'))).toEqual([]);
    }
  },
);
