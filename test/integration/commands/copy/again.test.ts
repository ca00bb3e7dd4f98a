import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { underStrace } from '../../../support/faults.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { projectDirectory, requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { contentOf, copy, folder, leftovers, memoryFolder, stamps } from './support.ts';

const root = process.getuid?.() === 0;
const noStrace = requireOrSkip('calls on closed descriptors', whyMissing('strace', 'strace'));

/** A DEST that is a file must work on the first restart and on each one after it. */
describe('a file that becomes DEST', () => {
  let from: string;
  let to: string;

  beforeAll(() => {
    [from, to] = [folder(), memoryFolder()];
    writeFileSync(join(from, 'app.conf'), 'one');
    writeFileSync(join(from, 'large'), Buffer.alloc(5 << 20, 'l'));
  });

  test.each([
    ['a small one', 'app.conf', []],
    ['a small one, --no-clobber', 'app.conf', ['--no-clobber']],
    ['a small one, --checksum', 'app.conf', ['--checksum']],
    ['a small one, --mode', 'app.conf', ['--mode', '0640']],
    ['a large one', 'large', []],
    ['a large one, --checksum', 'large', ['--checksum']],
    ['a small one, --dry-run', 'app.conf', ['--dry-run']],
  ])('%s: again and again', async (what, name, flags) => {
    const target = join(to, what.replaceAll(' ', '-'), 'deep/file');
    for (let run = 0; run < 3; run++) {
      const { status, stderr } = await copy([join(from, name), target, ...flags]);
      expect(status, stderr).toBe(0);
      expect(stderr).not.toContain('suppressed');
      if (flags.includes('--dry-run')) continue;
      expect(stderr).toContain(
        run === 0 ? '1 copied' : flags.includes('--no-clobber') ? '1 kept' : '1 unchanged',
      );
      expect(readFileSync(target).equals(readFileSync(join(from, name)))).toBe(true);
    }
  });

  test('what changed is copied; --no-clobber leaves it', async () => {
    const [source, target] = [join(from, 'changes'), join(to, 'changes')];
    writeFileSync(source, 'one');
    await copy([source, target]);
    writeFileSync(source, 'three');
    expect(await copy([source, target, '-n'])).toMatchObject({ status: 0 });
    expect(readFileSync(target, 'utf8')).toBe('one');
    expect(await copy([source, target])).toMatchObject({ status: 0 });
    expect(readFileSync(target, 'utf8')).toBe('three');
    expect(leftovers(to)).toEqual([]);
  });

  test('what cannot be: one clear sentence', async () => {
    linkSync(join(from, 'app.conf'), join(from, 'hard'));
    symlinkSync('app.conf', join(from, 'link'));
    const source = join(from, 'app.conf');
    for (const [words, message] of [
      [[source, source], `${source} and ${source} are the same file`],
      [[source, join(from, '../', from.split('/').at(-1) as string, 'app.conf')], 'are the same file'],
      [[join(from, 'link'), source], 'are the same file'],
      [[source, join(from, 'hard')], 'are the same file'],
      [[source, from], 'are the same file'],
      [[source, `${source}/`], 'ends in a slash and is a file'],
      [[source, source, '--if-empty'], 'are the same file'],
      [[source, join(from, 'large'), '--atomic'], '--atomic applies to directories'],
      [[from, source], 'is a file and'],
    ] as const) {
      const { status, stderr } = await copy(words);
      expect(stderr).toContain(message);
      expect(status, stderr).toBe(2);
      expect(stderr).not.toContain('suppressed');
    }
    expect(readFileSync(source, 'utf8')).toBe('one');
  });
});

/** The key of a ConfigMap that becomes something else while it is copied: the reason is told, whatever is closed then. */
test.skipIf(noStrace)('a source that turns into what is no source, during the copy: says so', async () => {
  const [from, to] = [memoryFolder(), memoryFolder()];
  mkdirSync(join(from, '..1'));
  mkdirSync(join(from, '..2'));
  writeFileSync(join(from, '..1/key'), Buffer.alloc(5 << 20, 'k'));
  execFileSync('mkfifo', [join(from, '..2/key')]);
  symlinkSync('..1', join(from, '..data'));
  symlinkSync('..data/key', join(from, 'key'));
  const slow = 'inject=copy_file_range:delay_enter=1500000:when=1';
  const prefix = underStrace(slow);
  const program = await startInitbox(['copy', join(from, 'key'), join(to, 'key')], { prefix });
  const deadline = performance.now() + 10_000;
  while (leftovers(to).length === 0 && performance.now() < deadline)
    await new Promise((r) => setTimeout(r, 2));
  symlinkSync('..2', join(from, '..next'));
  renameSync(join(from, '..next'), join(from, '..data'));
  const { status, stderr } = await program.exit;
  expect(stderr).toContain('is neither a file nor a directory');
  expect(status).toBe(2);
  expect(leftovers(to)).toEqual([]);
});

describe.skipIf(noStrace || !root)('no descriptor is used after it is closed', () => {
  test.each([
    ['copy, a file over a file', (top: string) => ['copy', `${top}/a/f`, `${top}/out/f`]],
    ['copy, the same file', (top: string) => ['copy', `${top}/a/f`, `${top}/a/f`]],
    ['copy, a tree', (top: string) => ['copy', `${top}/a`, `${top}/out/tree`, '--delete']],
    ['copy, at once', (top: string) => ['copy', `${top}/a`, `${top}/out/atomic`, '--atomic']],
    ['copy, a link in the way', (top: string) => ['copy', `${top}/a`, `${top}/link/x`]],
    ['chown', (top: string) => ['chown', '1000:1000', `${top}/a`, '--mode', 'u=rwX']],
    ['chown, one file', (top: string) => ['chown', '1000:1000', `${top}/a/f`, '--from', '0:0']],
    ['chown, made', (top: string) => ['chown', '1000:1000', `${top}/out/made/deep`, '--create']],
    ['fetch-config, one file', (top: string) => ['fetch-config', `file:${top}/a/f`, '--to', `${top}/out/g`]],
    [
      'fetch-config, unpacked',
      (top: string) => ['fetch-config', `file:${top}/a.tar`, '--unpack', '--to', `${top}/out/site`],
    ],
    ['render', (top: string) => ['render', `${top}/a/f`, '--to', `${top}/out/h`]],
    ['install', (top: string) => ['install', `${top}/out/runtime`]],
  ])('%s, twice', async (_what, words) => {
    const top = memoryFolder();
    for (const name of ['a', 'out']) mkdirSync(join(top, name));
    for (const name of ['f', 'g']) writeFileSync(join(top, 'a', name), name);
    symlinkSync(join(top, 'a'), join(top, 'link'));
    execFileSync('tar', ['-cf', join(top, 'a.tar'), '-C', join(top, 'a'), '.']);
    for (let run = 0; run < 2; run++) {
      const trace = join(top, 'trace');
      const prefix = ['strace', '-f', '-qq', '-e', 'trace=file,desc', '-e', 'status=failed', '-o', trace];
      const { stderr } = await runInitbox(words(top), { prefix });
      // Node tries out every number at its start, so as to leave none of its own to a successor.
      const bad = readFileSync(trace, 'latin1')
        .split('\n')
        .filter((line) => line.includes('EBADF') && !/fcntl\(\d+, F_SETFD|ioctl\(\d+, FIOCLEX/.test(line));
      expect(bad, stderr).toEqual([]);
      expect(stderr).not.toContain('suppressed');
    }
  });
});

/** Command lines of a page, one for each line that begins with the program's name. */
function linesOf(page: string, command: string): string[] {
  const text = readFileSync(join(projectDirectory, 'docs', page), 'utf8');
  const found = [...text.matchAll(new RegExp(`(?:^|\`)(initbox ${command} [^\`\\n]*)`, 'gm'))];
  return [...new Set(found.map(([, line = '']) => line))];
}

/** The words of a line, with its absolute paths below a folder. */
function wordsBelow(top: string, line: string): string[] {
  return line
    .split(' ')
    .slice(1)
    .map((word) => word.replaceAll(/^["']|["']$/g, ''))
    .map((word) => (word.startsWith('/') ? top + word : word));
}

describe.skipIf(!root)('each line of the pages, twice', () => {
  test.each(linesOf('copy.md', 'copy'))('%s', async (line) => {
    const top = memoryFolder();
    const words = wordsBelow(top, line);
    const paths = words.filter((word) => word.startsWith(top));
    for (const source of paths.slice(0, -1)) {
      mkdirSync(dirname(source), { recursive: true });
      if (/\.conf$|\/agent$/.test(source)) writeFileSync(source, source);
      else {
        mkdirSync(join(source, 'sub'), { recursive: true });
        writeFileSync(join(source, 'sub/f'), source);
      }
    }
    mkdirSync(dirname(paths.at(-1) as string), { recursive: true });
    const first = await runInitbox(words);
    expect(first.status, first.stderr).toBe(0);
    const found = contentOf(top);
    const files = () => stamps(top, '-type', 'f');
    const before = files();
    const second = await runInitbox(words);
    expect(second.status, second.stderr).toBe(0);
    expect(contentOf(top)).toEqual(found);
    expect(files()).toBe(before);
  });

  test.each(linesOf('chown.md', 'chown'))('%s', async (line) => {
    const top = memoryFolder();
    const words = wordsBelow(top, line);
    for (const path of ['data/sub', 'shared/lost+found', 'etc/app'])
      mkdirSync(join(top, path), { recursive: true });
    writeFileSync(join(top, 'data/sub/f'), '');
    chownSync(join(top, 'etc/app'), 1000, 1000);
    writeFileSync(join(top, 'server'), '#!/bin/sh\n');
    chmodSync(join(top, 'server'), 0o755);
    const first = await runInitbox(words, { cwd: top });
    expect(first.status, first.stderr).toBe(0);
    const before = stamps(top);
    const second = await runInitbox(words, { cwd: top });
    expect(second.status, second.stderr).toBe(0);
    expect(stamps(top)).toBe(before);
    expect(lstatSync(join(top, 'server')).uid).toBe(0);
    rmSync(top, { recursive: true });
  });
});

describe('the second run finds all right', () => {
  test('where two sources have a file of one name, large or small, or a link: the later one stays', async () => {
    const [one, two, to] = [folder(), folder(), folder()];
    for (const [top, letter] of [
      [one, 'a'],
      [two, 'b'],
    ] as const) {
      mkdirSync(join(top, 'sub'));
      writeFileSync(join(top, 'sub/f'), letter);
      writeFileSync(join(top, 'large'), Buffer.alloc(5 << 20, letter));
      symlinkSync(letter, join(top, 'link'));
    }
    for (let run = 0; run < 3; run++) {
      const { status, stderr } = await copy([one, two, to, ...(run === 2 ? ['--checksum'] : [])]);
      expect(status, stderr).toBe(0);
      expect(readFileSync(join(to, 'sub/f'), 'utf8'), `run ${run}`).toBe('b');
      expect(readFileSync(join(to, 'large')).subarray(0, 1).toString(), `run ${run}`).toBe('b');
      expect(readlinkSync(join(to, 'link')), `run ${run}`).toBe('b');
    }
  });

  test('where followed links lead to a file of several names', async () => {
    const [from, to] = [folder(), folder()];
    writeFileSync(join(from, 'f'), 'f');
    linkSync(join(from, 'f'), join(from, 'g'));
    for (const name of ['one', 'two']) symlinkSync('f', join(from, name));
    await copy([from, to, '-L']);
    const before = stamps(to, '-name', '[ot]*');
    expect((await copy([from, to, '-L'])).stderr).toContain('0 copied (0 B), 4 unchanged');
    expect(stamps(to, '-name', '[ot]*')).toBe(before);
  });

  test.skipIf(!root)('where owners cannot be kept: in a user namespace that has not got them', async () => {
    const [from, to] = [folder(), folder()];
    writeFileSync(join(from, 'f'), 'f', { mode: 0o644 });
    writeFileSync(join(from, 'su'), 'su');
    writeFileSync(join(from, 'large'), Buffer.alloc(5 << 20));
    symlinkSync('f', join(from, 'link'));
    for (const name of ['f', 'su', 'large']) chownSync(join(from, name), 1234, 1234);
    lchownSync(join(from, 'link'), 1234, 1234);
    chmodSync(join(from, 'su'), 0o4755);
    const options = { unshare: ['--user', '--map-root-user'] };
    const first = await copy([from, to], options);
    expect(first.stderr).toContain('4 entries belong to this user, since their owner could not be kept');
    expect(lstatSync(join(to, 'su')).mode & 0o7777).toBe(0o755);
    const before = stamps(to);
    const second = await copy([from, to], options);
    expect(second.status, second.stderr).toBe(0);
    expect(second.stderr).toContain('0 copied (0 B), 4 unchanged');
    expect(second.stderr).toContain('4 entries belong to this user');
    expect(stamps(to)).toBe(before);
    expect(leftovers(to)).toEqual([]);
  });

  test.skipIf(!root)(
    'where another user has the same file with another time, which only he may set',
    async () => {
      const [from, to] = [folder(), folder()];
      writeFileSync(join(from, 'f'), 'same', { mode: 0o644 });
      writeFileSync(join(to, 'f'), 'same', { mode: 0o644 });
      chmodSync(join(to, 'f'), 0o644);
      utimesSync(join(to, 'f'), 1e9, 1e9);
      const user = { uid: 4321, gid: 4321 };
      expect(await copy([from, to], { user })).toMatchObject({ status: 0 });
      expect((await copy([from, to], { user })).stderr).toContain('0 copied (0 B), 1 unchanged');
    },
  );
});
