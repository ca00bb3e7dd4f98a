import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  lchownSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { attackSeconds } from '../../../support/attack.ts';
import { whileExchanged } from '../../../support/exchange.ts';
import { underStrace } from '../../../support/faults.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { copy, folder, leftovers, memoryFolder } from './support.ts';

const notRoot = process.getuid?.() !== 0;
const noStrace = requireOrSkip('slow calls', whyMissing('strace', 'strace'));
const time = new Date('2025-01-02');

/** Whose a file is, what may be done with it, and what it holds. */
function seen(path: string): string {
  const { uid, gid, mode } = lstatSync(path);
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)} ${readFileSync(path).subarray(0, 4).toString()}`;
}

function put(path: string, text: string, uid: number, mode: number, size = 4): void {
  writeFileSync(path, Buffer.alloc(size, text));
  chownSync(path, uid, uid);
  chmodSync(path, mode);
  utimesSync(path, time, time);
}

const large = (4 << 20) + 4;

describe.skipIf(notRoot)('a file in DEST that somebody else put there, of the same size and time', () => {
  test.each([
    ['root’s, with set-user-ID', 4, 0, 0o4755, []],
    ['a large one', large, 0, 0o4755, []],
    ['with --checksum', 4, 0, 0o4755, ['--checksum']],
    ['a large one, with --checksum', large, 0, 0o4755, ['--checksum']],
    ['another user’s', 4, 2000, 0o600, []],
  ])('never gets the owner or mode: %s', async (_what, size, uid, mode, flags) => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    put(join(from, 'su'), 'good', uid, mode, size);
    put(join(to, 'su'), 'evil', 1000, 0o644, size);
    chownSync(to, 1000, 1000);
    const mine = join(to, '.mine');
    linkSync(join(to, 'su'), mine);
    const { status, stderr } = await copy([from, to, ...flags]);
    expect(status, stderr).toBe(0);
    expect(seen(join(to, 'su'))).toBe(`${uid}:${uid} ${mode.toString(8)} good`);
    expect(seen(mine)).toBe('1000:1000 644 evil');
    expect((await copy([from, to, ...flags])).stderr).toContain('0 copied (0 B), 1 unchanged');
  });

  test.each([
    ['--owner', ['--owner', '0:0'], '0:0 644 good'],
    ['--mode', ['--mode', '0755'], '2000:2000 755 good'],
    ['--atomic', ['--atomic', '--owner', '0:0'], '0:0 644 good'],
  ])('nor what %s asks for', async (_what, flags, expected) => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    put(join(from, 'f'), 'good', 2000, 0o644);
    // What it was before: the other owner's, in both kinds of DEST.
    await copy([from, to, ...flags]);
    const real = join(to, flags.includes('--atomic') ? readlinkSync(join(to, '..data')) : '', 'f');
    put(real, 'evil', 1000, 0o600);
    linkSync(real, join(to, '..mine'));
    const { status, stderr } = await copy([from, to, ...flags]);
    expect(status, stderr).toBe(0);
    expect(seen(join(to, 'f'))).not.toContain('evil');
    expect(execFileSync('stat', ['-Lc', '%u:%g %a', join(to, 'f')], { encoding: 'utf8' })).toBe(
      `${expected.replace(' good', '')}\n`,
    );
    expect(seen(join(to, '..mine'))).toBe('1000:1000 600 evil');
  });

  test.each([4, large])(
    'nor one with the right content that he can still write to, %i bytes',
    async (size) => {
      const [from, to] = [memoryFolder(), memoryFolder()];
      put(join(from, 'su'), 'good', 0, 0o4755, size);
      put(join(to, 'su'), 'good', 1000, 0o644, size);
      const writer = spawn('python3', [
        '-c',
        `import sys
f = open(sys.argv[1], "r+b", buffering=0)
print("open", flush=True)
sys.stdin.read()
f.write(b"evil")`,
        join(to, 'su'),
      ]);
      await new Promise((resolve) => writer.stdout.once('data', resolve));
      expect(await copy([from, to])).toMatchObject({ status: 0 });
      const ended = new Promise((resolve) => writer.once('close', resolve));
      writer.stdin.end();
      await ended;
      expect(seen(join(to, 'su'))).toBe('0:0 4755 good');
    },
  );

  test.each([
    ['its mode', 0o644, time],
    ['its time', 0o600, new Date('2025-06-07')],
  ])('a further name of a file elsewhere: %s stays as it is there', async (_what, mode, at) => {
    const [from, outside] = [memoryFolder(), memoryFolder()];
    const to = join(outside, 'dest');
    mkdirSync(to);
    put(join(from, 'f'), 'same', 0, mode);
    put(join(outside, 'key'), 'same', 0, 0o600);
    utimesSync(join(outside, 'key'), at, at);
    linkSync(join(outside, 'key'), join(to, 'f'));
    expect(await copy([from, to])).toMatchObject({ status: 0 });
    const { mtimeMs, nlink } = lstatSync(join(outside, 'key'));
    expect(seen(join(outside, 'key'))).toBe('0:0 600 same');
    expect(mtimeMs).toBe(at.getTime());
    expect(nlink).toBe(1);
    expect(seen(join(to, 'f'))).toBe(`0:0 ${mode.toString(8)} same`);
  });
});

describe.skipIf(notRoot)('set-ID bits that the owner of the source gave to his own program', () => {
  /** Mode and owner of each file, of those that a copy with these flags makes. */
  async function copied(flags: readonly string[], size = 4): Promise<Record<string, string>> {
    const [from, to] = [memoryFolder(), memoryFolder()];
    for (const mode of [0o4755, 0o6755, 0o2755, 0o2745, 0o755])
      put(join(from, mode.toString(8)), 'evil', 1000, mode, size);
    linkSync(join(from, '6755'), join(from, 'also'));
    for (let run = 1; run <= 2; run++) {
      const { status, stderr } = await copy([from, to, ...flags]);
      expect(status, stderr).toBe(0);
      if (run === 2) expect(stderr).toContain('0 copied');
    }
    const names = ['4755', '6755', '2755', '2745', '755', 'also'];
    return Object.fromEntries(
      names.map((name) => {
        const { uid, gid, mode } = statSync(join(to, name));
        return [name, `${(mode & 0o7777).toString(8)} ${uid}:${gid}`];
      }),
    );
  }

  test.each([
    ['both others', ['--owner', '0:0'], 4],
    ['large files', ['--owner', '0:0'], large],
    ['--atomic', ['--owner', '0:0', '--atomic'], 4],
  ])('never become those of another owner: %s', async (_what, flags, size) => {
    expect(await copied(flags, size)).toEqual({
      '4755': '755 0:0',
      '6755': '755 0:0',
      '2755': '755 0:0',
      '2745': '745 0:0',
      '755': '755 0:0',
      also: '755 0:0',
    });
  });

  test.each([
    ['another group', '1000:0', '4755', '4755', '755', '745'],
    ['another user', '0:1000', '755', '2755', '2755', '2745'],
    ['the same', '1000:1000', '4755', '6755', '2755', '2745'],
  ])('are judged each by its own id: %s', async (_what, owner, user, both, group, locking) => {
    expect(await copied(['--owner', owner])).toEqual({
      '4755': `${user} ${owner}`,
      '6755': `${both} ${owner}`,
      '2755': `${group} ${owner}`,
      '2745': `${locking} ${owner}`,
      '755': `755 ${owner}`,
      also: `${both} ${owner}`,
    });
  });

  test('nor with a mode that makes them executable', async () => {
    expect(await copied(['--owner', '0:0', '--mode', 'a+rwX'])).toEqual({
      '4755': '777 0:0',
      '6755': '777 0:0',
      '2755': '777 0:0',
      '2745': '777 0:0',
      '755': '777 0:0',
      also: '777 0:0',
    });
  });

  test('set-group-ID without group execute goes where the mode adds that', async () => {
    expect(await copied(['--mode', 'g+rwX'])).toMatchObject({
      '2745': '775 1000:1000',
      '2755': '2775 1000:1000',
    });
  });
});

/** Seconds for each attack. */

describe.skipIf(notRoot)('links that look like those of a ConfigMap', () => {
  /** The owner of a source, who plants links, and a folder of root's beside it. */
  function planted(below = ''): { readonly from: string; readonly at: string; readonly secret: string } {
    const top = memoryFolder();
    const secret = join(top, 'private');
    mkdirSync(join(secret, 'deep'), { recursive: true, mode: 0o700 });
    put(join(secret, 'shadow'), 'root', 0, 0o600);
    put(join(secret, 'deep/shadow'), 'root', 0, 0o600, large);
    const from = join(top, 'src');
    const at = join(from, below);
    mkdirSync(join(at, '..real/folder'), { recursive: true });
    put(join(at, '..real/good'), 'good', 1000, 0o644);
    put(join(at, '..real/folder/good'), 'good', 1000, 0o644);
    for (const [target, name] of [
      [secret, '..real/out'],
      [join(secret, 'shadow'), '..real/link'],
      ['..real/folder', '..alias'],
    ] as const)
      symlinkSync(target, join(at, name));
    execFileSync('mkfifo', [join(at, '..real/pipe')]);
    execFileSync('chown', ['-hR', '1000:1000', from]);
    return { from, at, secret };
  }

  function plant(at: string, links: Readonly<Record<string, string>>): void {
    for (const [name, target] of Object.entries(links)) {
      symlinkSync(target, join(at, name));
      lchownSync(join(at, name), 1000, 1000);
    }
  }

  test.each([
    ['an absolute ..data', '', (secret: string) => secret, 'shadow', '..data/shadow'],
    ['an absolute ..data, a large file', '', (secret: string) => secret, 'shadow', '..data/deep/shadow'],
    ['a relative ..data', '', () => '../private', 'shadow', '..data/shadow'],
    ['in a subdirectory', 'a/b', (secret: string) => secret, 'shadow', '..data/shadow'],
    ['a whole directory', 'a', (secret: string) => secret, 'all', '..data/deep'],
    ['a trailing slash', 'a', (secret: string) => secret, 'all', '..data/'],
    ['.. in the link', 'a', () => '..real', 'up', '..data/../../../private/shadow'],
    ['. in the link', 'a', (secret: string) => secret, 'all', '..data/.'],
    ['a link in the version', 'a', () => '..real', 'link', '..data/link'],
    ['a link in the version, on the way', 'a', () => '..real', 'out', '..data/out/shadow'],
    ['a link to a directory in the version', 'a', () => '..real', 'out', '..data/out'],
    ['a version that is a link', 'a', () => '..alias', 'good', '..data/good'],
    ['a version two levels down', 'a', () => '..real/folder', 'good', '..data/good'],
    ['a version above', 'a', () => '..', 'src', '..data/private'],
    ['a version that is not internal', 'a', () => 'plain', 'good', '..data/good'],
    ['a FIFO in the version', 'a', () => '..real', 'pipe', '..data/pipe'],
  ])('stay links: %s', async (_what, below, data, name, target) => {
    const { from, at, secret } = planted(below);
    plant(at, { '..data': data(secret), [name]: target });
    for (const flags of [[], ['--owner', '1000:1000'], ['--delete'], ['--checksum']]) {
      const to = memoryFolder();
      const { status, stderr } = await copy([from, to, ...flags]);
      expect(status, stderr).toBe(0);
      expect(readlinkSync(join(to, below, name))).toBe(target);
      expect(filesWith('root', to)).toEqual([]);
    }
  });

  test('are followed where they lead to a file or directory of the version', async () => {
    const { from, at } = planted('a');
    // The kubelet makes them as root.
    for (const [name, target] of Object.entries({
      '..data': '..real',
      good: '..data/good',
      folder: '..data/folder',
      deep: '..data/folder/good',
    }))
      symlinkSync(target, join(at, name));
    for (const flags of [[], ['--delete']]) {
      const to = memoryFolder();
      expect(await copy([from, to, ...flags])).toMatchObject({ status: 0 });
      for (const path of ['good', 'folder/good', 'deep'])
        expect(seen(join(to, 'a', path))).toBe('1000:1000 644 good');
      expect((await copy([from, to, ...flags])).stderr).toContain('0 copied');
    }
  });

  test(
    `nor while their owner exchanges what ..data leads to, for ${attackSeconds} s`,
    async () => {
      const { from, at, secret } = planted('a');
      for (const name of ['shadow', 'deep/shadow'])
        put(join(mkdirs(at, '..real', name), name), 'mine', 1000, 0o644, name === 'shadow' ? 4 : large);
      plant(at, {
        d0: '..real',
        d1: secret,
        '..data': '..real',
        shadow: '..data/shadow',
        large: '..data/deep/shadow',
        deep: '..data/deep',
      });
      // Both ways: ..data itself, and the directory of the version.
      const wrong: string[] = [];
      for (const [one, other] of [
        ['..data', 'd1'],
        ['..real', 'd1'],
      ] as const) {
        const until = performance.now() + (attackSeconds * 1000) / 2;
        await whileExchanged(at, [one, other, 0], async () => {
          for (let round = 0; performance.now() < until || round < 4; round++) {
            const to = memoryFolder();
            await copy([from, to, '--owner', '1000:1000']);
            wrong.push(...(existsSync(join(to, 'a')) ? filesWith('root', to) : []));
            rmSync(to, { recursive: true });
          }
        });
      }
      expect(wrong).toEqual([]);
    },
    attackSeconds * 1000 + 60_000,
  );
});

/** Makes the folder in which `name` is to be; returns the one below which it is. */
function mkdirs(top: string, version: string, name: string): string {
  mkdirSync(join(top, version, name, '..'), { recursive: true });
  return join(top, version);
}

/** Regular files whose content begins with a word. */
function filesWith(word: string, top: string): string[] {
  const files = execFileSync('find', [top, '-type', 'f'], { encoding: 'utf8' }).split('\n');
  return files.filter(
    (path) => path !== '' && readFileSync(path).subarray(0, word.length).toString() === word,
  );
}

describe.skipIf(notRoot)(`names that the owner of the source exchanges, for ${attackSeconds} s`, () => {
  const pairs = 100;

  /** Content, and so whose each copy must be. */
  const rightful: Readonly<Record<string, string>> = {
    evil: '1000:1000 644 evil',
    root: '0:0 4755 root',
    hide: '0:0 600 hide',
  };

  function wrongIn(top: string): string[] {
    const found = execFileSync('find', ['-L', top, '-type', 'f', '-printf', '%p %U:%G %m\n'], {
      encoding: 'utf8',
    });
    // What the exchanger makes anew has its owner only a moment after its name.
    const links = execFileSync('find', [top, '-type', 'l', '!', '-name', '.initbox*', '-printf', '%l %U\n'], {
      encoding: 'utf8',
    });
    return [
      ...found.split('\n').filter((line) => {
        const [path = '', ...attributes] = line.split(' ');
        if (line === '' || path.includes('.initbox')) return false;
        const text = readFileSync(path).subarray(0, 4).toString();
        return rightful[text] !== `${attributes.join(' ')} ${text}`;
      }),
      ...links
        .split('\n')
        .filter((line) => /^(good|evil) /.test(line) && !['good 0', 'evil 1000'].includes(line)),
    ];
  }

  const make: Readonly<Record<string, (from: string) => void>> = {
    'a set-user-ID file against his own'(from) {
      for (let i = 0; i < pairs; i++) {
        put(join(from, `a${i}`), 'root', 0, 0o4755);
        put(join(from, `b${i}`), 'evil', 1000, 0o644);
      }
    },
    'a secret against his own'(from) {
      for (let i = 0; i < pairs; i++) {
        put(join(from, `a${i}`), 'hide', 0, 0o600);
        put(join(from, `b${i}`), 'evil', 1000, 0o644);
      }
    },
    'files of two names'(from) {
      mkdirSync(join(from, 'more'));
      for (let i = 0; i < pairs; i++) {
        put(join(from, `a${i}`), 'root', 0, 0o4755);
        put(join(from, `b${i}`), 'evil', 1000, 0o644);
        for (const letter of 'ab') linkSync(join(from, `${letter}${i}`), join(from, `more/${letter}${i}`));
      }
    },
    'a large file against a small one'(from) {
      for (let i = 0; i < pairs / 10; i++) {
        put(join(from, `a${i}`), 'root', 0, 0o4755, large);
        put(join(from, `b${i}`), 'evil', 1000, 0o644);
      }
    },
    'links against links'(from) {
      for (let i = 0; i < pairs; i++) {
        symlinkSync('good', join(from, `a${i}`));
        symlinkSync('evil', join(from, `b${i}`));
        lchownSync(join(from, `b${i}`), 1000, 1000);
      }
    },
    'what links lead to'(from) {
      put(join(from, 'evil'), 'evil', 1000, 0o644);
      put(join(from, 'root'), 'root', 0, 0o4755);
      for (let i = 0; i < pairs; i++) {
        symlinkSync('root', join(from, `a${i}`));
        symlinkSync('evil', join(from, `b${i}`));
      }
    },
  };

  test.each([
    ['a set-user-ID file against his own', []],
    ['a set-user-ID file against his own', ['--checksum']],
    ['a set-user-ID file against his own', ['--atomic']],
    ['a secret against his own', ['--delete']],
    ['files of two names', []],
    ['a large file against a small one', []],
    ['links against links', []],
    ['what links lead to', ['--dereference']],
  ])(
    '%s %j: each copy has the owner and mode of its content',
    async (what, flags) => {
      const from = memoryFolder();
      make[what]?.(from);
      chownSync(from, 1000, 1000);
      const wrong: string[] = [];
      let copied = 0;
      let to = memoryFolder();
      const exchanges = await whileExchanged(
        from,
        ['a', 'b', pairs],
        async () => {
          const until = performance.now() + attackSeconds * 1000;
          for (let round = 0; performance.now() < until || round < 4; round++) {
            // Every other one finds what the one before has left.
            if (round % 2 === 0) {
              execFileSync('rm', ['-rf', to]);
              to = memoryFolder();
            }
            const { status, stderr } = await copy([from, to, ...flags]);
            expect([0, 1], stderr).toContain(status);
            copied += Number(/([\d,]+) copied/.exec(stderr)?.[1]?.replaceAll(',', '') ?? 0);
            wrong.push(...wrongIn(to));
            expect(leftovers(join(to)).filter((path) => path.includes('copy_'))).toEqual([]);
          }
        },
        20,
      );
      expect(wrong).toEqual([]);
      expect(exchanges).toBeGreaterThan(1000);
      expect(copied).toBeGreaterThan(20);
    },
    attackSeconds * 1000 + 60_000,
  );
});

describe.skipIf(notRoot)(`names that the owner of DEST exchanges, for ${attackSeconds} s`, () => {
  test(
    'the time of a file elsewhere stays what it was',
    async () => {
      const [from, outside] = [memoryFolder(), memoryFolder()];
      const to = join(outside, 'dest');
      mkdirSync(to);
      for (let i = 0; i < 100; i++) {
        put(join(from, `a${i}`), 'same', 0, 0o644);
        put(join(to, `a${i}`), 'same', 0, 0o644);
        put(join(outside, `key${i}`), 'keys', 0, 0o644);
        utimesSync(join(outside, `key${i}`), new Date('2024-01-01'), new Date('2024-01-01'));
        linkSync(join(outside, `key${i}`), join(to, `b${i}`));
      }
      chownSync(to, 1000, 1000);
      const state = () =>
        execFileSync('find', [outside, '-name', 'key*', '-printf', '%f %U %m %T@\n'], { encoding: 'utf8' })
          .split('\n')
          .toSorted();
      const before = state();
      await whileExchanged(to, ['a', 'b', 100], async () => {
        const until = performance.now() + attackSeconds * 1000;
        for (let round = 0; performance.now() < until || round < 4; round++) {
          const later = new Date(Date.parse('2025-02-03') + round * 60_000);
          for (let i = 0; i < 100; i++) utimesSync(join(from, `a${i}`), later, later);
          const { status, stderr } = await copy([from, to]);
          expect(status, stderr).toBe(0);
          expect(state()).toEqual(before);
        }
      });
    },
    attackSeconds * 1000 + 60_000,
  );

  test.skipIf(noStrace)(
    'a folder of root’s that he puts in the place of one that is being made: its mode stays',
    async () => {
      const vol = memoryFolder();
      chmodSync(vol, 0o755);
      const from = folder();
      writeFileSync(join(from, 'f'), 'f');
      mkdirSync(join(vol, 'secret'), { mode: 0o700 });
      writeFileSync(join(vol, 'secret/key'), 'key');
      // By what is opened, not by its name: that leads to either of the two while they are exchanged.
      const secret = openSync(join(vol, 'secret'), 'r');
      onTestFinished(() => closeSync(secret));
      chownSync(vol, 1000, 1000);
      // Held up between the making and the opening of it.
      const slow = underStrace('inject=mkdir:delay_exit=50000');
      for (let round = 0; round < 8; round++) {
        await whileExchanged(vol, ['new', 'secret', 0], async () => {
          await copy([from, join(vol, 'new')], {
            prefix: ['sh', '-c', 'umask 077; exec "$@"', 'sh', ...slow],
          });
          expect(fstatSync(secret).mode & 0o7777).toBe(0o700);
        });
        const made = existsSync(join(vol, 'new/key')) ? 'secret' : 'new';
        rmSync(join(vol, made), { recursive: true, force: true });
        if (made === 'secret') renameSync(join(vol, 'new'), join(vol, 'secret'));
      }
    },
    60_000,
  );
});
