// What is prepared on a volume, and somebody else puts something into its place before it is shown.
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { runInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const skip = requireOrSkip('what others exchange on a volume', canMount());
const files = 800;

describe.skipIf(skip)('what was exchanged before it was shown is not told as success', () => {
  let mounted: Mounted;
  let disk: string;
  let volume: string;

  beforeAll(() => {
    mounted = mountTmpfs({ size: '32m', mode: 0o755 });
    disk = temporaryDirectory('exchanged').path;
    mkdirSync(join(disk, 'tree'));
    for (let count = 0; count < files; count++)
      writeFileSync(join(disk, 'tree', `f${count}`), 'x'.repeat(1000));
    execFileSync('tar', ['-cf', join(disk, 'a.tar'), '-C', join(disk, 'tree'), '.']);
  });
  afterAll(() => mounted.remove());
  beforeEach(() => {
    volume = mkdtempSync(join(mounted.path, 'volume-'));
    chmodSync(volume, 0o777);
  });

  /** Exchanges the first thing of root that appears, once something is in it, for one of its own. */
  async function whileWatched(
    work: () => Promise<{ readonly status: number | null; readonly stderr: string }>,
  ) {
    const script = join(import.meta.dirname, 'exchange-staged.py');
    const child = spawn('python3', [script, volume], {
      stdio: ['pipe', 'pipe', 'inherit'],
      uid: 4321,
      gid: 4321,
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = new Promise((resolve) => child.once('close', resolve));
    while (!said.includes('ready')) await new Promise((resolve) => setTimeout(resolve, 10));
    try {
      return await work();
    } finally {
      child.stdin.end();
      await ended;
      expect(said).toContain('exchanged');
    }
  }

  test.each([
    ['--unpack', () => ['fetch-config', `file:${join(disk, 'a.tar')}`, '--unpack', '--to', volume]],
    ['copy --atomic', () => ['copy', join(disk, 'tree'), volume, '--atomic']],
    [
      'a folder of files',
      () => [
        'fetch-config',
        `file:${join(disk, 'tree')}`,
        '--format',
        'files',
        '--to',
        volume,
        '--allow-disk',
      ],
    ],
  ])('%s', async (_, args) => {
    const { status, stderr } = await whileWatched(() => runInitbox(args()));
    expect(stderr).toContain('was exchanged for something else before it was shown');
    expect(status).toBe(1);
    expect(lstatSync(join(volume, '..data'), { throwIfNoEntry: false })).toBeUndefined();
  });

  test('undisturbed, the same is published', async () => {
    expect(await runInitbox(['copy', join(disk, 'tree'), volume, '--atomic'])).toMatchObject({ status: 0 });
    expect(readFileSync(join(volume, 'f1'), 'utf8')).toHaveLength(1000);
    expect(existsSync(join(volume, `f${files - 1}`))).toBe(true);
  });
});
