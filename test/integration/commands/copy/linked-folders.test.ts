// A directory behind a link that is followed: it gets what a directory of a source gets.
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { dropTo, serverAccount } from '../../../support/unprivileged.ts';
import { copy, folder } from './support.ts';

const root = process.getuid?.() === 0;
const modeOf = (path: string): number => statSync(path).mode & 0o7777;

/** `real` and `real/sub`, and links to both, and to an empty folder. */
function linkedTree(): { readonly from: string; readonly to: string } {
  const [from, to] = [folder(), folder()];
  const outside = folder();
  for (const name of ['real/sub', 'empty']) mkdirSync(join(outside, name), { recursive: true });
  writeFileSync(join(outside, 'real/sub/f'), 'f');
  symlinkSync('sub', join(outside, 'real/inner'));
  chmodSync(join(outside, 'real'), 0o755);
  chmodSync(join(outside, 'real/sub'), 0o2775);
  chmodSync(join(outside, 'empty'), 0o1777);
  if (root) chownSync(join(outside, 'real'), 1234, 2345);
  symlinkSync(join(outside, 'real'), join(from, 'link'));
  symlinkSync(join(outside, 'empty'), join(from, 'none'));
  return { from, to };
}

describe('--dereference', () => {
  test('a new directory has the mode and the owner of the one behind the link', async () => {
    const { from, to } = linkedTree();
    for (const flags of [[], ['--delete']]) {
      const { status, stderr } = await copy([from, to, '-L', ...flags]);
      expect(status, stderr).toBe(0);
      expect(modeOf(join(to, 'link')).toString(8)).toBe('755');
      expect(modeOf(join(to, 'link/inner')).toString(8)).toBe('2775');
      expect(modeOf(join(to, 'none')).toString(8)).toBe('1777');
      if (root) expect(statSync(join(to, 'link'))).toMatchObject({ uid: 1234, gid: 2345 });
    }
  });

  test('--atomic: the same, and again nothing moves', async () => {
    const { from, to } = linkedTree();
    for (let run = 0; run < 2; run++) {
      const { status, stderr } = await copy([from, to, '-L', '--atomic']);
      expect(status, stderr).toBe(0);
      expect(modeOf(join(to, 'link')).toString(8)).toBe('755');
      expect(modeOf(join(to, 'link/inner')).toString(8)).toBe('2775');
      if (run > 0) expect(stderr).toContain('0 copied');
    }
  });

  test.skipIf(!root)(
    '--mode and --owner hold for a new one; one that is there keeps what it has',
    async () => {
      const { from, to } = linkedTree();
      expect(await copy([from, to, '-L'])).toMatchObject({ status: 0 });
      const options = ['-L', '--mode', 'u=rwX,g=rX,o=', '--owner', '77:88'];
      const paths = ['link', 'link/inner', 'none'];
      const attributes = (top: string) =>
        paths.map((path) => {
          const { uid, gid } = statSync(join(top, path));
          return `${uid}:${gid} ${(modeOf(join(top, path)) & 0o777).toString(8)}`;
        });
      const before = attributes(to);
      const made = folder();
      for (const target of [to, made]) {
        const { status, stderr } = await copy([from, target, ...options]);
        expect(status, stderr).toBe(0);
      }
      expect(attributes(made)).toEqual(paths.map(() => '77:88 750'));
      expect(attributes(to)).toEqual(before);
    },
  );

  test.each(['700', '711'])(
    'one that is there with mode %s keeps it, also where root made it',
    async (mode) => {
      const { from, to } = linkedTree();
      expect(await copy([from, to, '-L'])).toMatchObject({ status: 0 });
      const attributes = (): string => {
        const { uid, gid } = statSync(join(to, 'link'));
        return `${uid}:${gid} ${modeOf(join(to, 'link')).toString(8)}`;
      };
      if (root) chownSync(join(to, 'link'), 0, 0);
      chmodSync(join(to, 'link'), Number.parseInt(mode, 8));
      const before = attributes();
      const dry = await copy([from, to, '-L', '--dry-run']);
      expect(JSON.parse(dry.stdout)).toMatchObject({ copied: 0 });
      expect(await copy([from, to, '-L'])).toMatchObject({ status: 0 });
      expect(attributes()).toBe(before);
    },
  );

  test.skipIf(!root)(
    'without root: one that its owner may not write to is filled, and closed at the end',
    async () => {
      const { from, to } = linkedTree();
      const outside = folder();
      mkdirSync(join(outside, 'tight'));
      writeFileSync(join(outside, 'tight/f'), 'f');
      chmodSync(join(outside, 'tight'), 0o555);
      symlinkSync(join(outside, 'tight'), join(from, 'tight'));
      for (let run = 0; run < 2; run++) {
        const { status, stderr } = await copy([from, to, '-L'], { prefix: dropTo(serverAccount()) });
        expect(status, stderr).toBe(0);
        expect(modeOf(join(to, 'tight')).toString(8)).toBe('555');
        expect(modeOf(join(to, 'link')).toString(8)).toBe('755');
      }
    },
  );
});

test('a directory that a key of a ConfigMap leads to has its mode', async () => {
  const [above, to] = [folder(), folder()];
  mkdirSync(join(above, 'etc/..v1/sub'), { recursive: true });
  writeFileSync(join(above, 'etc/..v1/sub/f'), 'f');
  chmodSync(join(above, 'etc/..v1/sub'), 0o775);
  symlinkSync('..v1', join(above, 'etc/..data'));
  symlinkSync('..data/sub', join(above, 'etc/sub'));
  expect(await copy([above, to])).toMatchObject({ status: 0 });
  expect(modeOf(join(to, 'etc/sub')).toString(8)).toBe('775');
});
