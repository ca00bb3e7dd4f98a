// Sources that change while they are copied, where what they have not goes in DEST: a neighbour's deploy, a volume that goes.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, underStrace, waitUntil } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { type ProgramResult, startInitbox } from '../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { contentOf, copy, leftovers, memoryFolder } from './support.ts';

const skip = requireOrSkip(
  'sources that change',
  process.getuid?.() === 0 ? whyMissing('strace', 'strace') : 'strace needs root here',
);

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
  ): Promise<ProgramResult> {
    const [name, which = '1'] = call.split(':');
    const prefix = underStrace(`inject=${name}:delay_enter=2500000:when=${which}`);
    const program = await startInitbox(['copy', from, to, ...flags], { prefix });
    await waitUntil(() => leftovers(to).length > 0, { timeout: 60_000, what: 'the copy to stand still' });
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

  test('a folder of it goes, for good: it goes in DEST, and nothing else does', async () => {
    const { status, stderr } = await changed('rename', () =>
      rmSync(join(from, 'e/deep'), { recursive: true }),
    );
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('a source changed meanwhile: what it has now is copied');
    expect(contentOf(to)).toEqual(contentOf(from));
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
    const { status, signal, stderr } = await copy([from, to, '--delete'], { prefix: limit.prefix });
    expect([status, signal], stderr).toEqual([0, null]);
    expect(existsSync(join(to, 'extra'))).toBe(false);
  }, 240_000);
});
