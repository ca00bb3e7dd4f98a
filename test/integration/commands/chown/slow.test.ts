// Volumes on which each call takes long: many are under way at a time there, and all else is as it is elsewhere.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { whileExchanged } from '../../../support/exchange.ts';
import { freeze, mounting, thaw, underStrace } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { canMountSlowly, mountSlowly } from '../../../support/slow-volume.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { quote } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import {
  chown,
  folder,
  memoryFolder,
  modeOf,
  noStrace,
  notRoot,
  ownerOf,
  owners,
  wideTree,
} from './support.ts';

const noSlowVolumes = notRoot || requireOrSkip('slow volumes', canMountSlowly());

/** Entries after which a walk knows that a volume is slow, and some more. */
const enough = 40;

/** Some files and a folder of many, for a listing that takes 30 s at 2 ms for each name. */
function longListing(): string {
  const top = folder();
  for (let i = 0; i < enough; i++) writeFileSync(join(top, `f${i}`), '');
  return wideTree(top, 1, 15_000);
}

/** How many entries are 1000's by now. */
function changed(top: string): number {
  return owners(top)['1000:1000'] ?? 0;
}

describe.skipIf(noSlowVolumes)('chown on a slow volume', () => {
  test('has many calls under way at a time, and gives everything its owner, first and again', async () => {
    await using volume = await mountSlowly({ delay: '3ms', behind: wideTree(folder(), 12, 50) });
    symlinkSync('/etc', join(volume.behind, 'link'));
    const first = await chown(['1000:2000', volume.path]);
    expect(first.stderr).toContain('614 entries, 614 changed to 1000:2000, 0 right already');
    expect(owners(volume.behind)).toEqual({ '1000:2000': 614 });
    expect(ownerOf('/etc')).toBe('0:0');
    const again = await chown(['1000:2000', volume.path]);
    expect(again.stderr).toContain('614 entries, 0 changed to 1000:2000, 614 right already');
    expect(await volume.stop()).toBeGreaterThanOrEqual(32);
  });

  test('modes and set-ID bits, --exclude, --from: the same as elsewhere', async () => {
    const [slow, quick] = [await mountSlowly(), folder()];
    await using volume = slow;
    for (const top of [volume.behind, quick]) {
      wideTree(top, 3, enough);
      for (const [name, uid, mode] of [
        ['keep', 0, 0o644],
        ['sgid', 5, 0o2640],
        ['both', 0, 0o6755],
        ['other', 7, 0o600],
      ] as const) {
        const path = join(top, 'd00002', name);
        writeFileSync(path, '');
        chownSync(path, uid, uid);
        chmodSync(path, mode);
      }
    }
    const looks = (top: string) =>
      execFileSync('find', [top, '-mindepth', '1', '-printf', '%P %U:%G %m\n'], { encoding: 'utf8' })
        .split('\n')
        .toSorted();
    for (const flags of [
      ['100:100', '--exclude', 'keep'],
      ['200:200', '--file-mode', 'u=rw,g=r', '--dir-mode', '2750'],
      ['300:300', '--from', '200', '--mode', 'a+rX'],
    ]) {
      const [a, b] = [await chown([...flags, volume.path]), await chown([...flags, quick])];
      expect([a.status, a.stderr], b.stderr).toEqual([0, expect.stringContaining('changed')]);
      const counts = (text: string) => /entries, .*(?=, in )/.exec(text)?.[0];
      expect(counts(a.stderr)).toBe(counts(b.stderr));
      expect(looks(volume.behind)).toEqual(looks(quick));
    }
    expect(await volume.stop()).toBeGreaterThan(8);
  });

  test('a directory is changed after all that is in it, where no capability opens those of others', async () => {
    await using volume = await mountSlowly();
    const top = wideTree(volume.behind, 4, enough);
    for (let i = 0; i < 4; i++) {
      mkdirSync(join(top, `deep${i}/a/b/c`), { recursive: true });
      writeFileSync(join(top, `deep${i}/a/b/c/f`), '');
    }
    execFileSync('find', [top, '-type', 'd', '-exec', 'chmod', '700', '{}', '+']);
    const { status, stderr } = await chown(['1000:1000', volume.path], {
      prefix: ['setpriv', '--bounding-set', '-all,+chown', '--inh-caps', '-all'],
    });
    expect(status, stderr).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': 4 * enough + 4 + 4 * 5 + 1 });
  });

  test('deeper than directories may be open at once', async () => {
    await using volume = await mountSlowly({ delay: '500us' });
    const levels = 200;
    execFileSync('python3', [
      '-c',
      `import os
os.chdir(${JSON.stringify(volume.behind)})
for j in range(${enough}): open(f"f{j}", "w").close()
for i in range(${levels}):
    os.mkdir("d"); os.chdir("d"); open("f", "w").close()`,
    ]);
    const { status, stderr } = await chown(['1000:1000', volume.path]);
    expect(status, stderr).toBe(0);
    expect(owners(volume.behind)).toEqual({ '1000:1000': enough + 2 * levels + 1 });
  });

  test('what is mounted below is not entered', async () => {
    await using volume = await mountSlowly();
    wideTree(volume.behind, 4, enough);
    const other = folder();
    writeFileSync(join(other, 'key'), '');
    mkdirSync(join(volume.behind, 'd00002/in'));
    const { status, stderr } = await chown(['1000:1000', volume.path], {
      prefix: mounting(
        `mount --bind ${quote(other)} ${quote(join(volume.path, 'd00002/in'))}; mount --bind ${quote(join(other, 'key'))} ${quote(join(volume.path, 'd00001/f00001'))}; mount --bind ${quote(volume.path)} ${quote(join(volume.path, 'd00003'))}`,
      ),
    });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('3 mounts not entered');
    expect(owners(other)).toEqual({ '0:0': 2 });
  });

  test.each([
    ['where calls are quick', '0'],
    ['where they are not', '2ms'],
  ])('SIGTERM while a listing takes half a minute, %s', async (_where, delay) => {
    await using volume = await mountSlowly({ delay, listing: '2ms', behind: longListing() });
    const running = await startInitbox(['chown', '1000:1000', volume.path]);
    await waitUntil(() => changed(volume.behind) >= enough, { what: 'the top to be done' });
    running.kill('SIGTERM');
    const { status, stderr } = await within(promptly, running.exit);
    expect(status, stderr).toBe(143);
  });

  test('--timeout while a listing takes half a minute', async () => {
    await using volume = await mountSlowly({ delay: '0', listing: '2ms', behind: longListing() });
    const { status, stderr } = await within(10_000, chown(['1000:1000', volume.path, '--timeout', '3s']));
    expect(status, stderr).toBe(124);
  });

  test('SIGTERM while the volume answers nothing any more', async () => {
    await using volume = await mountSlowly({ delay: '20ms', behind: wideTree(folder(), 10, 150) });
    const running = await startInitbox(['chown', '1000:1000', volume.path]);
    await waitUntil(() => changed(volume.behind) > 200, { what: 'the walk under way' });
    await freeze(volume.pid);
    try {
      running.kill('SIGTERM');
      // The kernel itself lets no process end before such a server has answered (request_wait_answer in fs/fuse/dev.c).
      await within(promptly, running.waitForStderr(/ended by SIGTERM/));
    } finally {
      thaw(volume.pid);
    }
    expect((await running.exit).status).toBe(143);
    const { status, stderr } = await chown(['1000:1000', volume.path]);
    expect(status, stderr).toBe(0);
    expect(owners(volume.behind)).toEqual({ '1000:1000': 1511 });
  });

  test('the command that follows sees nothing of the number of threads', async () => {
    await using volume = await mountSlowly({ behind: wideTree(folder(), 2, enough) });
    for (const given of [undefined, '3']) {
      const { status, stdout, stderr } = await runInitbox(
        ['chown', '1000:1000', volume.path, '--', 'sh', '-c', 'echo "<${UV_THREADPOOL_SIZE-none}>"'],
        given === undefined ? {} : { env: { UV_THREADPOOL_SIZE: given } },
      );
      expect(status, stderr).toBe(0);
      expect(stdout).toBe(`<${given ?? 'none'}>\n`);
    }
  });

  test('ends within 96 MiB', async () => {
    using limit = limitMemory(96 << 20);
    await using volume = await mountSlowly({ delay: '100us', behind: wideTree(folder(), 50, 100) });
    const { status, stderr } = await chown(['1000:1000', volume.path], { prefix: limit?.prefix ?? [] });
    expect(status, stderr).toBe(0);
    expect(owners(volume.behind)).toEqual({ '1000:1000': 5051 });
  });
});

describe.skipIf(noStrace)('calls that take long in memory, while names are exchanged', () => {
  // As a slow volume is; a server of slow ones would itself follow the names that are exchanged below it.
  const prefix = underStrace('inject=statx,lchown,chown:delay_enter=500');

  test('folders that are exchanged for links lead nowhere else', async () => {
    const [top, outside] = [wideTree(memoryFolder(), 2, enough), memoryFolder()];
    for (let i = 0; i < enough; i++) {
      for (const [base, name] of [
        [outside, 'd'],
        [top, 'a'],
      ] as const) {
        mkdirSync(join(base, `${name}${i}`));
        writeFileSync(join(base, `${name}${i}`, 'f'), '');
      }
      symlinkSync(join(outside, `d${i}`), join(top, `b${i}`));
    }
    const exchanges = await whileExchanged(top, ['a', 'b', enough], async () => {
      for (let round = 0; round < 8; round++) {
        const { status, stderr } = await chown([`${1000 + round}:1000`, top, '--mode', 'a+rX'], { prefix });
        expect([0, 1], stderr).toContain(status);
        expect(owners(outside)).toEqual({ '0:0': 2 * enough + 1 });
      }
    });
    expect(exchanges).toBeGreaterThan(1000);
  });

  test('hard links to what belongs to others: --from judges what is changed, whatever its name leads to', async () => {
    const outside = memoryFolder();
    const top = join(outside, 'volume');
    mkdirSync(top);
    for (let i = 0; i < enough; i++) {
      for (const [kind, name] of [
        ['key', 'b'],
        ['mine', 'a'],
      ] as const) {
        writeFileSync(join(outside, `${kind}${i}`), '', { mode: 0o600 });
        linkSync(join(outside, `${kind}${i}`), join(top, `${name}${i}`));
      }
    }
    const exchanges = await whileExchanged(top, ['a', 'b', enough], async () => {
      for (let uid = 5000; uid < 5008; uid++) {
        for (let i = 0; i < enough; i++) chownSync(join(outside, `mine${i}`), uid, uid);
        chownSync(top, uid, uid);
        const { status, stderr } = await chown(
          [`${uid + 1}:${uid + 1}`, top, '--from', String(uid), '--file-mode', 'a+r'],
          { prefix },
        );
        expect([0, 1], stderr).toContain(status);
        for (let i = 0; i < enough; i++) {
          expect(ownerOf(join(outside, `key${i}`))).toBe('0:0');
          expect(modeOf(join(outside, `key${i}`))).toBe('0600');
        }
      }
    });
    expect(exchanges).toBeGreaterThan(1000);
  });
});
