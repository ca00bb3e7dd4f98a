// A folder whose owner has given himself a right to all that is made in it (a default ACL, acl(5)): nothing gets that.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { hasAclBeside } from '../../../src/fs/inherited-acl.ts';
import { canMount } from '../../support/faults.ts';
import { memoryFolders } from '../../support/memory-folders.ts';
import { runInitbox } from '../../support/program.ts';
import { canMountSlowly, mountSlowly } from '../../support/slow-volume.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

/** In memory: secrets go nowhere else. */
const memoryFolder = memoryFolders('64m');

/** As setfacl -d -m u:1000:rwx makes it: tag, rights and whose they are, after the version. */
const giver = `
import os, struct, sys
entries = [(1, 7, 0xffffffff), (2, 7, 1000), (4, 5, 0xffffffff), (16, 7, 0xffffffff), (32, 5, 0xffffffff)]
acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)
os.setxattr(sys.argv[1], 'system.posix_acl_default', acl)
`;

/** As setfacl -m u:1000:… makes it, on each file, or each below a folder: user 1000 may what the group may, and the mode stays. */
const lender = `
import os, struct, sys
def below(folder):
    for top, folders, files in os.walk(folder):
        yield from (os.path.join(top, name) for name in files)
for given in sys.argv[1:]:
    for path in below(given) if os.path.isdir(given) else [given]:
        if os.path.islink(path): continue
        mode = os.stat(path).st_mode
        user, group, other = mode >> 6 & 7, mode >> 3 & 7, mode & 7
        none = 0xffffffff
        entries = [(1, user, none), (2, group, 1000), (4, group, none), (16, group, none), (32, other, none)]
        acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)
        os.setxattr(path, 'system.posix_acl_access', acl)
        assert os.stat(path).st_mode == mode
`;

const finder = `
import os, sys
for top, folders, files in os.walk(sys.argv[1]):
    for path in [os.path.join(top, name) for name in folders + files]:
        if any('posix_acl' in name for name in os.listxattr(path, follow_symlinks=False)): print(path)
`;

/** Entries below a folder that have an access control list. */
function withLists(folder: string): string[] {
  return execFileSync('python3', ['-c', finder, folder], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

function giveDefault(folder: string): boolean {
  return spawnSync('python3', ['-c', giver, folder]).status === 0;
}

let inputs: string;
let target: string;

beforeAll(() => {
  inputs = temporaryDirectory('acl-inputs').path;
  mkdirSync(join(inputs, 'tree/etc'), { recursive: true });
  writeFileSync(join(inputs, 'tree/key'), 'secret', { mode: 0o640 });
  writeFileSync(join(inputs, 'tree/tool'), '#!/bin/sh\n');
  writeFileSync(join(inputs, 'tree/etc/conf'), 'conf');
  for (const path of ['tree/tool', 'tree/etc']) chmodSync(join(inputs, path), 0o775);
  writeFileSync(join(inputs, 'values.json'), '{"a":"1","b":"2"}');
  execFileSync('tar', ['czf', join(inputs, 'tree.tgz'), '-C', join(inputs, 'tree'), '.']);
  writeFileSync(join(inputs, 'large'), Buffer.alloc(3 << 20, 1));
});

type Words = (from: string, to: string) => readonly string[];
const cases: readonly (readonly [string, Words])[] = [
  ['copy', (from, to) => ['copy', `${from}/tree`, to]],
  ['copy of a file', (from, to) => ['copy', `${from}/tree/key`, `${to}/`]],
  ['copy of a large file', (from, to) => ['copy', `${from}/large`, `${to}/`]],
  ['copy --atomic', (from, to) => ['copy', `${from}/tree`, to, '--atomic']],
  ['fetch-config --to', (from, to) => ['fetch-config', `file:${from}/values.json`, '--to', `${to}/f`]],
  ['fetch-config, a large file', (from, to) => ['fetch-config', `file:${from}/large`, '--to', `${to}/f`]],
  [
    'fetch-config --format files',
    (from, to) => ['fetch-config', `file:${from}/values.json`, '--format', 'files', '--to', to],
  ],
  ['fetch-config --unpack', (from, to) => ['fetch-config', `file:${from}/tree.tgz`, '--unpack', '--to', to]],
  ['render', (from, to) => ['render', `${from}/tree/etc/conf`, '--to', `${to}/f`, '--mode', '0660']],
  ['render to a folder', (from, to) => ['render', `${from}/tree/etc/conf`, '--to', `${to}/`]],
  ['chown --create', (_, to) => ['chown', '1234:1234', `${to}/new/folder`, '--create', '--mode', '0775']],
];

describe.skipIf(requireOrSkip('access control lists', canMount()))(
  'a default ACL of the target’s folder',
  () => {
    beforeEach(() => {
      target = memoryFolder();
      expect(giveDefault(target)).toBe(true);
    });

    test.each(cases)('%s: what is made has none of it', async (_what, words) => {
      const { status, stderr } = await runInitbox([...words(inputs, target)]);
      if (/not on a volume/.test(stderr)) return;
      expect(status, stderr).toBe(0);
      expect(readdirSync(target)).not.toEqual([]);
      expect(withLists(target)).toEqual([]);
    });

    test('the modes are those that were asked for', async () => {
      expect(await runInitbox(['copy', join(inputs, 'tree'), target])).toMatchObject({ status: 0 });
      for (const [path, mode] of [
        ['key', 0o640],
        ['tool', 0o775],
        ['etc', 0o775],
      ] as const)
        expect(statSync(join(target, path)).mode & 0o777, path).toBe(mode);
    });
  },
);

describe.skipIf(requireOrSkip('access control lists', canMount()))('files that have a list already', () => {
  beforeEach(() => {
    target = memoryFolder();
  });

  test.each(cases.filter(([what]) => !what.startsWith('chown')))(
    '%s: they are written anew, though all else is right',
    async (_what, words) => {
      const run = () => runInitbox([...words(inputs, target)]);
      expect(await run()).toMatchObject({ status: 0 });
      execFileSync('python3', ['-c', lender, target]);
      expect(withLists(target)).not.toEqual([]);
      expect(await run()).toMatchObject({ status: 0 });
      expect(withLists(target)).toEqual([]);
      const inodes = () =>
        execFileSync('find', [target, '-type', 'f', '-printf', '%P %i\n'], { encoding: 'utf8' });
      const before = inodes();
      expect(await run()).toMatchObject({ status: 0 });
      expect(inodes()).toBe(before);
    },
  );
});

describe.skipIf(requireOrSkip('slow volumes', canMountSlowly()))(
  'files on a slow volume that have a list',
  () => {
    const wide: readonly (readonly [string, Words])[] = [
      ['copy', (from, to) => ['copy', `${from}/wide`, to]],
      ['copy --checksum', (from, to) => ['copy', `${from}/wide`, to, '--checksum']],
      ['copy --atomic', (from, to) => ['copy', `${from}/wide`, to, '--atomic']],
      [
        'fetch-config --unpack',
        (from, to) => ['fetch-config', `file:${from}/wide.tgz`, '--unpack', '--allow-disk', '--to', to],
      ],
    ];

    beforeAll(() => {
      for (let i = 0; i < 6; i++) {
        mkdirSync(join(inputs, `wide/d${i}`), { recursive: true });
        for (let j = 0; j < 100; j++) writeFileSync(join(inputs, `wide/d${i}/ü${j}`), `${j}`);
      }
      execFileSync('tar', ['czf', join(inputs, 'wide.tgz'), '-C', join(inputs, 'wide'), '.']);
    });

    test.each(wide)('%s: they are written anew', async (_what, words) => {
      target = memoryFolder();
      await using volume = await mountSlowly({ behind: target });
      const run = () => runInitbox([...words(inputs, volume.path)]);
      const first = await run();
      expect(first.status, first.stderr).toBe(0);
      const shown = execFileSync('find', [target, '-type', 'f', '-path', '*/d3/*'], { encoding: 'utf8' });
      const some = shown.split('\n').filter((path) => /ü[37]\d$/.test(path));
      expect(some).toHaveLength(20);
      execFileSync('python3', ['-c', lender, ...some]);
      expect(withLists(target)).toHaveLength(20);
      const again = await run();
      expect(again.status, again.stderr).toBe(0);
      expect(withLists(target)).toEqual([]);
    });
  },
);

test('lists of attributes by threads: of what is open and of paths, also where there is nothing', async () => {
  target = memoryFolder();
  const [plain, listed] = ['plain', 'lïsted'].map((name) => join(target, name)) as [string, string];
  for (const path of [plain, listed]) writeFileSync(path, '', { mode: 0o640 });
  symlinkSync(listed, join(target, 'link'));
  execFileSync('python3', ['-c', lender, listed]);
  const open = openSync(listed, 'r');
  try {
    const [of, missing] = [Buffer.from(listed), join(target, 'missing')];
    const answers = [plain, of, join(target, 'link'), missing, open, 999_999].map(hasAclBeside);
    expect(await Promise.all(answers)).toEqual([false, true, false, false, true, false]);
    const many = Array.from({ length: 500 }, (_, index) => hasAclBeside(index % 2 ? of : plain));
    expect(await Promise.all(many)).toEqual(many.map((_, index) => index % 2 === 1));
  } finally {
    closeSync(open);
  }
});
