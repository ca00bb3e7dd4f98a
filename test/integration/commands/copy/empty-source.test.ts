// With --delete, a source of which nothing would be copied: more likely a volume that is not mounted.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount, mounting } from '../../../support/faults.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { contentOf, copy, memoryFolder } from './support.ts';

const file = (path: string): void => writeFileSync(path, 'x');
const folder = (path: string): void => void mkdirSync(path, { recursive: true });
const fifo = (path: string): void => void execFileSync('mkfifo', [path]);

type Case = readonly [string, (source: string) => void | Promise<void>, readonly string[], string];
const refused: readonly Case[] = [
  ['nothing', () => {}, [], 'is empty, and'],
  ['lost+found', (at) => folder(join(at, 'lost+found')), [], 'only lost+found'],
  [
    'what a killed copy left',
    (at) => {
      folder(join(at, '..initbox-copy_a'));
      file(join(at, '..initbox-copy_a/f'));
    },
    [],
    'only what initbox itself keeps there',
  ],
  ['a tree that nobody saw', (at) => folder(join(at, '..initbox_a/sub')), [], 'only what initbox itself'],
  ["initbox's own note", (at) => file(join(at, '..initbox.json')), [], 'only what initbox itself'],
  [
    'a link of a tree that never came',
    (at) => symlinkSync('..data/f', join(at, 'f')),
    [],
    'only what initbox',
  ],
  ['a FIFO', (at) => fifo(join(at, 'f')), [], 'only FIFOs, sockets or devices'],
  [
    'a socket',
    async (at) => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(join(at, 's'), resolve));
      server.unref();
    },
    [],
    'only FIFOs, sockets or devices',
  ],
  ['what is excluded', (at) => file(join(at, 'a.log')), ['--exclude', '*.log'], 'only what --exclude names'],
  [
    'several of these',
    (at) => {
      folder(join(at, 'lost+found'));
      folder(join(at, 'cache/x'));
      fifo(join(at, 'f'));
    },
    ['--exclude', '/cache'],
    'only ',
  ],
];

describe('--delete', () => {
  test.each(refused)('a source with %s: is refused, and DEST stays', async (_, fill, flags, why) => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    file(join(to, 'data'));
    await fill(from);
    for (const more of [[], ['--dry-run']]) {
      const { status, stderr } = await copy([from, to, '--delete', ...flags, ...more]);
      expect(stderr).toContain(why);
      expect(stderr).toContain(`and --delete would remove all of ${to}; is its volume mounted?`);
      expect(status).toBe(2);
      expect(readFileSync(join(to, 'data'), 'utf8')).toBe('x');
    }
  });

  test('one such source beside another one is refused too', async () => {
    const [from, empty, to] = [memoryFolder(), memoryFolder(), memoryFolder()];
    file(join(from, 'f'));
    folder(join(empty, 'lost+found'));
    file(join(to, 'data'));
    expect(await copy([from, empty, to, '--delete'])).toMatchObject({ status: 2 });
    expect(readFileSync(join(to, 'data'), 'utf8')).toBe('x');
  });

  test.skipIf(requireOrSkip('a mount that is skipped', canMount()))(
    'a source with a mount alone is refused with --one-file-system, and copied without',
    async () => {
      const [from, to] = [memoryFolder(), memoryFolder()];
      folder(join(from, 'm'));
      file(join(to, 'data'));
      const prefix = mounting(`mount -t tmpfs none ${join(from, 'm')}; echo f >${join(from, 'm/f')}`);
      const skipped = await copy([from, to, '--delete', '--one-file-system'], { prefix });
      expect(skipped.stderr).toContain('only a mount, which --one-file-system skips');
      expect(skipped.status).toBe(2);
      expect(readFileSync(join(to, 'data'), 'utf8')).toBe('x');
      expect(await copy([from, to, '--delete'], { prefix })).toMatchObject({ status: 0 });
      expect(contentOf(to).some((line) => line.startsWith('m/f '))).toBe(true);
    },
  );

  test.each<readonly [string, (source: string) => void]>([
    ['an empty folder', (at) => folder(join(at, 'sub'))],
    ['a file beside lost+found', (at) => (folder(join(at, 'lost+found')), file(join(at, '.keep')))],
    ['a link', (at) => symlinkSync('nowhere', join(at, 'l'))],
  ])('a source with %s is one', async (_, fill) => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    file(join(to, 'data'));
    fill(from);
    const { status, stderr } = await copy([from, to, '--delete']);
    expect(status, stderr).toBe(0);
    expect(contentOf(to)).toEqual(contentOf(from));
  });
});
