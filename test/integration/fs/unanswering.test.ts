// Volumes that answer nothing, as one whose server is gone: --timeout and SIGTERM are obeyed all the same.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freeze, thaw, waitUntil } from '../../support/faults.ts';
import { memoryFolders } from '../../support/memory-folders.ts';
import { runInitbox, startInitbox } from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { canMountSlowly, mountSlowly, type SlowVolume } from '../../support/slow-volume.ts';
import { requireOrSkip } from '../../support/tools.ts';

const memoryFolder = memoryFolders();

/** Of a run on a volume and in a folder in memory, which both hold a small tree and an archive. */
type Words = (volume: string, memory: string) => readonly string[];

const cases: readonly (readonly [string, Words])[] = [
  ['chown', (volume) => ['chown', '1000:1000', volume]],
  ['chown, a folder in it', (volume) => ['chown', '1000:1000', `${volume}/tree`]],
  ['chown, a path through a link', (_, memory) => ['chown', '1000:1000', `${memory}/link/tree`]],
  ['copy onto it', (volume, memory) => ['copy', `${memory}/tree`, volume]],
  ['copy off it', (volume, memory) => ['copy', `${volume}/tree`, `${memory}/copied`]],
  ['copy off it, by a pattern', (volume, memory) => ['copy', `${volume}/tree/*`, `${memory}/copied`]],
  ['fetch-config --to', (volume, memory) => ['fetch-config', `file:${memory}/tree/f`, '--to', `${volume}/f`]],
  [
    'fetch-config --etag-file',
    (volume, memory) => [
      'fetch-config',
      'http://127.0.0.1:1/f',
      '--to',
      `${memory}/fetched`,
      '--etag-file',
      `${volume}/etag`,
    ],
  ],
  [
    'fetch-config --spec',
    (volume, memory) => {
      const spec = join(memory, 'spec.yaml');
      writeFileSync(spec, `files:\n  - path: ${volume}/new/f\n    from: file:${memory}/tree/f\n`);
      return ['fetch-config', '--spec', spec];
    },
  ],
  [
    'fetch-config file:',
    (volume, memory) => ['fetch-config', `file:${volume}/tree/f`, '--to', `${memory}/fetched`],
  ],
  [
    'fetch-config --unpack onto it',
    (volume, memory) => ['fetch-config', `file:${memory}/tree.tar`, '--unpack', '--to', `${volume}/site`],
  ],
  [
    'fetch-config --unpack off it',
    (volume, memory) => ['fetch-config', `file:${volume}/tree.tar`, '--unpack', '--to', `${memory}/site`],
  ],
  ['render --to', (volume, memory) => ['render', `${memory}/tree/f`, '--to', `${volume}/f`]],
  ['render, the template', (volume, memory) => ['render', `${volume}/tree/f`, '--to', `${memory}/rendered`]],
  [
    'render --data',
    (volume, memory) => [
      'render',
      `${memory}/tree/f`,
      '--data',
      `${volume}/values.yaml`,
      '--to',
      `${memory}/rendered`,
    ],
  ],
  ['install', (volume) => ['install', `${volume}/runtime`]],
  [
    'run, a step that copies',
    (volume, memory) => [
      'run',
      plan(memory, { uses: 'copy', sources: [`${memory}/tree`], destination: volume }),
    ],
  ],
  [
    'run, a step as another user',
    (volume, memory) => [
      'run',
      plan(memory, {
        uses: 'render',
        templates: [`${memory}/tree/f`],
        to: `${volume}/f`,
        user: '1000:1000',
      }),
    ],
  ],
];

function plan(folder: string, step: Readonly<Record<string, unknown>>): string {
  const path = join(folder, 'plan.json');
  writeFileSync(path, JSON.stringify({ steps: [{ name: 'one', ...step }] }));
  return path;
}

function fill(folder: string): void {
  mkdirSync(join(folder, 'tree'));
  for (let i = 0; i < 5; i++) writeFileSync(join(folder, 'tree', i === 0 ? 'f' : `f${i}`), `${i}`);
  writeFileSync(join(folder, 'values.yaml'), 'a: 1\n');
  writeFileSync(join(folder, 'log'), 'what was there');
  execFileSync('tar', ['-C', folder, '-cf', join(folder, 'tree.tar'), 'tree']);
}

/** Whether one of a process's threads waits for the server of a volume. */
function waitsForVolume(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) =>
      /request_wait_answer|fuse/.test(readFileSync(`/proc/${pid}/task/${thread}/wchan`, 'latin1')),
    );
  } catch {
    return false;
  }
}

describe.skipIf(requireOrSkip('volumes that answer nothing', canMountSlowly()))(
  'a volume that answers nothing',
  () => {
    let volume: SlowVolume;
    let memory: string;
    const unanswered = () => new RegExp(`the volume at ${volume.path} \\(fuse\\.\\w+\\) does not answer`);

    beforeAll(async () => {
      volume = await mountSlowly({ delay: '0' });
      memory = memoryFolder();
      for (const folder of [volume.behind, memory]) fill(folder);
      execFileSync('ln', ['-s', volume.path, join(memory, 'link')]);
      await freeze(volume.pid);
    });

    afterAll(async () => {
      thaw(volume.pid);
      await volume.stop();
    });

    test.each(cases)('%s: SIGTERM ends it', async (_what, words) => {
      const running = await startInitbox(words(volume.path, memory));
      await waitUntil(() => waitsForVolume(running.pid), { what: 'the call that hangs' });
      running.kill('SIGTERM');
      const { status, stderr } = await within(promptly, running.exit);
      expect(status, stderr).toBe(143);
      expect(stderr).toMatch(/ended by SIGTERM/);
      expect(stderr).toMatch(unanswered());
    });

    test.each(cases)('%s: --timeout ends it', async (_what, words) => {
      const run = runInitbox([...words(volume.path, memory), '--timeout', '1s']);
      const { status, stderr } = await within(1000 + 2 * promptly, run);
      expect(status, stderr).toBe(124);
      expect(stderr).toMatch(unanswered());
    });

    test('the termination message: the run ends, and says that it was not written', async () => {
      const words = ['wait-tcp', '127.0.0.1:1', '--termination-log', join(volume.path, 'log')];
      const { status, stderr } = await within(1000 + 2 * promptly, runInitbox([...words, '--timeout', '1s']));
      expect(status, stderr).toBe(124);
      expect(stderr).toMatch(/the termination message cannot be written to .*: its volume does not answer/);
    });
  },
);
