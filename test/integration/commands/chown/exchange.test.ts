import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { attackSeconds } from '../../../support/attack.ts';
import { whileExchanged } from '../../../support/exchange.ts';
import { underStrace } from '../../../support/faults.ts';
import { chown, folder, memoryFolder, modeOf, noStrace, notRoot, ownerOf } from './support.ts';

/** Seconds for each attack. */
const pairs = 100;

/** Held up in front of each call that looks like this, so that whoever exchanges names always comes in between. */
function slow(call: string, delay: 'delay_enter' | 'delay_exit', milliseconds = 50): readonly string[] {
  return underStrace(`inject=${call}:${delay}=${milliseconds * 1000}`);
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
    // By a name of its own, which nobody exchanges, it is given back after each round.
    const mine = join(outside, 'mine');
    writeFileSync(mine, '');
    linkSync(mine, join(outside, 'f1'));
    chownSync(mine, 5000, 5000);
    await whileExchanged(outside, ['f1', 'f2', 0], async () => {
      for (let round = 0; round < 10; round++) {
        await chown(['1000:1000', join(outside, 'f1'), '--from', '5000', ...flags], { prefix });
        expect(ownerOf(join(outside, 'key'))).toBe('0:0');
        expect(modeOf(join(outside, 'key'))).toBe('0600');
        chownSync(mine, 5000, 5000);
      }
    });
  });

  test('a folder of root’s, for one that --create makes: it stays as it is', async () => {
    const top = folder();
    mkdirSync(join(top, 'secret'), { mode: 0o700 });
    writeFileSync(join(top, 'secret/key'), '');
    // By what is opened, not by its name: that leads to either of the two while they are exchanged.
    const secret = openSync(join(top, 'secret'), 'r');
    onTestFinished(() => closeSync(secret));
    for (let round = 0; round < 8; round++) {
      await whileExchanged(top, ['new', 'secret', 0], async () => {
        const { stderr } = await chown(['1000:1000', join(top, 'new'), '--create'], {
          prefix: slow('mkdir', 'delay_exit'),
        });
        const { uid, mode } = fstatSync(secret);
        expect({ uid, mode: mode & 0o7777 }, stderr).toEqual({ uid: 0, mode: 0o700 });
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

describe.skipIf(notRoot)('set-ID bits of files whose owner or group changes', () => {
  const three = ['setpriv', '--bounding-set=-all,+chown,+fowner,+dac_override', '--inh-caps=-all'];
  const withoutFowner = ['setpriv', '--bounding-set=-fowner'];

  /** Modes of 1000's programs after the run, whatever they had. */
  async function left(
    args: (top: string) => readonly string[],
    prefix: readonly string[] = [],
  ): Promise<Record<string, string>> {
    const top = memoryFolder();
    const names = ['4755', '6755', '2755', '2745', '6644', '755'];
    for (const name of names) {
      writeFileSync(join(top, name), '');
      chownSync(join(top, name), 1000, 1000);
      chmodSync(join(top, name), Number.parseInt(name, 8));
    }
    chownSync(top, 1000, 1000);
    chmodSync(top, 0o755);
    for (let run = 1; run <= 2; run++) {
      const { status, stderr } = await chown(args(top), { prefix });
      expect(status, stderr).toBe(0);
    }
    return Object.fromEntries(names.map((name) => [name, modeOf(join(top, name))]));
  }

  const plain = {
    '4755': '0755',
    '6755': '0755',
    '2755': '0755',
    '2745': '0745',
    '6644': '0644',
    '755': '0755',
  };

  test.each([
    ['another group', '1000:2000', []],
    ['both', '0:0', []],
    ['the group alone', ':0', []],
    ['another user', '0', []],
    ['with --from', '0:0', ['--from', '1000:1000']],
    ['with three capabilities', '0:0', []],
    ['another user, with three capabilities', '2000', []],
  ])('go: %s', async (what, owner, flags) => {
    const prefix = what.includes('capabilities') ? three : [];
    expect(await left((top) => [owner, top, ...flags], prefix)).toEqual(plain);
  });

  test.each([
    ['another group', '1000:2000', []],
    ['both', '0:0', []],
    ['with three capabilities', '1000:2000', three],
    ['both, with three capabilities', '0:0', three],
  ])('never come together with a mode that adds execute: %s', async (_what, owner, prefix) => {
    const modes = Object.values(await left((top) => [owner, top, '--file-mode', 'a+x'], prefix));
    expect(modes).toEqual(['0755', '0755', '0755', '0755', '0755', '0755']);
  });

  test('set-group-ID without group execute goes where the mode adds that, and the owner is right', async () => {
    expect(await left((top) => ['1000:1000', top, '--file-mode', 'g+x'])).toEqual({
      '4755': '4755',
      '6755': '6755',
      '2755': '2755',
      '2745': '0755',
      '6644': '4654',
      '755': '0755',
    });
  });

  test('a file from which the bit cannot be taken keeps its owner', async () => {
    const top = memoryFolder();
    writeFileSync(join(top, 'who'), '');
    chownSync(join(top, 'who'), 1000, 1000);
    chmodSync(join(top, 'who'), 0o2745);
    const { status, stderr } = await chown(['0:0', top], { prefix: withoutFowner });
    expect(status).toBe(1);
    expect(stderr).toContain('CAP_FOWNER is missing');
    expect([ownerOf(join(top, 'who')), modeOf(join(top, 'who'))]).toEqual(['1000:1000', '2745']);
  });

  test('a path that is a single file', async () => {
    const file = join(memoryFolder(), 'who');
    writeFileSync(file, '');
    chownSync(file, 1000, 1000);
    chmodSync(file, 0o2745);
    expect(await chown(['0:0', file])).toMatchObject({ status: 0 });
    expect(modeOf(file)).toBe('0745');
  });

  test.skipIf(noStrace)('the bit goes before the owner changes', async () => {
    const top = memoryFolder();
    writeFileSync(join(top, 'who'), '');
    chownSync(join(top, 'who'), 1000, 1000);
    chmodSync(join(top, 'who'), 0o2745);
    const log = join(folder(), 'calls');
    await chown(['0:0', top, '--file-mode', 'g+rwX'], {
      prefix: ['strace', '-f', '-qq', '-o', log, '-e', 'trace=chmod,fchmod,fchmodat,chown,lchown,fchown'],
    });
    const calls = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('/proc/self/fd/'))
      .map((line) => line.replace(/^\d+\s+(\w+)\("[^"]*", (.*)\)\s+=.*/, '$1 $2'));
    expect(calls.slice(0, 3)).toEqual(['chmod 0745', 'chown 0, 0', 'chmod 0775']);
  });
});
