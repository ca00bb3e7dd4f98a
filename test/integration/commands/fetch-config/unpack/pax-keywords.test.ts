// Extended headers by which an entry is something else than it seems.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { runInitbox } from '../../../../support/program.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

let folder: string;
let to: string;
beforeEach(() => {
  folder = temporaryDirectory('pax').path;
  to = join(folder, 'to');
  mkdirSync(to);
});

const unpack = (archive: string) => runInitbox(['fetch-config', `file:${archive}`, '--unpack', '--to', to]);

/** One file `stored` with extended headers, or with a type of entry. */
function tarWith(headers: Record<string, string>, type = '0', binary = false): string {
  const archive = join(folder, 'a.tar');
  const script = `
import io, json, sys, tarfile
headers, type, path, binary = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == 'true'
with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as tar:
    entry = tarfile.TarInfo('stored')
    entry.type, entry.size, entry.pax_headers = type.encode(), 4, headers
    if binary:
        def record(key, value):
            size = len(key) + len(value) + 3
            size += len(str(size + len(str(size))))
            return b'%d %s=%s\\n' % (size, key, value)
        body = record(b'hdrcharset', b'BINARY') + record(b'path', b'caf\\xe9')
        extended = tarfile.TarInfo('pax')
        extended.type, extended.size = b'x', len(body)
        tar.addfile(extended, io.BytesIO(body))
        entry.pax_headers = {}
    tar.fileobj.write(entry.tobuf(tarfile.PAX_FORMAT) + b'data'.ljust(512, b'\\0'))
    tar.offset += 1024
`;
  execFileSync('python3', ['-c', script, JSON.stringify(headers), type, archive, String(binary)]);
  return archive;
}

describe('a sparse file is refused, not unpacked as its map', () => {
  test.each(['0.0', '0.1', '1.0'])('as GNU tar writes it in format %s', async (version) => {
    const file = join(folder, 'big');
    writeFileSync(file, 'head');
    truncateSync(file, 10 << 20);
    const archive = join(folder, 'a.tar');
    execFileSync('tar', [
      '-S',
      '--format=posix',
      `--sparse-version=${version}`,
      '-C',
      folder,
      '-cf',
      archive,
      'big',
    ]);
    const { status, stderr } = await unpack(archive);
    expect(stderr).toContain('has "big", a sparse file; pack it without --sparse');
    expect([status, readdirSync(to)]).toEqual([69, []]);
  });
});

describe('refused by its extended header', () => {
  test.each<[string, Record<string, string>, string, string]>([
    ['a sparse file of star', { 'SCHILY.realsize': '100' }, '0', 'a sparse file'],
    [
      'a part of a file',
      { 'GNU.volume.filename': 'big', 'GNU.volume.offset': '4' },
      '0',
      'spans several archives',
    ],
    ['a kind that star names', { 'SCHILY.filetype': 'door' }, '0', 'an entry of an unsupported type'],
    [
      'another character set',
      { hdrcharset: 'ISO-IR 8859 1 1998', path: 'x' },
      '0',
      'whose name is not UTF-8',
    ],
    ['a volume’s label', {}, 'V', 'an entry of an unsupported type'],
    ['the rest of a file', {}, 'M', 'an entry of an unsupported type'],
    ['a list of a directory', {}, 'D', 'an entry of an unsupported type'],
    ['an old sparse file', {}, 'S', 'an entry of an unsupported type'],
  ])('%s', async (_, headers, type, says) => {
    const { status, stderr } = await unpack(tarWith(headers, type));
    expect(stderr).toContain(says);
    expect([status, readdirSync(to)]).toEqual([69, []]);
  });

  test('a name of other bytes', async () => {
    const { status, stderr } = await unpack(tarWith({}, '0', true));
    expect(stderr).toContain('whose name is not UTF-8 in its extended header');
    expect([status, readdirSync(to)]).toEqual([69, []]);
  });
});

test('what only adds to an entry is left out', async () => {
  const headers = {
    'LIBARCHIVE.creationtime': '1',
    'SCHILY.dev': '1',
    'SCHILY.xattr.user.a': 'b',
    'RHT.security.selinux': 'x',
    hdrcharset: 'BINARY',
    comment: 'c',
  };
  expect(await unpack(tarWith(headers))).toMatchObject({ status: 0 });
  expect(readdirSync(to)).toContain('stored');
});
