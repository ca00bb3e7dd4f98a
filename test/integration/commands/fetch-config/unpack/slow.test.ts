// A volume on which each call takes long: a kernel that is held up by strace(1).
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount, liveDescendants, mountTmpfs, underStrace } from '../../../../support/faults.ts';
import { runInitbox, startInitbox } from '../../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';
import { waitUntil } from '../../../../support/wait-until.ts';

const slow = underStrace('trace=openat,unlink', 'inject=openat,unlink:delay_enter=1000');

/** Folders of files, some links, and a file that is not kept in memory. */
function tree(): string {
  const { path } = temporaryDirectory('tree');
  for (let folder = 0; folder < 12; folder++) {
    const at = join(path, `app/${folder % 3}/d${folder}`);
    mkdirSync(at, { recursive: true, mode: 0o750 });
    for (let file = 0; file < 20; file++)
      writeFileSync(join(at, `f${file}`), `${folder} ${file}`.repeat(file));
    symlinkSync('f1', join(at, 'link'));
    linkSync(join(at, 'f2'), join(at, 'same'));
  }
  writeFileSync(join(path, 'app/large'), Buffer.alloc(700_000, 'large'));
  return path;
}

function pack(from: string, ...names: readonly string[]): string {
  const file = join(temporaryDirectory('archive').path, 'a.tar.gz');
  execFileSync('tar', ['czf', file, '-C', from, ...names]);
  return file;
}

/** Everything below a folder with what `ls` tells of it, and what it holds. */
function everything(path: string): string {
  const list = execFileSync('find', ['.', '-not', '-type', 'd', '-printf', '%P %y %m %n %s %T@ %l\n'], {
    cwd: path,
    encoding: 'utf8',
  });
  // An archive keeps whole seconds.
  return list
    .replace(/(\d{10})\.\d+/g, '$1')
    .split('\n')
    .toSorted()
    .join('\n');
}

const unpack = (archive: string, to: string, ...flags: readonly string[]) =>
  ['fetch-config', `file:${archive}`, '--unpack', '--to', to, ...flags] as const;

describe.skipIf(requireOrSkip('calls that take long', whyMissing('strace', 'strace')))(
  'onto a slow volume',
  () => {
    test('several folders at once, and what comes out is what went in; again, and anew', async () => {
      const from = tree();
      const archive = pack(from, 'app');
      const { path: to } = temporaryDirectory('target');
      const { path: logs } = temporaryDirectory('log');
      const log = join(logs, 'log');
      const prefix = [...slow];
      prefix[prefix.indexOf('/dev/null')] = log;
      const first = await runInitbox(unpack(archive, to), { prefix });
      expect(first.status, first.stderr).toBe(0);
      expect(everything(join(to, 'app/'))).toBe(everything(join(from, 'app')));
      expect(execFileSync('diff', ['-r', join(from, 'app'), join(to, 'app')], { encoding: 'utf8' })).toBe('');
      // By more than one thread: strace tells whose call each is.
      const makers = readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.includes('O_EXCL'))
        .map((line) => line.split(' ', 1)[0]);
      expect(new Set(makers).size).toBeGreaterThan(2);
      const again = await runInitbox(unpack(archive, to), { prefix: slow });
      expect(again.stderr).toContain('holds already');
      const anew = await runInitbox(unpack(archive, to, '--mode', '0640'), { prefix: slow });
      expect(anew.status, anew.stderr).toBe(0);
      expect(readdirSync(to).filter((name) => name.startsWith('..initbox'))).toHaveLength(1);
    });

    test.each([
      ['two entries of one name', ['late/f1'], 'late/f1'],
      ['a link and a file of one name', ['late/link'], 'late/link'],
    ])('%s, the first of them not made yet', async (_what, names, shown) => {
      const from = tree();
      mkdirSync(join(from, 'late'));
      for (let file = 0; file < 30; file++) writeFileSync(join(from, `late/f${file}`), 'x');
      symlinkSync('f1', join(from, 'late/link'));
      const plain = join(temporaryDirectory('archive').path, 'a.tar');
      execFileSync('tar', ['cf', plain, '-C', from, 'app', 'late']);
      execFileSync('tar', ['rf', plain, '-C', from, ...names]);
      const { path: to } = temporaryDirectory('target');
      const { status, stderr } = await runInitbox(unpack(plain, to), { prefix: slow });
      expect(stderr).toContain(`two entries of the name "${shown}"`);
      expect(status).toBe(69);
      expect(readdirSync(to)).toEqual([]);
    });

    test.skipIf(requireOrSkip('a volume without inodes', canMount()))('no inodes in the middle', async () => {
      const archive = pack(tree(), 'app');
      using volume = mountTmpfs({ size: '16m', options: 'nr_inodes=150' });
      const { status, stderr } = await runInitbox(unpack(archive, volume.path), { prefix: slow });
      expect(stderr).toContain('the volume is full (ENOSPC)');
      expect(status).toBe(1);
      expect(readdirSync(volume.path)).toEqual([]);
    });

    test('SIGTERM in the middle: nothing is written any more; what is not removed in time, the next run removes', async () => {
      const from = tree();
      const archive = pack(from, 'app');
      const { path: to } = temporaryDirectory('target');
      const slower = underStrace('trace=openat', 'inject=openat:delay_enter=50000');
      const running = await startInitbox(unpack(archive, to), { prefix: slower });
      const made = (): number =>
        execFileSync('find', [to, '-name', 'f*'], { encoding: 'utf8' }).split('\n').length;
      await waitUntil(() => made() > 60);
      // strace keeps what is sent to itself.
      for (const { pid } of liveDescendants(running.pid)) process.kill(pid, 'SIGTERM');
      expect((await running.exit).stderr).toContain('SIGTERM');
      const left = made();
      const again = await runInitbox(unpack(archive, to));
      expect(again.status, again.stderr).toBe(0);
      expect(left).toBeLessThanOrEqual(made());
      expect(readdirSync(to).toSorted()).toEqual(['..data', expect.stringMatching(/^\.\.initbox_/), 'app']);
    });
  },
);
