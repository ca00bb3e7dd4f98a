// Deadline, signals, a kill in the middle, a full volume, others who exchange names, and many entries.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { attackSeconds } from '../../../support/attack.ts';
import { whileExchanged } from '../../../support/exchange.ts';
import { killGroup, underStrace } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { canMountSlowly, mountSlowly } from '../../../support/slow-volume.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { files, manyEntries, modeOf, noVolumes, stateOf, volume } from './support.ts';

const noStrace = noVolumes || requireOrSkip('files, call by call', whyMissing('strace', 'strace'));
const noSlowVolumes = noVolumes || requireOrSkip('files on slow volumes', canMountSlowly());

/** Why no memory limit can be set, or undefined. */
function canLimit(): string | undefined {
  using limit = limitMemory(96 << 20);
  return limit === undefined ? 'no cgroup can be made' : undefined;
}

/** A removal in which each call takes its time. */
const slowly = underStrace('inject=?unlink,?unlinkat:delay_enter=2000');

describe.skipIf(noStrace)('a removal that is ended', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s: at once, and the next run does the rest',
    async (signal) => {
      using data = volume();
      manyEntries(join(data.path, 'old'), 20, 200);
      const running = await startInitbox(
        ['files', `mkdir:${data.path}/a`, `remove:${data.path}/old`, `touch:${data.path}/b`],
        { prefix: slowly },
      );
      const free = (): number => statfsSync(data.path).ffree;
      const before = free();
      await waitUntil(() => free() > before + 20, { interval: 5, what: 'the removal to begin' });
      // strace is the process that was started; it hands the signal on only to itself.
      process.kill(-(running.child.pid ?? 0), signal);
      const { status, stderr } = await within(promptly + 500, running.exit);
      expect(stderr).toMatch(new RegExp(`ended by ${signal}, while at remove:`));
      expect(stderr).toContain(`done before: made ${data.path}/a, removed ${data.path}/old (`);
      expect(stderr).toContain(`not tried: touch:${data.path}/b`);
      expect(status).toBe(signal === 'SIGTERM' ? 143 : 130);
      expect(existsSync(join(data.path, 'b'))).toBe(false);
      expect((await files([`remove:${data.path}/old`, `touch:${data.path}/b`])).status).toBe(0);
      expect(readdirSync(data.path).toSorted()).toEqual(['a', 'b']);
    },
  );

  test('by the deadline', async () => {
    using data = volume();
    manyEntries(join(data.path, 'old'), 20, 200);
    const { status, stderr } = await runToDeadline(['files', '--timeout', '1s', `remove:${data.path}/old`], {
      prefix: slowly,
      answered: (said) => /removed \S+old/.test(said),
    });
    expect(stderr).toMatch(/while at|removed \S+ \(/);
    expect(status).toBe(124);
  });

  test('by SIGKILL, again and again: the last run completes it', async () => {
    using data = volume();
    manyEntries(join(data.path, 'old'), 5, 100);
    for (let after = 60; after < 400; after += 80) {
      const running = await startInitbox(['files', `remove:${data.path}/old`], { prefix: slowly });
      await new Promise((resolve) => setTimeout(resolve, after));
      killGroup(running.child.pid ?? 0);
      await running.exit;
    }
    expect((await files([`remove:${data.path}/old`])).status).toBe(0);
    expect(readdirSync(data.path)).toEqual([]);
  });

  test('a link that is led elsewhere, killed before each of its calls: the old or the new one, and nothing beside it', async () => {
    using data = volume();
    const current = join(data.path, 'current');
    symlinkSync('v1', current);
    for (const call of ['symlink', 'rename']) {
      const { status } = await runInitbox(['files', `link:v2=${current}`], {
        prefix: underStrace(`inject=?${call},?${call}at:signal=SIGKILL`),
      });
      expect(status).not.toBe(0);
      expect(readlinkSync(current)).toBe(call === 'rename' ? readlinkSync(current) : 'v1');
    }
    expect((await files([`link:v2=${current}`])).status).toBe(0);
    expect([readlinkSync(current), readdirSync(data.path)]).toEqual(['v2', ['current']]);
  });
});

describe.skipIf(noVolumes)('a full volume', () => {
  test('is named, with what was done before', async () => {
    using data = volume('64k', 'nr_inodes=4');
    const list = [`mkdir:${data.path}/a/b`, `touch:${data.path}/c`, `link:x=${data.path}/d`];
    const { status, stderr } = await files(list);
    expect([status, stderr]).toEqual([1, expect.stringContaining('the volume is full (ENOSPC)')]);
    expect(stderr).toContain(`done before: made ${data.path}/a/b`);
    // There is room once something is removed.
    const again = await files([`remove:${data.path}/a`, ...list.slice(1)]);
    expect(again.status).toBe(0);
  });

  test('removing needs no room', async () => {
    using data = volume('64k');
    mkdirSync(join(data.path, 'old'));
    try {
      writeFileSync(join(data.path, 'old/full'), Buffer.alloc(1 << 20));
    } catch {
      // that is how it is filled
    }
    expect((await files([`remove:${data.path}/old`])).status).toBe(0);
  });
});

describe.skipIf(noVolumes)(`others who exchange names, for ${attackSeconds} s each`, () => {
  test.each([
    ['remove:', 'remove:VOLUME/victim'],
    ['remove: with a pattern', 'remove:VOLUME/victim/*'],
    ['mode:', 'mode:0777:VOLUME/victim/f'],
    ['mode: of the name itself', 'mode:0777:VOLUME/victim'],
    ['touch:', 'touch:VOLUME/victim/new'],
    ['mkdir:', 'mkdir:VOLUME/victim/new/er'],
    ['link:', 'link:x=VOLUME/victim/new'],
    ['move:', 'move:VOLUME/victim/f=VOLUME/victim/new'],
  ])(
    '%s never leads through a link to what is outside',
    async (_what, text) => {
      using data = volume();
      using outside = volume();
      for (const name of ['f', 'g', 'deep/f']) {
        mkdirSync(join(outside.path, 'deep'), { recursive: true });
        writeFileSync(join(outside.path, name), name, { mode: 0o600 });
      }
      symlinkSync(outside.path, join(data.path, 'planted'));
      const before = [...stateOf(outside.path), modeOf(outside.path)];
      let runs = 0;
      const swaps = await whileExchanged(data.path, ['victim', 'planted', 0], async () => {
        const until = performance.now() + attackSeconds * 1000;
        while (performance.now() < until || runs < 5) {
          execFileSync(
            'sh',
            [
              '-c',
              `mkdir -p "$1/made/deep" && touch "$1/made/f" "$1/made/deep/f" && mv -T "$1/made" "$1/victim"; true`,
              'sh',
              data.path,
            ],
            { stdio: 'ignore' },
          );
          const { status, stderr } = await files([text.replaceAll('VOLUME', data.path)]);
          expect([0, 1, 2], stderr).toContain(status);
          expect(stderr).not.toContain('unexpected error');
          expect([...stateOf(outside.path), modeOf(outside.path)]).toEqual(before);
          if (!existsSync(join(data.path, 'planted')) && !existsSync(join(data.path, 'victim')))
            symlinkSync(outside.path, join(data.path, 'planted'));
          runs++;
        }
      });
      expect(swaps + runs).toBeGreaterThan(0);
    },
    attackSeconds * 1000 + 120_000,
  );

  test(
    'below a tree that is removed, folders and links to what is outside',
    async () => {
      using data = volume();
      using outside = volume();
      mkdirSync(join(outside.path, 'deep'));
      for (const name of ['f', 'deep/f']) writeFileSync(join(outside.path, name), '');
      const before = stateOf(outside.path);
      let [runs, removed] = [0, 0];
      const until = performance.now() + attackSeconds * 1000;
      while (performance.now() < until || runs < 3) {
        const tree = join(data.path, 'tree');
        mkdirSync(tree, { recursive: true });
        for (let i = 0; i < 50; i++) {
          mkdirSync(join(tree, `a${i}/deep`), { recursive: true });
          writeFileSync(join(tree, `a${i}/deep/f`), '');
          if (!existsSync(join(tree, `b${i}`))) symlinkSync(outside.path, join(tree, `b${i}`));
        }
        await whileExchanged(tree, ['a', 'b', 50], async () => {
          const { status, stderr } = await files([`remove:${tree}`]);
          expect([0, 1], stderr).toContain(status);
          expect(stderr).not.toContain('unexpected error');
          if (status === 0) removed++;
        });
        expect(stateOf(outside.path)).toEqual(before);
        runs++;
        execFileSync('rm', ['-rf', tree]);
      }
      expect(runs + removed).toBeGreaterThan(2);
    },
    attackSeconds * 1000 + 120_000,
  );
});

describe.skipIf(noVolumes)('two runs at once', () => {
  test('end in the same state, again and again', async () => {
    using data = volume();
    for (let round = 0; round < 8; round++) {
      manyEntries(join(data.path, 'old'), 5, 40);
      if (round > 0) symlinkSync('other', join(data.path, `l${round}`));
      const list = [
        `remove:${data.path}/old`,
        `mkdir:${data.path}/d${round}/e`,
        `touch:${data.path}/d${round}/f`,
        `link:d${round}=${data.path}/l${round}`,
        `mode:0700:${data.path}/d${round}`,
      ];
      const both = await Promise.all([files(list), files(list)]);
      expect(
        both.map(({ status }) => status),
        both.map(({ stderr }) => stderr).join(''),
      ).toEqual([0, 0]);
      expect(readlinkSync(join(data.path, `l${round}`))).toBe(`d${round}`);
      expect(readdirSync(data.path).filter((name) => name.startsWith('..') || name === 'old')).toEqual([]);
    }
  });
});

const noLimit = noVolumes || requireOrSkip('files within a memory limit', canLimit());

describe.skipIf(noLimit)('many entries', () => {
  test('200,000 within 96 MiB', async () => {
    using data = volume('512m');
    manyEntries(join(data.path, 'old'), 2, 100_000);
    using limit = limitMemory(96 << 20);
    const { status, stderr } = await files([`remove:${data.path}/old/*`], { prefix: limit?.prefix ?? [] });
    expect([status, stderr]).toEqual([0, expect.stringContaining('(200,002 entries)')]);
    expect(readdirSync(join(data.path, 'old'))).toEqual([]);
  });
});

describe.skipIf(noSlowVolumes)('a slow volume', () => {
  test('has many calls under way at a time', async () => {
    const behind = temporaryDirectory('behind').path;
    manyEntries(join(behind, 'old'), 12, 50);
    await using slow = await mountSlowly({ delay: '3ms', behind });
    const { status } = await files([`remove:${slow.path}/old`, `mkdir:${slow.path}/new`]);
    expect([status, readdirSync(behind)]).toEqual([0, ['new']]);
    expect(await slow.stop()).toBeGreaterThanOrEqual(16);
  });

  test('whose server does not answer is named at the deadline', async () => {
    await using slow = await mountSlowly();
    process.kill(slow.pid, 'SIGSTOP');
    try {
      const { status, stderr } = await files(['--timeout', '2s', `touch:${slow.path}/f`]);
      expect([status, stderr]).toEqual([124, expect.stringContaining('does not answer')]);
    } finally {
      process.kill(slow.pid, 'SIGCONT');
    }
  });
});
