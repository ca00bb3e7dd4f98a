import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { terminationLog } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { contentOf, copy, folder, leftovers, memoryFolder, smallTree, stamps } from './support.ts';

const root = process.getuid?.() === 0;

/** An ACL that lets user 1234 write; a file capability (linux/capability.h, VFS_CAP_REVISION_2) for low ports. */
const setter = `
import os, struct, sys, json
acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', tag, perm, who) for tag, perm, who in
  ((1, 6, 0xffffffff), (2, 6, 1234), (4, 4, 0xffffffff), (16, 6, 0xffffffff), (32, 4, 0xffffffff)))
values = {'security.capability': struct.pack('<5I', 0x02000001, 1 << 10, 0, 0, 0)}
for name, paths in json.loads(sys.argv[2]).items():
    for path in paths:
        os.setxattr(os.path.join(sys.argv[1], path), name, acl if 'acl' in name else values.get(name, b'x'))
`;

function setAttributes(top: string, attributes: Readonly<Record<string, readonly string[]>>): void {
  execFileSync('python3', ['-c', setter, top, JSON.stringify(attributes)], { stdio: 'pipe' });
}

/** Why a file cannot be given them here, or undefined. */
function canSetAttributes(): string | undefined {
  const top = folder();
  writeFileSync(join(top, 'f'), '');
  try {
    const all = ['user.origin', 'security.capability', 'system.posix_acl_access'];
    setAttributes(top, Object.fromEntries(all.map((name) => [name, ['f']])));
    return undefined;
  } catch (error) {
    return String(error).split('\n').at(-2);
  }
}

describe('a tree', () => {
  test('as cp -a has it: modes, times, links, and as root owners', async () => {
    const [from, to, reference] = [smallTree(), folder(), folder()];
    if (root) chownSync(join(from, 'a/f'), 1234, 2345);
    const log = terminationLog();
    const result = await copy([from, to, '--termination-log', log.path]);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(result.stderr).toMatch(/info {2}copy: \S+: 13 copied \(\d+ B\), 0 unchanged, in \d+m?s\n$/);
    expect(log.read()).toContain('13 copied');
    execFileSync('cp', ['-a', `${from}/.`, reference]);
    expect(contentOf(to)).toEqual(contentOf(reference));
    expect(leftovers(to)).toEqual([]);
  });

  test('again: nothing is touched, no change time moves', async () => {
    const [from, to] = [smallTree(), folder()];
    await copy([from, to]);
    const before = stamps(to);
    const { stderr } = await copy([from, to]);
    expect(stderr).toContain('0 copied (0 B), 13 unchanged');
    expect(stamps(to)).toBe(before);
  });

  test('what changed alone is written; a directory that is there keeps its mode', async () => {
    const [from, to] = [smallTree(), folder()];
    await copy([from, to]);
    chmodSync(to, 0o2775);
    chmodSync(join(to, 'a'), 0o2770);
    writeFileSync(join(from, 'a/b/f'), 'other');
    const before = lstatSync(join(to, 'a/f')).ino;
    const { stderr } = await copy([from, to]);
    expect(stderr).toContain('1 copied (5 B), 12 unchanged');
    expect(readFileSync(join(to, 'a/b/f'), 'utf8')).toBe('other');
    expect(lstatSync(join(to, 'a/f')).ino).toBe(before);
    expect(lstatSync(join(to, 'a')).mode & 0o7777).toBe(0o2770);
    expect(lstatSync(to).mode & 0o7777).toBe(0o2775);
  });

  test('the same size and a meaningless time: contents are compared', async () => {
    const [from, to] = [folder(), folder()];
    writeFileSync(join(from, 'f'), 'one');
    utimesSync(join(from, 'f'), 0, 0);
    await copy([from, to]);
    writeFileSync(join(from, 'f'), 'two');
    utimesSync(join(from, 'f'), 0, 0);
    await copy([from, to]);
    expect(readFileSync(join(to, 'f'), 'utf8')).toBe('two');
  });

  test('the same size and time are trusted, unless --checksum', async () => {
    const [from, to] = [folder(), folder()];
    const time = new Date('2025-01-02');
    for (const [top, text] of [
      [from, 'one'],
      [to, 'two'],
    ] as const) {
      writeFileSync(join(top, 'f'), text);
      utimesSync(join(top, 'f'), time, time);
    }
    await copy([from, to]);
    expect(readFileSync(join(to, 'f'), 'utf8')).toBe('two');
    await copy([from, to, '--checksum']);
    expect(readFileSync(join(to, 'f'), 'utf8')).toBe('one');
  });

  test('the same content and another time: the time is set, the file stays', async () => {
    const [from, to] = [folder(), folder()];
    writeFileSync(join(from, 'f'), 'same');
    writeFileSync(join(to, 'f'), 'same');
    utimesSync(join(to, 'f'), 1e9, 1e9);
    const { ino } = lstatSync(join(to, 'f'));
    const { stderr } = await copy([from, to]);
    expect(stderr).toContain('0 copied');
    expect(lstatSync(join(to, 'f')).ino).toBe(ino);
    expect(lstatSync(join(to, 'f')).mtimeMs).toBeCloseTo(lstatSync(join(from, 'f')).mtimeMs, 2);
  });

  test('several sources, of both kinds; missing directories of DEST are made', async () => {
    const [one, two, file] = [smallTree(), folder(), folder()];
    mkdirSync(join(two, 'a'));
    writeFileSync(join(two, 'a/more'), 'more');
    writeFileSync(join(file, 'app.conf'), 'conf');
    const to = join(memoryFolder(), 'deep/er');
    expect(await copy([one, two, join(file, 'app.conf'), to])).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'a/more'), 'utf8')).toBe('more');
    expect(readFileSync(join(to, 'a/f'), 'utf8')).toBe('a/f');
    expect(readFileSync(join(to, 'app.conf'), 'utf8')).toBe('conf');
    expect(lstatSync(to).mode & 0o7777).toBe(0o755);
  });

  test('a file: into a directory, as a file, over a file, from a link that is named; a link at DEST is refused', async () => {
    const [from, to] = [folder(), memoryFolder()];
    writeFileSync(join(from, 'f'), 'new');
    symlinkSync('f', join(from, 'link'));
    await copy([join(from, 'f'), to]);
    expect(readFileSync(join(to, 'f'), 'utf8')).toBe('new');
    await copy([join(from, 'f'), join(to, 'g'), '--mode', '0640']);
    expect(lstatSync(join(to, 'g')).mode & 0o7777).toBe(0o640);
    symlinkSync('/etc/hostname', join(to, 'h'));
    const before = readFileSync('/etc/hostname');
    const refused = await copy([join(from, 'link'), join(to, 'h')]);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('is a symbolic link (to /etc/hostname); links in DEST are not followed');
    await copy([join(from, 'link'), to]);
    expect(readFileSync(join(to, 'link'), 'utf8')).toBe('new');
    expect(readFileSync('/etc/hostname')).toEqual(before);
    await copy([join(from, 'f'), `${to}/sub/`]);
    expect(readFileSync(join(to, 'sub/f'), 'utf8')).toBe('new');
  });

  test('names that are not UTF-8, and of 255 bytes', async () => {
    const [from, to] = [folder(), folder()];
    mkdirSync(Buffer.from(`${from}/d\xff`, 'latin1'));
    for (const name of ['d\xff/\xe9', `n${'x'.repeat(254)}`, 'new\nline', '-rf', ' '])
      writeFileSync(Buffer.from(`${from}/${name}`, 'latin1'), name);
    symlinkSync(Buffer.from('d\xff', 'latin1'), Buffer.from(`${from}/l\xfe`, 'latin1'));
    expect(await copy([from, to])).toMatchObject({ status: 0 });
    expect(contentOf(to)).toEqual(contentOf(from));
  });

  test('files with several names stay one file, in folders and from one run to the next', async () => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    for (let i = 0; i < 40; i++) {
      mkdirSync(join(from, `d${i}`));
      if (i === 0) writeFileSync(join(from, 'd0/f'), 'x'.repeat(1000));
      else linkSync(join(from, 'd0/f'), join(from, `d${i}/f`));
    }
    writeFileSync(join(from, 'large'), Buffer.alloc(6 << 20, 'l'));
    linkSync(join(from, 'large'), join(from, 'd3/large'));
    await copy([from, to]);
    const inodes = () =>
      new Set(
        readdirSync(to).flatMap((name) => (name === 'large' ? [] : [lstatSync(join(to, name, 'f')).ino])),
      );
    expect(inodes().size).toBe(1);
    expect(lstatSync(join(to, 'large')).ino).toBe(lstatSync(join(to, 'd3/large')).ino);
    const before = stamps(to);
    expect((await copy([from, to])).stderr).toContain('0 copied');
    expect(inodes().size).toBe(1);
    expect(lstatSync(join(to, 'd0/f')).nlink).toBe(40);
    void before;
  });

  test('sparse files stay sparse; a large file is the same', async () => {
    const [from, to] = [folder(), folder()];
    writeFileSync(join(from, 'sparse'), 'head');
    truncateSync(join(from, 'sparse'), 300 << 20);
    execFileSync('dd', ['if=/dev/urandom', `of=${join(from, 'large')}`, 'bs=1M', 'count=9', 'status=none']);
    expect(await copy([from, to])).toMatchObject({ status: 0 });
    const stat = statSync(join(to, 'sparse'));
    expect(stat.size).toBe(300 << 20);
    expect(stat.blocks * 512).toBeLessThan(3 << 20);
    execFileSync('cmp', [join(from, 'large'), join(to, 'large')]);
    execFileSync('cmp', [join(from, 'sparse'), join(to, 'sparse')]);
    const before = stamps(to);
    expect((await copy([from, to, '--checksum'])).stderr).toContain('2 unchanged');
    expect(
      stamps(to)
        .split('\n')
        .map((line) => line.split(' ')[1]),
    ).toEqual(before.split('\n').map((line) => line.split(' ')[1]));
  });

  test('what Node cannot make is left out, with one warning that counts it', async () => {
    const [from, to] = [folder(), folder()];
    execFileSync('mkfifo', [join(from, 'p'), join(from, 'q')]);
    execFileSync('python3', ['-c', `import socket; socket.socket(socket.AF_UNIX).bind('${from}/s')`]);
    writeFileSync(join(from, 'f'), '');
    const { status, stderr } = await copy([from, to]);
    expect(status).toBe(0);
    expect(stderr).toContain(
      'only files, links and directories are copied, with modes, owners and times: 2 FIFOs, 1 socket',
    );
    expect(readdirSync(to)).toEqual(['f']);
  });

  const noAttributes = requireOrSkip('extended attributes', canSetAttributes());
  test.skipIf(noAttributes)(
    'extended attributes and ACLs are left out, with one warning that counts them',
    async () => {
      const [from, to] = [folder(), folder()];
      mkdirSync(join(from, 'd'));
      mkdirSync(join(from, 'shared'));
      for (const name of ['a', 'b', 'd/c', 'plain', 'acl']) writeFileSync(join(from, name), name);
      writeFileSync(join(from, 'large'), Buffer.alloc(5 << 20));
      setAttributes(from, {
        'user.origin': ['a', 'b', 'd', 'large'],
        'security.capability': ['d/c'],
        'system.posix_acl_access': ['acl', 'a'],
        'system.posix_acl_default': ['shared'],
      });
      execFileSync('mkfifo', [join(from, 'p')]);
      const { status, stderr } = await copy([from, to]);
      expect(status, stderr).toBe(0);
      expect(stderr.match(/warn .*$/gm)).toHaveLength(1);
      expect(stderr).toContain(
        'with modes, owners and times: 1 FIFO, extended attributes (xattrs) of 5 entries, ACLs of 3 entries',
      );
      expect(stderr).not.toContain('Experimental');
      // What is right already is not told again.
      expect((await copy([from, to])).stderr).not.toContain('xattrs');
      expect((await copy([join(from, 'a'), join(to, 'one')])).stderr).toContain(
        '(xattrs) of 1 entry, ACLs of 1',
      );
    },
  );

  test('what is in /proc says that it is empty, and is not', async () => {
    const to = folder();
    await copy(['/proc/version', join(to, 'version')]);
    expect(readFileSync(join(to, 'version'), 'utf8')).toBe(readFileSync('/proc/version', 'utf8'));
  });
});

describe('options', () => {
  test('--no-clobber leaves what is there', async () => {
    const [from, to] = [smallTree(), folder()];
    writeFileSync(join(to, 'f'), 'mine');
    symlinkSync('x', join(to, 'run'));
    const { stderr } = await copy([from, to, '--no-clobber']);
    expect(stderr).toContain('2 kept');
    expect(readFileSync(join(to, 'f'), 'utf8')).toBe('mine');
    expect(readlinkSync(join(to, 'run'))).toBe('x');
    expect(readFileSync(join(to, 'a/f'), 'utf8')).toBe('a/f');
  });

  test('--delete --dry-run counts no folder in which something excluded stays', async () => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    mkdirSync(join(to, 'x/y'), { recursive: true });
    for (const name of ['x/y/keep', 'old']) writeFileSync(join(to, name), name);
    writeFileSync(join(from, 'new'), 'new');
    const args = [from, to, '--delete', '--exclude', 'keep'];
    expect((await copy([...args, '--dry-run'])).stdout).toMatch(/"removed": ?1\b/);
    expect((await copy(args)).stderr).toContain('1 removed');
    expect(existsSync(join(to, 'x/y/keep'))).toBe(true);
  });

  test('--delete removes what no source has, but not what is excluded', async () => {
    const [from, to] = [smallTree(), folder()];
    mkdirSync(join(to, 'old/deep'), { recursive: true });
    mkdirSync(join(to, 'cache'));
    mkdirSync(join(to, 'lost+found'));
    for (const path of ['old/deep/x', 'gone', 'cache/x', 'a/old']) {
      mkdirSync(join(to, 'a'), { recursive: true });
      writeFileSync(join(to, path), '');
    }
    symlinkSync('/etc', join(to, 'out'));
    const { stderr } = await copy([from, to, '--delete', '--exclude', 'cache']);
    expect(stderr).toContain('6 removed');
    expect(readdirSync(to).toSorted()).toEqual([...readdirSync(from), 'cache', 'lost+found'].toSorted());
    expect(readdirSync(join(to, 'cache'))).toEqual(['x']);
    expect(existsSync('/etc/passwd')).toBe(true);
  });

  test('--delete keeps what came by followed links, of --dereference and of a ConfigMap below', async () => {
    const [from, to] = [folder(), folder()];
    mkdirSync(join(from, 'real'));
    writeFileSync(join(from, 'real/f'), 'f');
    symlinkSync('real', join(from, 'link'));
    const config = join(from, 'etc');
    mkdirSync(join(config, '..2026_11_22/sub'), { recursive: true });
    writeFileSync(join(config, '..2026_11_22/sub/deep'), 'deep');
    symlinkSync('..2026_11_22', join(config, '..data'));
    symlinkSync('..data/sub', join(config, 'sub'));
    for (const flags of [['-L'], []]) {
      mkdirSync(join(to, 'etc/sub/old'), { recursive: true });
      const { status, stderr } = await copy([from, to, '--delete', ...flags]);
      expect(status, stderr).toBe(0);
      expect(readFileSync(join(to, 'link/f'), 'utf8')).toBe('f');
      expect(readdirSync(join(to, 'etc/sub'))).toEqual(['deep']);
      expect(readdirSync(join(to, 'etc'))).toEqual(['sub']);
      const again = await copy([from, to, '--delete', ...flags]);
      expect(again.stderr).toContain('0 copied');
      expect(again.stderr).toContain('0 removed');
    }
    expect(readlinkSync(join(to, 'link'))).toBe('real');
  });

  test('--delete: what is of another kind in the source makes way, unless --exclude keeps something in it', async () => {
    const [from, to, outside] = [folder(), folder(), folder()];
    mkdirSync(join(to, 'lib/deep'), { recursive: true });
    writeFileSync(join(to, 'lib/deep/a'), 'a');
    writeFileSync(join(to, 'conf'), 'a file');
    symlinkSync(outside, join(to, 'plugins'));
    mkdirSync(join(to, 'bin'));
    symlinkSync('/usr/lib', join(from, 'lib'));
    for (const path of ['conf', 'plugins']) mkdirSync(join(from, path));
    for (const path of ['conf/x', 'plugins/x', 'bin']) writeFileSync(join(from, path), path);
    const kept = await copy([from, to, '--delete', '--exclude', 'deep']);
    expect(kept.status).toBe(1);
    expect(kept.stderr).toContain('a directory stands at "lib" in DEST, where a link is to be');
    expect(readFileSync(join(to, 'conf'), 'utf8')).toBe('a file');
    const dry = await copy([from, to, '--delete', '--dry-run']);
    expect(JSON.parse(dry.stdout)).toMatchObject({ copied: 6, removed: 4, errors: 0 });
    expect(lstatSync(join(to, 'lib')).isDirectory()).toBe(true);
    const { status, stderr } = await copy([from, to, '--delete']);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('6 copied (18 B), 0 unchanged, 4 removed');
    expect(contentOf(to)).toEqual(contentOf(from));
    expect(readdirSync(outside)).toEqual([]);
    expect(leftovers(to)).toEqual([]);
  });

  test('--delete: folders that make way may share all that a file name can hold but for its end', async () => {
    const [from, to] = [folder(), folder()];
    const long = 'n'.repeat(240);
    for (const name of [`${long}1`, `${long}2`, 'short', '..initbox-replaced-1']) {
      writeFileSync(join(from, name), name);
      mkdirSync(join(to, name, 'sub'), { recursive: true });
      writeFileSync(join(to, name, 'sub/f'), 'old');
    }
    const { status, stderr } = await copy([from, to, '--delete']);
    expect(status, stderr).toBe(0);
    expect(contentOf(to)).toEqual(contentOf(from));
    expect(leftovers(to)).toEqual([join(to, '..initbox-replaced-1')]);
  });

  test('times are the same to the microsecond, also from before 1970', async () => {
    const [from, to] = [folder(), folder()];
    const times = Array.from(
      { length: 200 },
      (_, i) => `${1970 + (i % 60)}-03-04 05:06:07.${String((i * 7919 * 31) % 1_000_000).padStart(6, '0')}`,
    );
    for (const [i, time] of [...times, '1950-01-02 03:04:05.5'].entries()) {
      writeFileSync(join(from, `f${i}`), '');
      execFileSync('touch', ['-d', time, join(from, `f${i}`)]);
    }
    await copy([from, to]);
    expect(contentOf(to)).toEqual(contentOf(from));
  });

  test('--if-empty: lost+found is nothing, anything else is something', async () => {
    const [from, to, full] = [smallTree(), folder(), folder()];
    mkdirSync(join(to, 'lost+found'));
    expect((await copy([from, to, '--if-empty'])).stderr).toContain('13 copied');
    writeFileSync(join(from, 'f'), 'newer');
    expect((await copy([from, to, '--if-empty'])).stderr).toContain('is not empty, so nothing was copied');
    writeFileSync(join(full, '.hidden'), '');
    await copy([from, full, '--if-empty']);
    expect(readdirSync(full)).toEqual(['.hidden']);
  });

  test('--dereference copies what links lead to; a link in a circle, or to nowhere, is an error', async () => {
    const [from, to] = [smallTree(), folder()];
    const wrong = await copy([from, to, '-L']);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain('the link leads nowhere');
    expect(readdirSync(to)).toEqual([]);
    execFileSync('rm', [join(from, 'dangling')]);
    expect(await copy([from, to, '-L'])).toMatchObject({ status: 0 });
    expect(lstatSync(join(to, 'link-to-file')).isFile()).toBe(true);
    expect(readFileSync(join(to, 'link-to-folder/b/c/f'), 'utf8')).toBe('a/b/c/f');
    symlinkSync('..', join(from, 'a/up'));
    const circle = await copy([from, folder(), '-L']);
    expect(circle.status).toBe(1);
    expect(circle.stderr).toContain('leads to a directory above itself');
  });

  test('--exclude by name and by path', async () => {
    const [from, to] = [smallTree(), folder()];
    const { stderr } = await copy([from, to, '--exclude', '*link*', '--exclude', '/a/b']);
    expect(stderr).toContain('3 excluded');
    expect(readdirSync(to).toSorted()).toEqual(['a', 'dangling', 'empty', 'f', 'run']);
    expect(existsSync(join(to, 'a/b'))).toBe(false);
  });

  test('--mode: octal is for files, and directories can be searched; symbols too', async () => {
    const [from, to, other] = [smallTree(), folder(), folder()];
    await copy([from, to, '--mode', '0640']);
    expect(lstatSync(join(to, 'run')).mode & 0o777).toBe(0o640);
    expect(lstatSync(join(to, 'a')).mode & 0o777).toBe(0o750);
    await copy([from, other, '--mode', 'u=rwX,g=rX,o=']);
    expect(lstatSync(join(other, 'run')).mode & 0o777).toBe(0o750);
    expect(lstatSync(join(other, 'f')).mode & 0o777).toBe(0o640);
    // Once more with another mode: a new file gets it, since whoever has the old one open goes on writing to that.
    const { ino } = lstatSync(join(other, 'f'));
    await copy([from, other, '--mode', 'u=rwX,g=rX,o=rX']);
    expect(lstatSync(join(other, 'f')).mode & 0o777).toBe(0o644);
    // A folder that is there keeps what it has.
    expect(lstatSync(join(other, 'a')).mode & 0o777).toBe(0o750);
    expect(lstatSync(join(other, 'f')).ino).not.toBe(ino);
  });

  test.skipIf(!root)(
    '--owner; set-ID bits are kept for their own user, and are not given to others',
    async () => {
      const [from, to] = [smallTree(), folder()];
      chmodSync(join(from, 'run'), 0o4755);
      await copy([from, to, '--owner', '1000:2000']);
      const { uid, gid, mode } = lstatSync(join(to, 'run'));
      expect([uid, gid, mode & 0o7777]).toEqual([1000, 2000, 0o755]);
      const same = folder();
      await copy([from, same, '--owner', '0:2000']);
      expect(lstatSync(join(same, 'run')).mode & 0o7777).toBe(0o4755);
      expect(lstatSync(join(to, 'dangling')).uid).toBe(1000);
      const mine = folder();
      chmodSync(join(from, 'empty'), 0o755);
      execFileSync('rm', [join(from, 'a/secret')]);
      expect(await copy([from, mine], { user: { uid: 4321, gid: 4321 } })).toMatchObject({ status: 0 });
      expect(lstatSync(join(mine, 'run')).mode & 0o7777).toBe(0o755);
      expect(lstatSync(join(mine, 'run')).uid).toBe(4321);
    },
  );

  test('--dry-run writes nothing and tells', async () => {
    const [from, to] = [smallTree(), folder()];
    writeFileSync(join(to, 'x'), '');
    const { stdout, status } = await copy([from, to, '--dry-run', '--delete']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      destination: to,
      copied: 13,
      right: 0,
      removed: 1,
      errors: 0,
    });
    expect(readdirSync(to)).toEqual(['x']);
    // A large file whose content has to be compared, and differs.
    for (const [top, letter] of [
      [from, 'a'],
      [to, 'b'],
    ] as const) {
      writeFileSync(join(top, 'large'), letter.repeat(5 << 20));
      // Two files of one moment and one size count as the same.
      utimesSync(join(top, 'large'), 1.7e9, 1.7e9 + letter.charCodeAt(0));
    }
    const second = await copy([from, to, '--dry-run']);
    expect(JSON.parse(second.stdout)).toMatchObject({ copied: 14, right: 0 });
    expect(readFileSync(join(to, 'large'), 'utf8').startsWith('b')).toBe(true);
    const missing = join(memoryFolder(), 'not/there');
    expect((await copy([from, missing, '--dry-run'])).status).toBe(0);
    expect(existsSync(missing)).toBe(false);
  });
});

describe('bad input: one clear error, nothing written', () => {
  const words: readonly (readonly [string, (from: string, to: string) => string[], RegExp])[] = [
    ['no DEST', (from) => [from], /DEST comes after the sources/],
    ['SRC missing', (from, to) => [`${from}/none`, to], /none does not exist/],
    ['DEST inside SRC', (from) => [from, `${from}/a/new`], /the copy would copy itself/],
    ['SRC is DEST', (from) => [from, `${from}/`], /are the same directory/],
    ['SRC a directory, DEST a file', (from, to) => [from, `${to}/file`], /is a file and .* a directory/],
    [
      'several into a file',
      (from, to) => [`${from}/f`, `${from}/run`, `${to}/file`],
      /2 sources cannot go into one file/,
    ],
    ['--delete with a file', (from, to) => [`${from}/f`, to, '--delete'], /a file was given as a source/],
    ['--delete and --no-clobber', (from, to) => [from, to, '--delete', '-n'], /cannot be combined/],
    ['--delete from nothing', (from, to) => [`${from}/empty`, to, '--delete'], /would remove all of/],
    [
      '--atomic to a file',
      (from, to) => [`${from}/f`, `${to}/new`, '--atomic'],
      /--atomic applies to directories/,
    ],
    ['a mode that is none', (from, to) => [from, to, '--mode', '99'], /--mode: "99" is not a mode/],
    ['a pattern that is none', (from, to) => [from, to, '--exclude', '/'], /--exclude/],
    ['a link on the way to DEST', (from, to) => [from, `${to}/link/x`], /links in DEST are not followed/],
    ['a file in the way of DEST', (from, to) => [from, `${to}/file/x`], /is not a directory/],
  ];
  test.each(words)('%s', async (_what, make, message) => {
    const [from, to] = [smallTree(), folder()];
    writeFileSync(join(to, 'file'), 'mine');
    symlinkSync(folder(), join(to, 'link'));
    const before = [contentOf(from), contentOf(to)];
    const { status, stderr } = await copy(make(from, to));
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
    expect([contentOf(from), contentOf(to)]).toEqual(before);
  });
});
