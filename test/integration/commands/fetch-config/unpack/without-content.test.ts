// Entries that have no content, whatever size their headers tell (POSIX.1-2024, pax, "ustar Header Block": "No data
// logical records are stored for types 1, 2, or 5").
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';

import { beforeEach, describe, expect, test } from 'vitest';

import { runInitbox } from '../../../../support/program.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

let folder: string;
let to: string;
beforeEach(() => {
  folder = temporaryDirectory('sizes').path;
  to = join(folder, 'to');
  mkdirSync(to);
});

/** A bound that a whole run does not reach; without it, one that waits forever would end with the test alone. */
const bound = ['--timeout', '20s'];

/** Files `first` and `last`, and between them one entry whose header tells a size that nothing follows. */
function tarWith(type: 'directory' | 'link' | 'hard link', size: number, pax: boolean): Buffer {
  const path = join(folder, 'a.tar');
  const script = `
import io, sys, tarfile
path, kind, size, pax = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == 'true'
with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as tar:
    def file(name, text):
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    file('first', b'1')
    entry = tarfile.TarInfo('between')
    entry.type = {'directory': tarfile.DIRTYPE, 'link': tarfile.SYMTYPE, 'hard link': tarfile.LNKTYPE}[kind]
    if kind != 'directory':
        entry.linkname = 'first'
    if pax:
        entry.pax_headers = {'size': str(size)}
    else:
        entry.size = size
    tar.addfile(entry)
    file('empty', b'')
    file('last', b'2')
`;
  execFileSync('python3', ['-c', script, path, type, String(size), String(pax)]);
  return readFileSync(path);
}

const unpack = (archive: string) =>
  runInitbox(['fetch-config', `file:${archive}`, '--unpack', '--to', to, ...bound]);

describe('an entry without content whose header tells a size', () => {
  test.each([
    ['directory', 512, false],
    ['directory', 10, false],
    ['directory', 4096, false],
    ['directory', 512, true],
    ['link', 5, false],
    ['link', 1024, true],
    ['hard link', 1, false],
    ['hard link', 512, false],
  ] as const)('%s, %i bytes, in an extended header: %s', async (type, size, pax) => {
    tarWith(type, size, pax);
    const { status, stderr } = await unpack(join(folder, 'a.tar'));
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(to, 'first'), 'utf8')).toBe('1');
    expect(readFileSync(join(to, 'empty'), 'utf8')).toBe('');
    expect(readFileSync(join(to, 'last'), 'utf8')).toBe('2');
    const between = join(to, '..data', 'between');
    if (type === 'directory') expect(lstatSync(between).isDirectory()).toBe(true);
    else if (type === 'link') expect(readlinkSync(between)).toBe('first');
    else expect(readFileSync(between, 'utf8')).toBe('1');
  });

  test('as the last one of all', async () => {
    const tar = tarWith('directory', 512, false);
    // Everything from the entry's end on: `empty` and `last` with its block.
    const cut = Buffer.concat([tar.subarray(0, 1536), Buffer.alloc(1024)]);
    const archive = join(folder, 'cut.tar');
    execFileSync('tee', [archive], { input: cut, stdio: ['pipe', 'ignore', 'inherit'] });
    const { status, stderr } = await unpack(archive);
    expect(status, stderr).toBe(0);
    expect(lstatSync(join(to, '..data', 'between')).isDirectory()).toBe(true);
  });
});

describe('a decompressor that ends before the file does, or does not end', () => {
  const whole = () => tarWith('directory', 0, false);
  test.each([
    [
      'bytes behind the end of gzip',
      () => Buffer.concat([gzipSync(whole()), Buffer.alloc(700, 'x')]),
      [0, 69],
    ],
    [
      'gzip in two members',
      () => [whole().subarray(0, 700), whole().subarray(700)].map((part) => gzipSync(part)),
      [0],
    ],
    ['gzip that was flushed and never ended', () => gzipSync(whole()).subarray(0, -8), [69]],
    [
      'gzip of half of a tar file',
      () => gzipSync(whole().subarray(0, 700), { finishFlush: constants.Z_SYNC_FLUSH }),
      [69],
    ],
    ['zstd that was cut off', () => zstdCompressSync(whole()).subarray(0, -5), [69]],
    [
      'bytes behind the end of zstd',
      () => Buffer.concat([zstdCompressSync(whole()), Buffer.alloc(9, 'x')]),
      [0, 69],
    ],
  ])('%s: an end, and never by the deadline', async (_, make, expected) => {
    const made = make();
    const archive = join(folder, 'compressed');
    execFileSync('tee', [archive], {
      input: Buffer.isBuffer(made) ? made : Buffer.concat(made),
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const { status, stderr } = await unpack(archive);
    expect(expected, stderr).toContain(status);
  });
});
