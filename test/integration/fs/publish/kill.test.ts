import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { changingCalls, type Point, pointsOf, striking } from '../../../support/strace-points.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { drive, leftovers } from './drive.ts';
import type { Job } from './driver.ts';
import { lines, startReader, text } from './watch.ts';

const skip =
  requireOrSkip('kills at every system call', whyMissing('strace', 'strace')) ||
  requireOrSkip('kills on a volume of its own', canMount());

/** Where a run of this job can be killed. */
async function pointsOfJob(job: Job, volume: string): Promise<Point[]> {
  const points = await pointsOf(volume, changingCalls, async (prefix) => {
    expect(await drive(job, prefix)).toMatchObject({ done: { warnings: [] } });
  });
  return points.filter(({ changes }) => changes);
}

async function killAt(job: Job, point: Point): Promise<boolean> {
  const { signal } = await drive(job, striking(point, 'signal=KILL'));
  return signal === 'SIGKILL';
}

describe.skipIf(skip)('killed at every system call that touches the volume', () => {
  let volume: Mounted;
  beforeAll(() => {
    volume = mountTmpfs({ size: '16m' });
  });
  afterAll(() => volume.remove());

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
      const points = await pointsOfJob(job(folder, 1), volume.path);
      expect(points.length).toBeGreaterThan(3);
      let version = 1;
      let killed = 0;
      let reads = 0;
      if (plain) folder = fresh();
      let reader = startReader(folder, names);
      for (const point of points) {
        const { call, n } = point;
        version++;
        if (await killAt(job(folder, version), point)) killed++;
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

  it('after the swap: the next run finishes what was left, although what readers see is right', async () => {
    const old = { a: 'A', b: 'B', gone: 'G', 'folder/gone': 'G' };
    const files = { a: 'A2', b: 'B' };
    const fresh = async (): Promise<string> => {
      const path = mkdtempSync(join(volume.path, 'target-'));
      expect(await drive({ path, files: old })).toHaveProperty('done');
      return path;
    };
    const points = await pointsOfJob({ path: await fresh(), files }, volume.path);
    const last = points.filter(({ call }) => ['fchmod', 'unlink', 'rmdir', 'rename'].includes(call));
    expect(last.length).toBeGreaterThan(5);
    for (const point of last) {
      const path = await fresh();
      await killAt({ path, files }, point);
      const where = `${point.call} ${point.n}`;
      expect(await drive({ path, files }), where).toHaveProperty('done');
      const names = readdirSync(path).filter((name) => !name.startsWith('..'));
      expect(names, where).toEqual(['a', 'b']);
      expect(leftovers(path), where).toEqual([]);
      // The mark by which another pod's run knows that it may be removed once it is superseded.
      expect(statSync(join(path, '..data')).mode & 0o1000, where).toBe(0o1000);
    }
  });
});
