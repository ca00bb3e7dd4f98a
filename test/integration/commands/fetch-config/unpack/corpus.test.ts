import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount, mountReadOnly, mountTmpfs, waitUntil } from '../../../../support/faults.ts';
import { runInitbox, startInitbox } from '../../../../support/program.ts';
import { within } from '../../../../support/promptly.ts';
import { findInPath, requireOrSkip } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

const { path: corpus } = temporaryDirectory('corpus');
const results: string[] = [];

beforeAll(() => {
  execFileSync('python3', [join(import.meta.dirname, 'corpus.py'), corpus]);
});
afterAll(() => console.log(results.join('\n')));

function unpack(archive: string, to: string, ...flags: readonly string[]) {
  return runInitbox(['fetch-config', `file:${join(corpus, archive)}`, '--unpack', '--to', to, ...flags]);
}

/** Everything below a folder, and below the folder above it, where what leaves the target would land. */
function everything(top: string): string {
  return execFileSync('find', [top, '-printf', '%P %y %s\n'], { encoding: 'latin1' });
}

describe('hostile and broken archives: refused, and nothing is published', () => {
  test.each([
    ['traversal.tar', 'leaves the target by ".."'],
    ['traversal-inside.tar', 'leaves the target by ".."'],
    ['traversal-harmless.tar', 'leaves the target by ".."'],
    ['absolute.tar', '"/tmp/evil", which is an absolute path'],
    ['link-absolute.tar', 'the link "l" to "/etc", which is an absolute path'],
    ['link-out.tar', 'leads out of the target'],
    ['link-chain.tar', 'goes down and then up again'],
    ['link-through.tar', 'goes through the link "l" that came before it'],
    ['link-to-out-then-file.tar', 'leads out of the target'],
    ['link-empty.tar', 'leads nowhere'],
    ['hard-out.tar', 'leaves the target by ".."'],
    ['hard-absolute.tar', 'is an absolute path'],
    ['hard-missing.tar', 'is not a file that came before it'],
    ['hard-to-link.tar', 'is not a file that came before it'],
    ['device.tar', 'has "null", a device'],
    ['block.tar', 'has "disk", a device'],
    ['fifo.tar', 'has "p", a FIFO'],
    ['duplicate.tar', 'two entries of the name "good"'],
    ['duplicate-dots.tar', 'two entries of the name "good"'],
    ['duplicate-link.tar', 'two entries of the name "l"'],
    ['file-as-folder.tar', 'goes through the file "good"'],
    ['folder-as-file.tar', 'two entries of the name "d"'],
    ['case.tar', 'differ in nothing but capitals or the way to write an accent'],
    ['case-folder.tar', 'differ in nothing but capitals or the way to write an accent'],
    ['normal-form.tar', 'differ in nothing but capitals or the way to write an accent'],
    ['kept-names.tar', 'begins with ".."'],
    ['long-name.tar', 'longer than 255 bytes'],
    ['long-path.tar', 'longer than 4095 bytes'],
    ['link-long.tar', 'has the link "l", whose target is longer than 4095 bytes'],
    ['not-utf8-top.tar', 'at its top, which is not UTF-8'],
    ['nul-pax.tar', 'has a NUL in its name'],
    ['empty.tar', 'is empty'],
    ['really-empty.tar', 'is not a known kind of archive (tar, tar.gz, tar.zst, zip): it is empty'],
    ['text.tar', 'its first bytes match none of these formats'],
    ['page.tar.gz', 'it is a web page'],
    ['compressed.tar.xz', 'it is compressed by xz'],
    ['compressed.tar.bz2', 'it is compressed by bzip2'],
    ['truncated.tar.gz', 'ends in the middle: it is truncated'],
    ['truncated.tar', 'ends in the middle: it is truncated'],
    ['truncated-between.tar', 'has no end-of-archive marker: it is truncated'],
    ['truncated-between.tar.gz', 'has no end-of-archive marker: it is truncated'],
    ['wrong-crc.tar.gz', 'is damaged'],
    ['damaged.tar.gz', 'is damaged'],
    ['wrong-checksum.tar', 'is not a valid tar file'],
    ['bomb.tar.gz', 'unpacks to more than 4 GiB (--max-unpacked)'],
    ['million.tar.gz', 'has more than 200000 entries (--max-entries)'],
    ['traversal.zip', 'leaves the target by ".."'],
    ['absolute.zip', 'is an absolute path'],
    ['link-out.zip', 'leads out of the target'],
    ['link-long-by-one.zip', 'has the link "l", whose target is longer than 4095 bytes'],
    ['link-long.zip', 'has a link whose target is longer than 4096 bytes'],
    ['device.zip', 'has "null", a device'],
    ['duplicate.zip', 'two entries of the name "a"'],
    ['case.zip', 'differ in nothing but capitals or the way to write an accent'],
    ['empty.zip', 'is empty'],
    ['truncated.zip', 'is not a valid zip file'],
    ['wrong-crc.zip', 'the CRC of "good" is wrong'],
    ['encrypted.zip', 'has the encrypted entry "good"'],
    ['wrong-size.zip', 'is not a valid zip file'],
    ['nul.zip', 'has a NUL in its name'],
  ])('%s', async (archive, message) => {
    const { path: above } = temporaryDirectory('unpack');
    const to = join(above, 'target');
    mkdirSync(to);
    writeFileSync(join(to, 'mine'), 'mine');
    const before = everything(above);
    const { status, stderr } = await unpack(archive, to);
    expect(stderr).toContain(message);
    expect(stderr).toContain('nothing was unpacked');
    expect(status).toBe(69);
    expect(everything(above)).toBe(before);
    expect(existsSync('/tmp/evil')).toBe(false);
    results.push(
      `${archive.padEnd(26)} ${/: (.*?); nothing was unpacked/.exec(stderr)?.[1]?.replace(/^.*?\/(?=[^/ ]+ )/, '') ?? ''}`,
    );
  });

  test.each([
    ['bomb-behind.tar.gz', ['--max-unpacked', '100Mi'], 'unpacks to more than 100 MiB'],
    ['bomb-many.tar.gz', ['--max-unpacked', '300Mi'], 'unpacks to more than 300 MiB'],
    ['bomb.zip', ['--max-unpacked', '100Mi'], 'unpacks to more than 100 MiB'],
    ['whole.zip', ['--max-entries', '2'], 'has 4 entries, more than 2 (--max-entries)'],
    ['gnu.tar', ['--strip-components', '90'], 'has nothing below 90 components'],
  ])('%s with %j', async (archive, flags, message) => {
    const { path: to } = temporaryDirectory('unpack');
    const { status, stderr } = await unpack(archive, to, ...flags);
    expect(stderr).toContain(message);
    expect(status).toBe(69);
    expect(readdirSync(to)).toEqual([]);
    results.push(`${archive.padEnd(26)} ${message}`);
  });

  test('a wrong --sha256', async () => {
    const { path: to } = temporaryDirectory('unpack');
    const { status, stderr } = await unpack('whole.tar.gz', to, '--sha256', '0'.repeat(64));
    expect(status).toBe(69);
    expect(stderr).toMatch(/has the SHA-256 [0-9a-f]{64}, not 0{64}/);
    expect(readdirSync(to)).toEqual([]);
  });
});

describe('archives that are good', () => {
  const zstd = findInPath('zstd');

  test.each(['gnu.tar', 'gnu.tar.gz', ...(zstd === undefined ? [] : ['gnu.tar.zst'])])(
    '%s, as tar unpacks it',
    async (name) => {
      if (name.endsWith('.zst'))
        execFileSync(zstd ?? '', ['-qf', join(corpus, 'gnu.tar'), '-o', join(corpus, name)]);
      const [{ path: to }, { path: reference }] = [
        temporaryDirectory('unpack'),
        temporaryDirectory('reference'),
      ];
      const { status, stderr } = await unpack(name, to);
      expect(status, stderr).toBe(0);
      expect(stderr).toContain('has 7 files');
      execFileSync('tar', ['xf', join(corpus, 'gnu.tar'), '-C', reference]);
      const tree = join(to, readlinkSync(join(to, '..data')));
      const at = join(tree, 'top');
      execFileSync('diff', ['-r', '--no-dereference', '-x', '..initbox*', reference, tree]);
      expect(lstatSync(join(at, 'bin/run')).mode & 0o7777).toBe(0o755);
      expect(lstatSync(join(at, 'conf/app.conf')).mode & 0o7777).toBe(0o640);
      expect(lstatSync(join(at, 'conf/app.conf')).mtimeMs).toBe(1.7e12);
      expect(lstatSync(join(at, 'hard')).ino).toBe(lstatSync(join(at, 'bin/run')).ino);
      expect(readFileSync(join(to, 'top/conf/link'), 'utf8')).toBe('#!/bin/sh\n');
    },
  );

  test.each([
    ['v7', ['--format=v7'], 'cat'],
    ['several members of gzip', [], 'split -b 700 --filter=gzip'],
    ['several frames of zstd', [], 'split -b 700 --filter="zstd -q"'],
    [
      'an extended header of 100 kB',
      ['--format=posix', `--pax-option=comment=${'x'.repeat(100_000)}`],
      'cat',
    ],
  ])('%s', async (name, flags, through) => {
    if (name.includes('zstd') && zstd === undefined) return;
    const [{ path: from }, { path: to }] = [temporaryDirectory('tree'), temporaryDirectory('unpack')];
    mkdirSync(join(from, 'd'));
    writeFileSync(join(from, 'd/f'), 'f'.repeat(3000), { mode: 0o640 });
    symlinkSync('d/f', join(from, 'l'));
    const archive = join(corpus, 'made');
    execFileSync('sh', [
      '-c',
      `tar -c ${flags.map((flag) => `'${flag}'`).join(' ')} -C '${from}' d l | ${through} > '${archive}'`,
    ]);
    const { status, stderr } = await unpack('made', to);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('has 2 files');
    expect(readFileSync(join(to, 'l'), 'utf8')).toBe('f'.repeat(3000));
    expect(lstatSync(join(to, 'd/f')).mode & 0o777).toBe(0o640);
  });

  test('pax.tar, with names in UTF-8', async () => {
    const { path: to } = temporaryDirectory('unpack');
    expect(await unpack('pax.tar', to)).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'top/café'), 'utf8')).toBe('utf8');
    expect(await unpack('pax.tar', to, '--strip-components', '1')).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'café'), 'utf8')).toBe('utf8');
    expect(readdirSync(to)).not.toContain('top');
    // What led to a file of the archive would lead out of the target.
    expect((await unpack('pax.tar', to, '--strip-components', '2')).stderr).toContain(
      'leads out of the target',
    );
  });

  test('whole.zip, again, and with --mode and --owner', async () => {
    const { path: to } = temporaryDirectory('unpack');
    expect(await unpack('whole.zip', to)).toMatchObject({ status: 0 });
    expect(readdirSync(to).filter((name) => !name.startsWith('..'))).toEqual(['bin', 'd', 'good', 'l']);
    expect(readFileSync(join(to, 'l'), 'utf8')).toBe('good'.repeat(1000));
    expect(lstatSync(join(to, 'bin/run')).mode & 0o777).toBe(0o755);
    const data = readlinkSync(join(to, '..data'));
    expect((await unpack('whole.zip', to)).stderr).toContain('holds already');
    expect(readlinkSync(join(to, '..data'))).toBe(data);
    expect(await unpack('whole.zip', to, '--mode', '0440')).toMatchObject({ status: 0 });
    expect(lstatSync(join(to, '..data/good')).mode & 0o777).toBe(0o440);
    expect(lstatSync(join(to, '..data/bin')).mode & 0o777).toBe(0o750);
    // Another archive in the same place: what the old one had is gone.
    expect(await unpack('gnu.tar', to)).toMatchObject({ status: 0 });
    expect(readdirSync(to).filter((name) => !name.startsWith('..'))).toEqual(['top']);
  });
});

describe('volumes and words', () => {
  test.skipIf(requireOrSkip('a full volume', canMount()))('a full one: nothing is left', async () => {
    using volume = mountTmpfs({ size: '2m' });
    const { status, stderr } = await unpack('gnu.tar', volume.path);
    expect(status).toBe(1);
    expect(stderr).toContain('the volume is full (ENOSPC)');
    expect(readdirSync(volume.path)).toEqual([]);
  });

  test.skipIf(requireOrSkip('a read-only volume', canMount()))('one that is read-only', async () => {
    using volume = mountReadOnly(temporaryDirectory('unpack').path);
    const { status, stderr } = await unpack('gnu.tar', volume.path);
    expect(status).toBe(2);
    expect(stderr).toContain('it is on a read-only file system (EROFS)');
  });

  test('SIGTERM in the middle of a large file in a zip: nothing is left, within moments', async () => {
    const { path: to } = temporaryDirectory('unpack');
    const source = `file:${join(corpus, 'bomb.zip')}`;
    const program = await startInitbox(['fetch-config', source, '--unpack', '--to', to]);
    await waitUntil(() => readdirSync(to).length > 0, { what: 'the tree to be begun' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    program.kill('SIGTERM');
    const { status } = await within(1000, program.exit);
    expect(status).toBe(143);
    expect(readdirSync(to)).toEqual([]);
  });

  test.each([
    [['file:/a', 'file:/b', '--unpack', '--to', '/tmp'], '--unpack takes one source, and 2 are given'],
    [['env:HOME', '--unpack', '--to', '/tmp'], 'by https, http, s3, gs, azure-blob or file, not by env'],
    [['file:/a#x', '--unpack', '--to', '/tmp'], 'no #FIELD of it'],
    [['file:/a', '--unpack'], '--unpack needs --to'],
    [['file:/a', '--unpack', '--to', '/tmp', '--format', 'json'], '--unpack and --format cannot be combined'],
    [['file:/a', '--unpack', '--to', '/tmp', '--env', '--', 'true'], '--unpack and --env cannot be combined'],
    [['file:/a', '--unpack', '--to', '/tmp', '--dry-run'], '--unpack has no --dry-run'],
    [
      ['file:/a', '--unpack', '--to', '/tmp', '--etag-file', '/tmp/e'],
      '--unpack and --etag-file cannot be combined',
    ],
    [['file:/a', '--unpack', '--to', '/none/at/all'], '/none does not exist, and / is not on a volume'],
  ])('%j', async (args, message) => {
    const { status, stderr } = await runInitbox(['fetch-config', ...args]);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });

  test('a file that comes later is waited for', async () => {
    const { path } = temporaryDirectory('unpack');
    const late = join(path, 'late.tar');
    mkdirSync(join(path, 'to'));
    setTimeout(() => writeFileSync(late, readFileSync(join(corpus, 'gnu.tar'))), 700);
    const { status } = await runInitbox([
      'fetch-config',
      `file:${late}`,
      '--unpack',
      '--to',
      join(path, 'to'),
    ]);
    expect(status).toBe(0);
  });
});
