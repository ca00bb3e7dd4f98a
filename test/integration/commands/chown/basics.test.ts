import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { underStrace } from '../../../support/faults.ts';
import { terminationLog } from '../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import {
  chown,
  folder,
  memoryFolder,
  modeOf,
  noStrace,
  notRoot,
  ownerOf,
  owners,
  smallTree,
  wideTree,
} from './support.ts';

const noSetcap = notRoot || requireOrSkip('file capabilities', whyMissing('setcap', 'libcap2-bin'));

describe.skipIf(notRoot)('a tree', () => {
  test('everything in it and itself, links themselves and not what they lead to', async () => {
    const top = smallTree();
    const before = [ownerOf('/etc/passwd'), ownerOf('/etc')];
    const log = terminationLog();
    const result = await chown(['1000:2000', top, '--termination-log', log.path]);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(result.stderr).toMatch(
      /info {2}chown: \S+: 11 entries, 11 changed to 1000:2000, 0 right already, in \d+m?s\n$/,
    );
    expect(log.read()).toContain('11 changed to 1000:2000');
    expect(owners(top)).toEqual({ '1000:2000': 11 });
    expect([ownerOf('/etc/passwd'), ownerOf('/etc')]).toEqual(before);
  });

  test('again: nothing is touched, no change time moves', async () => {
    const top = smallTree();
    await chown(['1000:2000', top]);
    const paths = [top, join(top, 'a'), join(top, 'a/f'), join(top, 'a/link-to-file')];
    const before = paths.map((path) => lstatSync(path).ctimeMs);
    const { stderr } = await chown(['1000:2000', top]);
    expect(stderr).toContain('0 changed to 1000:2000, 11 right already');
    expect(paths.map((path) => lstatSync(path).ctimeMs)).toEqual(before);
  });

  test('set-ID bits of what is right already stay; of what changes they go, as the kernel wants', async () => {
    const top = folder();
    for (const name of ['right', 'wrong']) {
      writeFileSync(join(top, name), '');
      chownSync(join(top, name), name === 'right' ? 1000 : 0, 1000);
      chmodSync(join(top, name), 0o6755);
    }
    await chown(['1000:1000', top]);
    expect(modeOf(join(top, 'right'))).toBe('6755');
    expect(modeOf(join(top, 'wrong'))).toBe('0755');
  });

  test.skipIf(noSetcap)(
    'file capabilities of what is right already stay, of what changes they go',
    async () => {
      const top = folder();
      const capable = (name: string) =>
        execFileSync('getcap', [join(top, name)], { encoding: 'utf8' }).includes('cap_net_bind_service');
      for (const name of ['right', 'wrong']) {
        writeFileSync(join(top, name), '');
        chownSync(join(top, name), name === 'right' ? 1000 : 0, 1000);
        execFileSync('setcap', ['cap_net_bind_service=ep', join(top, name)]);
        expect(capable(name)).toBe(true);
      }
      await chown(['1000:1000', top]);
      expect(capable('right')).toBe(true);
      expect(capable('wrong')).toBe(false);
    },
  );

  test('the group alone, the owner alone', async () => {
    const top = smallTree();
    await chown([':2000', top]);
    expect(owners(top)).toEqual({ '0:2000': 11 });
    await chown(['1000', top]);
    expect(owners(top)).toEqual({ '1000:2000': 11 });
  });

  test('names are those of the image; the owner may be that of another path', async () => {
    const top = smallTree();
    expect((await chown(['nobody:daemon', top])).status).toBe(0);
    const account = (file: string, name: string) =>
      new RegExp(`^${name}:[^:]*:(\\d+)`, 'm').exec(readFileSync(file, 'utf8'))?.[1];
    const expected = `${account('/etc/passwd', 'nobody')}:${account('/etc/group', 'daemon')}`;
    expect(owners(top)).toEqual({ [expected]: 11 });
    const other = smallTree();
    expect((await chown(['--reference', top, other])).status).toBe(0);
    expect(owners(other)).toEqual({ [expected]: 11 });
  });

  test('--reference with relative paths, the first of which could be a name', async () => {
    const parent = folder();
    mkdirSync(join(parent, 'data'));
    writeFileSync(join(parent, 'model'), '');
    chownSync(join(parent, 'model'), 7, 8);
    expect((await chown(['data', '--reference', 'model'], { cwd: parent })).status).toBe(0);
    expect(ownerOf(join(parent, 'data'))).toBe('7:8');
  });

  test('--no-recursive: the path alone; a single file', async () => {
    const top = smallTree();
    await chown(['1000:1000', top, '--no-recursive']);
    expect(owners(top)).toEqual({ '1000:1000': 1, '0:0': 10 });
    const { status } = await chown(['1000:1000', join(top, 'a/f')]);
    expect(status).toBe(0);
    expect(ownerOf(join(top, 'a/f'))).toBe('1000:1000');
  });

  test('several paths, nested ones too, in one run', async () => {
    const [one, two] = [smallTree(), smallTree()];
    const { status, stderr } = await chown(['5:5', one, two, join(two, 'a')]);
    expect(status).toBe(0);
    expect(owners(one)).toEqual({ '5:5': 11 });
    expect(owners(two)).toEqual({ '5:5': 11 });
    expect(stderr).toContain(`${join(two, 'a')}: 8 entries, 0 changed`);
  });

  test('--from changes only what belongs to that owner', async () => {
    const top = smallTree();
    chownSync(join(top, 'a/f'), 33, 33);
    lchownSync(join(top, 'dangling'), 33, 44);
    const { stderr } = await chown(['1000:1000', top, '--from', '0:0']);
    expect(owners(top)).toEqual({ '1000:1000': 9, '33:33': 1, '33:44': 1 });
    expect(stderr).toContain('2 of other owners left (--from)');
    await chown(['1001:1001', top, '--from', '33']);
    expect(owners(top)).toEqual({ '1000:1000': 9, '1001:1001': 2 });
  });

  test('--exclude leaves out names at any depth and paths below the top, with all that is in them', async () => {
    const top = smallTree();
    mkdirSync(join(top, 'lost+found/deep'), { recursive: true });
    await chown(['1:1', top, '--exclude', 'lost+found', '--exclude', 'a/b/c', '--exclude', 'link-*']);
    expect(owners(top)).toEqual({ '1:1': 7, '0:0': 6 });
    for (const path of ['lost+found', 'lost+found/deep', 'a/b/c', 'a/b/c/f', 'a/link-to-file'])
      expect(ownerOf(join(top, path)), path).toBe('0:0');
  });

  test('--dry-run tells as JSON and changes nothing', async () => {
    const top = smallTree();
    chownSync(join(top, 'f'), 1000, 1000);
    const { status, stdout } = await chown(['1000:1000', top, '--dry-run']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      owner: 1000,
      group: 1000,
      paths: [
        {
          path: top,
          trusted: false,
          missing: false,
          entries: 11,
          directories: 4,
          toChange: 10,
          right: 1,
          leftByFrom: 0,
          excluded: 0,
          vanished: 0,
          mountsNotEntered: 0,
          errors: 0,
        },
      ],
    });
    expect(owners(top)).toEqual({ '0:0': 10, '1000:1000': 1 });
  });

  test('the command after -- takes over, in the directory where it all began', async () => {
    const top = smallTree();
    const { status, stdout } = await chown(['3:3', '.', '--', 'sh', '-c', 'pwd; stat -c %u:%g a/b/f'], {
      cwd: top,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${top}\n3:3\n` });
  });

  test('a large tree is shared among processes, and every entry is counted once', async () => {
    const top = wideTree(memoryFolder(), 300, 100);
    symlinkSync('/etc/passwd', join(top, 'd00001/link'));
    const { stderr, status } = await chown(['1000:1000', top]);
    expect(status).toBe(0);
    expect(stderr).toContain('30,302 entries, 30,302 changed to 1000:1000, 0 right already');
    expect(owners(top)).toEqual({ '1000:1000': 30_302 });
    const again = await chown(['1000:1000', top]);
    expect(again.stderr).toContain('30,302 entries, 0 changed to 1000:1000, 30,302 right already');
  });

  test('one directory of many entries is shared too', async () => {
    const top = wideTree(memoryFolder(), 1, 60_000);
    const { stderr } = await chown(['1000:1000', join(top, 'd00000')]);
    expect(stderr).toContain('60,001 entries, 60,001 changed');
    expect(owners(join(top, 'd00000'))).toEqual({ '1000:1000': 60_001 });
  });

  test('5,000 levels, with 100 descriptors to have open', async () => {
    const top = folder();
    const made = spawnSync(
      'python3',
      [
        '-c',
        `import os,sys
os.chdir(sys.argv[1])
for i in range(5000):
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY))
    os.mkdir("d"); os.chdir("d")`,
        top,
      ],
      { encoding: 'utf8' },
    );
    expect(made.stderr).toBe('');
    const { status, stderr } = await chown(['1000:1000', top]);
    expect(stderr).toContain('10,001 entries, 10,001 changed');
    expect(status).toBe(0);
    const limited = await chown(['1001:1001', top], {
      prefix: ['/bin/sh', '-c', 'ulimit -n 100; exec "$@"', 'sh'],
    });
    expect(limited.stderr).toContain('10,001 entries, 10,001 changed');
    expect(limited.status).toBe(0);
    expect(owners(top)).toEqual({ '1001:1001': 10_001 });
  });
});

describe.skipIf(notRoot)('modes', () => {
  test('files and directories apart, in symbols', async () => {
    const top = smallTree();
    chmodSync(join(top, 'f'), 0o777);
    await chown(['1000:1000', top, '--mode', 'u=rwX,g=rX,o=']);
    expect(modeOf(join(top, 'f'))).toBe('0750');
    expect(modeOf(join(top, 'a/f'))).toBe('0640');
    expect(modeOf(join(top, 'a/b'))).toBe('0750');
    expect(modeOf(top)).toBe('0750');
    expect(modeOf('/etc/passwd')).toBe('0644');
    expect(owners(top)).toEqual({ '1000:1000': 11 });
  });

  test('in octal, and set-group-ID on directories', async () => {
    const top = smallTree();
    await chown(['0:2000', top, '--file-mode', '0660', '--dir-mode', '0770', '--setgid']);
    expect(modeOf(join(top, 'a/b/f'))).toBe('0660');
    for (const path of ['', 'a', 'a/b', 'a/b/c']) expect(modeOf(join(top, path))).toBe('2770');
    writeFileSync(join(top, 'a/b/new'), '');
    expect(ownerOf(join(top, 'a/b/new'))).toBe('0:2000');
    const { stderr } = await chown(['0:2000', top, '--file-mode', '0660', '--dir-mode', '0770', '--setgid']);
    expect(stderr).toContain('12 entries, 1 changed to 0:2000, 11 right already');
  });

  test('--create makes what is missing, with owner and mode, and only then', async () => {
    const top = memoryFolder();
    const path = join(top, 'x/y');
    const first = await chown(['1000:2000', path, '--create', '--dir-mode', '2770']);
    expect(first.stderr).toContain(`${path} made for 1000:2000`);
    for (const made of [path, join(top, 'x')]) {
      expect(ownerOf(made)).toBe('1000:2000');
      expect(modeOf(made)).toBe('2770');
    }
    expect(ownerOf(top)).toBe('0:0');
    const second = await chown(['1000:2000', path, '--create', '--dir-mode', '2770']);
    expect(second.stderr).toContain('0 changed to 1000:2000, 1 right already');
    const umask = ['/bin/sh', '-c', 'umask 077; exec "$@"', 'sh'];
    expect((await chown(['1000:2000', join(top, 'usual'), '--create'], { prefix: umask })).status).toBe(0);
    expect(modeOf(join(top, 'usual'))).toBe('0755');
    const dry = await chown(['1:1', join(top, 'z'), '--create', '--dry-run']);
    expect(JSON.parse(dry.stdout)).toMatchObject({ paths: [{ missing: true, toChange: 1 }] });
    expect(existsSync(join(top, 'z'))).toBe(false);
    expect(statSync(path).isDirectory()).toBe(true);
  });
});

describe.skipIf(notRoot)('--policy root-mismatch', () => {
  test('a top that is right speaks for all below', async () => {
    const top = smallTree();
    await chown(['1000:1000', top]);
    chownSync(join(top, 'a/f'), 0, 0);
    const { stderr, status } = await chown(['1000:1000', top, '--policy', 'root-mismatch']);
    expect(status).toBe(0);
    expect(stderr).toContain('what is below it was not looked at (--policy root-mismatch)');
    expect(ownerOf(join(top, 'a/f'))).toBe('0:0');
    await chown(['1000:1000', top]);
    expect(ownerOf(join(top, 'a/f'))).toBe('1000:1000');
  });

  test('a top whose owner or mode is wrong does not', async () => {
    const top = smallTree();
    await chown(['1000:1000', top, '--policy', 'root-mismatch']);
    expect(owners(top)).toEqual({ '1000:1000': 11 });
    chownSync(join(top, 'a/f'), 0, 0);
    await chown(['1000:1000', top, '--policy', 'root-mismatch', '--setgid']);
    expect(owners(top)).toEqual({ '1000:1000': 11 });
    expect(modeOf(top)).toMatch(/^2/);
  });
});

test.skipIf(notRoot)(
  '65535, which marks a top that is under way, as an owner: all is changed, no top is trusted',
  async () => {
    for (const owner of ['65535:65535', '1000:65535', '65535']) {
      const top = smallTree();
      const expected = owner === '65535' ? '65535:0' : owner;
      const first = await chown([owner, top]);
      expect(first.status, first.stderr).toBe(0);
      expect(owners(top)).toEqual({ [expected]: 11 });
      const again = await chown([owner, top, '--policy', 'root-mismatch']);
      expect(again.stderr).toContain('0 changed');
      expect(again.stderr).toContain('11 right already');
      expect(again.status).toBe(0);
      // As an interrupted run of another owner leaves it.
      chownSync(join(top, 'a/f'), 0, 0);
      expect((await chown([owner, top, '--policy', 'root-mismatch'])).status).toBe(0);
      expect(owners(top)).toEqual({ [expected]: 11 });
    }
  },
);

test.skipIf(noStrace)('progress of a long walk every 5 s, with its rate', async () => {
  const top = wideTree(memoryFolder(), 100, 300);
  // Every lchown takes 0.4 ms: 30,000 of them are 12 s for one process, 6 s for two.
  const slow = underStrace('trace=lchown', 'inject=lchown:delay_enter=400');
  const { status, stderr } = await chown(['1:1', top], { prefix: slow, timeout: 60_000 });
  expect(stderr).toMatch(/[\d,]+ entries so far in 5(\.\d)?s, [\d,]+\/s, [\d,]+ changed/);
  expect(stderr).toContain('30,101 entries, 30,101 changed');
  expect(status).toBe(0);
});
