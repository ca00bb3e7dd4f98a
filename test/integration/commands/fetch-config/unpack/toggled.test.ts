// An archive whose owner writes other bytes to it while it is unpacked.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { runInitbox } from '../../../../support/program.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

/** Runs of one attack: without the defence, a run from the first to the fourteenth succeeded. */
const runs = 8;

/** A guard against hanging: each run writes 50 MB, beside other tests that write as well. */
const patience = 240_000;

/** Writes GOOD and EVIL in turns over the last member, which is stored as it is, with its sum in a zip. */
const toggler = `
import os, random, select, sys, time, zlib
fd = os.open(sys.argv[1], os.O_RDWR)
data = os.read(fd, 1 << 30)
def at(mark):
    found, out = data.find(mark), []
    while found >= 0:
        out.append(found)
        found = data.find(mark, found + 1)
    return out
places = [(p, b"GOOD", b"EVIL") for p in at(b"GOOD")]
if data[:2] == b"PK":
    crc = lambda text: zlib.crc32(text * 100).to_bytes(4, "little")
    places += [(p, crc(b"GOOD"), crc(b"EVIL")) for p in at(crc(b"GOOD"))]
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for choice in (2, 1):
        for place in places: os.pwrite(fd, place[choice], place[0])
        time.sleep(random.random() * 0.02)
for place in places: os.pwrite(fd, place[1], place[0])
`;

async function whileToggled(file: string, work: () => Promise<void>): Promise<void> {
  const child = spawn('python3', ['-c', toggler, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  try {
    await work();
  } finally {
    child.stdin.end('stop\n');
    await ended;
  }
}

const sumOf = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

function archive(kind: 'tar' | 'zip'): string {
  const { path } = temporaryDirectory('archive');
  const tree = join(path, 'tree');
  mkdirSync(tree);
  execFileSync('dd', ['if=/dev/zero', `of=${join(tree, 'first')}`, 'bs=1M', 'count=24', 'status=none']);
  writeFileSync(join(tree, 'last'), 'GOOD'.repeat(100));
  const file = join(path, `archive.${kind}`);
  if (kind === 'tar') execFileSync('tar', ['cf', file, '-C', tree, 'first', 'last']);
  else
    execFileSync('python3', [
      '-c',
      'import sys,zipfile\nwith zipfile.ZipFile(sys.argv[1], "w") as z:\n    for n in ("first", "last"): z.write(sys.argv[2] + "/" + n, n)',
      file,
      tree,
    ]);
  return file;
}

const unpack = (file: string, to: string, ...flags: readonly string[]) =>
  runInitbox(['fetch-config', `file:${file}`, '--unpack', '--to', to, ...flags]);

describe('a file that is written to while it is unpacked', () => {
  test.each(['tar', 'zip'] as const)(
    '%s: with --sha256, what is shown has the sum',
    async (kind) => {
      const file = archive(kind);
      const sum = sumOf(file);
      const statuses = new Set<number | null>();
      for (let run = 0; run < runs; run++) {
        const { path: to } = temporaryDirectory('target');
        await whileToggled(file, async () => {
          statuses.add((await unpack(file, to, '--sha256', sum)).status);
        });
        if (existsSync(join(to, 'last')))
          expect(readFileSync(join(to, 'last'), 'utf8'), `run ${run + 1}`).toBe('GOOD'.repeat(100));
        rmSync(to, { recursive: true });
      }
      expect([...statuses].filter((status) => status !== 0 && status !== 69)).toEqual([]);
    },
    patience,
  );

  test.each(['tar', 'zip'] as const)(
    '%s: without, the note has the sum of what is shown',
    async (kind) => {
      const file = archive(kind);
      const good = sumOf(file);
      const wrong: number[] = [];
      for (let run = 0; run < runs; run++) {
        const { path: to } = temporaryDirectory('target');
        let status: number | null = null;
        await whileToggled(file, async () => {
          ({ status } = await unpack(file, to));
        });
        if (status === 0) {
          const note = readFileSync(join(to, '..data/..initbox-archive.json'), 'utf8');
          const { sha256 } = JSON.parse(note) as { sha256: string };
          if (sha256 === good && readFileSync(join(to, 'last'), 'utf8') !== 'GOOD'.repeat(100))
            wrong.push(run);
        }
        rmSync(to, { recursive: true });
      }
      expect(wrong).toEqual([]);
    },
    patience,
  );

  test('the sum is that of the whole file, what follows the end of the archive included', async () => {
    const file = archive('tar');
    execFileSync('gzip', ['-1', file]);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(3 << 20)]) {
      appendFileSync(`${file}.gz`, bytes);
      const { path: to } = temporaryDirectory('target');
      const { status, stderr } = await unpack(`${file}.gz`, to);
      expect(status, stderr).toBe(0);
      const note = readFileSync(join(to, '..data/..initbox-archive.json'), 'utf8');
      expect(note).toContain(sumOf(`${file}.gz`));
      expect((await unpack(`${file}.gz`, to)).stderr).toContain('holds already');
    }
  });

  test('a zip file that is larger than --max-unpacked is not copied', async () => {
    const file = archive('zip');
    const { path: to } = temporaryDirectory('target');
    const { status, stderr } = await unpack(file, to, '--max-unpacked', '10Mi');
    expect(status).toBe(69);
    expect(stderr).toMatch(/is larger than 10 MiB \(--max-unpacked\); nothing was unpacked/);
  });
});
