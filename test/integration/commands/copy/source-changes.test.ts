// Sources that change while they are copied, where what they have not goes in DEST: a neighbour's deploy, a volume that goes.
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, underStrace, waitUntil } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { type ProgramResult, startInitbox } from '../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote, undoAtDeath } from '../../../support/undo.ts';
import { contentOf, copy, leftovers, memoryFolder } from './support.ts';

const skip = requireOrSkip(
  'sources that change',
  process.getuid?.() === 0 ? whyMissing('strace', 'strace') : 'strace needs root here',
);

/** The link `current` leads to another new folder, again and again. */
const moving = `import os, sys, time
os.chdir(sys.argv[1]); n = 0
while True:
    time.sleep(0.005); n += 1; os.mkdir('r%d' % n); open('r%d/f' % n, 'w').close()
    os.symlink('r%d' % n, 'new'); os.rename('new', 'current')`;

describe.skipIf(skip)('a source that changes during the copy', () => {
  let from: string;
  let to: string;
  let away: string;

  beforeEach(() => {
    [from, to, away] = [memoryFolder(), memoryFolder(), memoryFolder()];
    for (const top of [from, to])
      for (const name of ['d/a', 'd/b', 'e/deep/c', 'top']) {
        mkdirSync(join(top, name, '..'), { recursive: true });
        writeFileSync(join(top, name), name);
        utimesSync(join(top, name), 1_750_000_000, 1_750_000_000);
      }
    // Something to copy, so that the copy comes to a rename, and something to remove.
    for (const name of ['d/a', 'e/deep/c', 'top']) writeFileSync(join(from, name), 'new');
    for (const name of ['extra', 'e/extra']) writeFileSync(join(to, name), 'extra');
  });

  /** A copy that stands still at its first call of this kind, while the source is changed. */
  async function changed(
    call: string,
    change: () => void | Promise<void>,
    flags: readonly string[] = ['--delete'],
    sources: readonly string[] = [from],
  ): Promise<ProgramResult> {
    const [name, which = '1'] = call.split(':');
    const prefix = underStrace(`inject=${name}:delay_enter=2500000:when=${which}`);
    const before = leftovers(to);
    const program = await startInitbox(['copy', ...sources, to, ...flags], { prefix });
    const stands = (): boolean => leftovers(to).some((path) => !before.includes(path));
    await waitUntil(stands, { timeout: 60_000, what: 'the copy to stand still' });
    // To where it stands: whatever it has looked at by then is right too.
    await new Promise((resolve) => setTimeout(resolve, 400));
    await change();
    return program.exit;
  }

  const moveAll = (source: string, target: string): void => {
    for (const name of readdirSync(source)) renameSync(join(source, name), join(target, name));
  };
  test.each(['rename:1', 'mkdir:2', 'mkdir:3'])(
    'emptied (at %s): DEST keeps all that it has',
    async (call) => {
      const before = contentOf(to).length;
      const { status, stderr } = await changed(call, () => moveAll(from, away));
      expect(status, stderr).toBe(2);
      expect(stderr).toContain('is empty, and --delete would remove all of');
      expect(contentOf(to).length).toBeGreaterThanOrEqual(before);
      expect(existsSync(join(to, 'd/b'))).toBe(true);
      expect(leftovers(to)).toEqual([]);
    },
  );

  test('away for a moment: DEST is like the source in the end', async () => {
    const { status, stderr } = await changed('rename', async () => {
      moveAll(from, away);
      await new Promise((resolve) => setTimeout(resolve, 100));
      moveAll(away, from);
    });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('a source changed meanwhile: what it has now is copied');
    expect(contentOf(to)).toEqual(contentOf(from));
  });

  test('a file is written anew and is shorter: DEST has no part of it', async () => {
    writeFileSync(join(from, 'big'), 'a'.repeat(8 << 20));
    const { status, stderr } = await changed(
      'copy_file_range:2',
      () => writeFileSync(join(from, 'big'), 'short'),
      [],
    );
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('a source changed meanwhile: what it has now is copied');
    expect(readFileSync(join(to, 'big'), 'utf8')).toBe('short');
  });

  test('a file is written anew in place and is longer: DEST has no mixture of it', async () => {
    writeFileSync(join(from, 'big'), 'a'.repeat(8 << 20));
    const { status, stderr } = await changed(
      'copy_file_range:2',
      () => writeFileSync(join(from, 'big'), 'b'.repeat(9 << 20)),
      ['--no-clobber'],
    );
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('a source changed meanwhile: what it has now is copied');
    expect(readFileSync(join(to, 'big'), 'utf8')).toBe('b'.repeat(9 << 20));
  });

  test('a file only grows: what it had is copied, and nothing begins anew', async () => {
    writeFileSync(join(from, 'log'), 'a'.repeat(8 << 20));
    const { status, stderr } = await changed(
      'copy_file_range:2',
      () => appendFileSync(join(from, 'log'), 'b'.repeat(9 << 20)),
      [],
    );
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain('a source changed meanwhile');
    expect(readFileSync(join(to, 'log'), 'utf8').slice(0, 8 << 20)).toBe('a'.repeat(8 << 20));
  });

  // In few steps, in several, and by pieces.
  test.each([50, 768, 2304])(
    'a file of %d pages that is always written to: never a state that it was not in, without a word',
    async (pages) => {
      const file = join(from, 'busy');
      // Page by page, each with the number of the round.
      const writer = spawn('python3', [
        '-c',
        `import os, struct, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for round in range(1 << 40):
    page = struct.pack('<q', round) + bytes(4088)
    for at in range(${pages}): os.pwrite(file, page, at * 4096)
`,
        file,
      ]);
      const roundsOf = (path: string): readonly number[] => {
        const bytes = readFileSync(path);
        return Array.from({ length: pages }, (_, page) => Number(bytes.readBigInt64LE(page * 4096)));
      };
      try {
        await waitUntil(() => existsSync(file) && statSync(file).size === pages * 4096, {
          timeout: 60_000,
          what: 'the file',
        });
        for (const [flags, wanted] of [
          [[], 0],
          [['--if-empty'], 1],
          [['--atomic'], 1],
        ] as const) {
          for (let round = 0; round < 3; round++) {
            rmSync(to, { recursive: true });
            mkdirSync(to);
            const { status, stderr } = await copy([from, to, ...flags]);
            const told = stderr.includes('was written to again and again while it was copied');
            expect(status, stderr).toBe(told ? wanted : 0);
            if (told) continue;
            const rounds = roundsOf(join(to, 'busy'));
            const [first = 0, last = 0] = [rounds[0], rounds.at(-1)];
            expect(
              rounds.toSorted((one, other) => other - one),
              stderr,
            ).toEqual(rounds);
            expect(first - last, stderr).toBeLessThanOrEqual(1);
          }
        }
      } finally {
        writer.kill('SIGKILL');
      }
    },
  );

  test('a folder of it goes, for good: it goes in DEST, and nothing else does', async () => {
    const { status, stderr } = await changed('rename', () =>
      rmSync(join(from, 'e/deep'), { recursive: true }),
    );
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('a source changed meanwhile: what it has now is copied');
    expect(contentOf(to)).toEqual(contentOf(from));
  });

  describe.each([
    ['--delete', 'rename'],
    ['--atomic', 'mkdir:2'],
  ])('what the sources stand for, with %s', (flag, call) => {
    const anew = 'a source changed meanwhile: what it has now is copied';
    const shown = (path: string): boolean => existsSync(join(to, path));

    beforeEach(async () => {
      rmSync(to, { recursive: true });
      mkdirSync(to);
    });
    /** A copy of all, and something new in each folder after it. */
    async function first(sources: readonly string[]): Promise<void> {
      const { status, stderr } = await copy([...sources, to, flag]);
      expect(status, stderr).toBe(0);
      for (const name of ['d/a', 'e/deep/c']) writeFileSync(join(from, name), 'newer');
    }

    test.each([
      ['a pattern', ['*/'], []],
      ['a pattern in the middle', ['*/deep', 'd'], []],
      ['with --if-exists', ['e', 'd'], ['--if-exists']],
    ])('%s: a folder that is back before the end stays', async (_, names, more) => {
      const sources = names.map((name) => join(from, name) + (name.endsWith('/') ? '/' : ''));
      await first(sources);
      const precious = names.includes('*/deep') ? 'c' : 'deep/c';
      expect(shown(precious)).toBe(true);
      renameSync(join(from, 'e'), join(away, 'e'));
      const back = (): void => renameSync(join(away, 'e'), join(from, 'e'));
      // A pattern that matches nothing at all is an error by itself.
      if (names.includes('*/deep')) mkdirSync(join(from, 'f/deep'), { recursive: true });
      if (names.includes('*/deep')) writeFileSync(join(from, 'f/deep/other'), 'other');
      const { status, stderr } = await changed(call, back, [flag, ...more], sources);
      expect(status, stderr).toBe(0);
      expect(stderr).toContain(anew);
      expect(shown(precious)).toBe(true);
      expect(shown('a')).toBe(true);
    });

    test.each([
      ['partly removed', 'e'],
      ['wholly removed', ''],
    ])('a link that leads to the next release, the old one %s', async (_, removed) => {
      const [old, next, current] = ['old', 'next', 'current'].map((name) => join(away, name)) as [
        string,
        string,
        string,
      ];
      await first([from]);
      execFileSync('cp', ['-a', from, old]);
      execFileSync('cp', ['-a', from, next]);
      writeFileSync(join(next, 'd/a'), 'of the next');
      symlinkSync('old', current);
      const deploy = (): void => {
        symlinkSync('next', join(away, 'new'));
        renameSync(join(away, 'new'), current);
        rmSync(join(old, removed), { recursive: true });
      };
      const { status, stderr } = await changed(call, deploy, [flag], [current]);
      expect(status, stderr).toBe(0);
      expect(stderr).toContain(anew);
      expect(shown('e/deep/c')).toBe(true);
      expect(readFileSync(join(to, 'd/a'), 'utf8')).toBe('of the next');
    });

    test('another folder in the place of the source', async () => {
      await first([from]);
      const next = join(away, 'next');
      execFileSync('cp', ['-a', from, next]);
      writeFileSync(join(next, 'd/a'), 'of the next');
      const deploy = (): void => {
        renameSync(from, join(away, 'old'));
        renameSync(next, from);
        rmSync(join(away, 'old/e'), { recursive: true });
      };
      const { status, stderr } = await changed(call, deploy, [flag]);
      expect(status, stderr).toBe(0);
      expect(shown('e/deep/c')).toBe(true);
      expect(readFileSync(join(to, 'd/a'), 'utf8')).toBe('of the next');
    });

    test('a source that is gone: it is said, and nothing is removed', async () => {
      await first([from]);
      const { status, stderr } = await changed(call, () => renameSync(from, join(away, 'x')), [flag]);
      expect(status, stderr).toBe(2);
      expect(stderr).toContain(`${from} does not exist`);
      expect(shown('e/deep/c')).toBe(true);
    });

    test('a link that leads to DEST itself by then', async () => {
      const current = join(away, 'current');
      symlinkSync(from, current);
      await first([current]);
      const turn = (): void => {
        unlinkSync(current);
        symlinkSync(to, current);
      };
      const { status, stderr } = await changed(call, turn, [flag], [current]);
      expect(status, stderr).toBe(2);
      expect(stderr).toContain('are the same directory');
      expect(shown('e/deep/c')).toBe(true);
    });

    test('again and again: DEST stays as it was, and that is said', async () => {
      const [one, current] = ['one', 'current'].map((name) => join(away, name)) as [string, string];
      await first([from]);
      mkdirSync(one);
      writeFileSync(join(one, 'f'), 'f');
      symlinkSync('one', current);
      const busy = spawn('python3', ['-c', moving, away]);
      try {
        const moves = (): boolean => readlinkSync(current) !== 'one';
        await waitUntil(moves, { timeout: 60_000, what: 'the link to move' });
        const prefix = underStrace('inject=getdents64:delay_enter=100000');
        const program = await startInitbox(['copy', current, to, flag], { prefix });
        const { status, stderr } = await program.exit;
        expect(status, stderr).toBe(1);
        expect(stderr).toContain('the sources lead to other folders again and again during the copy');
        expect(shown('e/deep/c')).toBe(true);
      } finally {
        busy.kill('SIGKILL');
      }
    });
  });

  test.each([[[]], [['--if-empty']], [['--no-clobber']]])(
    'a link that moves again and again, with %j: DEST stays as it was, and the next run copies all',
    async (flags) => {
      rmSync(to, { recursive: true });
      mkdirSync(to);
      const [one, current] = ['one', 'current'].map((name) => join(away, name)) as [string, string];
      mkdirSync(one);
      writeFileSync(join(one, 'f'), 'f');
      symlinkSync('one', current);
      const busy = spawn('python3', ['-c', moving, away]);
      try {
        const moves = (): boolean => readlinkSync(current) !== 'one';
        await waitUntil(moves, { timeout: 60_000, what: 'the link to move' });
        const prefix = underStrace('inject=getdents64:delay_enter=100000');
        const program = await startInitbox(['copy', current, to, ...flags], { prefix });
        const { status, stderr } = await program.exit;
        expect(status, stderr).toBe(1);
        expect(stderr).toContain('the sources lead to other folders again and again during the copy');
        expect(stderr).toContain(`${to} was left as it was`);
        expect(readdirSync(to)).toEqual([]);
      } finally {
        busy.kill('SIGKILL');
      }
      const { status, stderr } = await copy([one, to, ...flags]);
      expect(status, stderr).toBe(0);
      expect(readdirSync(to)).toEqual(['f']);
    },
  );

  describe.skipIf(requireOrSkip('a volume that is unmounted', canMount()))('a volume that goes', () => {
    test.each([
      ['--delete', 'rename', 0],
      ['--atomic', 'mkdir:2', 1],
    ])('below the source, with %s: DEST keeps what it had of it', async (flag, call, wanted) => {
      rmSync(to, { recursive: true });
      mkdirSync(to);
      using volume = mountTmpfs({ size: '1m' });
      writeFileSync(join(volume.path, 'precious'), 'precious');
      const point = join(from, 'volume');
      mkdirSync(point);
      const undo = undoAtDeath(`umount -l ${quote(point)}`);
      execFileSync('mount', ['--bind', volume.path, point]);
      let there = true;
      try {
        const { status: begun, stderr: said } = await copy([from, to, flag]);
        expect(begun, said).toBe(0);
        writeFileSync(join(from, 'd/a'), 'newer');
        const leave = (): void => {
          execFileSync('umount', ['-l', point]);
          there = false;
        };
        const { status, stderr } = await changed(call, leave, [flag]);
        expect(status, stderr).toBe(wanted);
        expect(stderr).toContain('was mounted when the copy began, and is not any more');
        expect(existsSync(join(to, 'volume/precious'))).toBe(true);
      } finally {
        if (there) execFileSync('umount', ['-l', point]);
        undo.forget();
      }
    });

    // What was read before it went may be a part of it.
    test.each([[[]], [['--if-empty']], [['--no-clobber']], [['--delete']], [['--atomic']]])(
      'under the source itself, with %j: status 1, and DEST as it was',
      async (flags) => {
        rmSync(to, { recursive: true });
        mkdirSync(to);
        using volume = mountTmpfs({ size: '1m' });
        for (const name of ['a', 'b', 'c']) {
          mkdirSync(join(volume.path, name));
          writeFileSync(join(volume.path, name, 'precious'), 'precious');
        }
        const leave = (): void => {
          execFileSync('umount', ['-l', volume.path]);
          // What is below the mount point is not nothing, for a copy that empties DEST is refused by itself.
          writeFileSync(join(volume.path, 'other'), 'other');
        };
        const { status, stderr } = await changed('mkdir:2', leave, flags, [volume.path]);
        expect(stderr).toContain(`${volume.path} was mounted when the copy began, and is not any more`);
        expect([status, readdirSync(to)]).toEqual([1, []]);
      },
    );

    test.each([[[]], [['--if-empty']], [['--delete']]])(
      'below the source while it is read, with %j: status 1, and DEST as it was; a run of itself later copies it',
      async (flags) => {
        rmSync(to, { recursive: true });
        mkdirSync(to);
        using volume = mountTmpfs({ size: '1m' });
        writeFileSync(join(volume.path, 'precious'), 'precious');
        const point = join(from, 'zz');
        mkdirSync(point);
        const undo = undoAtDeath(`umount -l ${quote(point)}`);
        execFileSync('mount', ['--bind', volume.path, point]);
        try {
          const leave = (): void => void execFileSync('umount', ['-l', point]);
          const { status, stderr } = await changed('mkdir:2', leave, flags);
          expect(stderr).toContain(`${point} was mounted when the copy began, and is not any more`);
          expect([status, readdirSync(to)]).toEqual([1, []]);
        } finally {
          undo.forget();
        }
        expect(await copy([from, to, ...flags])).toMatchObject({ status: 0 });
      },
    );

    test.each([
      ['--delete', 'rename', 0],
      ['--atomic', 'mkdir:2', 1],
    ])(
      'behind a link that is followed, with %s: DEST keeps what it had of it',
      async (flag, call, wanted) => {
        rmSync(to, { recursive: true });
        mkdirSync(to);
        using volume = mountTmpfs({ size: '1m' });
        const point = join(volume.path, 'inner');
        for (const path of [volume.path, point]) {
          mkdirSync(path, { recursive: true });
          writeFileSync(join(path, 'precious'), 'precious');
        }
        // One link leads to the volume itself, another one to a folder of it.
        symlinkSync(volume.path, join(from, 'volume'));
        symlinkSync(point, join(from, 'd/inner'));
        const flags = [flag, '--dereference'];
        const { status: begun, stderr: said } = await copy([from, to, ...flags]);
        expect(begun, said).toBe(0);
        writeFileSync(join(from, 'd/a'), 'newer');
        const kept = ['volume/precious', 'volume/inner/precious', 'd/inner/precious'];
        const { status, stderr } = await changed(
          call,
          () => {
            execFileSync('umount', ['-l', volume.path]);
            mkdirSync(point, { recursive: true });
          },
          flags,
        );
        expect(status, stderr).toBe(wanted);
        expect(stderr).toContain('was mounted when the copy began, and is not any more');
        for (const path of kept) expect(existsSync(join(to, path)), path).toBe(true);
      },
    );
  });

  test('without end: what it is about stays, and is told of', async () => {
    const busy = spawn('python3', [
      '-c',
      `import os, sys
path = sys.argv[1] + '/busy'
while True:
    open(path, 'w').close(); os.unlink(path)`,
      join(from, 'e'),
    ]);
    try {
      // It changes between the look at a folder and its listing, each time.
      const prefix = underStrace('inject=getdents64:delay_enter=100000');
      const program = await startInitbox(['copy', from, to, '--delete'], { prefix });
      const { status, stderr } = await program.exit;
      expect(status, stderr).toBe(0);
      expect(stderr).toContain('sources changed during the copy, again and again');
      expect(existsSync(join(to, 'e/extra'))).toBe(true);
      expect(existsSync(join(to, 'extra'))).toBe(false);
    } finally {
      busy.kill('SIGKILL');
    }
  });

  test('nothing changes: what is only in DEST goes', async () => {
    const { status, stderr } = await changed('rename', () => undefined);
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain('changed meanwhile');
    expect(contentOf(to)).toEqual(contentOf(from));
    expect(existsSync(join(to, 'e/extra'))).toBe(false);
  });

  test('--atomic: readers keep the tree that they see', async () => {
    rmSync(to, { recursive: true });
    mkdirSync(to);
    const first = await (await startInitbox(['copy', from, to, '--atomic'])).exit;
    expect(first.status, first.stderr).toBe(0);
    writeFileSync(join(from, 'd/a'), 'newer');
    const { status, stderr } = await changed('mkdir:2', () => moveAll(from, away), ['--atomic']);
    expect(status, stderr).toBe(2);
    expect(stderr).toContain('--atomic would show none of it in');
    expect(existsSync(join(to, 'd/b'))).toBe(true);
  });

  test('--atomic: a folder that was away while its own was listed stays', async () => {
    rmSync(to, { recursive: true });
    mkdirSync(to);
    for (let at = 0; at < 300; at++) writeFileSync(join(from, `file-${at}`), 'file');
    const first = await copy([from, to, '--atomic']);
    expect(first.status, first.stderr).toBe(0);
    writeFileSync(join(from, 'file-0'), 'newer');
    renameSync(join(from, 'd'), join(away, 'd'));
    const { status, stderr } = await changed('link', () => renameSync(join(away, 'd'), join(from, 'd')), [
      '--atomic',
    ]);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('a source changed meanwhile: what it has now is copied');
    expect(existsSync(join(to, 'd/b'))).toBe(true);
  });
});

const noLimit = (): string | undefined => {
  using limit = limitMemory(96 << 20);
  return limit === undefined ? 'no control group can be made here' : canMount();
};

describe.skipIf(requireOrSkip('very many folders within 96 MiB', noLimit()))('--delete', () => {
  test('200,000 folders of a source are known again within 96 MiB', async () => {
    using volume = mountTmpfs({ size: '1g', options: 'nr_inodes=1000000' });
    const [from, to] = ['from', 'to'].map((name) => join(volume.path, name)) as [string, string];
    const make = `import os, sys
for top in sys.argv[1:]:
    for i in range(200):
        for j in range(1000): os.makedirs(f'{top}/directory-{i}/sub-directory-{j}')`;
    execFileSync('python3', ['-c', make, from, to]);
    mkdirSync(join(to, 'extra'));
    using limit = limitMemory(96 << 20)!;
    const { status, signal, stderr } = await copy([from, to, '--delete'], {
      prefix: limit.prefix,
      timeout: 500_000,
    });
    expect([status, signal], stderr).toEqual([0, null]);
    expect(existsSync(join(to, 'extra'))).toBe(false);
  }, 600_000);
});
