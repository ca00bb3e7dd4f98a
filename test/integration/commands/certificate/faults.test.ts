// What stands there after an end at any moment, and how soon an end comes.
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount, mountTmpfs } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import {
  canRunAsPid1,
  runInitbox,
  startAsPid1,
  startInitbox,
  terminationLog,
} from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { changingCalls, pointsOf, striking } from '../../../support/strace-points.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';

const noStrace = requireOrSkip('kills at every system call', whyMissing('strace', 'strace'));
const noMount = requireOrSkip('certificates on a full volume', canMount());
const noPid1 = requireOrSkip('certificate as PID 1', canRunAsPid1());
const noFlock = requireOrSkip('a folder that another run holds', whyMissing('flock', 'util-linux'));

const inMemory = memoryFolders();

/** What a reader finds: nothing, or a whole set that fits together. @returns its fingerprint */
function wholeIn(folder: string): string {
  const read = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined;
  const [cert, key, ca] = ['tls.crt', 'tls.key', 'ca.crt'].map(read);
  if (cert === undefined && key === undefined && ca === undefined) return 'nothing';
  const [leaf, root] = [new X509Certificate(cert ?? ''), new X509Certificate(ca ?? '')];
  expect(leaf.checkPrivateKey(createPrivateKey(key ?? ''))).toBe(true);
  expect(leaf.verify(root.publicKey)).toBe(true);
  return createHash('sha256').update(`${cert}${key}${ca}`).digest('hex');
}

const leftIn = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.startsWith('..initbox-tmp'));

describe.skipIf(noStrace)('killed at every system call that touches the volume', () => {
  test('the first run, and one that renews: a reader finds nothing, the old or the new, and the next run puts all right', async () => {
    const volume = inMemory();
    let count = 0;
    const fresh = (): string[] => {
      const [ca, to] = ['ca', 'to'].map((name) => join(volume, `${name}${count}`)) as [string, string];
      count++;
      mkdirSync(ca);
      mkdirSync(to);
      return ['certificate', 'a.test', '--ca-dir', ca, '--to', to];
    };
    const toOf = (args: readonly string[]): string => args.at(-1) ?? '';
    for (const renews of [false, true]) {
      const prepared = async (): Promise<string[]> => {
        const args = fresh();
        if (renews) expect((await runInitbox(args)).status).toBe(0);
        return args;
      };
      const more = renews ? ['--key-type', 'ec-p384'] : [];
      const probe = await prepared();
      const all = await pointsOf(volume, changingCalls, async (prefix) => {
        const run = await runInitbox([...probe, ...more], { prefix });
        expect(run.status, run.stderr).toBe(0);
      });
      const points = all.filter(({ changes }) => changes);
      expect(points.length).toBeGreaterThan(8);
      let killed = 0;
      for (const point of points) {
        const args = await prepared();
        const to = toOf(args);
        const before = wholeIn(to);
        const { signal } = await runInitbox([...args, ...more], {
          prefix: striking(point, 'signal=KILL'),
        });
        if (signal === 'SIGKILL') killed++;
        const after = wholeIn(to);
        const again = await runInitbox([...args, ...more]);
        expect(again.status, `${point.call} ${point.n}: ${again.stderr}`).toBe(0);
        const right = wholeIn(to);
        expect(right).not.toBe('nothing');
        // Nothing, the old one, or the new one, which is kept then.
        expect(['nothing', before, right]).toContain(after);
        expect(leftIn(to)).toEqual([]);
      }
      expect(killed).toBeGreaterThan(points.length / 2);
    }
  }, 300_000);
});

describe.skipIf(noMount)('a volume without room', () => {
  test('of bytes and of entries: the old one stays, the reason is said, and with room all is right', async () => {
    for (const [size, options] of [
      ['28k', undefined],
      ['1m', 'nr_inodes=12'],
    ] as const) {
      using volume = mountTmpfs({ size, ...(options === undefined ? {} : { options }) });
      const args = ['certificate', 'a.test', '--to', volume.path];
      // tmpfs gives whole pages: three files and a manifest fit once.
      const first = await runInitbox(args);
      expect(first.status, first.stderr).toBe(0);
      const before = wholeIn(volume.path);
      const renewed = await runInitbox([...args, '--key-type', 'ec-p384']);
      expect(renewed.status, renewed.stderr).toBe(1);
      expect(renewed.stderr).toMatch(/the volume is full|ENOSPC/);
      expect(wholeIn(volume.path)).toBe(before);
      expect(leftIn(volume.path)).toEqual([]);
      expect((await runInitbox(args)).stderr).toContain('kept the certificate');
    }
  });
});

describe('an end in the middle', () => {
  test.skipIf(noPid1)('SIGTERM as PID 1 while a key is made: at once, and nothing is there', async () => {
    const to = inMemory();
    const running = await startAsPid1(['certificate', 'a.test', '--to', to, '--key-type', 'rsa-4096']);
    await running.waitForStderr(/a new certificate is made/);
    running.kill('SIGTERM');
    const { status } = await within(promptly, running.exit);
    // The key may have been found by then.
    if (status !== 0) {
      expect(status).toBe(143);
      expect(wholeIn(to)).toBe('nothing');
    }
  });

  test.skipIf(noFlock)(
    'a deadline while another run holds the authority’s folder: 124, and both say why',
    async () => {
      const [ca, to] = [inMemory(), inMemory()];
      const log = terminationLog();
      const args = ['certificate', 'a.test', '--ca-dir', ca, '--to', to, '--timeout', '1s'];
      const { status, stderr } = await runInitbox([...args, '--termination-log', log.path], {
        prefix: ['flock', '--no-fork', ca],
      });
      expect(status, stderr).toBe(124);
      expect(stderr).toContain(`waiting for another run that works on ${ca}`);
      expect(log.read()).toContain('initbox certificate: ');
      expect(readdirSync(to)).toEqual([]);
    },
  );

  test('two runs at once on one folder: one makes it, the other keeps it', async () => {
    const to = inMemory();
    const runs = await Promise.all(
      Array.from({ length: 6 }, async () => (await startInitbox(['certificate', 'a.test', '--to', to])).exit),
    );
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(runs.filter(({ stderr }) => stderr.includes('kept the certificate'))).toHaveLength(5);
    wholeIn(to);
  });
});

describe('a key is nowhere else', () => {
  test('not in the log at its most detailed, not in the report, not in the termination message', async () => {
    const [ca, to] = [inMemory(), inMemory()];
    const args = ['certificate', 'a.test', '--ca-dir', ca, '--to', to, '--log-level', 'debug'];
    const first = await runInitbox(args);
    const second = await runInitbox(args);
    const report = await runInitbox([...args, '--dry-run']);
    expect(JSON.parse(report.stdout)).toMatchObject({ kept: true, names: ['a.test'] });
    const said = [first, second, report].map(({ stdout, stderr }) => stdout + stderr).join('');
    for (const path of [join(to, 'tls.key'), join(ca, 'ca.key')])
      for (const line of readFileSync(path, 'utf8').split('\n').slice(1, -2))
        expect(said).not.toContain(line);
  });
});
