import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { findInPath, requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { drive, leftovers } from './drive.ts';
import type { Job } from './driver.ts';
import { lines, startReader, text } from './watch.ts';

const skip =
  requireOrSkip('kills at every system call', whyMissing('strace', 'strace')) ||
  requireOrSkip('kills on a volume of its own', canMount());

/** Calls that change a volume, or that a change could be torn at. */
const calls = 'mkdir,write,pwrite64,fchmod,fchown,fsync,link,symlink,rename,unlink,rmdir,openat';
/**
 * Every (call, n) at which some thread touches the volume with its nth such call. strace counts per thread, so that
 * one injection may end the process elsewhere as well, which is as good.
 */
async function pointsOf(job: Job, volume: string, scratch: string): Promise<[call: string, n: number][]> {
  const log = join(scratch, 'strace.log');
  const result = await drive(job, [
    findInPath('strace') ?? '',
    '-f',
    '-y',
    '-qq',
    '-e',
    `trace=${calls}`,
    '-o',
    log,
  ]);
  expect(result).toMatchObject({ done: { warnings: [] } });
  const counts = new Map<string, number>();
  const points = new Map<string, [string, number]>();
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const parts = /^(\d+) +(\w+)\((.*)/.exec(line);
    if (!parts) continue;
    const [, thread = '', call = '', rest = ''] = parts;
    const n = (counts.get(thread + call) ?? 0) + 1;
    counts.set(thread + call, n);
    if (rest.includes(volume) || rest.includes('/proc/self/fd/')) points.set(`${call} ${n}`, [call, n]);
  }
  return [...points.values()];
}

async function killAt(job: Job, call: string, n: number): Promise<boolean> {
  const inject = `inject=${call}:signal=KILL:when=${n}`;
  const strace = [
    findInPath('strace') ?? '',
    '-f',
    '-qq',

    '-e',
    `trace=${call}`,
    '-e',
    inject,
  ];
  const { signal } = await drive(job, [...strace, '-o', '/dev/null']);
  return signal === 'SIGKILL';
}

describe.skipIf(skip)('killed at every system call that touches the volume', () => {
  let volume: Mounted;
  const scratch = temporaryDirectory('strace');
  beforeAll(() => {
    volume = mountTmpfs({ size: '16m' });
  });
  afterAll(() => {
    volume.remove();
    scratch.remove();
  });

  interface Case {
    name: string;
    names: readonly string[];
    job: (folder: string, version: number) => Job;
    /** What stands there before each round. */
    before: (folder: string) => void;
  }

  const cases: Case[] = [
    {
      name: 'one file',
      names: ['app.conf'],
      job: (folder, version) => ({ path: `${folder}/app.conf`, files: { '': text(version) }, repeat: lines }),
      before: () => {},
    },
    {
      name: 'three files',
      names: ['a', 'b', 'c'],
      job: (folder, version) => ({
        path: folder,
        files: { a: text(version), b: text(version), c: text(version) },
        repeat: lines,
      }),
      before: () => {},
    },
    {
      name: 'files that stood there plainly',
      names: ['a', 'b'],
      job: (folder, version) => ({
        path: folder,
        files: { a: text(version), b: text(version) },
        repeat: lines,
      }),
      before(folder) {
        for (const name of ['a', 'b']) {
          rmSync(join(folder, name), { force: true });
          writeFileSync(join(folder, name), text(0).repeat(lines), { mode: 0o400 });
          chmodSync(join(folder, name), 0o440);
        }
      },
    },
  ];

  it.each(cases)(
    '$name: a reader sees whole versions only, and the next run puts all right',
    async ({ name, names, job, before }) => {
      const fresh = (): string => {
        const made = mkdtempSync(join(volume.path, 'target-'));
        before(made);
        return made;
      };
      const plain = name.includes('plainly');
      let folder = fresh();
      if (!plain) await drive(job(folder, 0));
      const points = await pointsOf(job(folder, 1), volume.path, scratch.path);
      expect(points.length).toBeGreaterThan(6);
      let version = 1;
      let killed = 0;
      let reads = 0;
      if (plain) folder = fresh();
      let reader = startReader(folder, names);
      for (const [call, n] of points) {
        version++;
        if (await killAt(job(folder, version), call, n)) killed++;
        // Whole and of one version, at rest too; what a reader may find is the old or the new.
        const seen = new Set(
          names.map((file) =>
            existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '',
          ),
        );
        expect([...seen], `${call} ${n}`).toHaveLength(1);
        const again = await drive(job(folder, version));
        expect(again.error, `${call} ${n}`).toBeUndefined();
        expect(leftovers(folder), `after ${call} ${n}`).toEqual([]);
        for (const file of names)
          expect(readFileSync(join(folder, file), 'utf8')).toBe(text(version).repeat(lines));
        if (plain) {
          const result = await reader.end();
          expect(result.problems).toEqual([]);
          reads += result.reads;
          folder = fresh();
          reader = startReader(folder, names);
        }
      }
      const result = await reader.end();
      expect(result.problems).toEqual([]);
      reads += result.reads;
      console.log(
        `${name}: ${points.length} points, ${killed} kills, ${reads} reads, ${result.versions} versions seen`,
      );
      expect(killed).toBeGreaterThan(points.length / 2);
      expect(reads).toBeGreaterThan(points.length);
    },
    300_000,
  );
});
