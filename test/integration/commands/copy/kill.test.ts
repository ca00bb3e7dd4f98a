import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount, groupGone, killGroup, mountTmpfs, underStrace } from '../../../support/faults.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { everythingIsRequired, requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote, undoAtDeath } from '../../../support/undo.ts';
import { memoryFolder } from './support.ts';

/** Kills for each way, each at a time when it is at work: few while developing, many where everything must hold. */
const kills = Number(process.env['INITBOX_TEST_KILLS'] ?? (everythingIsRequired() ? 100 : 30));

const sizes = Array.from({ length: 120 }, (_, index) => 10 + index * index * 5);
const large = 5 << 20;

/** Files of one letter each, in folders, and a large one. */
function fillTree(top: string, letter: string): void {
  for (const [index, size] of sizes.entries()) {
    const folder = join(top, `d${index % 7}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${index}`), letter.repeat(size));
  }
  writeFileSync(join(top, 'large'), letter.repeat(large));
}

/** The letters of all files that a reader sees; each must be whole. */
function lettersIn(top: string): Set<string> {
  const letters = new Set<string>();
  const look = (path: string, size: number): void => {
    if (!existsSync(path)) return;
    const bytes = readFileSync(path);
    const letter = bytes.toString('latin1', 0, 1);
    expect(bytes.length, path).toBe(size);
    // Every byte is the first one.
    expect(bytes.equals(Buffer.alloc(size, letter)), `${path} is of ${letter} alone`).toBe(true);
    letters.add(letter);
  };
  for (const [index, size] of sizes.entries()) look(join(top, `d${index % 7}/f${index}`), size);
  look(join(top, 'large'), large);
  return letters;
}

function countFiles(top: string): number {
  return sizes.filter((_, index) => existsSync(join(top, `d${index % 7}/f${index}`))).length;
}

interface Way {
  readonly args: (from: string, to: string, letter: string) => readonly string[];
  /** Whether a reader must see one version of all files. */
  readonly whole: boolean;
  /** What an end that was right leaves beside the files. */
  readonly leaves: RegExp;
}

const ways: Readonly<Record<string, Way>> = {
  copy: { args: (from, to) => ['copy', from, to], whole: false, leaves: /^(d\d|large)$/ },
  'copy --delete': {
    args: (from, to) => ['copy', from, to, '--delete'],
    whole: false,
    leaves: /^(d\d|large)$/,
  },
  'copy --atomic': {
    args: (from, to) => ['copy', from, to, '--atomic'],
    whole: true,
    leaves: /^(d\d|large|\.\.data|\.\.initbox_\S+)$/,
  },
  'fetch-config --unpack': {
    args: (from, to, letter) => ['fetch-config', `file:${from}/../${letter}.tar.gz`, '--unpack', '--to', to],
    whole: true,
    leaves: /^(d\d|large|\.\.data|\.\.initbox_\S+)$/,
  },
};

describe('kill -9 at random', () => {
  test.each(Object.keys(ways))(
    `%s: ${kills} times, no reader sees half a file, and a rerun ends right`,
    async (name) => {
      const { args, whole, leaves } = ways[name] as Way;
      const above = memoryFolder();
      const to = memoryFolder();
      const sources: Record<string, string> = {};
      for (const letter of ['a', 'b']) {
        const from = (sources[letter] = join(above, letter));
        mkdirSync(from);
        fillTree(from, letter);
        execFileSync('tar', ['czf', join(above, `${letter}.tar.gz`), '-C', from, '.']);
      }
      // What is killed before it has read its arguments shows nothing.
      let started = (await runInitbox(['version'])).milliseconds * 0.8;
      let usual = (await runInitbox(args(sources['b'] ?? '', to, 'b'))).milliseconds;
      let [killed, rounds, torn, letter] = [0, 0, 0, 'a'];
      const seen = new Set<string>();
      for (; killed < kills; rounds++) {
        const program = await startInitbox(args(sources[letter] ?? '', to, letter));
        const delay = started + Math.random() * Math.max(usual * 1.1 - started, 10);
        const timer = setTimeout(() => killGroup(program.pid), delay);
        const { status, milliseconds } = await program.exit;
        clearTimeout(timer);
        // The machine is as fast as it was the last time, and not as it was at first.
        if (status !== null) [started, usual] = [Math.min(started, milliseconds / 2), milliseconds];
        else if (++killed % 10 !== 0) usual *= 1.01;
        else started = (await runInitbox(['version'])).milliseconds * 0.8;
        await groupGone(program.pid);
        const letters = lettersIn(to);
        if (whole) expect(letters.size).toBe(1);
        if (letters.size > 1) torn++;
        expect(countFiles(to)).toBe(sizes.length);
        for (const one of letters) seen.add(one);
        if (rounds % 4 === 3) {
          const last = await runInitbox(args(sources[letter] ?? '', to, letter));
          expect(last.status, last.stderr).toBe(0);
          expect([...lettersIn(to)]).toEqual([letter]);
          const names = readdirSync(to);
          expect(names.filter((entry) => !leaves.test(entry))).toEqual([]);
          expect(names.filter((entry) => entry.startsWith('..initbox_')).length).toBeLessThanOrEqual(1);
        } else if (status === null) {
          continue;
        }
        // A further run with what is there already would end before it could be killed.
        letter = letter === 'a' ? 'b' : 'a';
      }
      expect(statSync(join(to, 'large')).size).toBe(large);
      expect([...seen].toSorted()).toEqual(['a', 'b']);
      console.log(`${name}: ${killed} kills in ${rounds} runs, ${torn} of them between two renames`);
    },
    kills * 4000 + 120_000,
  );

  const noStrace = requireOrSkip('an end among the renames', whyMissing('strace', 'strace'));
  test.skipIf(noStrace)(
    '--if-empty: a copy that was cut off among its renames is not taken for a whole one',
    async () => {
      const [from, to] = [memoryFolder(), memoryFolder()];
      fillTree(from, 'a');
      const prefix = underStrace('inject=rename,renameat2:signal=KILL:when=4');
      expect((await runInitbox(['copy', from, to, '--if-empty'], { prefix })).status).not.toBe(0);
      expect(countFiles(to)).toBeGreaterThan(0);
      expect(countFiles(to)).toBeLessThan(sizes.length);
      const first = await runInitbox(['copy', from, to, '--if-empty']);
      expect(first).toMatchObject({ status: 0 });
      expect(countFiles(to)).toBe(sizes.length);
      expect(readdirSync(to).filter((name) => name.startsWith('..'))).toEqual([]);
      const again = await runInitbox(['copy', from, to, '--if-empty']);
      expect(again.stderr).toContain('is not empty, so nothing was copied');
    },
  );

  test.skipIf(noStrace).each([
    ['a signal', 'signal=SIGTERM:when=700', 143],
    ['an error of the volume', 'error=EIO:when=700', 1],
  ])(
    '--if-empty: %s among the renames is not taken for the end of a whole copy',
    async (_what, fault, end) => {
      const [from, to] = [memoryFolder(), memoryFolder()];
      for (let i = 0; i < 2000; i++) writeFileSync(join(from, `f${i}`), 'x');
      const prefix = underStrace(`inject=link:${fault}`);
      const first = await runInitbox(['copy', from, to, '--if-empty'], { prefix });
      expect(first.status, first.stderr).toBe(end);
      const shown = readdirSync(to).filter((name) => name.startsWith('f')).length;
      expect(shown).toBeGreaterThan(600);
      expect(shown).toBeLessThan(2000);
      const second = await runInitbox(['copy', from, to, '--if-empty']);
      expect(second.stderr).toContain(`${(2000 - shown).toLocaleString('en')} copied`);
      expect(readdirSync(to)).toHaveLength(2000);
      const third = await runInitbox(['copy', from, to, '--if-empty']);
      expect(third.stderr).toContain('is not empty, so nothing was copied');
    },
  );

  const noMount = noStrace || requireOrSkip('a volume below DEST', canMount());
  test
    .skipIf(noMount)
    .each(
      ['mkdir', 'rmdir', 'write', 'fchmod', 'rename', 'unlink'].flatMap((call) =>
        [1, 2, 3, 4, 5, 6].map((when): [string, number] => [call, when]),
      ),
    )('killed at its %s of number %i: the next run ends right, and nothing is left', async (call, when) => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    mkdirSync(join(from, 'mounted'));
    mkdirSync(join(to, 'mounted'));
    for (const name of ['f', 'mounted/g']) writeFileSync(join(from, name), name);
    // Owned by another, so that the copy looks whether the volume keeps owners.
    chownSync(join(from, 'f'), 1234, 1234);
    using volume = mountTmpfs({ size: '4m' });
    execFileSync('mount', ['--bind', volume.path, join(to, 'mounted')]);
    const undo = undoAtDeath(`umount -l ${quote(join(to, 'mounted'))}`);
    try {
      const prefix = underStrace(`inject=${call}:signal=KILL:when=${when}`);
      await runInitbox(['copy', from, to], { prefix });
      const again = await runInitbox(['copy', from, to]);
      expect(again.status, again.stderr).toBe(0);
      for (const name of ['f', 'mounted/g']) expect(readFileSync(join(to, name), 'utf8')).toBe(name);
      for (const folder of [to, volume.path])
        expect(readdirSync(folder).filter((name) => name.startsWith('..'))).toEqual([]);
    } finally {
      execFileSync('umount', ['-l', join(to, 'mounted')]);
      undo.forget();
    }
  });

  test('--if-empty: killed at random, it ends whole', async () => {
    const [from, to] = [memoryFolder(), memoryFolder()];
    fillTree(from, 'a');
    for (let i = 0; i < 15; i++) {
      const program = await startInitbox(['copy', from, to, '--if-empty']);
      const timer = setTimeout(() => killGroup(program.pid), 30 + Math.random() * 150);
      const { status } = await program.exit;
      clearTimeout(timer);
      await groupGone(program.pid);
      lettersIn(to);
      if (status !== 0) continue;
      expect(countFiles(to)).toBe(sizes.length);
      execFileSync('find', [to, '-mindepth', '1', '-delete']);
    }
    expect(await runInitbox(['copy', from, to, '--if-empty'])).toMatchObject({ status: 0 });
    expect(countFiles(to)).toBe(sizes.length);
  });
});
