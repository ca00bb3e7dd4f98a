import { execFileSync } from 'node:child_process';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { docker, muslImage, runImage } from './docker.ts';

/** What a hardened pod's securityContext says, and the memory that everything must get by with. */
const locked = [
  '--read-only',
  '--user',
  '12345:12345',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
  '--memory',
  '96m',
  '--memory-swap',
  '96m',
];

let work: string;
let mounted: string[];
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'initbox-image-files-'));
  await chmod(work, 0o755);
  mounted = ['--volume', `${work}:/work`];
  const { archive, small } = sizes;
  for (let i = 0; i < small / 500; i++) {
    mkdirSync(join(work, `tree/d${i}`), { recursive: true });
    for (let j = 0; j < 500; j++) writeFileSync(join(work, `tree/d${i}/f${j}`), `${i} ${j}`);
  }
  mkdirSync(join(work, 'large'));
  random(join(work, 'large/file'), sizes.large);
  mkdirSync(join(work, 'site/deep'), { recursive: true });
  for (let i = 0; i < 30; i++) random(join(work, `site/deep/f${i}`), archive / 30);
  execFileSync('sh', ['-c', 'tar -cf site.tar site && gzip -1k site.tar'], { cwd: work });
  await compressed(join(work, 'site.tar'), join(work, 'site.tar.zst'));
});
afterAll(() => rm(work, { recursive: true, force: true }));

/** Mebibytes, and a number of files. */
const sizes = { large: 1024, archive: 300, small: 100_000 };

function random(path: string, mebibytes: number): void {
  execFileSync('dd', ['if=/dev/urandom', `of=${path}`, 'bs=1M', `count=${mebibytes}`, 'status=none']);
}

/** With the largest window that is taken, of which the reader has to keep 32 MiB. */
async function compressed(from: string, to: string): Promise<void> {
  const { createReadStream } = await import('node:fs');
  const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: 25 };
  await pipeline(createReadStream(from), createZstdCompress({ params }), createWriteStream(to));
}

/** Has the kernel forget the inodes that nobody holds (proc_sys_vm.5, drop_caches); false where we may not. */
function dropInodes(): boolean {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '2');
    return true;
  } catch {
    return false;
  }
}

let count = 0;
/** An empty volume that anybody may write to, as an emptyDir is, and its path in the container. */
function target(): { path: string; inside: string } {
  const name = `out${count++}`;
  mkdirSync(join(work, name));
  execFileSync('chmod', ['777', join(work, name)]);
  return { path: join(work, name), inside: `/work/${name}` };
}

describe('in 96 MiB, as any user, without capabilities, on a read-only root file system', () => {
  test.each([
    ['100,000 small files', 'tree', /100,200 copied/],
    ['a large file', 'large', /1 copied \(1 GiB\)/],
  ])('copy of %s, and again', async (_what, from, says) => {
    const { path, inside } = target();
    const args = ['copy', `/work/${from}`, inside];
    const { status, stderr } = await runImage([...locked, ...mounted], args);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toMatch(says);
    execFileSync('diff', ['-rq', join(work, from), path]);
    const again = await runImage([...locked, ...mounted], args);
    expect(again.stderr).toMatch(/: 0 copied \(0 B\), [\d,]+ unchanged/);
    const compared = await runImage([...locked, ...mounted], [...args, '--checksum']);
    expect(compared.stderr).toMatch(/: 0 copied \(0 B\), [\d,]+ unchanged/);
    await rm(path, { recursive: true });
  });

  test('copy --atomic, and again', async () => {
    const { path, inside } = target();
    const args = ['copy', '/work/tree', inside, '--atomic'];
    const first = await runImage([...locked, ...mounted], args);
    expect(first).toMatchObject({ status: 0 });
    expect(first.stderr).toMatch(/100,200 copied/);
    // The kernel must read the inodes again and charges them, 260 MB in all: without room being made for them, it
    // kills every second run.
    const limits = dropInodes() ? ['96m', '64m', '64m', '64m'] : ['96m'];
    for (const limit of limits) {
      dropInodes();
      const again = await runImage([...locked, '--memory', limit, '--memory-swap', limit, ...mounted], args);
      expect(again).toMatchObject({ status: 0 });
      expect(again.stderr).toMatch(/: 0 copied \(0 B\), 100,200 unchanged/);
    }
    execFileSync('diff', ['-rq', '-x', '..initbox.json', join(work, 'tree'), join(path, '..data/')]);
    await rm(path, { recursive: true });
  });

  test.each(['site.tar.gz', 'site.tar.zst', 'site.tar'])('unpack %s of 300 MiB, and again', async (name) => {
    const { path, inside } = target();
    const args = [
      'fetch-config',
      `file:/work/${name}`,
      '--unpack',
      '--to',
      inside,
      '--strip-components',
      '1',
    ];
    const { status, stderr } = await runImage([...locked, ...mounted], args);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain('has 30 files (300 MiB)');
    execFileSync('diff', ['-rq', join(work, 'site/deep'), join(path, 'deep')]);
    expect((await runImage([...locked, ...mounted], args)).stderr).toContain('holds already');
    await rm(path, { recursive: true });
  });

  test.each(['env', 'liquid'])('render 200 templates of the language %s', async (language) => {
    const from = join(work, `templates-${language}`);
    mkdirSync(from);
    const reference = language === 'env' ? '$NAME' : '{{ env.NAME }}';
    for (let i = 0; i < 200; i++)
      writeFileSync(join(from, `t${i}.yaml`), `line: "${reference}"\n# ${i}\n`.padEnd(20_000, '#'));
    const { path, inside } = target();
    const { status, stderr } = await runImage(
      [...locked, ...mounted, '--env', 'NAME=value'],
      ['render', `/work/templates-${language}`, '--to', inside, '--language', language, '--check', 'yaml'],
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(readdirSync(path).filter((name) => !name.startsWith('..'))).toHaveLength(200);
    expect(readFileSync(join(path, 't7.yaml'), 'utf8')).toMatch(/^line: "value"\n# 7\n/);
  });
});

test('in an image of another, from its own files, beside a runtime that install put on a volume', async () => {
  const runtime = `initbox-test-files-${process.pid}`;
  try {
    const installed = await runImage(
      ['--user', '0', '--volume', `${runtime}:/shared`],
      ['install', '/shared'],
    );
    expect(installed.status, installed.stderr).toBe(0);
    const { path, inside } = target();
    const copyIn = () =>
      runImage(
        [...locked, ...mounted, '--volume', `${runtime}:/initbox:ro`, '--entrypoint', '/initbox/initbox'],
        ['copy', '/bin', inside, '--if-empty'],
        muslImage,
      );
    const { status, stderr } = await copyIn();
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(readdirSync(path)).toContain('busybox');
    expect(statSync(join(path, 'busybox')).uid).toBe(12345);
    expect((await copyIn()).stderr).toContain('is not empty, so nothing was copied');
  } finally {
    await docker(['volume', 'rm', '--force', runtime]);
  }
});

test('the image’s Node sees extended attributes, and says nothing of how', async () => {
  const { path } = target();
  writeFileSync(join(path, 'f'), '');
  execFileSync('python3', ['-c', `import os; os.setxattr('${path}/f', 'user.origin', b'x')`]);
  const { inside } = target();
  const { status, stderr } = await runImage(
    [...locked, ...mounted],
    ['copy', `/work/${path.slice(work.length + 1)}`, inside],
  );
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stderr).toContain('extended attributes (xattrs) of 1 entry');
  expect(stderr).not.toContain('Experimental');
});
