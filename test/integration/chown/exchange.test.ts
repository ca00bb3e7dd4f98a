import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { whileExchanged } from '../../support/exchange.ts';
import { everythingIsRequired } from '../../support/tools.ts';
import { chown, folder, memoryFolder, modeOf, noStrace, ownerOf } from './support.ts';

/** Seconds for each attack. */
const attackSeconds = Number(process.env['INITBOX_TEST_ATTACK'] ?? (everythingIsRequired() ? 15 : 3));
const pairs = 100;

/** Held up in front of each call that looks like this, so that whoever exchanges names always comes in between. */
function slow(call: string, delay: 'delay_enter' | 'delay_exit', milliseconds = 50): readonly string[] {
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${call}:${delay}=${milliseconds * 1000}`];
}

describe.skipIf(noStrace)(`names that somebody exchanges below the path, for ${attackSeconds} s`, () => {
  test.each([
    ['the owner alone', []],
    ['the mode too', ['--file-mode', 'a+r', '--dir-mode', 'a+rx']],
  ])(
    '--from changes nothing that belongs to others: %s',
    async (_what, flags) => {
      const outside = memoryFolder();
      const top = join(outside, 'volume');
      mkdirSync(top);
      for (let i = 0; i < pairs; i++) {
        writeFileSync(join(outside, `key${i}`), '', { mode: 0o600 });
        linkSync(join(outside, `key${i}`), join(top, `b${i}`));
        writeFileSync(join(outside, `mine${i}`), '', { mode: 0o644 });
        linkSync(join(outside, `mine${i}`), join(top, `a${i}`));
      }
      chownSync(top, 5000, 5000);
      const state = () =>
        execFileSync('find', [outside, '-name', 'key*', '-printf', '%f %U:%G %m\n'], { encoding: 'utf8' })
          .split('\n')
          .toSorted();
      const before = state();
      const wrong: string[] = [];
      let changed = 0;
      const exchanges = await whileExchanged(top, ['a', 'b', pairs], async () => {
        const until = performance.now() + attackSeconds * 1000;
        for (let uid = 5000; performance.now() < until || uid < 5004; uid++) {
          // His own are to be changed in each round, and are never root's.
          for (let i = 0; i < pairs; i++) chownSync(join(outside, `mine${i}`), uid, uid);
          const { status, stderr } = await chown(
            [`${uid + 1}:${uid + 1}`, top, '--from', String(uid), ...flags],
            {
              prefix: slow('lchown,chown', 'delay_enter', 1),
            },
          );
          expect([0, 1], stderr).toContain(status);
          changed += Number(/, ([\d,]+) changed/.exec(stderr)?.[1]?.replaceAll(',', '') ?? 0);
          wrong.push(...state().filter((line) => !before.includes(line)));
        }
      });
      expect(wrong).toEqual([]);
      expect(exchanges).toBeGreaterThan(1000);
      expect(changed).toBeGreaterThan(100);
    },
    attackSeconds * 1000 + 60_000,
  );
});

describe.skipIf(noStrace)('what is put in the place of what was looked at', () => {
  test.each([
    ['the owner alone', [], slow('lchown,chown', 'delay_enter')],
    ['the mode too', ['--mode', 'a+r'], slow('statx', 'delay_exit', 20)],
  ])('a single file, with --from: %s', async (_what, flags, prefix) => {
    const outside = folder();
    writeFileSync(join(outside, 'key'), '', { mode: 0o600 });
    linkSync(join(outside, 'key'), join(outside, 'f2'));
    writeFileSync(join(outside, 'f1'), '');
    chownSync(join(outside, 'f1'), 5000, 5000);
    await whileExchanged(outside, ['f1', 'f2', 0], async () => {
      for (let round = 0; round < 10; round++) {
        await chown(['1000:1000', join(outside, 'f1'), '--from', '5000', ...flags], { prefix });
        expect(ownerOf(join(outside, 'key'))).toBe('0:0');
        expect(modeOf(join(outside, 'key'))).toBe('0600');
        for (const name of ['f1', 'f2'])
          if (lstatSync(join(outside, name)).uid === 1000) chownSync(join(outside, name), 5000, 5000);
      }
    });
  });

  test('a folder of root’s, for one that --create makes: it stays as it is', async () => {
    const top = folder();
    mkdirSync(join(top, 'secret'), { mode: 0o700 });
    writeFileSync(join(top, 'secret/key'), '');
    const { ino } = lstatSync(join(top, 'secret'));
    for (let round = 0; round < 8; round++) {
      await whileExchanged(top, ['new', 'secret', 0], async () => {
        const { stderr } = await chown(['1000:1000', join(top, 'new'), '--create'], {
          prefix: slow('mkdir', 'delay_exit'),
        });
        const found = execFileSync('find', [top, '-inum', String(ino), '-printf', '%U %m\n'], {
          encoding: 'utf8',
        });
        expect(found, stderr).toMatch(/^(0 700\n)+$/);
      });
      const made = existsSync(join(top, 'new/key')) ? 'secret' : 'new';
      rmSync(join(top, made), { recursive: true, force: true });
      if (made === 'secret') renameSync(join(top, 'new'), join(top, 'secret'));
    }
  });

  test('a link gets the owner itself, with --from too', async () => {
    const [top, outside] = [folder(), folder()];
    writeFileSync(join(outside, 'f'), '');
    symlinkSync(join(outside, 'f'), join(top, 'link'));
    execFileSync('chown', ['-h', '5000:5000', join(top, 'link')]);
    expect(await chown(['1000:1000', top, '--from', '5000:5000', '--mode', 'a+r'])).toMatchObject({
      status: 0,
    });
    expect(ownerOf(join(top, 'link'))).toBe('1000:1000');
    expect(ownerOf(join(outside, 'f'))).toBe('0:0');
  });
});
