// A folder with `..data` in it as a source: keys alone, as the kubelet makes it, or keys and other entries.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { expect, describe, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { copy, folder } from './support.ts';

/** A volume into which fetch-config put the key `conf`, and somebody else a file, a folder and links. */
async function mixedVolume(top = folder()): Promise<string> {
  const fetched = folder();
  writeFileSync(join(fetched, 'conf'), 'c');
  const { status, stderr } = await runInitbox([
    'fetch-config',
    `file:${fetched}`,
    '--format',
    'files',
    '--allow-disk',
    '--to',
    top,
  ]);
  expect(status, stderr).toBe(0);
  writeFileSync(join(top, 'app.db'), 'db');
  mkdirSync(join(top, 'up/deep'), { recursive: true });
  writeFileSync(join(top, 'up/deep/f'), 'f');
  symlinkSync('app.db', join(top, 'link'));
  return top;
}

const everything = ['app.db', 'conf', 'link', 'up', 'up/deep', 'up/deep/f'];

/** Every path that readers of a folder see: with --atomic, through the links at the top. */
function seen(top: string): string[] {
  return execFileSync(
    'find',
    ['-L', '.', '-mindepth', '1', '-name', '..*', '-prune', '-o', '-printf', '%P\\n'],
    {
      cwd: top,
      encoding: 'utf8',
    },
  )
    .split('\n')
    .filter((path) => path !== '')
    .toSorted();
}

describe('a folder with keys and other entries', () => {
  for (const flags of [[], ['--delete'], ['--dereference'], ['--dereference', '--delete'], ['--atomic']]) {
    test(`all of it is copied, keys as their content: ${flags.join(' ') || 'no options'}`, async () => {
      const [from, to] = [await mixedVolume(), folder()];
      if (flags.includes('--delete')) {
        for (const name of ['app.db', 'old']) writeFileSync(join(to, name), 'old');
        mkdirSync(join(to, 'up/gone'), { recursive: true });
      }
      for (const counts of ['', '0 copied']) {
        const { status, stderr } = await copy([from, to, ...flags]);
        expect(status, stderr).toBe(0);
        if (!flags.includes('--dereference')) expect(stderr).toContain(counts);
        expect(seen(to)).toEqual(everything);
        expect(readFileSync(join(to, 'conf'), 'utf8')).toBe('c');
        expect(readFileSync(join(to, 'app.db'), 'utf8')).toBe('db');
      }
      if (flags.includes('--atomic')) return;
      expect(lstatSync(join(to, 'conf')).isFile()).toBe(true);
      expect(lstatSync(join(to, 'link')).isSymbolicLink()).toBe(!flags.includes('--dereference'));
      expect(readdirSync(to).filter((name) => name.startsWith('..'))).toEqual([]);
    });
  }

  test('one other entry is enough: a link elsewhere, a file with the name of a version, a folder without a key', async () => {
    for (const [add, name] of [
      [(at: string) => symlinkSync('..data/conf', at), 'alias'],
      [(at: string) => symlinkSync('/etc/hostname', at), 'host'],
      [(at: string) => writeFileSync(at, 'n'), '..2026_11_22_10_00_00.1'],
      [(at: string) => mkdirSync(at), '..backup'],
      [(at: string) => mkdirSync(at), '..2026_backup'],
    ] as const) {
      const [volume, to] = [folder(), folder()];
      mkdirSync(join(volume, '..2026_11_22_10_00_00.7'));
      writeFileSync(join(volume, '..2026_11_22_10_00_00.7/conf'), 'c');
      symlinkSync('..2026_11_22_10_00_00.7', join(volume, '..data'));
      symlinkSync('..data/conf', join(volume, 'conf'));
      add(join(volume, name));
      const { status, stderr } = await copy([volume, to]);
      expect(status, stderr).toBe(0);
      expect(readdirSync(to).toSorted(), name).toEqual(['conf', name].toSorted());
    }
  });

  test('what an earlier run left of a volume in DEST goes with --delete', async () => {
    const [from, to] = [await mixedVolume(), folder()];
    symlinkSync('nowhere', join(to, '..data'));
    expect(await copy([from, to, '--delete'])).toMatchObject({ status: 0 });
    expect(existsSync(join(to, 'app.db'))).toBe(true);
    expect(readdirSync(to)).not.toContain('..data');
  });
});

describe("initbox's own notes are not copied", () => {
  for (const flags of [[], ['--dereference'], ['--atomic']]) {
    test(`of an unpacked archive, the source or below one: ${flags.join(' ') || 'no options'}`, async () => {
      const [packed, above] = [folder(), folder()];
      mkdirSync(join(packed, 'site/css'), { recursive: true });
      writeFileSync(join(packed, 'site/index.html'), 'i');
      writeFileSync(join(packed, 'site/css/a.css'), 'a');
      chmodSync(join(packed, 'site/css'), 0o755);
      execFileSync('tar', ['-czf', join(packed, 'site.tar.gz'), '-C', join(packed, 'site'), '.']);
      const volume = join(above, 'volume');
      mkdirSync(volume);
      const { status, stderr } = await runInitbox([
        'fetch-config',
        `file:${join(packed, 'site.tar.gz')}`,
        '--unpack',
        '--to',
        volume,
      ]);
      expect(status, stderr).toBe(0);
      for (const [source, prefix] of [
        [volume, ''],
        [above, 'volume'],
        [join(volume, '..data/.'), ''],
      ] as const) {
        const to = folder();
        const copied = await copy([source, to, ...flags]);
        expect(copied.status, copied.stderr).toBe(0);
        expect(seen(join(to, prefix))).toEqual(['css', 'css/a.css', 'index.html']);
        const notes = execFileSync('find', [to, '-name', '..initbox*.json'], { encoding: 'utf8' });
        // With --atomic the published tree has the one that says so.
        expect(notes.split('\n').filter(Boolean)).toHaveLength(flags.includes('--atomic') ? 1 : 0);
      }
    });
  }
});
