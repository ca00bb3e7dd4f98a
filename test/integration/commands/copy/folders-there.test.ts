// Folders that are in DEST already, with --owner and --mode: whoever may rename in DEST has given one of somebody else's
// the name of a folder that is copied, and a volume with fsGroup is as the kubelet made it.
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { requireOrSkip } from '../../../support/tools.ts';
import { copy, folder, leftovers, stamps } from './support.ts';

const root = process.getuid?.() === 0;

function seen(path: string): string {
  const { uid, gid, mode } = lstatSync(path);
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
}

function give(path: string, uid: number, gid: number, mode: number): void {
  chownSync(path, uid, gid);
  chmodSync(path, mode);
}

describe.skipIf(requireOrSkip('folders of other users', root ? undefined : 'changing owners needs root'))(
  'folders that are in DEST already',
  () => {
    let from: string;
    let to: string;
    beforeEach(() => {
      [from, to] = [folder(), folder()];
      mkdirSync(join(from, 'd/deep'), { recursive: true });
      writeFileSync(join(from, 'd/f'), 'new');
      writeFileSync(join(from, 'd/deep/f'), 'new');
      mkdirSync(join(to, 'd/deep'), { recursive: true });
      writeFileSync(join(to, 'd/secret'), 'secret');
      give(join(to, 'd/deep'), 0, 2000, 0o2775);
      give(join(to, 'd'), 33, 33, 0o700);
      give(to, 1000, 2000, 0o2775);
    });
    const asTheyWere = ['1000:2000 2775', '33:33 700', '0:2000 2775'];
    const folders = () => [to, join(to, 'd'), join(to, 'd/deep')].map(seen);

    const capabilities = (...names: readonly string[]) => ({
      prefix: ['setpriv', '--inh-caps=-all', `--bounding-set=-all,+${names.join(',+')}`, '--'],
    });
    const few = capabilities('chown', 'dac_override');

    describe.each([
      ['--owner', ['--owner', '1000:1000']],
      ['--mode', ['--mode', 'u=rwX,g=rX,o=rX']],
      ['an octal --mode', ['--mode', '0640']],
      ['both', ['--owner', '1000:1000', '--mode', '0640']],
    ])('%s', (_what, flags) => {
      test('keep owner and mode; the next copy finds all as it is to be', async () => {
        for (const expected of ['2 copied', '0 copied']) {
          const { status, stderr } = await copy([from, to, ...flags], few);
          expect(status, stderr).toBe(0);
          expect(stderr).toContain(expected);
          expect(folders()).toEqual(asTheyWere);
        }
        expect(readFileSync(join(to, 'd/deep/f'), 'utf8')).toBe('new');
      });

      test('a copy that fails has touched nothing', async () => {
        const before = stamps(to);
        symlinkSync('nowhere', join(from, 'z'));
        expect(await copy([from, to, ...flags, '--dereference'])).toMatchObject({ status: 1 });
        expect(stamps(to)).toBe(before);
        expect(folders()).toEqual(asTheyWere);
        expect(leftovers(to)).toEqual([]);
      });

      test('--dry-run counts files alone', async () => {
        const { stdout } = await copy([from, to, ...flags, '--dry-run']);
        expect(JSON.parse(stdout)).toMatchObject({ copied: 2, right: 2 });
      });

      test('one file alone: the folder that it goes into stays', async () => {
        expect(await copy([join(from, 'd/f'), join(to, 'd/'), ...flags])).toMatchObject({ status: 0 });
        expect(folders()).toEqual(asTheyWere);
      });
    });

    test('new ones get what was asked for, and the next run with few capabilities ends well', async () => {
      rmSync(join(to, 'd'), { recursive: true });
      const flags = ['--owner', '1000:1000', '--mode', '0640'];
      for (const expected of ['4 copied', '0 copied']) {
        const { status, stderr } = await copy([from, to, ...flags], few);
        expect(status, stderr).toBe(0);
        expect(stderr).toContain(expected);
        expect(folders()).toEqual([asTheyWere[0], '1000:1000 750', '1000:1000 750']);
      }
      writeFileSync(join(from, 'd/f'), 'newer still');
      expect(await copy([from, to, ...flags], few)).toMatchObject({ status: 0 });
      expect(readFileSync(join(to, 'd/f'), 'utf8')).toBe('newer still');
    });

    test('without root: one that may not be written to, and inherits its group, goes on handing that on', async () => {
      chmodSync(to, 0o2777);
      rmSync(join(to, 'd'), { recursive: true });
      chmodSync(join(from, 'd'), 0o555);
      const user = { uid: 1234, gid: 2000 };
      for (let run = 0; run < 2; run++) {
        const { status, stderr } = await copy([from, to], { user });
        expect(status, stderr).toBe(0);
        expect(seen(join(to, 'd'))).toBe('1234:2000 2555');
      }
      // As a run that was killed leaves it: it made it, and was to close it at the end.
      chmodSync(join(to, 'd'), 0o2755);
      expect(await copy([from, to], { user })).toMatchObject({ status: 0 });
      expect(seen(join(to, 'd'))).toBe('1234:2000 2555');
    });

    test('--atomic: the new tree has the mode and the owner, also where nothing else has changed', async () => {
      const target = folder();
      const made = join(target, 'd/deep');
      for (const [flags, expected] of [
        [[], '0:0 755'],
        [['--mode', 'u=rwX,g=rX,o='], '0:0 750'],
        [['--mode', 'u=rwX,g=rX,o=', '--owner', '1000:1000'], '1000:1000 750'],
      ] as const) {
        chmodSync(join(from, 'd/deep/f'), 0o640);
        chmodSync(join(from, 'd/f'), 0o640);
        for (const again of [false, true]) {
          const { status, stderr } = await copy([from, target, '--atomic', ...flags]);
          expect(status, stderr).toBe(0);
          expect(stderr.includes('0 copied')).toBe(again);
          expect(seen(made)).toBe(expected);
        }
      }
      chmodSync(join(from, 'd/deep'), 0o700);
      expect(await copy([from, target, '--atomic'])).toMatchObject({ status: 0 });
      expect(seen(made)).toBe('0:0 700');
    });

    test('in a user namespace without the owner, a copy again with --mode finds nothing to do', async () => {
      const options = { unshare: ['--user', '--map-root-user'] };
      for (const path of ['d/deep/f', 'd/deep', 'd/f', 'd']) chownSync(join(from, path), 1234, 1234);
      const target = folder();
      const flags = ['--mode', 'u=rwX,g=rX,o='];
      expect(await copy([from, target, ...flags], options)).toMatchObject({ status: 0 });
      const { status, stderr } = await copy([from, target, ...flags], options);
      expect(status, stderr).toBe(0);
      expect(stderr).toContain('0 copied');
    });
  },
);
