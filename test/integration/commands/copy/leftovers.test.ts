// What stands in DEST under the names of killed runs' leftovers, and what a run leaves there itself.
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, type Mounted, underStrace } from '../../../support/faults.ts';
import { runInitbox } from '../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote, undoAtDeath } from '../../../support/undo.ts';
import { copy, leftovers, memoryFolder } from './support.ts';

const skip = requireOrSkip('leftovers on a volume', canMount());
const noStrace = requireOrSkip('an end among the renames', whyMissing('strace', 'strace'));

const other = 1000;
/** As another user, exchanges the stage of a copy for `important`, once. */
const exchangeOnce = `
import ctypes, os, sys
os.chdir(sys.argv[1])
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
libc = ctypes.CDLL(None)
print("ready", flush=True)
while True:
    for name in os.listdir("."):
        if name.startswith("..initbox-copy_") and libc.renameat2(-100, name.encode(), -100, b"important", 2) == 0:
            print("exchanged", flush=True)
            sys.exit(0)
`;

const note = '{"sets":{}}\n';

describe.skipIf(skip)('leftovers in DEST', () => {
  let mounted: Mounted;
  let volume: string;
  let from: string;

  beforeAll(() => {
    mounted = mountTmpfs({ size: '64m' });
  });
  afterAll(() => mounted.remove());
  beforeEach(() => {
    volume = mkdtempSync(join(mounted.path, 'volume-'));
    chmodSync(volume, 0o777);
    from = memoryFolder();
    writeFileSync(join(from, 'f'), 'new');
  });

  /** A folder with something of root's in it, under the name of a leftover that is old. */
  function leftover(name: string, fill: (path: string) => void = () => {}, mode = 0o755): string {
    const path = join(volume, name);
    mkdirSync(join(path, 'sub'), { recursive: true });
    writeFileSync(join(path, 'sub', 'precious'), 'of root');
    fill(path);
    chmodSync(path, mode);
    utimesSync(path, 1, 1);
    return path;
  }

  /** Mounts a volume there, with one file, for as long as the work takes. */
  async function withMount(at: string, work: (file: string) => Promise<void>): Promise<void> {
    using cache = mountTmpfs({ size: '1m' });
    mkdirSync(at, { recursive: true });
    writeFileSync(join(cache.path, 'data'), 'precious');
    execFileSync('mount', ['--bind', cache.path, at]);
    const undo = undoAtDeath(`umount -l ${quote(at)}`);
    try {
      await work(join(cache.path, 'data'));
    } finally {
      execFileSync('umount', ['-l', at]);
      undo.forget();
    }
  }

  const planted: readonly (readonly [string, (path: string) => void, number?])[] = [
    ['without a note', () => {}],
    ['which nobody else may enter', () => {}, 0o700],
    [
      "with another user's note",
      (path) => {
        writeFileSync(join(path, '..initbox.json'), note);
        chownSync(join(path, '..initbox.json'), other, other);
      },
    ],
    [
      'with a link for a note',
      (path) => {
        writeFileSync(join(path, 'sub', 'note'), note);
        symlinkSync('sub/note', join(path, '..initbox.json'));
      },
    ],
    [
      'with a note that has another name',
      (path) => {
        writeFileSync(join(path, 'sub', 'note'), note);
        linkSync(join(path, 'sub', 'note'), join(path, '..initbox.json'));
      },
    ],
    ['with an empty file for a note', (path) => writeFileSync(join(path, '..initbox.json'), '')],
    ['with a folder for a note', (path) => mkdirSync(join(path, '..initbox.json'))],
    ['to which everybody may write', (path) => writeFileSync(join(path, '..initbox.json'), note), 0o777],
  ];
  test.each(planted.map(([what, fill, mode = 0o755]) => [what, fill, mode] as const))(
    "a folder of root's under such a name, %s, stays",
    async (_, fill, mode) => {
      const path = leftover('..initbox-copy_a', fill, mode);
      for (const flags of [['--if-empty'], []]) {
        const { status, stderr } = await copy([from, volume, ...flags]);
        expect(status, stderr).toBe(0);
        expect(readFileSync(join(path, 'sub', 'precious'), 'utf8')).toBe('of root');
      }
      expect(readFileSync(join(volume, 'f'), 'utf8')).toBe('new');
    },
  );

  test("another user's folder with a note, and root's folder in it, stays", async () => {
    const path = leftover('..initbox-copy_a', (made) => {
      writeFileSync(join(made, '..initbox.json'), note);
      for (const name of ['', '..initbox.json']) chownSync(join(made, name), other, other);
    });
    expect(await copy([from, volume])).toMatchObject({ status: 0 });
    expect(readFileSync(join(path, 'sub', 'precious'), 'utf8')).toBe('of root');
  });

  test('one that a run made goes, and an empty folder too', async () => {
    leftover('..initbox-copy_a', (path) => writeFileSync(join(path, '..initbox.json'), note), 0o700);
    mkdirSync(join(volume, '..initbox-copy_b'));
    utimesSync(join(volume, '..initbox-copy_b'), 1, 1);
    expect(await copy([from, volume])).toMatchObject({ status: 0 });
    expect(leftovers(volume)).toEqual([]);
  });

  test.each([
    ['with a note', true],
    ['without', false],
  ])('what is mounted below one stays, %s', async (_, noted) => {
    const path = leftover('..initbox-copy_a', (made) => {
      if (noted) writeFileSync(join(made, '..initbox.json'), note);
    });
    await withMount(join(path, 'sub', 'cache'), async (file) => {
      utimesSync(path, 1, 1);
      const { status, stderr } = await copy([from, volume]);
      expect(status, stderr).toBe(0);
      expect(readFileSync(file, 'utf8')).toBe('precious');
    });
  });

  test('a bind mount of the same file system is a mount as well', async () => {
    const path = leftover('..initbox-copy_a', (made) => writeFileSync(join(made, '..initbox.json'), note));
    const precious = mkdtempSync(join(mounted.path, 'precious-'));
    writeFileSync(join(precious, 'data'), 'precious');
    const at = join(path, 'sub', 'cache');
    mkdirSync(at);
    execFileSync('mount', ['--bind', precious, at]);
    const undo = undoAtDeath(`umount -l ${quote(at)}`);
    try {
      utimesSync(path, 1, 1);
      expect(await copy([from, volume])).toMatchObject({ status: 0 });
      expect(readFileSync(join(precious, 'data'), 'utf8')).toBe('precious');
    } finally {
      execFileSync('umount', [at]);
      undo.forget();
    }
  });

  test.each([
    ['0755', 0o755],
    ['0700, as a stage is', 0o700],
  ])("a folder of root's (%s) that is exchanged for the stage is not emptied", async (_, mode) => {
    for (let i = 0; i < 3000; i++) writeFileSync(join(from, `f${i}`), 'x');
    mkdirSync(join(volume, 'important'));
    writeFileSync(join(volume, 'important', 'data'), 'of root');
    chmodSync(join(volume, 'important'), mode);
    const watcher = spawn('python3', ['-c', exchangeOnce, volume, String(other)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    watcher.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = new Promise((resolve) => watcher.once('close', resolve));
    while (!said.includes('ready')) await new Promise((resolve) => setTimeout(resolve, 10));
    await copy([from, volume]);
    await ended;
    expect(said).toContain('exchanged');
    const found = execFileSync('find', [volume, '-name', 'data'], { encoding: 'utf8' }).trim();
    expect(readFileSync(found, 'utf8')).toBe('of root');
  });

  describe('--if-empty', () => {
    test('a copy that failed at a mounted file does not make it overwrite the volume', async () => {
      writeFileSync(join(volume, 'db'), 'precious');
      writeFileSync(join(volume, 'app.conf'), 'another');
      writeFileSync(join(from, 'app.conf'), 'new');
      const seed = memoryFolder();
      writeFileSync(join(seed, 'db'), 'seed');
      execFileSync('mount', ['--bind', join(volume, 'app.conf'), join(volume, 'app.conf')]);
      try {
        for (let i = 0; i < 2; i++) {
          const { status, stderr } = await copy([join(from, 'app.conf'), join(volume, 'app.conf')]);
          expect(stderr).toContain('EBUSY');
          expect(status).toBe(1);
          expect(leftovers(volume)).toEqual([]);
        }
        const { status, stderr } = await copy([seed, volume, '--if-empty']);
        expect(status).toBe(0);
        expect(stderr).toContain('is not empty, so nothing was copied');
        expect(readFileSync(join(volume, 'db'), 'utf8')).toBe('precious');
      } finally {
        execFileSync('umount', [join(volume, 'app.conf')]);
      }
    });

    test.each<[string, (path: string) => void]>([
      [
        'in a folder',
        (path) => {
          mkdirSync(path);
          for (const name of ['merging', '..initbox.json']) writeFileSync(join(path, name), note);
          execFileSync('chown', ['-R', `${other}:${other}`, path]);
        },
      ],
      [
        "in root's folder",
        (path) => {
          mkdirSync(path);
          writeFileSync(join(path, 'merging'), '');
        },
      ],
      [
        'behind a link',
        (path) => {
          const made = mkdtempSync(join(mounted.path, 'elsewhere-'));
          for (const name of ['merging', '..initbox.json']) writeFileSync(join(made, name), note);
          symlinkSync(made, path);
        },
      ],
    ])('a planted note %s is not believed', async (_, plant) => {
      writeFileSync(join(volume, 'f'), 'precious');
      plant(join(volume, '..initbox-copy_a'));
      const { status, stderr } = await copy([from, volume, '--if-empty']);
      expect(status).toBe(0);
      expect(stderr).toContain('is not empty, so nothing was copied');
      expect(readFileSync(join(volume, 'f'), 'utf8')).toBe('precious');
    });

    const strace = (fault: string): string[] => underStrace(`inject=link,rename:${fault}`);

    test.skipIf(noStrace)('a run that ends before its first rename leaves nothing', async () => {
      const { status } = await copy([from, volume, '--if-empty'], { prefix: strace('error=EIO:when=1') });
      expect(status).toBe(1);
      expect(readdirSync(volume)).toEqual([]);
    });

    test.skipIf(noStrace)('only the same copy goes on with what was cut off', async () => {
      for (let i = 0; i < 9; i++) writeFileSync(join(from, `f${i}`), 'seed');
      const killed = await copy([from, volume, '--if-empty'], { prefix: strace('signal=KILL:when=5') });
      expect(killed.status).not.toBe(0);
      const shown = readdirSync(volume).filter((name) => name.startsWith('f'));
      expect(shown).toHaveLength(4);
      const [mine, ...rest] = shown as [string, ...string[]];
      writeFileSync(join(volume, mine), 'mine');
      const second = memoryFolder();
      for (const name of [...rest, 'g']) writeFileSync(join(second, name), 'other');

      for (const args of [
        [second, volume, '--if-empty'],
        [from, volume, '--if-empty', '--mode', '0600'],
      ]) {
        const { status, stderr } = await copy(args);
        expect(status).toBe(0);
        expect(stderr).toContain(
          'is incomplete: an earlier copy to it, with other sources or options, was cut off',
        );
        expect(stderr).toContain('is not empty, so nothing was copied');
      }
      expect(existsSync(join(volume, 'g'))).toBe(false);

      // Another copy meanwhile takes nothing from it.
      writeFileSync(join(second, 'h'), 'h');
      expect(await copy([join(second, 'h'), join(volume, 'h')])).toMatchObject({ status: 0 });
      for (let i = 0; i < 2; i++) {
        const failing = await copy([from, volume, '--if-empty'], { prefix: strace('error=EIO:when=1') });
        expect(failing.status).toBe(1);
        expect(leftovers(volume).filter((path) => /copy_[^/]*$/.test(path))).toHaveLength(1);
      }
      const { status, stderr } = await copy([from, volume, '--if-empty']);
      expect(status, stderr).toBe(0);
      // What is there stays, whoever put it there.
      expect(readFileSync(join(volume, mine), 'utf8')).toBe('mine');
      for (const name of Array.from({ length: 9 }, (_, i) => `f${i}`).filter((one) => one !== mine))
        expect(readFileSync(join(volume, name), 'utf8')).toBe('seed');
      expect(leftovers(volume)).toEqual([]);
      expect((await copy([from, volume, '--if-empty'])).stderr).toContain('is not empty, so nothing');
    });
  });

  describe.skipIf(noStrace)('what one command left, killed, the next one removes, whichever it is', () => {
    const commands: Readonly<Record<string, () => string[]>> = {
      copy: () => ['copy', from, volume],
      'copy --atomic': () => ['copy', from, volume, '--atomic'],
      'copy of one file': () => ['copy', join(from, 'f'), join(volume, 'one')],
      'fetch-config of an archive': () => ['fetch-config', `file:${archive()}`, '--unpack', '--to', volume],
      'fetch-config of a file': () => [
        'fetch-config',
        `file:${join(from, 'f')}`,
        '--public',
        '--to',
        join(volume, 'one'),
      ],
      render: () => ['render', join(from, 'f'), '--to', join(volume, 'one')],
    };
    function archive(): string {
      const path = join(memoryFolder(), 'a.tar');
      execFileSync('tar', ['-cf', path, '-C', from, '.']);
      return path;
    }
    const pairs = ['copy', 'copy --atomic', 'fetch-config of an archive'].flatMap((first) =>
      Object.keys(commands).map((second) => [first, second] as const),
    );
    test.each(pairs)('%s, then %s', async (first, second) => {
      const [kill = [], then = []] = [commands[first]?.(), commands[second]?.()];
      const prefix = underStrace('inject=rename,link,symlink:signal=KILL:when=1');
      expect((await runInitbox(kill, { prefix })).status).not.toBe(0);
      const left = readdirSync(volume).filter((name) => name.startsWith('..initbox'));
      expect(left).not.toEqual([]);
      const { status, stderr } = await runInitbox(then);
      expect(status, stderr).toBe(0);
      expect(readdirSync(volume).filter((name) => left.includes(name))).toEqual([]);
    });
  });

  test('a volume without free inodes: nothing is left', async () => {
    for (let inodes = 2; inodes < 9; inodes++) {
      using small = mountTmpfs({ size: '1m', options: `nr_inodes=${inodes}` });
      const { status } = await copy([from, small.path]);
      if (status !== 0) expect(readdirSync(small.path), `${inodes}`).toEqual([]);
      else expect(leftovers(small.path)).toEqual([]);
    }
  });
});
