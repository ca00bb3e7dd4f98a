// What an archive says in ways of its own: taken as other tools take it, or refused, and never as something else.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { runInitbox } from '../../../../support/program.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

let folder: string;
beforeEach(() => {
  folder = temporaryDirectory('other-tools').path;
});

async function unpack(archive: string, ...flags: readonly string[]) {
  const to = join(folder, 'to');
  mkdirSync(to, { recursive: true });
  return {
    to,
    ...(await runInitbox(['fetch-config', `file:${archive}`, '--unpack', '--to', to, ...flags])),
  };
}

/** Files and links with their content, without what initbox keeps for itself. */
function filesIn(top: string): Record<string, string> {
  const listed = execFileSync(
    'find',
    ['-L', top, '-type', 'f', '-not', '-path', '*/..*', '-printf', '%P\\0'],
    {
      encoding: 'latin1',
    },
  );
  return Object.fromEntries(
    listed
      .split('\0')
      .filter(Boolean)
      .toSorted()
      .map((name) => [name, readFileSync(Buffer.from(`${top}/${name}`, 'latin1'), 'latin1')]),
  );
}

function byTar(archive: string, ...flags: readonly string[]): Record<string, string> | undefined {
  const to = join(folder, 'by-tar');
  mkdirSync(to, { recursive: true });
  const { status } = spawnSync('tar', ['-C', to, '-xf', archive, ...flags], { stdio: 'ignore' });
  return status === 0 ? filesIn(to) : undefined;
}

describe('--strip-components counts a leading ./ as GNU tar and bsdtar do', () => {
  test.each([
    ['.', 0],
    ['.', 1],
    ['.', 2],
    ['./index.html ./css', 1],
    ['index.html css', 1],
    ['./css/a.css', 2],
    ['././css/a.css', 2],
  ])('tar %s, %i', async (packed, strip) => {
    const site = join(folder, 'site');
    mkdirSync(join(site, 'css'), { recursive: true });
    writeFileSync(join(site, 'index.html'), 'index');
    writeFileSync(join(site, 'css/a.css'), 'css');
    const archive = join(folder, 'site.tgz');
    execFileSync('tar', ['-C', site, '-czf', archive, ...packed.split(' ')]);
    const expected = byTar(archive, `--strip-components=${strip}`);
    const { to, status, stderr } = await unpack(archive, '--strip-components', String(strip));
    expect(filesIn(to)).toEqual(expected);
    expect(status, stderr).toBe(Object.keys(expected ?? {}).length === 0 ? 69 : 0);
  });
});

/** Archives by Python, one for each way in which a record changes a name, a size or the content. */
const makers: Readonly<Record<string, string>> = {
  'a long name of GNU': `add('n' * 90 + '/' + 'm' * 120, fmt=tarfile.GNU_FORMAT)`,
  'a long link of GNU': `add('f'); add('l', kind=b'2', link='d/' * 60 + 'f', fmt=tarfile.GNU_FORMAT)`,
  'a path in an extended header': `add('short', pax={'path': 'other'})`,
  'a link in an extended header': `add('f'); add('l', kind=b'2', link='x', pax={'linkpath': 'f'})`,
  'a size in an extended header': `header_with_size()`,
  'a global path': `glob({'path': 'everything'}); add('f')`,
  'a global comment': `glob({'comment': '0123456789'}); add('f')`,
  'a global size': `glob({'size': '2'}); add('f')`,
  'a size in base 256': `base256()`,
  'a negative time': `add('f', mtime=-86400, fmt=tarfile.GNU_FORMAT)`,
  'a negative time in an extended header': `add('f', mtime=-1.5)`,
  'a contiguous file': `add('f', kind=b'7')`,
  'a list of a directory': `add('d', kind=b'D', data=b'Yf\\0\\0')`,
  'the rest of a file': `add('f', kind=b'M')`,
  'a label': `add('label', kind=b'V', data=b''); add('f')`,
  'an old sparse file': `add('f', kind=b'S')`,
  'sparse 0.0': `add('f', pax={'GNU.sparse.size': '8', 'GNU.sparse.numblocks': '1', 'GNU.sparse.offset': '4', 'GNU.sparse.numbytes': '4'})`,
  'sparse 0.1': `add('GNUSparseFile.0/f', pax={'GNU.sparse.size': '8', 'GNU.sparse.numblocks': '1', 'GNU.sparse.map': '4,4', 'GNU.sparse.name': 'f'})`,
  'sparse 1.0': `add('GNUSparseFile.0/f', data=b'1\\n4\\n4\\n'.ljust(512, b'\\0') + b'data', pax={'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '8', 'GNU.sparse.name': 'f'})`,
  'a sparse size of star': `add('f', pax={'SCHILY.realsize': '8'})`,
  'a folder with a slash and no type': `add('d/', kind=b'\\0', data=b''); add('d/f')`,
  'a header of Solaris': `add('f', kind=b'X', data=b'13 path=xyz\\n')`,
};

describe('records that change a name, a size or the content: as GNU tar takes them, or refused', () => {
  test.each(Object.entries(makers))('%s', async (_what, script) => {
    const archive = join(folder, 'a.tar');
    const prelude = `
import io, sys, tarfile
out = open(sys.argv[1], 'wb')
def raw(data): out.write(data + b'\\0' * (-len(data) % 512))
def add(name, data=b'data', kind=b'0', link='', pax=None, mtime=1700000000, fmt=tarfile.PAX_FORMAT):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime, info.mode = kind, link, mtime, 0o644
    info.size = 0 if kind in b'25' and kind != b'\\0' else len(data)
    info.pax_headers = pax or {}
    raw(info.tobuf(fmt))
    if info.size: raw(data)
def glob(headers): raw(tarfile.TarInfo.create_pax_global_header(headers))
def check(block):
    block = bytearray(block)
    block[148:156] = b' ' * 8
    block[148:156] = b'%06o\\0 ' % sum(block)
    return bytes(block)
def header_with_size():
    body = b'9 size=6\\n'
    extended = tarfile.TarInfo('pax'); extended.type = b'x'; extended.size = len(body)
    raw(extended.tobuf(tarfile.USTAR_FORMAT)); raw(body)
    info = tarfile.TarInfo('f'); info.size = 4
    raw(info.tobuf(tarfile.USTAR_FORMAT)); raw(b'data!!')
def base256():
    info = tarfile.TarInfo('f'); info.size = 4
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = b'\\x80' + (4).to_bytes(11, 'big')
    raw(check(block)); raw(b'data')
`;
    execFileSync('python3', ['-c', `${prelude}\n${script}\nout.write(b'\\0' * 10240)`, archive]);
    const expected = byTar(archive);
    const { to, status, stderr } = await unpack(archive);
    if (status === 0) expect(filesIn(to)).toEqual(expected);
    else {
      expect(status, stderr).toBe(69);
      expect(filesIn(to)).toEqual({});
    }
  });
});

describe('what is compressed and is not a tar file: says so', () => {
  test.each([
    ['a tar.gz compressed again', `gzip.compress(gzip.compress(tar))`, 'it is compressed once more'],
    ['a short text', `gzip.compress(b'hello\\n')`, 'its first bytes match none of these formats'],
    ['random bytes', `gzip.compress(bytes(range(1, 256)) * 20)`, 'its first bytes match none'],
    ['a web page', `gzip.compress(b'<html>' + b' ' * 1000)`, 'it is a web page'],
    ['nothing', `gzip.compress(b'')`, 'it is empty'],
  ])('%s', async (_what, script, says) => {
    const archive = join(folder, 'a.tar.gz');
    const tar = `
import gzip, io, tarfile, sys
buffer = io.BytesIO()
with tarfile.open(fileobj=buffer, mode='w') as file: file.addfile(tarfile.TarInfo('f'))
tar = buffer.getvalue()
open(sys.argv[1], 'wb').write(${script})`;
    execFileSync('python3', ['-c', tar, archive]);
    const { to, status, stderr } = await unpack(archive);
    expect(stderr).toContain(`is compressed by gzip, and what is in it is not a tar file: ${says}`);
    expect(stderr).not.toMatch(/truncated|cut off/);
    expect(status).toBe(69);
    expect(filesIn(to)).toEqual({});
  });
});

describe('zip files', () => {
  const zip = (script: string): string => {
    const archive = join(folder, 'a.zip');
    const prelude = `
import struct, sys, zipfile, zlib
def entry(name, data=b'data', system=0, mode=0, extra=b''):
    info = zipfile.ZipInfo('x' * len(name.encode('latin1')))
    info.create_system, info.external_attr, info.extra = system, mode << 16, extra
    names.append((('x' * len(name.encode('latin1'))).encode(), name.encode('latin1')))
    file.writestr(info, data)
names = []
with zipfile.ZipFile(sys.argv[1], 'w') as file:
    ${script}
data = open(sys.argv[1], 'rb').read()
for seen, name in names: data = data.replace(seen, name)
open(sys.argv[1], 'wb').write(data)`;
    execFileSync('python3', ['-c', prelude, archive]);
    return archive;
  };
  const backslash = String.raw`entry('top\\sub\\file.ext'`;

  test.each([
    ['backslashes of Windows', `${backslash})`, { 'top/sub/file.ext': 'data' }],
    ['backslashes of NTFS', `${backslash}, system=10)`, { 'top/sub/file.ext': 'data' }],
    [
      'backslashes of Unix are letters',
      `${backslash}, system=3, mode=0o100644)`,
      { 'top\\sub\\file.ext': 'data' },
    ],
    ['the letters of DOS', String.raw`entry('caf\x82_name')`, { 'caf\xc3\xa9_name': 'data' }],
    ['UTF-8 without its mark', String.raw`entry('caf\xc3\xa9_name')`, { 'caf\xc3\xa9_name': 'data' }],
    [
      'a name in UTF-8 beside another',
      String.raw`raw = b'caf\x82_name'; more = b'\x01' + struct.pack('<I', zlib.crc32(raw)) + 'kaffee_é'.encode(); entry(raw.decode('latin1'), extra=struct.pack('<HH', 0x7075, len(more)) + more)`,
      { 'kaffee_\xc3\xa9': 'data' },
    ],
  ])('%s', async (_what, script, expected) => {
    const { to, status, stderr } = await unpack(zip(script));
    expect(status, stderr).toBe(0);
    expect(filesIn(to)).toEqual(expected);
  });

  test('a way out with backslashes is one', async () => {
    const { to, status, stderr } = await unpack(zip(String.raw`entry('..\\..\\evil.ext')`));
    expect(stderr).toContain('leaves the target by ".."');
    expect(status).toBe(69);
    expect(filesIn(to)).toEqual({});
  });

  test('zip64, and sizes that follow the content', async () => {
    const archive = join(folder, 'stream.zip');
    const script = `
import sys, zipfile
class Pipe:
    def __init__(self, file): self.file = file
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()
with open(sys.argv[1], 'wb') as out, zipfile.ZipFile(Pipe(out), 'w', zipfile.ZIP_DEFLATED) as file:
    with file.open('big', 'w', force_zip64=True) as entry: entry.write(b'data' * 1000)`;
    execFileSync('python3', ['-c', script, archive]);
    const { to, status, stderr } = await unpack(archive);
    expect(status, stderr).toBe(0);
    expect(filesIn(to)).toEqual({ big: 'data'.repeat(1000) });
  });
});
